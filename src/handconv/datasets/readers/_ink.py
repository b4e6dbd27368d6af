"""What is ink in a picture of a digit: the light on the paper is estimated, taken off, and the rest cut in two.

paper (H, W)     a + bx + cy + dx² + exy + fy², fitted to the border first (the border says which brightness is
background), then to everything that is not ink: a photo may be darker on one side. If that finds no digit, because it
fills the picture, the brightness that most pixels have is background
ink (H, W)       |picture - paper| on the side where most of the difference is: dark on light, or light on dark
threshold        Otsu's: the cut that leaves the least variance within the two parts
parts            connected pixels of ink; specks are dropped, and a frame around the digit
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# In steps of brightness from 0 to 255: ink with less contrast than this is no ink.
_LEAST_CONTRAST = 10.0
# Ink stands out this many standard deviations of the paper's noise.
_LEAST_SIGNAL = 2.5
# Where less than this share is paper, what was taken for ink is paper and the other way round.
_LEAST_PAPER = 0.35
# A part of the ink that has at least this share of what lies around it is a digit in a frame.
_FRAMED = 0.3
# A part of the ink with less than this share of the largest part is a speck.
_SPECK = 0.05
# Thinner strokes are broadened to this width, in pixels of the 20x20 box.
_THINNEST = 2.0
# Pixels along the longer side that are enough to fit the paper's light.
_ENOUGH = 64


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
    bright = picture > _otsu(picture)
    majority = bright if 2 * bright.sum() > bright.size else ~bright
    for paper in (_border(picture.shape), majority):
        ink = _stands_out(picture, paper)
        if ink is not None:
            return ink
    return None


def _stands_out(picture: Floats, is_paper: Mask) -> Floats | None:
    """Find the ink if these pixels are paper, or most of them; None if nothing stands out from it, or too much."""
    difference = picture - _fit_paper(picture, is_paper)
    if np.abs(difference).max() < _LEAST_CONTRAST:
        return None
    sign = 1 if (difference**3).sum() > 0 else -1
    for _ in range(2):
        is_paper = sign * difference < _otsu(np.maximum(sign * difference, 0)) / 2
        difference = picture - _fit_paper(picture, is_paper)
    ink, noise = np.maximum(sign * difference, 0), _spread(difference)
    threshold = _otsu(ink)
    full = float(np.median(ink[ink > threshold])) if ink.max() > threshold else 0.0
    if is_paper.mean() < _LEAST_PAPER or full < max(_LEAST_CONTRAST, _LEAST_SIGNAL * noise):
        return None
    digit = _without_specks(ink, ink > min(threshold, max(threshold / 2, 3 * noise)))
    faintest = min(threshold / 2, 3 * noise)
    strength = np.clip((ink - faintest) / (full - faintest), 0, 1) * digit
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    return strength[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def thicken(ink: Floats, side: int) -> Floats:
    """Broaden strokes that would be hair-thin once the ink is scaled to fit a square of ``side``.

    MNIST was written with a broad pen: its strokes are two to three pixels of twenty wide.

    Maths:
        width = 2 · area / outline
    """
    scale = side / max(ink.shape)
    solid = np.pad(ink > 0.5, 1)
    outline = np.pi / 4 * sum(int((solid[1:] != solid[:-1]).sum()) for solid in (solid, solid.T))
    width = 2 * float(ink.sum()) / max(outline, 1)
    radius = round((_THINNEST / scale - width) / 2)
    if radius < 1:
        return ink
    for axis in (0, 1):
        padding = [(2 * radius, 2 * radius) if axis == this else (0, 0) for this in (0, 1)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(ink, padding), 2 * radius + 1, axis=axis)
        ink = windows.max(axis=-1)
    return ink


def _border(shape: tuple[int, ...]) -> Mask:
    """Mark the border, a sixteenth of the picture on each side."""
    height, width = shape
    down, right = max(height // 16, 1), max(width // 16, 1)
    border = np.ones(shape, dtype=np.bool_)
    border[down:-down, right:-right] = False
    return border


def _fit_paper(picture: Floats, is_paper: Mask) -> Floats:
    """Fit a quadratic surface to the paper, four times, each time without what lies far off it: (H, W)."""
    height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)  # (H, W, 6)
    # Every third or fourth pixel of a large picture says as much about six numbers as all of them.
    step = max(max(picture.shape) // _ENOUGH, 1)
    known, grey = terms[::step, ::step][is_paper[::step, ::step]], picture[::step, ::step][is_paper[::step, ::step]]
    if len(grey) < len(terms.T):
        known, grey = terms[is_paper], picture[is_paper]
    surface = np.array([np.median(grey), 0, 0, 0, 0, 0])
    for _ in range(4):
        distance = np.abs(grey - known @ surface)
        near = distance <= 3 * max(_spread(distance), 1.0)
        chosen = known[near]
        # The normal equations are six by six; lstsq solves them also where a picture is too small to tell all six.
        surface = np.linalg.lstsq(chosen.T @ chosen, chosen.T @ grey[near], rcond=1e-10)[0]
    paper: Floats = terms @ surface
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
    """Keep the large parts of the ink; what touches the picture's edge counts only if nothing large is inside."""
    parts = _connected(is_ink)
    masses = np.array([ink.ravel()[part].sum() for part in parts])
    corners = np.array([_corners(part, ink.shape[1]) for part in parts])
    frames = [
        ((corners > corner).all(axis=1) & (masses >= _FRAMED * mass)).any()
        for corner, mass in zip(corners, masses, strict=True)
    ]
    masses[frames] = 0
    edge = np.ones(ink.shape, dtype=np.bool_)
    edge[1:-1, 1:-1] = False
    inside = np.array([not edge.ravel()[part].any() for part in parts])
    large = masses >= _SPECK * masses.max()
    if (large & inside).any():
        large = inside & (masses >= _SPECK * masses[inside].max())
    digit = np.zeros(ink.size, dtype=np.bool_)
    digit[np.concatenate([part for part, kept in zip(parts, large, strict=True) if kept])] = True
    return digit.reshape(ink.shape)


def _corners(part: NDArray[np.int64], width: int) -> tuple[int, int, int, int]:
    """Return top, left, -bottom, -right of a part: all four are larger for what lies within it."""
    rows, columns = np.divmod(part, width)
    return int(rows.min()), int(columns.min()), -int(rows.max()), -int(columns.max())


def _connected(mask: Mask) -> list[NDArray[np.int64]]:
    """Divide marked pixels into parts that touch one another, corners too: the flat indices of each part."""
    stride = mask.shape[1] + 2
    neighbours = [down + right for down in (-stride, 0, stride) for right in (-1, 0, 1) if down or right]
    left = set(np.flatnonzero(np.pad(mask, 1)).tolist())
    parts = []
    while left:
        part = [left.pop()]
        for pixel in part:  # grows while it is walked through
            found = left.intersection([pixel + step for step in neighbours])
            left -= found
            part += found
        rows, columns = np.divmod(np.array(part), stride)
        parts.append((rows - 1) * mask.shape[1] + columns - 1)
    return parts
