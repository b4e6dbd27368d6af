"""Data sets in a file of NumPy's, as Keras and MedMNIST have them: images and labels under names that tell them.

    x_train (N, H, W), y_train (N,), x_test, y_test               Keras
    train_images (N, H, W, 3), train_labels (N, 1), val_images, …     MedMNIST
    data (N, H·W), target (N,)                                    without parts

What has other names is passed over, and that is said; nothing pickled is ever read.
"""

import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.paths import PathLike, user_path
from handconv.datasets.readers._files import MAX_DECOMPRESSED
from handconv.datasets.readers.parts import TEST_NAMES, TRAIN_NAMES, train_and_test
from handconv.datasets.readers.pixels import Pixels, as_images, to_bytes
from handconv.datasets.readers.samples import Samples, listed, number_classes
from handconv.datasets.readers.table_form import square_side
from handconv.errors import DataError

_ROLES = {
    "images": ("x", "images", "image", "imgs", "data", "features"),
    "labels": ("y", "labels", "label", "target", "targets"),
}
_TOP = 255


def read_arrays(path: PathLike) -> tuple[Samples, Samples | None]:
    """Read the part of a set to train on, and that to test on if there is one, with the same classes.

    Raises:
        DataError: if there are no such arrays, or they are no images and labels.
        OSError: if the file cannot be opened.
    """
    found, names, passed_over = _load(path)
    parts = {part: arrays for part, arrays in found.items() if len(arrays) == len(_ROLES)}
    train, test = train_and_test(list(parts))
    if train is None:
        train, test = ("", test) if "" in parts else (test, None)
    if train is None:
        raise DataError(
            f"{path} must have arrays of images and of their labels, x_train and y_train say; it has {listed(names)}. "
            f"If it is a model: handconv play {shlex.quote(str(path))}"
        )
    unused = [part for part in found if part not in (train, test)]
    notices = [f"The part {part!r} is used neither to train on nor to test on." for part in unused]
    if passed_over:
        notices.append(f"Arrays that are neither the images nor the labels are passed over: {listed(passed_over)}.")
    chosen = [parts[part] for part in (train, test) if part is not None]
    labels = [_labels(part["labels"], len(part["images"]), path) for part in chosen]
    whole = all(each.dtype.kind == "i" for each in labels)
    joined = np.concatenate([each if whole else each.astype(str) for each in labels])
    numbers, classes = number_classes(joined if whole else joined.tolist())
    read: list[Samples] = []
    for part, own in zip(chosen, np.split(numbers, [len(labels[0])]), strict=False):
        pixels, scale, said = _images(part["images"], path)
        read.append(Samples(pixels, own, classes, tuple(notices if not read else ()) + tuple(said), scale))
    return read[0], read[1] if len(read) > 1 else None


def _load(path: PathLike) -> tuple[Mapping[str, Mapping[str, NDArray[Any]]], list[str], list[str]]:
    """Read the arrays whose names tell a part and a role: part -> role -> array; name all, and those passed over."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with user_path(path).open("rb") as file:
            if sum(member.file_size for member in zipfile.ZipFile(file).infolist()) > MAX_DECOMPRESSED:
                raise DataError(f"{path} has more than {MAX_DECOMPRESSED:,} bytes. Split it.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                names = list(arrays.files)
                chosen = _named(names)
                for (part, role), named in chosen.items():
                    if len(named) > 1:
                        raise DataError(
                            f"{path} has {len(named)} arrays that could be the {role} of {part or 'the set'}, "
                            f"{listed(named)}. Keep one of them, x_train and y_train say."
                        )
                    found.setdefault(part, {})[role] = arrays[named[0]]
    except (DataError, OSError):
        raise
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise DataError(_damaged(path, error)) from error
        raise DataError(
            f"{path} has an array of Python objects, and pickles are never read. Save numbers: np.savez('data.npz', "
            "x_train=np.array(images, dtype=np.uint8), y_train=…)."
        ) from error
    except Exception as error:  # on damaged files: whatever zipfile and NumPy stumble over
        raise DataError(_damaged(path, error)) from error
    used = [name for named in chosen.values() for name in named]
    return found, names, [name for name in names if name not in used]


def _named(names: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """The arrays that could be images or labels of each part; with other words in their names only if all have some."""
    plain: dict[tuple[str, str], list[str]] = {}
    others: dict[tuple[str, str], list[str]] = {}
    for name in names:
        words = [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|t10k", name)]
        role = next((role for role, known in _ROLES.items() if set(words) & set(known)), None)
        part = next((word for word in words if word in TRAIN_NAMES + TEST_NAMES), "")
        if role is not None:
            strange = set(words) - {"set", *TRAIN_NAMES, *TEST_NAMES, *_ROLES[role]}
            (others if strange else plain).setdefault((part, role), []).append(name)
    return {key: named for key, named in others.items() if key[1] not in {role for _, role in plain}} | plain


def _damaged(path: PathLike, error: Exception) -> str:
    return f"{path} is a damaged file of NumPy's ({error}). Fetch it again."


def _images(values: NDArray[Any], path: PathLike) -> tuple[NDArray[np.uint8], float, list[str]]:
    """Bring images of any usual shape and type to uint8 (N, C, H, W); give the scale and what was done."""
    if values.dtype.kind not in "uifb" or not values.size:
        raise DataError(f"{path}: images must be numbers, got an array of {values.dtype} of shape {values.shape}.")
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= _TOP:
        raise DataError(f"{path}: pixels must go from 0 to 1 or to 255, got {low:g} to {high:g}. Bring them to that.")
    plain: Pixels = values.astype(np.uint8) if values.dtype.kind in "ui" else values.astype(np.float32)
    pixels, scale, said = to_bytes([plain], None)
    if pixels.ndim == 3 and 1 in pixels.shape[1:]:
        pixels = pixels.reshape(len(pixels), -1)  # all pixels of an image in a row or in a column
    if pixels.ndim == 2 and square_side(pixels.shape[1]) is not None:
        images, order = as_images(pixels)
        return images, scale, [*said, *order]
    if pixels.ndim == 3:
        return pixels[:, None], scale, said
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        return pixels, scale, said
    if pixels.ndim == 4 and pixels.shape[3] in (1, 3):
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), scale, said
    raise DataError(
        f"{path}: images must have a shape (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W) or (N, H·H), got "
        f"{values.shape}."
    )


def _labels(values: NDArray[Any], count: int, path: PathLike) -> NDArray[Any]:
    """Bring labels to whole numbers or texts (N,); those of one column for each class to its place."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "uifb" and bool((values.sum(axis=1) == 1).all() and values.max() == 1):
        values = values.argmax(axis=1)
    if values.dtype.kind == "f" and bool((values == values.round()).all()):
        values = values.astype(np.int64)
    if values.shape != (count,) or values.dtype.kind not in "uibUS":
        raise DataError(
            f"{path}: there must be a label, a whole number or a text, for each of {count:,} images, got an array of "
            f"{values.dtype} of shape {values.shape}."
        )
    return values if values.dtype.kind in "US" else values.astype(np.int64)
