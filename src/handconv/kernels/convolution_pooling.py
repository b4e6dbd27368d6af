"""A convolution and the maximum pooling of its outputs, tile by tile.

The plain algorithm is that of ``kernels.convolution`` followed by that of ``kernels.pooling``, for windows that lie side by
side. Here the convolution emits its outputs sorted by their place in the pooling window, so that the pooling is a tournament
of contiguous arrays, and what it drops is never computed. And both are done for a few output rows at a time (a *tile*): the
outputs of a convolution are several times larger than what pooling leaves of them, and a tile is pooled, or its gradient
multiplied, while it is still in the cache.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.convolution import (
    RowForm,
    as_weights,
    convolve,
    place_rows,
    weight_gradient,
    windows_of,
    zero_rows,
)
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.pooling import BoolArray, maximum, route, tournament

_TILE = 450_000  # bytes of convolution outputs in a tile


def _tiles(form: RowForm, filters: int, cells: int, dtype: np.dtype[Any]) -> Iterator[slice]:
    """Cut the output rows into tiles."""
    row = form.phases[0] * form.phases[1] * filters * cells * dtype.itemsize
    size = max(1, _TILE // row)
    for start in range(0, form.outputs[0], size):
        yield slice(start, min(start + size, form.outputs[0]))


def convolve_and_pool(
    expanded: FloatArray, weights: FloatArray, form: RowForm, workspace: Workspace, *, remember: bool
) -> tuple[FloatArray, BoolArray | None]:
    """Convolve expanded rows and keep the greatest output of each window: -> (OH/ph, F, OW/pw·N).

    Returns also where each candidate but the first beat all before it, if that is to be remembered.
    """
    windows = windows_of(expanded, form)
    (ph, pw), filters, cells = form.phases, weights.shape[0], expanded.shape[-1]
    y = workspace.keep("output", (form.outputs[0], filters, cells), expanded.dtype)
    beaten: NDArray[np.bool_] | None = None
    if remember:
        beaten = workspace.keep("beaten", (ph * pw - 1, *y.shape), np.bool_)
    for rows in _tiles(form, filters, cells, expanded.dtype):
        z = workspace.scratch("tile", (ph, pw, rows.stop - rows.start, filters, cells), expanded.dtype)
        convolve(windows[:, :, rows], weights, z)
        candidates = [candidate for row in z for candidate in row]
        if beaten is None:
            maximum(candidates, y[rows])
        else:
            tournament(candidates, y[rows], beaten[:, rows])
    return y, beaten


def gradients(
    dy: FloatArray,
    beaten: BoolArray,
    expanded: FloatArray,
    form: RowForm,
    out: FloatArray,
    workspace: Workspace,
    *,
    rows_too: bool,
) -> FloatArray | None:
    """Route dy (OH/ph, F, OW/pw·N) to the outputs that won, and write the gradient of the weights to ``out``.

    Returns the routed gradient as padded rows, which ``input_gradient`` wants, if they are asked for.
    """
    windows = windows_of(expanded, form)
    (ph, pw), (_, filters, cells) = form.phases, dy.shape
    padded = zero_rows(form, filters, cells, dy.dtype, workspace) if rows_too else None
    total = workspace.scratch("total", (filters, windows.shape[-2]), dy.dtype)
    total[...] = 0
    for rows in _tiles(form, filters, cells, dy.dtype):
        dz = workspace.scratch("tile", (ph, pw, rows.stop - rows.start, filters, cells), dy.dtype)
        route(dy[rows], beaten[:, rows], [target for row in dz for target in row], add=False, workspace=workspace)
        total += weight_gradient(dz, windows[:, :, rows], workspace)
        if padded is not None:
            place_rows(dz, rows.start, form, padded)
    as_weights(total, out)
    return padded
