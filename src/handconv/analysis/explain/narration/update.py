"""The optimizer's step on one parameter of each array."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Line, Matrices, Matrix, Section
from handconv.analysis.explain.narration.optimizers import constants, equations, numbers_of
from handconv.analysis.explain.narration.telling import Parts, at, line
from handconv.analysis.explain.path import Index, Passage
from handconv.analysis.explain.step import Step
from handconv.arrays import FloatArray
from handconv.layers import Conv2D, Dense
from handconv.layers.parameters import ParameterView


def update_section(step: Step, passage: Passage) -> Section:
    """The optimizer's step on the parameters that the path runs through."""
    views, optimizer = step.views_of(passage), step.optimizer
    parts: Parts = []
    for view in views:
        index = _parameter(step, passage, view)
        parts += _moved(step, view, index)
        if view.spec.name == "weights" and view.layer is passage.layer:
            pictures = _weight_pictures(passage, view.of(step.old), view.of(step.gradients), view.of(step.new))
            parts += [pictures] if pictures is not None else []
    formula = tuple(formula for formula, _ in equations(optimizer))
    if formula:
        named = "".join(f", {name} = {value:g}" for name, value in constants(optimizer).items())
        formula = (*formula, f"t = {optimizer.iterations}, rate = {step.rate:g}{named}")
    else:
        formula = (f"{optimizer!r} takes its step {optimizer.iterations}",)
    shapes = ", ".join(f"{view.spec.name} {view.shape}" for view in views)
    return Section("update", f"{passage.title}, by {type(optimizer).__name__}", formula, shapes, tuple(parts))


def _parameter(step: Step, passage: Passage, view: ParameterView[Any]) -> Index:
    """The parameter of an array that is told about: the one on the path, else that with the greatest gradient."""
    layer, name = passage.layer, view.spec.name
    if view.layer is layer and name != "weights" and len(view.shape) == 1 and view.shape[0] > passage.unit[0]:
        return passage.unit[:1]
    if view.layer is layer and type(layer) is Conv2D:
        f, *place = passage.unit
        own = passage.source[0] - passage.first_channel(f)
        return (f, own, *passage.offset(tuple(place), passage.source[1:]))
    if view.layer is layer and type(layer) is Dense:
        return (*passage.source, *passage.unit)
    gradient = view.of(step.gradients)
    return tuple(int(i) for i in np.unravel_index(int(np.abs(gradient).argmax()), gradient.shape))


def _moved(step: Step, view: ParameterView[Any], index: Index) -> Parts:
    """Tell how one parameter was moved."""

    def of(vector: FloatArray) -> float:
        return float(view.of(vector)[index])

    spec, name = view.spec, at(view.spec.name, index)
    old, new, g = of(step.old), of(step.new), of(step.gradients)
    inner = view.name.rpartition(".")[0].partition(".")[2]
    parts: Parts = [line(f"{name}{f' of {inner}' if inner else ''} is {{old}} before the step.", old=old)]
    if spec.l1 or spec.l2:
        terms = [("l1 · sign(w)", spec.l1 * float(np.sign(old)))] if spec.l1 else []
        terms += [("2 · l2 · w", 2 * spec.l2 * old)] if spec.l2 else []
        names = " + ".join(term for term, _ in terms)
        shown = " + ".join(f"{{t{k}}}" for k in range(len(terms)))
        numbers = {f"t{k}": value for k, (_, value) in enumerate(terms)}
        parts.append(
            line(f"g = d{spec.name} + {names} = {{d}} + {shown} = {{g}}",
                 d=of(step.data_gradients), g=of(step.unclipped), **numbers)
        )  # fmt: skip
    if of(step.unclipped) != g:
        parts.append(_clipped(step, of(step.unclipped), g))
    elif not (spec.l1 or spec.l2):
        parts.append(line("g = {g}", g=g))
    optimizer = step.optimizer
    before = {kept: of(step.state_before[kept]) for kept in optimizer.vectors}
    after = {kept: of(optimizer.state[kept]) for kept in optimizer.vectors}
    told = equations(optimizer, spec.decays)
    if not told:
        state = [
            line(f"{kept}: {{before}} before, {{after}} after", before=before[kept], after=after[kept])
            for kept in after
        ]
        return [*parts, *state, line(f"{name} is {{new}} after the step.", new=new)]
    numbers = {"old": old, "new": new, "rate": step.rate, **numbers_of(optimizer, g, before, after)}
    for _, template in told:
        used = {key: numbers[key] for key in re.findall(r"\{(\w+)\}", template)}
        parts.append(line(re.sub("^w", name, template), **used))
    return parts


def _clipped(step: Step, whole: float, g: float) -> Line:
    """What one number of the gradient became, and why."""
    optimizer, why = step.optimizer, []
    numbers = {"whole": whole, "g": g}
    if optimizer.clip_value is not None:
        why.append("no number goes farther from 0 than clip_value = {clip_value}")
        numbers["clip_value"] = optimizer.clip_value
    if optimizer.clip_norm is not None and step.norm > optimizer.clip_norm:
        why.append("the whole gradient, {length} long, is shortened to clip_norm = {clip_norm}")
        numbers |= {"length": step.norm, "clip_norm": optimizer.clip_norm}
    return line(f"The gradient is clipped from {{whole}} to g = {{g}}: {', and '.join(why)}.", **numbers)


def _weight_pictures(passage: Passage, old: NDArray[Any], gradient: NDArray[Any], new: NDArray[Any]) -> Matrices | None:
    """The weights around the chosen one, before and after, with their gradients; none if there are many."""
    layer = passage.layer
    if type(layer) is Conv2D:
        f, own = passage.unit[0], passage.source[0] - passage.first_channel(passage.unit[0])
        name, place = f"[{f}, {own}]", (f, own)
        marked = passage.offset(passage.unit[1:], passage.source[1:])
        old, gradient, new = old[place], gradient[place], new[place]
    elif type(layer) is Dense:
        name, marked = "", (passage.source[0], passage.unit[0])
    else:
        return None
    shown = Matrices(
        tuple(
            Matrix(f"{what}{name}", values, ((marked[0], marked[1]),))
            for what, values in (("w before", old), ("g", gradient), ("w after", new))
        )
    )
    return shown if shown.written_out else None
