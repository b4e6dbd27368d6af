"""Reshape, flatten and margins: the same number at another place."""

from handconv.analysis.explain.narration.telling import Parts, Told, at, line
from handconv.analysis.explain.path import Passage


def forward(passage: Passage) -> Told:
    """Where the number lies now."""
    text = f"{at('x', passage.source)} is now {at('y', passage.unit)} = {{y}}"
    return Told(("y = x, read row by row, in another shape",), [line(text, y=passage.output[passage.unit])])


def backward(passage: Passage) -> Told:
    """Where its gradient lay before."""
    text = f"{at('dy', passage.unit)} goes back as {at('dx', passage.source)} = {{dx}}"
    return Told(("dx = dy, in the old shape",), [line(text, dx=passage.dx[passage.sample][passage.source])])


def margin_forward(passage: Passage) -> Told:
    """Where the number lies within the margin, or that it is of the margin."""
    unit, y = passage.unit, passage.output[passage.unit]
    text = f"{at('x', passage.source)} is now {at('y', unit)} = {{y}}"
    if passage.goes_to(passage.source) != unit:
        text = f"{at('y', unit)} = {{y}} is one of the margin."
    return Told(("y[c, i + top, j + left] = x[c, i, j], 0 elsewhere",), [line(text, y=y)])


def margin_backward(passage: Passage) -> Told:
    """Where its gradient goes back to, or that it is dropped."""
    text = f"{at('dy', passage.unit)} goes back as {at('dx', passage.source)} = {{dx}}"
    dx = passage.dx[passage.sample][passage.source]
    parts: Parts = [line(text, dx=dx)]
    if passage.goes_to(passage.source) != passage.unit:
        parts = [line(f"{at('dy', passage.unit)} is dropped: no input lies in the margin.")]
    return Told(("dx[c, i, j] = dy[c, i + top, j + left]",), parts)
