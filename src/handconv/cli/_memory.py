"""How much memory a training needs at least, and how much it needed, worker processes included."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from handconv.sequential import Sequential
from handconv.training import Callback
from handconv.training.state import TrainingState
from handconv.training.step import ACCUMULATORS, shard_size
from handconv.utils.memory import check_fits
from handconv.utils.words import counted


def check_training_fits(model: Sequential, batch_size: int, asked: int | None, workers: int) -> None:
    """Refuse a training for which there is not enough memory: gradients and Adam's averages, and outputs of shards.

    Args:
        model: what is to be trained; its parameters are there already.
        batch_size: samples in a batch.
        asked: samples in a shard, as the recipe has them.
        workers: processes.

    Raises:
        ValueError: if there is less than it takes at least.
    """
    shard = shard_size(model, batch_size, asked)
    shards = -(-batch_size // shard)
    vectors = (3 + min(shards, ACCUMULATORS)) * model.parameters.nbytes
    outputs = min(workers, shards) * shard * model.summary().output_bytes
    check_fits(
        vectors + outputs,
        f"Training this network of {counted(model.parameters.size, 'parameter')} on samples of shape "
        f"{model.input_shape}",
        "Take smaller images (--size, for those of a folder), or a smaller --batch-size.",
    )


class MemoryWatch(Callback):
    """Looks at the end of each epoch how much memory this process and its workers hold.

    On Linux that is the sum of their proportional set sizes, where memory that several processes share counts once;
    elsewhere the peak of this process alone.
    """

    def __init__(self) -> None:
        self._greatest = 0.0

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Look."""
        children = [child.pid for child in multiprocessing.active_children()]
        self._greatest = max(self._greatest, sum(_held(pid) for pid in (os.getpid(), *children)))

    def peak_mb(self) -> float | None:
        """The most that was seen, in MB; None where the system does not tell."""
        if sys.platform == "win32":
            return None
        import resource

        own = _told("/proc/self/status", "VmHWM:")
        if not own:  # on Linux it would begin with that of the process which started this one
            own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return round(max(own, self._greatest) / 1e6, 1)


def _held(pid: int | None) -> float:
    """The proportional set size of a process in bytes; 0 where the system does not tell."""
    return _told(f"/proc/{pid}/smaps_rollup", "Pss:")


def _told(file: str, label: str) -> float:
    """A figure of /proc in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(file).read_text("utf-8").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith(label)).split()[1])
    return 0.0
