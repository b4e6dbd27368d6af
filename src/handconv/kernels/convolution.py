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


def padded_rows(dz: FloatArray, form: RowForm, workspace: Workspace) -> FloatArray:
    """Put the rows of dz between rows of zeros: (ph, pw, OH/ph, F, OW/pw·N) -> (pw, R + KH - 1, F, OW/pw·N)."""
    (ph, pw), rows = form.phases, form.geometry.rows
    margin, stride = rows.window - 1, rows.stride
    padded = workspace.scratch("padded rows", (pw, form.input_rows + margin, *dz.shape[3:]), dz.dtype)
    if stride == 1:
        padded[:, :margin] = 0
        padded[:, form.input_rows :] = 0
    else:
        padded[...] = 0
    for phase in range(ph):
        padded[:, margin + phase * stride : form.input_rows : ph * stride] = dz[phase]
    return padded


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
    dz: FloatArray, weights: FloatArray, form: RowForm, shape: tuple[int, ...], workspace: Workspace
) -> FloatArray:
    """Send dz (ph, pw, OH/ph, F, OW/pw·N) back through the weights: -> dx of memory ``shape`` (H, C, W, N)."""
    filters, channels, kernel_height, kernel_width = weights.shape
    padded = padded_rows(dz, form, workspace)
    rows, (pw, cells) = form.geometry.rows, (form.phases[1], dz.shape[-1])
    height = min(rows.before + shape[0], form.input_rows) - rows.before
    phase, row, line, item = padded.strides
    windows = np.ndarray(
        (pw, height, kernel_height * filters, cells), padded.dtype, padded, rows.before * row, (phase, row, line, item)
    )
    flipped = weights[:, :, ::-1].transpose(3, 1, 2, 0).reshape(kernel_width * channels, -1)  # (KW·C, KH·F)
    batch = shape[-1]
    slots = _slots(form)
    parts = workspace.scratch("parts", (pw, height, kernel_width * channels, slots * batch), padded.dtype)
    parts[..., cells:] = 0
    np.matmul(flipped, windows, out=parts[..., :cells])
    return _gathered(parts.reshape(pw, height, kernel_width, channels * slots, batch), form, shape, workspace)


def _slots(form: RowForm) -> int:
    """Columns that a line of parts needs so that, shifted to its place, it runs into zeros only."""
    columns = form.geometry.columns
    return (columns.padded - 1) // (form.phases[1] * columns.stride) + 1


def _gathered(parts: FloatArray, form: RowForm, shape: tuple[int, ...], workspace: Workspace) -> FloatArray:
    """Add up what each phase and kernel column sends to each input column: -> dx (H, C, W, N).

    The padded input column i = o·step + r, with step = pw·s, hears from those parts whose first column has the
    remainder r: part (phase, v) starts at column phase·s + v. Each line of a part is followed by as many zeros as the
    shift may take, so that all lines of a row are shifted and added as one long run, and only the sum is put in its
    place: NumPy needs two to three times as long for an addition whose operands are not contiguous, and for a copy it
        does not.
    """
    pw, height, kernel_width, _, batch = parts.shape
    columns = form.geometry.columns
    step, slots = pw * columns.stride, _slots(form)
    dx = workspace.keep("dinputs", shape, parts.dtype)
    dx[height:] = 0
    for remainder in range(min(step, columns.padded)):
        run = workspace.scratch("run", (height, shape[1] * slots, batch), parts.dtype)
        starts = [
            (divmod(phase * columns.stride + v, step), parts[phase, :, v])
            for phase in range(pw)
            for v in range(kernel_width)
        ]
        here = [(start, part) for (start, rest), part in starts if rest == remainder]
        if not here:
            run[...] = 0
        for count, (start, part) in enumerate(here):
            moved = part[:, : part.shape[1] - start]
            if count:
                run[:, start:] += moved
            else:
                run[:, :start] = 0
                run[:, start:] = moved
        first = -((remainder - columns.before) // step)  # of the slots that lie on the input, not in its padding
        place = first * step + remainder - columns.before
        target = dx[:height, :, place::step]
        target[...] = run.reshape(height, shape[1], slots, batch)[:, :, first : first + target.shape[2]]
    return dx


def _windows(expanded: FloatArray, form: RowForm) -> FloatArray:
    """See the rows under each window as one matrix: a view (ph, pw, OH/ph, KH·KW·C, OW/pw·N)."""
    (ph, pw), rows = form.phases, form.geometry.rows
    phase, row, line, item = expanded.strides
    shape = (ph, pw, form.outputs[0], rows.window * expanded.shape[2], expanded.shape[3])
    return np.ndarray(
        shape, expanded.dtype, expanded, 0, (row * rows.stride, phase, row * rows.stride * ph, line, item)
    )
