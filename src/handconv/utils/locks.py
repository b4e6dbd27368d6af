"""Locks, by which several threads share what is written for one thread at a time."""

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Self


class ForkSafeRLock:
    """A lock that the thread which holds it may take again, and of which a copy, or a forked process, has a new one.

    Example:
        >>> turns = ForkSafeRLock()
        >>> with turns, turns:
        ...     "mine"
        'mine'
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _ALL.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

    def settle_after_fork(self) -> None:
        """Make a new lock if another thread held it at the fork: that thread does not exist in this process."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


_ALL: weakref.WeakSet[ForkSafeRLock] = weakref.WeakSet()


def _settle_all() -> None:
    for lock in list(_ALL):
        lock.settle_after_fork()


if hasattr(os, "register_at_fork"):  # else there are no forks
    os.register_at_fork(after_in_child=_settle_all)


class TrainingLock(ForkSafeRLock):
    """The lock of a network: threads that use it wait for one another; while one trains it, the others are refused.

    The training thread itself may use the network, as callbacks do. The others are refused instead of made to wait,
    because a callback that waits for one of them would deadlock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._beginning, self._trainer = ForkSafeRLock(), 0
        self._questions: dict[str, _Question] = {}  # to make one takes longer than to ask it

    def asked(self, verb: str) -> "_Question":
        """Hold the lock for one question.

        Args:
            verb: the method that asks, for the message.

        Raises:
            RuntimeError: on entering, if another thread trains.
        """
        question = self._questions.get(verb)
        if question is None:
            question = self._questions[verb] = _Question(self, verb)
        return question

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Let this thread train within ``with``; the lock itself is held only for single questions in between.

        Raises:
            RuntimeError: if a thread trains already.
        """
        with self._beginning:
            if self._trainer:
                where = "a callback of that fit" if self._trainer == threading.get_ident() else "another thread"
                raise RuntimeError(
                    f"The network is being trained, and fit was called from {where}. One fit at a time; another "
                    "network may be trained meanwhile, such as a copy (copy.deepcopy)."
                )
            self._trainer = threading.get_ident()
        try:
            yield
        finally:
            self._trainer = 0

    def check(self, verb: str) -> None:
        """Refuse to serve another thread than the one that trains."""
        if self._trainer and self._trainer != threading.get_ident():
            raise RuntimeError(
                f"The network is being trained by another thread, and {verb} would meet it in the middle of a step. "
                "Wait until fit has ended, ask it in a callback, or ask a copy (copy.deepcopy) made before."
            )


class _Question:
    """Holds a lock for one question; a class, as the generator of a context manager would take longer to make."""

    def __init__(self, lock: TrainingLock, verb: str) -> None:
        self._lock, self._verb = lock, verb

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._lock.check(self._verb)
        except RuntimeError:
            self._lock.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__()
