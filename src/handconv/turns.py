"""Taking turns: what is written for one thread at a time, used by several."""

import os
import threading


class Turns:
    """A lock that the thread which holds it may take again, and of which a copy, or a forked process, has a new one.

    Example:
        >>> turns = Turns()
        >>> with turns, turns:
        ...     "mine"
        'mine'
    """

    def __init__(self) -> None:
        self._process, self._lock = os.getpid(), threading.RLock()

    def __enter__(self) -> None:
        if self._process != os.getpid():  # forked, perhaps while another thread held it, who will never let go here
            self.__init__()  # type: ignore[misc]
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Turns"], tuple[()]]:
        return Turns, ()
