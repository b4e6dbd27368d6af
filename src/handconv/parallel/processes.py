"""How processes are started, and how one notices that its parent is gone."""

import contextlib
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from handconv.parallel import blas_threads as blas

PARENT_EVERY = 0.5  # seconds between two looks whether the parent is still there


def start_method() -> str:
    """How to start processes here: fork where it is safe (Linux, one thread, BLAS can be limited), else spawn."""
    safe = sys.platform == "linux" and threading.active_count() == 1 and blas.is_limited()
    return "fork" if safe else "spawn"


def main_is_a_file() -> bool:
    """Whether a spawned process can run the program's own module: not a notebook's, nor one of standard input."""
    main = sys.modules.get("__main__")
    return getattr(main, "__spec__", None) is not None or Path(getattr(main, "__file__", None) or "-").is_file()


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Within ``with``, hide a ``__main__.__file__`` that is no file, such as "<stdin>", from spawned processes."""
    main = vars(sys.modules["__main__"])
    file = main.get("__file__")
    if file is None or main_is_a_file():
        yield
        return
    del main["__file__"]
    try:
        yield
    finally:
        main["__file__"] = file


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Within ``with``, start processes with one BLAS thread each, and without Python's warning about threads."""
    with _hidden_main(), blas.one_thread_in_children(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads at a fork; those of BLAS end before it
        yield


def orphaned() -> bool:
    """Whether the process that started this one as a worker is gone, perhaps before this one knew its own number."""
    parent = multiprocessing.parent_process()
    return parent is not None and os.getppid() != parent.pid
