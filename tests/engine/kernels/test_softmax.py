"""Softmax is exact where exponentials under- and overflow."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.engine.kernels.softmax import softmax, softmax_parts
from helpers import assert_close
from strategies import in_memory_order, normal


@given(st.integers(1, 4), st.integers(1, 6), strategies.memory_orders, strategies.seeds)
def test_the_oracles_softmax(samples: int, classes: int, order: str, seed: int) -> None:
    x = 3 * normal(seed, samples, classes)
    assert_close(softmax(in_memory_order(x, order)), oracles.softmax_forward(x))


def test_classes_are_the_last_axis_of_any_number() -> None:
    x = normal(0, 2, 3, 4)
    assert_close(softmax(x), np.stack([oracles.softmax_forward(rows) for rows in x]))


def test_the_argument_is_changed_only_where_it_is_the_place_of_the_result() -> None:
    x = normal(0, 3, 4)
    kept = x.copy()
    expected = softmax(x)
    np.testing.assert_array_equal(x, kept)
    assert softmax(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_the_parts_are_the_maximum_and_the_sum_of_exponentials() -> None:
    # e^0 + e^-ln 2 = 1.5 after the maximum, ln 8, is taken off
    _, largest, total = softmax_parts(np.array([[math.log(8), math.log(4)]]))
    np.testing.assert_allclose(largest, [[math.log(8)]])
    np.testing.assert_allclose(total, [[1.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_may_be_zero(dtype: Any) -> None:
    x = np.array([[1e4, -1e4]], dtype)
    np.testing.assert_array_equal(softmax(x), [[1, 0]])
