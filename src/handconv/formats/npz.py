"""Models as NumPy's own .npz files: one array for each parameter, and a JSON text that says what they are.

A file is written to a temporary name in the same folder, flushed and renamed, so that the old file stays until the new one is
whole. Reading never unpickles anything, and trusts no header: sizes are checked before memory is allocated.
"""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from handconv.errors import ModelFileError

_METADATA = "metadata.json"
_LARGEST = 1 << 32  # bytes that one array of a model may take


def save(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and metadata, which must be plain JSON values."""
    text = json.dumps(metadata, indent=1, allow_nan=False)

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_METADATA), text)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)

    write_atomically(Path(path), write)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what ``save`` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelFileError: if the file is none of these, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if _METADATA not in archive.namelist():
                raise ModelFileError(f"{path} is no handconv model: it holds no {_METADATA}. Give a file that save() wrote.")
            metadata = json.loads(_read_metadata(archive))
            arrays = {
                info.filename.removesuffix(".npy"): _read_array(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} is no handconv model, or is damaged ({error}). Give a file that save() wrote.") from error
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path} is damaged: its {_METADATA} is not an object. Give a file that save() wrote.")
    return arrays, metadata


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, and give it its name."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_metadata(archive: zipfile.ZipFile) -> bytes:
    if archive.getinfo(_METADATA).file_size > 1 << 28:
        raise ModelFileError(f"{archive.filename} is damaged: its {_METADATA} claims to be larger than 256 MB.")
    return archive.read(_METADATA)


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, once its header is known to promise no more than the entry holds."""
    if info.file_size > _LARGEST or info.compress_type != zipfile.ZIP_STORED:
        raise ModelFileError(f"{archive.filename}: {info.filename} is larger than a model's array can be, or compressed.")
    with archive.open(info) as entry:
        version = np.lib.format.read_magic(entry)
        if version != (1, 0):
            raise ModelFileError(f"{archive.filename}: {info.filename} has the array format {version}, expected (1, 0).")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(entry)
        count = 1
        for size in shape:
            count *= size
        if dtype.hasobject or fortran or count < 0 or count * dtype.itemsize > info.file_size:
            raise ModelFileError(f"{archive.filename}: {info.filename} promises an array that the file cannot hold.")
        data = entry.read()
    if len(data) != count * dtype.itemsize:
        raise ModelFileError(f"{archive.filename}: {info.filename} is cut off or too long.")
    return np.frombuffer(data, dtype).reshape(shape).copy()
