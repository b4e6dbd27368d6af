"""A convolution, the maximum pooling of its outputs, and a rectifier, tile by tile.

The plain algorithm is that of ``kernels.conv_lowering``, ``kernels.pooling`` and ``kernels.elementwise`` one after
another, for pooling windows that lie side by side (1 x 1 is no pooling):

    y = f(max over the window of (w ∗ x) + b)        f(z) = max(z, alpha·z), or none

Four ideas make it quick. The convolution writes its outputs sorted by their column in the pooling window, so that the
pooling is a running maximum of long runs, and what it drops is never computed. Adding b and applying f, which never
decreases, commute with the maximum exactly, so both are done on what pooling leaves, a quarter of the numbers. All of
it is done for a few output rows at a time (a *tile*), which are pooled, or whose gradient is multiplied, while they are
still in the cache. And every array, and every view of it, is made once for each size of batch.
"""

import math
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from handconv.arrays import FloatArray
from handconv.engine.arena import Workspace
from handconv.engine.kernels.conv_lowering import (
    InputGradient,
    RowForm,
    as_matrix,
    as_weights,
    expand,
    tiles,
    windows_of,
)
from handconv.engine.kernels.elementwise import leaky_relu, leaky_relu_gradient
from handconv.engine.kernels.gemm import blocked_matmul, summed_outer_product
from handconv.engine.kernels.pooling import BoolArray, max_unpool, running_maximum


class _Tile(NamedTuple):
    """Some rows of y, and what belongs to them of every array."""

    rows: slice
    y: FloatArray  # (rows, F, cells)
    windows: FloatArray  # (pw, ph·rows, KH·KW·C, cells)
    z: "_Cells"
    by_column: list[BoolArray]  # for each column but the first: (ph·rows, F, cells)
    by_row: list[BoolArray]  # for each row but the first: as y
    positive: BoolArray  # as y
    spare: FloatArray  # as y, in the memory of z where that is pooled away by then


class _Cells(NamedTuple):
    """Some outputs of the convolution, z or dz, by their offset in the pooling window."""

    all: FloatArray  # (pw, ph·rows, F, cells)
    of_columns: list[FloatArray]  # pw views (ph·rows, F, cells)
    of_rows: list[FloatArray]  # ph views (rows, F, cells) of the first of these, where the maxima along columns are

    @classmethod
    def of(cls, z: FloatArray, ph: int) -> Self:
        """Lay out the views."""
        return cls(z, list(z), [z[0, k::ph] for k in range(ph)])


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
        self._expanded = workspace.array("expanded", (*lines, width, batch), dtype)
        self._y = workspace.array("output", (height, filters, width * batch), dtype)
        self._output = self._y.reshape(height, filters, width, batch)
        self._ones = workspace.constant(np.ones(width * batch, dtype))

    def forward(
        self, x: FloatArray, weights: FloatArray, biases: FloatArray | None, *, save_for_backward: bool
    ) -> FloatArray:
        """Convolve (H, C, W, N), take the maximum of each window, add the biases, rectify: -> (OH/ph, F, OW/pw, N)."""
        expand(x, self._form, self._expanded, self._workspace)
        matrix = as_matrix(weights, self._workspace)
        for tile in self._tiles:
            y, z = tile.y, tile.z
            blocked_matmul(matrix, tile.windows, z.all)
            if self._is_pooled:
                running_maximum(z.of_columns, z.of_columns[0], tile.by_column if save_for_backward else None)
                running_maximum(z.of_rows, y, tile.by_row if save_for_backward else None)
            if biases is not None:
                np.add(y, biases[:, None], out=y)
            if self._alpha is not None:
                leaky_relu(y, self._alpha, y, tile.spare)
                if save_for_backward:
                    np.greater(y, 0, out=tile.positive)
        return self._output

    def backward(
        self, dy: FloatArray, dweights: FloatArray, dbiases: FloatArray | None, *, needs_input_grad: bool
    ) -> None:
        """Route dy (OH/ph, F, OW/pw, N) to the maxima of the windows, and write the gradients of weights and biases.

        ``input_gradient`` may follow if ``needs_input_grad``.
        """
        dy, ph = dy.reshape(self._y.shape), self._form.phases[0]
        is_dz = not self._is_pooled and self._alpha is None  # dy as it comes: nothing is copied
        if is_dz or needs_input_grad:
            self._dz = dy[None] if is_dz else self._own_dz
            cut = [_Cells.of(self._dz[:, ph * rows.start : ph * rows.stop], ph) for rows in self._cut]
        else:
            cut = self._passing
        of_weights = []
        of_biases = self._workspace.scratch("dbiases by row", self._y.shape[:2], self._y.dtype)  # (OH/ph, F)
        for tile, dz in zip(self._tiles, cut, strict=True):
            dscores = dz.of_rows[0] if is_dz else dy[tile.rows]
            if self._alpha is not None:
                dscores = leaky_relu_gradient(dscores, tile.positive, self._alpha, dz.of_rows[0])
            if dbiases is not None:
                np.matmul(dscores, self._ones, out=of_biases[tile.rows])  # (rows, F)
            max_unpool(dscores, tile.by_row, dz.of_rows)
            max_unpool(dz.of_columns[0], tile.by_column, dz.of_columns)
            of_weights.append(summed_outer_product(dz.all, tile.windows, self._workspace))
        as_weights(sum(of_weights[1:], of_weights[0]), dweights)
        if dbiases is not None:
            np.add.reduce(of_biases, axis=0, out=dbiases)

    def input_gradient(self, weights: FloatArray) -> FloatArray:
        """Compute the gradient with respect to the inputs, of the last ``backward``: (H, C, W, N)."""
        rows, columns = self._form.geometry.rows, self._form.geometry.columns
        shape = rows.size, self._weights_shape[1], columns.size, self._batch
        dx = self._workspace.array("dinputs", shape, self._y.dtype)
        InputGradient(self._form, self._weights_shape, self._dz, self._batch, self._workspace).compute(weights, dx)
        return dx

    @cached_property
    def _own_dz(self) -> FloatArray:
        """Memory for all of dz (pw, OH, F, cells), where that is not dy itself."""
        (_, pw), (_, filters, cells) = self._form.phases, self._y.shape
        return self._workspace.array("dz", (pw, self._form.rows, filters, cells), self._y.dtype)

    @cached_property
    def _cut(self) -> list[slice]:
        """The rows of y in each tile."""
        (ph, pw), (height, filters, cells) = self._form.phases, self._y.shape
        return list(tiles(height, ph * pw * filters * cells * self._y.itemsize))

    @cached_property
    def _passing(self) -> list[_Cells]:
        """Memory for each tile's z or dz that is used up at once: all tiles, and all ops, share it."""
        (ph, pw), (_, filters, cells) = self._form.phases, self._y.shape
        shapes = [(pw, ph * (rows.stop - rows.start), filters, cells) for rows in self._cut]
        memory = self._workspace.scratch("tile", (max(map(math.prod, shapes)),), self._y.dtype)
        return [_Cells.of(memory[: math.prod(shape)].reshape(shape), ph) for shape in shapes]

    @cached_property
    def _tiles(self) -> list[_Tile]:
        """Cut all arrays into tiles."""
        (ph, pw), (height, filters, cells) = self._form.phases, self._y.shape
        keep = self._workspace.array
        by_column = keep("argmax_masks by column", (pw - 1, ph * height, filters, cells), np.bool_)
        by_row = keep("argmax_masks by row", (ph - 1, height, filters, cells), np.bool_)
        positive = keep("positive", self._y.shape, np.bool_)
        windows = windows_of(self._expanded, self._form)
        made = []
        for rows, passing in zip(self._cut, self._passing, strict=True):
            y, rows_of_z = self._y[rows], slice(ph * rows.start, ph * rows.stop)
            made.append(
                _Tile(
                    rows=rows,
                    y=y,
                    windows=windows[:, rows_of_z],
                    z=passing if self._is_pooled else _Cells.of(y[None], ph),
                    by_column=list(by_column[:, rows_of_z]),
                    by_row=list(by_row[:, rows]),
                    positive=positive[rows],
                    spare=passing.all.reshape(-1)[: y.size].reshape(y.shape),
                )
            )
        return made
