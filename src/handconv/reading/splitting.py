"""Digits that touch: where ink that is one piece may be cut into several.

    cost (h, w)     ink that a pixel has; a step aside costs as a part of it
    seams           the cheapest ways from the top to the bottom, one ending in each column (dynamic programming)
    cuts            the cheapest seams that are not close to one another

Which cuts are right is for the recogniser to say.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from handconv.reading.framing import Image
from handconv.utils.optional_imports import import_optional

_HEIGHT = 32  # pixels to which ink is scaled, to look for seams
_ASIDE = 0.15  # the cost of a step aside, in pixels full of ink
# Of the height: between two cuts, from a cut to an end, the width of a piece; and how many cuts are tried.
_APART, _NARROWEST, _WIDEST, _MOST_CUTS = 0.07, 0.12, 1.2, 12


def pieces(ink: Image) -> dict[tuple[int, int], tuple[Image, int, int]]:
    """Cut ink in several ways.

    Args:
        ink: from 0 (paper) to 255 (ink).

    Returns:
        By the numbers of the cuts on its left and right, 0 and the highest being the ends of the ink, each piece that
        may be a digit: what is left of the ink, and the columns between which it lies.
    """
    cuts = _cuts(ink)
    columns = np.arange(ink.shape[1])
    found = {}
    for (first, left), (last, right) in combinations(enumerate(cuts), 2):
        kept = (columns >= left[:, None]) & (columns < right[:, None])
        piece = np.where(kept, ink, 0).astype(np.uint8)
        inked = np.flatnonzero((piece > 127).any(axis=0))
        if len(inked) and inked[-1] - inked[0] < _WIDEST * ink.shape[0]:
            found[first, last] = piece[:, inked[0] : inked[-1] + 1], int(inked[0]), int(inked[-1]) + 1
    return found


def _cuts(ink: Image) -> list[NDArray[np.int64]]:
    """The ends of ink and, between them, the seams at which it may be cut: the column of each row."""
    pillow = import_optional("PIL.Image", extra="cli")
    height, width = ink.shape
    small = pillow.fromarray(ink).resize((max(round(width * _HEIGHT / height), 3), _HEIGHT), pillow.Resampling.BOX)
    cost = np.asarray(small, np.float64) / 255
    seams, costs = _seams(cost)
    middles, end = seams.mean(axis=1), cost.shape[1]
    chosen: list[int] = []
    for each in np.argsort(costs, kind="stable"):
        inside = _NARROWEST * _HEIGHT <= middles[each] <= end - _NARROWEST * _HEIGHT
        if inside and all(abs(middles[each] - other) >= _APART * _HEIGHT for other in middles[chosen]):
            chosen.append(int(each))
    chosen = sorted(chosen[:_MOST_CUTS], key=lambda each: float(middles[each]))
    rows = (np.arange(height) + 0.5) * _HEIGHT / height - 0.5
    lines = [np.interp(rows, np.arange(_HEIGHT), seams[each]) * width / end for each in chosen]
    return [np.zeros(height, int), *(np.rint(line).astype(int) for line in lines), np.full(height, width)]


def _seams(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cheapest seam to each column of the last row, and what it costs.

    Shapes:
        (h, w) -> (w, h), (w,)
    """
    height, width = cost.shape
    total, steps = cost[0], np.zeros((height, width), int)
    for row in range(1, height):
        around = np.pad(total, 1, constant_values=np.inf)
        ways = np.stack([around[:-2] + _ASIDE, around[1:-1], around[2:] + _ASIDE])
        steps[row] = ways.argmin(axis=0) - 1
        total = cost[row] + ways.min(axis=0)
    seams = np.empty((width, height), int)
    seams[:, -1] = np.arange(width)
    for row in range(height - 1, 0, -1):
        seams[:, row - 1] = seams[:, row] + steps[row, seams[:, row]]
    return seams, total
