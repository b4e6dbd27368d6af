"""Opening a data file, plain or gzip, so that nothing the file says about itself is believed.

Two rules keep memory bounded: what a header promises is compared with what the file can hold before anything is
allocated, and what is decompressed counts against ``MAX_DECOMPRESSED``.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from handconv.errors import DataError

PathLike = str | os.PathLike[str]

GZIP_MAGIC = b"\x1f\x8b"
# Deflate spends at least one bit on 258/2 bytes: no gzip stream grows more than this many times.
GZIP_MAX_RATIO = 1032
# Three times the largest data set of this kind (EMNIST by class, 640 MB).
MAX_DECOMPRESSED = 2 * 1024**3


@contextmanager
def open_data(path: PathLike) -> Iterator[tuple[BinaryIO, int]]:
    """Open a plain or gzip file by its first bytes; give the stream and the most bytes that it can deliver.

    Raises:
        DataError: if the gzip stream is damaged or cut off, also later, while the caller reads it.
        OSError: if the file cannot be opened or read (``FileNotFoundError``, ``IsADirectoryError``, …).
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] != GZIP_MAGIC:
            yield file, size
            return
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream), min(size * GZIP_MAX_RATIO, MAX_DECOMPRESSED)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} is a damaged or cut-off gzip file ({error}). Fetch it again.") from error
