"""Image files: decoded by Pillow, upright and in plain brightness or colours."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers._files import PathLike
from handconv.datasets.readers.prepared import kinds, pages_of
from handconv.errors import DataError
from handconv.utils.optional_imports import import_optional
from handconv.utils.validation import unmasked
from handconv.utils.warn import warn

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_PIXELS = 64_000_000
# What white may be in files of more than 8 bits a pixel: integers that use 8, 12 or 16 of them, and floats.
_WHITES = {"I": (255, 4095, 65535), "F": (1, 255, 65535)}
# A picture whose channels nowhere differ by more than this is grey.
_COLOURED = 24


def read_picture(path: PathLike, *, at_most: int) -> NDArray[np.uint8]:
    """Decode an image file, upright, what is transparent laid on paper, no side longer than ``at_most``.

    Args:
        path: a file of any kind and mode that Pillow decodes by itself.
        at_most: pixels of the longer side; larger pictures are scaled down.

    Shapes:
        (H, W) brightness if the picture is grey, else (H, W, 3) red, green and blue

    Raises:
        DataError: if the file is no such image, is broken, cut off or too large.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
        MissingExtraError: if Pillow is not installed.
    """
    # The whole file, as Pillow asks a file for as many bytes as a damaged header names, and Python makes room for them.
    return decode_picture(Path(path).read_bytes(), str(path), at_most=at_most)


def decode_picture(content: bytes, name: str, *, at_most: int) -> NDArray[np.uint8]:
    """Decode the bytes of an image file as ``read_picture`` does; errors call it by ``name``."""
    pillow = import_optional("PIL.Image", extra="cli")
    operations = import_optional("PIL.ImageOps", extra="cli")
    if not content:
        raise DataError(f"{name} is empty. Save the image again.")
    picture, pages, problem = None, 1, ""
    try:
        # Pillow warns of large images and odd metadata; the first is refused below, the second is no matter.
        with warnings.catch_warnings(action="ignore"), pillow.open(io.BytesIO(content), formats=kinds()) as image:
            if image.width * image.height > _MAX_PIXELS:
                problem = f"it has {image.width:,} x {image.height:,} pixels, at most {_MAX_PIXELS:,} are read"
            else:
                pages = pages_of(image)
                image.draft(None, (2 * at_most, 2 * at_most))
                picture = _plain(operations.exif_transpose(image), at_most)
    except pillow.UnidentifiedImageError:
        problem = "it is of no kind that Pillow reads"
    except pillow.DecompressionBombError:
        problem = f"it has more than the {_MAX_PIXELS:,} pixels that are read"
    except Exception as error:
        # On damaged files the decoders raise whatever their code stumbles over (SyntaxError, KeyError, …).
        raise DataError(f"{name} is a damaged image ({error}). Save it again.") from error
    if picture is None:
        raise DataError(f"{name} cannot be read as an image: {problem}. Save it as a PNG or JPEG file.")
    if pages > 1:
        warn(f"{name} has {pages:,} pages or pictures; the first one is read.")
    return picture


def checked_picture(picture: object) -> NDArray[np.uint8]:
    """Return a picture that a user has given as an array.

    Raises:
        ValueError: if it is not uint8 (H, W) or (H, W, 3), or values are masked.
    """
    array = unmasked("picture", picture)
    if array.dtype != np.uint8 or array.shape[2:] not in ((), (3,)) or array.ndim < 2 or not array.size:
        raise ValueError(
            f"A picture is uint8 (H, W) or (H, W, 3), got {array.dtype} of shape {array.shape}. Of numbers from 0 to 1 "
            "make (255 * x).round().astype('uint8'), and of (1, H, W) take x[0]."
        )
    return array


def grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce a picture to brightness, by the weights of ITU-R BT.601.

    Shapes:
        (H, W) or (H, W, 3) -> (H, W)
    Example:
        >>> grey(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
        array([[ 76, 150]], dtype=uint8)
    """
    if picture.ndim == 2:
        return picture
    brightness: NDArray[np.uint8] = np.round(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return brightness


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a grey image to a height and a width, smoothly.

    Shapes:
        (H, W) -> size
    """
    pillow = import_optional("PIL.Image", extra="cli")
    scaled: NDArray[np.uint8] = np.asarray(pillow.fromarray(image).resize(size[::-1], pillow.Resampling.BICUBIC))
    return scaled


def _plain(image: "Image", at_most: int) -> NDArray[np.uint8]:
    """Reduce a decoded image to 8 bits a channel; what is transparent gets the colour that shows the rest."""
    if image.mode[0] in "IF":  # more than 8 bits a pixel
        values = np.asarray(image, dtype=np.float64)
        white = next((white for white in _WHITES[image.mode[0]] if values.max() <= white), values.max())
        pillow = import_optional("PIL.Image", extra="cli")
        image = pillow.fromarray((np.clip(values, 0, None) * (255 / white)).round().astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode != "L":
        image = image.convert("L" if image.mode == "1" else "RGB")
    image.thumbnail((at_most, at_most))
    pixels: NDArray[np.uint8] = np.asarray(image)
    if image.mode == "RGBA":
        pixels = _flatten(pixels[..., :3].astype(np.float64), pixels[..., 3:] / 255)
    if pixels.ndim == 3 and int(np.ptp(pixels, axis=-1).max()) <= _COLOURED:
        return grey(pixels)
    return pixels


def _flatten(colours: NDArray[np.float64], opacity: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lay a transparent image on paper: on its own, if most of it is opaque, else on the opposite of its ink."""
    opaque = opacity[..., 0] > 0.5
    if opaque.mean() > 0.5:
        ground = np.median(colours[opaque], axis=0)
    else:
        ink = np.average(colours.mean(axis=-1), weights=opacity[..., 0] + 1e-9)
        ground = np.full(3, 0.0 if ink > 127 else 255.0)
    return (colours * opacity + ground * (1 - opacity)).round().astype(np.uint8)
