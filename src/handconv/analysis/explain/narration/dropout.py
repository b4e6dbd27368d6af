"""Dropout: whether the unit was kept."""

import numpy as np

from handconv.analysis.explain.narration.telling import Parts, Told, at, line
from handconv.analysis.explain.path import Passage


def forward(passage: Passage) -> Told:
    """How many numbers were dropped, and whether this one was."""
    slope, x = np.asarray(passage.slope), passage.input[passage.source]
    m, y = slope[passage.sample][passage.unit], passage.output[passage.unit]
    dropped = int(slope[passage.sample].size - np.count_nonzero(slope[passage.sample]))
    rate = passage.layer.rate
    parts: Parts = [
        line(f"Of the {slope[passage.sample].size:,} numbers {dropped:,} were drawn to be dropped in this step."),
        line(f"{at('y', passage.unit)} = x · m = {{x}} · {{m}} = {{y}}", x=x, m=m, y=y),
    ]
    formula = f"y = x · m        m = 0 with probability {rate:g}, else 1 / (1 - {rate:g})"
    return Told((formula,), parts)


def backward(passage: Passage) -> Told:
    """The same factor once more."""
    m = np.asarray(passage.slope)[passage.sample][passage.unit]
    dy, dx = passage.dy[passage.sample][passage.unit], passage.dx[passage.sample][passage.source]
    text = f"{at('dx', passage.source)} = dy · m = {{dy}} · {{m}} = {{dx}}"
    return Told(("dx = dy · m, with the same m",), [line(text, dy=dy, m=m, dx=dx)])
