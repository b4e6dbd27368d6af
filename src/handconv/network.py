"""A network: a chain of layers over one vector of parameters, one of gradients and one of buffers.

Every layer's ``weights`` and ``biases`` are views into ``parameters``, every ``dweights`` and ``dbiases`` into
``gradients``, in the order of the layers. An optimizer, a checkpoint, a copy between processes or a sum over shards is
then one operation on one vector. Names are paths, ``"0.weights"``, or begin with the layer's own name.

By hand, ``forward`` and ``backward`` run the pages of the layers; ``infer`` runs a program of the engine.

The penalty is  sum over parameters of  l1 · sum|w| + l2 · sum w²,  its gradient  l1 · sign(w) + 2 · l2 · w.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from handconv.arrays import FloatArray, Shape, as_floats
from handconv.layer_list import UNCHANGEABLE, Layers, checked_names
from handconv.layers import Layer, Sigmoid, Softmax
from handconv.layers.kept_views import VIEWS, kept_views, restore_views
from handconv.layers.parameters import ParameterStore, ParameterView
from handconv.rng import Purpose, Streams
from handconv.utils.locks import TrainingLock
from handconv.utils.validation import (
    check_bool,
    check_dtype,
    check_not_a_method,
    check_range,
    check_sample_shape,
    checked_samples,
    is_ours,
    real_numbers,
)

if TYPE_CHECKING:
    from handconv.engine.inference import Inference


class Network:
    """A chain of layers that acts as one.

    Args:
        layers: the layers, in order. They belong to this network from now on; built ones keep their values.
        input_shape: the shape of one sample; if it is not given, the first batch tells.
        seed: of everything random: initial parameters, the order of samples, dropout. None draws one.
        dtype: "float32", or "float64" for proofs.
        fuse: whether neighbouring layers may run as one op; the results are the same.
        engine: whether layers run as the engine's fast ops; if not, ``fit`` and ``predict`` run the layers' own pages.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *args: object,
        input_shape: Sequence[int] | None = None,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        fuse: bool = True,
        engine: bool = True,
    ) -> None:
        if args or not isinstance(layers, Sequence):
            got = ", ".join(map(repr, (layers, *args)))
            raise TypeError(f"A network is made of one list of layers, got {got}. Put them in brackets: [layer, …].")
        self._layers = Layers(layers)
        self.names = checked_names(self._layers)
        self.streams = Streams(seed)
        self.dtype = check_dtype(dtype)
        self.fuse, self.engine = fuse, engine
        self.info: dict[str, Any] = {}
        self.epochs_trained = 0
        self.input_shape: Shape | None = None
        self.store: ParameterStore[Layer] = ParameterStore([], self.dtype)
        self._whole: Network | None = None  # of which this one shows the first layers
        self._pending: list[_Pass] = []  # the forward that may be followed by a backward; network[:k] has the same list
        self._lock = TrainingLock()
        self._inference: Inference | None = None
        for layer in self._layers:
            layer.belong_to(self)
        if input_shape is not None:
            self.build(input_shape)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse what would have no effect, or leave the network half changed."""
        known = self.__dict__
        check_not_a_method(self, name, value)
        if name in _FOREIGN and not hasattr(type(self), name) and is_ours(type(self)):
            raise AttributeError(f"A network has no {name!r}. {_FOREIGN[name]}")
        if name in ("dtype", "input_shape") and known.get(name) not in (None, value):
            raise AttributeError(f"The {name} of a network does not change, it is {known[name]}. Make a new network.")
        if name in ("engine", "fuse"):
            value, known["_inference"] = check_bool(name, value), None
        object.__setattr__(self, name, value)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in order. They cannot be changed: make another network of copies of them."""
        return self._layers

    @layers.setter
    def layers(self, _: object) -> NoReturn:
        raise AttributeError(UNCHANGEABLE)

    @property
    def parameters(self) -> FloatArray:
        """All parameters as one vector; assigning copies in."""
        return self.store.parameters

    @parameters.setter
    def parameters(self, values: NDArray[Any]) -> None:
        _copy_in("parameters", self.parameters, values)

    @property
    def gradients(self) -> FloatArray:
        """All gradients as one vector, in the order of the parameters; assigning copies in."""
        return self.store.gradients

    @gradients.setter
    def gradients(self, values: NDArray[Any]) -> None:
        _copy_in("gradients", self.gradients, values)

    @property
    def buffers(self) -> FloatArray:
        """All buffers as one vector; assigning copies in."""
        return self.store.buffers

    @buffers.setter
    def buffers(self, values: NDArray[Any]) -> None:
        _copy_in("buffers", self.buffers, values)

    @property
    def views(self) -> tuple[ParameterView[Layer], ...]:
        """Where each array of parameters lies in the vector."""
        return self.store.trainable

    @property
    def built(self) -> bool:
        """Whether shapes and parameters exist."""
        return self.input_shape is not None

    @property
    def output_shape(self) -> Shape:
        """The shape of one output."""
        return self.layers[-1].output_shape or ()

    def __repr__(self) -> str:
        layers = [repr(layer) for layer in self.layers]
        shown = f"{type(self).__name__}([{', '.join(layers)}], input_shape={self.input_shape})"
        if len(shown) <= _ONE_LINE:
            return shown
        lines = "".join(f"    {layer},\n" for layer in layers)
        return f"{type(self).__name__}([\n{lines}], input_shape={self.input_shape})"

    def __getitem__(self, part: object) -> Self:
        """Show the first layers, over the same weights: ``model[:k]`` predicts, but cannot be trained by itself."""
        if not isinstance(part, slice) or part.start or part.step not in (None, 1):
            raise TypeError(
                f"A network shows its first layers by network[:k], got {part!r}. A single layer is network.layers[k]."
            )
        shown = self.layers[part]
        if not shown:
            raise ValueError(f"network[:{part.stop}] has no layers; the network has {len(self.layers)}.")
        if not self.built:
            raise ValueError("network[:k] needs the input shape: give input_shape=… or call build(shape) first.")
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._layers, view.names, view._whole = Layers(shown), self.names[part], self
        view.store = self.store.first([layer for _, layer in view.tree()])
        return view

    def count_parameters(self, input_shape: Sequence[int]) -> int:
        """How many numbers the layers keep for this input shape, buffers included; nothing is allocated."""
        shape, count = check_sample_shape(input_shape), 0
        for layer in self.layers:
            count += _size(layer, shape)
            shape = layer.infer_shape(shape)
        return count

    def build(self, input_shape: Sequence[int]) -> None:
        """Work out all shapes, allocate the vectors and initialise the parameters; built layers keep their values.

        Raises:
            ValueError: if layers do not fit together, or the network is built for another shape.
        """
        shape = check_sample_shape(input_shape)
        if self.built and shape != self.input_shape:
            raise ValueError(
                f"The network is built for samples of shape {self.input_shape}, got {shape}. Make a new network."
            )
        _check_channels_first(self.layers[0], shape)
        for layer in self.layers:
            _check_can_move(layer, shape, self.built)
            shape = layer.fix_shapes(shape, self.dtype)
        self.store = ParameterStore(self.tree(), self.dtype, self.streams.generator(Purpose.INITIALIZE), keep=True)
        self._seed_layers()
        self._pending.clear()
        self._inference = None
        self.input_shape = check_sample_shape(input_shape)  # last: now it is built

    def tree(self) -> list[tuple[str, Layer]]:
        """All layers, and those within them, by path."""
        pairs = zip(self.names, self.layers, strict=True)
        return [found for name, layer in pairs for found in layer.tree(name)]

    def ensure_built(self, input_shape: Sequence[int]) -> None:
        """Build if that was not done yet; of threads that ask at once, one builds."""
        with self._lock:
            if not self.built:
                self.build(input_shape)

    def _seed_layers(self) -> None:
        """Let random layers draw from the network's seed where they are run by hand."""
        generator = self.streams.generator(Purpose.DROPOUT)
        for _, layer in self.tree():
            layer.generator = generator

    def bind(self, parameters: FloatArray, gradients: FloatArray, buffers: FloatArray) -> None:
        """Let the layers use these vectors; values are not copied."""
        self.store.bind(parameters, gradients, buffers)
        self._pending.clear()
        self._inference = None

    def named_parameters(self) -> dict[str, FloatArray]:
        """The parameters by name, as views."""
        return {view.name: view.of(self.parameters) for view in self.views}

    def named_buffers(self) -> dict[str, FloatArray]:
        """The buffers by name, as views."""
        return {view.name: view.of(self.buffers) for view in self.store.buffered}

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the last layer is a Softmax, as this package computes it."""
        return self._last_kind() is Softmax

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether the last layer is a Sigmoid, as this package computes it."""
        return self._last_kind() is Sigmoid

    def _last_kind(self) -> type[Layer] | None:
        from handconv.engine.lower import fast_kind

        return fast_kind(self.layers[-1])

    def forward(self, x: NDArray[Any], training: bool = False) -> FloatArray:
        """Run the pages of all layers, each of which keeps what its ``backward`` needs.

        Args:
            x: inputs (N, …); uint8 is divided by 255.
            training: whether layers that act differently in training do so.

        Raises:
            ValueError: if the shape of a sample is not the network's.
        """
        check_bool("training", training)
        with self.in_use("forward"):
            x = self.check_batch(x)
            outputs = as_floats(x, self.dtype)
            for layer in self.layers:
                returned, shape = layer.forward(outputs, training), (len(outputs), *(layer.output_shape or ()))
                outputs = np.array(layer.check_result("forward", returned, shape), self.dtype)  # a copy of layer.output
            self._pending[:] = [_Pass(outputs.shape, self.layers, [layer.output for layer in self.layers])]
        return outputs

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Run the pages of all layers backwards: fills ``gradients``, returns the gradient with respect to the inputs.

        Args:
            dvalues: the gradient with respect to the outputs.

        Raises:
            RuntimeError: if there was no ``forward`` before, or another forward or an inference since.
            ValueError: if ``dvalues`` has another shape than the outputs.
        """
        with self.in_use("backward"):
            if not self._pending:
                raise RuntimeError("backward needs a forward before it: call forward(x) first.")
            if not self._pending[0].is_of(self.layers):
                raise RuntimeError(
                    "backward needs the forward of these layers to be the last that any of them did, and others came "
                    "after it: call forward(x) first."
                )
            gradient, expected = real_numbers("backward: dvalues", dvalues).astype(self.dtype), self._pending[0].shape
            if gradient.shape != expected:
                raise ValueError(
                    f"backward expects the gradient with respect to the outputs, of shape {expected}, "
                    f"got {gradient.shape}."
                )
            self.gradients[...] = 0  # as user-defined layers may add to them
            for layer in reversed(self.layers):
                returned, shape = layer.backward(gradient), (len(gradient), *(layer.input_shape or ()))
                gradient = np.array(layer.check_result("backward", returned, shape), self.dtype)
            return gradient

    def infer(self, x: NDArray[Any]) -> FloatArray:
        """Run all layers as out of training, quickly; no ``backward`` can follow.

        Args:
            x: inputs (N, …); uint8 is divided by 255.
        """
        with self.in_use("infer"):
            return self.answer(self.check_batch(x), self.layers).copy(order="K")

    def answer(self, x: NDArray[Any], layers: Sequence[Layer]) -> FloatArray:
        """The outputs of the first layers for a checked batch, in memory that the next call overwrites."""
        if self._inference is None:
            from handconv.engine.inference import Inference

            self._inference = Inference(self.store.layers, self.dtype, fuse=self.fuse, engine=self.engine)
        self._pending.clear()
        return self._inference.outputs(layers, x)

    def check_batch(self, x: ArrayLike) -> NDArray[Any]:
        """Check that a batch is one of this network's samples, and build at first use."""
        x = checked_samples("x", x, self.input_shape)
        if x.dtype.itemsize > self.dtype.itemsize and x.size:
            check_range("x", x.min(), x.max(), self.dtype)
        if not self.built:  # else there is no need to take the lock
            self.ensure_built(x.shape[1:])
        return x

    def penalty(self) -> float:
        """The sum of the L1 and L2 penalties of all parameters."""
        total = 0.0
        for view in self.views:
            spec = view.spec
            if spec.l1 or spec.l2:
                values = self.parameters[view.place]
                total += spec.l1 * float(np.abs(values).sum()) if spec.l1 else 0.0
                total += spec.l2 * float(np.dot(values, values)) if spec.l2 else 0.0
        return total

    def add_penalty_gradients(self, gradients: FloatArray, part: slice | None = None) -> None:
        """Add the gradient of the penalty to a gradient vector, or to the ``part`` of it."""
        start, stop, _ = (part or slice(None)).indices(self.parameters.size)
        for view in self.views:
            spec, place = view.spec, slice(max(start, view.place.start), min(stop, view.place.stop))
            if place.stop <= place.start:
                continue
            if spec.l1:
                gradients[place] += np.sign(self.parameters[place]) * spec.l1
            if spec.l2:
                gradients[place] += self.parameters[place] * (2 * spec.l2)

    def decayed(self) -> list[slice]:
        """The places of the parameters that decoupled weight decay shrinks."""
        return [view.place for view in self.views if view.spec.decays]

    def in_use(self, verb: str) -> contextlib.AbstractContextManager[None]:
        """Hold the network while it is used: other threads wait, and while one trains they are refused at once."""
        if verb not in ("forward", "backward"):
            self._check_runs_layers(verb)
        return self._lock.asked(verb)

    def _check_runs_layers(self, verb: str) -> None:
        """Refuse a subclass with its own ``forward`` or ``backward`` in methods that would not call them."""
        kind = type(self)
        if _PASSES(kind) != _PASSES(Network) or "forward" in self.__dict__:
            raise TypeError(
                f"{kind.__name__} has a forward or a backward of its own, and {verb} runs the layers one after the "
                "other. Put what it does into a layer: class Mine(handconv.Layer), with forward and backward."
            )

    @contextlib.contextmanager
    def in_training(self) -> Iterator[None]:
        """Within ``with``, hold the network for a training.

        Raises:
            RuntimeError: if it is being trained already, or shows the layers of another one.
        """
        if self._whole is not None:
            raise RuntimeError(
                "network[:k] shows the layers of another network and cannot be trained by itself. Train that one, or "
                "make a network of copies: [layer.copy() for layer in network.layers[:k]]."
            )
        self._check_runs_layers("fit")
        if type(self).penalty is not Network.penalty and (
            type(self).add_penalty_gradients is Network.add_penalty_gradients
        ):
            raise TypeError(
                f"{type(self).__name__} has a penalty of its own without its gradient. "
                "Override add_penalty_gradients too."
            )
        with self._lock.training():
            with self._lock:  # waits for the calls of other threads that have begun
                self._pending.clear()
            yield

    def __copy__(self) -> Self:
        """A copy is a deep one: layers belong to one network alone."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """The state that is copied or pickled."""
        if self._whole is not None:
            raise TypeError("network[:k] shows the layers of another network: copy that one, or its layers.")
        left_out = ("store", "_inference", "_pending")
        state = {name: value for name, value in vars(self).items() if name not in left_out}
        return state | {VIEWS: kept_views(self.store.layers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy, whose layers have views of its own vectors."""
        kept = state.pop(VIEWS)
        self.__dict__.update(state)
        self._pending, self._inference = [], None
        self.store = ParameterStore(self.tree() if self.built else [], self.dtype, keep=True)
        restore_views(self.store.layers, kept)
        for layer in self.layers:
            layer.belong_to(self)


class _Pass(NamedTuple):
    """A forward by hand."""

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    outputs: list[FloatArray | None]  # of each layer that keeps them

    def is_of(self, layers: tuple[Layer, ...]) -> bool:
        """Whether these layers were run, and none of them since."""
        if len(layers) != len(self.layers):
            return False
        pairs = [(layer.output, kept) for layer, kept in zip(self.layers, self.outputs, strict=True)]
        return all(now is kept or np.array_equal(now, kept, equal_nan=True) for now, kept in pairs)  # type: ignore[arg-type]


def _size(layer: Layer, shape: Shape) -> int:
    """How many numbers a layer, and those within it, keep for an input shape."""
    shapes = layer.sublayer_shapes(shape)
    within = sum(_size(inner, shapes[name]) for name, inner in layer.sublayers().items())
    return within + sum(spec.size for spec in layer.declare(shape))


def _copy_in(name: str, target: FloatArray, values: NDArray[Any]) -> None:
    if np.shape(values) != target.shape:
        raise ValueError(f"{name} is a vector of {target.size} numbers, got shape {np.shape(values)}.")
    target[...] = real_numbers(name, values)


def _check_can_move(layer: Layer, shape: Shape, built: bool) -> None:
    """Check that a layer which was built elsewhere gets the inputs that it was built for."""
    if layer.input_shape not in (None, shape) and not built and any(each.specs for _, each in layer.tree()):
        raise ValueError(
            f"{layer.label} was built for inputs of shape {layer.input_shape} and would get {shape} here. "
            "Make a new layer for inputs of another shape."
        )


def _check_channels_first(layer: Layer, shape: Shape) -> None:
    """Refuse an image whose channels obviously stand last."""
    from handconv.layers import AveragePool2D, Conv2D, GlobalAveragePool2D, MaxPool2D

    images = isinstance(layer, Conv2D | MaxPool2D | AveragePool2D | GlobalAveragePool2D)
    if images and len(shape) == 3 and shape[0] == shape[1] > 4 and shape[2] in (1, 3):
        first = (shape[2], shape[0], shape[1])
        raise ValueError(
            f"Images are (C, H, W), channels first; input_shape {shape} has them last. Use input_shape={first} and "
            "x.transpose(0, 3, 1, 2)."
        )


_PASSES = attrgetter("forward", "backward")
_ONE_LINE = 80  # the longest text of a network that stands in one line

#: Attributes that networks of other libraries have, and that would be set here without effect.
_FOREIGN = {
    "trainable": "All its parameters are trained. To train the last layers alone, train a network of them on the "
    "features model[:k].predict(x).",
    "training": "forward(x, training=True) runs the layers as in training, predict as out of it.",
    "stop_training": "A callback ends a training by returning True from on_epoch_end.",
    "optimizer": "Give optimizer=… to fit.",
    "learning_rate": "Give an optimizer with this rate to fit, such as optimizer=Adam(rate).",
    "batch_size": "Give batch_size=… to fit.",
    "weights": "Use parameters[...] = vector, or layer.set_parameters(weights=…).",
    "loss": "Give loss=… to fit.",
    "metrics": "fit measures loss and accuracy; handconv.metrics has others, to be called with predict's outputs.",
    "seed": "Give seed=… when it is made.",
}
