"""A barrier between processes that spins before it sleeps: quick when all arrive at nearly the same time."""

import os
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Semaphore
from typing import Any

from numpy.typing import NDArray

from handconv.parallel.processes import PARENT_EVERY, orphaned

_SPINS = 3000  # tries before a rank goes to sleep, about half a millisecond


class Barrier:
    """The semaphores of a barrier.

    Each rank has a semaphore. A rank that arrives releases those of all others, and acquires its own once for each of
    them. Two sets of semaphores alternate, so that a rank already at the next barrier releases none of this one.
    """

    def __init__(self, context: BaseContext, size: int) -> None:
        self.semaphores: list[list[Semaphore]] = [[context.Semaphore(0) for _ in range(size)] for _ in range(2)]


class SharedMemoryCommunicator:
    """One rank among processes that share their memory, so that to exchange is only to wait for one another."""

    def __init__(self, rank: int, barrier: Barrier) -> None:
        self.rank, self.size = rank, len(barrier.semaphores[0])
        self._sets = [
            (semaphores[rank], [semaphore for other, semaphore in enumerate(semaphores) if other != rank])
            for semaphores in barrier.semaphores
        ]

    def exchange(self, *accumulators: NDArray[Any]) -> None:
        """Wait until all ranks have filled their accumulators."""
        self.wait()

    def publish(self, *vectors: NDArray[Any]) -> None:
        """Wait until all ranks have updated their parts."""
        self.wait()

    def wait(self) -> None:
        """Return once all ranks have come here; end the process if the parent is gone."""
        if orphaned():
            os._exit(1)
        own, others = self._sets[0]
        self._sets.reverse()
        for semaphore in others:
            semaphore.release()
        for _ in others:
            self._acquire(own)

    def _acquire(self, semaphore: Semaphore) -> None:
        for _ in range(_SPINS):
            if semaphore.acquire(False):
                return
        while not semaphore.acquire(True, PARENT_EVERY):
            if orphaned():
                os._exit(1)
