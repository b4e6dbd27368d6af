"""The plan of a network: the steps it really runs, some of them two layers at once.

A step acts like a layer: ``forward``, ``infer``, ``backward``. Most steps are layers. Where a convolution is followed
by a maximum pooling whose windows do not overlap, both become one step, for two reasons. The convolution can emit its
outputs sorted by their place in the pooling window, so that the pooling is a few comparisons of long contiguous
arrays, and what the pooling drops is never computed. And the maximum commutes exactly with what may stand between
them, adding a bias and an increasing activation, so both can be done afterwards, on a quarter of the numbers:

    max(f(z + b)) = f(max(z) + b)

The gradient of the bias is then the sum of the pooled gradients. Layers know nothing of plans.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handconv.kernels import convolution, convolution_pooling
from handconv.kernels.memory import FloatArray, laid_out, memory_shape, memory_view, public_view
from handconv.layers import Conv2D, Layer, MaxPool2D


class Step(Protocol):
    """One entry of a plan: what ``Layer`` and ``ConvolutionPooling`` have in common."""

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute the outputs, and remember what ``backward`` needs."""

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """Compute the outputs, remembering nothing."""

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Turn the gradient by the outputs into the gradient by the inputs."""


class ConvolutionPooling:
    """A convolution and the maximum pooling of its outputs, as one step.

    Maths:
        y = max over the window of (w ∗ x) + b        db = sum of dy
    """

    def __init__(self, convolution: Conv2D, pool: MaxPool2D) -> None:
        self.convolution, self.pool = convolution, pool
        self.form = convolution.form(pool.pool_size)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """(N, C, H, W) -> (N, F, OH, OW)."""
        return self._forward(inputs, remember=True)

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """As ``forward``, remembering nothing."""
        return self._forward(inputs, remember=False)

    def _forward(self, inputs: NDArray[Any], *, remember: bool) -> FloatArray:
        conv, form = self.convolution, self.form
        x = memory_view(laid_out(inputs))
        expanded = convolution.expand(x, form, conv.workspace)
        y, beaten = convolution_pooling.convolve_and_pool(
            expanded, conv.weights, form, conv.workspace, remember=remember
        )
        if remember:
            self._expanded, self._beaten = expanded, beaten
        if conv.use_bias:
            y += conv.biases[:, None]
        return public_view(y.reshape(form.outputs[0], conv.filters, form.outputs[1], x.shape[3]))

    def backward(self, dvalues: NDArray[Any], *, skip_dinputs: bool = False) -> FloatArray:
        """(N, F, OH, OW) -> (N, C, H, W), and the gradients of the convolution's parameters."""
        conv, form = self.convolution, self.form
        dy = memory_view(laid_out(dvalues))
        height, filters, width, batch = dy.shape
        dy = dy.reshape(height, filters, width * batch)
        assert self._beaten is not None
        rows = convolution_pooling.gradients(
            dy, self._beaten, self._expanded, form, conv.dweights, conv.workspace, rows_too=not skip_dinputs
        )
        if conv.use_bias:
            np.sum(dy, axis=(0, 2), out=conv.dbiases)
        if rows is None:
            return np.empty(0, conv.dtype)
        assert conv.input_shape is not None
        shape = memory_shape((batch, *conv.input_shape))
        return public_view(convolution.input_gradient(rows, conv.weights, form, shape, conv.workspace))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.convolution!r}, {self.pool!r})"


def draw(layers: Sequence[Layer], *, fuse: bool = True) -> list[Step]:
    """List the steps for built layers: Conv2D, increasing activations, MaxPool2D -> ConvolutionPooling, activations."""
    steps: list[Step] = []
    position = 0
    while position < len(layers):
        layer, after = layers[position], position + 1
        while after < len(layers) and layers[after].increasing:
            after += 1
        if fuse and type(layer) is Conv2D and after < len(layers) and _splits(layers[after]):
            pool = layers[after]
            assert isinstance(pool, MaxPool2D)
            steps += [ConvolutionPooling(layer, pool), *layers[position + 1 : after]]
            position = after + 1
        else:
            steps.append(layer)
            position += 1
    return steps


def _splits(layer: Layer) -> bool:
    """Whether it is a maximum pooling whose windows lie side by side."""
    return type(layer) is MaxPool2D and layer.stride == layer.pool_size and not layer.geometry.has_padding
