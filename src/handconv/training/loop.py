"""The training loop: epochs, what is measured after each, who is told, and how it is interrupted."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handconv.errors import DivergenceError, TrainingInterrupted
from handconv.evaluation import evaluate
from handconv.metrics import name_classes
from handconv.optimizers.schedules import Schedule
from handconv.training import checkpoint as checkpoints
from handconv.training.callbacks import Callback, Progress
from handconv.training.history import History
from handconv.training.samples import Samples
from handconv.training.step import LANES, Alone, Board, Engine, Task, arithmetic, shard_size

_REPORT_EVERY = 0.1  # seconds between two calls of on_batch_end


@dataclass
class Run(Task):
    """A training run: a task, what watches it, and how far it has come.

    Attributes:
        epoch: epochs done.
        step: steps done of the present epoch.
        sums: of those steps: data loss, penalty, hits, samples.
        seconds: spent on them.
    """

    validation: Samples | None = None
    workers: int = 1
    callbacks: Sequence[Callback] = ()
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    seconds: float = 0.0
    pausing: bool = False
    stopped_by: int | None = None

    def pause(self) -> None:
        """Ask for a pause after the step at hand; callbacks hear of it by ``on_pause``."""
        self.pausing = True

    def stop(self, signal_number: int) -> None:
        """Ask for the end of the run after the step at hand, as a signal does."""
        self.stopped_by = signal_number
        self.pause()

    @cached_property
    def told_apart(self) -> bool:
        """Whether the samples are of classes, so that there is an accuracy."""
        return name_classes(self.samples.y)

    @cached_property
    def fingerprint(self) -> str:
        """What tells these samples from others."""
        return checkpoints.fingerprint(self.samples)


class Team(Protocol):
    """Those who do the steps of a run."""

    steps_done: int

    @property
    def sums(self) -> NDArray[np.float64]:
        """Of the epoch so far; may be set before it starts."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def epoch(self, epoch: int, first_step: int) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch or to a pause, yielding the sums from time to time, and at the end."""

    def pause(self) -> None:
        """Ask for a pause after the step at hand."""


class Solo:
    """A team of this process alone."""

    def __init__(self, run: Run) -> None:
        self._board = Board.allocate(run.network)
        self._engine = Engine(run, self._board, Alone())
        self.steps_done = 0
        self.sums = self._board.sums

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.release()

    def epoch(self, epoch: int, first_step: int) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch or to a pause, yielding the sums after each step."""
        self._board.control[...] = 0
        for done in self._engine.epoch(epoch, first_step):
            self.steps_done = done
            yield self.sums

    def pause(self) -> None:
        """Ask for a pause after the next step."""
        self._board.control[0] = 1


def train(run: Run, resume: str | os.PathLike[str] | None = None) -> History:
    """Train from where the run, or a checkpoint of it, stands to its last epoch.

    Raises:
        DivergenceError: if the loss becomes infinite or NaN.
        TrainingInterrupted: if a signal came and there is a checkpoint.
        WorkerError: if a worker process dies.
        ModelFileError: if the checkpoint cannot be resumed.
    """
    if not run.optimizer.built:
        run.optimizer.build(run.network.parameters, run.network.decayed())
    run.optimizer.total_steps = run.optimizer.iterations + run.epochs * run.steps_per_epoch
    if resume is not None:
        checkpoints.resume(run, resume)
    with arithmetic(), _team(run) as team, _signals_stop(run):
        for callback in run.callbacks:
            callback.on_train_begin(run)
        enough = False
        while run.epoch < run.epochs and not enough:
            figures = _train_epoch(run, team)
            if run.validation is not None:
                scores = evaluate(run.network, run.loss, run.validation, workers=run.workers, logits=run.logits)
                figures |= {f"val_{name}": value for name, value in scores.items()}
            run.epoch, run.step, run.seconds = run.epoch + 1, 0, 0.0
            run.sums[...] = 0
            run.history.append(figures)
            for callback in run.callbacks:
                answer = callback.on_epoch_end(run, figures)
                enough |= isinstance(answer, bool | np.bool_) and bool(answer)
            _heed_signal(run)
        run.network.epochs_trained = run.first_epoch + run.epoch
        for callback in run.callbacks:
            callback.on_train_end(run)
    return run.history


def _team(run: Run) -> Team:
    shards = math.ceil(run.batch_size / shard_size(run.network, run.batch_size))
    run.workers = min(run.workers, shards, LANES)  # more would have nothing to do
    if run.workers == 1:
        return Solo(run)
    from handconv.training.worker import Workers  # multiprocessing is slow to import, and not often wanted

    return Workers(run, run.workers)


def _train_epoch(run: Run, team: Team) -> dict[str, float]:
    """Train to the end of the present epoch; its figures."""
    team.sums[...] = run.sums
    while run.step < run.steps_per_epoch:
        started, reported = time.perf_counter(), 0.0
        for sums in team.epoch(run.epoch, run.step):
            now = time.perf_counter()
            if run.callbacks and now - reported > _REPORT_EVERY:
                reported = now
                _report(run, sums, run.seconds + now - started)
            if run.pausing:
                team.pause()
        run.step, run.sums[...] = team.steps_done, team.sums
        run.seconds += time.perf_counter() - started
        if run.step < run.steps_per_epoch:
            run.pausing = False
            for callback in run.callbacks:
                callback.on_pause(run)
            _heed_signal(run)
    _report(run, run.sums, run.seconds)
    _check_finite(run)
    count = len(run.samples)
    data_loss, penalty, hits, _ = (float(total) / count for total in run.sums)
    return {
        "epoch": run.epoch + 1,
        "loss": data_loss + penalty,
        "data_loss": data_loss,
        "penalty": penalty,
        **({"accuracy": hits} if run.told_apart else {}),
        "learning_rate": _mean_learning_rate(run),
        "train_seconds": run.seconds,
        "images_per_second": count / run.seconds,
    }


def _check_finite(run: Run) -> None:
    """Look at what the last step of an epoch has made: no step comes after it that would meet it."""
    wrong = [name for name, values in run.network.named_parameters().items() if not np.isfinite(values).all()]
    if wrong:
        raise DivergenceError(
            f"Training diverged in the last step of epoch {run.epoch + 1}: {wrong[0]} are not finite. "
            f"Use a smaller learning rate (it is {run.optimizer.current_learning_rate:g})."
        )


def _mean_learning_rate(run: Run) -> float:
    """The mean over the steps of the epoch that is done."""
    optimizer, rate = run.optimizer, run.optimizer.learning_rate
    if not isinstance(rate, Schedule):
        return rate
    steps = range(optimizer.iterations - run.steps_per_epoch, optimizer.iterations)
    return sum(rate(step, optimizer.total_steps) for step in steps) / len(steps)


def _report(run: Run, sums: NDArray[np.float64], seconds: float) -> None:
    data_loss, penalty, hits, done = (float(total) for total in sums)
    if done:
        progress = Progress(
            epoch=run.epoch + 1,
            epochs=run.epochs,
            samples_done=int(done),
            samples=len(run.samples),
            loss=(data_loss + penalty) / done,
            accuracy=hits / done if run.told_apart else math.nan,
            images_per_second=done / seconds,
        )
        for callback in run.callbacks:
            callback.on_batch_end(run, progress)


def _checkpoint(run: Run) -> checkpoints.Checkpoint | None:
    return next((callback for callback in run.callbacks if isinstance(callback, checkpoints.Checkpoint)), None)


@contextlib.contextmanager
def _signals_stop(run: Run) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run between two steps, if it can be saved; a second Ctrl-C acts at once."""
    if _checkpoint(run) is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        run.stop(number)
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _heed_signal(run: Run) -> None:
    """End a run that was told to stop; it has just been saved."""
    checkpoint = _checkpoint(run)
    if run.stopped_by is not None and checkpoint is not None:
        where = f"in epoch {run.epoch + 1} after step {run.step}" if run.step else f"after epoch {run.epoch}"
        raise TrainingInterrupted(
            f"Training was stopped by {signal.Signals(run.stopped_by).name} {where} and saved in {checkpoint.path}.",
            run.stopped_by,
            str(checkpoint.path),
        )
