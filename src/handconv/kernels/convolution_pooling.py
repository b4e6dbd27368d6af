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

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from handconv.kernels.convolution import InputGradient, RowForm, as_matrix, as_weights, expand, tiles, windows_of
from handconv.kernels.elementwise import leaky_relu, leaky_relu_gradient
from handconv.kernels.memory import FloatArray, Workspace
from handconv.kernels.pooling import BoolArray, route, tournament
from handconv.kernels.products import banded_matmul, summed_outer_product


class _Tile(NamedTuple):
    """Some rows of y, and what belongs to them of every array; in the backward pass z is dz."""

    rows: slice
    y: FloatArray  # (rows, F, cells)
    z: FloatArray  # (pw, ph, rows, F, cells)
    windows: FloatArray  # (pw, ph, rows, KH·KW·C, cells)
    dz_by_row: FloatArray  # as z, but in the memory that ``InputGradient`` reads
    spare: FloatArray  # as y
    positive: BoolArray  # as y
    of_columns: list[FloatArray]  # the candidates along the columns: pw views (ph, rows, F, cells) of z
    by_column: list[BoolArray]
    of_rows: list[FloatArray]  # and along the rows, among the best of these: ph views (rows, F, cells) of z
    by_row: list[BoolArray]


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
        (height, width), pw = form.pooled, form.phases[1]
        filters, channels, _, kernel_width = weights_shape
        self._form, self._weights_shape, self._batch = form, weights_shape, batch
        self._alpha, self._workspace, self._is_pooled = alpha, workspace, form.phases != (1, 1)
        lines = pw, form.input_rows, kernel_width, channels
        self._expanded = workspace.keep("expanded", (*lines, width, batch), dtype)
        self._y = workspace.keep("output", (height, filters, width * batch), dtype)
        self._output = self._y.reshape(height, filters, width, batch)
        self._ones = np.ones(width * batch, dtype)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copy of a network has computed nothing: the views would not survive it."""
        return type(None), ()

    def forward(self, x: FloatArray, weights: FloatArray, biases: FloatArray | None, *, remember: bool) -> FloatArray:
        """Convolve (H, C, W, N), keep the best of each window, add the biases, rectify: -> (OH/ph, F, OW/pw, N)."""
        expand(x, self._form, self._expanded, self._workspace)
        matrix = as_matrix(weights)
        for tile in self._tiles:
            y = tile.y
            banded_matmul(matrix, tile.windows, tile.z)
            if self._is_pooled:
                tournament(tile.of_columns, tile.of_columns[0], tile.by_column if remember else None)
                tournament(tile.of_rows, y, tile.by_row if remember else None)
            if biases is not None:
                np.add(y, biases[:, None], out=y)
            if self._alpha is not None:
                leaky_relu(y, self._alpha, y, tile.spare)
                if remember:
                    np.greater(y, 0, out=tile.positive)
        return self._output

    def backward(self, dy: FloatArray, dweights: FloatArray, dbiases: FloatArray | None, *, dinputs_too: bool) -> None:
        """Route dy (OH/ph, F, OW/pw, N) to the outputs that won, and write the gradients of weights and biases.

        ``input_gradient`` may follow if ``dinputs_too``.
        """
        dy = dy.reshape(self._y.shape)
        of_weights, of_biases = [], []
        for tile in self._tiles:
            best = dy[tile.rows]
            if self._alpha is not None:
                best = leaky_relu_gradient(best, tile.positive, self._alpha, tile.spare)
            if dbiases is not None:
                of_biases.append(np.matmul(best, self._ones))  # (rows, F)
            dz = best[None, None]
            if self._is_pooled:
                dz = tile.z
                route(best, tile.by_row, tile.of_rows)
                route(tile.of_columns[0], tile.by_column, tile.of_columns)
            of_weights.append(summed_outer_product(dz, tile.windows))
            if dinputs_too:
                np.copyto(tile.dz_by_row, dz)
        as_weights(sum(of_weights[1:], of_weights[0]), dweights)
        if dbiases is not None:
            np.add.reduce(np.concatenate(of_biases), axis=0, out=dbiases)

    def input_gradient(self, weights: FloatArray) -> FloatArray:
        """Compute the gradient by the inputs, of the last ``backward``: (H, C, W, N)."""
        rows, columns = self._form.geometry.rows, self._form.geometry.columns
        shape = rows.size, self._weights_shape[1], columns.size, self._batch
        dx = self._workspace.keep("dinputs", shape, self._y.dtype)
        self._input_gradient.compute(weights, dx)
        return dx

    @cached_property
    def _dz(self) -> FloatArray:
        """All of dz, its rows in their natural order: (pw, OH, F, cells)."""
        (_, pw), (_, filters, cells) = self._form.phases, self._y.shape
        return self._workspace.keep("dz", (pw, self._form.rows, filters, cells), self._y.dtype)

    @cached_property
    def _input_gradient(self) -> InputGradient:
        return InputGradient(self._form, self._weights_shape, self._dz, self._batch)

    @cached_property
    def _tiles(self) -> list[_Tile]:
        """Cut all arrays into tiles; z and spare are scratch memory, which all tiles and layers share."""
        (ph, pw), (height, filters, cells), dtype = self._form.phases, self._y.shape, self._y.dtype
        line, keep, scratch = filters * cells, self._workspace.keep, self._workspace.scratch
        rows_of_tiles = list(tiles(height, ph * pw * line * dtype.itemsize))
        most = max(rows.stop - rows.start for rows in rows_of_tiles)
        z, spare = scratch("tile", (pw * ph * most * line,), dtype), scratch("spare", (most, filters, cells), dtype)
        by_column = keep("beaten by column", ((pw - 1) * ph * height * line,), np.bool_)
        by_row = keep("beaten by row", ((ph - 1) * height * line,), np.bool_)
        positive = keep("positive", self._y.shape, np.bool_)
        windows = windows_of(self._expanded, self._form)
        dz_by_row = self._dz.reshape(pw, height, ph, filters, cells).swapaxes(1, 2)

        def make(rows: slice) -> _Tile:
            y = self._y[rows]
            here = z[: ph * pw * y.size].reshape(pw, ph, *y.shape) if self._is_pooled else y[None, None]
            by_column_here = _piece(by_column, rows, (pw - 1) * ph * line).reshape(pw - 1, ph, *y.shape)
            by_row_here = _piece(by_row, rows, (ph - 1) * line).reshape(ph - 1, *y.shape)
            return _Tile(
                rows=rows,
                y=y,
                z=here,
                windows=windows[:, :, rows],
                dz_by_row=dz_by_row[:, :, rows],
                spare=spare[: len(y)],
                positive=positive[rows],
                of_columns=list(here),
                by_column=list(by_column_here),
                of_rows=list(here[0]),
                by_row=list(by_row_here),
            )

        return [make(rows) for rows in rows_of_tiles]


def _piece(memory: BoolArray, rows: slice, size: int) -> BoolArray:
    """The piece of a vector that belongs to some rows of ``size`` each."""
    return memory[rows.start * size : rows.stop * size]
