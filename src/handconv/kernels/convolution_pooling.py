"""A convolution, a rectifier and the maximum pooling of the outputs, tile by tile.

The plain algorithm is that of ``kernels.convolution``, ``kernels.elementwise`` and ``kernels.pooling`` one after
another, for pooling windows that lie side by side:

    y = max over the window of f(w ∗ x + b)        f(z) = max(z, alpha·z), or none

Three thoughts make it quick. The convolution emits its outputs sorted by their place in the pooling window, so that the
pooling is a tournament of contiguous arrays, and what it drops is never computed. Adding b and applying f, which never
decreases, commute with the maximum exactly, so both are done on what pooling leaves, a quarter of the numbers. And all
of it is done for a few output rows at a time (a *tile*), which are pooled, or whose gradient is multiplied, while they
are still in the cache.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.convolution import (
    RowForm,
    as_matrix,
    as_weights,
    place_rows,
    tiles,
    weight_gradient,
    windows_of,
    zero_rows,
)
from handconv.kernels.elementwise import leaky_relu, leaky_relu_gradient
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.pooling import Beaten, route, tournament


def forward(
    expanded: FloatArray,
    weights: FloatArray,
    biases: FloatArray | None,
    alpha: float | None,
    form: RowForm,
    workspace: Workspace,
    *,
    remember: bool,
) -> tuple[FloatArray, Beaten | None]:
    """Convolve expanded rows, keep the best output of each window, add the biases and rectify: -> (OH/ph, F, cells).

    Returns also what the tournaments remember, if that is wanted.
    """
    windows, matrix = windows_of(expanded, form), as_matrix(weights)
    (ph, pw), filters, cells, dtype = form.phases, weights.shape[0], expanded.shape[-1], expanded.dtype
    y = workspace.keep("output", (form.outputs[0], filters, cells), dtype)
    beaten: Beaten | None = None
    if remember:
        by_column = workspace.keep("beaten by column", (pw - 1, ph, *y.shape), np.bool_)
        by_row = workspace.keep("beaten by row", (ph - 1, *y.shape), np.bool_)
        beaten = by_column, by_row
    for rows in _tiles(form, filters, cells, dtype):
        z = workspace.scratch("tile", (pw, ph, rows.stop - rows.start, filters, cells), dtype)
        np.matmul(matrix, windows[:, :, rows], out=z)
        best = y[rows]
        tournament(z, z[0], beaten and beaten[0][:, :, rows])
        tournament(z[0], best, beaten and beaten[1][:, rows])
        if biases is not None:
            z[0, 0] = biases[:, None]  # NumPy adds a copy of what it would broadcast in half the time
            best += z[0, 0]
        if alpha is not None:
            leaky_relu(best, alpha, best, workspace)
    return y, beaten


def backward(
    dy: FloatArray,
    y: FloatArray,
    beaten: Beaten,
    expanded: FloatArray,
    alpha: float | None,
    form: RowForm,
    dweights: FloatArray,
    dbiases: FloatArray | None,
    workspace: Workspace,
    *,
    rows_too: bool,
) -> FloatArray | None:
    """Route dy (OH/ph, F, cells) to the outputs that won, and write the gradients of weights and biases.

    Returns the routed gradient as placed rows, which ``input_gradient`` wants, if they are asked for.
    """
    windows = windows_of(expanded, form)
    (ph, pw), (_, filters, cells), dtype = form.phases, dy.shape, dy.dtype
    placed = zero_rows(form, filters, cells // form.outputs[1], dtype, workspace) if rows_too else None
    ones = np.ones(cells, dtype)
    by_column, by_row = beaten
    dmatrix = np.zeros((filters, windows.shape[-2]), dtype)
    if dbiases is not None:
        dbiases[...] = 0
    for rows in _tiles(form, filters, cells, dtype):
        dz = workspace.scratch("tile", (pw, ph, rows.stop - rows.start, filters, cells), dtype)
        best = dy[rows]
        if alpha is not None:
            best = workspace.scratch("rectified", best.shape, dtype)
            leaky_relu_gradient(dy[rows], y[rows], alpha, best, workspace)
        if dbiases is not None:
            dbiases += np.add.reduce(np.matmul(best, ones), axis=0)
        route(best, by_row[:, rows], dz[0], add=False, workspace=workspace)
        route(dz[0], by_column[:, :, rows], dz, add=False, workspace=workspace)
        dmatrix += weight_gradient(dz, windows[:, :, rows], workspace)
        if placed is not None:
            place_rows(dz, rows.start, form, placed)
    as_weights(dmatrix, dweights)
    return placed


def _tiles(form: RowForm, filters: int, cells: int, dtype: np.dtype[Any]) -> Iterator[slice]:
    """Cut the output rows into tiles of about the same size."""
    ph, pw = form.phases
    return tiles(form.outputs[0], ph * pw * filters * cells * dtype.itemsize)
