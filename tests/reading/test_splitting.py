"""Ink that is one piece, cut into pieces that may be digits."""

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("PIL.Image", reason="ink is scaled by Pillow, which is not installed")

from handconv.reading.splitting import pieces

Image = NDArray[np.uint8]


def two_bars() -> Image:
    """Draw two upright bars that a thin stroke joins."""
    ink = np.zeros((100, 120), np.uint8)
    ink[:, 10:30] = ink[:, 90:110] = ink[50:54, 30:90] = 255
    return ink


def test_all_of_the_ink_is_the_piece_between_the_ends() -> None:
    cut = pieces(np.pad(np.full((100, 60), 255, np.uint8), 2))
    piece, start, end = cut[0, max(last for _, last in cut)]
    assert (start, end, piece.max(), piece.shape) == (2, 62, 255, (104, 60))


def test_a_cut_goes_through_the_thin_stroke_that_joins_two_thick_ones() -> None:
    cut = pieces(two_bars())
    assert any(first == 0 and 30 <= end <= 90 for (first, _), (_, _, end) in cut.items())


def test_pieces_beside_one_another_share_no_ink() -> None:
    ink = two_bars()
    cut = pieces(ink)
    last = max(last for _, last in cut)
    middle = next(one for one in range(1, last) if (0, one) in cut and (one, last) in cut)
    (left, *_), (right, *_) = cut[0, middle], cut[middle, last]
    assert int(left.sum(dtype=int) + right.sum(dtype=int)) == int(ink.sum(dtype=int))


def test_a_slanted_gap_is_followed() -> None:
    ink = np.zeros((100, 120), np.uint8)
    for row in range(100):
        ink[row, 50 - row // 3 : 65 - row // 3] = ink[row, 75 - row // 3 : 90 - row // 3] = 255
    ink[50, 40:70] = 255
    widths = {first == 0 and (piece > 127).sum(axis=1).max() for (first, _), (piece, _, _) in pieces(ink).items()}
    assert any(14 <= width <= 32 for width in widths if width)


def test_no_piece_is_much_wider_than_high() -> None:
    ink = np.zeros((50, 400), np.uint8)
    ink[20:30] = 255
    assert all(end - start <= 61 for _, start, end in pieces(ink).values())
