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

Phases: where a pooling of pw columns follows, outputs are computed split by their place in the pooling window,
z = (pw, OH, F, OW/pw·N), so that the cells at one offset of all windows are one contiguous array, and outputs that the
pooling drops are never computed. Without pooling there is one phase.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.arena import Workspace
from handconv.engine.kernels.gemm import blocked_matmul
from handconv.engine.kernels.padding import padded
from handconv.engine.layout import strided
from handconv.geometry import Geometry, Pair

#: Bytes of intermediate results that are made, and used up, at a time. Smaller tiles stay nearer in the cache, larger
#: ones ask for fewer calls: with half as much a step is 2 % slower, with twice as much as quick (Zen 3).
TILE = 1_400_000


def tiles(rows: int, bytes_a_row: int) -> Iterator[slice]:
    """Cut rows into the fewest pieces of at most ``TILE`` bytes, all of about the same size."""
    count = min(max(1, rows), -(-rows * bytes_a_row // TILE) or 1)
    for tile in range(count):
        yield slice(rows * tile // count, rows * (tile + 1) // count)


class RowForm(NamedTuple):
    """The sizes of a convolution in row form.

    ``phases`` = (ph, pw) is the window of the pooling that follows; ``output_crop`` are the rows and columns of what
    that leaves that the next op reads, if not all of them.
    """

    geometry: Geometry
    phases: Pair = (1, 1)
    output_crop: Pair | None = None

    @property
    def pooled(self) -> Pair:
        """Rows and columns that are left: (OH // ph, OW // pw), or ``output_crop``."""
        (height, width), (ph, pw) = self.geometry.outputs, self.phases
        return self.output_crop or (height // ph, width // pw)

    @property
    def rows(self) -> int:
        """The output rows OH that the pooling reads."""
        return self.pooled[0] * self.phases[0]

    @property
    def input_rows(self) -> int:
        """The padded input rows that these outputs read."""
        return self.geometry.rows.inputs_of(self.rows)

    @property
    def required_input(self) -> Pair:
        """The input rows and columns that these outputs read, all before them included; at least one of each."""
        rows, columns = self.geometry.rows, self.geometry.columns
        height, width = (
            self.input_rows - rows.before,
            columns.inputs_of(self.pooled[1] * self.phases[1]) - columns.before,
        )
        return max(1, min(rows.size, height)), max(1, min(columns.size, width))


def expand(x: FloatArray, form: RowForm, expanded: FloatArray, workspace: Workspace) -> None:
    """Copy the input once for each kernel column: (H, C, W, N) -> (pw, R, KW, C, OW/pw, N) with R input rows."""
    columns, pw = form.geometry.columns, form.phases[1]
    source = padded(x, form.geometry, 0.0, workspace)
    row, channel, column, item = source.strides
    step = column * columns.stride
    expanded[...] = strided(source, 0, expanded.shape, (step, row, column, channel, step * pw, item))


def windows_of(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (pw, OH, KH·KW·C, OW/pw·N)."""
    axis = form.geometry.rows
    pw, _, kernel_width, channels, width, batch = expanded.shape
    phase, row, _, line, _, item = expanded.strides
    shape = (pw, form.rows, axis.window * kernel_width * channels, width * batch)
    return strided(expanded, 0, shape, (phase, row * axis.stride, line, item))


def as_matrix(weights: FloatArray, workspace: Workspace) -> FloatArray:
    """Lay out the weights (F, C, KH, KW) as the windows are: (F, KH·KW·C)."""
    filters, channels, height, width = weights.shape
    if channels == 1:  # they lie so already
        return weights.reshape(filters, -1)
    matrix = workspace.scratch("weights as matrix", (filters, height, width, channels), weights.dtype)
    matrix[...] = weights.transpose(0, 2, 3, 1)
    return matrix.reshape(filters, -1)


def as_weights(matrix: FloatArray, out: FloatArray) -> None:
    """Write a matrix (F, KH·KW·C) to ``out`` (F, C, KH, KW)."""
    filters, channels, height, width = out.shape
    out[...] = matrix.reshape(filters, height, width, channels).transpose(0, 3, 1, 2)


class InputGradient:
    """The gradient with respect to the inputs, dx, from that with respect to the outputs, dz, for one size of batch.

    Rows: output row o and kernel row u contribute to the input row o·s + u, counted with the padding. So an input row
    depends on the kernel rows that leave the same remainder by s as it does, and the rows of dz that belong to these
    lie one behind the other: again a window of rows *is* a matrix. Input rows that depend on equally many rows of dz go
    into one product; nothing is multiplied by zeros.

    Columns: phase b and kernel column v carry column j of dz to the input column L·j + s·b + v, with L = s·pw. So all
    contributions of such a pair belong to the input columns of one remainder by L, shifted some places to the right.
    Each line of them is followed by as many zeros as it may be shifted by, so that the lines of an input row are
    shifted and added as one long run: NumPy needs longer for the addition of short ones. All kernel columns are one
    product.

    A tile is a few rows of dx. The contributions to it lie in the memory of the tiles of z, which may still be cached.

    Args:
        form: the sizes.
        weights_shape: (F, C, KH, KW).
        dz: (pw, OH, F, OW/pw·N), which ``compute`` will read.
        batch: N.
        workspace: where scratch arrays come from.
    """

    def __init__(
        self, form: RowForm, weights_shape: tuple[int, ...], dz: FloatArray, batch: int, workspace: Workspace
    ) -> None:
        _, self._channels, self._kernel_height, kernel_width = weights_shape
        self._rows, self._columns = form.geometry.rows, form.geometry.columns
        self._dz, self._width, pw = dz, form.pooled[1], form.phases[1]
        self._workspace = workspace
        self._period = pw * self._columns.stride
        pairs = [(b, v, *divmod(self._columns.stride * b + v, self._period)) for b, v in np.ndindex(pw, kernel_width)]
        #: For each remainder by L the pairs (phase, kernel column) that contribute, by their shifts.
        self._contributors = [
            sorted((shift, b, v) for b, v, shift, remainder in pairs if remainder == wanted)
            for wanted in range(self._period)
        ]
        reached = (self._columns.before + self._columns.size - 1) // self._period + 1
        width = max(reached, self._width + max(shift for _, _, shift, _ in pairs))  # of a line, its zeros included
        line = self._channels, width, batch
        cut = list(tiles(self._rows.size, pw * kernel_width * math.prod(line) * dz.itemsize))
        most = max(here.stop - here.start for here in cut)
        shape = pw, most, kernel_width, *line
        parts = workspace.scratch("tile", (math.prod(shape),), dz.dtype).reshape(shape)
        total = workspace.scratch("sum of parts", (most, *line), dz.dtype)
        self._tiles = [self._tile(here, parts[:, : here.stop - here.start], total) for here in cut]

    def compute(self, weights: FloatArray, dx: FloatArray) -> None:
        """Multiply dz by the transposed weights and add up the contributions: -> dx (H, C, W, N)."""
        stride = self._rows.stride
        matrices = [
            _reversed_matrix(weights[:, :, remainder::stride], self._workspace, f"weights of remainder {remainder}")
            for remainder in range(stride)
        ]
        for tile in self._tiles:
            for cells in tile.blank:
                cells[...] = 0
            for remainder, lines, windows, out in tile.products:
                blocked_matmul(matrices[remainder][..., lines], windows, out)  # (C, rows·F) @ (rows·F, cells)
            here = dx[tile.rows]
            for columns, summed, additions in tile.columns:
                for left, right, out in additions:
                    np.add(left, right, out=out)
                here[:, :, columns] = summed

    def _tile(self, here: slice, parts: FloatArray, total: FloatArray) -> "_InputTile":
        """Lay out all views for some rows of dx; parts (pw, rows, KW, C, width, N), total (rows, C, width, N)."""
        phases, count, kernel_width, channels, width, batch = parts.shape
        matrices = parts.reshape(phases, count, kernel_width * channels, width * batch)
        runs = parts.reshape(phases, count, kernel_width, channels * width * batch)
        sums = total[:count].reshape(count, channels * width * batch)
        products, written = [], set[int]()
        for remainder, rows, lines, windows in self._products(here):
            written.update(rows)
            place = slice(rows[0] - here.start, rows[-1] + 1 - here.start, self._rows.stride)
            products.append((remainder, lines, windows, matrices[:, place, :, : windows.shape[-1]]))
        columns = []
        for remainder, contributors in enumerate(self._contributors):
            first = (remainder - self._columns.before) % self._period
            skipped = (first + self._columns.before) // self._period
            reached = len(range(first, self._columns.size, self._period))
            shifted = [(shift * batch, runs[b, :, v]) for shift, b, v in contributors]
            summed, additions = _sum(shifted, sums, self._workspace)
            cells = summed.reshape(total[:count].shape)[:, :, skipped : skipped + reached]
            columns.append((slice(first, self._columns.size, self._period), cells, additions))
        unwritten = [row - here.start for row in range(here.start, here.stop) if row not in written]
        blank = [parts[..., self._width :, :], *(parts[:, row] for row in unwritten)]
        return _InputTile(here, blank, products, columns)

    def _products(self, here: slice) -> Iterator[tuple[int, list[int], slice, FloatArray]]:
        """List the products for some rows of dx: (remainder, rows, lines of the matrix, windows of dz)."""
        axis = self._rows
        _, height, filters, cells = self._dz.shape
        phase, row, line, item = self._dz.strides
        for remainder in range(axis.stride):
            window = len(range(remainder, self._kernel_height, axis.stride))

            def contributing(h: int, window: int = window) -> tuple[int, int]:
                first = (h + axis.before) // axis.stride - window + 1  # row of dz
                return max(0, -first), min(window, height - first)

            start = here.start + (remainder - axis.before - here.start) % axis.stride
            for (begin, end), group in itertools.groupby(range(start, here.stop, axis.stride), contributing):
                rows = list(group)
                if begin < end:
                    first = (rows[0] + axis.before) // axis.stride - window + 1 + begin
                    shape = (len(self._dz), len(rows), (end - begin) * filters, cells)
                    windows = strided(self._dz, first * row, shape, (phase, row, line, item))
                    yield remainder, rows, slice(begin * filters, end * filters), windows


_Addition = tuple[FloatArray, FloatArray | np.floating[Any], FloatArray]  # left, right, out


class _InputTile(NamedTuple):
    """Some rows of dx, and how they are made."""

    rows: slice
    blank: list[FloatArray]  # what no product writes: the end of each line, and rows that depend on no row of dz
    products: list[tuple[int, slice, FloatArray, FloatArray]]  # remainder, lines of its matrix, windows of dz, out
    columns: list[tuple[slice, FloatArray, list[_Addition]]]  # where in dx, the sum, the additions that make it


def _reversed_matrix(weights: FloatArray, workspace: Workspace, name: str) -> FloatArray:
    """Lay out some rows of the kernel, the last one first: (F, C, KH, KW) -> (KW·C, KH·F)."""
    filters, channels, height, width = weights.shape
    matrix = workspace.scratch(name, (width, channels, height, filters), weights.dtype)
    matrix[...] = weights[:, :, ::-1].transpose(3, 1, 2, 0)
    return matrix.reshape(width * channels, height * filters)


def _sum(
    shifted: list[tuple[int, FloatArray]], total: FloatArray, workspace: Workspace
) -> tuple[FloatArray, list[_Addition]]:
    """Lay out the sum of rows, all but the first shifted to the right: where it is, the additions that make it."""
    if not shifted:
        return workspace.constant(np.zeros(total.shape, total.dtype)), []
    (_, so_far), *others = shifted
    additions: list[_Addition] = []
    for shift, other in others:
        if shift and so_far is not total:
            additions.append((so_far[:, :shift], so_far.dtype.type(0), total[:, :shift]))
        additions.append((so_far[:, shift:], other[:, : other.shape[1] - shift], total[:, shift:]))
        so_far = total
    return so_far, additions
