"""What the tests of networks share: a small one, a layer with buffers, and a layer that holds layers."""

from typing import Any

import numpy as np

from handconv.layers import Conv2D, Dense, Flatten, Layer, ReLU, Softmax, Tanh
from handconv.layers.parameters import ParameterSpec
from handconv.network import Network

IMAGE = (2, 6, 6)


def small(**options: Any) -> Network:
    """A network with two layers of parameters, the first after a layer without."""
    layers = [Tanh(), Conv2D(3, 3, l1=0.1, l2=0.2, name="conv"), ReLU(), Flatten(), Dense(4, bias_l2=0.3), Softmax()]
    return Network(layers, **{"input_shape": IMAGE, "seed": 0, "dtype": "float64"} | options)


class Counting(Layer):
    """Passes its inputs on; keeps a running mean of them, and counts the batches that it has seen in training."""

    def declare(self, input_shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
        return (
            ParameterSpec("mean", input_shape[:1], trainable=False),
            ParameterSpec("steps", (1,), trainable=False, reduce="sum"),
        )

    def forward(self, inputs: Any, training: bool = False) -> Any:
        x = self.check_inputs(inputs)
        if training:
            axes = (0, *range(2, x.ndim))
            self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=axes)
            self.steps = self.steps + 1
        return x

    def backward(self, dvalues: Any) -> Any:
        return np.array(dvalues)


class Residual(Layer):
    """y = x + f(x), with a dense layer as an attribute, and another and a rectifier in a list."""

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.units = units
        self.first = Dense(units)
        self.more = [Dense(units), ReLU()]

    def forward(self, inputs: Any, training: bool = False) -> Any:
        y = self.first.forward(self.check_inputs(inputs), training)
        for layer in self.more:
            y = layer.forward(y, training)
        return inputs + y

    def backward(self, dvalues: Any) -> Any:
        gradient = dvalues
        for layer in reversed(self.more):
            gradient = layer.backward(gradient)
        return dvalues + self.first.backward(gradient)
