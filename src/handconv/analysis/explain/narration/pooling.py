"""Pooling: who won, or the mean, and who gets the gradient."""

import numpy as np

from handconv.analysis.explain.explanation import Matrices, plane
from handconv.analysis.explain.narration.telling import Parts, Told, at, line, pictures
from handconv.analysis.explain.path import Passage
from handconv.layers import MaxPool2D
from handconv.utils.words import counted


def forward(passage: Passage) -> Told:
    """One window, and its greatest or its mean."""
    window, inside = passage.window(passage.unit)
    c = passage.unit[0]
    greatest = isinstance(passage.layer, MaxPool2D)
    numbers = {f"x{k}": value for k, (value, real) in enumerate(zip(window.flat, inside.flat, strict=True)) if real}
    listed = [f"{{{name}}}" for name in numbers]
    parts: Parts = [
        pictures(passage, ("x", "y"), (passage.input, passage.output)),
    ]
    y = passage.output[passage.unit]
    if greatest:
        won = passage.came_from(passage.unit)
        u, v = passage.offset(passage.unit[1:], won[1:])
        k = u * window.shape[1] + v
        parts += [
            line(f"{at('y', passage.unit)} = max({', '.join(listed)}) = {{y}}", y=y, **numbers),
            line(
                f"The winner is cell {k + 1} of the {window.size}, counted row by row: {at('x', won)}. "
                "Only it will get a gradient."
            ),
        ]
        return Told((f"y[{c}, i, j] = the greatest of the {counted(window.size, 'number')} of a window",), parts)
    text = f"{at('y', passage.unit)} = ({' + '.join(listed)}) / {{count}} = {{y}}"
    parts.append(line(text, y=y, count=window.size, **numbers))
    beyond = "; beyond the image is 0" if passage.layer.geometry.has_padding else ""
    return Told((f"y[{c}, i, j] = the mean of the {counted(window.size, 'number')} of a window{beyond}",), parts)


def backward(passage: Passage) -> Told:
    """Who gets the gradient of that window."""
    dy, dx = passage.dy[passage.sample], passage.dx[passage.sample]
    shown = Matrices(tuple(reversed(pictures(passage, ("dx", "dy"), (dx, dy)).items)), ("->",))
    if isinstance(passage.layer, MaxPool2D):
        won, source = passage.came_from(passage.unit), passage.source
        parts: Parts = [
            shown,
            line(f"dy = {{dy}} goes to the winner alone: {at('dx', won)} = {{dx}}", dy=dy[passage.unit], dx=dx[won]),
        ]
        if won != source:
            parts.append(line(f"{at('x', source)} did not win: {at('dx', source)} = {{dx}}", dx=dx[source]))
        formula = "dx = dy for the cell that won, 0 for the others (added up where windows overlap)"
        return Told((formula,), parts)
    size = passage.window(passage.unit)[0].size
    share = "dx[c, h, w] = dy / {count} for each cell of the window (added up where windows overlap)"
    text = f"Each of the {size} cells gets {{dy}} / {{count}} from this window; {at('dx', passage.source)} = {{dx}}"
    told = line(text, dy=dy[passage.unit], count=size, dx=dx[passage.source])
    return Told((share.replace("{count}", str(size)),), [shown, told])


def global_forward(passage: Passage) -> Told:
    """The mean of a channel."""
    (c,), values = passage.unit, passage.input[passage.unit[0]]
    text = f"{at('y', passage.unit)} = {{sum}} / {{count}} = {{y}}   (the sum of channel {c}, and how many it has)"
    parts: Parts = [
        Matrices((plane(f"x[{c}]", values),)),
        line(text, sum=values.sum(dtype=np.float64), count=values.size, y=passage.output[passage.unit]),
    ]
    return Told(("y[c] = the mean over i, j of x[c, i, j]",), parts)


def global_backward(passage: Passage) -> Told:
    """The same share for every cell of a channel."""
    dy, dx = passage.dy[passage.sample][passage.unit], passage.dx[passage.sample][passage.source]
    text = (
        f"Every cell of channel {passage.unit[0]} gets the same: "
        f"{at('dx', passage.source)} = {at('dy', passage.unit)} / (H · W) = {{dy}} / {{count}} = {{dx}}"
    )
    count = passage.input[passage.unit[0]].size
    return Told(("dx[c, i, j] = dy[c] / (H · W)",), [line(text, dy=dy, count=count, dx=dx)])
