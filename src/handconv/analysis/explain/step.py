"""The step itself, by hand on a copy of the model: forward, loss, backward, update, and all that came of it."""

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from handconv.analysis.explain.path import ACTIVATIONS, Passage
from handconv.arrays import FloatArray, as_floats
from handconv.layers import Dropout, SpatialDropout2D
from handconv.layers.parameters import ParameterView
from handconv.losses import CategoricalCrossentropy, Loss, SoftmaxCategoricalCrossentropy
from handconv.losses.base import check_loss
from handconv.objective import Objective
from handconv.optimizers import Adam, Optimizer
from handconv.optimizers.base import check_optimizer
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.utils.validation import broken, is_int, unmasked

#: Layers of which each output depends on one input alone, so that a backward pass of ones gives the slopes.
_ELEMENTWISE = (*ACTIVATIONS, Dropout, SpatialDropout2D)


class Step:
    """One step on a batch: what went through each layer, and what the optimizer made of it."""

    def __init__(
        self,
        model: Sequential,
        x: ArrayLike,
        y: ArrayLike,
        sample: int,
        optimizer: Optimizer | None,
        loss: Loss | None,
    ) -> None:
        self.model = network = copy.deepcopy(model)
        batch = checked_inputs(x, network.input_shape, network.dtype)
        network.ensure_built(batch.shape[1:])
        if not network.parameters.size:
            raise ValueError(
                "explain narrates how weights are trained, and this network has none. Add a Conv2D or a Dense layer."
            )
        if name := broken(network.named_parameters() | network.named_buffers()):
            raise ValueError(f"This network is dead: {name} hold NaN or infinity, and so would all that is told.")
        generator = np.random.default_rng(0)
        for _, layer in network.tree():
            layer.generator = generator  # what is dropped is the same whenever one asks
        if not is_int(sample) or not 0 <= sample < len(batch):
            raise ValueError(f"sample must be a row of the batch, from 0 to {len(batch) - 1}, got {sample!r}.")
        values = as_floats(batch, network.dtype)
        self.sample, asked = int(sample), network.default_loss() if loss is None else check_loss(loss)
        self.objective = Objective(network, asked)
        self.loss = self.objective.page
        self.targets = unmasked("y", y)
        before = copy.deepcopy(network)  # draws the same random numbers once more
        self.passages = self._forward(network, values)
        self.predictions = self.passages[-1].y
        self.measured = self.loss.forward(self.predictions, self.targets)
        self.penalty = network.penalty()
        #: What the loss made of the scores, if it took the softmax along.
        self.probabilities: FloatArray | None = None
        if isinstance(self.loss, SoftmaxCategoricalCrossentropy):
            self.probabilities = np.array(self.loss.output)
        self.gradient = self.loss.backward()
        gradient: FloatArray = np.array(self.gradient, network.dtype)
        for passage in reversed(self.passages):
            passage.dy = gradient
            gradient = passage.dx = np.array(passage.layer.backward(gradient), network.dtype)
        self._move(network, Adam() if optimizer is None else copy.deepcopy(check_optimizer(optimizer)))
        before.parameters = self.new
        again = self._forward(before, values)[-1].y
        self.measured_after = self.loss.forward(again, self.targets)
        self.penalty_after = before.penalty()

    def _forward(self, network: Sequential, values: FloatArray) -> list[Passage]:
        passages: list[Passage] = []
        for place, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
            if place == len(self.objective.layers):
                break
            y = np.array(layer.forward(values, True), network.dtype)
            slope = np.array(layer.backward(np.ones_like(y))) if type(layer) in _ELEMENTWISE else None
            passages.append(Passage(place, name, layer, values, y, self.sample, slope))
            values = y
        return passages

    def _move(self, network: Sequential, optimizer: Optimizer) -> None:
        """Let the optimizer take its step on copies."""
        self.optimizer = optimizer
        self.old, self.data_gradients = network.parameters.copy(), network.gradients.copy()
        self.gradients = self.data_gradients.copy()
        network.add_penalty_gradients(self.gradients)
        self.unclipped = self.gradients.copy()
        self.norm = 0.0  # of the whole gradient, after clip_value; measured only if clip_norm is set
        optimizer.clip_gradients(self.gradients, self._gradient_norm)
        if not optimizer.built:
            optimizer.build(self.old, network.decayed())
        self.rate = optimizer.current_learning_rate
        self.state_before = {name: vector.copy() for name, vector in optimizer.state.items()}
        self.new = self.old.copy()
        optimizer.step(self.new, self.gradients)

    def _gradient_norm(self, gradients: FloatArray) -> float:
        self.norm = float(np.linalg.norm(gradients.astype(np.float64)))
        return self.norm

    def views_of(self, passage: Passage) -> list[ParameterView[Any]]:
        """The arrays of parameters of a layer and of those within it."""
        inside = [layer for _, layer in passage.layer.tree()]
        return [view for view in self.model.views if any(view.layer is layer for layer in inside)]

    @property
    def truth(self) -> int | None:
        """The true class of the sample, if the targets name one."""
        given = self.targets[self.sample] if self.targets.ndim else self.targets
        if not isinstance(self.loss, SoftmaxCategoricalCrossentropy | CategoricalCrossentropy):
            return None
        if given.ndim == 0 and given.dtype.kind in "iu":
            return int(given)
        return int(given.argmax()) if given.shape == self.predictions.shape[1:] else None
