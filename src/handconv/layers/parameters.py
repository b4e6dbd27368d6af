"""What a layer learns, and what it keeps: named arrays that are views into flat vectors.

    parameters   what training moves, with a gradient each            weights, biases, gamma …
    buffers      state that is no parameter, without a gradient       running statistics, counters …

A layer declares its arrays as ``ParameterSpec``; a ``ParameterStore`` gives each of them a place in three flat vectors
(parameters, gradients, buffers) and lets ``layer.weights``, ``layer.dweights`` … be views of these places. What an
optimizer, a file, a copy between processes or a sum over shards does is then one operation on one vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Generic, Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.initializers import initialize
from handconv.layers.kept_views import kept_views, restore_views
from handconv.utils.memory import check_fits
from handconv.utils.validation import check_bool, is_int, real_numbers

Initializer = str | Callable[..., NDArray[Any]]


class ParameterSpec(NamedTuple):
    """The declaration of one array of a layer: how it looks, starts, and takes part in training.

    Args:
        name: for example "weights"; the array is then ``layer.weights``, its gradient ``layer.dweights``.
        shape: of the array.
        initializer: a name in ``handconv.initializers``, or a function with their arguments.
        fan_in: numbers that go into one output.
        fan_out: outputs that one number goes into.
        trainable: whether the optimizer moves it. An array that is not trainable is a buffer: state such as running
            statistics, which is saved, resumed, copied and shared between processes.
        l1: the penalty on the sum of absolute values.
        l2: the penalty on the sum of squares.
        decay: whether decoupled weight decay shrinks it; if not given, arrays with two axes or more are shrunk, so that
            biases and the scales of normalisations are not.
        reduce: how the changes that the shards of a batch make to a buffer become one. Every shard starts from the old
            value; "mean" adds the mean of the changes, weighted by the samples of each shard; "sum" adds all of them,
            which suits counters.

    Example:
        >>> spec = ParameterSpec("running_mean", (8,), trainable=False)
        >>> spec.size, spec.trainable, spec.decays
        (8, False, False)
    """

    name: str
    shape: Shape
    initializer: Initializer = "zeros"
    fan_in: int = 1
    fan_out: int = 1
    trainable: bool = True
    l1: float = 0.0
    l2: float = 0.0
    decay: bool | None = None
    reduce: Literal["mean", "sum"] = "mean"

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def decays(self) -> bool:
        """Whether decoupled weight decay shrinks it."""
        return self.trainable and (len(self.shape) > 1 if self.decay is None else self.decay)


def checked_specs(owner: str, declared: object, reserved: type) -> tuple[ParameterSpec, ...]:
    """Check what a layer declares, and return it as a tuple.

    Args:
        owner: the layer, for messages.
        declared: what ``declare`` returned.
        reserved: the class of the layer, whose attributes arrays must not be named like.

    Raises:
        TypeError: if it is not made of specs.
        ValueError: if a name is taken twice, or a spec makes no sense.
    """
    specs = (declared,) if isinstance(declared, ParameterSpec) else declared
    if not isinstance(specs, tuple | list) or not all(isinstance(spec, ParameterSpec) for spec in specs):
        raise TypeError(f"{owner}.declare must return a tuple of ParameterSpec, got {declared!r}.")
    taken: list[str] = []
    for spec in specs:
        names = [spec.name, *([f"d{spec.name}"] if spec.trainable else [])]
        wrong = [
            name for name in names if not str(name).isidentifier() or hasattr(reserved, str(name)) or name in taken
        ]
        if wrong:
            raise ValueError(
                f"{owner} declares an array {spec.name!r}, and {wrong[0]!r} is no free name of an attribute. "
                "Take another."
            )
        taken += names
        sizes, penalties = spec.shape, (spec.l1, spec.l2)
        if not isinstance(sizes, tuple) or not all(is_int(size) and size >= 1 for size in sizes):
            raise ValueError(f"{owner}: the shape of {spec.name} must be whole numbers of at least 1, got {sizes!r}.")
        if not all(isinstance(penalty, Real) and 0 <= float(penalty) < math.inf for penalty in penalties):
            raise ValueError(f"{owner}: l1 and l2 of {spec.name} must be numbers of at least 0, got {penalties}.")
        for flag, value in (("trainable", spec.trainable), ("decay", spec.decay or False)):
            check_bool(f"{owner}: {flag} of {spec.name}", value)
        if spec.reduce not in ("mean", "sum"):
            raise ValueError(f'{owner}: reduce of {spec.name} must be "mean" or "sum", got {spec.reduce!r}.')
    return tuple(specs)


class Declaring:
    """The part of a layer that declares arrays. They become its attributes; assigning to one copies the values in."""

    name: str | None = None
    input_shape: Shape | None = None
    #: The arrays that were declared, once it is built.
    specs: tuple[ParameterSpec, ...] = ()

    @property
    def label(self) -> str:
        """Class and name, for messages."""
        return type(self).__name__ if self.name is None else f"{type(self).__name__} {self.name!r}"

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The declared arrays and their gradients by name, once the layer is built."""
        found: dict[str, FloatArray] = self.__dict__.get("arrays", {})
        return found

    @arrays.setter
    def arrays(self, arrays: dict[str, FloatArray]) -> None:
        self.__dict__["arrays"] = arrays

    def set_parameters(self, **values: NDArray[Any]) -> Self:
        """Copy arrays into the parameters by name, checking their shapes."""
        for name, value in values.items():
            self._copy_in(name, value, getattr(self, name))
        return self

    def __getattr__(self, name: str) -> Any:
        arrays = self.__dict__.get("arrays", {})
        if name in arrays:
            return arrays[name]
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "training":
            raise AttributeError(f"{self.label} has no 'training'. It is an argument: forward(self, inputs, training).")
        if self.input_shape is None:
            remedy = "An array of parameters exists once the layer is built: call forward(x) or build(shape)."
        else:
            remedy = f"It has {', '.join(arrays)}." if arrays else "It has no parameters."
        raise AttributeError(f"{self.label} has no {name!r}. {remedy}")

    def _copy_in(self, name: str, value: Any, target: FloatArray) -> None:
        array = real_numbers(f"{self.label}: {name}", value)
        if array.ndim and array.shape != target.shape:
            raise ValueError(f"{self.label}: {name} must have shape {target.shape}, got {array.shape}.")
        is_gradient = any(name == f"d{spec.name}" for spec in self.specs)
        if is_gradient and not array.ndim and target.size > 1 and array != 0:  # a sum over too much, most likely
            raise ValueError(
                f"{self.label}: {name} must have shape {target.shape}, got the single number {array:g}. Sum over the "
                "samples alone, as sum(axis=0) does."
            )
        target[...] = array

    def _make_room(self, specs: tuple[ParameterSpec, ...]) -> None:
        """Refuse attributes that would hide declared arrays; remove those that are None, as mere placeholders."""
        for name in [name for spec in specs for name in (spec.name, f"d{spec.name}")]:
            if vars(self).get(name, self) is None:
                object.__delattr__(self, name)
            elif name in vars(self):
                raise ValueError(
                    f"{self.label} has set {name!r} before it was built, which would hide the array of this name that "
                    "it declares. Set it after build(shape), or give the declaration an initializer."
                )


D = TypeVar("D", bound=Declaring)


class ParameterView(NamedTuple, Generic[D]):
    """Where one array of a layer lies in the vectors.

    Attributes:
        name: the path of the layer and the name of the array, "0.weights" or "3.conv1.weights".
        layer: whose array it is.
        order: of its declaration in ``layer.specs``.
        place: in the vector of parameters, or of buffers.
    """

    name: str
    layer: D
    order: int
    place: slice

    @property
    def spec(self) -> ParameterSpec:
        """The declaration as it is now: penalties may be changed at any time."""
        return self.layer.specs[self.order]

    @property
    def shape(self) -> Shape:
        """The shape of the array."""
        return self.spec.shape

    def of(self, vector: FloatArray) -> FloatArray:
        """The array as a view into a vector."""
        return vector[self.place].reshape(self.spec.shape)


class ParameterStore(Generic[D]):
    """The vectors of some layers, and which array lies where.

    Args:
        layers: the layers by path, each with its shapes known; those within others come after them.
        dtype: of the vectors.
        generator: where random initial values come from.
        keep: whether arrays that a layer has already keep their values.

    Raises:
        ValueError: if an array that is kept has another shape than the layer now declares.
    """

    def __init__(
        self,
        layers: Sequence[tuple[str, D]],
        dtype: DTypeLike,
        generator: np.random.Generator | int | None = None,
        *,
        keep: bool = False,
    ) -> None:
        self.layers = [layer for _, layer in layers]
        trainable: list[ParameterView[D]] = []
        buffers: list[ParameterView[D]] = []
        ends = {True: 0, False: 0}
        for path, layer in layers:
            for order, spec in enumerate(layer.specs):
                start, kind = ends[spec.trainable], trainable if spec.trainable else buffers
                ends[spec.trainable] = start + spec.size
                name = f"{path}.{spec.name}" if path else spec.name
                kind.append(ParameterView(name, layer, order, slice(start, start + spec.size)))
        self.trainable, self.buffered = tuple(trainable), tuple(buffers)
        check_fits(
            (2 * ends[True] + ends[False]) * np.dtype(dtype).itemsize,
            f"A network of {ends[True]:,} parameters, with their gradients,",
            "Take smaller images, or reduce them more before the first Dense layer.",
        )
        self.parameters = np.zeros(ends[True], dtype)
        self.gradients, self.buffers = np.zeros_like(self.parameters), np.zeros(ends[False], dtype)
        self._fill(np.random.default_rng(generator), keep=keep)
        self.bind(self.parameters, self.gradients, self.buffers)

    @property
    def means(self) -> NDArray[np.bool_]:
        """A mask over the buffers: True where the changes of a batch's shards are averaged, False where summed."""
        mask = np.zeros(self.buffers.size, np.bool_)
        for view in self.buffered:
            mask[view.place] = view.spec.reduce == "mean"
        return mask

    def first(self, layers: Sequence[D]) -> ParameterStore[D]:
        """The store of the first layers alone, over the same memory."""
        part: ParameterStore[D] = object.__new__(ParameterStore)
        part.layers = list(layers)
        part.trainable = tuple(view for view in self.trainable if view.layer in part.layers)
        part.buffered = tuple(view for view in self.buffered if view.layer in part.layers)
        end, buffers_end = (views[-1].place.stop if views else 0 for views in (part.trainable, part.buffered))
        part.parameters, part.gradients = self.parameters[:end], self.gradients[:end]
        part.buffers = self.buffers[:buffers_end]
        return part

    def _fill(self, generator: np.random.Generator, *, keep: bool) -> None:
        for vector, views in ((self.parameters, self.trainable), (self.buffers, self.buffered)):
            for view in views:
                spec, old = view.spec, view.layer.arrays.get(view.spec.name) if keep else None
                if old is None:
                    view.of(vector)[...] = initialize(
                        spec.initializer, spec.shape, spec.fan_in, spec.fan_out, generator, vector.dtype
                    )
                elif old.shape != spec.shape:
                    raise ValueError(
                        f"{type(view.layer).__name__} was built with {spec.name} of shape {old.shape} and would need "
                        f"{spec.shape} here. Make a new layer for inputs of another shape."
                    )
                else:
                    view.of(vector)[...] = old

    def bind(self, parameters: FloatArray, gradients: FloatArray, buffers: FloatArray) -> None:
        """Let the arrays of the layers be views into these vectors; values are not copied."""
        kept = kept_views(self.layers)
        self.parameters, self.gradients, self.buffers = parameters, gradients, buffers
        for layer in self.layers:
            layer.arrays = {}
        for view in self.trainable:
            view.layer.arrays[view.spec.name] = view.of(parameters)
            view.layer.arrays[f"d{view.spec.name}"] = view.of(gradients)
        for view in self.buffered:
            view.layer.arrays[view.spec.name] = view.of(buffers)
        restore_views(self.layers, kept)
