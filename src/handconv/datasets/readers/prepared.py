"""One image file of any kind that Pillow reads, brought to a size and to one or three channels."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handconv.errors import DataError
from handconv.utils.optional_imports import import_optional

if TYPE_CHECKING:
    from PIL.Image import Image

_EDGE = 8  # the part of a picture's height and width that tells its ground
_ENOUGH = 4  # so many times the pixels of the result are enough of a JPEG file
_MAX_PIXELS = 64_000_000
_COLOURED = 24  # a picture whose channels nowhere differ by more than this is grey
# Kinds that Pillow hands to other programs, or of which it only knows the header.
_NOT_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image in the form that was wanted, and what it was before.

    Args:
        pixels: uint8 (C, H, W).
        size: height and width in the file.
        coloured: whether it has colours.
        pages: how many pages or moving pictures it has, of which the first is read.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    coloured: bool
    pages: int


def read_prepared(path: Path, size: tuple[int, int], *, colour: bool = False, fit: str = "pad") -> Prepared:
    """Read an image file and bring it to a form.

    Args:
        path: the file.
        size: height and width of the result.
        colour: three channels; else one.
        fit: "pad" keeps the proportions and continues the ground, "stretch" scales to the size.

    Raises:
        DataError: if it is damaged, too large, or of no kind that Pillow reads.
        OSError: if the file cannot be opened.
        MissingExtraError: if Pillow is not installed.
    """
    pillow = import_optional("PIL.Image", extra="cli")
    operations = import_optional("PIL.ImageOps", extra="cli")
    # The whole file, as Pillow asks a file for as many bytes as a damaged header names, and Python makes room for them.
    content = path.read_bytes()
    try:
        # Pillow warns of large images and odd metadata; the first is refused below, the second is no matter.
        with warnings.catch_warnings(action="ignore"), pillow.open(io.BytesIO(content), formats=kinds()) as image:
            width, height = image.size
            if width * height > _MAX_PIXELS:
                raise ValueError(f"it has {width:,} x {height:,} pixels, at most {_MAX_PIXELS:,} are read")
            pages = pages_of(image)
            image.draft(None, (_ENOUGH * max(size),) * 2)  # a JPEG file is decoded faster if it need not be large
            picture = _decoded(operations.exif_transpose(image))
    except pillow.UnidentifiedImageError as error:
        raise DataError(f"{path}: it is of no kind that Pillow reads") from error
    except pillow.DecompressionBombError as error:
        raise DataError(f"{path}: it has more than the {_MAX_PIXELS:,} pixels that are read") from error
    except Exception as error:
        # On damaged files the decoders raise whatever their code stumbles over (SyntaxError, KeyError, …).
        raise DataError(f"{path}: {error}") from error
    turned = (picture.shape[0] > picture.shape[1]) == (width > height)
    before = (width, height) if turned else (height, width)
    return Prepared(_fitted(picture, size, colour, fit), before, picture.ndim == 3, pages)


def is_readable_name(path: Path) -> bool:
    """Whether a file is an image by its name: its ending is of a kind that Pillow reads."""
    pillow = import_optional("PIL.Image", extra="cli")
    return pillow.registered_extensions().get(path.suffix.lower()) in (*kinds(), "MPO")


def _decoded(image: "Image") -> NDArray[np.uint8]:
    """Reduce a decoded image to bytes, (H, W) if it is grey, else (H, W, 3); what is transparent is laid on paper."""
    if image.mode[0] in "IF":  # 16 bits a pixel, or fractions
        values = np.asarray(image, dtype=np.float64)
        tops = (1, 255, 65535) if image.mode == "F" else (65535,)
        top = next((top for top in tops if values.max() <= top), values.max())
        return _bytes(values * (255 / top))
    if image.has_transparency_data:
        values = np.asarray(image.convert("RGBA"), dtype=np.float64)
        pixels = _on_paper(values[..., :3], values[..., 3:] / 255)
    else:
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    if pixels.ndim == 3 and int(np.ptp(pixels, axis=-1).max()) <= _COLOURED:
        return _bytes(pixels.mean(axis=-1))
    return pixels


def _on_paper(colours: NDArray[np.float64], opacity: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lay a transparent image on paper: on its own, if most of it is opaque, else on the opposite of its ink."""
    opaque = opacity[..., 0] > 0.5
    if opaque.mean() > 0.5:
        ground = np.median(colours[opaque], axis=0)
    else:
        ink = np.average(colours.mean(axis=-1), weights=opacity[..., 0] + 1e-9)
        ground = np.full(3, 0.0 if ink > 127 else 255.0)
    return _bytes(colours * opacity + ground * (1 - opacity))


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(values, 0, 255).round().astype(np.uint8)
    return rounded


def kinds() -> list[str]:
    """The kinds of files that Pillow decodes by itself, by its names for them."""
    pillow = import_optional("PIL.Image", extra="cli")
    pillow.init()
    return [kind for kind in pillow.OPEN if kind not in _NOT_IMAGES]


def pages_of(image: "Image") -> int:
    """How many pages or moving pictures a file has; what a camera puts beside its photograph does not count."""
    if image.format == "MPO":
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - the decoders stumble over the later pages of damaged files
        return 1
    finally:
        image.seek(0)


def _fitted(picture: NDArray[np.uint8], size: tuple[int, int], colour: bool, fit: str) -> NDArray[np.uint8]:
    """Bring a decoded picture to a size and to one channel, or to three.

    Shapes:
        (H, W) or (H, W, 3) -> (1, *size), or (3, *size) with ``colour``
    """
    pillow = import_optional("PIL.Image", extra="cli")
    height, width = picture.shape[:2]
    scale = [wanted / side for wanted, side in zip(size, (height, width), strict=True)]
    inner = tuple(max(round(side * min(scale)), 1) for side in (height, width)) if fit == "pad" else size
    image = pillow.fromarray(picture)
    if inner != (height, width):
        image = image.resize((inner[1], inner[0]), pillow.Resampling.BICUBIC)
    pixels = np.asarray(image.convert("RGB" if colour else "L"))
    pixels = pixels.reshape(*inner, -1)  # (h, w, C)
    if inner != size:
        top, left = ((wanted - side) // 2 for wanted, side in zip(size, inner, strict=True))
        canvas = np.empty((*size, pixels.shape[2]), np.uint8)
        canvas[:] = _ground(pixels)
        canvas[top : top + inner[0], left : left + inner[1]] = pixels
        pixels = canvas
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))  # (C, H, W)


def _ground(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colour of a picture's border: (H, W, C) -> (C,)."""
    down, right = (max(side // _EDGE, 1) for side in pixels.shape[:2])
    channels = pixels.shape[2]
    edges = (pixels[:down], pixels[-down:], pixels[:, :right], pixels[:, -right:])
    border = np.concatenate([edge.reshape(-1, channels) for edge in edges])
    ground: NDArray[np.uint8] = np.median(border, axis=0).astype(np.uint8)
    return ground
