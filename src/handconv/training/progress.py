"""The progress of a training, shown to a person: a line for each epoch, and a bar below for the present one."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from handconv.training.callbacks import Callback, Progress
from handconv.training.state import TrainingState
from handconv.utils.live import clock, columns, in_notebook, is_terminal, live_line
from handconv.utils.validation import check_bool, is_int

_FEW = 20  # epochs up to which each has its line
_LINE_EVERY = 0.1  # seconds between two lines where there are more epochs


class PrintProgress(Callback):
    """Print one line an epoch, and draw a bar where a terminal or a notebook is.

    ``fit`` does so by itself where one is, and anywhere with ``verbose=True``.

    Args:
        write: called with each line: ``print`` unless given, or for example ``logging.info``.

    Example:
        history = model.fit(x, y, epochs=5, callbacks=[PrintProgress(logging.info)])
    """

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self.write = write
        self._live = live_line()

    def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
        """Move the bar."""
        if self._live is None:
            return
        later = (progress.epochs - progress.epoch) * progress.samples / max(progress.images_per_second, 1e-9)
        figures = [
            f"{math.ceil(progress.samples_done / run.batch_size)}/{run.steps_per_epoch}",
            f"loss {progress.loss:.4f}",
            *([] if math.isnan(progress.accuracy) else [f"accuracy {100 * progress.accuracy:.2f} %"]),
            f"{clock(progress.seconds_left + later)} left",
            f"{progress.images_per_second:,.0f} images/s",
        ]
        name = f"epoch {progress.epoch}/{progress.epochs}"
        self._live.draw(name, progress.samples_done, progress.samples, *figures)

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Print the figures that matter."""
        self.close()
        self.write(epoch_line(figures, run.epochs, self._room()))

    def _room(self) -> int | None:
        """How long a line may be."""
        return columns(sys.stdout) if self.write is print else None

    def close(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.clear()


class DefaultProgress(PrintProgress):
    """What ``fit`` shows by default: the bar, and a line an epoch; where there are many, at most ten a second."""

    def __init__(self) -> None:
        super().__init__(print if in_notebook() else partial(print, file=sys.stderr))
        self._told_at, self._told = -math.inf, 0  # when, and the number of an epoch

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Print the figures, unless there are many epochs and some have just been printed."""
        self.close()
        if run.epochs <= _FEW or time.monotonic() - self._told_at >= _LINE_EVERY:
            super().on_epoch_end(run, figures)
            self._told_at, self._told = time.monotonic(), run.epoch

    def on_train_end(self, run: TrainingState) -> None:
        """Print those of the last epoch."""
        if self._told < run.epoch:
            super().on_epoch_end(run, run.history.last)

    def _room(self) -> int | None:
        return columns(sys.stderr)


def with_progress(callbacks: Sequence[Callback], verbose: bool | int | None) -> list[Callback]:
    """The callbacks of a training, and what shows its progress.

    Args:
        callbacks: the user's own.
        verbose: True for a line an epoch anywhere, False for nothing, None for both where a person can see it, unless
            the user's own show it.
    """
    if not (verbose is None or is_int(verbose)):
        check_bool("verbose", verbose)
    if verbose:
        return [PrintProgress(), *callbacks]
    is_shown = verbose is not None or any(isinstance(callback, PrintProgress) for callback in callbacks)
    is_seen = in_notebook() or is_terminal(sys.stderr)
    return [*([DefaultProgress()] if is_seen and not is_shown else []), *callbacks]


def epoch_line(figures: Mapping[str, float], epochs: int, room: int | None = None) -> str:
    """Describe an epoch in one line.

    Args:
        figures: of the epoch.
        epochs: how many there are to be.
        room: the length of a line; what matters least is left out where it does not fit.

    Example:
        >>> figures = {"epoch": 1, "loss": 0.25, "accuracy": 0.9234, "train_seconds": 2.5, "images_per_second": 24000}
        >>> epoch_line(figures, 5)
        'epoch 1/5  loss 0.2500  accuracy 92.34 %  2.5 s  24,000 images/s'
        >>> epoch_line(figures, 5, 50)
        'epoch 1/5  loss 0.2500  accuracy 92.34 %  2.5 s'
    """
    parts = {"epoch": f"epoch {figures['epoch']:.0f}/{epochs}"}
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        if name in figures:
            value = f"{figures[name]:.4f}" if name.endswith("loss") else f"{100 * figures[name]:.2f} %"
            parts[name] = f"{name.replace('_', ' ')} {value}"
    parts |= {"seconds": f"{figures['train_seconds']:.1f} s", "speed": f"{figures['images_per_second']:,.0f} images/s"}
    gap = "  "
    for least in ("speed", "seconds", None, "val_loss", "loss"):
        if room is not None and len(gap.join(parts.values())) > room:
            gap = " " if least is None else gap
            parts.pop(least or "", None)
    return gap.join(parts.values())
