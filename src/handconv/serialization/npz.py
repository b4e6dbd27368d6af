"""Models as NumPy's own .npz files: one array for each parameter, and a JSON text that says what they are.

A file is written to a temporary name in the same folder, flushed and renamed, so that the old file stays until the new
one is whole. Reading never unpickles anything, and trusts no header: sizes are checked before memory is allocated.
"""

import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from handconv.errors import ModelFileError
from handconv.serialization.atomic import write_atomically

_METADATA = "metadata.json"
_LARGEST = 1 << 32  # bytes that one array of a model may take

#: The beginning of an array of numbers as NumPy writes it: type and shape. NumPy's own reader evaluates much more.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(\|[biu]1|[<>][iu][248]|[<>]f[248])', 'fortran_order': False, "
    rb"'shape': \(((?:\d+,)?|\d+(?:, \d+)+)\), \} *\n",
    re.DOTALL,
)
#: What the standard library raises on files that are no archives; OSError where a damaged one leads it astray.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, RuntimeError)


class _File(io.BufferedReader):
    """A file that reads at most what it holds: Python allocates all requested bytes before it reads."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any],
    *,
    previous: Path | None = None,
) -> None:
    """Write named arrays and metadata, which must be plain JSON values; the old file becomes ``previous``."""
    text = as_json(metadata)

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_METADATA), text)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)

    write_atomically(Path(path), write, previous=previous)


def as_json(metadata: Mapping[str, Any]) -> str:
    """Write plain values as JSON, NumPy's numbers and arrays among them.

    Raises:
        TypeError: if there is a value that JSON cannot hold; the message says where.
    """
    return json.dumps(_plain(metadata, ""), indent=1, allow_nan=False)


def _plain(value: Any, place: str) -> Any:
    """Bring NumPy's values to Python's, and refuse what JSON does not have."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(
                    f"{place} has the key {key!r}, and a file holds texts as keys: it would come back as {str(key)!r}. "
                    "Use texts, or a list."
                )
        return {key: _plain(entry, f"{place}[{key!r}]" if place else str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{place} is {value}, and a file holds finite numbers only. Leave it out.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    remedy = "an initialiser by its name" if "_init" in place else "a text, a number, or a list or dict of them"
    raise TypeError(
        f"{place} is {value!r}, of {type(value).__name__}, and a file holds plain values only. Give {remedy}."
    )


def load(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what ``save`` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelFileError: if the file is none of these, or damaged.
    """
    with _opened(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _read_array(archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }, _read_metadata(archive)


def metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the metadata alone of what ``save`` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelFileError: if the file is none of these, or damaged.
    """
    with _opened(path) as archive:
        return _read_metadata(archive)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Open the archive, and name the file in whatever is found to be wrong with it."""
    with _File(io.FileIO(path)) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except ModelFileError:
            raise
        except _UNREADABLE as error:
            raise ModelFileError(
                f"{path} is no handconv model, or is damaged ({error}). Give a file that save() wrote."
            ) from error


def _read_metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    if _METADATA not in archive.namelist():
        raise ModelFileError(
            f"{archive.filename} is no handconv model: it has no {_METADATA}. Give a file that save() wrote."
        )
    if archive.getinfo(_METADATA).file_size > 1 << 28:
        raise ModelFileError(f"{archive.filename} is damaged: its {_METADATA} claims to be larger than 256 MB.")
    found = json.loads(archive.read(_METADATA))
    if not isinstance(found, dict):
        raise ModelFileError(
            f"{archive.filename} is damaged: its {_METADATA} is not an object. Give a file that save() wrote."
        )
    return found


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array in NumPy's format 1.0, whose header must be one that NumPy writes and fit the data to the byte."""
    if info.file_size > _LARGEST or info.compress_type != zipfile.ZIP_STORED:
        raise ModelFileError(f"{archive.filename}: {info.filename} is larger than an array can be, or compressed.")
    data = archive.read(info)
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data, 0, start)
    if header is None:
        raise ModelFileError(f"{archive.filename}: {info.filename} is no array of numbers in NumPy's format 1.0.")
    dtype, shape = np.dtype(header[1].decode()), tuple(int(size) for size in header[2].split(b",") if size)
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ModelFileError(f"{archive.filename}: {info.filename} promises an array that the file does not hold.")
    return np.frombuffer(data[start:], dtype).reshape(shape).copy()
