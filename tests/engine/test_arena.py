"""Whose memory it is: kept arrays of each scope, scratch arrays of all, one capture."""

import numpy as np
import pytest

from handconv.engine.arena import Arena, Scope
from handconv.engine.capture import CapturedArray, replay
from handconv.engine.layout import memory_view


def place(array: np.ndarray) -> int:
    """Where an array begins in memory."""
    return int(array.ctypes.data)


@pytest.mark.parametrize("kind", ["array", "scratch"])
def test_an_array_is_the_same_for_the_same_name_alone(kind: str) -> None:
    take = getattr(Arena(), kind)
    first = take("a", (2, 3), np.float32)
    assert (first.shape, first.dtype) == ((2, 3), np.float32)
    assert place(take("a", (2, 3), np.float32)) == place(first)
    assert not np.shares_memory(take("b", (2, 3), np.float32), first)


def test_smaller_shapes_and_other_types_lie_in_the_same_bytes() -> None:
    memory = Arena()
    large = memory.array("a", (4, 4), np.float64)
    small = memory.array("a", (2, 3), np.bool_)
    assert (small.shape, small.dtype) == ((2, 3), np.bool_)
    assert np.shares_memory(large, small)


def test_an_array_that_is_too_small_is_replaced_and_others_stay() -> None:
    memory = Arena()
    small, other = memory.array("a", (2,), np.float64), memory.array("b", (2,), np.float64)
    large = memory.array("a", (9,), np.float64)
    assert not np.shares_memory(small, large)
    assert place(memory.array("a", (2,), np.float64)) == place(large)
    assert place(memory.array("b", (2,), np.float64)) == place(other)


def test_scopes_share_scratch_and_keep_the_rest_apart() -> None:
    memory = Arena()
    first, second = memory.scope(), memory.scope()
    assert place(first.scratch("a", (3,), np.float32)) == place(second.scratch("a", (3,), np.float32))
    assert place(first.array("a", (3,), np.float32)) == place(first.array("a", (3,), np.float32))
    assert not np.shares_memory(first.array("a", (3,), np.float32), second.array("a", (3,), np.float32))


def test_a_scope_of_a_scope_shares_the_same_scratch_and_capture() -> None:
    memory = Arena()
    inner = memory.scope().scope()
    assert place(inner.scratch("a", (3,), np.float32)) == place(memory.scratch("a", (3,), np.float32))
    assert not np.shares_memory(inner.array("a", (3,), np.float32), memory.array("a", (3,), np.float32))
    assert inner.capture is memory.capture


@pytest.mark.parametrize("kind", ["array", "scratch", "public_array"])
def test_what_is_handed_out_is_tracked(kind: str) -> None:
    memory = Arena()
    with memory.capture.recording() as calls:
        array = getattr(memory.scope(), kind)("a", (2, 3), np.float32)
        array += 1
    assert isinstance(array, CapturedArray)
    assert len(calls) == 1


def test_a_public_array_has_the_batch_innermost_in_memory() -> None:
    array = Arena().public_array("a", (4, 3, 5, 2), np.float32)
    assert array.shape == (4, 3, 5, 2)
    assert memory_view(array).flags.c_contiguous


def test_what_is_cached_is_made_once_for_a_key_and_a_scope() -> None:
    memory = Arena()
    first, second = memory.scope(), memory.scope()
    made = first.cached("key", object)
    assert first.cached("key", object) is made
    assert first.cached("other", object) is not made
    assert second.cached("key", object) is not made


def test_a_constant_is_a_read_only_copy_in_the_same_memory_order() -> None:
    original = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    constant = Arena().constant(original)
    original[...] = 0
    assert constant.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert constant.flags.f_contiguous
    assert isinstance(constant, CapturedArray)
    with pytest.raises(ValueError, match="read-only"):
        constant += 1


def test_what_is_computed_each_time_may_be_anything_and_is_copied_to_a_kept_array() -> None:
    memory, x = Arena(), np.array([[3.0, 1.0], [2.0, 5.0]])

    def compute(scope: Scope) -> np.ndarray:
        return scope.computed("sorted", (2, 2), np.float32, lambda: [sorted(row) for row in x.tolist()])

    scope = memory.scope()
    with memory.capture.recording() as calls:
        y = compute(scope)
        ten_times = 10 * y
    assert (y.dtype, y.tolist()) == (np.float32, [[1, 3], [2, 5]])
    x[...] = [[9, 8], [7, 6]]
    replay(calls)
    assert ten_times.tolist() == [[80, 90], [60, 70]]
    assert memory_view(y).flags.c_contiguous


def test_arrays_begin_with_a_cache_line_in_huge_pages_each_at_another_place_of_its_page() -> None:
    memory = Arena()
    places = [place(memory.array(str(number), (1000,), np.float32)) for number in range(3)]
    assert places[0] % (1 << 21) < 4096
    assert [each % 4096 for each in places] == [320, 640, 960]


@pytest.mark.parametrize("size", [1 << 23, (1 << 23) + 1, 3 << 23])
def test_no_array_is_too_large(size: int) -> None:
    memory = Arena()
    memory.array("some", (5000,), np.uint8)[...] = 1
    large = memory.array("large", (size,), np.uint8)
    large[...] = 2
    assert large.shape == (size,)
    assert np.equal(memory.array("some", (5000,), np.uint8), 1).view(np.ndarray).all()


def test_what_fits_takes_the_memory_that_is_there() -> None:
    memory = Arena()
    first = memory.array("some", (4, 6), np.float32)
    for shape in ((6, 4), (24,), (3, 2)):
        assert np.shares_memory(memory.array("some", shape, np.float32), first)
    assert not np.shares_memory(memory.array("some", (25,), np.float32), first)
