"""What a training is and how far it has come: all that the loop, the callbacks and the checkpoints speak about."""

import contextlib
import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.losses import Loss
from handconv.metrics import name_classes
from handconv.network import Network
from handconv.optimizers import Optimizer
from handconv.rng import Purpose
from handconv.samples import Samples
from handconv.training.averaging import WeightAverage
from handconv.training.history import History
from handconv.training.statistics import measured_buffers
from handconv.utils.validation import is_ours

_PRINTED = 8  # images that tell one augmentation from another


def label_of(augment: object) -> str:
    """The name of an augmentation, for messages."""
    return str(getattr(augment, "__name__", type(augment).__name__))


@dataclass
class Task:
    """What is trained, on what, and how; all that one rank needs to know."""

    network: Network
    loss: Loss
    optimizer: Optimizer
    samples: Samples
    epochs: int
    batch_size: int
    shuffle: bool
    shard_size: int | None = None  # samples that are computed together; as many as suit the cache unless given
    first_epoch: int = 0  # epochs of earlier trainings, whose orders and masks are not to come again
    augment: Callable[[NDArray[Any], np.random.Generator], NDArray[Any]] | None = None
    averaging: WeightAverage | None = None
    average: FloatArray = field(default_factory=lambda: np.empty(0))  # of the parameters, where there is averaging

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, the last small one included."""
        return math.ceil(len(self.samples) / self.batch_size)

    @cached_property
    def has_class_labels(self) -> bool:
        """Whether the targets name classes, so that there is an accuracy."""
        return name_classes(self.samples.y, self.network.output_shape)

    @cached_property
    def augments_by_users_code(self) -> bool:
        """Whether the augmentation, or a step of it, is not of this package, so that its settings do not say all."""

        def is_users(augment: object) -> bool:
            return not is_ours(type(augment)) or any(map(is_users, getattr(augment, "steps", ())))

        return self.augment is not None and is_users(self.augment)

    def batches(self, epoch: int) -> list[NDArray[np.intp]]:
        """The indices of each batch of an epoch; a new order each epoch."""
        count = len(self.samples)
        order = np.arange(count)
        if self.shuffle:
            order = self.network.streams.generator(Purpose.SHUFFLE, self.first_epoch + epoch).permutation(count)
        return [order[start : start + self.batch_size] for start in range(0, count, self.batch_size)]


_FIXED = {
    *("network", "loss", "optimizer", "samples", "batch_size", "shuffle", "shard_size", "first_epoch"),
    *("augment", "averaging", "average", "workers"),
}


#: Attributes that runs of other libraries have, and that would be set here without effect.
_FOREIGN = {
    "stop_training": "Return True from on_epoch_end.",
    "should_stop": "Return True from on_epoch_end.",
    "learning_rate": "Set run.optimizer.learning_rate.",
    "lr": "Set run.optimizer.learning_rate.",
}


@dataclass
class TrainingState(Task):
    """A training as it stands between two steps.

    Attributes:
        epoch: epochs done.
        step: steps done of the present epoch.
        sums: of those steps: data loss, penalty, right answers, samples.
        seconds: spent on them.
        more_figures: whether user-defined callbacks may add figures to those of an epoch.
        kept: arrays that callbacks keep for later, by name; they are saved with the run.
        given_rate: the learning rate that the optimizer came with, which a callback may change.
        parameters_at_start: as they were before the training.
        under_way: whether the training has begun, after which most attributes cannot be replaced.
        measured: for which average and buffers the network's buffers were measured last, and the measured ones.
    """

    validation: Samples | None = None
    workers: int = 1
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    seconds: float = 0.0
    kept: dict[str, FloatArray] = field(default_factory=dict)
    more_figures: bool = False
    pausing: bool = False
    stopped_by: int | None = None
    under_way: bool = False
    measured: tuple[FloatArray, FloatArray, FloatArray] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to replace what the steps, or worker processes, would go on using as it was."""
        if self.__dict__.get("under_way") and name in _FIXED:
            settings = f", or its settings: run.{name}.… = value" if name in ("loss", "optimizer") else ""
            raise AttributeError(f"run.{name} stays as it is in a training. Change it between two fits{settings}.")
        if name in _FOREIGN:
            raise AttributeError(f"A run has no {name!r}. {_FOREIGN[name]}")
        object.__setattr__(self, name, value)

    def __post_init__(self) -> None:
        """Note the learning rate and the parameters."""
        self.given_rate = self.optimizer.learning_rate
        self.parameters_at_start = self.network.parameters.copy()

    @property
    def best_parameters(self) -> FloatArray:
        """What the model answers with: the averaged parameters, or the parameters as they are."""
        return self.network.parameters if self.averaging is None else self.average

    def take_average(self, *, anew: bool = True) -> None:
        """Let the network answer with its averaged parameters, if any, and with running statistics that fit them.

        Args:
            anew: whether to measure the statistics again if those measured last belong to an earlier average.
        """
        if self.averaging is None:
            return
        network = self.network
        now = self.average, network.buffers
        if self.measured is None or (anew and not all(map(np.array_equal, self.measured, now))):
            measured = measured_buffers(network, self.samples, self.average)
            self.measured = self.average.copy(), network.buffers.copy(), measured
        network.parameters = self.average
        network.buffers = np.where(network.store.means, self.measured[2], network.buffers)

    @contextlib.contextmanager
    def answering(self, *, anew: bool = True) -> Iterator[None]:
        """Within ``with``, let the network answer as it would after the training; ``anew`` as for ``take_average``."""
        own = self.network.parameters.copy(), self.network.buffers.copy()
        self.take_average(anew=anew)
        try:
            yield
        finally:
            self.network.parameters, self.network.buffers = own

    def pause(self) -> None:
        """Ask for a pause after the present step; then ``on_pause`` of each callback is called."""
        self.pausing = True

    def stop(self, signal_number: int) -> None:
        """Ask for the end of the run after the present step, as a signal does."""
        self.stopped_by = signal_number
        self.pause()

    @cached_property
    def fingerprint(self) -> str:
        """What tells these samples from others."""
        return fingerprint(self.samples)

    @cached_property
    def validation_fingerprint(self) -> str | None:
        """What tells these validation data from others; none where there are none, or a part of the samples."""
        validation = self.validation
        return None if validation is None or validation.x is self.samples.x else fingerprint(validation)

    @cached_property
    def loss_print(self) -> str | None:
        """What tells a user-defined loss from another: its value for equal predictions of all classes."""
        if is_ours(type(self.loss)):
            return None
        with contextlib.suppress(Exception):  # of code that is not ours: the steps will say why
            targets, shape = self.samples.y[:_PRINTED], self.network.output_shape
            even = np.full((len(targets), *shape), 1 / math.prod(shape), self.network.dtype)
            return f"{copy.deepcopy(self.loss).forward(even, targets.copy()):.4g}"
        return None

    @cached_property
    def augment_print(self) -> dict[str, Any] | None:
        """What tells this augmentation from another: its settings and, if user-defined, what it makes of images."""
        augment = self.augment
        if augment is None:
            return None
        config = getattr(augment, "config", None)
        described = dict(config()) if callable(config) else {"name": label_of(augment)}
        if self.augments_by_users_code:
            with contextlib.suppress(Exception):  # of code that is not ours: the steps will say why
                images = self.samples.x[:_PRINTED].copy()
                made = np.asarray(augment(images, np.random.default_rng(0)), np.float64).reshape(len(images), -1)
                sums = np.nan_to_num(made) @ np.cos(np.arange(made.shape[1]))
                described["makes"] = sums.round(2).tolist()  # last digits differ between machines
        return described


def fingerprint(samples: Samples) -> str:
    """A short text that tells one set of samples from another: by shapes, types, contents, choice and weights."""
    digest = hashlib.sha256()  # the fastest hash where the processor has instructions for it
    for array in (samples.x, samples.y, samples.chosen, samples.weights):
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        for start in range(0, len(array), 4096):
            digest.update(np.ascontiguousarray(array[start : start + 4096]).data)
    return digest.hexdigest()
