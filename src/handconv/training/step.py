"""One step of training: the gradient of a batch as a sum over shards, then one step of the optimizer.

A batch is cut into shards of a fixed number of samples, so few that their activations stay in the processor's cache.
Each shard's gradient is computed by itself, with its own random numbers. Shard k is added to accumulator k mod
``ACCUMULATORS``, the accumulators are added up in order, and every number of the parameter vector is updated by itself.
Nothing of this depends on who computes a shard or updates a number: any number of ranks gets the same bits.

    each rank, at each step:   the shards of its accumulators                                   exchange
                               its part of the vectors: sum, penalty, clipping, optimizer       publish

Buffers (running statistics) start from the step's old value in every shard, and become, once for all ranks,

    new = old + sum over accumulators of (n_k / N) · change_k            or the plain sum of the changes
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.capture import untracked
from handconv.engine.lower import signature
from handconv.engine.program import Program
from handconv.errors import DivergenceError
from handconv.evaluation import cache_batch, count_correct
from handconv.network import Network
from handconv.objective import Objective
from handconv.parallel import blas_threads
from handconv.parallel.communicator import BLOCK, Communicator, accumulators_of, part_of
from handconv.rng import Purpose
from handconv.samples import GatherOp
from handconv.training.divergence import diagnosis
from handconv.training.state import Task, label_of
from handconv.utils.validation import unmasked

ACCUMULATORS = 8
_BUFFER = 256  # numbers in the buffer of a ufunc


def shard_size(network: Network, batch_size: int, asked: int | None = None) -> int:
    """Samples in a shard: as many as were asked for, else at most 128 that keep the largest output in the cache.

    By default a batch of more than 8 samples has at least two shards, so that two workers can share it. Larger shards
    need fewer NumPy calls; more workers need larger batches.
    """
    return asked or min(128, cache_batch(network), max(8, -(-batch_size // 2)))


@dataclass(frozen=True)
class SharedState:
    """The arrays that all ranks work on together, beside the optimizer's vectors.

    Attributes:
        parameters: as they are.
        gradients: of the last step, penalties included.
        buffers: as they are.
        accumulators: gradients of the shards (ACCUMULATORS, P).
        changes: of the buffers, likewise (ACCUMULATORS, B).
        totals: loss, right answers and the squared norm of the gradient of the present batch (ACCUMULATORS, 3).
        average: of the parameters over the steps, where there is averaging.
        squares: the squared norm of the whole gradient, by blocks of the vector.
        sums: of the epoch so far: data loss, penalty, right answers, samples done.
        control: whether a pause is asked for, and whether it is granted for the present step.
    """

    parameters: FloatArray
    gradients: FloatArray
    buffers: FloatArray
    accumulators: FloatArray
    changes: FloatArray
    totals: NDArray[np.float64]
    average: FloatArray
    squares: NDArray[np.float64]
    sums: NDArray[np.float64]
    control: NDArray[np.int64]

    @staticmethod
    def layout(task: Task) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
        """Shape and type of each array for a task."""
        network = task.network
        size, state, dtype = network.parameters.size, network.buffers.size, network.dtype
        return {
            "parameters": ((size,), dtype),
            "gradients": ((size,), dtype),
            "buffers": ((state,), dtype),
            "accumulators": ((ACCUMULATORS, size), dtype),
            "changes": ((ACCUMULATORS, state), dtype),
            "totals": ((ACCUMULATORS, 3), np.float64),
            "average": ((task.average.size,), dtype),
            "squares": ((-(-size // BLOCK),), np.float64),
            "sums": ((4,), np.float64),
            "control": ((2,), np.int64),
        }

    @classmethod
    def of_one_process(cls, task: Task) -> "SharedState":
        """The state of a single rank: the parameters, gradients and average are the task's own."""
        network = task.network
        arrays = {name: np.zeros(shape, dtype) for name, (shape, dtype) in cls.layout(task).items()}
        arrays["average"] = task.average
        arrays |= {"parameters": network.parameters, "gradients": network.gradients, "buffers": network.buffers.copy()}
        return cls(**arrays)


@contextlib.contextmanager
def arithmetic() -> Iterator[None]:
    """Set NumPy up for the steps: one BLAS thread, and no warnings, as a run that diverges raises its own error.

    Where the operands of a ufunc are cut into runs, NumPy copies them through a buffer if at least two runs fit in it.
    Our runs are so long that the copy costs more than it saves; a small buffer, too small for two runs, prevents it.
    """
    quiet = np.errstate(over="ignore", invalid="ignore", under="ignore")  # restores the buffer's size at the end, too
    with blas_threads.one_thread(), quiet:
        np.setbufsize(_BUFFER)
        yield


class ShardStep:
    """One rank at work on a task.

    Args:
        task: what to train.
        state: the arrays that all ranks share.
        communicator: how they exchange what they have computed.
    """

    def __init__(self, task: Task, state: SharedState, communicator: Communicator) -> None:
        self.task, self.state, self.communicator = task, state, communicator
        network = task.network
        self.shard = shard_size(network, task.batch_size, task.shard_size)
        self._part = part_of(network.parameters.size, communicator)
        self._spare = np.empty_like(network.parameters)
        self._random = network.streams.generator(Purpose.DROPOUT)
        self._augmenting = network.streams.generator(Purpose.AUGMENT)
        self._averaged = network.store.means  # buffers whose changes are averaged, not summed
        self._lower()

    def _lower(self) -> None:
        """Make the program of the network as it is now."""
        network = self.task.network
        self._signature = self._current_signature()
        # Every shard writes to this rank's first accumulator, which therefore is filled last.
        targets: dict[object, dict[str, FloatArray]] = {}
        for view in network.views:
            targets.setdefault(view.layer, {})[view.spec.name] = view.of(
                self.state.accumulators[self.communicator.rank]
            )
        self._objective = Objective(network, self.task.loss)
        self.program = Program(
            self._objective.layers,
            network.dtype,
            gradients=targets,  # type: ignore[arg-type]
            generator=self._random,
            fuse=network.fuse,
            engine=network.engine,
        )
        self.loss = self._objective.loss_op(self.program.memory.scope())
        self._gathers: dict[int, tuple[NDArray[np.intp], GatherOp]] = {}
        self._figures = np.zeros(2)  # of a shard: its loss, and how many answers were right

    def _current_signature(self) -> list[object]:
        """What the program depends on, as it is now."""
        network = self.task.network
        return [network.engine, network.fuse, *signature(network.store.layers)]

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[int]:
        """Train for one epoch, or until a pause is granted, yielding the number of steps done after each.

        All ranks must stop after the same step: the first one grants a pause before an exchange, the others read that
        after it.

        Raises:
            DivergenceError: if the loss becomes infinite or NaN.
        """
        network, state = self.task.network, self.state
        sums, buffers = state.sums, state.buffers
        batches = self.task.batches(epoch)
        for step in range(first_step, len(batches)):
            batch = batches[step]
            if self._current_signature() != self._signature:
                self._lower()
            count = self._run_shards(batch, epoch, step)
            penalty = 0.0
            if self.communicator.rank == 0:
                penalty = network.penalty()  # before anybody moves the parameters
                state.control[1] = state.control[0]
            self.communicator.exchange(state.accumulators, state.changes, state.totals)
            paused = bool(state.control[1])
            loss, hits, squared_norm = state.totals[:count].sum(axis=0)
            finite_loss = math.isfinite(loss) and math.isfinite(penalty)
            if not (finite_loss and math.isfinite(squared_norm)):
                raise DivergenceError(
                    diagnosis(self.task, state.accumulators, batch, epoch, step, finite_loss=finite_loss)
                )
            self._update(count, epoch * len(batches) + step + 1)
            if self.communicator.rank == 0:
                sums += len(batch) * loss, len(batch) * penalty, hits, len(batch)
                for change in state.changes[:count]:
                    buffers += change
            self.communicator.publish(state.parameters, buffers)
            if buffers.size:
                network.buffers[...] = buffers
            yield step + 1
            if paused:
                return

    def _run_shards(self, batch: NDArray[np.intp], epoch: int, step: int) -> int:
        """Compute this rank's shards of a batch; returns how many accumulators the batch has."""
        shards = -(-len(batch) // self.shard)
        count = min(shards, ACCUMULATORS)
        rank, state = self.communicator.rank, self.state
        written = state.accumulators[rank]
        for accumulator in reversed(accumulators_of(self.communicator, count)):
            places, totals = range(accumulator, shards, ACCUMULATORS), state.totals[accumulator]
            total, change = state.accumulators[accumulator], state.changes[accumulator]
            if accumulator == rank:
                total = written if len(places) == 1 else self._spare
            totals[:] = 0
            change[...] = 0
            for shard in places:
                indices = batch[shard * self.shard : (shard + 1) * self.shard]
                totals[:2] += self._run_shard(indices, len(batch), (self.task.first_epoch + epoch, step, shard))
                if shard != accumulator:
                    total += written
                elif total is not written:
                    total[...] = written
                if change.size:
                    moved = self.task.network.buffers - state.buffers
                    change += np.where(self._averaged, moved * (len(indices) / len(batch)), moved)
            totals[2] = np.dot(total, total)
            if total is self._spare:
                written[...] = total
        return count

    def _run_shard(
        self, indices: NDArray[np.intp], batch_size: int, place: tuple[int, int, int]
    ) -> NDArray[np.float64]:
        """Compute the gradient of one shard's share of the mean loss; its loss, and how many answers were right."""
        network, size = self.task.network, len(indices)
        if size not in self._gathers:
            chosen = np.empty(size, np.intp)
            scope = self.program.memory.scope()
            augment = None if self.task.augment is None else self._augment
            self._gathers[size] = chosen, GatherOp(self.task.samples, chosen, network.dtype, scope, augment)
        chosen, gather = self._gathers[size]
        chosen[...] = indices
        if self.state.buffers.size:
            network.buffers[...] = self.state.buffers
        network.streams.enter(self._random, Purpose.DROPOUT, *place)
        if self.task.augment is not None:
            network.streams.enter(self._augmenting, Purpose.AUGMENT, *place)
        self.program.run((size, batch_size, *self.loss.key), lambda: self._compute(gather, batch_size))
        return self._figures

    def _augment(self, images: NDArray[Any]) -> NDArray[Any]:
        """Change the images of a shard, by random numbers of their own."""
        assert self.task.augment is not None
        name = label_of(self.task.augment)
        changed = unmasked(f"What {name} returns", self.task.augment(images, self._augmenting))
        if changed.shape != images.shape:
            raise ValueError(f"{name} must return images of shape {images.shape}, got {changed.shape}.")
        kind, rule = images.dtype.kind, "no" if images.dtype == np.uint8 else "safe"
        if not np.can_cast(changed.dtype, images.dtype, "same_kind" if kind == "f" else rule):  # type: ignore[arg-type]
            raise TypeError(
                f"{name} must return {images.dtype}, as the images are, got {changed.dtype}, which would be cut off. "
                "Round it, images.round().clip(0, 255).astype('uint8') for one, or give fit floats."
            )
        if kind == "f" and changed.dtype == np.uint8:
            raise TypeError(
                f"{name} must return {images.dtype}, as the images are, got uint8, whose 255 would be taken for 255 "
                "and not for 1. Give fit uint8, which is divided by 255, or divide what it returns."
            )
        changed = np.asarray(changed, images.dtype)
        if kind == "f" and self.task.augments_by_users_code and not np.isfinite(changed).all():
            raise ValueError(f"{name} must return finite images, got NaN or infinity. Clip them, or divide by no zero.")
        return changed

    def _compute(self, gather: GatherOp, batch_size: int) -> FloatArray:
        """Gather, forward, loss, backward: what is captured and replayed."""
        memory = self.program.memory
        x, y, weights = gather.forward()
        outputs = self.program.forward(x, training=True)
        loss = self.loss.forward(outputs, y, weights, batch_size)
        self.program.backward(self.loss.backward())
        memory.track(self._figures)[:1] = loss
        if self.task.has_class_labels:
            answers, truth = self.loss.answers, untracked(y)
            memory.host_call(lambda: self._figures.__setitem__(1, count_correct(answers(), truth)))
        return outputs

    def _update(self, count: int, steps_done: int) -> None:
        """Move this rank's part of the parameters; ``steps_done`` counts those of this training, this one included."""
        state, part, optimizer = self.state, self._part, self.task.optimizer
        total, so_far = state.gradients[part], state.accumulators[0, part]
        for accumulator in range(1, count):
            so_far = np.add(so_far, state.accumulators[accumulator, part], out=total)
        if count == 1:
            total[...] = so_far
        self.task.network.add_penalty_gradients(state.gradients, part)
        optimizer.clip_gradients(total, self._gradient_norm)
        done = optimizer.iterations
        optimizer.step(state.parameters, state.gradients, part)
        if optimizer.iterations == done:  # a user-defined step may not count
            optimizer.iterations += 1
        if self.task.averaging is not None:
            steps = self.task.epochs * self.task.steps_per_epoch
            self.task.averaging.update(state.average[part], state.parameters[part], steps_done, steps)

    def _gradient_norm(self, part: FloatArray) -> float:
        """The Euclidean norm of the whole gradient, summed block by block: the same bits for any number of ranks."""
        squares, first = self.state.squares, self._part.start // BLOCK
        for block, start in enumerate(range(0, part.size, BLOCK), first):
            piece = part[start : start + BLOCK]
            squares[block] = np.dot(piece, piece)
        self.communicator.publish(squares)
        return math.sqrt(squares.sum())
