"""A convolution, the maximum pooling of its outputs, and a rectifier, tile by tile.

The plain algorithm is that of ``kernels.convolution``, ``kernels.pooling`` and ``kernels.elementwise`` one after
another, for pooling windows that lie side by side (1 x 1 is no pooling):

    y = f(max over the window of (w ∗ x) + b)        f(z) = max(z, alpha·z), or none

Four thoughts make it quick. The convolution emits its outputs sorted by their place in the pooling window, so that the
pooling is a tournament of contiguous arrays, and what it drops is never computed. Adding b and applying f, which never
decreases, commute with the maximum exactly, so both are done on what pooling leaves, a quarter of the numbers. All of
it is done for a few output rows at a time (a *tile*), which are pooled, or whose gradient is multiplied, while they are
still in the cache. And every array, and every view of it, is made once for each size of batch: a step of training has
some hundred NumPy calls of a few microseconds, among which each line of Python counts.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike

from handconv.kernels.convolution import InputGradient, RowForm, as_matrix, as_weights, expand, tiles, windows_of
from handconv.kernels.elementwise import leaky_relu, leaky_relu_gradient
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.pooling import BoolArray, route, tournament
from handconv.kernels.products import banded_matmul, summed_outer_product


@dataclass(frozen=True)
class _Tile:
    """Some output rows, and what belongs to them of every array."""

    rows: slice
    windows: FloatArray  # (pw, ph, rows, KH·KW·C, cells)
    z: FloatArray  # (pw, ph, rows, F, cells); in the backward pass dz
    y: FloatArray  # (rows, F, cells)
    spare: FloatArray  # as y
    by_column: BoolArray  # (pw - 1, ph, rows, F, cells)
    by_row: BoolArray  # (ph - 1, rows, F, cells)
    positive: BoolArray  # as y


class FusedConvolution:
    """The arrays for one size of batch, and the two passes over them.

    Args:
        form: the sizes; ``form.phases`` is the pooling window.
        weights_shape: (F, C, KH, KW).
        batch: N.
        dtype: of everything.
        alpha: the slope of the rectifier; None for none.
        workspace: where scratch arrays come from.
    """

    def __init__(
        self,
        form: RowForm,
        weights_shape: tuple[int, ...],
        batch: int,
        dtype: DTypeLike,
        alpha: float | None,
        workspace: Workspace,
    ) -> None:
        pw, (height, width) = form.phases[1], form.outputs
        filters, channels, _, kernel_width = weights_shape
        self._form, self._weights_shape, self._batch = form, weights_shape, batch
        self._alpha, self._workspace = alpha, workspace
        lines = pw, form.input_rows, kernel_width, channels
        self._expanded = workspace.keep("expanded", (*lines, width, batch), dtype)
        self._y = workspace.keep("output", (height, filters, width * batch), dtype)
        self._ones = np.ones(width * batch, dtype)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copy of a network has computed nothing: the views would not survive it."""
        return type(None), ()

    @cached_property
    def _tiles(self) -> list[_Tile]:
        """Cut all arrays into tiles; z and spare are scratch memory, which all tiles and layers share."""
        (ph, pw), (height, filters, cells), dtype = self._form.phases, self._y.shape, self._y.dtype
        windows, line, cut = windows_of(self._expanded, self._form), filters * cells, []
        rows_of_tiles = list(tiles(height, ph * pw * line * dtype.itemsize))
        most = max(rows.stop - rows.start for rows in rows_of_tiles) * line
        z = self._workspace.scratch("tile", (ph * pw * most,), dtype)
        spare = self._workspace.scratch("spare", (most,), dtype)
        by_column = self._workspace.keep("beaten by column", (pw - 1, ph, *self._y.shape), np.bool_)
        by_row = self._workspace.keep("beaten by row", (ph - 1, *self._y.shape), np.bool_)
        positive = self._workspace.keep("positive", self._y.shape, np.bool_)
        for rows in rows_of_tiles:
            y = self._y[rows]
            cut.append(
                _Tile(
                    rows,
                    windows[:, :, rows],
                    z[: ph * pw * y.size].reshape(pw, ph, *y.shape) if ph * pw > 1 else y[None, None],
                    y,
                    spare[: y.size].reshape(y.shape),
                    by_column[:, :, rows],
                    by_row[:, rows],
                    positive[rows],
                )
            )
        return cut

    @cached_property
    def _input_gradient(self) -> InputGradient:
        return InputGradient(self._form, self._weights_shape, self._batch, self._y.dtype)

    def forward(self, x: FloatArray, weights: FloatArray, biases: FloatArray | None, *, remember: bool) -> FloatArray:
        """Convolve (H, C, W, N), keep the best of each window, add the biases, rectify: -> (OH/ph, F, OW/pw·N)."""
        expand(x, self._form, self._expanded, self._workspace)
        (ph, pw), matrix = self._form.phases, as_matrix(weights)
        for tile in self._tiles:
            z, y = tile.z, tile.y
            banded_matmul(matrix, tile.windows, z)
            if ph * pw > 1:
                tournament(z, z[0], tile.by_column if remember else None)
                tournament(z[0], y, tile.by_row if remember else None)
            if biases is not None:
                tile.spare[...] = biases[:, None]  # NumPy adds a copy of what it would broadcast in half the time
                np.add(y, tile.spare, out=y)
            if self._alpha is not None:
                leaky_relu(y, self._alpha, y, tile.spare)
                if remember:
                    np.greater(y, 0, out=tile.positive)
        return self._y

    def backward(self, dy: FloatArray, dweights: FloatArray, dbiases: FloatArray | None, *, dinputs_too: bool) -> None:
        """Route dy (OH/ph, F, OW/pw·N) to the outputs that won, and write the gradients of weights and biases.

        ``input_gradient`` may follow if ``dinputs_too``.
        """
        ph, pw = self._form.phases
        dmatrix = np.zeros((self._weights_shape[0], math.prod(self._weights_shape[1:])), self._y.dtype)
        if dbiases is not None:
            dbiases[...] = 0
        for tile in self._tiles:
            best = dy[tile.rows]
            if self._alpha is not None:
                best = leaky_relu_gradient(best, tile.positive, self._alpha, tile.spare)
            if dbiases is not None:
                dbiases += np.add.reduce(np.matmul(best, self._ones), axis=0)
            dz = best[None, None]
            if ph * pw > 1:
                dz = tile.z
                route(best, tile.by_row, dz[0], add=False, workspace=self._workspace)
                route(dz[0], tile.by_column, dz, add=False, workspace=self._workspace)
            dmatrix += summed_outer_product(dz, tile.windows)
            if dinputs_too:
                for column, phases in enumerate(self._input_gradient.places):
                    for phase, place in enumerate(phases):
                        here = place[tile.rows]
                        here[...] = dz[column, phase].reshape(here.shape)
        as_weights(dmatrix, dweights)

    def input_gradient(self, weights: FloatArray, dx: FloatArray) -> None:
        """Write the gradient by the inputs, of the last ``backward``, to dx (H, C, W, N)."""
        self._input_gradient.compute(weights, dx)
