"""Activations: number by number with the slope; softmax as one."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Table
from handconv.analysis.explain.narration.telling import Parts, Told, at, line, maths, pictures, shown_classes
from handconv.analysis.explain.path import Passage
from handconv.layers import Layer, LeakyReLU, ReLU


def each_forward(passage: Passage) -> Told:
    """What became of one number, and which side of 0 it lay on."""
    layer, x, y = passage.layer, passage.input[passage.source], passage.output[passage.unit]
    formula = _formulas(layer)[0]
    text = f"{at('y', passage.unit)} = {{y}}, from {at('x', passage.source)} = {{x}}"
    numbers = {"x": x, "y": y}
    if isinstance(layer, ReLU | LeakyReLU):
        alpha = layer.alpha if isinstance(layer, LeakyReLU) else 0
        formula = "y = x where x > 0, " + ("alpha · x" if alpha else "0") + " elsewhere"
        formula += f"        alpha = {alpha:g}" if alpha else ""
        if x > 0:
            text = f"{at('x', passage.source)} = {{x}} is above 0 and stays: {at('y', passage.unit)} = {{y}}"
        elif alpha:
            numbers |= {"alpha": alpha}
            text = f"{at('x', passage.source)} is not above 0: {at('y', passage.unit)} = {{alpha}} · {{x}} = {{y}}"
        else:
            text = f"{at('x', passage.source)} = {{x}} is not above 0: {at('y', passage.unit)} = {{y}}"
    parts: Parts = [*_small_planes(passage, ("x", "y"), (passage.input, passage.output)), line(text, **numbers)]
    return Told((formula,) if formula else (), parts)


def each_backward(passage: Passage) -> Told:
    """The slope there, and what it let through."""
    slope = np.asarray(passage.slope)[passage.sample][passage.unit]
    dy, dx = passage.dy[passage.sample], passage.dx[passage.sample]
    numbers = {"dy": dy[passage.unit], "slope": slope, "dx": dx[passage.source]}
    text = f"{at('dx', passage.source)} = dy · slope = {{dy}} · {{slope}} = {{dx}}"
    formula = _formulas(passage.layer)[1]
    if isinstance(passage.layer, ReLU | LeakyReLU):
        below = "alpha · dy" if isinstance(passage.layer, LeakyReLU) else "0"
        formula = f"dx = dy where x > 0, {below} elsewhere"
    parts: Parts = [*_small_planes(passage, ("dy", "dx"), (dy, dx)), line(text, **numbers)]
    return Told((formula,) if formula else (), parts)


def _formulas(layer: Layer) -> tuple[str, str]:
    """The formulas y = … and dx = … of an activation, with those of the letters in them."""
    text = "\n".join(maths(type(layer)))
    forward, backward = (re.search(rf"^ *({name} = .+)$", text, re.MULTILINE) for name in ("y", "dx"))
    return forward[1] if forward else "", backward[1] if backward else ""


def softmax_forward(passage: Passage) -> Told:
    """The scores, their exponentials and their shares."""
    x, y = passage.input, passage.output
    exponentials = np.exp(x - x.max())
    rows = tuple(
        (f"k = {k}", float(x[k]), float(exponentials[k]), float(y[k]))
        for k in shown_classes(len(x), passage.unit[0], y)
    )
    parts: Parts = [
        Table(("", "x", "exp(x - max)", "y"), rows),
        line("The exponentials sum to {total}.", total=exponentials.sum()),
    ]
    return Told(("y[k] = exp(x[k] - max) / sum over q of exp(x[q] - max)",), parts)


def softmax_backward(passage: Passage) -> Told:
    """One class's gradient, with the sum that all classes share."""
    y, dy, dx = passage.output, passage.dy[passage.sample], passage.dx[passage.sample]
    (k,) = passage.unit
    parts: Parts = [
        line("The sum of dy · y over all classes is {s}.", s=(dy * y).sum()),
        line(
            f"{at('dx', passage.source)} = {{y}} · ({{dy}} - {{s}}) = {{dx}}",
            y=y[k],
            dy=dy[k],
            s=(dy * y).sum(),
            dx=dx[k],
        ),
    ]
    return Told(("dx[k] = y[k] · (dy[k] - sum over q of dy[q] · y[q])",), parts)


def _small_planes(passage: Passage, names: tuple[str, str], values: tuple[NDArray[Any], NDArray[Any]]) -> Parts:
    """Both planes of an image as pictures; vectors are told by their numbers alone."""
    if values[0].ndim != 3:
        return []
    return [pictures(passage, names, values)]
