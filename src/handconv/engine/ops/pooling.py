"""Pooling of any window: the maximum, the mean, and the mean of a whole channel.

A maximum over windows that lie side by side, right after a convolution, is part of that op (``ops/conv_block.py``).
"""

from handconv.arrays import FloatArray
from handconv.engine.kernels import pooling as kernel
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import AveragePool2D, GlobalAveragePool2D, MaxPool2D


class MaxPoolOp(Op):
    """MaxPool2D."""

    def __init__(self, layer: MaxPool2D, context: Context) -> None:
        super().__init__([layer], context)
        self._geometry = layer.geometry
        self._argmax_masks: kernel.ArgmaxMasks | None = None

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, C, H, W) -> (N, C, OH, OW)."""
        y, self._argmax_masks = kernel.max_pool(memory_view(x), self._geometry, self.scope, save_for_backward=training)
        return public_view(y)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, C, OH, OW) -> (N, C, H, W)."""
        assert self._argmax_masks is not None
        return public_view(kernel.max_pool_gradient(memory_view(dy), self._argmax_masks, self._geometry, self.scope))


class AveragePoolOp(Op):
    """AveragePool2D."""

    def __init__(self, layer: AveragePool2D, context: Context) -> None:
        super().__init__([layer], context)
        self._geometry = layer.geometry

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, C, H, W) -> (N, C, OH, OW)."""
        return public_view(kernel.average_pool(memory_view(x), self._geometry, self.scope))

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, C, OH, OW) -> (N, C, H, W)."""
        return public_view(kernel.average_pool_gradient(memory_view(dy), self._geometry, self.scope))


class GlobalAveragePoolOp(Op):
    """GlobalAveragePool2D."""

    def __init__(self, layer: GlobalAveragePool2D, context: Context) -> None:
        super().__init__([layer], context)
        _, self._height, self._width = layer.input_shape or ()

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, C, H, W) -> (N, C)."""
        memory = memory_view(x)  # (H, C, W, N)
        y = self.scope.array("outputs", (memory.shape[1], memory.shape[3]), self.dtype)
        return public_view(kernel.global_average(memory, y, self.scope))

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, C) -> (N, C, H, W)."""
        share = memory_view(dy) / self.dtype.type(self._height * self._width)  # (C, N)
        dx = self.scope.array("dinputs", (self._height, share.shape[0], self._width, share.shape[1]), self.dtype)
        dx[...] = share[:, None]
        return public_view(dx)
