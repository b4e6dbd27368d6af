"""Two-dimensional convolution (cross-correlation, as everywhere in this field) as matrix products of kernel rows.

The plain algorithm, with x padded by zeros:

    z[n, f, i, j]  = sum over c, u, v of  w[f, c, u, v] · x[n, c, i·s + u, j·s + v]
    dw[f, c, u, v] = sum over n, i, j of  dz[n, f, i, j] · x[n, c, i·s + u, j·s + v]
    dx[n, c, i·s + u, j·s + v]        +=  dz[n, f, i, j] · w[f, c, u, v]

The row form (the idea of MEC, Cho and Brand 2017, arXiv 1706.06873, in the memory order of cuda-convnet): activations
lie in memory as (H, C, W, N). ``expand`` makes one shifted copy for each kernel *column*, so that row r becomes a matrix
(KW·C, OW·N). The KH rows under a window then lie one behind the other: rows[r : r + KH] *is* the patch matrix
(KH·KW·C, OW·N) of one output row, as a view. Each of the three products is one batched ``np.matmul`` over output rows:

    z  = weights @ window           (F, KH·KW·C) @ (KH·KW·C, OW·N)
    dw = dz @ windowᵀ, summed       (F, OW·N) @ (OW·N, KH·KW·C)
    dx = flipped weights @ window   of dz's rows between KH - 1 rows of zeros, then KW shifted additions

Only KW copies of the input are made where im2col makes KH·KW.

Phases: where a pooling of ph x pw follows, outputs are computed split by their position in the pooling window,
z = (ph, pw, OH/ph, F, OW/pw·N), so that each of the ph·pw candidates of the maximum is one contiguous array, and outputs that
the pooling drops are never computed. Without pooling there is one phase.
"""

from dataclasses import dataclass

import numpy as np

from handconv.kernels.geometry import Geometry, Pair
from handconv.kernels.memory import FloatArray, Workspace


@dataclass(frozen=True)
class RowForm:
    """The sizes of a convolution in row form: ``phases`` = (ph, pw) is the window of the pooling that follows."""

    geometry: Geometry
    phases: Pair = (1, 1)

    @property
    def outputs(self) -> Pair:
        """Output rows and columns of each phase: (OH // ph, OW // pw)."""
        (height, width), (ph, pw) = self.geometry.outputs, self.phases
        return height // ph, width // pw

    @property
    def input_rows(self) -> int:
        """The padded input rows that the outputs look at, and the padding before the input at the least."""
        rows = self.geometry.rows
        return max(rows.before, (self.outputs[0] * self.phases[0] - 1) * rows.stride + rows.window)


def expand(x: FloatArray, form: RowForm, workspace: Workspace) -> FloatArray:
    """Copy the input once for each kernel column: (H, C, W, N) -> (pw, R, KW·C, OW/pw·N) with R input rows."""
    (height, channels, _, batch), pw = x.shape, form.phases[1]
    rows, columns = form.geometry.rows, form.geometry.columns
    width = form.outputs[1]
    shape = (pw, form.input_rows, columns.window, channels, width, batch)
    expanded = workspace.keep("expanded", shape, x.dtype)
    last = min(rows.before + height, form.input_rows)
    expanded[:, : rows.before] = 0
    expanded[:, last:] = 0
    x = x[: last - rows.before]
    for phase in range(pw):
        for v in range(columns.window):
            target = expanded[phase, rows.before : last, v]  # (rows, C, OW/pw, N)
            outputs, inputs = columns.overlap(v, width, phase=phase, phases=pw)
            target[:, :, : outputs.start] = 0
            target[:, :, outputs] = x[:, :, inputs]
            target[:, :, outputs.stop :] = 0
    return expanded.reshape(pw, form.input_rows, columns.window * channels, width * batch)


def convolve(expanded: FloatArray, weights: FloatArray, form: RowForm, workspace: Workspace) -> FloatArray:
    """Multiply every window of rows by the weights (F, C, KH, KW): -> (ph, pw, OH/ph, F, OW/pw·N)."""
    windows = _windows(expanded, form)
    filters = weights.shape[0]
    shape = (*windows.shape[:3], filters, windows.shape[-1])
    matrix = weights.transpose(0, 2, 3, 1).reshape(filters, -1)  # (F, KH·KW·C)
    return np.matmul(matrix, windows, out=workspace.keep("convolved", shape, expanded.dtype))


def padded_gradient(
    filters: int, cells: int, dtype: np.dtype[np.floating], form: RowForm, workspace: Workspace
) -> tuple[FloatArray, FloatArray]:
    """Lay out the rows that dz is written into, between rows of zeros.

    Returns the rows (pw, R + KH - 1, F, OW/pw·N), and a view of them by phase (ph, pw, OH/ph, F, OW/pw·N) to be filled.
    """
    (ph, pw), rows = form.phases, form.geometry.rows
    margin = rows.window - 1
    padded = workspace.scratch("padded_gradient", (pw, form.input_rows + margin, filters, cells), dtype)
    if rows.stride == 1:
        padded[:, :margin] = 0
        padded[:, form.input_rows :] = 0
    else:
        padded[...] = 0
    step = padded.strides[1] * rows.stride
    strides = (step, padded.strides[0], step * ph, *padded.strides[2:])
    shape = (ph, pw, form.outputs[0], filters, cells)
    return padded, np.ndarray(shape, dtype, padded, margin * padded.strides[1], strides)


def weight_gradient(dz: FloatArray, expanded: FloatArray, form: RowForm, out: FloatArray, workspace: Workspace) -> None:
    """Sum dz @ windowᵀ over all output rows into ``out`` (F, C, KH, KW)."""
    windows = _windows(expanded, form)
    filters, depth = dz.shape[-2], windows.shape[-2]
    products = workspace.scratch("products", (*dz.shape[:3], filters, depth), dz.dtype)
    np.matmul(dz, windows.swapaxes(-1, -2), out=products)
    total = products.reshape(-1, filters * depth).sum(axis=0)
    _, channels, height, width = out.shape
    out[...] = total.reshape(filters, height, width, channels).transpose(0, 3, 1, 2)


def input_gradient(
    padded: FloatArray, weights: FloatArray, form: RowForm, shape: tuple[int, ...], workspace: Workspace
) -> FloatArray:
    """Send dz back through the weights: padded rows of dz -> dx of memory ``shape`` (H, C, W, N)."""
    filters, channels, kernel_height, kernel_width = weights.shape
    height, _, _, batch = shape
    rows, columns = form.geometry.rows, form.geometry.columns
    pw, width = form.phases[1], form.outputs[1]
    flipped = weights[:, :, ::-1].transpose(3, 1, 2, 0).reshape(kernel_width * channels, -1)  # (KW·C, KH·F)
    last = min(rows.before + height, form.input_rows)
    step = padded.strides[1]
    windows = np.ndarray(
        (pw, last - rows.before, kernel_height * filters, padded.shape[-1]),
        padded.dtype,
        padded,
        rows.before * step,
        (padded.strides[0], step, *padded.strides[2:]),
    )
    parts = workspace.scratch("parts", (*windows.shape[:2], flipped.shape[0], windows.shape[-1]), padded.dtype)
    np.matmul(flipped, windows, out=parts)
    parts = parts.reshape(pw, last - rows.before, kernel_width, channels, width, batch)
    dx = workspace.keep("dinputs", shape, padded.dtype)
    dx[...] = 0
    for phase in range(pw):
        for v in range(kernel_width):
            outputs, inputs = columns.overlap(v, width, phase=phase, phases=pw)
            dx[: last - rows.before, :, inputs] += parts[phase, :, v, :, outputs]
    return dx


def _windows(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (ph, pw, OH/ph, KH·KW·C, OW/pw·N)."""
    (ph, pw), rows = form.phases, form.geometry.rows
    phase, row, line, item = expanded.strides
    shape = (ph, pw, form.outputs[0], rows.window * expanded.shape[2], expanded.shape[3])
    return np.ndarray(shape, expanded.dtype, expanded, 0, (row * rows.stride, phase, row * rows.stride * ph, line, item))
