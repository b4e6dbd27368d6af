"""Activations, softmax, dropout and changes of shape equal their pages."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from engine_helpers import ByProgram, Make, assert_op_is_page, assert_same_outputs, built
from handconv.engine.arena import Arena
from handconv.engine.layout import public_view
from handconv.engine.ops.base import Context
from handconv.engine.ops.elementwise import (
    DropoutOp,
    RectifierOp,
    ReshapeOp,
    SigmoidOp,
    SoftmaxOp,
    TanhOp,
    _ActivationOp,
)
from handconv.layers import Dropout, Flatten, LeakyReLU, ReLU, Reshape, Sigmoid, Softmax, Tanh
from strategies import normal

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple)
rates = st.sampled_from([0.0, 0.25, 0.5, 0.9])


@pytest.mark.parametrize("alpha", [None, 0.0, 0.25, 1.0])
@given(shape=shapes, seed=strategies.seeds)
def test_a_rectifier_is_its_page(alpha: float | None, shape: tuple[int, ...], seed: int) -> None:
    assert_op_is_page(lambda: [ReLU() if alpha is None else LeakyReLU(alpha)], shape, [RectifierOp], seed)


@given(shape=shapes, alpha=st.floats(0, 1), seed=strategies.seeds)
def test_the_slope_of_a_rectifier_is_the_pages_to_the_bit(shape: tuple[int, ...], alpha: float, seed: int) -> None:
    (page,) = built(lambda: [LeakyReLU(alpha)], shape[1:], np.float32)
    x, dy = (normal(seed + k, *shape, dtype=np.float32) for k in range(2))
    received = ByProgram(built(lambda: [LeakyReLU(alpha)], shape[1:], np.float32), np.float32)(x, dy)
    np.testing.assert_array_equal(received.y, page.forward(x))
    np.testing.assert_array_equal(received.dx, page.backward(dy))


@pytest.mark.parametrize(("layer", "op"), [(Sigmoid, SigmoidOp), (Tanh, TanhOp), (Softmax, SoftmaxOp)])
@given(shape=shapes, seed=strategies.seeds)
def test_a_smooth_activation_is_its_page(layer: type, op: type, shape: tuple[int, ...], seed: int) -> None:
    assert_op_is_page(lambda: [layer()], shape, [op], seed, exact=False)


@given(shape=shapes, rate=rates, seed=strategies.seeds)
def test_dropout_is_its_page_with_the_same_masks(shape: tuple[int, ...], rate: float, seed: int) -> None:
    assert_op_is_page(lambda: [Dropout(rate)], shape, [DropoutOp], seed)


def test_dropout_draws_a_new_mask_in_every_replay_from_the_same_generator_as_its_page() -> None:
    layers, (page,) = built(lambda: [Dropout(0.5)], (3, 4, 5)), built(lambda: [Dropout(0.5)], (3, 4, 5))
    run = ByProgram(layers, generator=np.random.default_rng(3))
    page.generator = np.random.default_rng(3)
    x = np.ones((6, 3, 4, 5))
    masks = [run(x, x).y for _ in range(3)]
    assert [np.array_equal(mask, page.forward(x, training=True)) for mask in masks] == [True] * 3
    assert not np.array_equal(masks[1], masks[2])


@pytest.mark.parametrize("generator", [np.random.MT19937, np.random.PCG64, np.random.Philox])
def test_dropout_takes_any_generator(generator: type) -> None:
    layers, (page,) = built(lambda: [Dropout(0.3)], (7,)), built(lambda: [Dropout(0.3)], (7,))
    run = ByProgram(layers, generator=np.random.Generator(generator(3)))
    page.generator = np.random.Generator(generator(3))
    x = normal(0, 5, 7)
    for _ in range(2):
        np.testing.assert_array_equal(run(x, x).y, page.forward(x, training=True))


def test_dropout_without_a_rate_or_out_of_training_draws_nothing() -> None:
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    ByProgram(built(lambda: [Dropout(0.0)], (7,)), generator=generator)(np.ones((2, 7)))
    ByProgram(built(lambda: [Dropout(0.5)], (7,)), generator=generator)(np.ones((2, 7)), training=False)
    assert generator.bit_generator.state == before


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
    samples=st.integers(1, 4),
    seed=strategies.seeds,
)
def test_a_change_of_shape_is_its_page(shape: list[int], order: object, samples: int, seed: int) -> None:
    new = list(shape)
    order.shuffle(new)  # type: ignore[attr-defined]
    for target in (new, [math.prod(shape)], [1, -1], [*shape[1:], shape[0]]):
        assert_op_is_page(lambda target=target: [Reshape(target)], (samples, *shape), [ReshapeOp], seed)  # type: ignore[misc]
    assert_op_is_page(lambda: [Flatten()], (samples, *shape), [ReshapeOp], seed)


FUNCTIONS: dict[str, Make] = {
    "ReLU": lambda: [ReLU()],
    "LeakyReLU(0)": lambda: [LeakyReLU(0)],
    "LeakyReLU": lambda: [LeakyReLU(0.1)],
    "LeakyReLU(1)": lambda: [LeakyReLU(1)],
    "Sigmoid": lambda: [Sigmoid()],
    "Tanh": lambda: [Tanh()],
    "Softmax": lambda: [Softmax()],
    "Dropout": lambda: [Dropout(0)],
    "Flatten": lambda: [Flatten()],
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_are_those_of_the_page(make: Make, dtype: type) -> None:
    x = np.array([[np.inf, 1, 2], [-np.inf, 0, 1], [np.nan, 0, 1], [1e30, -1e30, 0], [-np.inf, -np.inf, 5]], dtype)
    assert_same_outputs(make, x)


@pytest.mark.parametrize("make", [lambda: [ReLU()], lambda: [LeakyReLU(0.0)]])
def test_an_infinite_score_stays_infinite(make: Make) -> None:
    run = ByProgram(built(make, (2,)))
    assert run(np.array([[np.inf, -np.inf]]), training=False).y.tolist() == [[np.inf, 0]]


def test_dropout_multiplies_infinities_as_its_page_does() -> None:
    layers, (page,) = built(lambda: [Dropout(0.5)], (8,)), built(lambda: [Dropout(0.5)], (8,))
    page.generator, x = np.random.default_rng(1), np.full((4, 8), np.inf)
    with np.errstate(invalid="ignore"):
        received = ByProgram(layers, generator=np.random.default_rng(1))(x).y
        np.testing.assert_array_equal(received, page.forward(x, training=True))
    assert np.isnan(received).any()
    assert np.isinf(received).any()


@pytest.mark.parametrize("make", [lambda: [ReLU()], lambda: [Sigmoid()], lambda: [Tanh()]])
def test_an_inference_keeps_nothing_for_a_backward(make: Make) -> None:
    (op,) = ByProgram(built(make, (2,))).ops
    x = public_view(np.ones((2, 4)))
    y = op.forward(x, training=True)
    op.forward(x, training=False)
    with pytest.raises(AssertionError):
        op.backward(y, needs_input_grad=True)


def test_an_activation_must_define_its_function_and_its_derivative() -> None:
    op = _ActivationOp(ReLU(), Context(Arena(), np.dtype(np.float64), lambda _: {}))
    with pytest.raises(NotImplementedError):
        op.forward(np.ones((1, 1)), training=True)
    op._y = np.ones((1, 1))
    with pytest.raises(NotImplementedError):
        op.backward(np.ones((1, 1)), needs_input_grad=True)
