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
    dx = flipped weights @ window   of dz's rows between KH - 1 rows of zeros, for each kernel column; these are
                                    shifted and added

Only KW copies of the input are made where im2col makes KH·KW.

Phases: where a pooling of ph x pw follows, outputs are computed split by their position in the pooling window,
z = (pw, ph, OH/ph, F, OW/pw·N), so that each of the candidates of the maximum is one contiguous array, and
outputs that the pooling drops are never computed. Without pooling there is one phase.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike

from handconv.kernels.geometry import Geometry, Pair
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.padding import padded

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


def expand(x: FloatArray, form: RowForm, workspace: Workspace) -> FloatArray:
    """Copy the input once for each kernel column: (H, C, W, N) -> (pw, R, KW·C, OW/pw·N) with R input rows."""
    columns, pw, width = form.geometry.columns, form.phases[1], form.outputs[1]
    source = padded(x, form.geometry, 0.0, workspace)
    _, channels, _, batch = source.shape
    row, channel, column, item = source.strides
    step = column * columns.stride
    shape = (pw, form.input_rows, columns.window, channels, width, batch)
    expanded = workspace.keep("expanded", shape, x.dtype)
    expanded[...] = np.ndarray(shape, x.dtype, source, 0, (step, row, column, channel, step * pw, item))
    return expanded.reshape(pw, form.input_rows, columns.window * channels, width * batch)


def windows_of(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (pw, ph, OH/ph, KH·KW·C, OW/pw·N)."""
    (ph, pw), rows = form.phases, form.geometry.rows
    phase, row, line, item = expanded.strides
    step = row * rows.stride
    shape = (pw, ph, form.outputs[0], rows.window * expanded.shape[2], expanded.shape[3])
    return np.ndarray(shape, expanded.dtype, expanded, 0, (phase, step, step * ph, line, item))


def as_matrix(weights: FloatArray) -> FloatArray:
    """Lay out the weights (F, C, KH, KW) as the windows are: (F, KH·KW·C)."""
    return weights.transpose(0, 2, 3, 1).reshape(weights.shape[0], -1)


def weight_gradient(dz: FloatArray, windows: FloatArray, workspace: Workspace) -> FloatArray:
    """Sum dz @ windowᵀ over output rows: (pw, ph, rows, F, cells) -> (F, KH·KW·C)."""
    products = workspace.scratch("products", (*dz.shape[:-1], windows.shape[-2]), dz.dtype)
    np.matmul(dz, windows.swapaxes(-1, -2), out=products)
    total: FloatArray = np.add.reduce(products.reshape(-1, *products.shape[-2:]), axis=0)
    return total


def as_weights(matrix: FloatArray, out: FloatArray) -> None:
    """Write a matrix (F, KH·KW·C) to ``out`` (F, C, KH, KW)."""
    filters, channels, height, width = out.shape
    out[...] = matrix.reshape(filters, height, width, channels).transpose(0, 3, 1, 2)


def zero_rows(form: RowForm, filters: int, batch: int, dtype: DTypeLike, workspace: Workspace) -> FloatArray:
    """Rows of zeros (R + KH - 1, F, J, N), among which ``place_rows`` puts the outputs, a stride apart."""
    rows, columns = form.geometry.rows, form.geometry.columns
    height, width = (outputs * phases for outputs, phases in zip(form.outputs, form.phases, strict=True))
    margin = rows.window - 1
    shape = form.input_rows + margin, filters, (width - 1) * columns.stride + 1, batch
    placed = workspace.scratch("placed rows", shape, dtype)
    if rows.stride == columns.stride == 1:  # everything between will be written
        placed[:margin] = 0
        placed[margin + height :] = 0
    else:
        placed[...] = 0
    return placed


def place_rows(dz: FloatArray, first: int, form: RowForm, placed: FloatArray) -> None:
    """Put some output rows of dz (pw, ph, rows, F, cells), of which ``first`` is the first, into their places."""
    (ph, pw), rows, columns = form.phases, form.geometry.rows, form.geometry.columns
    step = ph * rows.stride
    for phase in range(ph):
        start = rows.window - 1 + phase * rows.stride + first * step
        target = placed[start : start + (dz.shape[2] - 1) * step + 1 : step]
        for column in range(pw):
            places = target[:, :, column * columns.stride :: pw * columns.stride]
            places[...] = dz[column, phase].reshape(places.shape)


def input_gradient(
    placed: FloatArray, weights: FloatArray, form: RowForm, shape: tuple[int, ...], workspace: Workspace
) -> FloatArray:
    """Send the placed rows of dz back through the weights: -> dx of memory ``shape`` (H, C, W, N).

    What kernel column v sends belongs v columns further to the right. Each line of it is followed by as many zeros as
    the shifts may take, so that a whole tile is shifted and added as one long run: NumPy needs two to three times as
    long for an addition whose operands are not contiguous. A tile is a few rows of dx, which stay in the cache.
    """
    filters, channels, kernel_height, kernel_width = weights.shape
    rows, columns, batch = form.geometry.rows, form.geometry.columns, shape[-1]
    height = min(shape[0], form.input_rows - rows.before)
    cells, (row, line, _, item) = placed.shape[2] * batch, placed.strides
    windows = np.ndarray(
        (height, kernel_height * filters, cells), placed.dtype, placed, rows.before * row, (row, line, item)
    )
    flipped = weights[:, :, ::-1].transpose(3, 1, 2, 0).reshape(kernel_width, 1, channels, -1)  # (KW, 1, C, KH·F)
    dx = workspace.keep("dinputs", shape, placed.dtype)
    dx[height:] = 0
    for here in tiles(height, kernel_width * channels * columns.padded * batch * item):
        part = (here.stop - here.start, channels, columns.padded * batch)
        sent = workspace.scratch("parts", (kernel_width, *part), placed.dtype)
        sent[..., cells:] = 0
        np.matmul(flipped, windows[here], out=sent[..., :cells])
        total, *others = sent.reshape(kernel_width, math.prod(part))
        for v, other in enumerate(others, 1):
            total[v * batch :] += other[: -v * batch]
        on_input = slice(columns.before, columns.before + columns.size)
        dx[here] = total.reshape(*part[:2], columns.padded, batch)[:, :, on_input]
    return dx
