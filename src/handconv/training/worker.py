"""Worker processes that share the steps of a training.

Threads would not help: NumPy calls of a few microseconds hand Python's lock to and fro. So each worker is a process
with its own copy of the network, over one shared set of arrays (``training.step.SharedState`` and the vectors of the
optimizer).
At each step a worker computes the shards of its accumulators, exchanges with the others, updates its part of the
parameters, and publishes it. The parent computes nothing; it starts an epoch, watches, and reports, so that a death,
Ctrl-C or a slow callback never holds up the arithmetic. Between epochs it copies the shared arrays to the network's own
vectors, and back.

    parent   start ─────────── watch the sums, the pipes and the processes ─────────── figures
    worker 0       shards  │ part 0 │  shards  │ part 0 │ …
    worker 1       shards  │ part 1 │  shards  │ part 1 │ …
                        exchange  publish

A worker is forked, so that it runs exactly the user's code and data; where forking is not safe it is spawned, and gets
them by pickle. After a user-defined callback, workers are restarted if it has changed the samples or a setting. Forked
workers are always restarted for the next epoch if layers, loss or schedule are user-defined too, because that code may
depend on anything that the callback has changed.
"""

import contextlib
import dataclasses
import gc
import multiprocessing
import multiprocessing.connection
import signal
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handconv.errors import DivergenceError, WorkerError
from handconv.parallel.barrier import Barrier, SharedMemoryCommunicator
from handconv.parallel.processes import PARENT_EVERY, orphaned, start_method, starting
from handconv.parallel.shared_memory import MappedArray, SharedArray
from handconv.training.copies import check_importable, sample_hashes, settings, without_samples
from handconv.training.state import Task
from handconv.training.step import ShardStep, SharedState, arithmetic

_WATCH_EVERY = 0.05  # seconds between two looks at the sums


@dataclass(frozen=True)
class Job:
    """All that a worker needs."""

    task: Task
    x: SharedArray | MappedArray | None  # where the samples do not come along with the task
    arrays: Mapping[str, SharedArray]
    vectors: Mapping[str, SharedArray]
    barrier: Barrier


class ProcessExecutor:
    """The worker processes of a training; they start with its first epoch, and the context manager ends them.

    Args:
        task: what to train; its optimizer is built.
        count: how many workers.
        method: "fork" or "spawn"; the one that is safe here if not given.

    Raises:
        WorkerError: if a worker dies or cannot start.
    """

    def __init__(self, task: Task, count: int, *, method: str | None = None) -> None:
        self._task, self._count = task, count
        self._method = method or start_method()
        if self._method == "spawn":
            check_importable(task)
        self._context: BaseContext = multiprocessing.get_context(self._method)
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []
        self.steps_done = 0
        self._arrays: dict[str, SharedArray] = {}
        self._vectors: dict[str, SharedArray] = {}
        self._x: SharedArray | MappedArray | None = None
        self._settings, self._sample_hashes, self._is_training = b"", b"", False

    def __enter__(self) -> Self:
        layout = SharedState.layout(self._task)
        self._arrays = {name: SharedArray(self._context, *kind) for name, kind in layout.items()}
        vectors = self._task.optimizer.state
        self._vectors = {name: SharedArray(self._context, value.shape, value.dtype) for name, value in vectors.items()}
        if self._method == "spawn":
            x = self._task.samples.x
            self._x = MappedArray.of(x) or SharedArray(self._context, x.shape, x.dtype)
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        if self._is_training:  # broken off within an epoch: the steps that were done are kept
            self._fetch()

    def epoch(self, epoch: int, first_step: int, *, anything_changed: bool = False) -> Iterator[NDArray[np.float64]]:
        """Let the workers train for one epoch or to a pause, yielding the sums from time to time, and at the end.

        Args:
            epoch: its number, from 0.
            first_step: where to go on in it.
            anything_changed: whether user-defined code has run that may have changed what workers have copies of.
        """
        self._check_alive()
        self._share()
        if self._must_start(anything_changed, within_epoch=first_step > 0):
            self._end(expected=True)
            self._start()
        self._arrays["control"].array[...] = 0
        for pipe in self._pipes:
            with contextlib.suppress(ConnectionError):  # of one that died: it is named below
                pipe.send((epoch, first_step, self._task.optimizer.iterations))
        self._is_training = True
        for _ in self._answers():
            yield self.sums
        self._is_training = False
        self._fetch()

    @property
    def sums(self) -> NDArray[np.float64]:
        """The sums of the epoch so far."""
        return self._arrays["sums"].array

    def pause(self) -> None:
        """Ask the workers to stop after the present step."""
        self._arrays["control"].array[0] = 1

    def _pairs(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Pairs of the parent's own arrays, of network and optimizer, and the shared ones."""
        network = self._task.network
        for name in ("parameters", "gradients", "buffers"):
            yield getattr(network, name), self._arrays[name].array
        yield self._task.average, self._arrays["average"].array
        for name, vector in self._task.optimizer.state.items():
            yield vector, self._vectors[name].array

    def _share(self) -> None:
        """Copy the parent's own arrays to the shared ones."""
        for own, shared in self._pairs():
            shared[...] = own

    def _fetch(self) -> None:
        """Copy the shared arrays to the parent's own."""
        for own, shared in self._pairs():
            own[...] = shared

    def _must_start(self, anything_changed: bool, *, within_epoch: bool) -> bool:
        """Whether there are no workers yet, or they have copies of something that has changed since."""
        now, is_ours = settings(self._task)
        changed, self._settings = not now or now != self._settings, now
        if anything_changed:
            hashes = sample_hashes(self._task.samples)
            may_look_anywhere = self._method == "fork" and not is_ours and not within_epoch
            changed |= not hashes or hashes != self._sample_hashes or may_look_anywhere
            self._sample_hashes = hashes
        return changed

    def _start(self) -> None:
        """Start the workers and wait until each has said that it is ready."""
        task = self._task
        if self._x is not None:
            if isinstance(self._x, SharedArray):
                self._x.array[...] = task.samples.x
            task = without_samples(task)
        job = Job(task, self._x, self._arrays, self._vectors, Barrier(self._context, self._count))
        with starting():
            for rank in range(self._count):
                ours, theirs = self._context.Pipe()
                process = self._context.Process(  # type: ignore[attr-defined]
                    target=_work, args=(job, rank, theirs), daemon=True, name=f"handconv worker {rank}"
                )
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
        for _ in self._answers():
            pass

    def _end(self, *, expected: bool = False) -> None:
        """End the workers. With ``expected``, all wait for orders, and one that has already ended is an error."""
        if expected:
            for pipe in self._pipes:
                with contextlib.suppress(ConnectionError):  # of one that died: it is named below
                    pipe.send(None)
            for process in self._processes:
                process.join(1)
            self._check_alive(but=0)
        for process in self._processes:
            process.kill()
            process.join()
            process.close()
        for pipe in self._pipes:
            pipe.close()
        self._processes, self._pipes = [], []

    def _answers(self) -> Iterator[None]:
        """Wait for an answer of every worker, yielding from time to time; stop at the first sign of trouble."""
        waiting = list(self._pipes)
        while waiting:
            sentinels = [process.sentinel for process in self._processes]
            ready = multiprocessing.connection.wait([*waiting, *sentinels], _WATCH_EVERY)
            for pipe in [pipe for pipe in waiting if pipe in ready]:
                with contextlib.suppress(EOFError, ConnectionError):  # of one that died: it is named below
                    self._receive(*pipe.recv())
                    waiting.remove(pipe)
            self._check_alive()
            yield

    def _receive(self, answer: str, detail: Any) -> None:
        if answer == "diverged":
            raise DivergenceError(detail)
        if answer == "refused":
            raise detail
        if answer == "failed":
            raise WorkerError(f"A worker process failed:\n{detail}")
        self._task.optimizer.iterations, self.steps_done = detail

    def _check_alive(self, *, but: int | None = None) -> None:
        """Raise for a worker that has ended, but for those that ended with the status ``but``."""
        for rank, process in enumerate(self._processes):
            code = process.exitcode
            if code not in (None, but):
                reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
                raise WorkerError(
                    f"Worker process {rank} of {self._count} {reason}; training cannot go on without it. "
                    + (
                        "Is memory short? Use fewer workers."
                        if code < 0
                        else "Does something in a layer or a loss end the process? A script must start its work "
                        'under: if __name__ == "__main__":'
                    )
                )


def _work(job: Job, rank: int, pipe: Connection) -> None:
    """What a worker process runs: it gets ready, serves the parent, and reports an error to it."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to a whole group of processes: the parent decides
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # a collection would write to, and so copy, all memory that came along with the fork
    try:
        task, arrays = job.task, {name: shared.array for name, shared in job.arrays.items()}
        network = task.network
        if job.x is not None:
            task.samples = dataclasses.replace(task.samples, x=job.x.array)
        network.bind(arrays["parameters"], np.zeros_like(network.parameters), arrays["buffers"].copy())
        task.optimizer.state = {name: shared.array for name, shared in job.vectors.items()}
        step = ShardStep(task, SharedState(**arrays), SharedMemoryCommunicator(rank, job.barrier))
        pipe.send(("ready", (task.optimizer.iterations, 0)))
        with arithmetic():
            _serve(step, pipe)
    except DivergenceError as error:
        pipe.send(("diverged", str(error)))
        pipe.recv()  # until the parent ends this process
    except EOFError:
        return  # the parent is done
    except (ValueError, TypeError) as error:
        pipe.send(("refused", _portable(error)))
        pipe.recv()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent must hear of it
        pipe.send(("failed", traceback.format_exc()))
        pipe.recv()


def _serve(step: ShardStep, pipe: Connection) -> None:
    """Train for an epoch whenever the parent orders one; return when it orders the end, or is gone."""
    optimizer = step.task.optimizer
    while not orphaned():
        if pipe.poll(PARENT_EVERY):
            order = pipe.recv()
            if order is None:
                return
            epoch, done, optimizer.iterations = order
            for steps in step.epoch(epoch, done):
                done = steps
            pipe.send(("done", (optimizer.iterations, done)))


def _portable(error: Exception) -> Exception:
    """The error as a plain ValueError or TypeError, which can be pickled, with its traceback as a note."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    portable = kind(str(error))
    portable.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    return portable
