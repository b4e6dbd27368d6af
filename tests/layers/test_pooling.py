"""The pooling layers are the oracles', over all geometries, memory orders and ties."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.layers import AveragePool2D, GlobalAveragePool2D, MaxPool2D
from helpers import assert_close
from strategies import Geometry, in_memory_order, normal, resolve_padding, tied

orders = strategies.memory_orders
paddings = st.sampled_from(("as drawn", "same", "valid"))


def arguments_of(case: Geometry, padding: str) -> tuple[dict[str, Any], oracles.Padding]:
    """The layer's arguments, and the padding in numbers; a named padding replaces the drawn one where it can."""
    size = (case.shape[2], case.shape[3])
    fits = padding == "same" or (padding == "valid" and all(size[a] >= case.window[a] for a in range(2)))
    chosen = padding if fits else case.padding
    pads = resolve_padding(chosen, size, case.window, case.stride)
    return {"pool_size": case.window, "stride": case.stride, "padding": chosen}, pads


@pytest.mark.parametrize("values", [normal, tied])
@given(case=strategies.poolings(), padding=paddings, order=orders, dy_order=orders, seed=strategies.seeds)
def test_max_pool_is_the_oracle(
    values: Callable[..., Any], case: Geometry, padding: str, order: str, dy_order: str, seed: int
) -> None:
    arguments, pads = arguments_of(case, padding)
    layer, x = MaxPool2D(**arguments), values(seed, *case.shape)
    y = layer.forward(in_memory_order(x, order))
    np.testing.assert_array_equal(y, oracles.max_pool_forward(x, case.window, case.stride, pads))
    dy = normal(seed + 1, *y.shape)
    dx = layer.backward(in_memory_order(dy, dy_order))
    assert_close(dx, oracles.max_pool_backward(x, dy, case.window, case.stride, pads))


@given(case=strategies.poolings(), padding=paddings, order=orders, dy_order=orders, seed=strategies.seeds)
def test_average_pool_is_the_oracle(case: Geometry, padding: str, order: str, dy_order: str, seed: int) -> None:
    arguments, pads = arguments_of(case, padding)
    layer, x = AveragePool2D(**arguments), normal(seed, *case.shape)
    y = layer.forward(in_memory_order(x, order))
    assert_close(y, oracles.average_pool_forward(x, case.window, case.stride, pads))
    dy = normal(seed + 1, *y.shape)
    dx = layer.backward(in_memory_order(dy, dy_order))
    assert_close(dx, oracles.average_pool_backward(x.shape, dy, case.window, case.stride, pads))
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-12 * float(np.linalg.norm(x) * np.linalg.norm(dy))


@given(strategies.poolings(), orders, orders, strategies.seeds)
def test_global_average_pool_is_the_oracle(case: Geometry, order: str, dy_order: str, seed: int) -> None:
    layer, x = GlobalAveragePool2D(), normal(seed, *case.shape)
    y = layer.forward(in_memory_order(x, order))
    assert_close(y, oracles.global_average_pool_forward(x))
    dy = normal(seed + 1, *y.shape)
    dx = layer.backward(in_memory_order(dy, dy_order))
    assert_close(dx, oracles.global_average_pool_backward(x.shape, dy))
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-12 * float(np.linalg.norm(x) * np.linalg.norm(dy))


def test_a_tie_sends_the_gradient_to_the_first_maximum_only() -> None:
    layer = MaxPool2D(2)
    layer.forward(np.zeros((1, 1, 4, 4)))
    dx = layer.backward(np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_of_the_ties_the_first_in_row_major_order_wins(place: tuple[int, int]) -> None:
    x = np.full((1, 1, 2, 2), 5.0)
    x[0, 0].reshape(-1)[: place[0] * 2 + place[1]] = 4  # all before the place are smaller, all after it tie
    layer = MaxPool2D(2)
    layer.forward(x)
    dx = layer.backward(np.ones((1, 1, 1, 1)))
    assert np.argwhere(dx[0, 0]).tolist() == [list(place)]


def test_the_gradient_that_leaves_is_the_gradient_that_came(rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, (4, 2, 9, 9)).astype(np.float64)
    layer = MaxPool2D(3, stride=2, padding=1)
    dy = rng.integers(-9, 9, layer.forward(x).shape).astype(np.float64)
    assert layer.backward(dy).sum() == dy.sum()


def test_padding_of_a_max_pool_is_minus_infinity_not_zero() -> None:
    y = MaxPool2D(3, stride=2, padding=1).forward(np.full((1, 1, 4, 4), -7.0))
    np.testing.assert_array_equal(y, -7)


@pytest.mark.parametrize("value", [-7.0, -np.inf])
def test_no_gradient_gets_lost_in_the_padding(value: float) -> None:
    layer = MaxPool2D(3, stride=3, padding=1)
    y = layer.forward(np.full((1, 1, 5, 5), value))
    dx = layer.backward(np.ones(y.shape))
    assert dx.shape == (1, 1, 5, 5)
    assert dx.sum() == y.size
    assert dx[0, 0, 0, 0] == 1


@pytest.mark.parametrize("make", [MaxPool2D, AveragePool2D])
def test_odd_sizes_drop_the_rest_which_gets_no_gradient(make: Any, rng: np.random.Generator) -> None:
    layer = make(2)
    y = layer.forward(rng.normal(size=(2, 16, 11, 11)))
    assert y.shape == (2, 16, 5, 5)
    dx = layer.backward(np.ones(y.shape))
    assert dx.shape == (2, 16, 11, 11)
    np.testing.assert_array_equal(dx[:, :, 10], 0)
    np.testing.assert_array_equal(dx[:, :, :, 10], 0)
    assert dx.sum() == y.size


def test_overlapping_windows_add_their_gradients() -> None:
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1  # the maximum of all four windows
    layer = MaxPool2D(2, stride=1)
    layer.forward(x)
    dx = layer.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0], [0, 10, 0], [0, 0, 0]])


def test_nan_is_not_swallowed() -> None:
    x = np.zeros((1, 1, 2, 2))
    x[0, 0, 0, 1] = np.nan
    assert np.isnan(MaxPool2D(2).forward(x)).all()


def test_the_stride_is_the_window_unless_given() -> None:
    assert MaxPool2D((2, 3)).stride == (2, 3)
    assert MaxPool2D((2, 3), stride=1).stride == (1, 1)
    assert MaxPool2D().pool_size == (2, 2)


@pytest.mark.parametrize("make", [MaxPool2D, AveragePool2D])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "pool_size must be a whole number of at least 1 or a pair of them"),
        ({"pool_size": (2, 2, 2)}, "pool_size must be a whole number of at least 1 or a pair of them"),
        ({"stride": 0}, "stride must be a whole number of at least 1 or a pair of them"),
        ({"padding": -1}, "padding must be a whole number of at least 0 or a pair of them"),
        ({"padding": "full"}, 'padding must be a number, a pair, "same" or "valid"'),
        ({"padding": 2}, r"padding must be at most half of the window \(2, 2\), got 2"),
        (
            {"pool_size": (4, 1), "padding": (2, 1)},
            r"padding must be at most half of the window \(4, 1\), got ",
        ),
    ],
)
def test_arguments_are_checked(make: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{make.__name__}: {message}"):
        make(**arguments)


@pytest.mark.parametrize("make", [MaxPool2D, AveragePool2D])
def test_a_window_larger_than_the_image_is_an_error(make: Any) -> None:
    with pytest.raises(ValueError, match=r"the window \(3, 3\) does not fit into images of 2x5 with padding \(0, 0\)"):
        make(3).forward(np.ones((1, 1, 2, 5)))


@pytest.mark.parametrize("make", [MaxPool2D, AveragePool2D, GlobalAveragePool2D])
def test_only_images_are_taken(make: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{make.__name__} expects images \(N, C, H, W\), got .* \(9,\)"):
        make().forward(np.ones((2, 9)))
