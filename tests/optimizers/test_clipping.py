"""Clipping: each number of the gradient to a largest value, then the whole gradient, with penalties, to a length."""

import json
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.optimizers import SGD, Adam, Optimizer, from_config
from handconv.optimizers.base import BLOCK
from oracles import mean_squared_error, penalty_gradient
from strategies import normal


def linear(**arguments: Any) -> hc.Sequential:
    """y = x w with w = (1, 1), whose gradient for the squared error can be worked out by hand."""
    layers = [hc.Dense(1, use_bias=False, weight_init="ones", **arguments)]
    return hc.Sequential(layers, input_shape=(2,), seed=0, dtype="float64")


def moved(optimizer: Optimizer, x: Any, y: Any, **arguments: Any) -> list[float]:
    """How far one step of fit moves the two weights down."""
    model = linear(**arguments)
    model.fit(x, y, epochs=1, batch_size=len(x), optimizer=optimizer, loss=hc.MeanSquaredError())
    return (1 - model.parameters).tolist()


# One sample x = (3, 4), truth 6.5: y = 7, the gradient is 2 · 0.5 · (3, 4) = (3, 4), of length 5.
X, Y = np.array([[3.0, 4.0]]), np.array([6.5])


def test_without_limits_the_gradient_is_taken_as_it_is() -> None:
    assert moved(SGD(1.0), X, Y) == pytest.approx([3, 4])


def test_a_longer_gradient_is_shortened_to_the_norm() -> None:
    assert moved(SGD(1.0, clip_norm=1), X, Y) == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("norm", [5.0 + 1e-9, 100])
def test_a_shorter_gradient_is_left_alone(norm: float) -> None:
    assert moved(SGD(1.0, clip_norm=norm), X, Y) == moved(SGD(1.0), X, Y)


def test_each_number_is_limited_to_the_value_up_and_down() -> None:
    assert moved(SGD(1.0, clip_value=3.5), X, Y) == pytest.approx([3, 3.5])
    assert moved(SGD(1.0, clip_value=3.5), X, 2 * 7 - Y) == pytest.approx([-3, -3.5])


def test_numbers_are_limited_before_the_length() -> None:
    # (3, 4) becomes (3, 3), of length 3 · sqrt 2, and then of length 3
    assert moved(SGD(1.0, clip_norm=3, clip_value=3), X, Y) == pytest.approx([3 / 2**0.5] * 2)


def test_the_gradient_of_penalties_is_clipped_too() -> None:
    # l2 adds 2 · 1 · 1 to both numbers: (5, 6)
    assert moved(SGD(1.0, clip_norm=1), X, Y, l2=1.0) == pytest.approx((np.array([5, 6]) / 61**0.5).tolist())


def test_it_is_the_length_of_the_whole_gradient_not_of_a_layers() -> None:
    layers = [hc.Dense(1, weight_init="ones", use_bias=False), hc.Dense(1, weight_init="ones", use_bias=False)]
    model = hc.Sequential(layers, input_shape=(1,), seed=0, dtype="float64")
    # y = x · w · v with x = 3, w = v = 1, truth 1: both gradients are 2 · (3 - 1) · 3 = 12
    model.fit([[3.0]], [1.0], epochs=1, optimizer=SGD(1.0, clip_norm=1), loss=hc.MeanSquaredError())
    np.testing.assert_allclose(1 - model.parameters, [2**-0.5] * 2, rtol=1e-14)


@pytest.mark.filterwarnings("ignore:No parameter has moved")
def test_it_is_the_length_over_the_batch_not_over_a_shard() -> None:
    # two samples whose gradients cancel: nothing is long, nothing is clipped
    x, y = np.array([[3.0, 4.0]] * 2), np.array([6.5, 7.5])
    assert moved(SGD(1.0, clip_norm=1e-3), x, y) == pytest.approx([0, 0], abs=1e-15)


def test_the_true_norm_of_a_gradient_of_many_blocks_limits_it() -> None:
    features = 2 * BLOCK // 3 + 5
    x, y = normal(0, 2, features), normal(1, 2, 3)
    layers = [hc.Dense(3, weight_init="ones", l1=0.01)]
    model = hc.Sequential(layers, input_shape=(features,), seed=0, dtype="float64")
    before = model.parameters.copy()
    _, dy = mean_squared_error(x @ np.ones((features, 3)), y)
    gradient = np.concatenate([(x.T @ dy + penalty_gradient(np.ones((features, 3)), l1=0.01)).ravel(), dy.sum(axis=0)])
    model.fit(x, y, epochs=1, optimizer=SGD(1.0, clip_norm=2), loss=hc.MeanSquaredError())
    np.testing.assert_allclose(
        before - model.parameters, 2 * gradient / np.linalg.norm(gradient), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer", [Adam(0.01, clip_norm=0.05), SGD(0.5, 0.9, clip_norm=0.05, clip_value=0.004)], ids=repr
)
def test_any_number_of_workers_gives_the_same_bits(optimizer: Optimizer, dtype: str) -> None:
    # more parameters than a block, so that each of two processes has numbers of its own to add up
    x, y = normal(0, 24, 300).astype(dtype), np.arange(24) % 4
    ends = []
    for workers in (1, 2, 4):
        layers = [hc.Dense(280, l2=1e-3), hc.ReLU(), hc.Dense(4), hc.Softmax()]
        model = hc.Sequential(layers, input_shape=(300,), seed=3, dtype=dtype)
        assert model.parameters.size > BLOCK
        again = from_config(optimizer.config())
        model.fit(x, y, epochs=2, batch_size=12, shard_size=2, optimizer=again, workers=workers)
        ends.append(model.parameters.copy())
    assert ends[0].tobytes() == ends[1].tobytes() == ends[2].tobytes()


def test_limits_are_part_of_the_config() -> None:
    optimizer = Adam(clip_norm=2, clip_value=0.5)
    again = from_config(json.loads(json.dumps(optimizer.config())))
    assert (again.clip_norm, again.clip_value) == (2.0, 0.5)
    assert type(again.clip_norm) is float


def test_a_step_by_hand_takes_the_gradient_as_it_is() -> None:
    """Clipping needs the whole gradient, which a step on a part does not have: whoever trains does it before."""
    parameters = np.zeros(2)
    SGD(1.0, clip_norm=1, clip_value=1).step(parameters, np.array([3.0, 4.0]))
    assert parameters.tolist() == [-3, -4]
