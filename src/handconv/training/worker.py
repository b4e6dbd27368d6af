"""Worker processes that share the steps of a run.

Threads would not help: NumPy calls of a few microseconds hand Python's lock to and fro. So each worker is a process
with a copy of the layers, over one shared set of arrays: parameters, gradients by lane, the optimizer's state, the
board. At each step a worker computes its lanes, meets the others, updates its part of the parameters, and meets them
again (see ``handconv.training.step``). The parent computes nothing; it starts an epoch, watches, and reports, so
that a death, Ctrl-C or a slow callback never holds up the arithmetic.

    parent   start ─────────────── watch the board, the pipes and the processes ─────────────── figures
    worker 0       lanes 0, 2, …  │ part 0 │  lanes 0, 2, …  │ part 0 │ …
    worker 1       lanes 1, 3, …  │ part 1 │  lanes 1, 3, …  │ part 1 │ …
                                  meet     meet

Shared arrays have no name that could be left behind: they are inherited (fork) or handed over as open files (spawn),
and the system frees them with the last process. A worker whose parent is gone ends at the next meeting.
"""

import contextlib
import copy
import dataclasses
import multiprocessing
import multiprocessing.connection
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handconv.errors import DivergenceError, WorkerError
from handconv.network import Network
from handconv.parallel.processes import PARENT_EVERY, Meeting, Member, SharedArray, orphaned, start_method, starting
from handconv.training.step import Board, Engine, Task, arithmetic

_WATCH_EVERY = 0.05  # seconds between two looks at the board


@dataclass(frozen=True)
class Orders:
    """All that a worker needs, in a form that can be handed to another process."""

    task: Task
    input_shape: tuple[int, ...]
    x: SharedArray | None
    arrays: dict[str, SharedArray]
    state: dict[str, SharedArray]
    meeting: Meeting


class Workers:
    """A team of worker processes; a context manager that starts and ends them.

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
        self._context: BaseContext = multiprocessing.get_context(self._method)
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []
        self.steps_done = 0
        self._arrays: dict[str, SharedArray] = {}
        self._state: dict[str, SharedArray] = {}
        self._settings = _settings(task)

    def __enter__(self) -> Self:
        network, optimizer = self._task.network, self._task.optimizer
        self._share("parameters", network.parameters)
        self._share("gradients", network.gradients)
        for name, array in dataclasses.asdict(Board.allocate(network)).items():
            self._share(name, array)
        for name, value in optimizer.state.items():
            self._state[name] = SharedArray.like(self._context, value)
        self._private, self._private_state = network.parameters, optimizer.state
        optimizer.state = {name: shared.array for name, shared in self._state.items()}  # what a checkpoint saves
        network.bind(self._arrays["parameters"].array, network.gradients)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        for pipe in self._pipes:
            pipe.close()
        self._processes, self._pipes = [], []
        network, optimizer = self._task.network, self._task.optimizer
        self._private[...] = network.parameters
        network.bind(self._private, network.gradients)
        for name, shared in self._state.items():
            self._private_state[name][...] = shared.array
        optimizer.state = self._private_state

    def epoch(self, epoch: int, first_step: int) -> Iterator[NDArray[np.float64]]:
        """Let the workers train for one epoch or to a pause, yielding the sums from time to time, and at the end."""
        self._arrays["control"].array[...] = 0
        before, self._settings = self._settings, _settings(self._task)
        changes = {key: value for key, value in self._settings.items() if value is not before.get(key)}
        for pipe in self._pipes:
            with contextlib.suppress(ConnectionError):  # of one that died: it is named below
                pipe.send((epoch, first_step, changes))
        for _ in self._answers():
            yield self.sums

    @property
    def sums(self) -> NDArray[np.float64]:
        """The board's sums of the epoch so far."""
        return self._arrays["sums"].array

    def pause(self) -> None:
        """Ask the workers to stop after the step at hand."""
        self._arrays["control"].array[0] = 1

    def _share(self, name: str, array: NDArray[Any]) -> None:
        self._arrays[name] = SharedArray.like(self._context, array)

    def _start(self) -> None:
        """Start the workers and wait until each has said that it is ready."""
        task = self._task
        x = None if self._method == "fork" else SharedArray.like(self._context, task.samples.x)
        orders = Orders(
            _portable(task, keep_samples=x is None),
            task.network.input_shape or (),
            x,
            self._arrays,
            self._state,
            Meeting(self._context, self._count),
        )
        with starting():
            for rank in range(self._count):
                ours, theirs = self._context.Pipe()
                process = self._context.Process(  # type: ignore[attr-defined]
                    target=_work, args=(orders, rank, theirs), daemon=True, name=f"handconv worker {rank}"
                )
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
        for _ in self._answers():
            pass

    def _answers(self) -> Iterator[None]:
        """Wait for an answer of every worker, yielding from time to time; stop at the first sign of trouble."""
        waiting = list(self._pipes)
        while waiting:
            sentinels = [process.sentinel for process in self._processes]
            ready = multiprocessing.connection.wait([*waiting, *sentinels], _WATCH_EVERY)
            for pipe in [pipe for pipe in waiting if pipe in ready]:
                with contextlib.suppress(EOFError, ConnectionError):  # of one that died: it is named below
                    self._hear(*pipe.recv())
                    waiting.remove(pipe)
            self._check_alive()
            yield

    def _hear(self, answer: str, detail: Any) -> None:
        if answer == "diverged":
            raise DivergenceError(detail)
        if answer == "failed":
            raise WorkerError(f"A worker process failed:\n{detail}")
        self._task.optimizer.iterations, self.steps_done = detail

    def _check_alive(self) -> None:
        for rank, process in enumerate(self._processes):
            code = process.exitcode
            if code is not None:
                reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
                raise WorkerError(
                    f"Worker process {rank} of {self._count} {reason}; training cannot go on without it. "
                    + (
                        "Is memory short? Use fewer workers."
                        if code < 0
                        else 'A script must start its work under: if __name__ == "__main__":'
                    )
                )


def _settings(task: Task) -> dict[tuple[int, str], Any]:
    """What callbacks may change while nobody computes, by its owner's place and by name."""
    return {
        (place, name): getattr(owner, name)
        for place, (owner, names) in enumerate(_owners(task))
        for name in names
        if hasattr(owner, name)
    }


def _owners(task: Task) -> list[tuple[object, Sequence[str]]]:
    """Who has such settings, and their names."""
    optimizer, loss, layers = task.optimizer, task.loss, task.network.layers
    steps = [*optimizer.settings, "iterations", "total_steps"]
    return [(optimizer, steps), (loss, loss.settings), *((layer, layer.settings) for layer in layers)]


def _portable(task: Task, *, keep_samples: bool) -> Task:
    """A copy of a task without memory of what it has computed, fit to be handed to another process."""
    network = task.network
    samples = task.samples if keep_samples else dataclasses.replace(task.samples, x=np.empty(0))
    optimizer = copy.copy(task.optimizer)
    optimizer.state = {}
    return Task(
        network=Network(
            [type(layer)(**layer.config()) for layer in network.layers],
            seed=network.streams.seed,
            dtype=network.dtype,
            fuse=network.fuse,
        ),
        loss=task.loss.blank(),
        optimizer=optimizer,
        samples=samples,
        epochs=task.epochs,
        batch_size=task.batch_size,
        shuffle=task.shuffle,
        logits=task.logits,
        first_epoch=task.first_epoch,
    )


def _work(orders: Orders, rank: int, pipe: Connection) -> None:
    """A worker's life: get ready, train for an epoch whenever told to, end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        task, arrays = orders.task, {name: shared.array for name, shared in orders.arrays.items()}
        if orders.x is not None:
            task.samples = dataclasses.replace(task.samples, x=orders.x.array)
        task.network.build(orders.input_shape)
        task.network.bind(arrays.pop("parameters"), arrays.pop("gradients"))
        task.optimizer.state = {name: shared.array for name, shared in orders.state.items()}
        engine = Engine(task, Board(**arrays), Member(rank, orders.meeting))
        pipe.send(("ready", (task.optimizer.iterations, 0)))
        with arithmetic():
            while not orphaned():
                if pipe.poll(PARENT_EVERY):
                    epoch, done, changes = pipe.recv()
                    for (place, name), value in changes.items():
                        setattr(_owners(task)[place][0], name, value)
                    for steps in engine.epoch(epoch, done):
                        done = steps
                    pipe.send(("done", (task.optimizer.iterations, done)))
    except DivergenceError as error:
        pipe.send(("diverged", str(error)))
        pipe.recv()  # until the parent ends this process
    except EOFError:
        return  # the parent is done
    except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
        pipe.send(("failed", traceback.format_exc()))
        pipe.recv()
