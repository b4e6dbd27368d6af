"""Pooling: the maximum, or the mean, of the cells of each window.

The plain algorithm, with s the stride and x padded by -inf (maximum) or 0 (mean):

    maximum:  y[n, c, i, j] = max over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u*, j·s + v*] += dy[n, c, i, j]     (u*, v*): the first maximum in row-major order
    mean:     y[n, c, i, j] = mean over u, v of x[n, c, i·s + u, j·s + v]
              dx[n, c, i·s + u, j·s + v]   += dy[n, c, i, j] / (KH·KW)

The maximum is separable: first along the columns of every row, then along the rows of what that leaves. Each of the two
is a running maximum of whole arrays, of which array k holds, for all windows at once, the cell at offset k. The offsets
are compared one after another; mask k tells where cell k is strictly greater than all cells before it, so that of equal
cells the first counts, and columns before rows make that the first in row-major order. The last k whose mask is set is
where the maximum is. The gradient is therefore split from the last offset to the first: at each, the masked part goes
to the cell, and the rest to the offsets before it, by one product and one difference. Comparing x with its maximum
instead would give the gradient to every one of equal cells, and on images with a blank border all cells are equal.
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
Masks = Sequence[BoolArray] | BoolArray  # one for each offset but the first
ArgmaxMasks = tuple[BoolArray, BoolArray]  # along the columns, along the rows


def along_rows(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the rows of all windows by their offset: padded (H, C, W, N) -> KH views (OH, C, W, N)."""
    axis = geometry.rows
    return [x[u : u + (axis.outputs - 1) * axis.stride + 1 : axis.stride] for u in range(axis.window)]


def along_columns(x: FloatArray, geometry: Geometry) -> list[FloatArray]:
    """List the columns of all windows by their offset: padded (H, C, W, N) -> KW views (H, C, OW, N)."""
    axis = geometry.columns
    return [x[:, :, v : v + (axis.outputs - 1) * axis.stride + 1 : axis.stride] for v in range(axis.window)]


def running_maximum(cells: Sequence[FloatArray], out: FloatArray, argmax_masks: Masks | None) -> None:
    """Write the maximum to ``out``, which may be the first cell, and where each other cell exceeds all before it."""
    maximum = cells[0]
    if len(cells) == 1 and out is not maximum:
        out[...] = maximum
    if argmax_masks is None:
        for cell in cells[1:]:
            maximum = np.maximum(cell, maximum, out=out)
        return
    for cell, is_greater in zip(cells[1:], argmax_masks, strict=True):
        np.greater(cell, maximum, out=is_greater)
        maximum = np.maximum(cell, maximum, out=out)


def max_unpool(dy: FloatArray, argmax_masks: Masks, targets: Sequence[FloatArray]) -> None:
    """Write the gradient of each window to the target of its maximum, 0 to the others; dy may be the first target."""
    if len(targets) == 1 and targets[0] is not dy:
        targets[0][...] = dy
    for is_greater, target in zip(argmax_masks[::-1], targets[:0:-1], strict=True):
        target[...] = is_greater  # as floats: a product of floats and bools is slower than both steps
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
    for is_greater, target in zip(argmax_masks[::-1], targets[:0:-1], strict=True):
        np.multiply(dy, is_greater, out=share)
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
    of_rows, y = workspace.scratch("maxima of rows", row_shape, x.dtype), workspace.array("output", shape, x.dtype)
    argmax_masks = None
    if save_for_backward:
        by_column = workspace.array("argmax_masks by column", (geometry.columns.window - 1, *row_shape), np.bool_)
        by_row = workspace.array("argmax_masks by row", (geometry.rows.window - 1, *shape), np.bool_)
        argmax_masks = by_column, by_row
    running_maximum(along_columns(x, geometry), of_rows, argmax_masks and argmax_masks[0])
    running_maximum(along_rows(of_rows, geometry), y, argmax_masks and argmax_masks[1])
    if argmax_masks:
        for window, first in _beginning_outside(geometry.columns):
            argmax_masks[0][first - 1, :, :, window] = True
        for window, first in _beginning_outside(geometry.rows):
            argmax_masks[1][first - 1, window] = True
    return y, argmax_masks


def _beginning_outside(axis: Axis) -> list[tuple[int, int]]:
    """The windows that begin in the padding, each with its first cell inside, which counts as greater than that."""
    return [(window, int(first)) for window, first in enumerate(axis.first_inside) if 0 < first < axis.window]


def max_pool_gradient(
    dy: FloatArray, argmax_masks: ArgmaxMasks, geometry: Geometry, workspace: Workspace
) -> FloatArray:
    """Route (OH, C, OW, N) back to the cells of the maxima: -> (H, C, W, N)."""
    by_column, by_row = argmax_masks
    of_rows = workspace.scratch("maxima of rows", by_column.shape[1:], dy.dtype)
    of_rows[...] = 0
    _max_unpool(dy, by_row, along_rows(of_rows, geometry), geometry.rows, workspace)
    dx = _zeros(dy, geometry, workspace)
    _max_unpool(of_rows, by_column, along_columns(dx, geometry), geometry.columns, workspace)
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
