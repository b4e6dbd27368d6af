"""Batch normalisation with the batch innermost: every sum runs along long rows of memory."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import BatchNorm


class BatchNormOp(Op):
    """BatchNorm of vectors and of images, seen as (H, C, W·N), with H = 1 for vectors."""

    def __init__(self, layer: BatchNorm, context: Context) -> None:
        super().__init__([layer], context)
        self._layer = layer

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """y = gamma · (x - mean) / sqrt(variance + epsilon) + beta."""
        layer, rows = self._layer, self._rows(x)  # (H, C, W·N)
        y = self.scope.public_array("outputs", x.shape, self.dtype)
        gamma, beta = self.parameter(layer, "gamma"), self.parameter(layer, "beta")
        if not training:
            scale, shift = folded(layer, gamma, beta, *self._running())
            np.multiply(rows, scale[:, None], out=self._rows(y))
            self._rows(y)[...] += shift[:, None]
            return y
        count = self._count = rows.size // rows.shape[1]
        mean = self._sum(rows)
        mean *= self.dtype.type(1 / count)
        self._centered = self.scope.array("centered", rows.shape, self.dtype)
        np.subtract(rows, mean[:, None], out=self._centered)
        variance = np.add.reduce(np.vecdot(self._centered, self._centered), axis=0)
        variance *= self.dtype.type(1 / count)
        self._update(mean, variance, count)
        self._inverse = 1 / np.sqrt(variance + self.dtype.type(layer.epsilon))
        self._scale = gamma * self._inverse
        np.multiply(self._centered, self._scale[:, None], out=self._rows(y))
        self._rows(y)[...] += beta[:, None]
        return y

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """dx = scale · (dy - dbeta / n - centered · (sum of dy · centered) / (n · sigma²))."""
        rows, n = self._rows(dy), self.dtype.type(1 / self._count)
        dbeta = self.gradient(self._layer, "beta")
        dbeta[...] = self._sum(rows)
        along = np.add.reduce(np.vecdot(rows, self._centered), axis=0)  # (C,)
        np.multiply(along, self._inverse, out=self.gradient(self._layer, "gamma"))
        dx = self._centered  # not needed after this, and still in the cache
        dx *= (along * self._inverse * self._inverse * -n)[:, None]
        dx += rows
        dx -= (dbeta * n)[:, None]
        dx *= self._scale[:, None]
        return public_view(dx.reshape(memory_view(dy).shape))

    def _sum(self, rows: FloatArray) -> FloatArray:
        """Sum over all but the channels, (H, C, W·N) -> (C,): a product with ones is twice as quick as a sum."""
        ones = self.scope.cached(rows.shape[2], lambda: self.scope.constant(np.ones(rows.shape[2], self.dtype)))
        total: FloatArray = np.add.reduce(np.vecdot(rows, ones), axis=0)
        return total

    def _rows(self, x: FloatArray) -> FloatArray:
        """(N, C, H, W) as (H, C, W·N), (N, D) as (1, D, N)."""
        memory = memory_view(x)
        return memory[None] if memory.ndim == 2 else memory.reshape(*memory.shape[:2], -1)

    def _running(self) -> tuple[FloatArray, FloatArray]:
        return self.parameter(self._layer, "running_mean"), self.parameter(self._layer, "running_var")

    def _update(self, mean: FloatArray, variance: FloatArray, count: int) -> None:
        """Move the running statistics towards those of this shard."""
        new = self.dtype.type(1 - self._layer.momentum)
        unbiased = self.dtype.type(count / (count - 1)) if count > 1 else self.dtype.type(1)
        for running, now in zip(self._running(), (mean, variance * unbiased), strict=True):
            np.add(running, (now - running) * new, out=running)


def folded(
    layer: BatchNorm, gamma: FloatArray, beta: FloatArray, mean: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Out of training the normalisation is y = scale · x + shift, one of each a channel."""
    scale: FloatArray = gamma / np.sqrt(variance + gamma.dtype.type(layer.epsilon))
    return scale, beta - mean * scale


def fold_into(
    layer: BatchNorm, arrays: dict[str, FloatArray], weights: FloatArray, biases: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """The weights and biases of a convolution that does the normalisation after it too, out of training."""
    names = ("gamma", "beta", "running_mean", "running_var")
    scale, shift = folded(layer, *(arrays[name] for name in names))
    return weights * scale[:, None, None, None], shift if biases is None else biases * scale + shift
