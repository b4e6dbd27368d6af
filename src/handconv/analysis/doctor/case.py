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

from handconv.arrays import FloatArray
from handconv.layers import Layer
from handconv.losses import Loss
from handconv.losses.targets import Targets
from handconv.metrics import name_classes
from handconv.objective import Objective
from handconv.sequential import Sequential

SAMPLES = 1000
_BATCH = 100  # samples that pass through the network together
_STEP = 128  # samples of the one training step


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of one set.

    Args:
        name: "the training set" or "the test set".
        everything: all inputs of the set, as they were given.
        x: inputs of these samples (n, …) in the model's dtype, pixels divided by 255.
        targets: their truth, as the loss wants it.
        labels: their classes (n,), if the targets name any.
        classes: how many the model tells apart.
    """

    name: str
    everything: NDArray[Any]
    x: FloatArray
    targets: Targets
    labels: NDArray[np.intp] | None
    classes: int

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
        shape = self.x.shape[1:]
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
        self.training = self._part("the training set", *training)
        self.test = None if test is None else self._part("the test set", *test)

    def _part(self, name: str, x: NDArray[Any], targets: Targets) -> Part:
        count = len(x)
        chosen = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLES])
        some, truth, outputs = self.floats(x[chosen]), targets[chosen], self.model.output_shape
        labels = None
        if len(outputs) == 1 and name_classes(truth):
            classes = truth if truth.ndim == 1 else truth[:, 0] > 0.5 if truth.shape[1] == 1 else truth.argmax(axis=1)
            labels = np.asarray(classes, np.intp)
        return Part(name, x, some, truth, labels, max(2, outputs[0]) if outputs else 0)

    def floats(self, x: NDArray[Any]) -> FloatArray:
        """Inputs as the network computes with them."""
        values = x.astype(self.model.dtype)
        if x.dtype == np.uint8:
            values /= 255
        return values

    def outputs(self, x: FloatArray, layers: int | None = None) -> FloatArray:
        """What the model, or its first layers, give."""
        network = self.model[:layers] if layers is not None else self.model
        return np.concatenate([network.infer(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)])

    def answers(self, x: FloatArray) -> NDArray[np.intp]:
        """The class that the model takes each sample for (n,)."""
        outputs = self.outputs(x.reshape(len(x), *(self.model.input_shape or ())))
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(np.intp)

    def accuracy(self, part: Part, x: FloatArray) -> float:
        """The share of right answers on other inputs of the same truth as a part's."""
        return float(np.mean(self.answers(x) == part.labels))

    def largest_outputs(self, kinds: tuple[type[Layer], ...]) -> dict[str, FloatArray]:
        """The largest output of each unit, or channel, of these layers over the training part, by their paths."""
        largest: dict[str, FloatArray] = {}
        for start in range(0, len(self.training.x), _BATCH):
            self.model.forward(self.training.x[start : start + _BATCH])
            for path, layer in self.model.tree():
                outputs = layer.output
                if outputs is not None and isinstance(layer, kinds):
                    seen = outputs.max(axis=(0, *range(2, outputs.ndim)))
                    largest[path] = np.maximum(largest.get(path, -np.inf), seen)
        return largest

    @cached_property
    def step(self) -> tuple[float, FloatArray, list[tuple[str, float]]]:
        """One training step by hand: the loss, the gradient, and the norm of the gradient at each layer with weights.

        The norm is that of the gradient with respect to the layer's outputs, over all samples.
        """
        model, layers, part = self.model, self.objective.layers, self.training
        x, page = part.x[:_STEP], self.objective.page
        for layer in layers:
            x = layer.forward(x, training=True)
        loss = page.forward(x, part.targets[:_STEP])
        gradient, norms = page.backward(), []
        for name, layer in reversed(list(zip(model.names, layers, strict=False))):
            if _has_weights(layer):
                norms.append((f"{name} {layer.label}", float(np.linalg.norm(gradient.ravel()))))
            gradient = layer.backward(gradient)
        return loss, model.gradients.copy(), norms[::-1]

    def loss_after(self, change: FloatArray) -> float:
        """The loss of the same samples, if the parameters were changed by this."""
        model, part = self.model, self.training
        model.parameters += change
        try:
            outputs = self.outputs(part.x[:_STEP], len(self.objective.layers))
        finally:
            model.parameters -= change
        return self.objective.page.forward(outputs, part.targets[:_STEP])


def _has_weights(layer: Layer) -> bool:
    """Whether a layer, or one within, mixes its inputs by weights."""
    return any(spec.trainable and len(spec.shape) > 1 for _, each in layer.tree() for spec in each.specs)
