"""Paths as users give them, and what lies among their files that is not theirs."""

import os
from pathlib import Path

PathLike = str | os.PathLike[str]

# Folders that operating systems and programs put among the user's own.
_SYSTEM_NAMES = (
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
)


def user_path(path: PathLike) -> Path:
    """Make a path of what a user gave: ``~`` is the home folder.

    Raises:
        FileNotFoundError: if it begins with ``~`` and there is no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{os.fspath(path)}: there is no home folder ({error}). Give the whole path."
        ) from error


def is_system_name(name: str) -> bool:
    """Whether a file or a folder is hidden, or a folder that a system puts among the user's own.

    Example:
        >>> [is_system_name(name) for name in (".DS_Store", "__MACOSX", "@eaDir", "7.png")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES
