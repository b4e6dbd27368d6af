"""The training loop: epochs, what is measured after each, and who is told."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handconv.training import blas
from handconv.training.callbacks import Callback, Progress
from handconv.training.engine import Alone, Board, Engine, Task
from handconv.training.evaluation import evaluate
from handconv.training.history import History
from handconv.training.samples import Samples
from handconv.training.workers import Workers

_REPORT_EVERY = 0.1  # seconds between two calls of on_batch_end


@dataclass
class Run(Task):
    """A training run: a task, what watches it, and how far it has come."""

    validation: Samples | None = None
    workers: int = 1
    callbacks: Sequence[Callback] = ()
    history: History = field(default_factory=History)
    epoch: int = 0


class Team(Protocol):
    """Those who do the steps of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def epoch(self, epoch: int) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch, yielding the board's sums from time to time, and at the end."""


class Solo:
    """A team of this process alone."""

    def __init__(self, run: Run) -> None:
        self._board = Board.allocate(run.network, np.zeros)
        self._engine = Engine(run, self._board, Alone())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.release()

    def epoch(self, epoch: int) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch, yielding after each step."""
        self._board.sums[...] = 0
        for _ in self._engine.epoch(epoch):
            yield self._board.sums


def train(run: Run) -> History:
    """Train from where the run stands to its last epoch.

    Raises:
        DivergenceError: if the loss becomes infinite or NaN.
    """
    if not run.optimizer.built:
        run.optimizer.build(run.network.parameters, run.network.decayed())
    team: Team = Solo(run) if run.workers == 1 else Workers(run, run.workers)
    with blas.one_thread(), team:
        for callback in run.callbacks:
            callback.on_train_begin(run)
        stop = False
        while run.epoch < run.epochs and not stop:
            figures = _train_epoch(run, team)
            if run.validation is not None:
                scores = evaluate(run.network, run.loss, run.validation, logits=run.logits)
                figures |= {f"val_{name}": value for name, value in scores.items()}
            run.epoch += 1
            run.history.append(figures)
            stop = any([callback.on_epoch_end(run, figures) for callback in run.callbacks])
        for callback in run.callbacks:
            callback.on_train_end(run)
    return run.history


def _train_epoch(run: Run, team: Team) -> dict[str, float]:
    """One pass over all samples; the epoch's figures."""
    count = len(run.samples)
    started = reported = time.perf_counter()
    sums = np.zeros(4)
    for sums in team.epoch(run.epoch):
        now = time.perf_counter()
        if run.callbacks and now - reported > _REPORT_EVERY:
            reported = now
            _report(run, sums, now - started)
    seconds = time.perf_counter() - started
    _report(run, sums, seconds)
    data_loss, penalty, hits, _ = (float(total) / count for total in sums)
    return {
        "epoch": run.epoch + 1,
        "loss": data_loss + penalty,
        "data_loss": data_loss,
        "penalty": penalty,
        "accuracy": hits,
        "learning_rate": run.optimizer.current_learning_rate,
        "train_seconds": seconds,
        "images_per_second": count / seconds,
    }


def _report(run: Run, sums: NDArray[np.float64], seconds: float) -> None:
    data_loss, penalty, hits, done = (float(total) for total in sums)
    if done:
        progress = Progress(
            epoch=run.epoch + 1,
            epochs=run.epochs,
            samples_done=int(done),
            samples=len(run.samples),
            loss=(data_loss + penalty) / done,
            accuracy=hits / done,
            images_per_second=done / seconds,
        )
        for callback in run.callbacks:
            callback.on_batch_end(run, progress)
