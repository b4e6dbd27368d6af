"""Pooling: the best, or the mean, of the cells of each window.

The plain algorithm, with s the stride and x padded by -inf (maximum) or 0 (mean):

    maximum:  y[n, c, i, j] = max over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u*, j·s + v*] += dy[n, c, i, j]     (u*, v*): the first maximum in row-major order
    mean:     y[n, c, i, j] = mean over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u, j·s + v]   += dy[n, c, i, j] / (KH·KW)

The maximum is separable: first along the columns of every row, then along the rows of what that leaves. Each of the two
is a running_maximum of whole arrays, in which *candidate* k holds, for all windows at once, the cell at offset k. The
candidates play one after another; ``argmax_masks[k]`` remembers where candidate k was strictly greater than all before it, so
that ties stay with the first, and columns before rows make that the first in row-major order. The last k that did so
holds the maximum, and the gradient is handed out from the last candidate to the first by one product and one difference
each. Comparing x with its maximum instead would send the gradient to every tie, and images with a blank border tie
everywhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Workspace
from handconv.engine.kernels.padding import padded, unpadded
from handconv.geometry import Axis, Geometry

BoolArray = NDArray[np.bool_]
Masks = Sequence[BoolArray] | BoolArray  # one for each candidate but the first
ArgmaxMasks = tuple[BoolArray, BoolArray]  # along the columns, along the rows


def along_rows(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the rows of all windows by their offset: padded (H, C, W, N) -> KH views (OH, C, W, N)."""
    axis = geometry.rows
    return [x[u : u + (axis.outputs - 1) * axis.stride + 1 : axis.stride] for u in range(axis.window)]


def along_columns(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the columns of all windows by their offset: padded (H, C, W, N) -> KW views (H, C, OW, N)."""
    axis = geometry.columns
    return [x[:, :, v : v + (axis.outputs - 1) * axis.stride + 1 : axis.stride] for v in range(axis.window)]


def running_maximum(candidates: Sequence[FloatArray], out: FloatArray, argmax_masks: Masks | None) -> None:
    """Write the greatest candidate to ``out`` (it may be the first) and where each other one beat all before it."""
    best = candidates[0]
    if len(candidates) == 1 and out is not best:
        out[...] = best
    if argmax_masks is None:
        for challenger in candidates[1:]:
            best = np.maximum(challenger, best, out=out)
        return
    for challenger, won in zip(candidates[1:], argmax_masks, strict=True):
        np.greater(challenger, best, out=won)
        best = np.maximum(challenger, best, out=out)


def max_unpool(dy: FloatArray, argmax_masks: Masks, targets: Sequence[FloatArray]) -> None:
    """Hand each window's gradient to the candidate that won it, by writing to the ``targets``; dy may be the first."""
    if len(targets) == 1 and targets[0] is not dy:
        targets[0][...] = dy
    for won, target in zip(argmax_masks[::-1], targets[:0:-1], strict=True):
        target[...] = won  # as floats: a product of floats and bools is slower than both steps
        np.multiply(dy, target, out=target)
        dy = np.subtract(dy, target, out=targets[0])


def _max_unpool(
    dy: FloatArray, argmax_masks: BoolArray, targets: Sequence[FloatArray], axis: Axis, workspace: Workspace
) -> None:
    """Do as ``max_unpool`` does, but add to the targets where windows overlap."""
    if not axis.overlaps:
        max_unpool(dy, argmax_masks, targets)
        return
    rest, share = (workspace.scratch(name, dy.shape, dy.dtype) for name in ("rest", "share"))
    for won, target in zip(argmax_masks[::-1], targets[:0:-1], strict=True):
        np.multiply(dy, won, out=share)
        dy = np.subtract(dy, share, out=rest)
        np.add(target, share, out=target)
    targets[0][...] += dy


def max_pool(
    x: FloatArray, geometry: Geometry, workspace: Workspace, *, save_for_backward: bool
) -> tuple[FloatArray, ArgmaxMasks | None]:
    """Pool (H, C, W, N) by the maximum: -> (OH, C, OW, N), and what ``max_pool_gradient`` needs."""
    x = padded(x, geometry, -np.inf, workspace)
    (height, width), (rows, channels, _, batch) = geometry.outputs, x.shape
    row_shape, shape = (rows, channels, width, batch), (height, channels, width, batch)
    best, y = workspace.scratch("best of row", row_shape, x.dtype), workspace.array("output", shape, x.dtype)
    argmax_masks = None
    if save_for_backward:
        by_column = workspace.array("argmax_masks by column", (geometry.columns.window - 1, *row_shape), np.bool_)
        by_row = workspace.array("argmax_masks by row", (geometry.rows.window - 1, *shape), np.bool_)
        argmax_masks = by_column, by_row
    running_maximum(along_columns(x, geometry), best, argmax_masks and argmax_masks[0])
    running_maximum(along_rows(best, geometry), y, argmax_masks and argmax_masks[1])
    return y, argmax_masks


def max_pool_gradient(
    dy: FloatArray, argmax_masks: ArgmaxMasks, geometry: Geometry, workspace: Workspace
) -> FloatArray:
    """Route (OH, C, OW, N) back to the cells that won: -> (H, C, W, N)."""
    by_column, by_row = argmax_masks
    dbest = workspace.scratch("best of row", by_column.shape[1:], dy.dtype)
    dbest[...] = 0
    _max_unpool(dy, by_row, along_rows(dbest, geometry), geometry.rows, workspace)
    dx = _zeros(dy, geometry, workspace)
    _max_unpool(dbest, by_column, along_columns(dx, geometry), geometry.columns, workspace)
    return unpadded(dx, geometry)


def average_pool(x: FloatArray, geometry: Geometry, workspace: Workspace) -> FloatArray:
    """Pool (H, C, W, N) by the mean, zeros of the padding included: -> (OH, C, OW, N)."""
    (height, width), (_, channels, _, batch) = geometry.outputs, x.shape
    cells = _cells(padded(x, geometry, 0.0, workspace), geometry)
    y = workspace.array("output", (height, channels, width, batch), x.dtype)
    y[...] = cells[0]
    for cell in cells[1:]:
        y += cell
    y *= x.dtype.type(1 / len(cells))
    return y


def average_pool_gradient(dy: FloatArray, geometry: Geometry, workspace: Workspace) -> FloatArray:
    """Spread (OH, C, OW, N) evenly over the cells of each window: -> (H, C, W, N)."""
    dx = _zeros(dy, geometry, workspace)
    targets = _cells(dx, geometry)
    share = dy * dy.dtype.type(1 / len(targets))
    for target in targets:
        np.add(target, share, out=target)
    return unpadded(dx, geometry)


def global_average(x: FloatArray, out: FloatArray, workspace: Workspace) -> FloatArray:
    """Average (H, C, W, N) over the image: -> (C, N); halves are added, so that many numbers stay exact."""
    height, channels, width, batch = x.shape
    total = workspace.scratch("halves", (max(1, height // 2), channels, width, batch), x.dtype)
    rows = _halved(x, total, axis=0)
    half = workspace.scratch("halves of a row", (channels, max(1, width // 2), batch), x.dtype)
    cells = _halved(rows[0], half, axis=1)
    return np.divide(cells[:, 0], x.dtype.type(height * width), out=out)


def _halved(x: FloatArray, total: FloatArray, axis: int) -> FloatArray:
    """Sum along an axis by adding the second half to the first again and again: -> (…, 1, …)."""

    def part(values: FloatArray, start: int, stop: int) -> FloatArray:
        view: FloatArray = values[(slice(None),) * axis + (slice(start, stop),)]
        return view

    size = x.shape[axis]
    while size > 1:
        half = size // 2
        first = np.add(part(x, 0, half), part(x, half, 2 * half), out=part(total, 0, half))
        if size % 2:
            last = part(first, half - 1, half)
            np.add(last, part(x, size - 1, size), out=last)
        x, size = total, half
    return x


def _cells(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the cells of all windows by their offset, row-major: padded (H, C, W, N) -> KH·KW views (OH, C, OW, N)."""
    return [cell for row in along_rows(x, geometry) for cell in along_columns(row, geometry)]


def _zeros(dy: FloatArray, geometry: Geometry, workspace: Workspace) -> NDArray[Any]:
    rows, columns = geometry.rows, geometry.columns
    dx = workspace.array("dinputs", (rows.padded, dy.shape[1], columns.padded, dy.shape[3]), dy.dtype)
    dx[...] = 0
    return dx
