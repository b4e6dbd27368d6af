"""Any other layer: its formula, and its numbers in and out."""

from typing import Any

from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Table
from handconv.analysis.explain.narration.telling import Told, at, line, maths
from handconv.analysis.explain.path import Passage


def forward(passage: Passage) -> Told:
    """The layer's own formulas, and its numbers in and out."""
    x, y = passage.input, passage.output
    text = f"{at('y', passage.unit)} = {{y}}"
    if passage.source:
        text += f"        {at('x', passage.source)} = {{x}}"
    return Told(
        maths(type(passage.layer)),
        [line(text, x=x[passage.source], y=y[passage.unit]), _in_and_out(("x", x), ("y", y))],
    )


def backward(passage: Passage) -> Told:
    """The gradients in and out."""
    dx, dy = passage.dx[passage.sample], passage.dy[passage.sample]
    text = f"{at('dy', passage.unit)} = {{dy}}        {at('dx', passage.source)} = {{dx}}"
    numbers = line(text, dy=dy[passage.unit], dx=dx[passage.source])
    return Told((), [numbers, _in_and_out(("dy", dy), ("dx", dx))])


def _in_and_out(*arrays: tuple[str, NDArray[Any]]) -> Table:
    rows = tuple((name, float(values.min()), float(values.mean()), float(values.max())) for name, values in arrays)
    return Table(("all numbers", "smallest", "mean", "greatest"), rows)
