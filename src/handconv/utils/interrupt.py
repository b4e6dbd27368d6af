"""Ctrl-C while the command ``handconv`` is still being imported: one line and status 130, as later.

NumPy takes most of that time; what the command line itself could catch begins only after it.
"""

import os
import sys
from pathlib import Path
from types import TracebackType


def is_the_command(argv: list[str], original: list[str]) -> bool:
    """Whether this process is the command, as ``handconv`` or as ``python -m handconv``.

    Args:
        argv: the arguments, as they are while packages are imported.
        original: those of the interpreter.

    Example:
        >>> is_the_command(["/usr/bin/handconv", "train"], []), is_the_command(["my_program.py"], [])
        (True, False)
        >>> is_the_command(["-m", "train"], ["python", "-m", "handconv", "train"])
        True
    """
    if argv[:1] == ["-m"]:
        return "-m" in original and original[original.index("-m") + 1 :][:1] == ["handconv"]
    return bool(argv) and Path(argv[0]).stem == "handconv"


def _leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process without a traceback after Ctrl-C, and as usual after anything else."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write("Interrupted.\n")
    sys.stderr.flush()
    os._exit(130)


if is_the_command(sys.argv, sys.orig_argv):
    sys.excepthook = _leave
