"""Taking turns: what is written for one thread at a time, used by several."""

import threading


class Turns:
    """A lock that the thread which holds it may take again, and of which a copy is a new one.

    Example:
        >>> turns = Turns()
        >>> with turns, turns:
        ...     "mine"
        'mine'
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Turns"], tuple[()]]:
        return Turns, ()
