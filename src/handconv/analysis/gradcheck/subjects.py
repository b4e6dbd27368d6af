"""What a gradient check looks at, seen alike: a layer, a loss, a whole network.

A subject has named float64 arrays that may be changed in place, values that depend on them, and the gradients of the
projected values, sum(projection · values), as the backward pass gives them. All of it works on copies.
"""

import copy
from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handconv.engine.capture import untracked
from handconv.engine.layout import memory_view
from handconv.engine.ops.inputs import InputOp
from handconv.engine.program import Program
from handconv.layers import Layer
from handconv.layers.kept_views import kept_views
from handconv.layers.parameters import ParameterStore
from handconv.losses import Loss
from handconv.network import Network
from handconv.objective import Objective
from handconv.utils.validation import is_ours

Array = NDArray[Any]


class Subject(Protocol):
    """A function of named arrays, with a backward pass."""

    label: str
    arrays: dict[str, Array]
    projection: Array
    #: Steps to try, the largest first, in units of eps.
    steps: tuple[float, ...]
    #: How many numbers one evaluation reads and writes: what it costs.
    numbers: int

    def values(self, what: str) -> Array:
        """Compute the values anew, ``what`` being the one array that may have changed since ``gradients``.

        The next call may overwrite them.
        """

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run forward and backward, and give the gradient of sum(projection · values) by each array."""

    def takes(self, value: float) -> bool:
        """Whether an entry may have this value."""
        return True

    def move(self, random: np.random.Generator, far: float) -> None:
        """Move all arrays by normal noise."""
        for array in self.arrays.values():
            np.add(array, far * random.standard_normal(array.shape), out=array)


class LayerSubject(Subject):
    """A layer on its own, in training, with its chance held fast; its outputs are projected by random numbers."""

    steps: tuple[float, ...] = (100, 10, 1)

    def __init__(self, label: str, original: Layer, x: Array, seed: int) -> None:
        self.label, self._generator = label, np.random.default_rng(seed)
        self._layer = layer = float64_copy(original)
        layer.fix_shapes(x.shape[1:], np.float64)
        self._store = ParameterStore(list(layer.tree()), np.float64, 0, keep=True)
        _leave_constants(self._store, seed)
        self._buffers, self._state = self._store.buffers.copy(), self._generator.bit_generator.state
        for _, each in layer.tree():
            each.generator = self._generator
        self.arrays = {"inputs": x} | {view.name: view.of(self._store.parameters) for view in self._store.trainable}
        self._check()
        self.projection = _random_like(self.values("inputs"), seed)
        self.numbers = x.size + self.projection.size
        self._adopt()

    def values(self, what: str) -> Array:
        """The outputs."""
        self._generator.bit_generator.state = self._state
        self._store.buffers[...] = self._buffers
        return np.asarray(self._layer.forward(self.arrays["inputs"].copy(), training=True))

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run forward and backward; NaN where backward writes nothing, or adds to what was there."""
        self._store.gradients[...] = np.nan
        self.values("inputs")
        gradients = {"inputs": self._backward(projection)}
        gradients |= {view.name: np.array(view.of(self._store.gradients)) for view in self._store.trainable}
        for name in self.arrays.keys() - gradients.keys():  # kept by the layer itself
            gradients[name] = np.array(getattr(self._layer, f"d{name}"))
        return gradients

    def _backward(self, projection: Array) -> Array:
        """What backward returns, checked as a network checks it."""
        dinputs = self._layer.backward(projection.copy(order="K"))
        return np.array(self._layer.check_result("backward", dinputs, self.arrays["inputs"].shape))

    def _check(self) -> None:
        """Check that the layer gives finite float64 numbers, the same ones each time."""
        first, second = np.array(self.values("inputs")), self.values("inputs")
        if second.dtype != np.float64:
            raise ValueError(
                f"{self.label} gives {second.dtype} for float64 inputs, in which differences drown. "
                "Let it compute in self.dtype."
            )
        if not np.isfinite(first).all():
            raise ValueError(f"{self.label} gives numbers that are not finite for this x. Check a smaller x.")
        if first.shape != second.shape or (first != second).any():
            raise ValueError(
                f"{self.label} gives different outputs for the same x, so that it has no slope. "
                "Let it draw its random numbers from self.generator."
            )

    def _adopt(self) -> None:
        """Find parameters that a layer keeps by itself: arrays ``name`` with a gradient ``dname`` of their shape."""
        layer = self._layer
        self._backward(self.projection)
        kept = [view.path[0] for view in kept_views(self._store.layers) if view.keeper == 0]
        for name, value in list(vars(layer).items()):
            gradient = vars(layer).get(f"d{name}")
            if (
                name not in ("inputs", *kept)
                and name not in self.arrays
                and is_floats(value)
                and is_floats(gradient)
                and gradient.shape == value.shape
            ):
                setattr(layer, name, value.astype(np.float64))
                self.arrays[name] = getattr(layer, name)


class LossSubject(Subject):
    """A loss as a function of its predictions."""

    steps: tuple[float, ...] = (100, 10, 1, 0.1, 0.01)  # a logarithm bends much near 0

    def __init__(self, loss: Loss, targets: NDArray[Any], predictions: Array) -> None:
        self.label, self._loss, self._targets = type(loss).__name__, copy.deepcopy(loss), targets
        self.arrays, self.projection = {"inputs": predictions}, np.ones(1)
        self.numbers = 2 * predictions.size
        self._probabilities = predictions.min(initial=0) >= 0 and predictions.max(initial=0) <= 1

    def values(self, what: str) -> Array:
        """The loss."""
        return np.array([self._loss.forward(self.arrays["inputs"].copy(), self._targets)])

    def gradients(self, projection: Array) -> dict[str, Array]:
        """The gradient with respect to the predictions."""
        self.values("inputs")
        return {"inputs": self._loss.backward() * projection}

    def takes(self, value: float) -> bool:
        """Whether it may be a prediction: probabilities stay probabilities."""
        return not self._probabilities or 0 <= value <= 1

    def move(self, random: np.random.Generator, far: float) -> None:
        """Move the predictions; probabilities stay probabilities."""
        if self._probabilities:
            inputs = self.arrays["inputs"]
            inputs += far * (random.random(inputs.shape) - inputs)  # also those that are 0 or 1
        else:
            super().move(random, far)


class NetworkSubject(Subject):
    """A network with its loss and penalties, or, without targets, with a random projection of its outputs.

    The pages of the layers run one after the other; the values begin with the layer that has changed.
    """

    label = "network"
    steps: tuple[float, ...] = (10, 1)

    def __init__(self, network: Network, x: Array, seed: int, judged: tuple[Objective, Array] | None) -> None:
        self.network, self.judged = network, judged
        self._loss = None if judged is None else copy.deepcopy(judged[0].page)
        self._layers = network.layers if judged is None else judged[0].layers
        self.generator = np.random.default_rng(seed)
        self.state, self._buffers = self.generator.bit_generator.state, network.buffers.copy()
        for _, layer in network.tree():
            layer.generator = self.generator
        self.arrays = {"inputs": x, **network.named_parameters()}
        places = {layer: place for place, top in enumerate(network.layers) for _, layer in top.tree()}
        self._owners = {"inputs": 0} | {view.name: places[view.layer] for view in network.views}
        self._arrived: list[Array] = []
        self._states: list[Mapping[str, Any]] = []
        self._remember()
        self.numbers = 2 * sum(array.size for array in self._arrived)
        self.projection = np.ones(2)
        if judged is None:
            self.projection = _random_like(self._run(0), seed)

    def values(self, what: str) -> Array:
        """The loss and the penalty; without a loss, the outputs."""
        outputs = self._run(self._owners[what])
        if self.judged is None or self._loss is None:
            return outputs
        return np.array([self._loss.forward(outputs, self.judged[1]), self.network.penalty()])

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run the pages forward and backward as in training."""
        network = self.network
        self._remember()
        network.gradients[...] = np.nan
        outputs = self._run(0)
        dvalues = projection.copy(order="K")
        if self.judged is not None and self._loss is not None:
            self._loss.forward(outputs, self.judged[1])
            dvalues = self._loss.backward()
        for layer in reversed(self._layers):
            dvalues = layer.backward(dvalues)
        return self.with_penalty(dvalues, network.gradients)

    def with_penalty(self, dinputs: Array, gradients: Array) -> dict[str, Array]:
        """Name gradients, those of the parameters with the gradient of the penalty where there is a loss."""
        if self.judged is not None:
            self.network.add_penalty_gradients(gradients)
        return {"inputs": np.array(dinputs)} | {view.name: np.array(view.of(gradients)) for view in self.network.views}

    def reset(self) -> None:
        """Set chance and buffers back to where they stand before a pass."""
        self.generator.bit_generator.state = self.state
        self.network.buffers[...] = self._buffers

    def _remember(self) -> None:
        """Run all layers, and keep what arrives at each of them and where its chance then stands."""
        self._arrived, self._states = [], [self.state]
        self.reset()
        x = self.arrays["inputs"]
        for layer in self._layers:
            self._arrived.append(np.array(x))
            x = layer.forward(x.copy(), training=True)
            self._states.append(self.generator.bit_generator.state)

    def _run(self, start: int) -> Array:
        """Run the layers one by one, from one that has changed to the last."""
        x = self._arrived[start] if start else self.arrays["inputs"]
        self.network.buffers[...] = self._buffers
        self.generator.bit_generator.state = self._states[start]
        for layer in self._layers[start:]:
            x = layer.forward(x.copy(), training=True)
        return np.asarray(x)


def program_gradients(subject: NetworkSubject) -> dict[str, Array]:
    """The gradients that a program of the engine computes, for the same inputs, parameters and chance."""
    network, x, judged = subject.network, subject.arrays["inputs"], subject.judged
    gradients = np.full_like(network.gradients, np.nan)
    targets: dict[Layer, dict[str, Array]] = {}
    for view in network.views:
        targets.setdefault(view.layer, {})[view.spec.name] = view.of(gradients)
    layers = network.layers if judged is None else judged[0].layers
    program = Program(
        layers, np.float64, gradients=targets, generator=subject.generator, fuse=network.fuse, engine=network.engine
    )
    inputs = InputOp(x.shape, x.dtype, np.float64, program.memory)
    inputs.source[...] = memory_view(x)
    subject.reset()
    outputs = program.forward(inputs.forward(), training=True)
    if judged is None:
        dvalues = program.memory.public_array("projection", outputs.shape, np.float64)
        dvalues[...] = subject.projection
    else:
        loss = judged[0].loss_op(program.memory.scope())
        loss.forward(outputs, judged[1], None, len(x))
        dvalues = loss.backward()
    dinputs = program.backward(dvalues, needs_input_grad=True)
    assert dinputs is not None
    return subject.with_penalty(untracked(dinputs), gradients)


def copied_network(model: Network, x: Array) -> Network:
    """A float64 copy of a network, apart from the original."""
    layers = [float64_copy(layer) for layer in model.layers]
    seed = model.streams.seed
    network = Network(layers, input_shape=x.shape[1:], seed=seed, dtype="float64", fuse=model.fuse, engine=model.engine)
    _leave_constants(network.store, seed)
    return network


def _leave_constants(store: ParameterStore[Layer], seed: int) -> None:
    """Move scales that all are 1, as they begin: a backward that forgets them would be right there, and only there.

    Biases stay at 0, where they begin, in layers of this package: they are added alone.
    """
    generator = np.random.default_rng(seed)
    for view in store.trainable:
        values = view.of(store.parameters)
        if (values == values.flat[0]).all() and (values.flat[0] or not is_ours(type(view.layer))):
            values += generator.uniform(-0.3, 0.3, values.shape)


def float64_copy(layer: Layer) -> Layer:
    """A copy of a layer whose own arrays, those that it did not declare, are float64."""
    copied = layer.copy()
    layers = [each for _, each in copied.tree()]
    kept = {(view.keeper, *view.path) for view in kept_views(layers)}  # follow the arrays that they look into
    for place, each in enumerate(layers):
        for name, value in list(vars(each).items()):
            if is_floats(value) and (place, name) not in kept:
                object.__setattr__(each, name, value.astype(np.float64))
    return copied


def _random_like(values: Array, seed: int) -> Array:
    """Normal numbers in the shape and memory order of the values."""
    result = np.empty_like(values)
    result[...] = np.random.default_rng(seed).standard_normal(values.shape)
    return result


def is_floats(value: object) -> TypeGuard[Array]:
    """Whether it is an array of floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def as_float64(x: NDArray[Any]) -> Array:
    """A float64 copy."""
    return np.array(x, np.float64)
