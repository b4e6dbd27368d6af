"""The plan of a network: the steps it really runs, some of them two layers at once.

A step acts like a layer: ``forward``, ``infer``, ``backward``. Most steps are layers. A convolution, a rectifier and a
maximum pooling whose windows lie side by side become one step, as the three together can be computed far quicker than
one after another (``kernels/convolution_pooling.py`` says why) with the same results. Layers know nothing of plans.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.memory import FloatArray, laid_out
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
        self._alpha = rectifier.alpha if rectifier else None

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """(N, C, H, W) -> (N, F, OH, OW)."""
        return self.convolution.run(laid_out(inputs), self.pool.pool_size, self._alpha, remember=True)

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """As ``forward``, remembering nothing."""
        return self.convolution.run(laid_out(inputs), self.pool.pool_size, self._alpha, remember=False)

    def backward(self, dvalues: NDArray[Any], *, skip_dinputs: bool = False) -> FloatArray:
        """(N, F, OH, OW) -> (N, C, H, W), and the gradients of the convolution's parameters."""
        convolution, dvalues = self.convolution, laid_out(dvalues)
        convolution.parameter_gradients(dvalues, dinputs_too=not skip_dinputs)
        return np.empty(0, convolution.dtype) if skip_dinputs else convolution.input_gradient(dvalues)

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
