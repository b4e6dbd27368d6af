"""Attributes that look into declared arrays, kept from the first forward on: in copies they look there too."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers.kept_views import kept_views

X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
Y = np.arange(96) % 3


class Scaled(hc.Layer):
    """Keeps its factors, backwards, from the first forward on."""

    factors: Any = None

    def declare(self, input_shape: Any) -> Any:
        return hc.ParameterSpec("offset", input_shape), hc.ParameterSpec("scale", input_shape, "ones")

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if self.factors is None:
            self.factors, self.changes = self.scale[::-1], self.dscale[::-1]
        self.kept = inputs
        return inputs * self.factors[::-1] + self.offset

    def backward(self, dvalues: Any) -> Any:
        self.changes[...] = (self.kept * dvalues).sum(axis=0)[::-1]
        self.doffset = dvalues.sum(axis=0)
        return dvalues * self.factors[::-1]


class Mixing(hc.Layer):
    """Keeps the weights of a layer that it holds, turned."""

    turned: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.inner = hc.Dense(6)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        outputs = self.inner.forward(inputs, training)
        if self.turned is None:
            self.turned = self.inner.weights.T
        return outputs

    def backward(self, dvalues: Any) -> Any:
        self.inner.backward(dvalues)
        return dvalues @ self.turned


class Course(hc.Layer):
    """Keeps its weights and their gradients in a dict and a list of lists."""

    params: Any = None

    def declare(self, input_shape: Any) -> Any:
        return hc.ParameterSpec("W", (6, 6), "he_normal", fan_in=6), hc.ParameterSpec("b", (6,))

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if self.params is None:
            self.params, self.changes = {"W": self.W, "b": self.b}, [[self.dW], [self.db]]
        self.kept = inputs
        return inputs @ self.params["W"] + self.params["b"]

    def backward(self, dvalues: Any) -> Any:
        self.changes[0][0][...] = self.kept.T @ dvalues
        self.changes[1][0][...] = dvalues.sum(axis=0)
        return dvalues @ self.params["W"].T


KINDS = pytest.mark.parametrize("kind", [Scaled, Mixing, Course])


def network(kind: type[hc.Layer]) -> hc.Sequential:
    return hc.Sequential([hc.Dense(6), kind(), hc.Dense(3), hc.Softmax()], input_shape=(6,), seed=1)


def fit(model: hc.Sequential, **options: Any) -> Any:
    model.fit(X, Y, epochs=3, batch_size=32, optimizer=hc.SGD(0.5), **options)
    return model.parameters


COPIES: dict[str, Callable[[hc.Sequential], hc.Sequential]] = {
    "the network itself": lambda model: model,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301
    "a network of copies of its layers": lambda model: hc.Sequential([layer.copy() for layer in model.layers], seed=1),
}


@KINDS
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", COPIES)
def test_it_trains_to_the_same_bits(kind: type[hc.Layer], workers: int, how: str) -> None:
    asked = network(kind)
    before = asked.predict(X)
    other = COPIES[how](asked)
    np.testing.assert_array_equal(other.predict(X), before)
    np.testing.assert_array_equal(fit(other, workers=workers), fit(network(kind)))
    np.testing.assert_allclose(other.predict(X), other.forward(X), atol=1e-6)


@KINDS
def test_the_gradient_check_passes_in_float64(kind: type[hc.Layer]) -> None:
    asked = network(kind)
    asked.predict(X)
    report = hc.gradcheck(asked, X[:3], Y[:3])
    assert report.ok, str(report)
    assert not {"factors", "turned"} & {row.what for row in report.rows}


class Alias(hc.Layer):
    """Declares one array by a name that may change before it is built again."""

    array = "weights"

    def declare(self, input_shape: Any) -> Any:
        return (hc.ParameterSpec(self.array, (4,), "ones"),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


class TestWhatIsNoKeptView:
    """Such attributes stay as they are."""

    def test_an_array_that_is_none_of_the_declared_ones(self) -> None:
        layer = Alias()
        layer.build((2,))
        layer.low, layer.high = np.zeros(8, np.float32)[:4], np.zeros(8, np.float32)[4:]
        assert kept_views([layer]) == []

    def test_a_part_of_a_vector_with_more_than_one_array(self) -> None:
        model = hc.Sequential([Alias(), Alias()], input_shape=(2,), seed=0)
        model.layers[0].both = model.parameters[2:6]
        assert kept_views(model.layers) == []

    def test_the_bits_seen_as_another_type(self) -> None:
        layer = Alias()
        layer.build((2,))
        layer.bits = layer.weights.view(np.int32)
        assert kept_views([layer]) == []

    def test_a_view_of_an_array_that_there_is_no_more(self) -> None:
        layer = Alias()
        layer.build((2,))
        layer.mine = layer.weights[1:]
        before = layer.mine
        layer.array = "scales"
        hc.Sequential([layer], input_shape=(2,))
        assert layer.mine is before
