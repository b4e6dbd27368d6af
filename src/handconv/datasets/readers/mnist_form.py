"""The form of an MNIST digit: light ink in a box of 20x20, its centre of mass in the middle of a black 28x28."""

import numpy as np
from numpy.typing import NDArray

BOX = 20
SIDE = 28
# The middle of 28 pixels lies between the 14th and the 15th; MNIST rounds up, to pixel 14 counted from 0.
_MIDDLE = 14
# MNIST's own digits lie within 21x21 pixels, and their centres of mass within these many pixels of the middle.
_LARGEST_BOX = 21
_FARTHEST = 1.5
# Grey up to which a pixel counts as black, and from which one counts as ink.
_BLACK, _INK = 12, 128


def frame(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place ink, at most 20x20 and not all blank, in 28x28 so that its centre of mass is in the middle.

    Shapes:
        (H, W) with H, W <= 20 -> (28, 28)
    Example:
        >>> framed = frame(np.full((3, 5), 255, dtype=np.uint8))
        >>> framed[13:16, 12:17].min(), framed.sum() // 255
        (np.uint8(255), np.uint64(15))
    """
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (_start(ink.sum(axis=1 - axis, dtype=np.float64)) for axis in (0, 1))
    image[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return image


def is_framed(image: NDArray[np.uint8]) -> bool:
    """Whether an image has the form of MNIST's digits already.

    Shapes:
        (H, W); anything but (28, 28) has not
    Example:
        >>> digit = frame(np.full((20, 3), 255, dtype=np.uint8))
        >>> is_framed(digit), is_framed(255 - digit), is_framed(np.roll(digit, 5))
        (True, False, False)
    """
    if image.shape != (SIDE, SIDE) or image.max() < _INK:
        return False
    for axis in (0, 1):
        mass = image.sum(axis=1 - axis, dtype=np.float64)
        inked = np.flatnonzero(image.max(axis=1 - axis) > _BLACK)
        if inked[-1] - inked[0] >= _LARGEST_BOX or abs(mass @ np.arange(SIDE) / mass.sum() - _MIDDLE) > _FARTHEST:
            return False
    return True


def _start(mass: NDArray[np.float64]) -> int:
    """Find where a row or column of masses must start so that its centre comes to the middle, within the frame."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(round(_MIDDLE - centre), 0), SIDE - len(mass))
