"""One BLAS thread: the products of a small network are over before a second thread has woken up.

While NumPy runs, the number can only be set through threadpoolctl (extra "cli"): OPENBLAS_NUM_THREADS and its like are
read when NumPy is imported, which has happened when a command runs. Without threadpoolctl everything works with BLAS as
it is; who wants its speed then sets OPENBLAS_NUM_THREADS=1. Who has set one of these variables is left alone.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from handconv.cli._output import optional

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limit BLAS to one thread inside a ``with``."""
    chosen = any(os.environ.get(variable) for variable in _VARIABLES)
    threadpoolctl = None if chosen else optional("threadpoolctl")
    if threadpoolctl is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1, "blas")
    return limits
