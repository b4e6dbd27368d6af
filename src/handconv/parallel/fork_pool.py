"""Work that is shared among helpers: processes that are forked for one call and end with it.

A forked process sees all that its parent has, without a copy, and answers through shared memory. Starting it takes a
few milliseconds, which a thousand images repay. Each process takes its next piece of work from a pipe; no lock is
needed, which a process that is killed could leave locked.
"""

import contextlib
import math
import mmap
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.parallel.cpu import is_daemon
from handconv.parallel.processes import orphaned, start_method, starting

_PIECES = 512  # of the work: their numbers, of eight bytes each, fill the smallest pipe, a page


def shared_array(shape: tuple[int, ...], dtype: DTypeLike, workers: int) -> NDArray[Any]:
    """An array that these processes share: each sees what the others write."""
    if workers == 1:
        return np.empty(shape, dtype)
    memory = mmap.mmap(-1, max(1, math.prod(shape) * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, math.prod(shape)).reshape(shape)


def share_out(work: Callable[[int], object], items: Sequence[int], workers: int) -> None:
    """Do some work for each item, in so many processes, this one among them.

    What the work computes must go to shared arrays. Where forking is not safe, this process does everything. It also
    does what is left of a helper that cannot start, is killed or meets an error, so that an error is raised here.
    """
    workers = min(workers, len(items)) if _may_fork() else 1
    done = shared_array((len(items),), np.bool_, workers)
    done[:] = False
    if workers > 1:
        _together(work, items, done, workers)
    for place in np.flatnonzero(~done).tolist():
        work(items[place])


def _together(work: Callable[[int], object], items: Sequence[int], done: NDArray[np.bool_], workers: int) -> None:
    """Do the work with helpers, and note what is done."""
    pieces = min(len(items), _PIECES)
    queue, entrance = os.pipe()

    def take_part() -> None:
        while record := os.read(queue, 8):
            for place in range(int.from_bytes(record, sys.byteorder), len(items), pieces):
                if orphaned():
                    return
                work(items[place])
                done[place] = True

    context: BaseContext = multiprocessing.get_context("fork")
    helpers: list[BaseProcess] = []
    try:
        os.write(entrance, np.arange(pieces, dtype=np.int64).tobytes())
        os.close(entrance)
        with starting(), contextlib.suppress(OSError):  # no memory, or too many processes
            for _ in range(workers - 1):
                helper = context.Process(  # type: ignore[attr-defined]
                    target=_help, args=(take_part,), daemon=True
                )
                helper.start()
                helpers.append(helper)
        take_part()
        for helper in helpers:
            helper.join()
    finally:
        os.close(queue)
        for helper in helpers:
            helper.kill()
            helper.join()
            helper.close()


def _help(take_part: Callable[[], None]) -> None:
    """What a helper process runs."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to a whole group of processes: the parent decides
    try:
        take_part()
    except BaseException:  # noqa: BLE001 - the parent repeats the work, and raises the error itself
        os._exit(1)


def _may_fork() -> bool:
    return start_method() == "fork" and not is_daemon()
