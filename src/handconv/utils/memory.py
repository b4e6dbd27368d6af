"""How much memory is free, so that what cannot fit is refused with a message before it is begun.

Operating systems grant more memory than they have, and kill a process without a message when it uses too much.
"""

import contextlib
import math
from pathlib import Path

_NOTABLE = 1 << 28  # bytes up to which free memory is not checked


def free_memory() -> float:
    """The bytes that this process may still take, its container's limit respected; infinity if nothing tells."""
    free = math.inf
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text("ascii")) for name in ("max", "current"))
        free = min(free, max(limit - used, 0))
    return free


def check_fits(needed: float, what: str, remedy: str) -> None:
    """Refuse what takes more memory than is free.

    Args:
        needed: bytes.
        what: what takes them.
        remedy: what to do about it, a sentence.

    Raises:
        ValueError: if there is less.

    Example:
        >>> check_fits(1e18, "A network of 250,000,000,000,000,000 parameters", "Take smaller images.")
        Traceback (most recent call last):
        ValueError: A network of 250,000,000,000,000,000 parameters takes at least 1,000,000,000.0 GB of memory, ...
    """
    if needed > _NOTABLE and needed > (free := free_memory()):
        raise ValueError(
            f"{what} takes at least {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free. {remedy}"
        )
