"""Callbacks, which watch a training run: derive from ``Callback`` and define the hooks that you need."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handconv.serialization.atomic import naming, starting_folder
from handconv.training.state import TrainingState
from handconv.utils.settings import arguments_of, is_change
from handconv.utils.validation import (
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    check_bool,
    check_int,
    check_not_a_method,
    check_number,
    check_setting,
)


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


_MEASURED = ("loss", "accuracy")  # also on the validation data


class Callback:
    """Hooks of the training loop; each does nothing unless a subclass defines it.

    What ``on_epoch_end`` adds to ``figures`` goes into the history, and later callbacks may watch it.
    ``on_epoch_end`` may return True to end the training after this epoch, ``on_train_begin`` to train no epoch at all.
    A ``Checkpoint`` is called last, so that it saves the changes that other callbacks have made.
    In a hook, the network has its present parameters; with ``averaging``, it has the averaged ones, as in validation,
    within ``with run.answering():``.

    Example:
        >>> class Stop(Callback):
        ...     def on_epoch_end(self, run, figures):
        ...         return figures["val_accuracy"] > 0.99
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Check a setting as the constructor does, and refuse one that a callback of this package does not have."""
        check_not_a_method(self, name, value)
        if type(self).__module__.startswith("handconv.training."):
            known = dict.fromkeys(name for kind in type(self).__mro__ for name in arguments_of(kind.__init__))  # type: ignore[misc]
            check_setting(self, type(self).__name__, name, known)
            if is_change(self, name):
                value = getattr(type(self)(**{each: getattr(self, each) for each in known} | {name: value}), name)
        object.__setattr__(self, name, value)

    def on_train_begin(self, run: TrainingState) -> bool | None:
        """Training starts, at the first epoch or where a checkpoint ended."""

    def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
        """Some batches are done; called about ten times a second."""

    def on_pause(self, run: TrainingState) -> None:
        """Training stands still between two steps, as somebody called ``run.pause()``."""

    def on_epoch_end(self, run: TrainingState, figures: dict[str, float]) -> bool | None:
        """An epoch is done, its validation included."""

    def on_train_end(self, run: TrainingState) -> None:
        """Training is over; not called if it was broken off by an error."""


Mode = Literal["min", "max"]


def check_mode(owner: str, mode: object) -> Mode | None:
    """Check the ``mode`` of a callback that watches a figure.

    Raises:
        ValueError: if it is neither "min" nor "max", nor None.
    """
    if mode not in ("min", "max", None):
        raise ValueError(f'{owner}: mode must be "min" or "max", or None where the name says it, got {mode!r}.')
    return mode


def sign_of(owner: str, monitor: str, mode: Mode | None) -> float:
    """1 if the least of a figure is the best, -1 if the greatest: by mode, or by a name that ends in loss or accuracy.

    Args:
        owner: who watches it, for messages.
        monitor: the figure.
        mode: "min" or "max".

    Raises:
        ValueError: if neither says it.
    """
    ends = [sign for word, sign in (("loss", 1.0), ("accuracy", -1.0)) if monitor.endswith(word)]
    if mode is None and not ends:
        raise ValueError(
            f"{owner} watches {monitor!r}, whose name does not say whether the least of it is the best or the "
            'greatest. Give mode="min" or mode="max".'
        )
    return ends[0] if mode is None else 1.0 if mode == "min" else -1.0


class _Monitor(Callback):
    """A callback that watches one figure."""

    def __init__(self, monitor: str, patience: int, min_delta: float, mode: Mode | None) -> None:
        owner = type(self).__name__
        self.monitor, self.patience = monitor, check_int(f"{owner}: patience", patience)
        self.mode = check_mode(owner, mode)
        self.min_delta = check_number(f"{owner}: min_delta", min_delta, *NOT_NEGATIVE)
        self._best, self._waited = math.inf, 0

    def on_train_begin(self, run: TrainingState) -> bool | None:
        """Refuse a figure that cannot be watched, and count the epochs that a resumed run has already done."""
        known = _figures(run)
        measured = [f"val_{name}" for name in known if name in _MEASURED]
        if self.monitor in (*known, *measured):
            if self.monitor.startswith("val_") and run.validation is None:
                raise ValueError(
                    f"{type(self).__name__} watches {self.monitor!r}, and there is no validation data. "
                    "Give validation_split=… or validation_data=…."
                )
        elif not run.more_figures:
            raise ValueError(
                f"{type(self).__name__} watches {self.monitor!r}, and an epoch has {', '.join(known)}, and "
                f"{' and '.join(measured)} with validation data. Name one of these."
            )
        sign_of(type(self).__name__, self.monitor, self.mode)
        self._best, self._waited = math.inf, 0
        for figures in run.history.epochs:
            self._is_time(figures)
        return None

    def _improved(self, figures: Mapping[str, float]) -> bool:
        """Whether the figure is better than ever before."""
        if self.monitor not in figures:
            raise ValueError(
                f"{type(self).__name__} watches {self.monitor!r}, and the epoch has {', '.join(figures)}. Name one of "
                "these, or give the callback that adds it to the figures before this one."
            )
        value = figures[self.monitor] * sign_of(type(self).__name__, self.monitor, self.mode)
        better = value < self._best - self.min_delta
        self._best, self._waited = (value, 0) if better else (self._best, self._waited + 1)
        return better

    def _is_time(self, figures: Mapping[str, float]) -> bool:
        """Whether the figure has not become better for ``patience`` epochs."""
        self._improved(figures)
        return self._waited >= self.patience


def _figures(run: TrainingState) -> tuple[str, ...]:
    """The names of the figures that an epoch of a run has without validation."""
    accuracy = ("accuracy",) if run.has_class_labels else ()
    return ("epoch", "loss", "data_loss", "penalty", *accuracy, "learning_rate", "train_seconds", "images_per_second")


class EarlyStopping(_Monitor):
    """End the training when a figure has not become better for some epochs, with the parameters of the best one.

    A ``Checkpoint`` saves the best parameters with the run, so that a resumed run ends with the same ones.

    Args:
        monitor: the figure, such as "val_loss" or "val_accuracy".
        patience: epochs to wait for something better, at least 1.
        min_delta: by how much it must become better to count.
        mode: "min" if the least of the figure is the best, "max" if the greatest is; needed unless its name ends in
            loss or accuracy.
        restore_best: whether the parameters of the best epoch come back at the end. In a run that was begun without
            this, that is the best epoch from where it is resumed.

    Raises:
        ValueError: if an argument is out of range, or an epoch does not have the figure.

    Example:
        >>> import numpy as np, handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0)
        >>> x, y = np.linspace(-1, 1, 40)[:, None], np.arange(40) // 20
        >>> stopping = hc.EarlyStopping("loss", patience=2, min_delta=0.5)
        >>> len(model.fit(x, y, epochs=50, callbacks=[stopping])["loss"])
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        *,
        mode: Mode | None = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        self.restore_best = check_bool("EarlyStopping: restore_best", restore_best)

    @property
    def _names(self) -> tuple[str, str]:
        """What the best parameters and buffers are called in ``run.kept``."""
        return f"parameters of the best {self.monitor}", f"buffers of the best {self.monitor}"

    def on_train_begin(self, run: TrainingState) -> bool:
        """Look whether a resumed run has waited long enough already."""
        super().on_train_begin(run)
        if self.restore_best and not run.kept.keys() >= {*self._names}:
            self._best, self._waited = math.inf, 0
        return self._waited >= self.patience

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> bool:
        """Keep the best parameters, and say when to stop."""
        if self._improved(figures) and self.restore_best:
            best = run.best_parameters.copy(), run.network.buffers.copy()
            run.kept.update(zip(self._names, best, strict=True))
        return self._waited >= self.patience

    def on_train_end(self, run: TrainingState) -> None:
        """Bring the best parameters back."""
        if self.restore_best and run.kept.keys() >= {*self._names}:
            run.best_parameters[...], run.network.buffers[...] = (run.kept[name] for name in self._names)


class ReduceOnPlateau(_Monitor):
    """Lower the learning rate when a figure has not become better for some epochs.

    After the training the optimizer has its own rate again.

    Args:
        monitor: the figure.
        factor: what the rate is multiplied by, above 0 and below 1.
        patience: epochs to wait for something better, at least 1.
        min_delta: by how much it must become better to count.
        mode: as of ``EarlyStopping``.
        least: the rate below which it is not lowered.

    Raises:
        ValueError: if an argument is out of range, or an epoch does not have the figure.
        TypeError: if the learning rate is a schedule, which says itself how it changes.

    Example:
        >>> import numpy as np, handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0)
        >>> x, y = np.linspace(-1, 1, 40)[:, None], np.arange(40) // 20
        >>> plateau = hc.ReduceOnPlateau("loss", factor=0.1, patience=2, min_delta=0.5)
        >>> history = model.fit(x, y, epochs=6, optimizer=hc.SGD(0.1), callbacks=[plateau])
        >>> [round(rate, 4) for rate in history["learning_rate"]]
        [0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.5,
        patience: int = 3,
        min_delta: float = 0.0,
        *,
        mode: Mode | None = None,
        least: float = 1e-6,
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        owner = type(self).__name__
        self.factor = check_number(f"{owner}: factor", factor, *FRACTION)
        self.least = check_number(f"{owner}: least", least, *POSITIVE)

    def on_train_begin(self, run: TrainingState) -> None:
        """Check that the rate may be changed."""
        if not isinstance(run.optimizer.learning_rate, float):
            raise TypeError(
                f"ReduceOnPlateau changes a learning rate that is a number, got {run.optimizer.learning_rate!r}. "
                "Give the optimizer a number."
            )
        super().on_train_begin(run)

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Lower the rate when it is time."""
        rate = run.optimizer.learning_rate
        if self._is_time(figures) and isinstance(rate, float):
            run.optimizer.learning_rate = min(rate, max(self.least, rate * self.factor))

    def _is_time(self, figures: Mapping[str, float]) -> bool:
        """Whether to lower the rate after this epoch; if so, the waiting begins anew."""
        due = super()._is_time(figures)
        self._waited = 0 if due else self._waited
        return due


class CSVLogger(Callback):
    """Write one row of figures an epoch to a CSV file, which grows while the training goes on.

    Args:
        path: the file; a new training begins it anew, a resumed one goes on with it.

    Example:
        >>> import tempfile, pathlib, numpy as np, handconv as hc
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0)
        >>> history = model.fit(np.eye(4, 1), [0, 1, 0, 1], epochs=2, callbacks=[hc.CSVLogger(path)])
        >>> [line.split(",")[0] for line in path.read_text().splitlines()]
        ['epoch', '1', '2']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self._folder = Path(path), Path()

    def on_train_begin(self, run: TrainingState) -> None:
        """Begin the file with the epochs that there are already."""
        self._folder = starting_folder(self.path)
        self._write(run)

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Write all rows anew: an epoch may have brought another figure."""
        self._write(run)

    def _write(self, run: TrainingState) -> None:
        names = list(dict.fromkeys(name for figures in run.history.epochs for name in figures))
        file_path = self._folder / self.path  # wherever the program has gone since
        with naming(file_path), file_path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, names)
            if names:
                rows.writeheader()
            rows.writerows(run.history.epochs)


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
            "Derive from Callback, and give a list, such as [PrintProgress()]."
        )
    for entry in entries:
        unknown = [name for name in dir(entry) if name.startswith("on_") and not hasattr(Callback, name)]
        if unknown:
            known = ", ".join(name for name in dir(Callback) if name.startswith("on_"))
            raise TypeError(f"{type(entry).__name__} defines {unknown[0]}, which is no hook; the hooks are {known}.")
