"""What worker processes share: how they are started, their parent, and the place where they meet."""

import multiprocessing
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from handconv.parallel import blas_threads as blas
from handconv.parallel import processes as crew


@pytest.mark.parametrize(
    ("platform", "threads", "limited", "method"),
    [
        ("linux", 1, True, "fork"),
        ("darwin", 1, True, "spawn"),
        ("linux", 2, True, "spawn"),
        ("linux", 1, False, "spawn"),
    ],
)
def test_workers_are_forked_where_it_is_safe(
    platform: str, threads: int, limited: bool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    monkeypatch.setattr(blas, "is_limited", lambda: limited)
    assert crew.start_method() == method


def test_a_workers_parent_is_gone_when_it_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not crew.orphaned()  # this process is nobody's worker
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getppid()))
    assert not crew.orphaned()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=-1))
    assert crew.orphaned()


def test_at_a_meeting_a_member_waits_for_the_others_and_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Door:
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

    monkeypatch.setattr(crew, "_SPINS", 1)
    monkeypatch.setattr(os, "_exit", leave)
    meeting = crew.Meeting(multiprocessing.get_context(), 2)
    own, other = Door([True, False, False, True, False, False]), Door([])
    meeting.doors = [[own, other], [own, other]]  # type: ignore[list-item]
    member = crew.Member(0, meeting)
    member.meet()  # at once
    member.meet()  # after a while
    assert other.released == 2
    answers = iter([True, False, True])
    monkeypatch.setattr(crew, "orphaned", lambda: next(answers))
    for _ in "before it waits", "while it waits":
        with pytest.raises(Gone):
            member.meet()
    assert other.released == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell how far a semaphore is open")
def test_two_sets_of_doors_take_turns() -> None:
    meeting = crew.Meeting(multiprocessing.get_context(), 3)
    for doors in meeting.doors:
        for _ in range(4):
            doors[0].release()  # as if the two others had come to two meetings by each set
    first = crew.Member(0, meeting)
    first.meet()
    first.meet()
    assert [[door.get_value() for door in doors] for doors in meeting.doors] == [[2, 1, 1]] * 2
