"""The plan of a network: the steps it really runs, some of them two layers at once.

A step acts like a layer: ``forward``, ``infer``, ``backward``. Most steps are layers. A convolution, a rectifier and a
maximum pooling whose windows lie side by side become one step, as the three together can be computed far quicker than
one after another (``kernels/convolution_pooling.py`` says why) with the same results. Layers know nothing of plans.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handconv.kernels import convolution as kernel
from handconv.kernels import convolution_pooling
from handconv.kernels.memory import FloatArray, laid_out, memory_shape, memory_view, public_view
from handconv.layers import Conv2D, Layer, LeakyReLU, MaxPool2D, ReLU


class Step(Protocol):
    """One entry of a plan: what ``Layer`` and ``ConvolutionPooling`` have in common."""

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute the outputs, and remember what ``backward`` needs."""

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """Compute the outputs, remembering nothing."""

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Turn the gradient by the outputs into the gradient by the inputs."""


class ConvolutionPooling:
    """A convolution, a rectifier and the maximum pooling of the outputs, as one step.

    Maths:
        y = f(max over the window of (w ∗ x) + b)        f: LeakyReLU, ReLU, or nothing
    """

    def __init__(self, convolution: Conv2D, rectifier: LeakyReLU | ReLU | None, pool: MaxPool2D) -> None:
        self.convolution, self.rectifier, self.pool = convolution, rectifier, pool
        self._form = kernel.RowForm(convolution.geometry, pool.pool_size)
        self._alpha = rectifier.alpha if rectifier else None

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """(N, C, H, W) -> (N, F, OH, OW)."""
        return self._forward(inputs, remember=True)

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """As ``forward``, remembering nothing."""
        return self._forward(inputs, remember=False)

    def _forward(self, inputs: NDArray[Any], *, remember: bool) -> FloatArray:
        conv, form = self.convolution, self._form
        x = memory_view(laid_out(inputs))
        expanded = kernel.expand(x, form, conv.workspace)
        biases = conv.biases if conv.use_bias else None
        y, beaten = convolution_pooling.forward(
            expanded, conv.weights, biases, self._alpha, form, conv.workspace, remember=remember
        )
        if beaten is not None:
            self._remembered = y, beaten, expanded
        return public_view(y.reshape(form.outputs[0], conv.filters, form.outputs[1], x.shape[3]))

    def backward(self, dvalues: NDArray[Any], *, skip_dinputs: bool = False) -> FloatArray:
        """(N, F, OH, OW) -> (N, C, H, W), and the gradients of the convolution's parameters."""
        conv, form = self.convolution, self._form
        y, beaten, expanded = self._remembered
        dbiases = conv.dbiases if conv.use_bias else None
        dy = memory_view(laid_out(dvalues)).reshape(y.shape)
        rows = convolution_pooling.backward(
            dy,
            y,
            beaten,
            expanded,
            self._alpha,
            form,
            conv.dweights,
            dbiases,
            conv.workspace,
            rows_too=not skip_dinputs,
        )
        if rows is None:
            return np.empty(0, conv.dtype)
        shape = memory_shape((len(dvalues), *(conv.input_shape or ())))
        return public_view(kernel.input_gradient(rows, conv.weights, form, shape, conv.workspace))

    def __repr__(self) -> str:
        parts = [part for part in (self.convolution, self.rectifier, self.pool) if part is not None]
        return f"[{' + '.join(type(part).__name__ for part in parts)}]"


def draw(layers: Sequence[Layer], *, fuse: bool = True) -> list[Step]:
    """List the steps for built layers; Conv2D, LeakyReLU or ReLU or neither, MaxPool2D become one."""
    steps: list[Step] = []
    waiting = list(layers)
    while waiting:
        convolution = waiting.pop(0)
        rectifier = waiting[0] if waiting and _is_rectifier(waiting[0]) else None
        after = waiting[1:] if rectifier else waiting
        if fuse and type(convolution) is Conv2D and after and _is_side_by_side(pool := after[0]):
            steps.append(ConvolutionPooling(convolution, rectifier, pool))
            waiting = after[1:]
        else:
            steps.append(convolution)
    return steps


def _is_side_by_side(layer: Layer) -> TypeGuard[MaxPool2D]:
    """Whether it is a maximum pooling whose windows lie side by side, without padding."""
    return type(layer) is MaxPool2D and layer.stride == layer.pool_size and not layer.geometry.has_padding


def _is_rectifier(layer: Layer) -> TypeGuard[LeakyReLU | ReLU]:
    """Whether it is max(x, alpha·x), which commutes with a maximum."""
    return type(layer) in (LeakyReLU, ReLU)
