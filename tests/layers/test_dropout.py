"""Dropout drops its share, scales what it keeps, remembers the mask, and does nothing out of training."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.layers import Dropout, SpatialDropout2D
from handconv.rng import random_mask
from helpers import assert_close
from strategies import in_memory_order, normal


def seeded(rate: float, seed: int = 0) -> Dropout:
    layer = Dropout(rate)
    layer.generator = np.random.default_rng(seed)
    return layer


shapes = st.sampled_from([(4, 6), (3, 2, 4, 5), (5,), (1, 7)])
orders = strategies.memory_orders


@given(shapes, st.floats(0, 0.95), orders, orders, strategies.seeds)
def test_forward_and_backward_are_the_oracles_with_the_same_mask(
    shape: tuple[int, ...], rate: float, order: str, dy_order: str, seed: int
) -> None:
    layer, x, dy = seeded(rate, seed), normal(seed, *shape), normal(seed + 1, *shape)
    y = layer.forward(in_memory_order(x, order), training=True)
    kept = np.ones(shape, np.bool_) if layer.mask is None else layer.mask != 0
    assert_close(y, oracles.dropout(x, kept, rate if layer.mask is not None else 0.0))
    dx = layer.backward(in_memory_order(dy, dy_order))
    assert_close(dx, oracles.dropout(dy, kept, rate if layer.mask is not None else 0.0))
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-12 * float(np.linalg.norm(y) * np.linalg.norm(dy)) + 1e-15


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.9])
def test_rate_is_the_share_that_is_dropped_and_the_mean_is_kept(rate: float) -> None:
    y = seeded(rate).forward(np.ones((100, 1000)), training=True)
    assert np.mean(y == 0) == pytest.approx(rate, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.03)
    assert y.max() == pytest.approx(1 / (1 - rate))


def test_out_of_training_nothing_changes_forward_or_backward() -> None:
    layer, x = seeded(0.5), normal(0, 4, 6)
    layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_rate_zero_changes_nothing_and_draws_nothing() -> None:
    layer, x = seeded(0), normal(0, 4, 6)
    np.testing.assert_array_equal(layer.forward(x, training=True), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    assert layer.generator is not None
    assert layer.generator.random() == np.random.default_rng(0).random()


def test_the_highest_rate_still_computes() -> None:
    y = seeded(1 - 1e-9).forward(np.ones((10, 10)), training=True)
    np.testing.assert_array_equal(y, 0)


def test_the_input_is_not_changed() -> None:
    x = np.ones((4, 6))
    seeded(0.5).forward(x, training=True)
    np.testing.assert_array_equal(x, 1)


def test_every_forward_draws_a_new_mask() -> None:
    layer, x = seeded(0.5), np.ones((10, 10))
    assert not np.array_equal(layer.forward(x, training=True), layer.forward(x, training=True))


def test_the_same_stream_draws_the_same_mask_in_both_precisions() -> None:
    single = seeded(0.5).forward(np.ones((4, 6), np.float32), training=True)
    double = seeded(0.5).forward(np.ones((4, 6)), training=True)
    np.testing.assert_array_equal(single, double)


def test_without_a_generator_it_draws_one_of_its_own() -> None:
    layer = Dropout(0.5)
    layer.forward(np.ones((4, 6)), training=True)
    assert isinstance(layer.generator, np.random.Generator)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), float("inf"), "0.5"])
def test_rate_must_be_at_least_zero_and_below_one(rate: Any) -> None:
    with pytest.raises(
        ValueError, match="Dropout: rate, the share that is dropped, must be a number of at least 0 and below 1, got"
    ):
        Dropout(rate)


def test_the_shape_may_change_from_call_to_call() -> None:
    layer = seeded(0.5)
    for shape in ((2, 3), (2, 5), (1, 2, 4, 4)):
        x = normal(0, *shape)
        y = layer.forward(x, training=True)
        assert set(np.unique(y / x)) <= {0.0, 2.0}


# Whole channels


def test_spatial_dropout_drops_whole_channels_and_scales_the_others() -> None:
    layer, x = SpatialDropout2D(0.25), normal(0, 40, 50, 2, 3)
    layer.generator = np.random.default_rng(0)
    y = layer.forward(x, training=True)
    kept = random_mask(np.random.default_rng(0), (40, 50), 0.25)
    assert_close(y, oracles.dropout(x, np.broadcast_to(kept[:, :, None, None], x.shape), 0.25))
    assert 1 - kept.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(layer.backward(x), y)


def test_spatial_dropout_out_of_training_changes_nothing() -> None:
    layer, x = SpatialDropout2D(0.5), normal(0, 2, 3, 2, 2)
    layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_spatial_dropout_draws_a_generator_of_its_own_and_takes_images_alone() -> None:
    layer = SpatialDropout2D(0.5)
    layer.forward(np.ones((4, 6, 1, 1)), training=True)
    assert isinstance(layer.generator, np.random.Generator)
    with pytest.raises(ValueError, match=r"SpatialDropout2D expects images \(N, C, H, W\)"):
        SpatialDropout2D(0.5).build((6,))
    with pytest.raises(ValueError, match=r"SpatialDropout2D: rate, the share that is dropped, must be"):
        SpatialDropout2D(1)
