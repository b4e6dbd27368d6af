"""The training loop: epochs of batches, batches of shards, one step of the optimizer after each batch."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handconv.errors import DivergenceError
from handconv.losses import Loss
from handconv.network import Network
from handconv.optimizers import Optimizer
from handconv.streams import Purpose
from handconv.training.callbacks import Callback, Progress
from handconv.training.engine import LANES, Engine
from handconv.training.evaluation import evaluate
from handconv.training.history import History
from handconv.training.samples import Samples

_REPORT_EVERY = 0.1  # seconds between two calls of on_batch_end


@dataclass
class Run:
    """One training run: what is trained, on what, how, and how far it has come."""

    network: Network
    loss: Loss
    optimizer: Optimizer
    samples: Samples
    validation: Samples | None
    epochs: int
    batch_size: int
    shuffle: bool
    logits: bool
    callbacks: Sequence[Callback] = ()
    history: History = field(default_factory=History)
    epoch: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, the last small one included."""
        return math.ceil(len(self.samples) / self.batch_size)

    def batches(self, epoch: int) -> Iterator[NDArray[np.intp]]:
        """The indices of each batch of an epoch; a new order each epoch."""
        count = len(self.samples)
        order = np.arange(count)
        if self.shuffle:
            order = self.network.streams.generator(Purpose.SHUFFLE, epoch).permutation(count)
        for start in range(0, count, self.batch_size):
            yield order[start : start + self.batch_size]


def train(run: Run) -> History:
    """Train from where the run stands to its last epoch.

    Raises:
        DivergenceError: if the loss becomes infinite or NaN.
    """
    network, optimizer = run.network, run.optimizer
    if not optimizer.state:
        optimizer.build(network.parameters, network.decayed())
    optimizer.total_steps = run.epochs * run.steps_per_epoch
    network.reuse_memory()
    lanes = np.zeros((LANES, network.parameters.size), network.dtype)
    engine = Engine(network, run.loss, run.samples, logits=run.logits, lanes=lanes)
    for callback in run.callbacks:
        callback.on_train_begin(run)
    stop = False
    while run.epoch < run.epochs and not stop:
        figures = _train_epoch(run, engine)
        if run.validation is not None:
            scores = evaluate(network, run.loss, run.validation, 4 * engine.shard, logits=run.logits)
            figures |= {f"val_{name}": value for name, value in scores.items()}
        run.epoch += 1
        run.history.append(figures)
        stop = any([callback.on_epoch_end(run, figures) for callback in run.callbacks])
    for callback in run.callbacks:
        callback.on_train_end(run)
    return run.history


def _train_epoch(run: Run, engine: Engine) -> dict[str, float]:
    """One pass over all samples; the epoch's figures."""
    network, optimizer, count = run.network, run.optimizer, len(run.samples)
    started = reported = time.perf_counter()
    data_loss = penalty = 0.0
    hits = done = 0
    for step, batch in enumerate(run.batches(run.epoch)):
        batch_loss, batch_hits = step_gradient(engine, batch, run.epoch, step)
        batch_penalty = network.penalty()
        if not math.isfinite(batch_loss + batch_penalty):
            raise DivergenceError(_diagnosis(run, engine, batch, step))
        network.add_penalty_gradients(network.gradients)
        optimizer.step(network.parameters, network.gradients)
        data_loss += batch_loss * len(batch)
        penalty += batch_penalty * len(batch)
        hits += batch_hits
        done += len(batch)
        now = time.perf_counter()
        if now - reported > _REPORT_EVERY or done == count:
            reported = now
            progress = Progress(
                run.epoch + 1, run.epochs, done, count, (data_loss + penalty) / done, hits / done, done / (now - started)
            )
            for callback in run.callbacks:
                callback.on_batch_end(run, progress)
    seconds = time.perf_counter() - started
    return {
        "epoch": run.epoch + 1,
        "loss": (data_loss + penalty) / count,
        "data_loss": data_loss / count,
        "penalty": penalty / count,
        "accuracy": hits / count,
        "learning_rate": optimizer.current_learning_rate,
        "train_seconds": seconds,
        "images_per_second": count / seconds,
    }


def step_gradient(engine: Engine, batch: NDArray[np.intp], epoch: int, step: int) -> tuple[float, int]:
    """Fill the network's gradient vector with the gradient of a batch; its mean loss, and how many answers were right."""
    network, lanes = engine.network, engine.lanes
    gradients = network.gradients
    shards = math.ceil(len(batch) / engine.shard)
    used = min(shards, len(lanes))
    totals = np.zeros((used, 2))
    engine.run(batch, range(shards), (epoch, step), totals)
    network.bind(network.parameters, gradients)
    add_lanes(lanes[:used], gradients)
    loss, hits = totals.sum(axis=0)
    return float(loss), int(hits)


def add_lanes(lanes: NDArray[np.floating], out: NDArray[np.floating]) -> None:
    """Add up the lanes, in order."""
    if len(lanes) == 1:
        out[...] = lanes[0]
        return
    np.add(lanes[0], lanes[1], out=out)
    for lane in lanes[2:]:
        out += lane


def _diagnosis(run: Run, engine: Engine, batch: NDArray[np.intp], step: int) -> str:
    """Say where a run left the finite numbers, and what to do."""
    where = "the penalty on the parameters"
    x, _, _ = run.samples.take(batch, run.network.dtype, engine.workspace)
    names = run.network.names
    with np.errstate(all="ignore"):
        for name, layer in zip(names, run.network.layers, strict=True):
            x = layer.infer(x)
            if not np.isfinite(x).all():
                where = f"the output of layer {name} ({type(layer).__name__})"
                break
    return (
        f"Training diverged in epoch {run.epoch + 1}, step {step + 1}: the loss is not finite; the first number that is not "
        f"is in {where}. Use a smaller learning rate (it is {run.optimizer.current_learning_rate:g})."
    )
