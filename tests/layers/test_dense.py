"""Dense is the oracle's matrix product."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.layers import Dense
from helpers import assert_close
from strategies import in_memory_order, normal

sizes = st.integers(1, 6)


@given(sizes, sizes, sizes, strategies.memory_orders, strategies.memory_orders, strategies.seeds)
def test_forward_and_backward_are_the_oracles(
    samples: int, features: int, units: int, order: str, dy_order: str, seed: int
) -> None:
    layer = Dense(units)
    layer.build((features,), dtype=np.float64, generator=seed)
    x, biases, dy = normal(seed, samples, features), normal(seed + 1, units), normal(seed + 2, samples, units)
    layer.biases, weights = biases, oracles.array(layer.weights)
    assert_close(layer.forward(in_memory_order(x, order)), oracles.dense_forward(x, weights, biases))
    dx = layer.backward(in_memory_order(dy, dy_order))
    for mine, theirs in zip((dx, layer.dweights, layer.dbiases), oracles.dense_backward(x, weights, dy), strict=True):
        assert_close(mine, theirs)


@given(sizes, sizes, sizes, strategies.seeds)
def test_backward_is_the_adjoint_of_forward(samples: int, features: int, units: int, seed: int) -> None:
    layer = Dense(units, use_bias=False)
    layer.build((features,), dtype=np.float64, generator=seed)
    x, y = normal(seed, samples, features), normal(seed + 1, samples, units)
    image, gradient = layer.forward(x), layer.backward(y)
    scale = float(np.linalg.norm(layer.weights) * np.linalg.norm(x) * np.linalg.norm(y))
    assert abs(np.vdot(image, y) - np.vdot(x, gradient)) <= 1e-12 * scale
    assert abs(np.vdot(image, y) - np.vdot(layer.weights, layer.dweights)) <= 1e-12 * scale


def test_the_reference_layers_have_the_parameters_of_the_table() -> None:
    hidden, last = Dense(128), Dense(10)
    assert hidden.build((400,)) == (128,)
    assert last.build((128,)) == (10,)
    assert hidden.weights.shape == (400, 128)
    assert hidden.weights.size + hidden.biases.size == 51_328
    assert last.weights.size + last.biases.size == 1_290
    assert (hidden.multiply_adds, last.multiply_adds) == (400 * 128, 128 * 10)


@pytest.mark.parametrize("units", [0, -3, 1.0, False, "ten"])
def test_units_must_be_a_positive_whole_number(units: Any) -> None:
    with pytest.raises(ValueError, match="Dense: units must be a whole number of at least 1, got"):
        Dense(units)


def test_units_may_be_a_numpy_number() -> None:
    labels = np.array([0, 2, 1])
    assert Dense(labels.max() + 1).units == 3


def test_only_vectors_are_taken() -> None:
    with pytest.raises(
        ValueError, match=r"Dense expects vectors \(N, D\), got samples of shape \(1, 2, 2\)\. Put a Flatten before\."
    ):
        Dense(3).forward(np.ones((5, 1, 2, 2)))


def test_the_initial_weights_have_the_spread_of_he() -> None:
    layer = Dense(200)
    layer.build((300,), generator=0)
    assert layer.weights.std() == pytest.approx(np.sqrt(2 / 300), rel=0.02)
    np.testing.assert_array_equal(layer.biases, 0)
