"""Data sets of IDX files, recognised by their names as programs spell them.

    emnist-letters-train-images-idx3-ubyte.gz      set "emnist-letters", part "train", images
    t10k-labels.idx1-ubyte                         no name, part "t10k", labels
    qmnist-test-labels-idx2-int.gz                 set "qmnist", part "test", labels

Beside EMNIST's files lie others that name the classes (``emnist-letters-mapping.txt``); they are used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handconv.datasets.readers.idx import load_idx
from handconv.datasets.readers.parts import TEST_NAMES, TRAIN_NAMES
from handconv.datasets.readers.samples import Samples, listed, number_classes
from handconv.errors import DataError

_NAME = re.compile(
    rf"(?:(?P<set>.+?)[-_.])??(?:(?P<part>{'|'.join(TRAIN_NAMES + TEST_NAMES)})[-_.])?"
    r"(?P<what>images|labels)[-_.]idx\d(?:[-_.]\w+)?(?:\.gz|\.zip)?",
    re.IGNORECASE,
)
# Where archives and torchvision put the files of a set.
_SUBFOLDERS = ("", "raw", "gzip", "*/raw")


@dataclass(frozen=True)
class IdxFiles:
    """The files of one set: images and labels of each part.

    Args:
        name: the first part of their names, "" if it is none.
        train: images and labels.
        test: images and labels; None if there is no such part.
        unused: the names of other parts.
        alone: the name of the part, if there is one to test on alone.
    """

    name: str
    train: tuple[Path, Path]
    test: tuple[Path, Path] | None
    unused: tuple[str, ...] = ()
    alone: str = ""


def is_idx_name(name: str) -> bool:
    """Whether a file is named as IDX files are.

    Example:
        >>> is_idx_name("data/t10k-images.idx3-ubyte.gz"), is_idx_name("images.png")
        (True, False)
    """
    return _NAME.fullmatch(Path(name).name) is not None


def find_idx_files(path: Path, name: str | None = None) -> IdxFiles | None:
    """Find the set that a file belongs to, or the one that is in a folder; None if there are no IDX files.

    Args:
        path: a file of the set, or a folder.
        name: of the set, if the folder may hold several.

    Raises:
        DataError: if images have no labels, or a folder holds several sets and none is named.
    """
    if path.is_file():
        named = _NAME.fullmatch(path.name)
        return _set_of(path.parent, _key(named["set"])) if named else None
    for pattern in _SUBFOLDERS:
        for folder in sorted(path.glob(pattern)) if pattern else [path]:
            found = {(named["what"].lower(), _key(named["set"])) for named, _ in _idx_files(folder)}
            found = {each for each in found if name is None or each[1] == name.lower()}
            # Labels alone are a set that lacks its images.
            sets = sorted(each for what, each in found if what == "images") or sorted(each for _, each in found)
            if len(sets) > 1:
                raise DataError(
                    f"{folder} holds {len(sets)} sets of IDX files, {listed(sets)}. Name the file of the images that "
                    "you want."
                )
            if sets:
                return _set_of(folder, sets[0])
    return None


def read_idx_files(files: IdxFiles) -> tuple[Samples, Samples | None]:
    """Read a set: its training part, and its test part if it has one, with the same classes.

    Raises:
        DataError, OSError: as `load_idx`.
    """
    parts = [load_idx(*pair) for pair in (files.train, files.test) if pair is not None]
    numbers, classes = number_classes(np.concatenate([labels for _, labels in parts]))
    names = _mapping(files)
    notices = [f"The part {part!r} is used neither to train on nor to test on." for part in files.unused]
    if files.alone:
        notices.append(f"There is no part to train on; {files.alone!r} is taken for the whole set.")
    if names and all(each in names for each in classes):
        classes = tuple(names[each] for each in classes)
        notices.append(f"The classes have the names that {files.name}-mapping.txt gives them: {listed(classes)}.")
    first = len(parts[0][1])
    train = Samples(parts[0][0], numbers[:first], classes, tuple(notices))
    return train, Samples(parts[1][0], numbers[first:], classes) if len(parts) > 1 else None


def _idx_files(folder: Path) -> list[tuple[re.Match[str], Path]]:
    """The IDX files of a folder, by their names."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [(named, entry) for entry in entries if (named := _NAME.fullmatch(entry.name))]
    return [(named, entry) for named, entry in found if entry.is_file()]


def _set_of(folder: Path, name: str) -> IdxFiles:
    """Put together the files of one set."""
    files = {
        (named["what"].lower(), _key(named["part"])): entry
        for named, entry in reversed(_idx_files(folder))
        if _key(named["set"]) == name
    }
    parts: dict[str, tuple[Path, Path]] = {}
    for (what, part), images in files.items():
        if what == "images":
            labels = files.get(("labels", part))
            if labels is None:
                raise DataError(
                    f"The images {images} have no labels beside them: there must be a file of the same name with "
                    "labels-idx1 instead of images-idx3."
                )
            parts[part] = images, labels
    if not parts:
        raise DataError(f"{listed([file.name for file in files.values()])} in {folder} have no images beside them.")
    chosen = [next((key for key in keys if key in parts), None) for keys in (("", *TRAIN_NAMES), TEST_NAMES)]
    alone = chosen[0] is None
    train, test = (chosen[1], None) if alone else chosen
    assert train is not None
    unused = tuple(sorted(part for part in parts if part not in (train, test)))
    return IdxFiles(name, parts[train], None if test is None else parts[test], unused, train if alone else "")


def _mapping(files: IdxFiles) -> Mapping[str, str]:
    """The names of the classes as EMNIST gives them: lines of a label and the codes of its characters."""
    path = files.train[0].with_name(f"{files.name}-mapping.txt")
    try:
        lines = [line.split() for line in path.read_text("ascii").splitlines()]
        return {label: chr(int(code)) for label, code, *_ in filter(None, lines)}
    except (OSError, ValueError, OverflowError):
        return {}


def _key(name: str | None) -> str:
    return (name or "").lower()
