"""The order of the memory, and who owns it."""

import numpy as np
import pytest
from hypothesis import given

import strategies
from handconv.engine.arena import FreshMemory, ReusedMemory, laid_out, memory_shape, memory_view, public_view

SHAPES = [(4,), (4, 3), (4, 3, 2), (4, 3, 5, 2), (4, 3, 5, 2, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_has_the_batch_innermost_and_public_view_undoes_it(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    memory = memory_view(x)
    assert memory.shape == memory_shape(shape)
    assert memory.shape[-1] == shape[0]
    assert np.shares_memory(memory, x)
    np.testing.assert_array_equal(public_view(memory), x)


def test_images_lie_as_height_channels_width_batch() -> None:
    assert memory_shape((4, 3, 5, 2)) == (5, 3, 2, 4)


@given(strategies.memory_orders)
def test_laid_out_keeps_the_values_of_any_memory_order(order: str) -> None:
    for shape in SHAPES:
        x = strategies.in_memory_order(strategies.normal(0, *shape), order)
        out = laid_out(x)
        np.testing.assert_array_equal(out, x)
        assert memory_view(out).flags.c_contiguous


def test_laid_out_copies_only_what_does_not_lie_so_yet(rng: np.random.Generator) -> None:
    innermost = public_view(rng.normal(size=(5, 3, 2, 4)))
    assert laid_out(innermost) is innermost
    assert not np.shares_memory(laid_out(np.ascontiguousarray(innermost)), innermost)


@pytest.mark.parametrize("kind", ["keep", "scratch"])
def test_fresh_memory_is_new_each_time(kind: str) -> None:
    take = getattr(FreshMemory(), kind)
    first, second = take("a", (2, 3), np.float32), take("a", (2, 3), np.float32)
    assert first.shape == (2, 3)
    assert first.dtype == np.float32
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("kind", ["keep", "scratch"])
def test_reused_memory_is_the_same_for_the_same_name_alone(kind: str) -> None:
    take = getattr(ReusedMemory(), kind)
    first = take("a", (2, 3), np.float32)
    assert take("a", (2, 3), np.float32) is first
    assert not np.shares_memory(take("b", (2, 3), np.float32), first)


def test_reused_memory_serves_smaller_shapes_and_other_types_from_the_same_bytes() -> None:
    memory = ReusedMemory()
    large = memory.keep("a", (4, 4), np.float64)
    small = memory.keep("a", (2, 3), np.bool_)
    assert small.shape == (2, 3)
    assert small.dtype == np.bool_
    assert np.shares_memory(large, small)


def test_reused_memory_grows_and_forgets_what_was_too_small() -> None:
    memory = ReusedMemory()
    small, other = memory.keep("a", (2,), np.float64), memory.keep("b", (2,), np.float64)
    large = memory.keep("a", (9,), np.float64)
    assert large.shape == (9,)
    assert np.shares_memory(memory.keep("a", (2,), np.float64), large)
    assert not np.shares_memory(large, small)
    assert memory.keep("b", (2,), np.float64) is other


def test_sections_share_scratch_and_keep_the_rest_apart() -> None:
    memory = ReusedMemory()
    first, second = memory.section(), memory.section()
    assert first.scratch("a", (3,), np.float32) is second.scratch("a", (3,), np.float32)
    assert first.keep("a", (3,), np.float32) is first.keep("a", (3,), np.float32)
    assert not np.shares_memory(first.keep("a", (3,), np.float32), second.keep("a", (3,), np.float32))


def test_a_section_of_a_section_shares_the_same_scratch() -> None:
    memory = ReusedMemory()
    inner = memory.section().section()
    assert inner.scratch("a", (3,), np.float32) is memory.scratch("a", (3,), np.float32)
    assert not np.shares_memory(inner.keep("a", (3,), np.float32), memory.keep("a", (3,), np.float32))


def test_arrays_begin_with_a_cache_line_in_huge_pages_each_at_another_place_of_its_page() -> None:
    workspace = ReusedMemory()
    places = [workspace.keep(str(number), (1000,), np.float32).ctypes.data for number in range(3)]
    assert places[0] % (1 << 21) < 4096
    assert [place % 4096 for place in places] == [320, 640, 960]


@pytest.mark.parametrize("size", [1 << 23, (1 << 23) + 1, 3 << 23])
def test_no_array_is_too_large(size: int) -> None:
    workspace = ReusedMemory()
    workspace.keep("some", (5000,), np.uint8)[...] = 1
    large = workspace.keep("large", (size,), np.uint8)
    large[...] = 2
    assert large.shape == (size,)
    assert (workspace.keep("some", (5000,), np.uint8) == 1).all()


def test_what_fits_takes_the_memory_that_is_there() -> None:
    workspace = ReusedMemory()
    first = workspace.keep("some", (4, 6), np.float32)
    for shape in ((6, 4), (24,), (3, 2)):
        assert np.shares_memory(workspace.keep("some", shape, np.float32), first)
    assert not np.shares_memory(workspace.keep("some", (25,), np.float32), first)


@pytest.mark.parametrize("memory", [FreshMemory(), ReusedMemory().section()])
def test_what_was_forgotten_is_prepared_anew(memory: FreshMemory | ReusedMemory) -> None:
    first = memory.prepared("key", object)
    memory.forget()
    assert memory.prepared("key", object) is not first
