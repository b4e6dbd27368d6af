"""Pooling on whole arrays is pooling window by window, whatever the memory held before."""

import numpy as np
import pytest
from hypothesis import given

import oracles
import strategies
from handconv.engine.kernels.pooling import (
    average_pool,
    average_pool_gradient,
    max_pool,
    max_pool_gradient,
    max_unpool,
    running_maximum,
)
from handconv.engine.layout import memory_view, public_view
from handconv.geometry import geometry
from helpers import PoisonedMemory, assert_close, geometry_of
from oracles import Array
from strategies import Geometry, normal, tied

MEMORY = PoisonedMemory()


def in_memory(x: Array) -> Array:
    return np.ascontiguousarray(memory_view(x))


@pytest.mark.parametrize("values", [normal, tied])
@given(case=strategies.poolings(), seed=strategies.seeds)
def test_max_pool(values: object, case: Geometry, seed: int) -> None:
    assert callable(values)
    x = values(seed, *case.shape)
    how = (case.window, case.stride, case.pads)
    expected = oracles.max_pool_forward(x, *how)
    y, argmax_masks = max_pool(in_memory(x), geometry_of(case), MEMORY, save_for_backward=True)
    np.testing.assert_array_equal(public_view(y), expected)
    y_alone, nothing = max_pool(in_memory(x), geometry_of(case), MEMORY, save_for_backward=False)
    np.testing.assert_array_equal(public_view(y_alone), expected)
    assert nothing is None

    dy = normal(seed + 1, *expected.shape)
    assert argmax_masks is not None
    dx = max_pool_gradient(in_memory(dy), argmax_masks, geometry_of(case), MEMORY)
    assert_close(public_view(dx), oracles.max_pool_backward(x, dy, *how))


@given(strategies.poolings(), strategies.seeds)
def test_average_pool(case: Geometry, seed: int) -> None:
    x = normal(seed, *case.shape)
    how = (case.window, case.stride, case.pads)
    expected = oracles.average_pool_forward(x, *how)
    assert_close(public_view(average_pool(in_memory(x), geometry_of(case), MEMORY)), expected)
    dy = normal(seed + 1, *expected.shape)
    dx = average_pool_gradient(in_memory(dy), geometry_of(case), MEMORY)
    assert_close(public_view(dx), oracles.average_pool_backward(x.shape, dy, *how))


def test_a_mask_for_each_offset_but_the_first_is_needed() -> None:
    first, *others = np.arange(6.0).reshape(3, 2)
    too_few = np.zeros((1, 2), bool)
    with pytest.raises(ValueError, match="shorter"):
        running_maximum([first, *others], np.empty(2), too_few)
    with pytest.raises(ValueError, match="longer"):
        max_unpool(first, too_few, [first, *others])
    overlapping = geometry(5, 5, (3, 3), (2, 2), "valid")
    x = normal(0, 5, 1, 5, 1)
    y, argmax_masks = max_pool(x, overlapping, MEMORY, save_for_backward=True)
    assert argmax_masks is not None
    with pytest.raises(ValueError, match="longer"):
        max_pool_gradient(y, (argmax_masks[0], argmax_masks[1][:1]), overlapping, MEMORY)
