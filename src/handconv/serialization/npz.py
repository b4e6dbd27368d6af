"""Models as NumPy's own .npz files: one array for each parameter, and a JSON text that says what they are.

A file is written to a temporary name in the same folder, flushed and renamed, so that the old file stays until the new
one is whole. Reading never unpickles anything, and trusts no header: sizes are checked before memory is allocated.
"""

import errno
import glob
import io
import json
import math
import os
import re
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from handconv.errors import ModelFileError

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
    """A file that is never asked for more than it holds: Python takes the memory for what is asked before it looks."""

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
    text = json.dumps(metadata, indent=1, allow_nan=False)

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_METADATA), text)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)

    write_atomically(Path(path), write, previous=previous)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what ``save`` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelFileError: if the file is none of these, or damaged.
    """
    with _File(io.FileIO(path)) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                metadata, arrays = _read(archive)
        except ModelFileError:
            raise
        except _UNREADABLE as error:
            raise ModelFileError(
                f"{path} is no handconv model, or is damaged ({error}). Give a file that save() wrote."
            ) from error
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path} is damaged: its {_METADATA} is not an object. Give a file that save() wrote.")
    return arrays, metadata


def _read(archive: zipfile.ZipFile) -> tuple[Any, dict[str, NDArray[Any]]]:
    if _METADATA not in archive.namelist():
        raise ModelFileError(
            f"{archive.filename} is no handconv model: it has no {_METADATA}. Give a file that save() wrote."
        )
    return json.loads(_read_metadata(archive)), {
        info.filename.removesuffix(".npy"): _read_array(archive, info)
        for info in archive.infolist()
        if info.filename.endswith(".npy")
    }


def write_atomically(path: Path, write: Callable[[IO[bytes]], None], *, previous: Path | None = None) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, and give it its name.

    The old file is replaced, or renamed to ``previous``, not before the new one is whole.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not path.parent.is_dir():
        what = "A file is saved into a folder that exists; this one does not. Make it first"
        raise FileNotFoundError(errno.ENOENT, what, str(path.parent))
    _sweep(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        if previous is not None:
            with suppress(FileNotFoundError):  # there is no old one yet
                path.replace(previous)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sweep(path: Path) -> None:
    """Remove what killed runs left of this file; what is younger than an hour may belong to one that is still at it."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if file.stat().st_mtime < time.time() - 3600:
                file.unlink()


def _read_metadata(archive: zipfile.ZipFile) -> bytes:
    if archive.getinfo(_METADATA).file_size > 1 << 28:
        raise ModelFileError(f"{archive.filename} is damaged: its {_METADATA} claims to be larger than 256 MB.")
    return archive.read(_METADATA)


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
