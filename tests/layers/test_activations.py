"""The activations are the oracles', number by number, at kinks and far out too."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import oracles
import strategies
from handconv.layers import ELU, GELU, Layer, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from helpers import assert_close
from strategies import in_memory_order, normal, tied

ACTIVATIONS: dict[str, tuple[Callable[[], Layer], Callable[..., Any], Callable[..., Any]]] = {
    "LeakyReLU": (
        lambda: LeakyReLU(0.3),
        lambda x: oracles.leaky_relu_forward(x, 0.3),
        lambda x, dy: oracles.leaky_relu_backward(x, dy, 0.3),
    ),
    "LeakyReLU by default": (LeakyReLU, oracles.leaky_relu_forward, oracles.leaky_relu_backward),
    "LeakyReLU, slope 1": (
        lambda: LeakyReLU(1),
        lambda x: oracles.leaky_relu_forward(x, 1),
        lambda x, dy: oracles.leaky_relu_backward(x, dy, 1),
    ),
    "ReLU": (ReLU, oracles.relu_forward, oracles.relu_backward),
    "Sigmoid": (Sigmoid, oracles.sigmoid_forward, oracles.sigmoid_backward),
    "Tanh": (Tanh, oracles.tanh_forward, oracles.tanh_backward),
}
every_activation = pytest.mark.parametrize(("make", "forward", "backward"), ACTIVATIONS.values(), ids=ACTIVATIONS)
shapes = npst.array_shapes(min_dims=1, max_dims=4, max_side=4)
orders = strategies.memory_orders


@every_activation
@given(shape=shapes, order=orders, dy_order=orders, seed=strategies.seeds, values=st.sampled_from((normal, tied)))
def test_forward_and_backward_are_the_oracles(
    make: Any,
    forward: Any,
    backward: Any,
    shape: tuple[int, ...],
    order: str,
    dy_order: str,
    seed: int,
    values: Callable[..., Any],
) -> None:
    layer, x, dy = make(), 3 * values(seed, *shape), normal(seed + 1, *shape)
    assert_close(layer.forward(in_memory_order(x, order)), forward(x))
    assert_close(layer.backward(in_memory_order(dy, dy_order)), backward(x, dy))


@given(st.integers(1, 4), st.integers(1, 6), orders, orders, strategies.seeds)
def test_softmax_is_the_oracle(samples: int, classes: int, order: str, dy_order: str, seed: int) -> None:
    layer, x, dy = Softmax(), 3 * normal(seed, samples, classes), normal(seed + 1, samples, classes)
    assert_close(layer.forward(in_memory_order(x, order)), oracles.softmax_forward(x))
    assert_close(layer.backward(in_memory_order(dy, dy_order)), oracles.softmax_backward(x, dy))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_activation
def test_far_out_stays_finite(make: Any, forward: Any, backward: Any, dtype: Any) -> None:
    x = np.array([[-1e30, -1e4, -100, 0, 100, 1e4, 1e30]], dtype)
    layer = make()
    np.testing.assert_allclose(layer.forward(x), forward(oracles.array(x)), rtol=1e-6, atol=1e-7)
    dx = layer.backward(np.ones_like(x))
    np.testing.assert_allclose(dx, backward(oracles.array(x), np.ones(x.shape)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_huge_scores_is_finite_and_sums_to_one(dtype: Any) -> None:
    layer = Softmax()
    y = layer.forward(np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]], dtype))
    np.testing.assert_allclose(y, [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    assert np.isfinite(layer.backward(np.ones(y.shape))).all()


def test_softmax_of_shifted_scores_is_the_same() -> None:
    x = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_array_equal(Softmax().forward(x), Softmax().forward(x + 1024))


@pytest.mark.parametrize("make", [ReLU, lambda: LeakyReLU(0.0)])
def test_the_slope_of_relu_at_zero_is_zero(make: Any) -> None:
    layer = make()
    layer.forward(np.array([[0.0, -0.0]]))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 2))), 0)


def test_the_slope_of_leaky_relu_at_zero_is_alpha() -> None:
    layer = LeakyReLU(0.25)
    layer.forward(np.array([[0.0, -0.0]]))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 2))), 0.25)


@given(st.floats(0, 1, width=32))
def test_the_slope_of_leaky_relu_where_positive_is_one_to_the_bit(alpha: float) -> None:
    for dtype in (np.float32, np.float64):
        layer = LeakyReLU(alpha)
        layer.forward(np.array([[1e-30, 1.0, 1e30]], dtype))
        np.testing.assert_array_equal(layer.backward(np.ones((1, 3), dtype)), 1)


@pytest.mark.parametrize("make", [lambda: LeakyReLU(0.0), LeakyReLU, ReLU, Sigmoid, Tanh, Softmax])
def test_nan_is_not_swallowed(make: Any) -> None:
    assert np.isnan(make().forward(np.array([[np.nan, 1.0]]))[0, 0])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), float("inf"), "a", None])
def test_alpha_must_lie_between_zero_and_one(alpha: Any) -> None:
    with pytest.raises(ValueError, match=rf"LeakyReLU: alpha must be a number from 0 to 1, got {alpha!r}"):
        LeakyReLU(alpha)


def test_sigmoid_is_precise_far_out_in_float32() -> None:
    y = Sigmoid().forward(np.array([[-20.0, -80.0]], np.float32))
    np.testing.assert_allclose(y, [[2.0611537e-09, 1.8048513e-35]], rtol=1e-6)


def test_softmax_is_over_the_last_axis_forward_and_backward() -> None:
    layer, x, dy = Softmax(), normal(0, 2, 3, 4), normal(1, 2, 3, 4)
    flat = Softmax()
    np.testing.assert_allclose(layer.forward(x).reshape(6, 4), flat.forward(x.reshape(6, 4)), rtol=1e-6)
    np.testing.assert_allclose(layer.backward(dy).reshape(6, 4), flat.backward(dy.reshape(6, 4)), rtol=1e-5, atol=1e-7)


@every_activation
def test_the_shape_may_change_from_call_to_call(
    make: Callable[[], Layer], forward: Callable[..., Any], backward: Callable[..., Any]
) -> None:
    layer = make()
    for shape in ((2, 3), (2, 5), (1, 2, 4, 4)):
        x, dy = normal(0, *shape), normal(1, *shape)
        assert_close(layer.forward(x), forward(x))
        assert_close(layer.backward(dy), backward(x, dy))


SMOOTH: dict[str, tuple[Callable[[], Layer], Callable[[float], float]]] = {
    "ELU": (ELU, lambda x: x if x > 0 else math.exp(x) - 1),
    "ELU, alpha 0.3": (lambda: ELU(0.3), lambda x: x if x > 0 else 0.3 * (math.exp(x) - 1)),
    "Softplus": (Softplus, lambda x: math.log(1 + math.exp(x))),
    "SiLU": (SiLU, lambda x: x / (1 + math.exp(-x))),
    "GELU": (GELU, lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
}
every_smooth = pytest.mark.parametrize(("make", "function"), SMOOTH.values(), ids=SMOOTH)


@every_smooth
@given(shape=shapes, order=orders, dy_order=orders, seed=strategies.seeds)
def test_smooth_activations_are_their_formulas_and_their_slopes_those_of_differences(
    make: Any, function: Any, shape: tuple[int, ...], order: str, dy_order: str, seed: int
) -> None:
    layer, x, dy = make(), 3 * normal(seed, *shape), normal(seed + 1, *shape)
    each = np.vectorize(function, otypes=[np.float64])
    assert_close(layer.forward(in_memory_order(x, order)), each(x))
    slope = (each(x + 1e-5) - each(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(layer.backward(in_memory_order(dy, dy_order)), slope * dy, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("make", "far"),
    [(ELU, [-1, -1, 1e4, 1e30]), (Softplus, [0, 0, 1e4, 1e30]), (SiLU, [0, 0, 1e4, 1e30]), (GELU, [0, 0, 1e4, 1e30])],
)
def test_smooth_activations_far_out_are_exact_and_have_a_slope(make: Any, far: list[float], dtype: Any) -> None:
    layer = make()
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_allclose(layer.forward(np.array([[-1e30, -1e4, 1e4, 1e30]], dtype)), [far], rtol=1e-6)
        np.testing.assert_allclose(layer.backward(np.ones((1, 4))), [[0, 0, 1, 1]], atol=1e-7)


@pytest.mark.parametrize("make", [ELU, Softplus, SiLU, GELU])
def test_smooth_activations_do_not_swallow_nan(make: Any) -> None:
    assert np.isnan(make().forward(np.array([[np.nan, 1.0]]))[0, 0])


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), "a"])
def test_alpha_of_elu_must_be_above_zero(alpha: Any) -> None:
    with pytest.raises(ValueError, match=rf"ELU: alpha must be a number above 0, got {alpha!r}"):
        ELU(alpha)


@pytest.mark.parametrize("make", [SiLU, GELU])
def test_gated_outputs_far_below_zero_are_no_negative_zeros(make: Any) -> None:
    y = make().forward(np.array([[-1e4, -1e30]]))
    assert not np.signbit(y).any()
