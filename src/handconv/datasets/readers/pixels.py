"""The values of images as files have them, made bytes from 0 to 255 and images (N, C, H, W)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers.table_form import square_side

Pixels = NDArray[np.uint8] | NDArray[np.float32]

_LOOKED_AT = 200  # images, to tell how their colours stand
_CLEAR = 0.95  # so much less uneven has to be what is not usual


def to_bytes(blocks: Sequence[Pixels], scale: float | None) -> tuple[NDArray[np.uint8], float, list[str]]:
    """Join the pixels of all blocks and bring them to bytes; give what became 255, and what there is to say of it."""
    values = np.concatenate(blocks)
    if scale in (None, 255) and values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False), 255, []
    if values.max() <= 1 and (scale is None or (values != values.round()).any()):
        return (
            np.multiply(values, 255).round().astype(np.uint8),
            1,
            ["The pixels, from 0 to 1, are stretched to 0 to 255."],
        )
    scale = scale or 255
    notices = [] if scale != 255 else ["The pixels have fractions; they are rounded."]
    return np.multiply(values, 255 / scale).round().astype(np.uint8), scale, notices


def as_images(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
    """Give each line of pixels the shape of an image, (N, P) -> (N, C, H, H); say in which order colours were taken."""
    found = square_side(pixels.shape[1])
    assert found is not None
    channels, side = found
    if channels == 1:
        return pixels.reshape(-1, 1, side, side), []
    said = f"The {pixels.shape[1]:,} values of a row are taken for "
    planes = pixels.reshape(-1, channels, side, side)
    pixel_by_pixel = pixels.reshape(-1, side, side, channels).transpose(0, 3, 1, 2)  # (N, 3, H, H)
    if _unevenness(planes[:_LOOKED_AT]) < _CLEAR * _unevenness(pixel_by_pixel[:_LOOKED_AT]):
        return planes, [f"{said}all reds, then all greens, then all blues."]
    return np.ascontiguousarray(pixel_by_pixel), [f"{said}red, green and blue of one pixel after the other."]


def _unevenness(images: NDArray[np.uint8]) -> float:
    """How much pixels differ from those to the right, below, and in the next colour: least where the shape is right."""
    values = images.astype(np.float32)
    return float(sum(np.abs(np.diff(values, axis=axis)).mean() for axis in (1, 2, 3)))
