"""The fully connected layer, by products in the form that OpenBLAS is quick at."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.kernels.gemm import blocked_matmul
from handconv.engine.layout import public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import Dense


class DenseOp(Op):
    """Dense: y = x w + b."""

    def __init__(self, layer: Dense, context: Context) -> None:
        super().__init__([layer], context)
        self._layer = layer
        self._inputs: FloatArray | None = None

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, D) -> (N, units)."""
        self._inputs = x if training else None
        weights = self.parameter(self._layer, "weights")
        y = self.scope.array("outputs", (self._layer.units, x.shape[0]), self.dtype)
        blocked_matmul(weights.T, x.T, y)  # (units, D) @ (D, N)
        if self._layer.use_bias:
            y += self.parameter(self._layer, "biases")[:, None]
        return public_view(y)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, units) -> (N, D)."""
        assert self._inputs is not None
        by_sample = self.scope.scratch("dy by sample", dy.shape, self.dtype)
        by_sample[...] = dy  # BLAS multiplies rows by rows slower than rows by columns, by more than the copy costs
        blocked_matmul(self._inputs.T, by_sample, self.gradient(self._layer, "weights"))  # (D, N) @ (N, units)
        if self._layer.use_bias:
            np.add.reduce(by_sample, out=self.gradient(self._layer, "biases"))
        if not needs_input_grad:
            return None
        weights = self.parameter(self._layer, "weights")
        dx = self.scope.array("dinputs", (weights.shape[0], dy.shape[0]), self.dtype)
        return public_view(blocked_matmul(weights, dy.T, dx))  # (D, units) @ (units, N)
