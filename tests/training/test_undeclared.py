"""Weights that a layer of one's own keeps by itself, as in many a textbook, are not trained, and it is said."""

import warnings
from typing import Any

import numpy as np
import pytest

import handconv as hc

X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
Y = np.arange(24) % 3


class Textbook(hc.Layer):
    """Makes its weights when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.W = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs = inputs
        return inputs @ self.W

    def backward(self, dvalues: Any) -> Any:
        self.dW = self.inputs.T @ dvalues
        self.dinputs = dvalues @ self.W.T
        return self.dinputs


class Teaching(Textbook):
    """Moves its weights by itself."""

    def backward(self, dvalues: Any) -> Any:
        dinputs = super().backward(dvalues)
        self.W -= 0.01 * self.dW
        return dinputs


class Fixed(Textbook):
    """Projects at random, without a gradient."""

    def backward(self, dvalues: Any) -> Any:
        return dvalues @ self.W.T


class Alias(hc.Layer):
    """Has declared its weights, and calls them by another name as well."""

    def declare(self, input_shape: Any) -> Any:
        return (hc.ParameterSpec("weights", (4, 4), "he_normal", fan_in=4),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs, self.W, self.dW = inputs, self.weights, self.dweights
        return inputs @ self.W

    def backward(self, dvalues: Any) -> Any:
        self.dW[...] = self.inputs.T @ dvalues
        return dvalues @ self.W.T


class Constant(Textbook):
    """Has a gradient of another shape."""

    def backward(self, dvalues: Any) -> Any:
        self.dW = np.zeros(3)
        return dvalues @ self.W.T


def told(layer: hc.Layer, *, asked_before: bool = False) -> list[str]:
    model = hc.Sequential([hc.Dense(4), layer, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    if asked_before:
        model.forward(X[:8])
        model.backward(np.ones((8, 3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("asked_before", [False, True])
def test_weights_with_a_gradient_are_named_with_what_to_declare(asked_before: bool) -> None:
    (message,) = told(Textbook(), asked_before=asked_before)
    assert message == (
        "Textbook keeps 'W' and its gradient 'dW' without declaring them: no optimizer moves them, and no file has "
        "them. Return ParameterSpec('W', (4, 4)) from declare()."
    )


def test_those_within_a_layer_are_named_too() -> None:
    class Holds(hc.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Textbook()

        def forward(self, inputs: Any, training: bool = False) -> Any:
            return self.inner.forward(inputs, training)

        def backward(self, dvalues: Any) -> Any:
            return self.inner.backward(dvalues)

    assert [message.split(" and ")[0] for message in told(Holds())] == ["Textbook keeps 'W'"]


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("kind", [Teaching, Fixed, Alias, Constant, hc.Tanh])
def test_others_are_not(kind: type[hc.Layer], asked_before: bool) -> None:
    assert told(kind(), asked_before=asked_before) == []
