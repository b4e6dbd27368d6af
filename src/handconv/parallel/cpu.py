"""How many processes may share the work."""

import contextlib
import os
import sys
from pathlib import Path

from handconv.utils.validation import is_int


def usable_cores() -> int:
    """The number of processor cores that this process may use: its affinity and its container's limit respected.

    Example:
        >>> usable_cores() >= 1
        True
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError, IndexError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return max(1, cores)


def worker_count(workers: object) -> int:
    """Read a number of workers; "auto" is the number of usable cores. Where no process may be started it is 1.

    Raises:
        ValueError: if it is neither.
    """
    if workers == "auto":
        workers = usable_cores()
    if not is_int(workers) or workers < 1:
        raise ValueError(f'workers must be a whole number of at least 1, or "auto", got {workers!r}.')
    return 1 if is_daemon() else int(workers)


def is_daemon() -> bool:
    """Whether this process is a daemon, as those of ``multiprocessing.Pool`` are, which may not start others."""
    multiprocessing = sys.modules.get("multiprocessing")  # slow to import, and there in every process that it started
    return multiprocessing is not None and bool(multiprocessing.current_process().daemon)
