"""How processes are started, and how one knows that it is left alone."""

import contextlib
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator

from handconv.parallel import blas_threads as blas

PARENT_EVERY = 0.5  # seconds between two looks whether the parent is still there


def start_method() -> str:
    """How to start processes here: fork where it is safe (Linux, one thread, BLAS can be limited), else spawn."""
    safe = sys.platform == "linux" and threading.active_count() == 1 and blas.is_limited()
    return "fork" if safe else "spawn"


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Let processes be started meanwhile: with one BLAS thread, and without a word about threads."""
    with blas.one_thread_in_children(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads at a fork; BLAS stops its own before
        yield


def orphaned() -> bool:
    """Whether the process that started this one as a worker is gone, perhaps before this one knew its own number."""
    parent = multiprocessing.parent_process()
    return parent is not None and os.getppid() != parent.pid
