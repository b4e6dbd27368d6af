"""The user's folder of data sets that are already decoded: ``.npy`` files, mapped into memory instead of read.

    <cache folder>/mnist/x_train.npy  y_train.npy  x_test.npy  y_test.npy  origin.json

The folder is HANDCONV_CACHE, or ``handconv`` in the cache folder of the operating system. A set is written to temporary
names beside its place, all of it, and only then renamed, so that a full disk, a kill or a second process at the same
time can leave no half of a file. On opening, headers and sizes must be what the catalog expects to the byte; `verify`
computes the checksums again.
"""

import io
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.catalog import KNOWN, PARTS, Arrays, KnownFile, KnownSet
from handconv.errors import DataError

FOLDER_VARIABLE = "HANDCONV_CACHE"
_ORIGIN = "origin.json"
_UNFINISHED = ".unfinished"

Stamps = Sequence[tuple[str, int, int]]
"""What tells whether files changed: path, size, time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Entry:
    """A data set in the cache: name, folder, bytes on disk, the source it came from, and whether all of it is there."""

    name: str
    path: Path
    size: int
    source: str
    complete: bool


def folder() -> Path:
    """The cache folder: HANDCONV_CACHE, or the place that the operating system gives to caches.

    Raises:
        OSError: if the user has no home folder.
    """
    if own := os.environ.get(FOLDER_VARIABLE):
        return Path(own).expanduser()
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "handconv" / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "handconv"
        xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "handconv"
    except RuntimeError as error:
        raise OSError(f"there is no home folder to keep a cache in ({error}). Set {FOLDER_VARIABLE}.") from error


def entries() -> tuple[Entry, ...]:
    """List the data sets that are in the cache."""
    found = []
    for known in KNOWN.values():
        path = folder() / known.name
        if path.is_dir():
            size = sum(file.stat().st_size for file in path.iterdir())
            found.append(Entry(known.name, path, size, _origin(known)[0], _is_sound(known)))
    return tuple(found)


def verify(name: str) -> tuple[str, ...]:
    """Compute the checksums of a cached set again; give one line for each fault, none if all is well.

    Raises:
        ValueError: if no data set has this name.
    """
    return _faults(_known(name))


def remove(name: str) -> int:
    """Remove a set from the cache, with whatever interrupted runs left of it; give the number of bytes freed.

    Raises:
        ValueError: if no data set has this name.
        OSError: if the folder cannot be removed.
    """
    path = folder() / _known(name).name
    if not path.is_dir():
        return 0
    size = sum(file.stat().st_size for file in path.iterdir())
    shutil.rmtree(path)
    return size


def open_arrays(known: KnownSet, stamps: Stamps = ()) -> tuple[Arrays, str] | None:
    """Map the arrays of a cached set into memory, read-only; give them and the source that they came from.

    Args:
        known: the set.
        stamps: if given, only an entry that was made from exactly these files counts.

    Returns:
        None if the set is not there.

    Raises:
        DataError: if it is there but damaged.
        OSError: if the cache cannot be read.
    """
    source, made_from = _origin(known)
    if not _path(known, PARTS[0]).parent.is_dir() or (stamps and made_from != list(map(list, stamps))):
        return None
    return {part: _map(_path(known, part), file) for part, file in known.files.items()}, source


def store(known: KnownSet, arrays: Arrays, source: str, stamps: Stamps = ()) -> None:
    """Put a verified set into the cache: all of it or nothing.

    Raises:
        OSError: if the folder cannot be written or the disk is full.
    """
    target = folder() / known.name
    target.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    origin = json.dumps({"source": source, "files": list(stamps)}).encode()
    contents: dict[str, bytes | NDArray[np.uint8]] = {_ORIGIN: origin}
    if _faults(known):
        contents |= {f"{part}.npy": array for part, array in arrays.items()}
    unfinished: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            unfinished[name] = target / f"{name}.{uuid.uuid4().hex}{_UNFINISHED}"
            with unfinished[name].open("xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    np.save(file, content)
                file.flush()
                os.fsync(file.fileno())
        for name, temporary in unfinished.items():
            temporary.replace(target / name)
    except BaseException:
        for temporary in unfinished.values():
            temporary.unlink(missing_ok=True)
        with suppress(OSError):
            target.rmdir()  # only if it is empty
        raise


def _known(name: str) -> KnownSet:
    if name not in KNOWN:
        raise ValueError(f"The cache holds {', '.join(KNOWN)}, got {name!r}.")
    return KNOWN[name]


def _path(known: KnownSet, part: str) -> Path:
    return folder() / known.name / f"{part}.npy"


def _map(path: Path, file: KnownFile) -> NDArray[np.uint8]:
    """Map one file into memory, if its header and its size are right to the byte."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": file.array_shape, "fortran_order": False, "descr": "|u1"})
    expected = header.getvalue()
    size = len(expected) + file.idx_size - file.header_size
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size != size or stream.read(len(expected)) != expected:
            raise DataError(f"{path} is damaged: expected {size:,} bytes with the header of {file.array_shape}")
        return np.memmap(stream, dtype=np.uint8, mode="r", offset=len(expected), shape=file.array_shape)


def _faults(known: KnownSet) -> tuple[str, ...]:
    """One line for each file of a set that is missing, damaged, or does not have its checksum."""
    faults = []
    for part, file in known.files.items():
        path = _path(known, part)
        try:
            file.check(_map(path, file), str(path))
        except DataError as error:
            faults.append(str(error))
        except OSError as error:
            faults.append(f"{path}: {error.strerror}")
    return tuple(faults)


def _sweep(target: Path) -> None:
    """Remove what killed runs left; a file that is younger than an hour may belong to a run that is still at it."""
    for file in target.glob(f"*{_UNFINISHED}"):
        with suppress(OSError):
            if file.stat().st_mtime < time.time() - 3600:
                file.unlink()


def _is_sound(known: KnownSet) -> bool:
    """Whether every file of a set is there and has the right header and size."""
    try:
        return open_arrays(known) is not None
    except (DataError, OSError):
        return False


def _origin(known: KnownSet) -> tuple[str, object]:
    """What the cache says about where a set came from: the source, and the stamps of its files."""
    try:
        origin = json.loads((folder() / known.name / _ORIGIN).read_bytes())
        return str(origin["source"]), origin["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown", None
