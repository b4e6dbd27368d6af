"""Flatten and Reshape read each sample row by row, whatever lies in memory."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handconv as hc
import strategies
from handconv.layers import Flatten, Reshape, ZeroPad2D
from strategies import in_memory_order, normal

SHAPES = [(12,), (3, 4), (2, 3, 2), (1, 3, 4), (1, 1, 3, 4)]
shapes, orders = st.sampled_from(SHAPES), strategies.memory_orders


@given(shapes, shapes, st.integers(1, 4), orders, orders)
def test_reshape_is_numpys_reshape_in_both_directions(
    before: tuple[int, ...], after: tuple[int, ...], samples: int, order: str, dy_order: str
) -> None:
    layer, x, dy = Reshape(after), normal(0, samples, *before), normal(1, samples, *after)
    np.testing.assert_array_equal(layer.forward(in_memory_order(x, order)), x.reshape(samples, *after))
    dx = layer.backward(in_memory_order(dy, dy_order))
    np.testing.assert_array_equal(dx, dy.reshape(samples, *before))
    assert np.vdot(layer.forward(x), dy) == pytest.approx(np.vdot(x, dx), rel=1e-12)


def test_flatten_is_in_the_order_channel_row_column() -> None:
    x = normal(0, 2, 3, 4, 5)
    y = Flatten().forward(in_memory_order(x, "batch innermost"))
    for n, c, i, j in np.ndindex(*x.shape):
        assert y[n, (c * 4 + i) * 5 + j] == x[n, c, i, j]


def test_flatten_brings_the_shape_back_in_backward() -> None:
    layer = Flatten()
    y = layer.forward(normal(0, 5, 16, 5, 5))
    assert y.shape == (5, 400)
    assert layer.backward(y).shape == (5, 16, 5, 5)


def test_one_entry_may_be_worked_out() -> None:
    assert Reshape((2, -1, 3)).build((12,)) == (2, 2, 3)
    assert Reshape([-1]).build((3, 4)) == (12,)


@pytest.mark.parametrize("shape", [(0,), (-2, 3), (-1, -1), (2.5, 2), ("2",), "12", 12, None])
def test_entries_must_be_whole_and_one_at_most_open(shape: Any) -> None:
    with pytest.raises(ValueError, match="Reshape: shape must be whole numbers of at least 1, one of them may be -1"):
        Reshape(shape)


@pytest.mark.parametrize("shape", [(5, 2), (5, -1), (24,)])
def test_the_number_of_values_must_stay_the_same(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"cannot bring samples of shape \(3, 4\) \(12 values\) to .* stay the same"):
        Reshape(shape).forward(np.ones((2, 3, 4)))


def test_networks_may_reshape_images_to_images() -> None:
    """Their passes are captured, in which NumPy must not copy by itself."""
    x = normal(0, 3, 2, 6, 6).astype(np.float32)
    network = hc.Sequential(
        [Reshape((8, 3, 3)), hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(2, 6, 6), seed=0
    )
    expected = network.forward(x)
    for _ in range(2):
        np.testing.assert_allclose(network.infer(x), expected, rtol=1e-5)
    network.fit(x, [0, 1, 0], epochs=2)


@given(st.tuples(*[st.integers(0, 3)] * 4), st.integers(1, 4), st.integers(1, 4), orders, orders)
def test_zero_padding_is_numpys_and_its_gradient_the_middle(
    sides: tuple[int, int, int, int], height: int, width: int, order: str, dy_order: str
) -> None:
    top, bottom, left, right = sides
    layer, x = ZeroPad2D(sides), normal(0, 2, 3, height, width)
    y = layer.forward(in_memory_order(x, order))
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))))
    dy = normal(1, *y.shape)
    dx = layer.backward(in_memory_order(dy, dy_order))
    np.testing.assert_array_equal(dx, dy[:, :, top : top + height, left : left + width])


def test_zero_padding_is_read_as_a_number_a_pair_or_four() -> None:
    assert ZeroPad2D().padding == ZeroPad2D(1).padding == (1, 1, 1, 1)
    assert ZeroPad2D((2, 3)).padding == (2, 2, 3, 3)
    assert ZeroPad2D([1, 2, 3, np.int64(4)]).padding == (1, 2, 3, 4)


@pytest.mark.parametrize("padding", [-1, (1, 2, 3), (1, -1), "same", 1.5, None, True])
def test_zero_padding_is_checked(padding: Any) -> None:
    with pytest.raises(
        ValueError, match=r"ZeroPad2D: padding must be a whole number of at least 0, \(rows, columns\) or"
    ):
        ZeroPad2D(padding)
