"""The training loop: epochs, what is measured after each, which callbacks are called, and how it is interrupted."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from numbers import Real
from types import FrameType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handconv.errors import TrainingInterrupted
from handconv.evaluation import evaluate
from handconv.objective import Objective
from handconv.optimizers.schedules import Schedule
from handconv.parallel.communicator import OneProcess
from handconv.training import checkpoint, divergence
from handconv.training.callbacks import Callback, Progress
from handconv.training.checks import check_run
from handconv.training.history import History
from handconv.training.progress import PrintProgress
from handconv.training.state import TrainingState
from handconv.training.step import ACCUMULATORS, ShardStep, SharedState, arithmetic, shard_size
from handconv.utils.validation import is_ours
from handconv.utils.warn import warn

_REPORT_EVERY = 0.1  # seconds between two calls of on_batch_end


class Executor(Protocol):
    """Who does the steps of a training."""

    steps_done: int

    @property
    def sums(self) -> NDArray[np.float64]:
        """Of the epoch so far; may be set before it starts."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def epoch(self, epoch: int, first_step: int, *, anything_changed: bool = False) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch or to a pause, yielding the sums from time to time, and at the end."""

    def pause(self) -> None:
        """Ask for a pause after the step at hand."""


class InProcess:
    """Does the steps in this process alone."""

    def __init__(self, run: TrainingState) -> None:
        self._state = SharedState.of_one_process(run)
        self._step = ShardStep(run, self._state, OneProcess())
        self._network = run.network
        self.steps_done = 0
        self.sums = self._state.sums
        self._is_training = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_training:  # broken off within an epoch, perhaps within a shard
            self._network.buffers[...] = self._state.buffers

    def epoch(self, epoch: int, first_step: int, *, anything_changed: bool = False) -> Iterator[NDArray[np.float64]]:
        """Train for one epoch or to a pause, yielding the sums after each step."""
        self._state.control[...] = 0
        self._state.buffers[...] = self._network.buffers
        self._is_training = True
        for done in self._step.epoch(epoch, first_step):
            self.steps_done = done
            yield self.sums
            self._state.buffers[...] = self._network.buffers  # which a callback may have changed
        self._is_training = False

    def pause(self) -> None:
        """Ask for a pause after the next step."""
        self._state.control[0] = 1


def train(
    run: TrainingState, callbacks: Sequence[Callback] = (), resume: str | os.PathLike[str] | None = None
) -> History:
    """Train from where the run, or a checkpoint of it, stands to its last epoch.

    Raises:
        DivergenceError: if the loss becomes infinite or NaN.
        TrainingInterrupted: if a signal came and there is a checkpoint.
        WorkerError: if a worker process dies.
        ModelFileError: if the checkpoint cannot be resumed.
        RuntimeError: if a layer carries state that it did not declare, and workers or a resume would lose it.
    """
    callbacks = sorted(callbacks, key=_place)
    checkpoints = [callback for callback in callbacks if isinstance(callback, checkpoint.Checkpoint)]
    saved = checkpoints[0] if checkpoints else None
    run.more_figures, was_used = bool(_of_users(callbacks)), run.optimizer.built
    run.optimizer.start(run.network.parameters, run.network.decayed())
    try:
        _prepare(run, checkpoints, resume, was_used=was_used)
        run.history.weighted = run.samples.weights is not None
        run.under_way = True
        with _used([run.loss, *callbacks]), arithmetic(), _executor(run) as executor, _signals_stop(run, saved):
            _train(run, executor, callbacks, saved)
            if remark := divergence.average_standstill(run):
                warn(remark)
            run.take_average()
    finally:
        run.optimizer.finish()
        run.optimizer.learning_rate = run.given_rate
        for callback in callbacks:
            if isinstance(callback, PrintProgress):
                callback.close()
    return run.history


def _place(callback: Callback) -> int:
    """The order of callbacks: the progress bar first, before others print; what saves the run after all others."""
    return 0 if isinstance(callback, PrintProgress) else 2 if isinstance(callback, checkpoint.Checkpoint) else 1


def _of_users(callbacks: Sequence[Callback]) -> list[Callback]:
    """The callbacks that are not of this package."""
    return [callback for callback in callbacks if not is_ours(type(callback))]


def _prepare(
    run: TrainingState,
    checkpoints: Sequence[checkpoint.Checkpoint],
    resume: str | os.PathLike[str] | None,
    *,
    was_used: bool,
) -> None:
    """Bring a run to where it begins, and refuse before the first step what cannot be done right."""
    run.optimizer.total_steps = run.optimizer.iterations + run.epochs * run.steps_per_epoch
    if run.averaging is not None:
        run.average = run.network.parameters.copy()
    if resume is not None:
        checkpoint.resume(run, resume)
    shards = math.ceil(run.batch_size / shard_size(run.network, run.batch_size, run.shard_size))
    run.workers = min(run.workers, shards, ACCUMULATORS)  # more would have nothing to do
    check_run(run, is_saved=bool(checkpoints) or resume is not None, was_used=was_used)
    for each in checkpoints:
        each.check(run)


def _train(
    run: TrainingState, executor: Executor, callbacks: Sequence[Callback], saved: checkpoint.Checkpoint | None
) -> None:
    enough = _anyone_says_so([callback.on_train_begin(run) for callback in callbacks])
    exploded = ""
    while run.epoch < run.epochs and not enough:
        run.network.epochs_trained = run.first_epoch + run.epoch + 1  # an epoch that has begun counts
        figures = _train_epoch(run, executor, callbacks, saved)
        if run.validation is not None:
            with run.answering():
                scores = evaluate(run.network, Objective(run.network, run.loss), run.validation, workers=run.workers)
            figures |= {f"val_{name}": value for name, value in scores.items()}
        run.epoch, run.step, run.seconds = run.epoch + 1, 0, 0.0
        run.sums[...] = 0
        run.history.append(figures)
        if remark := divergence.standstill(run):
            warn(remark)
        enough = _anyone_says_so([_tell_epoch(run, callback) for callback in callbacks])
        if not exploded and (exploded := divergence.explosion(run)):
            warn(exploded)
        _heed_signal(run, saved)
    for callback in callbacks:
        callback.on_train_end(run)


def _tell_epoch(run: TrainingState, callback: Callback) -> object:
    """Call a callback at the end of an epoch, and check the figures, to which it may have added others."""
    figures = run.history.last
    answer = callback.on_epoch_end(run, figures)
    for name, value in figures.items():
        if not isinstance(value, Real | np.bool_):
            raise TypeError(
                f"A figure of an epoch must be a number, and {type(callback).__name__}.on_epoch_end has made {name!r} "
                f"{value!r}. Give float(…), or keep it elsewhere."
            )
    return answer


def _anyone_says_so(answers: Sequence[object]) -> bool:
    """Whether one of the callbacks has returned True."""
    return any(isinstance(answer, bool | np.bool_) and bool(answer) for answer in answers)


def _executor(run: TrainingState) -> Executor:
    if run.workers == 1:
        return InProcess(run)
    from handconv.training.worker import ProcessExecutor  # multiprocessing is slow to import, and not often wanted

    return ProcessExecutor(run, run.workers)


def _train_epoch(
    run: TrainingState, executor: Executor, callbacks: Sequence[Callback], saved: checkpoint.Checkpoint | None
) -> dict[str, float]:
    """Train to the end of the present epoch; its figures."""
    executor.sums[...] = run.sums
    users = _of_users(callbacks)
    asking = any(type(callback).on_batch_end is not Callback.on_batch_end for callback in users)
    changed, report_due, reported = bool(users), False, 0.0
    while run.step < run.steps_per_epoch:
        started = time.perf_counter()
        for sums in executor.epoch(run.epoch, run.step, anything_changed=changed):
            now = time.perf_counter()
            if callbacks and not report_due and now - reported > _REPORT_EVERY:
                reported = now
                if asking and run.workers > 1:
                    report_due = True  # the user's code may ask the network: between two steps
                    executor.pause()
                else:
                    _report(run, callbacks, sums, run.seconds + now - started)
            if run.pausing:
                executor.pause()
        changed = False
        run.step, run.sums[...] = executor.steps_done, executor.sums
        run.seconds += time.perf_counter() - started
        if report_due and run.step < run.steps_per_epoch:
            report_due = False
            _report(run, callbacks, run.sums, run.seconds)
            changed = True
        if run.pausing and run.step < run.steps_per_epoch:
            run.pausing = False
            for callback in callbacks:
                callback.on_pause(run)
            changed = bool(users)
            _heed_signal(run, saved)
    _report(run, callbacks, run.sums, run.seconds)
    _check_all_trained(run)
    divergence.check_parameters(run)
    return _epoch_figures(run)


def _epoch_figures(run: TrainingState) -> dict[str, float]:
    """The figures of the epoch whose last step is done."""
    count = len(run.samples)
    data_loss, penalty, hits, _ = (float(total) / count for total in run.sums)
    return {
        "epoch": run.epoch + 1,
        "loss": data_loss + penalty,
        "data_loss": data_loss,
        "penalty": penalty,
        **({"accuracy": hits} if run.has_class_labels else {}),
        "learning_rate": _mean_learning_rate(run),
        "train_seconds": run.seconds,
        "images_per_second": count / run.seconds,
    }


def _check_all_trained(run: TrainingState) -> None:
    """Refuse layers that appeared while the network was run: the vectors do not hold their parameters."""
    late = [f"{path} ({layer.label})" for path, layer in run.network.tree() if layer not in run.network.store.layers]
    if late:
        raise RuntimeError(
            f"{late[0]} was made after the network was built, and is not trained. Make all layers in __init__."
        )


def _mean_learning_rate(run: TrainingState) -> float:
    """The mean over the steps of the epoch that is done."""
    optimizer, rate = run.optimizer, run.optimizer.learning_rate
    if not isinstance(rate, Schedule):
        return rate
    steps = range(optimizer.iterations - run.steps_per_epoch, optimizer.iterations)
    return sum(map(optimizer.rate_at, steps)) / len(steps)


def _report(run: TrainingState, callbacks: Sequence[Callback], sums: NDArray[np.float64], seconds: float) -> None:
    data_loss, penalty, hits, done = (float(total) for total in sums)
    if done:
        progress = Progress(
            epoch=run.epoch + 1,
            epochs=run.epochs,
            samples_done=int(done),
            samples=len(run.samples),
            loss=(data_loss + penalty) / done,
            accuracy=hits / done if run.has_class_labels else math.nan,
            images_per_second=done / seconds,
        )
        for callback in callbacks:
            callback.on_batch_end(run, progress)


_IN_USE: dict[int, int] = {}  # the threads of the trainings that go on, by the id of what keeps their figures


@contextlib.contextmanager
def _used(things: Sequence[object]) -> Iterator[None]:
    """Within ``with``, reserve losses and callbacks, which keep state, for the trainings of this thread.

    Raises:
        RuntimeError: if one is used by a training of another thread.
    """
    mine, taken = threading.get_ident(), []
    try:
        for thing in things:
            if id(thing) not in _IN_USE:
                taken.append(id(thing))
            if _IN_USE.setdefault(id(thing), mine) != mine:
                raise RuntimeError(
                    f"{type(thing).__name__} is used by a training in another thread, whose figures would get mixed "
                    "with these. Give each its own."
                )
        yield
    finally:
        for name in taken:
            if _IN_USE.get(name) == mine:
                del _IN_USE[name]


@contextlib.contextmanager
def _signals_stop(run: TrainingState, saved: checkpoint.Checkpoint | None) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run between two steps, if it can be saved; a second Ctrl-C acts at once."""
    if saved is None or threading.current_thread() is not threading.main_thread():
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


def _heed_signal(run: TrainingState, saved: checkpoint.Checkpoint | None) -> None:
    """End a run that was told to stop; it has just been saved."""
    if run.stopped_by is not None and saved is not None:
        where = f"in epoch {run.epoch + 1} after step {run.step}" if run.step else f"after epoch {run.epoch}"
        raise TrainingInterrupted(
            f"Training was stopped by {signal.Signals(run.stopped_by).name} {where} and saved in {saved.path}.",
            run.stopped_by,
            str(saved.path),
        )
