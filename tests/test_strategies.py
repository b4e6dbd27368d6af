"""The strategies do what they say: memory orders keep the values, every geometry has an output."""

import numpy as np
import pytest
from hypothesis import given

import strategies
from oracles import output_size
from strategies import MEMORY_ORDERS, Geometry, in_memory_order, resolve_padding


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (4,)])
@pytest.mark.parametrize("order", MEMORY_ORDERS)
def test_memory_orders_keep_the_values(rng: np.random.Generator, shape: tuple[int, ...], order: str) -> None:
    values = rng.normal(size=shape)
    np.testing.assert_array_equal(in_memory_order(values, order), values)


def test_memory_orders_lie_as_they_say(rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, 3, 4, 5))
    assert in_memory_order(values, "C").flags.c_contiguous
    assert in_memory_order(values, "Fortran").flags.f_contiguous
    assert in_memory_order(values, "batch innermost").transpose(2, 1, 3, 0).flags.c_contiguous
    assert in_memory_order(values, "channels last").transpose(0, 2, 3, 1).flags.c_contiguous
    assert all(stride < 0 for stride in in_memory_order(values, "reversed").strides)
    assert not in_memory_order(values, "every other").flags.forc


@given(strategies.convolutions())
def test_every_convolution_has_an_output(case: Geometry) -> None:
    assert min(output_size((case.shape[2], case.shape[3]), case.window, case.stride, case.pads)) >= 1


@given(strategies.poolings())
def test_every_pooling_has_an_output_and_at_most_half_a_window_of_padding(case: Geometry) -> None:
    assert min(output_size((case.shape[2], case.shape[3]), case.window, case.stride, case.pads)) >= 1
    assert all(2 * max(case.pads[axis]) <= case.window[axis] for axis in range(2))


def test_padding_as_the_user_writes_it() -> None:
    assert resolve_padding("valid", (5, 5), (3, 3), (1, 1)) == ((0, 0), (0, 0))
    assert resolve_padding(2, (5, 5), (3, 3), (1, 1)) == ((2, 2), (2, 2))
    assert resolve_padding((2, 1), (5, 5), (3, 3), (1, 1)) == ((2, 2), (1, 1))


def test_padding_same_puts_the_odd_one_after() -> None:
    # rows: ceil(5 / 1) = 5 positions of 2 need 6 rows, one more;    columns: ceil(5 / 2) = 3 need 4 + 4 = 8, three more
    assert resolve_padding("same", (5, 5), (2, 4), (1, 2)) == ((0, 1), (1, 2))
    # stride 3 leaves gaps between windows of 1: ceil(5 / 3) = 2 positions need 3 + 1 = 4 of 5, none more
    assert resolve_padding("same", (5, 5), (1, 1), (3, 3)) == ((0, 0), (0, 0))
