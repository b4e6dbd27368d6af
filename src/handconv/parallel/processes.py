"""What worker processes share: a way to be started, memory that all of them see, and a place to meet."""

import contextlib
import ctypes
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Semaphore
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.parallel import blas_threads as blas

_LINE = 64  # bytes of a cache line
_SPINS = 3000  # tries at a meeting before a member goes to sleep, about half a millisecond
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


class SharedArray:
    """Memory that several processes see, and the array in it, which begins with a cache line."""

    def __init__(self, context: BaseContext, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        size = int(np.prod(shape)) * self.dtype.itemsize
        self._memory = context.RawArray(ctypes.c_byte, size + _LINE)

    @classmethod
    def like(cls, context: BaseContext, array: NDArray[Any]) -> Self:
        """A copy of an array in shared memory."""
        shared = cls(context, array.shape, array.dtype)
        shared.array[...] = array
        return shared

    @property
    def array(self) -> NDArray[Any]:
        """The array itself, over the shared memory."""
        count = int(np.prod(self.shape))
        start = -ctypes.addressof(self._memory) % _LINE  # the same in all processes, as memory is mapped by pages
        return np.frombuffer(memoryview(self._memory), self.dtype, count, start).reshape(self.shape)


class Meeting:
    """A barrier that is quick when all are nearly there: members try for a while before they sleep.

    Each member has a door; who arrives opens the doors of all others and passes through its own once for each of them.
    Two sets of doors take turns, so that a quick member at the next meeting opens none of this one.
    """

    def __init__(self, context: BaseContext, size: int) -> None:
        self.doors: list[list[Semaphore]] = [[context.Semaphore(0) for _ in range(size)] for _ in range(2)]


class Member:
    """One worker's place in the crew."""

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.size = rank, len(meeting.doors[0])
        self._turns = [
            (doors[rank], [door for other, door in enumerate(doors) if other != rank]) for doors in meeting.doors
        ]

    def meet(self) -> None:
        """Return once all members have come here; end the process if the parent is gone."""
        if orphaned():
            os._exit(1)
        own, others = self._turns[0]
        self._turns.reverse()
        for door in others:
            door.release()
        for _ in others:
            self._pass(own)

    def _pass(self, door: Semaphore) -> None:
        for _ in range(_SPINS):
            if door.acquire(False):
                return
        while not door.acquire(True, PARENT_EVERY):
            if orphaned():
                os._exit(1)
