"""What watches a training run: derive from ``Callback`` and define what you want to hear of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from handconv.training.state import TrainingState


@dataclass(frozen=True)
class Progress:
    """How far an epoch has come, with the means over its samples so far.

    Attributes:
        epoch: its number, from 1.
        epochs: of the whole training.
        samples_done: in this epoch.
        samples: of a whole epoch.
        loss: their mean, penalties included.
        accuracy: the share of them that was answered right.
        images_per_second: the present speed.
    """

    epoch: int
    epochs: int
    samples_done: int
    samples: int
    loss: float
    accuracy: float
    images_per_second: float

    @property
    def seconds_left(self) -> float:
        """The time left in this epoch at the present speed."""
        return (self.samples - self.samples_done) / max(self.images_per_second, 1e-9)


class Callback:
    """Hooks of the training loop; each does nothing unless a subclass defines it.

    ``on_epoch_end`` may return True to end the training after this epoch.

    Example:
        >>> class Stop(Callback):
        ...     def on_epoch_end(self, run, figures):
        ...         return figures["val_accuracy"] > 0.99
    """

    def on_train_begin(self, run: TrainingState) -> None:
        """Training starts, at the first epoch or where a checkpoint ended."""

    def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
        """Some batches are done; called about ten times a second."""

    def on_pause(self, run: TrainingState) -> None:
        """Training stands still between two steps, as somebody called ``run.pause()``."""

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> bool | None:
        """An epoch is done, its validation included."""

    def on_train_end(self, run: TrainingState) -> None:
        """Training is over; not called if it was broken off by an error."""


class PrintProgress(Callback):
    """Print one line an epoch.

    Args:
        write: takes the line; ``print`` unless given, a logger's ``info`` for one.

    Example:
        history = model.fit(x, y, epochs=5, callbacks=[PrintProgress(logging.info)])
    """

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self.write = write

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Print the figures that matter."""
        self.write(epoch_line(figures, run.epochs))


def epoch_line(figures: Mapping[str, float], epochs: int) -> str:
    """Describe an epoch in one line.

    Example:
        >>> figures = {"epoch": 1, "loss": 0.25, "accuracy": 0.9234, "train_seconds": 2.5, "images_per_second": 24000}
        >>> epoch_line(figures, 5)
        'epoch 1/5  loss 0.2500  accuracy 92.34 %  2.5 s  24,000 images/s'
    """
    parts = [f"epoch {figures['epoch']:.0f}/{epochs}"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        if name in figures:
            value = f"{figures[name]:.4f}" if name.endswith("loss") else f"{100 * figures[name]:.2f} %"
            parts.append(f"{name.replace('_', ' ')} {value}")
    parts += [f"{figures['train_seconds']:.1f} s", f"{figures['images_per_second']:,.0f} images/s"]
    return "  ".join(parts)


def check_callbacks(callbacks: object) -> None:
    """Check that it is a list of callbacks.

    Raises:
        TypeError: if it is not.
    """
    entries = callbacks if isinstance(callbacks, Sequence) else [callbacks]
    wrong = [entry for entry in entries if not isinstance(entry, Callback)]
    if wrong or entries is not callbacks:
        raise TypeError(
            f"callbacks must be a list of handconv.Callback objects, got {(wrong or [callbacks])[0]!r}. "
            "Derive from Callback, and give [PrintProgress()] for one."
        )
