"""Conv2D is the oracle's convolution over all geometries and memory orders, and refuses what makes no sense."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.layers import Conv2D
from helpers import assert_close
from strategies import Geometry, in_memory_order, normal


def layer_of(case: Geometry, **arguments: Any) -> Conv2D:
    layer = Conv2D(case.filters, case.window, stride=case.stride, padding=case.padding, **arguments)
    layer.build(case.shape[1:], dtype=np.float64, generator=0)
    return layer


@given(strategies.convolutions(), strategies.memory_orders, strategies.memory_orders, strategies.seeds)
@example(Geometry((1, 1, 2, 3), 1, (1, 1), (6, 6), 2), "C", "C", 0)  # the only output row lies in the padding
@example(Geometry((2, 1, 3, 3), 1, (1, 3), (2, 1), (1, 2)), "C", "C", 0)
def test_forward_and_backward_are_the_oracles(case: Geometry, order: str, dy_order: str, seed: int) -> None:
    layer = layer_of(case)
    x, biases = normal(seed, *case.shape), normal(seed + 1, case.filters)
    layer.biases = biases
    y = layer.forward(in_memory_order(x, order))
    assert_close(y, oracles.conv2d_forward(x, oracles.array(layer.weights), biases, case.stride, case.pads))
    dy = normal(seed + 2, *y.shape)
    dx = layer.backward(in_memory_order(dy, dy_order))
    expected = oracles.conv2d_backward(x, oracles.array(layer.weights), dy, case.stride, case.pads)
    for mine, theirs in zip((dx, layer.dweights, layer.dbiases), expected, strict=True):
        assert_close(mine, theirs)


@given(strategies.convolutions(), strategies.seeds)
def test_float32_is_the_oracle_to_its_precision(case: Geometry, seed: int) -> None:
    layer = Conv2D(case.filters, case.window, stride=case.stride, padding=case.padding)
    x = normal(seed, *case.shape, dtype=np.float32)
    y = layer.forward(x)
    dy = normal(seed + 1, *y.shape, dtype=np.float32)
    dx = layer.backward(dy)
    weights = oracles.array(layer.weights)
    how = (case.stride, case.pads)
    expected = oracles.conv2d_forward(oracles.array(x), weights, np.zeros(case.filters), *how)
    assert_close(y, expected, 2e-5)
    expected_dx, expected_dweights, _ = oracles.conv2d_backward(oracles.array(x), weights, oracles.array(dy), *how)
    assert_close(dx, expected_dx, 2e-5)
    assert_close(layer.dweights, expected_dweights, 2e-5)


@given(strategies.convolutions(), strategies.seeds)
def test_backward_is_the_adjoint_of_forward(case: Geometry, seed: int) -> None:
    layer = layer_of(case, use_bias=False)
    x = normal(seed, *case.shape)
    image = layer.forward(x)
    y = normal(seed + 1, *image.shape)
    gradient = layer.backward(y)
    scale = float(np.abs(layer.weights).sum() * np.linalg.norm(x) * np.linalg.norm(y)) + 1e-300
    assert abs(np.vdot(image, y) - np.vdot(x, gradient)) <= 1e-12 * scale
    # linear in the weights too: <A w, y> = <w, A^T y>
    assert abs(np.vdot(image, y) - np.vdot(layer.weights, layer.dweights)) <= 1e-12 * scale


@given(strategies.convolutions(largest=5), st.integers(2, 5))
def test_the_gradient_of_a_batch_is_the_sum_over_its_shards(case: Geometry, samples: int) -> None:
    layer = layer_of(case)
    x = normal(0, samples, *case.shape[1:])
    dy = normal(1, *layer.forward(x).shape)
    dx = layer.backward(dy)
    whole = layer.dweights.copy(), layer.dbiases.copy()
    parts = [np.zeros_like(part) for part in whole]
    for shard in (slice(0, 1), slice(1, samples)):
        layer.forward(x[shard])
        assert_close(layer.backward(dy[shard]), dx[shard])
        parts[0] += layer.dweights
        parts[1] += layer.dbiases
    assert_close(parts[0], whole[0])
    assert_close(parts[1], whole[1])


def test_the_reference_layers_have_the_shapes_and_parameters_of_the_table() -> None:
    first, second = Conv2D(8, 3), Conv2D(16, 3)
    assert first.build((1, 28, 28)) == (8, 26, 26)
    assert second.build((8, 13, 13)) == (16, 11, 11)
    assert first.weights.shape == (8, 1, 3, 3)
    assert first.weights.size + first.biases.size == 80
    assert second.weights.size + second.biases.size == 1168
    assert first.multiply_adds == 8 * 26 * 26 * (1 * 3 * 3)
    assert second.multiply_adds == 16 * 11 * 11 * (8 * 3 * 3)


def test_numbers_pairs_lists_and_numpy_numbers_are_read_alike() -> None:
    expected = Conv2D(2, (3, 3), stride=(2, 2), padding=(1, 1)).config()
    assert Conv2D(2, 3, stride=2, padding=1).config() == expected
    assert Conv2D(np.int64(2), [3, 3], stride=[2, 2], padding=[1, 1]).config() == expected  # type: ignore[arg-type]
    assert Conv2D(2, np.int32(3), stride=np.int64(2), padding=np.uint8(1)).config() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("filters", [0, -1, 2.5, True, "8", None])
def test_filters_must_be_a_positive_whole_number(filters: Any) -> None:
    with pytest.raises(ValueError, match="Conv2D: filters must be a whole number of at least 1, got"):
        Conv2D(filters, 3)


@pytest.mark.parametrize("value", [0, (3, 0), (3,), (1, 2, 3), 2.0, (2.0, 2), "33", None, True])
@pytest.mark.parametrize("name", ["kernel_size", "stride"])
def test_kernel_and_stride_must_be_positive_whole_numbers(name: str, value: Any) -> None:
    arguments = {"kernel_size": 3, name: value}
    with pytest.raises(ValueError, match=rf"Conv2D: {name} must be a whole number of at least 1 or a pair .*, got"):
        Conv2D(1, **arguments)


@pytest.mark.parametrize("padding", [-1, (0, -1), 1.5, (1, 2, 3), None])
def test_padding_must_not_be_negative(padding: Any) -> None:
    with pytest.raises(ValueError, match="Conv2D: padding must be a whole number of at least 0 or a pair of them"):
        Conv2D(1, 3, padding=padding)


def test_padding_words_are_same_and_valid() -> None:
    with pytest.raises(ValueError, match='Conv2D: padding must be a number, a pair, "same" or "valid", got \'full\''):
        Conv2D(1, 3, padding="full")


def test_only_images_are_taken() -> None:
    with pytest.raises(ValueError, match=r"Conv2D expects images \(N, C, H, W\), got .*\(28, 28\).*x\[:, None\]"):
        Conv2D(1, 3).forward(np.ones((5, 28, 28)))


def test_a_kernel_larger_than_the_padded_image_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the kernel \(5, 3\) does not fit into images of 4x9 with padding \(0, 0\)"):
        Conv2D(1, (5, 3)).forward(np.ones((1, 1, 4, 9)))
    assert Conv2D(1, (5, 3), padding=1).forward(np.ones((1, 1, 4, 9))).shape == (1, 1, 2, 9)


def test_the_initial_weights_have_the_spread_of_he() -> None:
    layer = Conv2D(64, 3)
    layer.build((32, 8, 8), generator=0)
    assert layer.weights.std() == pytest.approx(np.sqrt(2 / (32 * 9)), rel=0.02)
    np.testing.assert_array_equal(layer.biases, 0)


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), strategies.convolutions(largest=5), strategies.seeds)
def test_groups_are_convolutions_side_by_side(
    groups: int, channels: int, filters: int, case: Geometry, seed: int
) -> None:
    samples, _, height, width = case.shape
    layer = Conv2D(groups * filters, case.window, stride=case.stride, padding=case.padding, groups=groups)
    x = normal(seed, samples, groups * channels, height, width)
    y = layer.forward(x)
    assert layer.weights.shape == (groups * filters, channels, *case.window)
    dy, how = normal(seed + 1, *y.shape), (case.stride, case.pads)
    dx = layer.backward(dy)
    for group in range(groups):
        of_x, of_y = (slice(group * each, (group + 1) * each) for each in (channels, filters))
        w, b = oracles.array(layer.weights[of_y]), np.zeros(filters)
        assert_close(y[:, of_y], oracles.conv2d_forward(x[:, of_x], w, b, *how))
        expected = oracles.conv2d_backward(x[:, of_x], w, dy[:, of_y], *how)
        for mine, theirs in zip((dx[:, of_x], layer.dweights[of_y], layer.dbiases[of_y]), expected, strict=True):
            assert_close(mine, theirs)


@given(st.tuples(st.integers(1, 3), st.integers(1, 3)), strategies.convolutions(largest=5), strategies.seeds)
def test_a_dilated_kernel_is_one_with_zeros_between_its_cells(
    dilation: tuple[int, int], case: Geometry, seed: int
) -> None:
    window = tuple((size - 1) * step + 1 for size, step in zip(case.window, dilation, strict=True))
    size = case.shape[2] + window[0], case.shape[3] + window[1]
    layer = Conv2D(case.filters, case.window, stride=case.stride, padding=1, dilation=dilation)
    x = normal(seed, *case.shape[:2], *size)
    y = layer.forward(x)
    spread = np.zeros((*layer.weights.shape[:2], *window))
    spread[:, :, :: dilation[0], :: dilation[1]] = layer.weights
    pads = ((1, 1), (1, 1))
    assert_close(y, oracles.conv2d_forward(x, spread, np.zeros(case.filters), case.stride, pads))
    dy = normal(seed + 1, *y.shape)
    dx = layer.backward(dy)
    expected_dx, expected_dweights, _ = oracles.conv2d_backward(x, spread, dy, case.stride, pads)
    assert_close(dx, expected_dx)
    assert_close(layer.dweights, expected_dweights[:, :, :: dilation[0], :: dilation[1]])


def test_groups_divide_filters_and_channels() -> None:
    with pytest.raises(ValueError, match=r"Conv2D: groups must divide the filters, 8, got 3\."):
        Conv2D(8, 3, groups=3)
    with pytest.raises(ValueError, match=r"Conv2D: groups must divide the channels, 3, got 2\."):
        Conv2D(8, 3, groups=2).build((3, 5, 5))


def test_images_whose_channels_obviously_stand_last_get_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"Channels last\? Images are \(C, H, W\), here \(1, 28, 28\): x\.transpose"):
        Conv2D(8, 3).build((28, 28, 1))


@pytest.mark.parametrize(
    ("shape", "told"),
    [((5, 9, 3), True), ((9, 9, 4), True), ((4, 9, 3), False), ((9, 9, 2), False), ((9, 9, 5), False)],
)
def test_channels_stand_last_where_there_are_1_3_or_4_of_them_and_more_of_the_first(
    shape: tuple[int, int, int], told: bool
) -> None:
    with pytest.raises(ValueError, match="does not fit into images") as error:
        Conv2D(8, 7).build(shape)
    assert ("Channels last?" in str(error.value)) == told
