"""A folder of image files as a data set: one subfolder a class, each with images at any depth.

The parts of a set (``train/`` and ``test/``, ``training/`` and ``testing/``, ``Train/`` and ``val/``, …) are found by
their names. What operating systems put between the files is passed over in silence (``__MACOSX``, ``@eaDir``,
``.DS_Store``); whatever else is passed over or changed is said, in a line each.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.paths import PathLike, is_system_name, user_path
from handconv.datasets.readers.parts import TEST_NAMES, TRAIN_NAMES, part_of, train_and_test
from handconv.datasets.readers.prepared import is_readable_name, read_prepared
from handconv.datasets.readers.samples import Samples, class_order, listed
from handconv.errors import DataError
from handconv.utils.memory import check_fits
from handconv.utils.warn import warn

_LISTS = (".txt", ".csv", ".tsv", ".json")  # of files that may list the images of a part
_TEST = ("test", "testing", "t10k")


@dataclass
class _Log:
    """What became of the files of a folder."""

    beside: int
    passed_over: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    became_grey: int = 0
    paged: int = 0
    empty: list[str] = field(default_factory=list)


def load_image_folder(
    path: PathLike, size: tuple[int, int] = (28, 28), *, colour: bool = False, fit: str = "pad"
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Load a folder with one subfolder a class, each with image files at any depth.

    The subfolders are the classes 0, 1, 2, …, those named by numbers in their order, then the others by name. Images
    are brought to one size with their proportions kept; light and dark stay as they are. A warning tells what was
    passed over and what was changed.

    Args:
        path: the folder.
        size: height and width of the result.
        colour: keep red, green and blue; else images become grey.
        fit: "pad" continues the ground of a picture where its proportions are others, "stretch" does not keep them.

    Shapes:
        images (N, 1, H, W), or (N, 3, H, W) with ``colour``, labels (N,), one name a class

    Raises:
        DataError: if there are no subfolders with images that can be read.
        ValueError: if the height or the width is less than 1, or ``fit`` is another word.
        OSError: if the folder cannot be read (``FileNotFoundError``, ``NotADirectoryError``, …).
        MissingExtraError: if Pillow is not installed.
    """
    root = user_path(path)
    samples, log = _read(root, size, colour, fit)
    for notice in _left_out(log, root):
        warn(notice)
    assert samples.labels is not None
    return samples.images, samples.labels, samples.class_names


def read_image_folders(
    paths: Sequence[Path], size: tuple[int, int] = (28, 28), *, colour: bool = False
) -> tuple[Samples, ...]:
    """Read the folders of the parts of a set, each as `load_image_folder` does; tell what was passed over and changed.

    What was changed is told once for all, with the first.

    Raises:
        DataError, ValueError, OSError, MissingExtraError: as `load_image_folder`.
    """
    parts, logs = zip(*(_read(path, size, colour, "pad") for path in paths), strict=True)
    changed = _changed(logs, size, sum(len(part.images) for part in parts))
    left_out = [_left_out(log, path) for log, path in zip(logs, paths, strict=True)]
    left_out[0] += changed
    return tuple(replace(part, notices=tuple(lines)) for part, lines in zip(parts, left_out, strict=True))


def _read(root: Path, size: tuple[int, int], colour: bool, fit: str) -> tuple[Samples, _Log]:
    """Read the images of all classes, and write down what became of the files."""
    if min(size) < 1:
        raise ValueError(f"size must be a height and a width of at least 1, got {size}.")
    if fit not in ("pad", "stretch"):
        raise ValueError(f"fit must be pad or stretch, got {fit!r}.")
    folders = sorted(_subfolders(root), key=lambda folder: class_order(folder.name))
    if not folders:
        of_images = f"Name the folder around it, or ask what they are: handconv predict {shlex.quote(str(root))}"
        remedy = of_images if _has_images(root) else "For a table in it name the file."
        raise DataError(f"A folder of images has one subfolder a class; {root} has no subfolders. {remedy}")
    _check_fits(root, folders, size, colour)
    log = _Log(beside=sum(is_readable_name(entry) for entry in root.iterdir() if not is_system_name(entry.name)))
    images: list[NDArray[np.uint8]] = []
    counts: dict[str, int] = {}
    for folder in folders:
        before = len(images)
        images += _images(folder, log, size, colour, fit)
        if len(images) > before:
            counts[folder.name] = len(images) - before
        else:
            log.empty.append(folder.name)
    if not images:
        why = " ".join(_left_out(log, root))
        raise DataError(f"A class is a subfolder with images; those of {root} have none that can be read. {why}")
    labels = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int64)
    return Samples(np.stack(images), labels, tuple(counts)), log


def find_parts(path: Path) -> tuple[Path, Path | None, list[str]]:
    """Find the folders of training and test images; tell what was taken for granted.

    A folder that only holds another one is entered. A training part alone is the whole set.

    Raises:
        DataError: if there are parts to test on and none to train on.
    """
    notices: list[str] = []
    while (only := _only_folder(path)) is not None:
        path = only
        notices.append(f"The data set is taken from {path}, the only folder with images there.")
    folders = _subfolders(path)
    named = [(part_of(folder.name), folder) for folder in folders]
    parts = {part: folder for part, folder in reversed(named) if _subfolders(folder) and not _has_images(folder)}
    chosen = train_and_test(list(parts))
    train, test = (None if part is None else parts[part] for part in chosen)
    there = listed([f"{folder.name}/" for folder in folders])
    if parts and len(parts) == len(folders) and all(part in TEST_NAMES for part in parts):
        raise DataError(
            f"There must be images to train on, in a folder train/ say; {path} has {there} alone. "
            "To test a model on images name their folder."
        )
    if train is None and len(folders) > 1 and all(part for part, _ in named):
        raise DataError(
            f"Each part of a data set has one subfolder a class; {path} has {there}, and there are none in them to "
            "train on. Sort the images into them."
        )
    if train is None:
        within = sorted({each.name for folder in folders for each in _subfolders(folder) if part_of(each.name)})
        if None not in train_and_test([part_of(name) for name in within]):
            notices.append(
                f"Within the classes, {listed([f'{name}/' for name in within])} are no parts of the set, their images "
                "are taken together. For parts, put train/ and test/ around the classes."
            )
        files = (entry for entry in sorted(path.iterdir()) if entry.suffix.lower() in _LISTS and part_of(entry.stem))
        if lists := listed([entry.name for entry in files]):
            notices.append(f"{lists} are not looked at: the parts of a set are folders, train/ and test/.")
        return path, None, notices
    if test is not None and part_of(test.name) not in _TEST:
        notices.append(f"{test.name}/ is the set to test on: there is no test/.")
    unused = [folder.name for folder in folders if folder not in (train, test)]
    train, test = _innermost(train), None if test is None else _innermost(test)
    if unused:
        notices.append(f"Used neither to train on nor to test on: {listed([f'{name}/' for name in unused])}.")
    return train, test, notices


def _images(folder: Path, log: _Log, size: tuple[int, int], colour: bool, fit: str) -> Iterator[NDArray[np.uint8]]:
    """Read the images of a folder and its subfolders; write down what is passed over and changed."""
    for entry in sorted(folder.iterdir()):
        if is_system_name(entry.name):
            continue
        if entry.is_dir():
            if entry.is_symlink() and folder.resolve().is_relative_to(entry.resolve()):
                continue  # a link to a folder above
            yield from _images(entry, log, size, colour, fit)
        elif not is_readable_name(entry):
            log.passed_over[entry.suffix.lower() or "without an ending"] += 1
        else:
            try:
                image = read_prepared(entry, size, colour=colour, fit=fit)
            except (DataError, OSError) as error:
                log.passed_over["damaged or of no kind that is read"] += 1
                said = str(error) if isinstance(error, DataError) else f"{entry}: {error.strerror or error}"
                log.damaged.append(said)
            else:
                log.sizes.add(image.size)
                log.became_grey += image.coloured and not colour
                log.paged += image.pages > 1
                yield image.pixels


def _check_fits(root: Path, folders: Sequence[Path], size: tuple[int, int], colour: bool) -> None:
    """Refuse more, or larger, images than memory holds."""
    height, width = size
    count = sum(is_readable_name(entry) for folder in folders for entry in folder.rglob("*"))
    check_fits(
        2 * count * (3 if colour else 1) * height * width,  # one by one, and stacked
        f"Reading the {count:,} images of {root} at {height}x{width} pixels",
        "Take smaller ones: --size (size=).",
    )


def _innermost(path: Path) -> Path:
    """The folder of the classes, if a part of a set only holds one other folder around them."""
    while (only := _only_folder(path)) is not None:
        path = only
    return path


def _only_folder(path: Path) -> Path | None:
    """The only subfolder, if it is no class and no part of a set, but a folder around its classes or parts."""
    match [folder for folder in _subfolders(path) if _has_images(folder, deep=True)]:
        case [only] if path.name == only.name or (part_of(only.name) not in TRAIN_NAMES and not _has_images(only)):
            return only if any(_has_images(folder, deep=True) for folder in _subfolders(only)) else None
    return None


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not is_system_name(entry.name)]


def _has_images(folder: Path, *, deep: bool = False) -> bool:
    """Whether images lie in a folder itself, or in its subfolders too."""
    entries = folder.rglob("*") if deep else folder.iterdir()
    return any(not is_system_name(entry.name) and is_readable_name(entry) for entry in entries)


def _left_out(log: _Log, root: Path) -> list[str]:
    """Say which files and folders were passed over, and why."""
    lines = []
    if log.passed_over:
        total = log.passed_over.total()
        most_first = sorted(log.passed_over.items(), key=lambda item: (-item[1], item[0]))
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in most_first)
        first = f" (the first: {log.damaged[0].rstrip('.')})" if log.damaged else ""
        files = "1 file in {} is" if total == 1 else f"{total:,} files in {{}} are"
        lines.append(f"{files.format(root)} passed over: {kinds}{first}.")
    if log.beside:
        lines.append(f"Images beside the folders of the classes are passed over: {log.beside:,} of them.")
    if log.empty:
        lines.append(f"Folders without images are no classes: {listed(log.empty)}.")
    return lines


def _changed(logs: Sequence[_Log], size: tuple[int, int], read: int) -> list[str]:
    """Say how images were changed."""
    lines, sizes = [], set[tuple[int, int]]().union(*(log.sizes for log in logs))
    if sizes != {size}:
        least, most = (f"{height}x{width}" for height, width in (min(sizes), max(sizes)))
        before = least if least == most else f"{least} to {most}"
        padded = any(size[0] * width != size[1] * height for height, width in sizes)
        kept = "; where the proportions are others, the ground is continued" if padded else ""
        lines.append(f"Images of {before} pixels are scaled to {size[0]}x{size[1]}{kept} (another size: --size).")
    if paged := sum(log.paged for log in logs):
        lines.append(f"{paged:,} of {read:,} images have several pages or pictures; the first one of each is read.")
    if became_grey := sum(log.became_grey for log in logs):
        lines.append(f"{became_grey:,} of {read:,} images are coloured and become grey (--colour keeps colours).")
    return lines
