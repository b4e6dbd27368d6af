"""Checkpoints: a run as it stands between two steps, in one file, from which it goes on to the same bits.

A checkpoint is a model file (``handconv.load`` reads it) with the state of the run beside it: the optimizer's vectors,
epoch and step, the sums of the epoch so far, the history, how the run was set up, and a fingerprint of its data.
Random streams are derived from seed, epoch and step, so nothing else is needed of them.

Three files are kept: the last checkpoint, the one before it (``NAME.previous.npz``), and the best by validation
(``NAME.best.npz``). Each is written under a temporary name, flushed and renamed; until then the old ones stay.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv import optimizers
from handconv.errors import ModelFileError
from handconv.optimizers.schedules import Schedule
from handconv.serialization import npz
from handconv.serialization.atomic import check_writable, starting_folder
from handconv.serialization.description import RUN, check_comes_back, check_suffix, describe, fill
from handconv.training.averaging import WeightAverage
from handconv.training.callbacks import Callback, Mode, Progress, check_mode, sign_of
from handconv.training.state import TrainingState
from handconv.utils.validation import POSITIVE, check_number
from handconv.utils.warn import warn
from handconv.utils.words import counted

_VERSION = 4
_KEPT = f"{RUN}kept/"  # what callbacks keep


class Checkpoint(Callback):
    """Save the run at the end of each epoch, at intervals within an epoch, and when a signal stops it.

    With it, Ctrl-C and SIGTERM end the run after the step at hand, with a checkpoint and ``TrainingInterrupted``;
    ``fit(..., resume=path)`` goes on from there.

    Args:
        path: the file, ending in .npz; beside it stand ``NAME.previous.npz`` and ``NAME.best.npz``.
        every: seconds between two checkpoints within an epoch.
        monitor: the figure that decides which epoch was the best; of equals the last.
        mode: "min" if the least of the figure is the best, "max" if the greatest is; needed unless its name ends in
            loss or accuracy.

    Raises:
        ValueError: if the name does not end in .npz, or ``every`` or ``mode`` is out of range.

    Example:
        >>> import tempfile, pathlib, numpy as np, handconv as hc
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.npz"
        >>> def fit(epochs, **options):
        ...     model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
        ...     x = np.eye(3, dtype=np.float32)
        ...     model.fit(x, [0, 1, 1], epochs=epochs, batch_size=2, callbacks=[hc.Checkpoint(path)], **options)
        ...     return model.parameters
        >>> whole = fit(4)
        >>> half = fit(2)
        >>> bool((fit(4, resume=path) == whole).all())
        True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: float = 30.0,
        monitor: str = "val_accuracy",
        mode: Mode | None = None,
    ) -> None:
        check_suffix(path)
        if every != math.inf:  # at the end of epochs alone
            every = check_number("Checkpoint: every, in seconds,", every, *POSITIVE)
        self.path, self.every, self.monitor, self.mode = Path(path), every, monitor, check_mode("Checkpoint", mode)
        self._saved_at, self._folder = 0.0, Path()

    def check(self, run: TrainingState) -> None:
        """Check before the first step that the run can be described in a file, and that there is a place for it.

        Raises:
            FileNotFoundError: if the file's folder does not exist.
            OSError: if no file can be made in it.
            ValueError: if a layer, the loss, the optimizer or ``model.info`` has what a file cannot hold.
        """
        check_writable(self.path)
        self._folder = starting_folder(self.path)
        sign_of("Checkpoint", self.monitor, self.mode)
        _described(run)

    def on_train_begin(self, run: TrainingState) -> None:
        """Start the clock."""
        self._saved_at = time.monotonic()

    def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
        """Ask for a pause when it is time."""
        if time.monotonic() - self._saved_at > self.every:
            run.pause()

    def on_pause(self, run: TrainingState) -> None:
        """Save the run between two steps."""
        self._save(run)

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Save the run, and keep it as the best if it is."""
        if self.monitor in figures:
            sign = sign_of("Checkpoint", self.monitor, self.mode)
            known = [sign * value for value in run.history[self.monitor] if not math.isnan(value)]
            if sign * figures[self.monitor] <= min(known, default=-math.inf):
                _write(run, sibling(self._file, "best"))  # first: a run killed here does the epoch once more
        self._save(run)

    def _save(self, run: TrainingState) -> None:
        _write(run, self._file, previous=sibling(self._file, "previous"))
        self._saved_at = time.monotonic()

    @property
    def _file(self) -> Path:
        """The file, wherever the program has gone since the training began."""
        return self._folder / self.path


def _write(run: TrainingState, path: Path, *, previous: Path | None = None) -> None:
    stays = run.step == 0 or run.stopped_by is not None  # else soon replaced, and not worth measuring statistics for
    with run.answering(anew=stays):  # the file's model has the averaged parameters; the run's own are saved beside
        model = run.network.named_parameters() | run.network.named_buffers()
        arrays = {name: values.copy() for name, values in model.items()}
    if run.averaging is not None:
        own = {"parameters": run.network.parameters, "buffers": run.network.buffers, "average": run.average}
        arrays |= {f"{RUN}{name}": values for name, values in own.items()}
    arrays |= {f"{RUN}{name}": vector for name, vector in run.optimizer.state.items()}
    arrays |= {f"{_KEPT}{name}": values for name, values in run.kept.items()}
    npz.save(path, arrays, describe(run.network) | {"run": _state(run)}, previous=previous)


def sibling(path: Path, kind: str) -> Path:
    """The name of the file beside a checkpoint that holds the one before it, or the best.

    Example:
        >>> sibling(Path("run.npz"), "best").name
        'run.best.npz'
    """
    return path.with_name(f"{path.stem}.{kind}{path.suffix}")


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a checkpoint as arrays and description; if it is damaged or missing, the one before it, with a warning.

    Raises:
        FileNotFoundError: if there is none.
        ModelFileError: if it is no checkpoint, or both are damaged.
    """
    last, previous = Path(path), sibling(Path(path), "previous")
    try:
        return _read_one(last)
    except (ModelFileError, FileNotFoundError) as error:
        if not previous.exists():
            raise
        content = _read_one(previous)
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be used ({error})"
        warn(f"The checkpoint {last} {reason}; going on from the one before it, {previous}.")
        return content


def kept_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """What callbacks have kept in a checkpoint, by name; raises as ``read`` does."""
    return _kept(read(path)[0])


def _kept(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(_KEPT): values for name, values in arrays.items() if name.startswith(_KEPT)}


def resume(run: TrainingState, path: str | os.PathLike[str]) -> None:
    """Bring a run to where the checkpoint stands: parameters, optimizer, epoch, step, sums and history.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ModelFileError: if it is damaged, or of another network, data set, or set-up.
    """
    arrays, description = read(path)
    saved = description["run"]
    now = _described(run)
    differences = list(_differences("", _setup(description, saved), _setup(now, now["run"])))
    if differences:
        more = f"; and {len(differences) - _TOLD} more" if len(differences) > _TOLD else ""
        raise ModelFileError(
            f"{path} cannot be resumed, as this is not the same run: {'; '.join(differences[:_TOLD])}{more}. "
            "Resume with what it was started with, or start anew."
        )
    fill(run.network, arrays, path)
    try:
        _restore(run, arrays, saved)
        started_for = int(saved["epochs"])
        if not 0 < started_for < 2**32:
            raise ValueError(f"the epochs cannot be {started_for}")
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged: the state of the run makes no sense ({error}).") from error
    _count_steps(run, started_for)


def _restore(run: TrainingState, arrays: Mapping[str, NDArray[Any]], saved: Mapping[str, Any]) -> None:
    """Restore the state of a run."""
    if run.averaging is not None:
        run.network.parameters, run.network.buffers = arrays[f"{RUN}parameters"], arrays[f"{RUN}buffers"]
        run.average[...] = arrays[f"{RUN}average"]
    run.optimizer.load_state_dict(
        {name: arrays[f"{RUN}{name}"] for name in run.optimizer.state}
        | {"iterations": np.array(int(saved["iterations"]))}
    )
    run.first_epoch, run.epoch, run.step = (int(saved[name]) for name in ("first_epoch", "epoch", "step"))
    places = (run.first_epoch, run.epoch, run.step, run.optimizer.iterations)
    if not all(0 <= place < 2**32 for place in places) or run.step >= run.steps_per_epoch:
        raise ValueError(f"epoch, step and steps in all cannot be {places[1:]}")
    run.network.epochs_trained = run.first_epoch + run.epoch + (run.step > 0)  # an epoch that has begun counts
    run.sums, run.seconds = _sums(saved["sums"], len(run.samples)), float(saved["seconds"])
    if not 0 <= run.seconds < math.inf:
        raise ValueError(f"the seconds of the epoch are {run.seconds}")
    run.kept = _kept(arrays)
    if saved.get("learning_rate") is not None:
        run.optimizer.learning_rate = saved["learning_rate"]
    _read_history(run, saved["history"])


def _count_steps(run: TrainingState, started_for: int) -> None:
    """Count the steps of the whole run, for schedules, and warn where it is not as long as it was started for."""
    steps_done = run.epoch * run.steps_per_epoch + run.step
    before = max(0, run.optimizer.iterations - steps_done)  # the steps of earlier trainings
    old, run.optimizer.total_steps = (before + epochs * run.steps_per_epoch for epochs in (started_for, run.epochs))
    rate = run.optimizer.learning_rate
    if (already := run.network.epochs_trained - run.first_epoch) > run.epochs:
        warn(
            f"The run has {counted(already, 'epoch')} already, more than {run.epochs}: nothing is left to train. "
            "Give more epochs to go on."
        )
    elif old != run.optimizer.total_steps:
        total, steps = run.optimizer.total_steps, range(0, steps_done, 1 + steps_done // 1000)  # a thousand are enough
        other: list[str] = []
        if isinstance(rate, Schedule) and any(rate(before + step, old) != rate(before + step, total) for step in steps):
            other.append("learning rates")
        if run.averaging is not None and _averages_otherwise(run.averaging, steps, old - before, total - before):
            other.append("averaged steps")
        if other:
            begun, what = counted(started_for, "epoch"), " and the ".join(other)
            warn(
                f"The run was started for {begun} and is now one of {run.epochs}: up to here it had the {what} of "
                f"{begun}. For those of {run.epochs} in one go, start anew."
            )


def _averages_otherwise(averaging: WeightAverage, steps: range, old: int, new: int) -> bool:
    """Whether the average over these steps would differ if the training had another number of steps."""
    goes_on = averaging.share(steps.stop + 1, new) < 1
    return goes_on and any(averaging.share(step + 1, old) != averaging.share(step + 1, new) for step in steps)


def _sums(values: Any, samples: int) -> NDArray[np.float64]:
    """The sums of an epoch so far: data loss, penalty, right answers, samples."""
    sums = np.array(values, np.float64)
    if (
        sums.shape != (4,)
        or not np.isfinite(sums).all()
        or not 0 <= sums[2] <= sums[3] <= samples
        or (sums[2:] % 1).any()
    ):
        raise ValueError(f"the sums of the epoch are {values}")
    return sums


def _read_history(run: TrainingState, epochs: Any) -> None:
    """Restore the figures of the epochs that are done."""
    numbers = [number for figures in epochs for number in figures.values()]
    wrong = [number for number in numbers if isinstance(number, bool) or not isinstance(number, int | float | None)]
    if not isinstance(epochs, list) or len(epochs) != run.epoch or wrong:
        raise ValueError(
            f"the history has {counted(len(epochs), 'epoch')} of {run.epoch}, or what is not a number in it"
        )
    for figures in epochs:
        run.history.append({name: math.nan if value is None else value for name, value in figures.items()})


def saved_optimizer(path: str | os.PathLike[str]) -> optimizers.Optimizer:
    """The optimizer that a checkpoint's run used, without its state."""
    _, description = read(path)
    try:
        return optimizers.from_config(description["run"]["optimizer"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged: its optimizer makes no sense ({error}).") from error


_TOLD = 3  # differences that are named when a run cannot be resumed
#: What is compared by fingerprints, with the message for a difference; a missing fingerprint is not compared.
_PRINTS = {
    "validation data": "the validation data are others, so that its figures would mix two kinds",
    "gives of loss": "the loss gives another value for the same predictions",
    "makes of augment": "augment makes other images of the same ones",
}


def _setup(model: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same when a run is resumed, by the names that messages use."""
    layers = model.get("layers")
    places = enumerate(layers if isinstance(layers, list) else [layers])
    setup = {f"layer {place}": layer for place, layer in places}
    setup |= {name: model.get(name) for name in ("input_shape", "dtype", "seed")}
    setup |= {
        name: state.get(name)
        for name in ("loss", "optimizer", "averaging", "augment", "batch_size", "shard_size", "shuffle")
    }
    return setup | {"samples": [state.get("samples"), state.get("data")], "validation data": state.get("validation")}


def _differences(name: str, was: Any, now: Any) -> Iterator[str]:
    """Say what a run was started with and now is not, one thing after the other."""
    if was == now:
        return
    if name == "samples":
        yield f"samples were {was[0]}, are {now[0]}" if was[0] != now[0] else "the samples are others"
    elif name in _PRINTS:
        if None not in (was, now):
            yield _PRINTS[name]
    elif isinstance(was, Mapping) and isinstance(now, Mapping) and _kind(was) == _kind(now):
        for key in {**was, **now}:
            inner = key if not name else name if key == "config" else f"{key} of {name}"
            yield from _differences(inner, was.get(key), now.get(key))
    else:
        yield f"{name} was {_kind(was)}, is {_kind(now)}"


def _kind(value: Any) -> Any:
    """What to call a value: the name of a layer, a loss, an optimizer or a schedule, else the value itself."""
    return value.get("class", value.get("name")) if isinstance(value, Mapping) else value


def _described(run: TrainingState) -> dict[str, Any]:
    """The description of a run as a file holds it.

    Raises:
        ValueError: if it has what a file cannot hold.
    """
    try:
        check_comes_back(run.network)
        described: dict[str, Any] = json.loads(npz.as_json(describe(run.network) | {"run": _state(run)}))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"The run cannot be saved as a checkpoint: {error}") from error
    return described


def _state(run: TrainingState) -> dict[str, Any]:
    """The state of a run as plain values."""
    rate = run.optimizer.learning_rate
    is_number = isinstance(rate, float) and isinstance(run.given_rate, float)  # which callbacks may lower
    return {
        "version": _VERSION,
        "first_epoch": run.first_epoch,
        "epoch": run.epoch,
        "step": run.step,
        "sums": run.sums.tolist(),
        "seconds": run.seconds,
        "iterations": run.optimizer.iterations,
        "optimizer": run.optimizer.config() | ({"learning_rate": run.given_rate} if is_number else {}),
        "learning_rate": rate if is_number else None,
        "loss": {"name": type(run.loss).__name__, **run.loss.config(), "gives": run.loss_print},
        "augment": run.augment_print,
        "averaging": None if run.averaging is None else run.averaging.config(),
        "epochs": run.epochs,
        "batch_size": run.batch_size,
        "shard_size": run.shard_size,
        "shuffle": run.shuffle,
        "samples": len(run.samples),
        "data": run.fingerprint,
        "validation": run.validation_fingerprint,
        "history": [{name: _figure(value) for name, value in figures.items()} for figures in run.history.epochs],
    }


def _figure(value: float) -> float | None:
    """A figure as JSON has it: plain, and none where it is not a finite number."""
    plain = float(value)
    whole = isinstance(value, int | np.integer)
    return int(value) if whole else plain if math.isfinite(plain) else None


def _read_one(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    arrays, description = npz.load(path)
    state = description.get("run")
    if not isinstance(state, dict):
        raise ModelFileError(
            f"{path} is a model, not a checkpoint: it has no state of a run. Give a file that Checkpoint wrote."
        )
    if state.get("version") != _VERSION:
        raise ModelFileError(
            f"{path} is a checkpoint of version {state.get('version')!r}, this handconv reads {_VERSION}. "
            "Resume with the handconv that wrote it."
        )
    return arrays, description
