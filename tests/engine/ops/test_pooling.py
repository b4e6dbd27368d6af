"""Pooling ops equal their pages: windows that overlap, touch or leave gaps, padding, ties."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from engine_helpers import ByProgram, Make, assert_op_is_page, assert_same_outputs, built, with_extremes
from handconv.engine.layout import public_view
from handconv.engine.ops.pooling import AveragePoolOp, GlobalAveragePoolOp, MaxPoolOp
from handconv.layers import AveragePool2D, GlobalAveragePool2D, Layer, MaxPool2D
from strategies import Geometry, normal


@pytest.mark.parametrize(("layer", "op"), [(MaxPool2D, MaxPoolOp), (AveragePool2D, AveragePoolOp)])
@given(case=strategies.poolings(), same=st.booleans(), seed=strategies.seeds)
def test_pooling_of_any_window_is_its_page(
    layer: Callable[..., Layer], op: type, case: Geometry, same: bool, seed: int
) -> None:
    padding = "same" if same else case.padding
    assert_op_is_page(lambda: [layer(case.window, stride=case.stride, padding=padding)], case.shape, [op], seed)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), seed=strategies.seeds
)
def test_global_average_pooling_is_its_page(shape: tuple[int, ...], seed: int) -> None:
    assert_op_is_page(lambda: [GlobalAveragePool2D()], shape, [GlobalAveragePoolOp], seed)


POOLINGS: dict[str, Make] = {
    "maximum": lambda: [MaxPool2D(2)],
    "maximum, overlapping": lambda: [MaxPool2D(3, stride=2, padding=1)],
    "mean": lambda: [AveragePool2D(2, stride=1)],
    "global mean": lambda: [GlobalAveragePool2D()],
}


@pytest.mark.parametrize("make", POOLINGS.values(), ids=POOLINGS)
@pytest.mark.parametrize("seed", range(4))
def test_infinities_and_nan_are_those_of_the_pages(make: Make, seed: int) -> None:
    assert_same_outputs(make, with_extremes(seed, normal(seed, 2, 2, 7, 8), 5))


@pytest.mark.parametrize(("window", "stride", "padding"), [(2, 2, 0), (2, 2, 1), (3, 2, 1), (3, 1, "same"), (4, 3, 2)])
def test_a_window_of_minus_infinity_alone_gives_its_gradient_to_the_first_cell_as_the_page_does(
    window: int, stride: int, padding: int | str
) -> None:
    def make() -> list[Layer]:
        return [MaxPool2D(window, stride=stride, padding=padding)]

    run, (page,) = ByProgram(built(make, (1, 4, 4))), built(make, (1, 4, 4))
    x = np.full((1, 1, 4, 4), -np.inf)
    dy = normal(0, *page.forward(x).shape)
    received = run(x, dy)
    np.testing.assert_array_equal(received.y, page.output)
    np.testing.assert_allclose(received.dx, page.backward(dy), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(received.dx.sum(), dy.sum(), rtol=1e-12)


def test_an_inference_keeps_nothing_for_a_backward() -> None:
    (op,) = ByProgram(built(lambda: [MaxPool2D(2)], (1, 4, 4))).ops
    x = public_view(normal(0, 4, 1, 4, 2))
    y = op.forward(x, training=True)
    op.forward(x, training=False)
    with pytest.raises(AssertionError):
        op.backward(y, needs_input_grad=True)


@pytest.mark.parametrize("size", [(1, 100_000), (317, 316)])
def test_the_mean_of_many_numbers_stays_exact(size: tuple[int, int]) -> None:
    x = np.full((1, 1, *size), 0.1, np.float32)
    y = ByProgram(built(lambda: [GlobalAveragePool2D()], x.shape[1:], np.float32), np.float32)(x, training=False).y
    np.testing.assert_allclose(y, 0.1, rtol=3e-7)
