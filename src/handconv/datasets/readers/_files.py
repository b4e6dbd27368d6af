"""Opening a data file, plain, gzip or zip, so that nothing the file says about itself is believed.

Two rules keep memory bounded: what a header promises is compared with what the file can hold before anything is
allocated, and what is decompressed counts against ``MAX_DECOMPRESSED``.
"""

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import cast

from handconv.datasets.paths import PathLike, is_system_name, user_path
from handconv.errors import DataError

__all__ = ["MAX_DECOMPRESSED", "PathLike", "open_data"]

GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
# Deflate spends at least one bit on 258/2 bytes: no stream of it grows more than this many times.
DEFLATE_MAX_RATIO = 1032
# Three times the largest data set of this kind (EMNIST by class, 640 MB).
MAX_DECOMPRESSED = 2 * 1024**3


@contextmanager
def open_data(path: PathLike) -> Iterator[tuple[io.BufferedReader, int]]:
    """Open a plain, gzip or zip file by its first bytes; give the stream and the most bytes that it can deliver.

    Raises:
        DataError: if the compressed stream is damaged or cut off, also later, while the caller reads it; or if a zip
            file holds several files.
        OSError: if the file cannot be opened or read (``FileNotFoundError``, ``IsADirectoryError``, …).
    """
    with user_path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.peek(4)[:4]
        if not magic.startswith((GZIP_MAGIC, ZIP_MAGIC)):
            yield file, size
            return
        kind = "gzip" if magic.startswith(GZIP_MAGIC) else "zip"
        try:
            with (
                gzip.GzipFile(fileobj=file) if kind == "gzip" else _only_member(file, path) as stream,
                io.BufferedReader(cast(io.RawIOBase, stream)) as buffered,
            ):
                yield cast(io.BufferedReader, buffered), min(size * DEFLATE_MAX_RATIO, MAX_DECOMPRESSED)
        except (EOFError, zlib.error, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is a damaged or cut-off {kind} file ({error}). Fetch it again.") from error


def _only_member(file: io.BufferedReader, path: PathLike) -> zipfile.ZipExtFile:
    """Open the one file that a zip file holds, besides those of the operating system."""
    try:
        archive = zipfile.ZipFile(file)
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not any(map(is_system_name, PurePosixPath(member.filename).parts))
        ]
        stream = archive.open(members[0]) if len(members) == 1 else None
    except Exception as error:  # on a password or a damaged header: whatever zipfile stumbles over
        raise zipfile.BadZipFile(str(error)) from error
    if members and all(member.filename.endswith(".npy") for member in members):
        raise DataError(
            f"{path} holds arrays of NumPy. If they are called x_train and y_train, let its name end in .npz."
        )
    if stream is None:
        names = ", ".join(member.filename for member in members[:5])
        raise DataError(f"A zip file must hold one file, {path} holds {len(members)} ({names}). Unpack it.")
    return cast(zipfile.ZipExtFile, stream)
