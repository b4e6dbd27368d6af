"""Reading images along maps: against nested loops, and the cases that are exact."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from handconv.augment import resampling
from handconv.augment.geometric import affine_matrices
from handconv.augment.resampling import Maps, resample

IDENTITY = np.eye(3)[None]


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    reach=st.sampled_from([0.1, 1.0, 5.0]),
    displaced=st.booleans(),
    fill=st.sampled_from([0.0, 0.7]),
)
def test_images_are_read_as_the_nested_loops_read_them(seed, shape, reach, displaced, fill) -> None:
    rng = np.random.default_rng(seed)
    images, count = rng.random(shape), shape[0]
    matrices = np.eye(3) + reach * np.pad(rng.normal(size=(count, 2, 3)), ((0, 0), (0, 1), (0, 0)))
    displacements = reach * rng.normal(size=(2, count, *shape[2:])) if displaced else None
    maps = Maps(matrices, None if displacements is None else displacements.astype(np.float32))
    expected = oracles.resample(images, matrices, maps.displacements, fill)
    np.testing.assert_allclose(resample(images, maps, fill), expected, atol=3e-5)


def test_the_identity_changes_no_bit(rng: np.random.Generator) -> None:
    images = rng.random((3, 2, 5, 6))
    maps = Maps(np.repeat(IDENTITY, 3, axis=0), np.zeros((2, 5, 6, 3), np.float32))
    np.testing.assert_array_equal(resample(images, maps, 0.5), images)


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 1), (-2, 3), (9, 0), (100, -1e6)])
def test_shifts_by_whole_pixels_are_exact(down: int, across: int, rng: np.random.Generator) -> None:
    images = rng.random((1, 1, 5, 6))
    expected = np.full(images.shape, 0.25)
    for i, j in np.ndindex(5, 6):
        if 0 <= i - down < 5 and 0 <= j - across < 6:
            expected[0, 0, i, j] = images[0, 0, i - down, int(j - across)]
    shifted = resample(images, Maps(affine_matrices(shift=[[down], [across]])), 0.25)
    np.testing.assert_array_equal(shifted, expected)


@pytest.mark.parametrize("size", [4, 5, 28])
@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_quarter_turns_are_exact_and_counter_clockwise(size: int, turns: int, rng: np.random.Generator) -> None:
    images = rng.random((2, 3, size, size), np.float32)
    turned = resample(images, Maps(affine_matrices(rotation=np.full(2, 90.0 * turns))), 0)
    np.testing.assert_allclose(turned, np.rot90(images, turns, axes=(2, 3)), atol=1e-5)


def test_an_image_scaled_to_the_double_is_its_middle(rng: np.random.Generator) -> None:
    images = rng.random((1, 1, 5, 5))
    doubled = resample(images, Maps(affine_matrices(scale=[[2.0], [2.0]])), 0)
    np.testing.assert_array_equal(doubled[0, 0, ::2, ::2], images[0, 0, 1:4, 1:4])
    np.testing.assert_array_equal(doubled[0, 0, 0, 1], (images[0, 0, 1, 1] + images[0, 0, 1, 2]) / 2)


def test_height_and_width_are_scaled_each_by_its_own_factor(rng: np.random.Generator) -> None:
    images = rng.random((1, 1, 5, 5))
    wide = resample(images, Maps(affine_matrices(scale=[[1.0], [2.0]])), 0)
    np.testing.assert_array_equal(wide[0, 0, :, ::2], images[0, 0, :, 1:4])


def test_a_slant_of_45_degrees_moves_each_row_by_its_distance_from_the_middle(rng: np.random.Generator) -> None:
    images = rng.random((1, 1, 3, 4))
    slanted = resample(images, Maps(affine_matrices(slant=np.array([45.0]))), 0)[0, 0]
    expected = [[*images[0, 0, 0, 1:], 0], images[0, 0, 1], [0, *images[0, 0, 2, :3]]]
    np.testing.assert_allclose(slanted, expected, atol=1e-6)


def test_matrices_undo_scale_then_slant_then_rotation_then_shift() -> None:
    angle, slant = np.radians(30), np.radians(20)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shear = np.array([[1, 0, 0], [np.tan(slant), 1, 0], [0, 0, 1]])
    scale, shift = np.diag([1.5, 0.75, 1]), np.array([[1, 0, 2.0], [0, 1, -3], [0, 0, 1]])
    back = affine_matrices(shift=[[2.0], [-3.0]], rotation=30, scale=[[1.5], [0.75]], slant=20)
    np.testing.assert_allclose(back[0] @ shift @ rotation @ shear @ scale, np.eye(3), atol=1e-14)


def test_maps_after_maps_are_read_at_once(rng: np.random.Generator) -> None:
    """Where every place is a pixel, one reading and two are the same."""
    images = rng.random((2, 1, 6, 6))
    first = Maps(affine_matrices(shift=[[1.0, 0.0], [0.0, -1.0]]))
    field = np.zeros((2, 2, 6, 6), np.float32)
    field[1, :, 2] = 1
    then = Maps(affine_matrices(rotation=[90.0, 180.0]), field)
    inner = np.pad(images[:, :, 1:-1, 1:-1], ((0, 0), (0, 0), (1, 1), (1, 1)))  # nothing is lost at the border
    apart = resample(resample(inner, first, 0), then, 0)
    np.testing.assert_allclose(resample(inner, then.after(first), 0), apart, atol=1e-5)


@pytest.mark.parametrize("block", [1, 40, 90, 10**6])
def test_the_size_of_a_block_changes_no_bit(block: int, rng: np.random.Generator, monkeypatch) -> None:
    images, field = rng.random((5, 2, 6, 7), np.float32), rng.normal(size=(2, 5, 6, 7)).astype(np.float32)
    maps = Maps(np.eye(3) + 0.1 * rng.normal(size=(5, 3, 3)), field)
    expected = resample(images, maps, 0.5)
    monkeypatch.setattr(resampling, "_BLOCK", block)
    np.testing.assert_array_equal(resample(images, maps, 0.5), expected)


def test_places_of_more_pixels_than_float32_counts_are_the_same(rng: np.random.Generator, monkeypatch) -> None:
    images, maps = rng.random((5, 2, 6, 7), np.float32), Maps(np.eye(3) + 0.1 * rng.normal(size=(5, 3, 3)))
    expected = resample(images, maps, 0.5)
    monkeypatch.setattr(resampling, "_EXACT", 1)
    monkeypatch.setattr(resampling, "_kept", {})
    np.testing.assert_array_equal(resample(images, maps, 0.5), expected)


def test_images_of_another_fill_or_size_are_not_read_with_what_was_kept(rng: np.random.Generator, monkeypatch) -> None:
    maps = Maps(np.eye(3) + 0.3 * rng.normal(size=(5, 3, 3)))
    cases = [
        (rng.random((5, 2, *size)).astype(kind), fill) for size in ((6, 7), (7, 6)) for kind in "fd" for fill in (0, 1)
    ]
    monkeypatch.setattr(resampling, "_BLOCK", 0)  # nothing is kept
    monkeypatch.setattr(resampling, "_kept", {})
    expected = [resample(images, maps, fill) for images, fill in cases]
    assert not resampling._kept
    monkeypatch.undo()
    for _ in range(2):
        for (images, fill), right in zip(cases, expected, strict=True):
            np.testing.assert_array_equal(resample(images, maps, fill), right)
            np.testing.assert_array_equal(resample(images, maps, fill), right)


def test_threads_that_read_at_once_do_not_disturb_each_other(rng: np.random.Generator) -> None:
    images = rng.random((64, 1, 28, 28), np.float32)
    maps = [Maps(np.eye(3) + 0.1 * rng.normal(size=(64, 3, 3))) for _ in range(3)]
    expected = [resample(images, each, 0) for each in maps]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda turn: resample(images, maps[turn % 3], 0), range(60))
        for turn, made in enumerate(found):
            np.testing.assert_array_equal(made, expected[turn % 3])


def test_the_memory_of_large_images_is_given_back(rng: np.random.Generator) -> None:
    resample(rng.random((1, 1, 300, 300), np.float32), Maps(IDENTITY), 0)
    assert not resampling._kept
