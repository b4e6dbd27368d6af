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
from pathlib import Path, PurePosixPath
from typing import cast

from handconv.errors import DataError

PathLike = str | os.PathLike[str]

GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
# Deflate spends at least one bit on 258/2 bytes: no stream of it grows more than this many times.
DEFLATE_MAX_RATIO = 1032
# Three times the largest data set of this kind (EMNIST by class, 640 MB).
MAX_DECOMPRESSED = 2 * 1024**3
# Folders and files that operating systems and programs put among the user's own.
_SYSTEM_NAMES = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__"),
    *("thumbs.db", "desktop.ini", "icon\r"),
}


@contextmanager
def open_data(path: PathLike) -> Iterator[tuple[io.BufferedReader, int]]:
    """Open a plain, gzip or zip file by its first bytes; give the stream and the most bytes that it can deliver.

    Raises:
        DataError: if the compressed stream is damaged or cut off, also later, while the caller reads it; or if a zip
            file holds several files.
        OSError: if the file cannot be opened or read (``FileNotFoundError``, ``IsADirectoryError``, …).
    """
    with Path(path).open("rb") as file:
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
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"{path} is a damaged or cut-off {kind} file ({error}). Fetch it again.") from error


def is_system_name(name: str) -> bool:
    """Whether a file or a folder is hidden, or put there by the operating system.

    Example:
        >>> [is_system_name(name) for name in (".DS_Store", "__MACOSX", "Thumbs.db", "7.png")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _only_member(file: io.BufferedReader, path: PathLike) -> zipfile.ZipExtFile:
    """Open the one file that a zip file holds, besides those of the operating system."""
    archive = zipfile.ZipFile(file)
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not any(map(is_system_name, PurePosixPath(member.filename).parts))
    ]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise DataError(f"{path} is a workbook of a spreadsheet program. Save its sheet as a CSV file.")
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5])
        raise DataError(f"A zip file must hold one file, {path} holds {len(members)} ({names}). Unpack it.")
    if members[0].flag_bits & 1:
        raise DataError(f"{path} is locked with a password. Unpack it.")
    return cast(zipfile.ZipExtFile, archive.open(members[0]))
