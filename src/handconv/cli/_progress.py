"""Progress of the commands: a live bar on stderr where that is a terminal, plain lines otherwise."""

import time
from collections.abc import Mapping
from typing import Self

from handconv.cli._output import Output
from handconv.training import PrintProgress
from handconv.training.progress import epoch_line
from handconv.training.state import TrainingState

_FIGURES = (
    *("epoch", "loss", "data_loss", "penalty", "accuracy", "val_loss", "val_accuracy"),
    *("learning_rate", "train_seconds", "images_per_second"),
)
_LINE_EVERY = 5.0  # seconds between two plain lines of a download


class TrainingProgress(PrintProgress):
    """Prints each epoch as a result, and keeps a bar below the lines while the next one runs."""

    #: How many processes do the work: as many as were wanted, or as there is work for.
    workers = 1
    #: How many epochs came to their ends.
    epochs = 0

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output, self._live = output, output.live_line()

    def on_train_begin(self, run: TrainingState) -> None:
        """Note the workers."""
        self.workers = run.workers

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Print the epoch."""
        self.epochs += 1
        self.close()
        self._output.show(epoch_line(figures, run.epochs, self._output.room))
        self._output.record({"event": "epoch"} | {name: figures.get(name) for name in _FIGURES})
        if self._output.json and not self._output.on_terminal:
            self._output.notice(epoch_line(figures, run.epochs))


class _Told:
    """Draws a line where that is possible; leaving takes it away."""

    def __init__(self, output: Output) -> None:
        self._output, self._live = output, output.live_line()

    def close(self) -> None:
        """Take the line away until there is more to draw."""
        if self._live is not None:
            self._live.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_MANY = 100  # files of which it is worth a line how many are done


class DownloadProgress(_Told):
    """Told the bytes of a download: draws a bar, or prints a line at its start, at its end and every few seconds."""

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._name: str | None = None
        self._told = 0.0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show how far a file has come."""
        unit, name_of_unit = (1e6, "MB") if max(done, total or 0) >= 1e6 else (1e3, "kB")
        whole = "" if total is None else f" of {total / unit:.1f}"
        size = f"{done / unit:.1f}{whole} {name_of_unit}"
        if self._live is not None:
            self._live.draw(name, done, total, size)
            return
        now = time.monotonic()
        if name != self._name or now - self._told > _LINE_EVERY or done == total:
            self._name, self._told = name, now
            self._output.notice(f"  {name}: {size}")

    def close(self) -> None:
        """Take the bar away, and begin the next file with a line of its own."""
        super().close()
        self._name = None


class CountProgress(_Told):
    """Told how many of many files are done: draws a bar, or prints a line every few seconds.

    Where results go to the same terminal they are the progress, and it says nothing.
    """

    def __init__(self, output: Output, total: int) -> None:
        super().__init__(output)
        self._total, self._silent = total, output.on_terminal
        self._told = time.monotonic()

    def __call__(self, done: int) -> None:
        """Show how many are done."""
        if self._silent:
            return
        if self._live is not None and self._total > 1:
            self._live.draw("files", done, self._total, f"{done:,} of {self._total:,}")
            return
        now = time.monotonic()
        if self._total >= _MANY and now - self._told > _LINE_EVERY:
            self._told = now
            self._output.notice(f"  {done:,} of {self._total:,} files")


class PictureProgress(_Told):
    """Told which of several pictures is drawn next, where there is a line to draw on."""

    def __call__(self, done: int, total: int, title: str) -> None:
        """Show how many are done, and what is drawn."""
        if self._live is not None:
            self._live.draw("pictures", done, total, f"{done} of {total}", title)
