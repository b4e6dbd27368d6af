"""Progress on stderr: a live bar where it is a terminal and rich is installed, plain lines otherwise."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from handconv.cli._output import Output, optional
from handconv.training import Callback, Progress
from handconv.training.callbacks import epoch_line
from handconv.training.state import TrainingState

_FIGURES = (
    *("epoch", "loss", "data_loss", "penalty", "accuracy", "val_loss", "val_accuracy"),
    *("learning_rate", "train_seconds", "images_per_second"),
)
_LINE_EVERY = 5.0  # seconds between two plain lines of a download
_LEAST_BAR, _WIDEST_BAR = 4, 24  # characters


class _Live:
    """Draws a bar on stderr where that is possible; leaving takes it away."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bar: _Bar | None = None
        self._can_draw = output.live and optional("rich.progress") is not None

    def _draw(self, description: str, done: int, total: int | None, *figures: str) -> None:
        if self._bar is None:
            self._bar = _Bar()
        self._bar.update(description, done, total, *figures)

    def close(self) -> None:
        """Take the bar away until there is more to draw."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class TrainingProgress(_Live, Callback):
    """Prints each epoch as a result, and keeps a bar below the lines while the next one runs."""

    #: How many processes do the work: as many as were wanted, or as there is work for.
    workers = 1

    def on_train_begin(self, run: TrainingState) -> None:
        """Note the workers."""
        self.workers = run.workers

    def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
        """Move the bar."""
        if not self._can_draw:
            return
        later = (progress.epochs - progress.epoch) * progress.samples / max(progress.images_per_second, 1e-9)
        self._draw(
            f"epoch {progress.epoch}/{progress.epochs}",
            progress.samples_done,
            progress.samples,
            f"loss {progress.loss:.4f}",
            f"accuracy {100 * progress.accuracy:.2f} %",
            f"{_clock(progress.seconds_left + later)} left",
            f"{progress.images_per_second:,.0f} images/s",
        )

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Print the epoch."""
        self.close()
        self._output.show(epoch_line(figures, run.epochs))
        self._output.record({"event": "epoch"} | {name: figures.get(name) for name in _FIGURES})
        if self._output.json and not self._output.on_terminal:
            self._output.notice(epoch_line(figures, run.epochs))


class DownloadProgress(_Live):
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
        if self._can_draw:
            self._draw(name, done, total, size)
            return
        now = time.monotonic()
        if name != self._name or now - self._told > _LINE_EVERY or done == total:
            self._name, self._told = name, now
            self._output.notice(f"  {name}: {size}")

    def close(self) -> None:
        """Take the bar away, and begin the next file with a line of its own."""
        super().close()
        self._name = None


class CountProgress(_Live):
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
        if self._can_draw and self._total > 1:
            self._draw("files", done, self._total, f"{done:,} of {self._total:,}")
            return
        now = time.monotonic()
        if now - self._told > _LINE_EVERY:
            self._told = now
            self._output.notice(f"  {done:,} of {self._total:,} files")


class _Bar:
    """A bar of rich on stderr that goes away when it is done; drawn when it is told to, not by a thread."""

    def __init__(self) -> None:
        progress, console = optional("rich.progress"), optional("rich.console")
        assert progress is not None
        assert console is not None
        before, after = (
            progress.TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[figures]")
        )
        self._bar = progress.BarColumn()
        self._console = console.Console(stderr=True)
        self._progress: Any = progress.Progress(
            *(before, self._bar, after),
            console=self._console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=None, figures="")
        self._progress.start()
        self._drawn = 0.0

    def update(self, description: str, done: int, total: int | None, *figures: str) -> None:
        """Draw it, at most ten times a second; in a narrow terminal, without the last of the figures."""
        now = time.monotonic()
        if now - self._drawn > 0.09 or done == total:
            self._drawn = now
            self._bar.bar_width, text = _fitted(figures, self._console.width - len(description) - 2)
            self._progress.update(
                self._task, description=description, completed=done, total=total, figures=text, refresh=True
            )

    def stop(self) -> None:
        """Take it away."""
        self._progress.stop()


def _fitted(figures: Sequence[str], room: int) -> tuple[int, str]:
    """Divide the room between the bar and as many figures as it takes; the last are the first to go.

    Example:
        >>> _fitted(("loss 0.1234", "0:07 left"), 60), _fitted(("loss 0.1234", "0:07 left"), 20)
        ((24, 'loss 0.1234  0:07 left'), (9, 'loss 0.1234'))
    """
    shown = list(figures)
    while len(text := "  ".join(shown)) > room - _LEAST_BAR and len(shown) > 1:
        shown.pop()
    return min(max(room - len(text), _LEAST_BAR), _WIDEST_BAR), text


def _clock(seconds: float) -> str:
    """Minutes and seconds, or hours as well.

    Example:
        >>> _clock(75), _clock(3700)
        ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
