"""A known data set in a folder of the user's: the four IDX files or the two CSV files, gzipped or not."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.cache import Stamps
from handconv.datasets.catalog import Arrays, KnownFile, KnownSet
from handconv.datasets.readers.csv import load_csv
from handconv.errors import DataError, SourceError

Located = Mapping[str, Path]
"""Where the files are: under the names of `PARTS` in IDX form, or under "train" and "test" in CSV form."""


def locate(known: KnownSet, folder: Path) -> Located:
    """Find the files of a set in a folder, or in those of its subfolders that programs make; IDX is preferred to CSV.

    The subfolders are the one named after the set, and ``MNIST/raw`` or ``FashionMNIST/raw`` of torchvision. An IDX
    file may be called ``train-images-idx3-ubyte`` or, as Windows programs unpack it, ``train-images.idx3-ubyte``.

    Raises:
        SourceError: if they are not there; the message says what was looked for.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder. Give the folder that holds the files of {known.title}.")
    train_csv, test_csv = known.csv_names
    torchvision = known.title.replace("-", "")
    for place in (known.name, "", f"{torchvision}/raw", "raw", torchvision):
        for wanted in ({part: file.name for part, file in known.files.items()}, {"train": train_csv, "test": test_csv}):
            found = {key: path for key, name in wanted.items() if (path := _find(folder / place, name))}
            if len(found) == len(wanted):
                return found
    names = ", ".join(f"{file.name}[.gz]" for file in known.files.values())
    raise SourceError(
        f"{folder} does not hold {known.title}: there must be {names}, or {train_csv} and {test_csv}, in it or in its "
        f"subfolder {known.name}/ or {torchvision}/raw/. Put them there, or leave the folder out to have them "
        f"downloaded. Data of your own: --dataset {shlex.quote(str(folder))}"
    )


def stamps(located: Located) -> Stamps:
    """What tells later whether the files are still the same: path, size and time of the last change."""
    return [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in located.values()]


def read(known: KnownSet, located: Located) -> Arrays:
    """Read located files and check that they are the official ones.

    Raises:
        DataError: if a file is damaged or holds something else.
        OSError: if a file cannot be read.
    """
    if "train" in located:
        return _read_csv_pair(known, located)
    return {part: _read_idx(file, located[part]) for part, file in known.files.items()}


def _read_idx(file: KnownFile, path: Path) -> NDArray[np.uint8]:
    size = path.stat().st_size
    if size > file.max_download:
        raise DataError(f"{path}: expected at most {file.max_download:,} bytes, got {size:,}")
    return file.decode(path.read_bytes(), str(path))


def _read_csv_pair(known: KnownSet, located: Located) -> Arrays:
    arrays: dict[str, NDArray[np.uint8]] = {}
    for half in ("train", "test"):
        images, labels = load_csv(located[half])
        arrays |= {f"x_{half}": images, f"y_{half}": labels.astype(np.uint8)}
    for part, file in known.files.items():
        file.check(arrays[part], str(located[part[2:]]))
    return arrays


def _find(folder: Path, name: str) -> Path | None:
    """Find a file under one of the names that programs give it."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for ending in ("", ".gz"):
            if (path := folder / f"{spelling}{ending}").is_file():
                return path
    return None
