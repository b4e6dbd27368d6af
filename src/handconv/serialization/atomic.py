"""Files that are whole or not there: written under a temporary name, flushed, and renamed."""

import errno
import glob
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def write_atomically(path: Path, write: Callable[[IO[bytes]], None], *, previous: Path | None = None) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, and give it its name.

    The old file is replaced, or renamed to ``previous``, not before the new one is whole.

    Raises:
        FileNotFoundError: if there is no such folder.
        OSError: if the file cannot be written; it names the file.
    """
    check_folder(path)
    _sweep(path)
    with naming(path):
        _write(path, write, previous)


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text in UTF-8, as ``write_atomically`` does; raises as it does."""

    def write(file: IO[bytes]) -> None:
        file.write(text.encode())

    write_atomically(path, write)


def _write(path: Path, write: Callable[[IO[bytes]], None], previous: Path | None) -> None:
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


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an ``OSError`` raised within ``with`` name this file, as that of a full disk does not by itself."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def check_writable(path: Path) -> None:
    """Check that a file can be made where this one is to be saved, by making another.

    Raises:
        FileNotFoundError: if there is no such folder.
        IsADirectoryError: if there is a folder of this name.
        OSError: if no file can be made in it.
    """
    check_folder(path)
    with naming(path), tempfile.TemporaryFile(dir=path.parent):
        pass


def starting_folder(path: Path) -> Path:
    """The folder that a path starts from now, which the program may leave before it writes."""
    return Path() if path.is_absolute() else Path.cwd()


def check_folder(path: Path) -> None:
    """Check that there is the folder that a file is to be saved in, and no folder in its place.

    Raises:
        FileNotFoundError: if there is no such folder.
        IsADirectoryError: if there is a folder of the file's name.
    """
    if not path.parent.is_dir():
        what = "A file is saved into a folder that exists; this one does not. Make it first"
        raise FileNotFoundError(errno.ENOENT, what, str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "A file cannot have the name of a folder. Take another", str(path))


def _sweep(path: Path) -> None:
    """Remove what killed runs left of this file; what is younger than an hour may belong to one that is still at it."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if file.stat().st_mtime < time.time() - 3600:
                file.unlink()
