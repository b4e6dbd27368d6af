"""The barrier: each rank waits for all others, and ends with its parent."""

import multiprocessing
import os
import sys
import threading

import pytest

from handconv.parallel import barrier as barriers
from handconv.parallel.barrier import Barrier, SharedMemoryCommunicator


def test_a_rank_waits_for_the_others_and_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Semaphore:
        def __init__(self, answers: list[bool]) -> None:
            self.answers, self.released = answers, 0

        def acquire(self, block: bool, timeout: float | None = None) -> bool:
            return self.answers.pop(0)

        def release(self) -> None:
            self.released += 1

    class Gone(Exception):
        pass

    def leave(status: int) -> None:
        raise Gone

    monkeypatch.setattr(barriers, "_SPINS", 1)
    monkeypatch.setattr(os, "_exit", leave)
    barrier = Barrier(multiprocessing.get_context(), 2)
    own, other = Semaphore([True, False, False, True, False, False]), Semaphore([])
    barrier.semaphores = [[own, other], [own, other]]  # type: ignore[list-item]
    rank = SharedMemoryCommunicator(0, barrier)
    rank.exchange()  # at once
    rank.publish()  # after a while
    assert other.released == 2
    answers = iter([True, False, True])
    monkeypatch.setattr(barriers, "orphaned", lambda: next(answers))
    for _ in "before it waits", "while it waits":
        with pytest.raises(Gone):
            rank.wait()
    assert other.released == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the value of a semaphore")
def test_two_sets_of_semaphores_alternate() -> None:
    barrier = Barrier(multiprocessing.get_context(), 3)
    for semaphores in barrier.semaphores:
        for _ in range(4):
            semaphores[0].release()  # as if the two others had waited twice at each set
    first = SharedMemoryCommunicator(0, barrier)
    first.wait()
    first.wait()
    assert [[semaphore.get_value() for semaphore in row] for row in barrier.semaphores] == [[2, 1, 1]] * 2


@pytest.mark.parametrize("size", [1, 2, 5])
def test_nobody_passes_before_all_have_come(size: int) -> None:
    barrier, arrived, seen = Barrier(multiprocessing.get_context(), size), [0] * size, list[bool]()

    def work(rank: int) -> None:
        communicator = SharedMemoryCommunicator(rank, barrier)
        for meeting in range(1, 20):
            arrived[rank] = meeting
            (communicator.exchange if meeting % 2 else communicator.publish)()
            seen.append(min(arrived) >= meeting)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 19 * size
    assert all(seen)


def test_a_communicator_knows_its_rank_and_how_many_there_are() -> None:
    barrier = Barrier(multiprocessing.get_context(), 3)
    assert [(c.rank, c.size) for c in (SharedMemoryCommunicator(rank, barrier) for rank in range(3))] == [
        (0, 3), (1, 3), (2, 3),
    ]  # fmt: skip
