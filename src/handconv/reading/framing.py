"""From the ink of one digit to the 28x28 image that a network knows from MNIST; and pictures so clean that this is all.

    ink (h, w)      how much ink each pixel has, cropped
    strokes         width = 2 · area / outline; brought to what MNIST's pens wrote, two to four pixels of twenty
    image (28, 28)  the longer side scaled to 20 pixels, the centre of mass in the middle

Pillow does it; where the ink of a picture that is not clean lies, ``segmentation`` finds out.
"""

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers.mnist_form import BOX, frame, is_framed
from handconv.utils.optional_imports import import_optional

Image = NDArray[np.uint8]

# Strokes are measured and changed at this many pixels to each one of the 20x20 box.
_OVERSAMPLED = 4
# Widths of strokes, in pixels of the box, that are left as they are; others are brought to the nearer end.
_THINNEST, _THICKEST = 2.0, 4.5
# A clean picture: on its border no pixel is farther than this from the border's median; its ink at least so far.
_EVEN, _LEAST_CONTRAST = 12, 48
_MOST_INK = 0.7  # of the box around the ink, and of each of its sides


def to_mnist_form(ink: Image) -> Image:
    """Bring the ink of one digit to the form of MNIST.

    Args:
        ink: from 0 (paper) to 255 (ink), not blank.
    Shapes:
        (h, w) -> (28, 28)
    """
    pillow, filters = import_optional("PIL.Image", extra="cli"), import_optional("PIL.ImageFilter", extra="cli")
    side = BOX * _OVERSAMPLED
    large = np.pad(_full(_fitted(_cropped(ink), side)), side // 4)
    width = stroke_width(large) / _OVERSAMPLED
    change = (min(max(width, _THINNEST), _THICKEST) - width) * _OVERSAMPLED / 2  # pixels on each side of a stroke
    if abs(change) >= 0.5:
        step = filters.MaxFilter(3) if change > 0 else filters.MinFilter(3)
        picture = pillow.fromarray(large)
        for _ in range(round(abs(change))):
            thinner = picture.filter(step)
            if change < 0 and thinner.getextrema()[1] < 128:
                break
            picture = thinner
        large = np.asarray(picture)
    return frame(_fitted(_cropped(large), BOX))


def stroke_width(ink: Image) -> float:
    """Estimate how wide the strokes of ink are, in pixels.

    Maths:
        width = 2 · area / outline
    Example:
        >>> bar = np.zeros((100, 100), np.uint8)
        >>> bar[10:90, 40:48] = 255
        >>> 7 < stroke_width(bar) < 10
        True
    """
    solid = np.pad(ink > 127, 1)
    outline = np.pi / 4 * sum(int((solid[1:] != solid[:-1]).sum()) for solid in (solid, solid.T))
    return 2 * int(solid.sum()) / max(outline, 1)


def read_framed(picture: Image) -> Image | None:
    """Give the image of a file that is in MNIST's form already, light on dark or dark on light; None for others.

    Shapes:
        (H, W) -> (28, 28)
    """
    return next((image for image in (picture, 255 - picture) if is_framed(image)), None)


def read_clean(picture: Image) -> tuple[Image, tuple[int, int, int, int]] | None:
    """Find the ink of a clean picture of one digit; None if the picture may hold anything else.

    Clean is what has an even border, and ink without a gap: no blank row or column within it.

    Shapes:
        (H, W) -> ink (h, w), and its box: left, top, right, bottom
    """
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.int64)
    paper = int(np.median(border))
    difference = np.abs(picture.astype(np.int64) - paper)
    if np.abs(border - paper).max() > _EVEN or (contrast := int(difference.max())) < _LEAST_CONTRAST:
        return None
    signed = picture.astype(np.int64) - paper
    if min(-int(signed.min()), int(signed.max())) > _EVEN:  # ink is lighter than paper or darker, not both
        return None
    inked = difference > contrast / 4
    box = []
    for axis in (1, 0):
        lines = np.flatnonzero(inked.any(axis=axis))
        if lines[-1] - lines[0] >= len(lines):
            return None
        box += [int(lines[0]), int(lines[-1]) + 1]
    top, bottom, left, right = box
    inside = inked[top:bottom, left:right]
    sides = [side.mean() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1])]
    if inside.mean() > _MOST_INK or min(sides) > _MOST_INK:  # a sheet, or a frame
        return None
    ink = np.clip((difference[top:bottom, left:right] - _EVEN) * (255 / (contrast - _EVEN)), 0, 255)
    return ink.astype(np.uint8), (left, top, right, bottom)


def _full(ink: Image) -> Image:
    """Give strokes that became pale when they were scaled down their full ink back."""
    full = float(np.percentile(ink[ink > ink.max() / 3], 75))
    return ink if full > 200 else np.clip(ink * (255 / full), 0, 255).astype(np.uint8)


def _cropped(ink: Image) -> Image:
    """Crop what is darker than a fifth."""
    solid = ink > ink.max() / 5
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fitted(ink: Image, side: int) -> Image:
    """Scale so that the longer side has this many pixels."""
    pillow = import_optional("PIL.Image", extra="cli")
    height, width = ink.shape
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    scaled: Image = np.asarray(pillow.fromarray(ink).resize(size, pillow.Resampling.BICUBIC))
    return scaled
