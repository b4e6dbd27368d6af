"""Image files: a folder of them as a data set, and one photo or drawing of a digit brought to the form of MNIST.

Pillow decodes and scales; what is ink and what is paper is decided in ``_ink``, where the middle of the digit goes
in ``_frame``.
"""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers._files import PathLike
from handconv.datasets.readers._frame import BOX, frame
from handconv.datasets.readers._ink import find_ink, thicken
from handconv.errors import DataError
from handconv.utils.optional_imports import import_optional

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float64]

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"}
_MAX_PIXELS = 64_000_000
_WORKING_SIDE = 256


def read_digit_image(path: PathLike) -> NDArray[np.uint8]:
    """Read a photo or drawing of one digit and bring it to the form of MNIST: light on dark, centred, 28x28.

    Any size and colour mode, dark on light or light on dark, also on a transparent ground, unevenly lit, with specks:
    the background is estimated and taken off, the ink is cropped, scaled into 20x20 with its proportions kept, and its
    centre of mass is put in the middle.

    Args:
        path: a PNG, JPEG, WebP, BMP or GIF file.

    Shapes:
        (1, 28, 28)

    Raises:
        DataError: if the file is no such image, is broken, cut off or too large, or shows nothing.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
        MissingExtraError: if Pillow is not installed.
    """
    grey = _read_grey(path, at_most=_WORKING_SIDE)
    ink = find_ink(grey)
    if ink is None:
        raise DataError(f"{path} shows no digit: nothing stands out from its background. Use more contrast.")
    ink = thicken(ink, BOX)
    height, width = ink.shape
    scale = BOX / max(height, width)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    return frame(_resize(ink, size))[None]


def read_image(path: PathLike, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read one image as ``load_image_folder`` reads those of a folder: grey, and scaled to a height and width.

    Args:
        path: a PNG, JPEG, WebP, BMP or GIF file.
        size: height and width of the result.

    Shapes:
        (1, H, W)

    Raises:
        DataError: if the file is no such image, is broken, cut off or too large.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
        MissingExtraError: if Pillow is not installed.
    """
    return _resize(_read_grey(path) / 255, size)[None]


def load_image_folder(
    path: PathLike, size: tuple[int, int] = (28, 28)
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Load a folder with one subfolder a class, each full of image files.

    The subfolders in the order of their names are the classes 0, 1, 2, …; hidden files, and files that are no images
    by their name, are passed over. Images become grey and are scaled to one size; light and dark stay as they are.

    Args:
        path: the folder.
        size: height and width of the result.

    Shapes:
        images (N, 1, H, W), labels (N,), one name a class

    Raises:
        DataError: if there are no subfolders, one of them has no images, or an image cannot be read.
        ValueError: if the height or the width is less than 1.
        OSError: if the folder cannot be read (``FileNotFoundError``, ``NotADirectoryError``, …).
        MissingExtraError: if Pillow is not installed.
    """
    if min(size) < 1:
        raise ValueError(f"size must be a height and a width of at least 1, got {size}.")
    folders = sorted(entry for entry in Path(path).iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise DataError(f"An image data set is a folder with one subfolder a class; {path} has no subfolders.")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        files = sorted(entry for entry in folder.iterdir() if _is_image_name(entry))
        if not files:
            raise DataError(f"Every class needs images, {folder} has none ({', '.join(sorted(_SUFFIXES))}).")
        images += [read_image(file, size) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels, dtype=np.int64), tuple(folder.name for folder in folders)


def _is_image_name(entry: Path) -> bool:
    return entry.suffix.lower() in _SUFFIXES and not entry.name.startswith(".") and entry.is_file()


def _read_grey(path: PathLike, at_most: int | None = None) -> Floats:
    """Decode an image file to brightness from 0 to 255, upright, with no side longer than ``at_most``: (H, W)."""
    pillow = import_optional("PIL.Image", extra="cli")
    operations = import_optional("PIL.ImageOps", extra="cli")
    # The whole file, as Pillow asks a file for as many bytes as a damaged header names, and Python makes room for them.
    content = Path(path).read_bytes()
    if not content:
        raise DataError(f"{path} is empty. Save the image again.")
    try:
        # Pillow warns of large images and odd metadata; the first is refused below, the second is no matter.
        with warnings.catch_warnings(action="ignore"), pillow.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height <= _MAX_PIXELS:
                if at_most:
                    image.draft("L", (4 * at_most, 4 * at_most))
                return _grey(operations.exif_transpose(image), at_most)
            problem = f"it has {image.width:,} x {image.height:,} pixels, at most {_MAX_PIXELS:,} are read"
    except pillow.UnidentifiedImageError:
        problem = f"it is none of {', '.join(_FORMATS)}"
    except pillow.DecompressionBombError:
        problem = f"it has more than the {_MAX_PIXELS:,} pixels that are read"
    except Exception as error:
        # On damaged files the decoders raise whatever their code stumbles over (SyntaxError, KeyError, …).
        raise DataError(f"{path} is a damaged image ({error}). Save it again.") from error
    raise DataError(f"{path} cannot be read as an image: {problem}. Save it as a PNG or JPEG file.")


def _grey(image: "Image", at_most: int | None) -> Floats:
    """Reduce a decoded image to brightness; what is transparent gets the colour that shows the rest."""
    if image.mode.startswith("I"):  # 16 bits a pixel
        image = _from_array(np.asarray(image, dtype=np.float64) / 257)
    elif image.has_transparency_data:
        image = image.convert("RGBA").convert("LA")
    elif image.mode != "L":
        image = image.convert("L")
    if at_most:
        image.thumbnail((at_most, at_most))
    grey = np.asarray(image, dtype=np.float64)
    return grey if grey.ndim == 2 else _flatten(grey[..., 0], grey[..., 1] / 255)


def _flatten(grey: Floats, opacity: Floats) -> Floats:
    """Lay a transparent image on paper: on its own, if most of it is opaque, else on the opposite of its ink."""
    opaque = opacity > 0.5
    if opaque.mean() > 0.5:
        ground = float(np.median(grey[opaque]))
    else:
        ground = 0.0 if np.average(grey, weights=opacity + 1e-9) > 127 else 255.0
    return grey * opacity + ground * (1 - opacity)


def _resize(ink: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale an image from 0 to 1 to height and width ``size``, smoothly: uint8."""
    pillow = import_optional("PIL.Image", extra="cli")
    scaled = _from_array(ink).resize((size[1], size[0]), pillow.Resampling.BICUBIC)
    return (np.clip(np.asarray(scaled, dtype=np.float64), 0, 1) * 255).round().astype(np.uint8)


def _from_array(array: Floats) -> "Image":
    image: Image = import_optional("PIL.Image", extra="cli").fromarray(array.astype(np.float32))
    return image
