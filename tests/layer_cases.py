"""What the tests of layers share: one of each kind, layers of a user's own, and how one is run."""

from collections.abc import Callable
from typing import Any

import numpy as np

from handconv.layers import (
    ELU,
    GELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ParameterSpec,
    ReLU,
    Reshape,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SpatialDropout2D,
    Tanh,
    ZeroPad2D,
)

Make = Callable[[], Layer]
IMAGE, VECTOR = (2, 5, 7), (6,)

LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Conv2D": (lambda: Conv2D(3, (3, 2), stride=(1, 2), padding=1), IMAGE),
    "Conv2D without bias": (lambda: Conv2D(3, 3, use_bias=False), IMAGE),
    "Conv2D of one cell": (lambda: Conv2D(3, 1), IMAGE),
    "Conv2D of the whole image": (lambda: Conv2D(3, (5, 7)), IMAGE),
    "Conv2D, dilated": (lambda: Conv2D(3, (3, 2), padding=(1, 2), dilation=(2, 3)), IMAGE),
    "Conv2D, grouped": (lambda: Conv2D(4, (3, 2), groups=2), IMAGE),
    "MaxPool2D": (lambda: MaxPool2D(2), IMAGE),
    "MaxPool2D overlapping": (lambda: MaxPool2D(3, stride=1, padding=1), IMAGE),
    "MaxPool2D of one cell": (lambda: MaxPool2D(1), IMAGE),
    "AveragePool2D of one cell": (lambda: AveragePool2D(1), IMAGE),
    "AveragePool2D": (lambda: AveragePool2D((2, 3), stride=1, padding="same"), IMAGE),
    "GlobalAveragePool2D": (GlobalAveragePool2D, IMAGE),
    "Flatten": (Flatten, IMAGE),
    "Reshape": (lambda: Reshape((7, -1)), IMAGE),
    "Dense": (lambda: Dense(4), VECTOR),
    "Dense without bias": (lambda: Dense(4, use_bias=False), VECTOR),
    "Dropout": (lambda: Dropout(0.5), VECTOR),
    "LeakyReLU": (lambda: LeakyReLU(0.2), IMAGE),
    "ReLU": (ReLU, VECTOR),
    "Sigmoid": (Sigmoid, IMAGE),
    "Tanh": (Tanh, VECTOR),
    "Softmax": (Softmax, VECTOR),
    "ELU": (lambda: ELU(0.5), IMAGE),
    "GELU": (GELU, VECTOR),
    "SiLU": (SiLU, IMAGE),
    "Softplus": (Softplus, VECTOR),
    "ZeroPad2D": (lambda: ZeroPad2D((0, 1, 2, 3)), IMAGE),
    "SpatialDropout2D": (lambda: SpatialDropout2D(0.5), IMAGE),
    "BatchNorm of images": (BatchNorm, IMAGE),
    "BatchNorm of vectors": (lambda: BatchNorm(0.5, 1e-3), VECTOR),
    "LayerNorm": (LayerNorm, IMAGE),
    "GroupNorm": (lambda: GroupNorm(2), IMAGE),
}


def parameters_of(layer: Layer) -> dict[str, tuple[Any, Any]]:
    """Each array of parameters and its gradient."""
    return {s.name: (layer.arrays[s.name], layer.arrays[f"d{s.name}"]) for s in layer.specs if s.trainable}


def run(layer: Layer, x: Any, dy: Any = None) -> tuple[Any, ...]:
    """Output, input gradient and parameter gradients of one step in training, as copies."""
    layer.generator = np.random.default_rng(0)
    y = layer.forward(x, training=True)
    dy = np.random.default_rng(1).normal(size=y.shape) if dy is None else dy
    dx = layer.backward(dy)
    return (y.copy(), dx.copy(), *(gradient.copy() for _, gradient in parameters_of(layer).values()))


class Running(Layer):
    """Subtracts the running mean of the batches before; declares its buffer between two parameters."""

    def declare(self, input_shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
        return (
            ParameterSpec("scale", input_shape, "ones"),
            ParameterSpec("running_mean", input_shape, trainable=False),
            ParameterSpec("shift", input_shape),
        )

    def forward(self, inputs: Any, training: bool = False) -> Any:
        x = self.check_inputs(inputs)
        self._centred = x - self.running_mean
        if training:
            self.running_mean = 0.5 * self.running_mean + 0.5 * x.mean(axis=0)
        self.output = self._centred * self.scale + self.shift
        return self.output

    def backward(self, dvalues: Any) -> Any:
        dy = self.check_gradient(dvalues)
        self.dscale, self.dshift = (dy * self._centred).sum(axis=0), dy.sum(axis=0)
        self.dinputs = dy * self.scale
        return self.dinputs


class Chain(Layer):
    """Layers one after the other, some held by attributes, some in a list."""

    def __init__(self, width: int = 3, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.width = width
        self.first = Dense(width)
        self.rest = [Tanh(), Dropout(0.5), Dense(2, name="last"), "no layer"]

    def forward(self, inputs: Any, training: bool = False) -> Any:
        x = self.check_inputs(inputs)
        for layer in self.sublayers().values():
            x = layer.forward(x, training)
        self.output = x
        return x

    def backward(self, dvalues: Any) -> Any:
        dy = self.check_gradient(dvalues)
        for layer in reversed(self.sublayers().values()):
            dy = layer.backward(dy)
        self.dinputs = dy
        return dy


class Residual(Layer):
    """y = x + second(relu(first(x))): two layers that get inputs of their own shapes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.first, self.second = Conv2D(2 * channels, 3, padding=1), Conv2D(channels, 3, padding=1)
        self._relu = ReLU()

    def infer_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def sublayer_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        within = (2 * self.channels, *input_shape[1:])
        return {"first": input_shape, "second": within, "_relu": within}

    def forward(self, inputs: Any, training: bool = False) -> Any:
        x = self.check_inputs(inputs)
        self.output = x + self.second.forward(self._relu.forward(self.first.forward(x, training), training), training)
        return self.output

    def backward(self, dvalues: Any) -> Any:
        dy = self.check_gradient(dvalues)
        self.dinputs = dy + self.first.backward(self._relu.backward(self.second.backward(dy)))
        return self.dinputs
