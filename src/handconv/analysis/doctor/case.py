"""What is examined: a copy of the model, some samples of each set, and what one pass over them shows.

Everything runs on a copy, so that the model is left as it was, and on at most a thousand samples of each set, drawn
with a fixed seed, so that the same question has the same answer.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, as_floats
from handconv.layers import BatchNorm, Layer
from handconv.losses import Loss, SigmoidBinaryCrossentropy
from handconv.losses.targets import Targets
from handconv.metrics import name_classes
from handconv.objective import Objective
from handconv.samples import Samples
from handconv.sequential import Sequential
from handconv.training.statistics import measured_buffers

SAMPLES = 1000
_BATCH = 16  # samples that pass through the network together; few, to need less memory than training does
_STEP = 128  # samples of the one training step


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of one set.

    Args:
        name: "the training set" or "the test set".
        everything: all inputs of the set, as they were given.
        chosen: the places of these samples among them (n,).
        dtype: of the floats that the model computes with.
        targets: their truth, as the loss wants it.
        labels: their classes (n,), if the targets name any.
        classes: how many the model tells apart.
    """

    name: str
    everything: NDArray[Any]
    chosen: NDArray[np.intp]
    dtype: np.dtype[Any]
    targets: Targets
    labels: NDArray[np.intp] | None
    classes: int

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def samples(self) -> NDArray[Any]:
        """The inputs of these samples (n, …) as they were given; made anew each time, to need less memory."""
        return self.everything[self.chosen]

    @property
    def x(self) -> FloatArray:
        """The same as the network computes with them, pixels divided by 255."""
        return self.floats(self.samples)

    def floats(self, x: NDArray[Any]) -> FloatArray:
        """Inputs as the network computes with them."""
        return as_floats(x, self.dtype)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The share of each class among the samples (K,)."""
        assert self.labels is not None
        return np.bincount(self.labels, minlength=self.classes) / len(self.labels)

    @property
    def images(self) -> FloatArray | None:
        """The inputs as images (n, C, H, W), if they are square ones; rows of s² numbers count as grey images.

        Rows of fewer than 49 numbers are no images: no digit can be read in less than 7x7 pixels.
        """
        shape = self.everything.shape[1:]
        if len(shape) == 3 and shape[1] == shape[2] > 1:
            return self.x
        side = math.isqrt(shape[0])
        return self.x.reshape(-1, 1, side, side) if len(shape) == 1 and side >= 7 and side * side == shape[0] else None


class Case:
    """All that the checks ask of.

    Args:
        model: the model, which is copied.
        loss: what it is trained with.
        training: all inputs and targets of the training set, checked.
        test: those of the test set, if there is one.
        history: figures of its training by name, one value an epoch, if there is one.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        training: tuple[NDArray[Any], Targets],
        test: tuple[NDArray[Any], Targets] | None,
        history: Mapping[str, Sequence[float]] | None,
    ) -> None:
        self.model, self.history = copy.deepcopy(model), history
        self.objective = Objective(self.model, loss)
        before_loss = len(self.objective.layers)
        self._judged = self.model[:before_loss] if before_loss else None  # a Softmax alone brings its loss
        self.training = self._part("the training set", *training)
        self.test = None if test is None else self._part("the test set", *test)

    def _part(self, name: str, x: NDArray[Any], targets: Targets) -> Part:
        count = len(x)
        chosen = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLES])
        truth, outputs = targets[chosen], self.model.output_shape
        labels = None
        if name_classes(truth, outputs):
            classes = truth if truth.ndim == 1 else truth[:, 0] > 0.5 if truth.shape[1] == 1 else truth.argmax(axis=1)
            labels = np.asarray(classes, np.intp)
        return Part(name, x, chosen, self.model.dtype, truth, labels, max(2, outputs[0]) if outputs else 0)

    def outputs(self, x: NDArray[Any]) -> FloatArray:
        """What the loss takes: scores where it brings the last activation, else what the model gives."""
        if self._judged is None:
            return self.training.floats(x)
        return np.concatenate([self._judged.infer(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)])

    def answers(self, x: NDArray[Any]) -> NDArray[np.intp]:
        """The class that the model takes each sample for (n,)."""
        outputs = self.outputs(x.reshape(len(x), *(self.model.input_shape or ())))
        limit = 0.0 if isinstance(self.objective.page, SigmoidBinaryCrossentropy) else 0.5
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > limit).astype(np.intp)

    def accuracy(self, part: Part, x: FloatArray) -> float:
        """The share of right answers on other inputs of the same truth as a part's."""
        return float(np.mean(self.answers(x) == part.labels))

    def largest_outputs(self, paths: Sequence[str]) -> dict[str, FloatArray]:
        """The largest output of each unit, or channel, of these layers over the training part, by their paths."""
        largest: dict[str, FloatArray] = {}
        samples = self.training.samples
        for start in range(0, len(samples) if paths else 0, _BATCH):
            self.model.forward(samples[start : start + _BATCH])
            for path, layer in self.model.tree():
                outputs = layer.output
                if outputs is not None and path in paths:
                    seen = outputs.max(axis=(0, *range(2, outputs.ndim)))
                    largest[path] = np.maximum(largest.get(path, -np.inf), seen)
        return largest

    def loss(self) -> float:
        """The loss of the training part, as the model is."""
        return self.objective.page.forward(self.outputs(self.training.samples), self.training.targets)

    def arrived(self, norms: Mapping[str, BatchNorm]) -> tuple[dict[str, tuple[FloatArray, FloatArray]], float]:
        """The mean and variance (C,) of what each BatchNorm takes in training, and the loss if it had kept them."""
        model, part = self.model, self.training
        buffers = model.buffers.copy()
        try:
            model.buffers = measured_buffers(model, Samples(part.samples, part.chosen), model.parameters)
            found = {path: (norm.running_mean.copy(), norm.running_var.copy()) for path, norm in norms.items()}
            return found, self.loss()
        finally:
            model.buffers = buffers

    @cached_property
    def step(self) -> tuple[float, FloatArray, list[tuple[str, float]]]:
        """One training step by hand: the loss, the gradient, and the norm of the gradient at each layer with weights.

        The norm is that of the gradient with respect to the layer's outputs, over all samples.
        """
        model, layers, page = self.model, self.objective.layers, self.objective.page
        inputs = self.training.floats(self.training.samples[:_STEP])
        targets = self.training.targets[:_STEP]
        loss, gradients, squares = 0.0, np.zeros_like(model.gradients), dict.fromkeys(model.names, 0.0)
        for batch in _batches(len(inputs)):
            x = inputs[batch]
            share = len(x) / len(inputs)
            for layer in layers:
                x = layer.forward(x, training=True)
            loss += share * page.forward(x, targets[batch])
            gradient = share * page.backward()
            for name, layer in reversed(list(zip(model.names, layers, strict=False))):
                squares[name] += float(np.vdot(gradient, gradient))
                gradient = layer.backward(gradient)
            gradients += model.gradients
        norms = [
            (f"{name} {layer.label}", math.sqrt(squares[name]))
            for name, layer in zip(model.names, layers, strict=False)
            if _has_weights(layer)
        ]
        return loss, gradients, norms

    def loss_after(self, change: FloatArray) -> float:
        """The loss of the same samples, if the parameters were changed by this."""
        model, part = self.model, self.training
        model.parameters += change
        try:
            outputs = self.outputs(part.samples[:_STEP])
        finally:
            model.parameters -= change
        return self.objective.page.forward(outputs, part.targets[:_STEP])


def _batches(count: int) -> list[slice]:
    """Slices of ``_BATCH`` samples; a single one that is left goes with those before, since BatchNorm needs two."""
    ends = [*range(_BATCH, count - 1, _BATCH), count]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _has_weights(layer: Layer) -> bool:
    """Whether a layer, or one within, mixes its inputs by weights."""
    return any(spec.trainable and len(spec.shape) > 1 for _, each in layer.tree() for spec in each.specs)
