"""The plan of a network: the steps it really runs, some of them two layers at once.

A step acts like a layer: ``forward``, ``infer``, ``backward``. Most steps are layers. A convolution, a rectifier and a
maximum pooling whose windows lie side by side become one step, as together they can be computed far quicker than
one after another (``kernels/convolution_pooling.py`` says why) with the same results. Layers know nothing of plans.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import laid_out
from handconv.engine.kernels.conv_lowering import RowForm
from handconv.geometry import Pair
from handconv.layers import Conv2D, Layer, LeakyReLU, MaxPool2D, ReLU


class Step(Protocol):
    """One entry of a plan: what ``Layer`` and ``ConvolutionBlock`` have in common."""

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute the outputs, and remember what ``backward`` needs."""

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """Compute the outputs, remembering nothing."""

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Turn the gradient by the outputs into the gradient by the inputs."""


class ConvolutionBlock:
    """A convolution, a rectifier, and the maximum pooling of the outputs, as one step; all but the first may be absent.

    Maths:
        y = f(max over the window of (w ∗ x) + b)        f: LeakyReLU, ReLU, or nothing
    Attributes:
        convolution, rectifier, pool: the layers.
        wanted: the rows and columns of y that anybody looks at, if not all; no others are computed.
    """

    def __init__(self, convolution: Conv2D) -> None:
        self.convolution = convolution
        self.rectifier: LeakyReLU | ReLU | None = None
        self.pool: MaxPool2D | None = None
        self.wanted: Pair | None = None

    @property
    def looked_at(self) -> Pair:
        """The rows and columns of its inputs that this step looks at."""
        return RowForm(self.convolution.geometry, self._phases, self.wanted).looked_at

    @property
    def layers(self) -> list[Layer]:
        """The layers that are one here."""
        return [layer for layer in (self.convolution, self.rectifier, self.pool) if layer is not None]

    @property
    def _phases(self) -> Pair:
        return self.pool.pool_size if self.pool else (1, 1)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """(N, C, H, W) -> (N, F, OH, OW)."""
        return self._run(inputs, remember=True)

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """As ``forward``, remembering nothing."""
        return self._run(inputs, remember=False)

    def _run(self, inputs: NDArray[Any], *, remember: bool) -> FloatArray:
        alpha = self.rectifier.alpha if self.rectifier else None
        return self.convolution.run(laid_out(inputs), self._phases, alpha, self.wanted, remember=remember)

    def backward(self, dvalues: NDArray[Any], *, skip_dinputs: bool = False) -> FloatArray:
        """(N, F, OH, OW) -> (N, C, H, W), and the gradients of the convolution's parameters."""
        convolution, dvalues = self.convolution, laid_out(dvalues)
        convolution.parameter_gradients(dvalues, dinputs_too=not skip_dinputs)
        return np.empty(0, convolution.dtype) if skip_dinputs else convolution.input_gradient()

    def __repr__(self) -> str:
        names = " + ".join(type(layer).__name__ for layer in self.layers)
        return f"[{names}]" if len(self.layers) > 1 else names


def layers_of(step: Step) -> list[Layer]:
    """The layers of which a step is made."""
    if isinstance(step, ConvolutionBlock):
        return step.layers
    assert isinstance(step, Layer)
    return [step]


def draw(layers: Sequence[Layer], *, fuse: bool = True) -> list[Step]:
    """List the steps for built layers: each Conv2D is one with the LeakyReLU or ReLU and the MaxPool2D that follow it.

    Where one such step feeds another, the first computes only what the second looks at: convolution and pooling often
    drop the last row and column.
    """
    if not fuse:
        return list(layers)
    steps: list[Step] = []
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        if type(layer) is not Conv2D:
            steps.append(layer)
            continue
        block = ConvolutionBlock(layer)
        if waiting and _is_rectifier(rectifier := waiting[0]):
            block.rectifier = rectifier
            waiting.pop(0)
        if waiting and _is_side_by_side(pool := waiting[0]):
            block.pool = pool
            waiting.pop(0)
        steps.append(block)
    for step, following in reversed(list(itertools.pairwise(steps))):
        if isinstance(step, ConvolutionBlock) and isinstance(following, ConvolutionBlock):
            step.wanted = following.looked_at
    return steps


def _is_side_by_side(layer: Layer) -> TypeGuard[MaxPool2D]:
    """Whether it is a maximum pooling whose windows lie side by side, without padding."""
    return type(layer) is MaxPool2D and layer.stride == layer.pool_size and not layer.geometry.has_padding


def _is_rectifier(layer: Layer) -> TypeGuard[LeakyReLU | ReLU]:
    """Whether it is max(x, alpha·x), which commutes with a maximum."""
    return type(layer) in (LeakyReLU, ReLU)
