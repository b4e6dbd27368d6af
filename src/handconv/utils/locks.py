"""Taking turns: what is written for one thread at a time, used by several."""

import os
import threading


class ForkSafeRLock:
    """A lock that the thread which holds it may take again, and of which a copy, or a forked process, has a new one.

    Example:
        >>> turns = ForkSafeRLock()
        >>> with turns, turns:
        ...     "mine"
        'mine'
    """

    def __init__(self) -> None:
        self._process, self._lock = os.getpid(), threading.RLock()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._settle_after_fork()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["ForkSafeRLock"], tuple[()]]:
        return ForkSafeRLock, ()

    def _settle_after_fork(self) -> None:
        """Make a new lock if another thread held it at the fork: here is nobody who could let go of it."""
        self._process = os.getpid()
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()
