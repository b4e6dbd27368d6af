"""One BLAS thread: the products here are too small to share, and a fixed number of threads keeps the bits.

Parallel work is done by worker processes instead (see ``handconv.training.worker``). threadpoolctl (extra ``cli``)
sets the number of threads of a library that is loaded already; without it only the environment can, before NumPy is
imported.
"""

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from handconv.errors import MissingExtraError
from handconv.utils.locks import ForkSafeRLock
from handconv.utils.optional_imports import import_optional

#: What the usual BLAS libraries read when they are loaded.
ENVIRONMENT = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS"), "1"
)


def is_limited() -> bool:
    """Whether BLAS can be limited to one thread in this process."""
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return True
    try:
        import_optional("threadpoolctl", extra="cli")
    except MissingExtraError:
        return False
    return True


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within ``with``, limit BLAS to one thread if threadpoolctl is installed; else change nothing."""
    try:
        controller = _controller()
    except MissingExtraError:
        yield
        return
    with _HOLD.of(controller):
        yield


@cache
def _controller() -> Any:
    """What sets the number of threads: to find the libraries takes longer than a small prediction."""
    return import_optional("threadpoolctl", extra="cli").ThreadpoolController().select(user_api="blas")


class _Hold:
    """The limit to one BLAS thread, which holds for the whole process: of several nested users, the last lifts it."""

    def __init__(self) -> None:
        self._turns, self._holders = ForkSafeRLock(), 0
        self._limit: Any = None

    @contextlib.contextmanager
    def of(self, controller: Any) -> Iterator[None]:
        with self._turns:
            if not self._holders:
                with _obeyed(controller):
                    self._limit = controller.limit(limits=1)
            self._holders += 1
        try:
            yield
        finally:
            with self._turns:
                self._holders -= 1
                if not self._holders:
                    with _obeyed(controller):
                        self._limit.restore_original_limits()


_HOLD = _Hold()


@contextlib.contextmanager
def _obeyed(controller: Any) -> Iterator[None]:
    """Let this thread set the number of threads: threadpoolctl (3.8) lets only the first thread that did so."""
    libraries = [library for library in controller.lib_controllers if hasattr(library, "clear_controlling_thread")]
    for library in libraries:
        library.clear_controlling_thread(force=True)
    yield
    for library in libraries:
        library.clear_controlling_thread(force=True)


@contextlib.contextmanager
def one_thread_in_children() -> Iterator[None]:
    """Let processes that are started within ``with`` load BLAS with one thread."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
