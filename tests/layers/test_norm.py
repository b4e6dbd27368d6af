"""The normalisations are the oracle's, whatever they take their statistics over, and BatchNorm keeps running ones."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.layers import BatchNorm, GroupNorm, LayerNorm
from helpers import assert_close
from strategies import in_memory_order, normal

sizes, orders = st.integers(1, 4), strategies.memory_orders


def with_parameters(layer: Any, shape: tuple[int, ...], seed: int) -> Any:
    layer.build(shape, dtype=np.float64)
    layer.gamma, layer.beta = normal(seed + 2, *layer.gamma.shape), normal(seed + 3, *layer.beta.shape)
    return layer


@given(st.integers(2, 4), sizes, sizes, sizes, orders, orders, strategies.seeds, st.sampled_from((1e-5, 0.1)))
def test_batch_norm_is_the_oracle(
    samples: int, channels: int, height: int, width: int, order: str, dy_order: str, seed: int, epsilon: float
) -> None:
    shape = (samples, channels, height, width)
    layer = with_parameters(BatchNorm(epsilon=epsilon), shape[1:], seed)
    x, dy = normal(seed, *shape), normal(seed + 1, *shape)
    gamma, beta = oracles.array(layer.gamma), oracles.array(layer.beta)
    expected, _, _ = oracles.batch_norm_forward(x, gamma, beta, epsilon)
    assert_close(layer.forward(in_memory_order(x, order), training=True), expected, 1e-10)
    dx = layer.backward(in_memory_order(dy, dy_order))
    expected_gradients = oracles.batch_norm_backward(x, gamma, dy, epsilon)
    for mine, theirs in zip((dx, layer.dgamma, layer.dbeta), expected_gradients, strict=True):
        assert_close(mine, theirs, 1e-8)


def test_batch_norm_of_vectors_is_that_of_images_of_one_pixel() -> None:
    x, dy = normal(0, 5, 3), normal(1, 5, 3)
    vectors, images = with_parameters(BatchNorm(), (3,), 0), with_parameters(BatchNorm(), (3, 1, 1), 0)
    assert_close(vectors.forward(x, training=True), images.forward(x[:, :, None, None], training=True)[:, :, 0, 0])
    assert_close(vectors.backward(dy), images.backward(dy[:, :, None, None])[:, :, 0, 0])


def test_running_statistics_move_by_the_share_that_is_not_kept() -> None:
    layer = BatchNorm(momentum=0.75)
    layer.forward(np.array([[2.0], [6.0]]), training=True)  # mean 4; variance 4, of a sample 8
    assert layer.running_mean.tolist() == [0.25 * 4]
    assert layer.running_var.tolist() == [0.75 * 1 + 0.25 * 8]
    layer.forward(np.array([[0.0], [0.0]]), training=True)
    assert layer.running_mean.tolist() == [0.75]


def test_out_of_training_the_running_statistics_serve_and_stay() -> None:
    layer = with_parameters(BatchNorm(epsilon=1e-12), (1,), 0)
    layer.running_mean, layer.running_var, layer.gamma, layer.beta = 2, 9, 3, 1
    assert_close(layer.forward(np.array([[2.0], [5.0], [-1.0]])), np.array([[1.0], [4.0], [-2.0]]), 1e-9)
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([2], [9])
    assert_close(layer.backward(np.array([[1.0], [0.0], [2.0]])), np.array([[1.0], [0.0], [2.0]]), 1e-9)


def test_a_backward_out_of_training_does_not_hear_of_statistics_that_moved_since() -> None:
    layer = BatchNorm()
    layer.forward(np.array([[2.0], [6.0]]))
    expected = layer.backward(np.ones((2, 1)))
    layer.forward(np.array([[2.0], [6.0]]))
    layer.running_var = 100
    np.testing.assert_array_equal(layer.backward(np.ones((2, 1))), expected)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_a_single_number_for_each_feature_has_no_variance(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"BatchNorm in training needs at least 2 numbers for each feature, got 1: "):
        BatchNorm().forward(np.ones(shape), training=True)
    assert BatchNorm().forward(np.ones(shape)).shape == shape


def test_single_numbers_have_no_features() -> None:
    with pytest.raises(ValueError, match=r"BatchNorm expects features, \(N, D\).*Use x\[:, None\]"):
        BatchNorm().forward(np.ones(3))


def test_one_image_of_several_pixels_is_enough() -> None:
    assert_close(BatchNorm().forward(np.array([[[[1.0, 3.0]]]]), training=True), np.array([[[[-1.0, 1.0]]]]), 1e-5)


@given(sizes, sizes, sizes, sizes, orders, orders, strategies.seeds)
def test_layer_norm_is_the_oracle_over_each_sample(
    samples: int, channels: int, height: int, width: int, order: str, dy_order: str, seed: int
) -> None:
    shape = (samples, channels, height, width)
    layer = with_parameters(LayerNorm(0.01), shape[1:], seed)
    compare_by_groups(layer, shape, (1, samples, channels * height * width, 1), order, dy_order, seed)


@given(sizes, sizes, sizes, sizes, sizes, orders, orders, strategies.seeds)
def test_group_norm_is_the_oracle_over_each_group(
    samples: int, groups: int, each: int, height: int, width: int, order: str, dy_order: str, seed: int
) -> None:
    shape = (samples, groups * each, height, width)
    layer = with_parameters(GroupNorm(groups, 0.01), shape[1:], seed)
    compare_by_groups(layer, shape, (1, samples * groups, each * height * width, 1), order, dy_order, seed)


def compare_by_groups(
    layer: Any, shape: tuple[int, ...], grouped: tuple[int, ...], order: str, dy_order: str, seed: int
) -> None:
    """Each group of numbers is what the oracle calls a channel; scale and shift are taken apart from it."""
    x, dy = normal(seed, *shape), normal(seed + 1, *shape)
    spread = (slice(None), None, None) if layer.gamma.ndim == 1 else ...
    gamma, beta, count = layer.gamma[spread], layer.beta[spread], grouped[1]
    x_hat, _, _ = oracles.batch_norm_forward(x.reshape(grouped), np.ones(count), np.zeros(count), 0.01)
    x_hat = x_hat.reshape(shape)
    assert_close(layer.forward(in_memory_order(x, order)), gamma * x_hat + beta, 1e-10)
    dx = layer.backward(in_memory_order(dy, dy_order))
    expected, _, _ = oracles.batch_norm_backward(
        x.reshape(grouped), np.ones(count), (gamma * dy).reshape(grouped), 0.01
    )
    assert_close(dx, expected.reshape(shape), 1e-9)
    axes = (0, 2, 3) if layer.gamma.ndim == 1 else 0
    assert_close(layer.dgamma, (dy * x_hat).sum(axis=axes), 1e-10)
    assert_close(layer.dbeta, dy.sum(axis=axes), 1e-10)


@pytest.mark.parametrize("make", [lambda: LayerNorm(), lambda: GroupNorm(2)])
def test_normalisations_of_a_sample_do_not_look_at_others_or_at_training(make: Any) -> None:
    x = normal(0, 3, 4, 2, 2)
    layer = make()
    whole = layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.forward(x), whole)
    np.testing.assert_array_equal(layer.forward(x[1:2]), whole[1:2])


def test_scales_and_shifts_do_not_decay() -> None:
    specs = [spec for layer in (BatchNorm(), LayerNorm(), GroupNorm(2)) for spec in layer.declare((4, 3, 3))]
    assert not any(spec.decays for spec in specs)
    assert [spec.name for spec in specs if not spec.trainable] == ["running_mean", "running_var"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm(1.0), r"BatchNorm: momentum must be a number of at least 0 and below 1, got 1\.0"),
        (lambda: BatchNorm(-0.1), r"BatchNorm: momentum must be"),
        (lambda: BatchNorm(epsilon=0), r"BatchNorm: epsilon must be a number above 0, got 0"),
        (lambda: LayerNorm(-1), r"LayerNorm: epsilon must be a number above 0, got -1"),
        (lambda: GroupNorm(2, 0), r"GroupNorm: epsilon must be a number above 0, got 0"),
        (lambda: LayerNorm(10), r"LayerNorm: epsilon keeps .* at most 1, got 10\. How many .* the inputs tell"),
        (lambda: GroupNorm(4, 16), r"GroupNorm: epsilon keeps .* at most 1, got 16\."),
        (lambda: GroupNorm(0), r"GroupNorm: groups must be a whole number of at least 1, got 0"),
        (lambda: GroupNorm(2).build((3, 4, 4)), r"GroupNorm: groups must divide the channels, 3, got 2\."),
        (lambda: GroupNorm(1).build((4,)), r"GroupNorm expects images \(N, C, H, W\)"),
    ],
)
def test_arguments_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
