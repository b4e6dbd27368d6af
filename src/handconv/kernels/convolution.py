"""Two-dimensional convolution (cross-correlation, as everywhere in this field) as matrix products of kernel rows.

The plain algorithm, with x padded by zeros:

    z[n, f, i, j]  = sum over c, u, v of  w[f, c, u, v] · x[n, c, i·s + u, j·s + v]
    dw[f, c, u, v] = sum over n, i, j of  dz[n, f, i, j] · x[n, c, i·s + u, j·s + v]
    dx[n, c, i·s + u, j·s + v]        +=  dz[n, f, i, j] · w[f, c, u, v]

The row form (the idea of MEC, Cho and Brand 2017, arXiv 1706.06873, in the memory order of cuda-convnet): activations
lie in memory as (H, C, W, N). ``expand`` makes one shifted copy for each kernel *column*, so that row r becomes a
matrix (KW·C, OW·N). The KH rows under a window then lie one behind the other: rows[r : r + KH] *is* the patch matrix
(KH·KW·C, OW·N) of one output row, as a view. Each of the three products is one batched ``np.matmul`` over output rows:

    z  = weights @ window           (F, KH·KW·C) @ (KH·KW·C, OW·N)
    dw = dz @ windowᵀ, summed       (F, OW·N) @ (OW·N, KH·KW·C)
    dx = flipped weights @ window   of the rows of dz, for each kernel column; these are shifted and added

Only KW copies of the input are made where im2col makes KH·KW.

Phases: where a pooling of ph x pw follows, outputs are computed split by their position in the pooling window,
z = (pw, ph, OH/ph, F, OW/pw·N), so that each of the candidates of the maximum is one contiguous array, and
outputs that the pooling drops are never computed. Without pooling there is one phase.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike

from handconv.kernels.geometry import Geometry, Pair
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.padding import padded
from handconv.kernels.products import banded_matmul

#: Bytes of intermediate results that are made, and used up, at a time.
TILE = 700_000


def tiles(rows: int, bytes_a_row: int) -> Iterator[slice]:
    """Cut rows into the fewest pieces of at most ``TILE`` bytes, all of about the same size."""
    count = min(max(1, rows), -(-rows * bytes_a_row // TILE) or 1)
    for tile in range(count):
        yield slice(rows * tile // count, rows * (tile + 1) // count)


@dataclass(frozen=True)
class RowForm:
    """The sizes of a convolution in row form: ``phases`` = (ph, pw) is the window of the pooling that follows."""

    geometry: Geometry
    phases: Pair = (1, 1)

    @cached_property
    def outputs(self) -> Pair:
        """Output rows and columns of each phase: (OH // ph, OW // pw)."""
        (height, width), (ph, pw) = self.geometry.outputs, self.phases
        return height // ph, width // pw

    @cached_property
    def input_rows(self) -> int:
        """The padded input rows that the outputs look at, and the padding before the input at the least."""
        rows = self.geometry.rows
        return max(rows.before, (self.outputs[0] * self.phases[0] - 1) * rows.stride + rows.window)


def expand(x: FloatArray, form: RowForm, expanded: FloatArray, workspace: Workspace) -> None:
    """Copy the input once for each kernel column: (H, C, W, N) -> (pw, R, KW, C, OW/pw, N) with R input rows."""
    columns, pw = form.geometry.columns, form.phases[1]
    source = padded(x, form.geometry, 0.0, workspace)
    row, channel, column, item = source.strides
    step = column * columns.stride
    expanded[...] = np.ndarray(expanded.shape, x.dtype, source, 0, (step, row, column, channel, step * pw, item))


def windows_of(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (pw, ph, OH/ph, KH·KW·C, OW/pw·N)."""
    ph, rows = form.phases[0], form.geometry.rows
    pw, _, kernel_width, channels, width, batch = expanded.shape
    phase, row, _, line, _, item = expanded.strides
    step = row * rows.stride
    shape = (pw, ph, form.outputs[0], rows.window * kernel_width * channels, width * batch)
    return np.ndarray(shape, expanded.dtype, expanded, 0, (phase, step, step * ph, line, item))


def as_matrix(weights: FloatArray) -> FloatArray:
    """Lay out the weights (F, C, KH, KW) as the windows are: (F, KH·KW·C)."""
    return weights.transpose(0, 2, 3, 1).reshape(weights.shape[0], -1)


def as_weights(matrix: FloatArray, out: FloatArray) -> None:
    """Write a matrix (F, KH·KW·C) to ``out`` (F, C, KH, KW)."""
    filters, channels, height, width = out.shape
    out[...] = matrix.reshape(filters, height, width, channels).transpose(0, 3, 1, 2)


class InputGradient:
    """The way from dz back to dx, for one size of batch: put the rows of dz into ``places``, then ``compute``.

    Where the stride leaves rows and columns out, there are zeros between those of dz, which are never written. A window
    that reaches beyond the first or the last row of dz is a shorter matrix. What kernel column v sends to dx belongs v
    columns further to the right. Each line of it is followed by as many zeros as the shifts may take, so that a whole
    tile is shifted and added as one long run: NumPy needs longer for an addition whose operands are not contiguous. A
    tile is a few rows of dx, which stay in the cache.

    Args:
        form: the sizes.
        weights_shape: (F, C, KH, KW).
        batch: N.
        dtype: of everything.
    """

    def __init__(self, form: RowForm, weights_shape: tuple[int, ...], batch: int, dtype: DTypeLike) -> None:
        filters, self._channels, kernel_height, self._kernel_width = weights_shape
        (ph, pw), rows, columns = form.phases, form.geometry.rows, form.geometry.columns
        height, width = (
            (outputs * phases - 1) * axis.stride + 1
            for outputs, phases, axis in zip(form.outputs, form.phases, (rows, columns), strict=True)
        )
        placed = np.zeros((height, filters, width, batch), dtype)
        #: Where the rows of each phase belong: pw x ph views (OH/ph, F, OW/pw, N).
        self.places = [
            [
                placed[phase * rows.stride :: ph * rows.stride, :, column * columns.stride :: pw * columns.stride]
                for phase in range(ph)
            ]
            for column in range(pw)
        ]
        self._height = min(rows.size, form.input_rows - rows.before)
        self._cells, self._columns, self._batch = width * batch, columns, batch
        line = columns.padded * batch
        cut = list(tiles(self._height, self._kernel_width * self._channels * line * placed.itemsize))
        most = max(here.stop - here.start for here in cut)
        zeros = np.zeros(self._kernel_width * most * self._channels * line, dtype)
        self._tiles: list[tuple[slice, FloatArray, list[_Product]]] = []
        for here in cut:
            shape = self._kernel_width, here.stop - here.start, self._channels, line
            parts = zeros[: math.prod(shape)].reshape(shape)
            products = _products(placed, parts[..., : self._cells], here, rows.before, kernel_height)
            self._tiles.append((here, parts, list(products)))

    def compute(self, weights: FloatArray, dx: FloatArray) -> None:
        """Send the placed rows back through the weights: -> dx (H, C, W, N)."""
        flipped = weights[:, :, ::-1].transpose(3, 1, 2, 0).reshape(self._kernel_width, 1, self._channels, -1)
        on_input = slice(self._columns.before, self._columns.before + self._columns.size)
        dx[self._height :] = 0
        for here, parts, products in self._tiles:
            for lines, windows, out in products:
                banded_matmul(flipped[..., lines], windows, out)  # (C, KH·F) @ (KH·F, cells)
            total, *others = parts.reshape(self._kernel_width, math.prod(parts.shape[1:]))
            for v, other in enumerate(others, 1):
                total[v * self._batch :] += other[: -v * self._batch]
            dx[here] = total.reshape(*parts.shape[1:3], self._columns.padded, self._batch)[:, :, on_input]
            parts[0, ..., self._cells :] = 0  # as it was


_Product = tuple[slice, FloatArray, FloatArray]


def _products(placed: FloatArray, out: FloatArray, here: slice, before: int, kernel_height: int) -> Iterator[_Product]:
    """For some rows of dx list the products that make them, as (lines of the weights, windows, out).

    Row h hears from the rows h + before - KH + 1 … h + before of dz, as far as there are any; rows that hear from as
    many go into one product.
    """
    height, filters, width, batch = placed.shape
    row, line, _, item = placed.strides

    def heard(h: int) -> tuple[int, int]:
        first = h + before - kernel_height + 1
        return max(0, -first), min(kernel_height, height - first)

    for (start, stop), group in itertools.groupby(range(here.start, here.stop), heard):
        rows = list(group)
        shape = len(rows), (stop - start) * filters, width * batch
        first = rows[0] + before - kernel_height + 1 + start
        windows = np.ndarray(shape, placed.dtype, placed, first * row, (row, line, item))
        lines = slice(start * filters, stop * filters)
        yield lines, windows, out[:, rows[0] - here.start : rows[-1] + 1 - here.start]
