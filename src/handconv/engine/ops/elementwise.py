"""Activations, dropout, softmax and changes of shape."""

import numpy as np

from handconv.arrays import FloatArray, Shape
from handconv.engine.capture import untracked
from handconv.engine.kernels import elementwise, softmax
from handconv.engine.layout import memory_shape, memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import Dropout, Layer, LeakyReLU, ReLU, Reshape
from handconv.rng import mask_from_bits, random_bits


class _ActivationOp(Op):
    """A function of single numbers, whose derivative is known from its output."""

    def __init__(self, layer: Layer, context: Context) -> None:
        super().__init__([layer], context)
        self._y: FloatArray | None = None

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """y = f(x)."""
        memory = memory_view(x)
        y = self._function(memory, self.scope.array("outputs", memory.shape, self.dtype))
        self._y = y if training else None
        return public_view(y)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """dx = dy · f'(x)."""
        assert self._y is not None
        memory = memory_view(dy)
        return public_view(self._derivative(memory, self._y, self.scope.array("dinputs", memory.shape, self.dtype)))

    def _function(self, x: FloatArray, out: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _derivative(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        raise NotImplementedError


class RectifierOp(_ActivationOp):
    """LeakyReLU and ReLU."""

    def __init__(self, layer: LeakyReLU | ReLU, context: Context) -> None:
        super().__init__(layer, context)
        self._alpha: float = getattr(layer, "alpha", 0.0)

    def _function(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.leaky_relu(x, self._alpha, out, self.scope.scratch("spare", x.shape, x.dtype))

    def _derivative(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.leaky_relu_gradient(dy, y > 0, self._alpha, out)


class SigmoidOp(_ActivationOp):
    """Sigmoid."""

    def _function(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.sigmoid(x, out)

    def _derivative(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.sigmoid_gradient(dy, y, out)


class TanhOp(_ActivationOp):
    """Tanh."""

    def _function(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.tanh(x, out)

    def _derivative(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.tanh_gradient(dy, y, out)


class SoftmaxOp(Op):
    """Softmax, with the full Jacobian."""

    def __init__(self, layer: Layer, context: Context) -> None:
        super().__init__([layer], context)
        self._y: FloatArray | None = None

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """Probabilities over the last axis."""
        y = self.scope.public_array("outputs", x.shape, self.dtype)
        self._y = softmax.softmax(x, out=y)
        return y

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """dx = y · (dy - sum of dy · y)."""
        y = self._y
        assert y is not None
        dx: FloatArray = y * (dy - np.add.reduce(dy * y, axis=-1, keepdims=True))
        return dx


class DropoutOp(Op):
    """Dropout: the same mask as the layer's own draws from the same bits."""

    def __init__(self, layer: Dropout, context: Context) -> None:
        super().__init__([layer], context)
        self._rate = layer.rate
        self._mask: FloatArray | None = None

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """y = x · m."""
        if not training or not self._rate:
            self._mask = None
            return x
        memory = memory_view(x)
        self._mask = mask = self.scope.array("mask", memory.shape, self.dtype)
        words = self.scope.scratch("random bits", (-(-mask.size // 4),), np.uint64)
        plain = untracked(words)
        self.scope.host_call(lambda: self._draw(plain))
        mask_from_bits(words, self._rate, mask)
        mask *= self.dtype.type(1 / (1 - self._rate))
        return public_view(np.multiply(memory, mask, out=self.scope.array("outputs", memory.shape, self.dtype)))

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """dx = dy · m."""
        if self._mask is None:
            return dy
        memory = memory_view(dy)
        out = self.scope.array("dinputs", memory.shape, self.dtype)
        return public_view(np.multiply(memory, self._mask, out=out))

    def _draw(self, words: "np.ndarray[tuple[int], np.dtype[np.uint64]]") -> None:
        generator = self.context.generator
        assert generator is not None
        words[...] = random_bits(generator, words.size)


class ReshapeOp(Op):
    """Reshape and Flatten: each sample row-major, the batch innermost."""

    def __init__(self, layer: Reshape, context: Context) -> None:
        super().__init__([layer], context)
        self._input_shape, self._output_shape = layer.input_shape or (), layer.output_shape or ()

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, …) -> (N, …shape)."""
        return self._reshaped("outputs", x, self._output_shape)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, …shape) -> (N, …)."""
        return self._reshaped("dinputs", dy, self._input_shape)

    def _reshaped(self, name: str, x: FloatArray, shape: Shape) -> FloatArray:
        memory = self.scope.array(name, memory_shape((x.shape[0], *shape)), self.dtype)
        source, target = _batch_last(x), _batch_last(public_view(memory))  # (…old, N), (…new, N)
        if target.flags.c_contiguous:
            target.reshape(source.shape)[...] = source
        else:
            row_major = self.scope.scratch("row-major", source.shape, self.dtype)
            row_major[...] = source
            target[...] = row_major.reshape(target.shape)
        return public_view(memory)


def _batch_last(x: FloatArray) -> FloatArray:
    return x.transpose(*range(1, x.ndim), 0)
