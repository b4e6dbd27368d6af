"""What a gradient check looks at, seen alike: a layer, a loss, a whole network.

A subject has named float64 arrays that may be changed in place, values that depend on them, and the gradients of the
projected values, sum(projection · values), as the backward pass gives them. All of it works on copies.
"""

import copy
from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handconv.engine.arena import ReusedMemory, laid_out
from handconv.layers import Layer
from handconv.losses import Loss
from handconv.network import Network

Array = NDArray[Any]


class Subject(Protocol):
    """A function of named arrays, with a backward pass."""

    label: str
    arrays: dict[str, Array]
    projection: Array
    #: Steps to try, the largest first, in units of eps.
    steps: tuple[int, ...]
    #: How many numbers one evaluation reads and writes: what it costs.
    numbers: int

    def values(self, what: str) -> Array:
        """Compute the values anew, ``what`` being the one array that may have changed since ``gradients``.

        The next call may overwrite them.
        """

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run forward and backward, and give the gradient of sum(projection · values) by each array."""


class LayerSubject:
    """A layer on its own, in training, with its chance held fast; its outputs are projected by random numbers."""

    steps: tuple[int, ...] = (100, 10, 1)

    def __init__(self, label: str, original: Layer, x: Array, seed: int) -> None:
        layer = copy.deepcopy(original)
        self.label, self._layer, self._generator = label, layer, np.random.default_rng(seed)
        layer.workspace, layer.generator = ReusedMemory(), self._generator
        self._state = self._generator.bit_generator.state
        self.arrays = {"inputs": x}
        self._dparameters: dict[str, Array] = {}
        self._bind(original)
        self._check()
        self.projection = _random_like(self.values("inputs"), seed)
        self.numbers = x.size + self.projection.size
        self._adopt()

    def values(self, what: str) -> Array:
        """The outputs."""
        self._generator.bit_generator.state = self._state
        return self._layer.forward(self.arrays["inputs"], training=True)

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run forward and backward; NaN where backward writes nothing, or adds to what was there."""
        for gradient in self._dparameters.values():
            gradient[...] = np.nan
        self.values("inputs")
        gradients = {"inputs": np.array(self._layer.backward(projection.copy(order="K")))}
        for name in self.arrays:
            if name != "inputs":
                source = self._dparameters.get(name)
                gradients[name] = np.array(getattr(self._layer, f"d{name}") if source is None else source)
        return gradients

    def _bind(self, original: Layer) -> None:
        """Build the copy in float64, over vectors that are ours, with the parameters of the original."""
        layer, shape = self._layer, self.arrays["inputs"].shape[1:]
        declared = layer.declare(shape)
        size = sum(parameter.size for parameter in declared)
        vector, gradients = np.zeros(size), np.zeros(size)
        layer.build(shape, dtype=np.float64, generator=0, values=vector, gradients=gradients)
        end = 0
        for parameter in declared:
            start, end = end, end + parameter.size
            value = vector[start:end].reshape(parameter.shape)
            if original.input_shape is not None:
                value[...] = getattr(original, parameter.name)
            self.arrays[parameter.name] = value
            self._dparameters[parameter.name] = gradients[start:end].reshape(parameter.shape)
        restore_arrays(layer, original)

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
        layer.backward(self.projection.copy(order="K"))
        for name, value in list(vars(layer).items()):
            gradient = getattr(layer, f"d{name}", None)
            if (
                name != "inputs"
                and name not in self.arrays
                and is_floats(value)
                and is_floats(gradient)
                and gradient.shape == value.shape
            ):
                setattr(layer, name, value.astype(np.float64))
                self.arrays[name] = getattr(layer, name)


class LossSubject:
    """A loss as a function of its predictions."""

    steps: tuple[int, ...] = (100, 10, 1)

    def __init__(self, loss: Loss, targets: NDArray[Any], predictions: Array) -> None:
        self.label, self._loss, self._targets = type(loss).__name__, copy.deepcopy(loss), targets
        self.arrays, self.projection = {"inputs": predictions}, np.ones(1)
        self.numbers = 2 * predictions.size

    def values(self, what: str) -> Array:
        """The loss."""
        return self._loss.measure(self.arrays["inputs"], self._targets, None, len(self._targets))

    def gradients(self, projection: Array) -> dict[str, Array]:
        """The gradient by the predictions."""
        self.values("inputs")
        return {"inputs": self._loss.backward() * projection}


class NetworkSubject:
    """A network with its loss and penalties, or, without targets, with a random projection of its outputs.

    The backward pass is that of training, neighbouring layers run as one step where they do in training; the values are
    computed layer by layer, beginning with the one that has changed.
    """

    label = "network"
    steps: tuple[int, ...] = (10, 1)

    def __init__(
        self, network: Network, x: Array, seed: int, judged: tuple[Loss, NDArray[Any]] | None, *, logits: bool
    ) -> None:
        self._network, self._logits, self._judged = network, logits, copy.deepcopy(judged)
        self._layers = network.layers[:-1] if logits else network.layers
        self._generator = np.random.default_rng(seed)
        self._state = self._generator.bit_generator.state
        network.set_generator(self._generator)
        network.reuse_memory()
        self.arrays = {"inputs": x, **network.named_parameters()}
        self._owners = {"inputs": 0}
        for place, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
            self._owners |= {f"{name}.{each.name}": place for each in layer.declare(layer.input_shape or ())}
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
        if self._judged is None:
            return outputs
        loss, targets = self._judged
        return np.append(loss.measure(outputs, targets, None, len(targets)), self._network.penalty())

    def gradients(self, projection: Array) -> dict[str, Array]:
        """Run forward and backward as in training."""
        network = self._network
        self._remember()
        self._generator.bit_generator.state = self._state
        network.gradients[...] = np.nan
        outputs = network.forward(self.arrays["inputs"], True, logits=self._logits)
        dvalues = projection
        if self._judged is not None:
            loss, targets = self._judged
            loss.measure(outputs, targets, None, len(targets))
            dvalues = loss.backward()
        dinputs = network.backward(dvalues.copy(order="K"), logits=self._logits)
        if self._judged is not None:
            network.add_penalty_gradients(network.gradients)
        return {"inputs": np.array(dinputs)} | {
            view.name: np.array(view.of(network.gradients)) for view in network.views
        }

    def _remember(self) -> None:
        """Run all layers, and keep what arrives at each of them and where its chance then stands."""
        self._arrived, self._states = [], []
        self._generator.bit_generator.state = self._state
        x = self.arrays["inputs"]
        for layer in self._layers:
            self._arrived.append(laid_out(np.array(x)))
            self._states.append(self._generator.bit_generator.state)
            x = layer.forward(x, training=True)

    def _run(self, start: int) -> Array:
        """Run the layers one by one, from one that has changed to the last."""
        x = self._arrived[start] if start else self.arrays["inputs"]
        self._generator.bit_generator.state = self._states[start]
        for layer in self._layers[start:]:
            x = layer.forward(x, training=True)
        return x


def copied_network(model: Network, x: Array) -> Network:
    """A float64 copy of a network, with its parameters, its plan and its memory apart from the original."""
    layers = copy.deepcopy(model.layers)
    network = Network(layers, input_shape=x.shape[1:], seed=model.streams.seed, dtype="float64", fuse=model.fuse)
    network.fresh_memory()
    if model.built:
        network.parameters[...] = model.parameters
        for layer, original in zip(layers, model.layers, strict=True):
            restore_arrays(layer, original)
    return network


def restore_arrays(layer: Layer, original: Layer) -> None:
    """Give a copy that was built anew the arrays that a built layer keeps by itself, in float64."""
    if original.input_shape is not None:
        for name, value in vars(original).items():
            if is_floats(value):
                setattr(layer, name, value.astype(np.float64))


def _random_like(values: Array, seed: int) -> Array:
    """Normal numbers in the shape and memory order of the values."""
    result = np.empty_like(values)
    result[...] = np.random.default_rng(seed).standard_normal(values.shape)
    return result


def is_floats(value: object) -> TypeGuard[Array]:
    """Whether it is an array of floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def as_float64(x: NDArray[Any]) -> Array:
    """A float64 copy with the batch innermost in memory, as layers hand them on."""
    return laid_out(np.array(x, np.float64))
