"""Pooling: the best, or the mean, of the cells of each window.

The plain algorithm, with s the stride and x padded by -inf (maximum) or 0 (mean):

    maximum:  y[n, c, i, j] = max over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u*, j·s + v*] += dy[n, c, i, j]     (u*, v*): the first maximum in row-major order
    mean:     y[n, c, i, j] = mean over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u, j·s + v]   += dy[n, c, i, j] / (KH·KW)

The fast form works on whole arrays of *candidates*: candidate k holds, for all windows at once, the cell at offset k of
the window. A tournament plays them one after another; ``beaten[k]`` remembers where candidate k was strictly greater
than all before it, so that ties stay with the first. The last k that did so holds the maximum, and the gradient is
handed out from the last candidate to the first by one product and one difference each. Comparing x with its maximum
instead would send the gradient to every tie, and images with a blank border tie everywhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.geometry import Geometry
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.padding import padded, unpadded

BoolArray = NDArray[np.bool_]


def candidates(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the cells of all windows by their offset, row-major: padded (H, C, W, N) -> KH·KW views (OH, C, OW, N)."""
    (height, width), rows, columns = geometry.outputs, geometry.rows, geometry.columns
    return [
        x[
            u : u + (height - 1) * rows.stride + 1 : rows.stride,
            :,
            v : v + (width - 1) * columns.stride + 1 : columns.stride,
        ]
        for u in range(rows.window)
        for v in range(columns.window)
    ]


def maximum(cells: Sequence[FloatArray], out: FloatArray) -> None:
    """Write the greatest candidate of each window to ``out``."""
    if len(cells) == 1:
        out[...] = cells[0]
    for k, cell in enumerate(cells[1:]):
        np.maximum(cell, out if k else cells[0], out=out)


def tournament(cells: Sequence[FloatArray], out: FloatArray, beaten: BoolArray) -> None:
    """Write the greatest candidate to ``out`` and, for each but the first, where it beat all before it."""
    if len(cells) == 1:
        out[...] = cells[0]
    for k, cell in enumerate(cells[1:]):
        best = out if k else cells[0]
        np.greater(cell, best, out=beaten[k])
        np.maximum(cell, best, out=out)


def route(dy: FloatArray, beaten: BoolArray, targets: Sequence[FloatArray], *, add: bool, workspace: Workspace) -> None:
    """Hand each window's gradient to the candidate that won it, by writing (or ``add``-ing) to the ``targets``."""
    rest, routed = targets[0], targets[0]
    if add:
        rest, routed = (workspace.scratch(name, dy.shape, dy.dtype) for name in ("rest", "routed"))
    for k in range(len(targets) - 1, 0, -1):
        share = routed if add else targets[k]
        np.multiply(dy, beaten[k - 1], out=share)
        dy = np.subtract(dy, share, out=rest)
        if add:
            targets[k][...] += share
    if add:
        targets[0][...] += dy
    elif len(targets) == 1:
        targets[0][...] = dy


def max_pool(
    x: FloatArray, geometry: Geometry, workspace: Workspace, *, remember: bool
) -> tuple[FloatArray, BoolArray | None]:
    """Pool (H, C, W, N) by the maximum: -> (OH, C, OW, N), and what ``max_pool_gradient`` needs."""
    (height, width), (_, channels, _, batch) = geometry.outputs, x.shape
    shape = (height, channels, width, batch)
    cells = candidates(padded(x, geometry, -np.inf, workspace), geometry)
    y = workspace.keep("output", shape, x.dtype)
    if not remember:
        maximum(cells, y)
        return y, None
    beaten = workspace.keep("beaten", (len(cells) - 1, *shape), np.bool_)
    tournament(cells, y, beaten)
    return y, beaten


def max_pool_gradient(dy: FloatArray, beaten: BoolArray, geometry: Geometry, workspace: Workspace) -> FloatArray:
    """Route (OH, C, OW, N) back to the cells that won: -> (H, C, W, N)."""
    dx = _zeros(dy, geometry, workspace)
    route(dy, beaten, candidates(dx, geometry), add=geometry.overlaps, workspace=workspace)
    return unpadded(dx, geometry)


def average_pool(x: FloatArray, geometry: Geometry, workspace: Workspace) -> FloatArray:
    """Pool (H, C, W, N) by the mean, zeros of the padding included: -> (OH, C, OW, N)."""
    (height, width), (_, channels, _, batch) = geometry.outputs, x.shape
    cells = candidates(padded(x, geometry, 0.0, workspace), geometry)
    y = workspace.keep("output", (height, channels, width, batch), x.dtype)
    y[...] = cells[0]
    for cell in cells[1:]:
        y += cell
    y *= x.dtype.type(1 / len(cells))
    return y


def average_pool_gradient(dy: FloatArray, geometry: Geometry, workspace: Workspace) -> FloatArray:
    """Spread (OH, C, OW, N) evenly over the cells of each window: -> (H, C, W, N)."""
    dx = _zeros(dy, geometry, workspace)
    targets = candidates(dx, geometry)
    share = dy * dy.dtype.type(1 / len(targets))
    for target in targets:
        np.add(target, share, out=target)
    return unpadded(dx, geometry)


def _zeros(dy: FloatArray, geometry: Geometry, workspace: Workspace) -> NDArray[Any]:
    rows, columns = geometry.rows, geometry.columns
    dx = workspace.keep("dinputs", (rows.padded, dy.shape[1], columns.padded, dy.shape[3]), dy.dtype)
    dx[...] = 0
    return dx
