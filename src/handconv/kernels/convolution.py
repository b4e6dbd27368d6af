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
    dx = flipped weights @ window   of dz's rows between KH - 1 rows of zeros, then KW shifted additions

Only KW copies of the input are made where im2col makes KH·KW.

Phases: where a pooling of ph x pw follows, outputs are computed split by their position in the pooling window,
z = (ph, pw, OH/ph, F, OW/pw·N), so that each of the ph·pw candidates of the maximum is one contiguous array, and
outputs that the pooling drops are never computed. Without pooling there is one phase.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike

from handconv.kernels.geometry import Geometry, Overlap, Pair
from handconv.kernels.memory import FloatArray, Workspace

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
    def overlaps(self) -> tuple[tuple[int, int, Overlap], ...]:
        """For each column phase and kernel column (phase, v), which outputs see which input columns."""
        columns, pw = self.geometry.columns, self.phases[1]
        return tuple(
            (phase, v, columns.overlap(v, self.outputs[1], phase=phase, phases=pw))
            for phase in range(pw)
            for v in range(columns.window)
        )

    @cached_property
    def input_rows(self) -> int:
        """The padded input rows that the outputs look at, and the padding before the input at the least."""
        rows = self.geometry.rows
        return max(rows.before, (self.outputs[0] * self.phases[0] - 1) * rows.stride + rows.window)


def expand(x: FloatArray, form: RowForm, workspace: Workspace) -> FloatArray:
    """Copy the input once for each kernel column: (H, C, W, N) -> (pw, R, KW·C, OW/pw·N) with R input rows."""
    (height, channels, _, batch), pw = x.shape, form.phases[1]
    rows, columns, width = form.geometry.rows, form.geometry.columns, form.outputs[1]
    shape = (pw, form.input_rows, columns.window, channels, width, batch)
    expanded = workspace.keep("expanded", shape, x.dtype)
    last = min(rows.before + height, form.input_rows)
    expanded[:, : rows.before] = 0
    expanded[:, last:] = 0
    x = x[: last - rows.before]
    for phase, v, (outputs, inputs) in form.overlaps:
        target = expanded[phase, rows.before : last, v]  # (rows, C, OW/pw, N)
        target[:, :, outputs] = x[:, :, inputs]
        if outputs.stop - outputs.start < width:
            target[:, :, : outputs.start] = 0
            target[:, :, outputs.stop :] = 0
    return expanded.reshape(pw, form.input_rows, columns.window * channels, width * batch)


def windows_of(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (ph, pw, OH/ph, KH·KW·C, OW/pw·N)."""
    (ph, pw), rows = form.phases, form.geometry.rows
    phase, row, line, item = expanded.strides
    step = row * rows.stride
    shape = (ph, pw, form.outputs[0], rows.window * expanded.shape[2], expanded.shape[3])
    return np.ndarray(shape, expanded.dtype, expanded, 0, (step, phase, step * ph, line, item))


def as_matrix(weights: FloatArray) -> FloatArray:
    """Lay out the weights (F, C, KH, KW) as the windows are: (F, KH·KW·C)."""
    return weights.transpose(0, 2, 3, 1).reshape(weights.shape[0], -1)


def weight_gradient(dz: FloatArray, windows: FloatArray, workspace: Workspace) -> FloatArray:
    """Sum dz @ windowᵀ over output rows: (ph, pw, rows, F, cells) -> (F, KH·KW·C)."""
    products = workspace.scratch("products", (*dz.shape[:-1], windows.shape[-2]), dz.dtype)
    np.matmul(dz, windows.swapaxes(-1, -2), out=products)
    total: FloatArray = np.add.reduce(products.reshape(-1, *products.shape[-2:]), axis=0)
    return total


def as_weights(matrix: FloatArray, out: FloatArray) -> None:
    """Write a matrix (F, KH·KW·C) to ``out`` (F, C, KH, KW)."""
    filters, channels, height, width = out.shape
    out[...] = matrix.reshape(filters, height, width, channels).transpose(0, 3, 1, 2)


def zero_rows(form: RowForm, filters: int, cells: int, dtype: DTypeLike, workspace: Workspace) -> FloatArray:
    """Rows of zeros (pw, R + KH - 1, F, OW/pw·N), between which ``place_rows`` puts the rows of dz."""
    rows = form.geometry.rows
    margin = rows.window - 1
    padded = workspace.scratch("padded rows", (form.phases[1], form.input_rows + margin, filters, cells), dtype)
    if rows.stride == 1:  # the rows between will all be written
        padded[:, :margin] = 0
        padded[:, form.input_rows :] = 0
    else:
        padded[...] = 0
    return padded


def place_rows(dz: FloatArray, first: int, form: RowForm, padded: FloatArray) -> None:
    """Put some output rows of dz (ph, pw, rows, F, cells), of which ``first`` is the first, into their places."""
    ph, rows = form.phases[0], form.geometry.rows
    step = ph * rows.stride
    for phase in range(ph):
        start = rows.window - 1 + phase * rows.stride + first * step
        padded[:, start : start + (dz.shape[2] - 1) * step + 1 : step] = dz[phase]


def input_gradient(
    padded: FloatArray, weights: FloatArray, form: RowForm, shape: tuple[int, ...], workspace: Workspace
) -> FloatArray:
    """Send the padded rows of dz back through the weights: -> dx of memory ``shape`` (H, C, W, N).

    Done for a few rows of dx at a time, which stay in the cache.
    """
    filters, channels, kernel_height, kernel_width = weights.shape
    (pw, _, _, cells), rows, slots = padded.shape, form.geometry.rows, _slots(form)
    height = min(rows.before + shape[0], form.input_rows) - rows.before
    phase, row, line, item = padded.strides
    windows = np.ndarray(
        (pw, height, kernel_height * filters, cells), padded.dtype, padded, rows.before * row, (phase, row, line, item)
    )
    flipped = weights[:, :, ::-1].transpose(3, 1, 2, 0).reshape(kernel_width * channels, -1)  # (KW·C, KH·F)
    dx = workspace.keep("dinputs", shape, padded.dtype)
    dx[height:] = 0
    for rows_here in tiles(height, pw * kernel_width * channels * slots * shape[-1] * item):
        start, stop = rows_here.start, rows_here.stop
        parts = workspace.scratch("parts", (pw, stop - start, kernel_width * channels, slots * shape[-1]), padded.dtype)
        parts[..., cells:] = 0
        np.matmul(flipped, windows[:, start:stop], out=parts[..., :cells])
        _gather(
            parts.reshape(pw, stop - start, kernel_width, channels * slots, shape[-1]), form, dx[start:stop], workspace
        )
    return dx


def _slots(form: RowForm) -> int:
    """Columns that a line of parts needs so that, shifted to its place, it runs into zeros only."""
    columns = form.geometry.columns
    return (columns.padded - 1) // (form.phases[1] * columns.stride) + 1


def _gather(parts: FloatArray, form: RowForm, dx: FloatArray, workspace: Workspace) -> None:
    """Write to some rows of dx (rows, C, W, N) the sum of what each phase and kernel column sends to each column.

    The padded input column i = o·step + r, with step = pw·s, hears from those parts whose first column has the
    remainder r: part (phase, v) starts at column phase·s + v. Each line of a part is followed by as many zeros as the
    shift may take, so that all lines of a row are shifted and added as one long run, and only the sum is put in its
    place: NumPy needs two to three times as long for an addition whose operands are not contiguous, and for a copy it
    does not.
    """
    pw, height, kernel_width, length, batch = parts.shape
    columns = form.geometry.columns
    step, slots = pw * columns.stride, _slots(form)
    starts = [
        (divmod(phase * columns.stride + v, step), parts[phase, :, v])
        for phase in range(pw)
        for v in range(kernel_width)
    ]
    for remainder in range(min(step, columns.padded)):
        run = workspace.scratch("run", (height, length, batch), parts.dtype)
        here = [(start, part) for (start, rest), part in starts if rest == remainder]  # the first one starts at 0
        run[...] = here[0][1] if here else 0
        for start, part in here[1:]:
            run[:, start:] += part[:, : length - start]
        first = -((remainder - columns.before) // step)  # of the slots that lie on the input, not in its padding
        target = dx[:, :, first * step + remainder - columns.before :: step]
        target[...] = run.reshape(height, dx.shape[1], slots, batch)[:, :, first : first + target.shape[2]]
