"""What is ink in a picture of a digit: the light on the paper is estimated, taken off, and the rest cut in two.

    paper (H, W)     a + bx + cy + dx² + exy + fy², fitted to the border first (the border says which brightness is
                     background), then to everything that is not ink: a photo may be darker on one side
    ink (H, W)       |picture - paper| on the side where most of the difference is: dark on light, or light on dark
    threshold        Otsu's: the cut that leaves the least variance within the two parts
    parts            connected pixels of ink; specks are dropped
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# In steps of brightness from 0 to 255: ink with less contrast than this is no ink.
_LEAST_CONTRAST = 10.0
# Ink stands out this many standard deviations of the paper's noise.
_LEAST_SIGNAL = 4.0
# A part of the ink with less than this share of the largest part is a speck.
_SPECK = 0.05


def find_ink(picture: Floats) -> Floats | None:
    """Find the ink of a digit, from 0 (paper) to 1, cropped; None if nothing stands out from the paper.

    Shapes:
        (H, W) brightness from 0 to 255 -> (h, w)

    Example:
        >>> picture = np.full((9, 9), 200.0)
        >>> picture[2:7, 4] = 50
        >>> find_ink(picture)
        array([[1.],
               [1.],
               [1.],
               [1.],
               [1.]])
    """
    paper = _fit_paper(picture, _border(picture.shape))
    sign = 1 if ((picture - paper) ** 3).sum() > 0 else -1
    for _ in range(3):
        ink = np.maximum(sign * (picture - paper), 0)
        threshold = _otsu(ink)
        paper = _fit_paper(picture, ink < threshold / 2)
    difference = sign * (picture - paper)
    ink = np.maximum(difference, 0)
    threshold = _otsu(ink)
    noise = _spread(difference)
    is_ink = ink > threshold
    if not is_ink.any() or np.median(ink[is_ink]) < max(_LEAST_CONTRAST, _LEAST_SIGNAL * noise):
        return None
    full, faintest = float(np.median(ink[is_ink])), min(3 * noise, threshold / 2)
    digit = _without_specks(ink, ink > threshold / 2)
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    strength = np.clip((ink - faintest) / (full - faintest), 0, 1) * digit
    return strength[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _border(shape: tuple[int, ...]) -> Mask:
    """Mark the border, a sixteenth of the picture on each side."""
    height, width = shape
    down, right = max(height // 16, 1), max(width // 16, 1)
    border = np.ones(shape, dtype=np.bool_)
    border[down:-down, right:-right] = False
    return border


def _fit_paper(picture: Floats, is_paper: Mask) -> Floats:
    """Fit a quadratic surface to the paper, three times, each time without what lies far off it: (H, W)."""
    height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)  # (H, W, 6)
    chosen = is_paper
    paper = np.full_like(picture, np.median(picture[is_paper]))
    for _ in range(4):
        distance = np.abs(picture - paper)
        chosen = is_paper & (distance <= 3 * max(_spread(distance[is_paper]), 1.0))
        paper = terms @ np.linalg.lstsq(terms[chosen], picture[chosen])[0]
    return paper


def _spread(values: Floats) -> float:
    """Estimate the standard deviation from the median, so that a few large values do not count."""
    return 1.4826 * float(np.median(np.abs(values)))


def _otsu(values: Floats) -> float:
    """Find the threshold that best divides values in two.

    Maths:
        maximise  n0 · n1 · (mean1 - mean0)²  over all thresholds

    References:
        Nobuyuki Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    n0, sum0 = np.cumsum(counts)[:-1], np.cumsum(counts * middles)[:-1]
    n1, sum1 = counts.sum() - n0, (counts * middles).sum() - sum0
    between = n0 * n1 * (sum1 / np.maximum(n1, 1) - sum0 / np.maximum(n0, 1)) ** 2
    return float(edges[1 + np.argmax(between)])


def _without_specks(ink: Floats, is_ink: Mask) -> Mask:
    """Keep the large connected parts of the ink, and those at the picture's edge only if there are no others."""
    padded = np.pad(is_ink, 1)
    stride = padded.shape[1]
    neighbours = [dy * stride + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    weight = np.pad(ink, 1).ravel()
    left = set(np.flatnonzero(padded).tolist())
    parts = []
    while left:
        part = [left.pop()]
        for pixel in part:
            found = left.intersection([pixel + step for step in neighbours])
            left -= found
            part += found
        parts.append(part)
    masses = [weight[part].sum() for part in parts]
    kept = np.zeros(padded.size, dtype=np.bool_)
    for part, mass in zip(parts, masses, strict=True):
        kept[part] = mass >= _SPECK * max(masses)
    return kept.reshape(padded.shape)[1:-1, 1:-1]
