"""The steps of an epoch: the gradient of each batch as a sum over shards, then one step of the optimizer.

A batch is cut into shards of a fixed number of samples, so few that their activations stay in the processor's cache.
Each shard's gradient is computed by itself, with its own random stream. Shard k is added to lane k mod ``LANES``, the
lanes are added up in order, and every number of the parameter vector is updated on its own. Nothing of this depends on
who computes a shard or updates a number: a crew of any size gets the same bits.

    each member, at each step:   its lanes' shards -> lanes        meet
                                 its part of the vector: sum of the lanes, penalty, optimizer        meet
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import FRESH
from handconv.engine.program import measured
from handconv.errors import DivergenceError
from handconv.losses import Loss
from handconv.metrics import correct
from handconv.network import Network
from handconv.optimizers import Optimizer
from handconv.parallel import blas_threads as blas
from handconv.rng import Purpose
from handconv.training.samples import Samples

LANES = 8
_LINE = 16  # numbers of 4 bytes in a cache line
_CACHE = 6_000_000  # bytes that the largest output of a shard may take
_BUFFER = 256  # numbers in the buffer of a ufunc


def shard_size(network: Network, batch_size: int) -> int:
    """Samples in a shard: at most 128, as many as keep the largest output in the cache, at least two shards to a batch.

    On two cores a shard of 128 is 7 % quicker than two of 64 (Zen 3), as it asks for half as many calls. More cores
    find work in batches of as many times 128.
    """
    return min(128, fitting(network), max(8, -(-batch_size // 2)))


def fitting(network: Network) -> int:
    """How many samples keep the largest output in the cache: a power of two, at least 8."""
    largest = max(math.prod(layer.output_shape or (1,)) for layer in network.layers) * network.dtype.itemsize
    return max(8, 1 << (max(1, _CACHE // largest).bit_length() - 1))


class Crew(Protocol):
    """The processes that share the work of each step, seen from one of them."""

    rank: int
    size: int

    def meet(self) -> None:
        """Return once all members have come here."""


def part_of(size: int, crew: Crew) -> slice:
    """A member's part of a vector: whole cache lines, so that no two members write to the same one."""
    start, stop = (size * rank // crew.size // _LINE * _LINE for rank in (crew.rank, crew.rank + 1))
    return slice(start, stop if crew.rank + 1 < crew.size else size)


class Alone:
    """A crew of one."""

    rank = 0
    size = 1

    def meet(self) -> None:
        """Nobody to wait for."""


@dataclass(frozen=True)
class Board:
    """The arrays that a crew works on together, beside the parameters and the optimizer's state.

    Attributes:
        lanes: gradients by lane (LANES, P).
        totals: loss, hits and the squared length of the gradient of the present batch, by lane (LANES, 3).
        sums: of the epoch so far: data loss, penalty, hits, samples done.
        control: whether a pause is asked for, and whether it is granted for the present step.
    """

    lanes: FloatArray
    totals: NDArray[np.float64]
    sums: NDArray[np.float64]
    control: NDArray[np.int64]

    @classmethod
    def allocate(cls, network: Network) -> "Board":
        """Make the arrays for a network."""
        return cls(
            lanes=np.zeros((LANES, network.parameters.size), network.dtype),
            totals=np.zeros((LANES, 3)),
            sums=np.zeros(4),
            control=np.zeros(2, np.int64),
        )


@dataclass
class Task:
    """What is trained, on what, and how; all that a member of a crew needs to know."""

    network: Network
    loss: Loss
    optimizer: Optimizer
    samples: Samples
    epochs: int
    batch_size: int
    shuffle: bool
    logits: bool
    first_epoch: int = 0  # epochs of earlier trainings, whose orders and masks are not to come again

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, the last small one included."""
        return math.ceil(len(self.samples) / self.batch_size)

    def batches(self, epoch: int) -> list[NDArray[np.intp]]:
        """The indices of each batch of an epoch; a new order each epoch."""
        count = len(self.samples)
        order = np.arange(count)
        if self.shuffle:
            order = self.network.streams.generator(Purpose.SHUFFLE, self.first_epoch + epoch).permutation(count)
        return [order[start : start + self.batch_size] for start in range(0, count, self.batch_size)]


@contextlib.contextmanager
def arithmetic() -> Iterator[None]:
    """NumPy as the steps need it: one BLAS thread, and no warnings, as a run that diverges is told by its own error.

    Where the operands of a ufunc are cut into runs, NumPy copies them through a buffer if at least two runs fit in it.
    Ours are long enough to be taken as they lie; a buffer too small for two of them saves 2 % of a step.
    """
    with blas.one_thread(), np.errstate(over="ignore", invalid="ignore"):  # at the end sets the buffer back too
        np.setbufsize(_BUFFER)
        yield


class Engine:
    """One member of a crew at work on a task."""

    def __init__(self, task: Task, board: Board, crew: Crew) -> None:
        self.task, self.board, self.crew = task, board, crew
        network = task.network
        network.reuse_memory()
        self.shard = shard_size(network, task.batch_size)
        self._part = part_of(network.parameters.size, crew)
        self._indices, self._figures = np.empty(self.shard, np.intp), np.zeros(2)  # a shard's samples, loss and hits
        self._spare = np.empty_like(network.gradients)
        network.write_gradients(board.lanes[crew.rank])
        self._random = network.streams.generator(Purpose.DROPOUT)
        network.set_generator(self._random)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[int]:
        """Train for one epoch, or until a pause is granted, yielding the number of steps done after each.

        All members must stop after the same step: the first one grants a pause before a meeting, the others read that
        after it.

        Raises:
            DivergenceError: if the loss becomes infinite or NaN.
        """
        network, sums, control = self.task.network, self.board.sums, self.board.control
        batches = self.task.batches(epoch)
        for step in range(first_step, len(batches)):
            batch = batches[step]
            lanes = self._run_shards(batch, epoch, step)
            penalty = 0.0
            if self.crew.rank == 0:
                penalty = network.penalty()  # before anybody moves the parameters
                control[1] = control[0]
            self.crew.meet()
            paused = bool(control[1])
            loss, hits, length = self.board.totals[:lanes].sum(axis=0)
            if not math.isfinite(loss + penalty + length):
                finite_loss = math.isfinite(loss + penalty)
                raise DivergenceError(self._diagnosis(batch, epoch, step, finite_loss=finite_loss))
            self._update(lanes)
            if self.crew.rank == 0:
                sums += len(batch) * loss, len(batch) * penalty, hits, len(batch)
            self.crew.meet()
            yield step + 1
            if paused:
                return

    def release(self) -> None:
        """Give the network memory of its own again, and its gradient vector back."""
        network = self.task.network
        network.fresh_memory()
        network.write_gradients(network.gradients)

    def _run_shards(self, batch: NDArray[np.intp], epoch: int, step: int) -> int:
        """Compute this member's shards of a batch; returns how many lanes the batch has."""
        shards = -(-len(batch) // self.shard)
        lanes = min(shards, LANES)
        written = self.board.lanes[self.crew.rank]  # by every shard, so that this member's first lane comes last
        for lane in reversed(range(self.crew.rank, lanes, self.crew.size)):
            places, totals, total = range(lane, shards, LANES), self.board.totals[lane], self.board.lanes[lane]
            if lane == self.crew.rank:
                total = written if len(places) == 1 else self._spare
            totals[:] = 0
            for shard in places:
                indices = batch[shard * self.shard : (shard + 1) * self.shard]
                totals[:2] += self._run_shard(indices, len(batch), (self.task.first_epoch + epoch, step, shard))
                if shard != lane:
                    total += written
                elif total is not written:
                    total[...] = written
            totals[2] = np.dot(total, total)
            if total is self._spare:
                written[...] = total
        return lanes

    def _run_shard(
        self, indices: NDArray[np.intp], batch_size: int, place: tuple[int, int, int]
    ) -> NDArray[np.float64]:
        """Compute the gradient of one shard's share of the mean loss; its loss, and how many answers were right."""
        network, chosen = self.task.network, self._indices[: len(indices)]
        network.streams.enter(self._random, Purpose.DROPOUT, *place)
        chosen[...] = indices
        settings = [getattr(self.task.loss, name) for name in self.task.loss.settings]
        kind = "shard", len(indices), batch_size, *settings
        network.passes.repeat(kind, self._indices, partial(self._compute, chosen, batch_size))
        return self._figures

    def _compute(self, chosen: NDArray[np.intp], batch_size: int) -> FloatArray:
        """Do as ``_run_shard`` says, for the samples of these indices, and return their outputs."""
        task, network, workspace = self.task, self.task.network, self.task.network.passes.memory
        x, y, weights = task.samples.take(chosen, network.dtype, workspace)
        outputs = network.forward(x, True, logits=task.logits)
        loss, gradient = measured(task.loss, outputs, y, weights, batch_size, workspace)
        network.backward(gradient, logits=task.logits, skip_dinputs=True)
        workspace.noted(self._figures)[:1] = loss
        answers, truth = np.asarray(outputs), np.asarray(y)
        workspace.call(lambda: self._figures.__setitem__(1, correct(answers, truth)))
        return outputs

    def _update(self, lanes: int) -> None:
        """Move this member's part of the parameters."""
        network, part = self.task.network, self._part
        total, so_far = network.gradients[part], self.board.lanes[0, part]
        for lane in range(1, lanes):
            so_far = np.add(so_far, self.board.lanes[lane, part], out=total)
        if lanes == 1:
            total[...] = so_far
        network.add_penalty_gradients(network.gradients, part)
        self.task.optimizer.step(network.parameters, network.gradients, part)

    def _diagnosis(self, batch: NDArray[np.intp], epoch: int, step: int, *, finite_loss: bool) -> str:
        """Say where training left the finite numbers, and what to do."""
        network, board = self.task.network, self.board
        x, _, _ = self.task.samples.take(batch, network.dtype, FRESH)
        where = "the loss itself"
        if finite_loss:
            lengths = {view.name: np.square(board.lanes[:, view.place]).sum() for view in network.views}
            where = f"the squared gradient of {[name for name in lengths if not np.isfinite(lengths[name])][-1]}"
        for name, layer in zip(network.names, network.layers, strict=True):
            x = layer.infer(x)
            if not np.isfinite(x).all():
                where = f"the output of layer {name} ({type(layer).__name__})"
                break
        what = "gradient" if finite_loss else "loss"
        return (
            f"Training diverged in epoch {epoch + 1}, step {step + 1}: the {what} is not finite; the first number that "
            f"is not finite is in {where}. "
            f"Use a smaller learning rate (it is {self.task.optimizer.current_learning_rate:g})."
        )
