"""Hashes of rows: equal rows have equal ones, whatever is changed changes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from handconv.utils.hashing import row_hashes


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, max_side=20)), st.data())
def test_a_change_of_any_number_changes_its_row_alone(x: NDArray[np.uint8], data: st.DataObject) -> None:
    before = row_hashes(x)
    where = tuple(data.draw(st.integers(0, size - 1)) for size in x.shape)
    x[where] ^= data.draw(st.integers(1, 255))
    (changed,) = np.flatnonzero(row_hashes(x) != before)
    assert changed == where[0]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("size", [1, 3, 8, 9, 40_000])
def test_equal_rows_have_equal_hashes_wherever_they_stand(dtype: str, size: int) -> None:
    rows = np.random.default_rng(0).integers(0, 200, (3, size)).astype(dtype)
    x = np.concatenate([rows, rows[::-1]])
    hashes = row_hashes(x)
    np.testing.assert_array_equal(hashes[:3], hashes[:2:-1])
    np.testing.assert_array_equal(row_hashes(np.asfortranarray(x)), hashes)
    assert len(np.unique(hashes)) == len(np.unique(rows, axis=0))


@pytest.mark.parametrize("places", [(7, 15), (3, 7), (0, 1), (6, 14)])
def test_two_changes_do_not_cancel(places: tuple[int, int]) -> None:
    """Sums of words times factors alone would let changes of upper bits cancel once in 256."""
    one, other = np.meshgrid(np.arange(1, 256), np.arange(1, 256))
    rows = np.zeros((255 * 255 + 1, 16), np.uint8)
    rows[1:, places[0]], rows[1:, places[1]] = one.ravel(), other.ravel()
    assert len(np.unique(row_hashes(rows))) == len(rows)


def test_rows_of_nothing_are_alike() -> None:
    np.testing.assert_array_equal(row_hashes(np.empty((3, 0))), np.zeros(3))
    assert row_hashes(np.empty((0, 5))).shape == (0,)
