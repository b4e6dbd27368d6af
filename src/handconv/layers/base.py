"""What a layer is: a shape in, a shape out, a forward pass, and the backward pass that mirrors it.

    y = forward(x)          dx = backward(dy)        with dy the gradient of the loss with respect to y

A layer is a page of mathematics in the public shape (N, C, H, W) or (N, D). ``forward`` computes ``output`` and keeps
what ``backward`` will need; ``backward`` turns the gradient with respect to the outputs into the gradient with respect
to the inputs, ``dinputs``, and fills the gradients of the parameters. Nothing else happens here: on which samples a
layer is run, and how fast, is decided elsewhere.

A layer may hold layers: those that it keeps as attributes, or in lists or dicts, are found and belong to it.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.parameters import ParameterSpec, ParameterStore, checked_specs
from handconv.utils.validation import check_dtype, check_setting, is_int, unmasked

_TRANSIENT = ("_owner", "_store", "arrays")
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Layer:
    """One step of a network, usable alone and in ``Sequential``.

    A layer of your own overrides ``forward`` and ``backward`` and keeps what it likes on itself. It overrides
    ``infer_shape`` too if the shape changes, and ``declare`` if it has parameters or running statistics. Random numbers
    come from ``self.generator``. ``handconv.gradcheck`` tells whether its backward is right.

    Args:
        name: the layer's name in ``summary`` and in files.

    Attributes:
        input_shape, output_shape: of one sample, without the batch axis; known once the layer is built.
        output: of the last ``forward``.
        dinputs: of the last ``backward``.

    Example:
        >>> import numpy as np, handconv as hc
        >>> class Square(hc.Layer):
        ...     def forward(self, inputs, training=False):
        ...         self.x = inputs
        ...         return inputs * inputs
        ...     def backward(self, dvalues):
        ...         return 2 * self.x * dvalues
        >>> square = Square()
        >>> square.forward(np.array([[3.0, -1.0]])).tolist(), square.backward(np.array([[1.0, 1.0]])).tolist()
        ([[9.0, 1.0]], [[6.0, -2.0]])
    """

    #: Whether it treats every number alike, whatever the shape; then it takes any shape at any time.
    elementwise: ClassVar[bool] = False
    #: The fewest samples that it can be trained on together.
    min_samples: ClassVar[int] = 1
    #: The arguments that may be given as one number for both directions, and are shown so.
    pairs: ClassVar[tuple[str, ...]] = ()

    name: str | None = None
    input_shape: Shape | None = None
    output_shape: Shape | None = None
    dtype: np.dtype[Any] = np.dtype(np.float32)
    output: FloatArray | None = None
    dinputs: FloatArray | None = None
    generator: np.random.Generator | None = None
    #: The arrays that the layer declared, once it is built.
    specs: tuple[ParameterSpec, ...] = ()
    #: Counts changes of settings, methods and sublayers.
    version: int = 0

    #: The arguments of the constructor by name, and as Python shows them.
    arguments: ClassVar[dict[str, inspect.Parameter]] = {}
    __signature__: ClassVar[inspect.Signature]
    _constructor: ClassVar[object] = None

    def __init_subclass__(cls) -> None:
        if {*cls.__dict__.get("__slots__", ())} - {"__dict__", "__weakref__"}:
            raise TypeError(f"{cls.__name__} has __slots__, which copies of a layer would lose. Leave them out.")
        cls._note_arguments()

    @classmethod
    def _note_arguments(cls) -> None:
        """Note the arguments of the constructor, which a dataclass has only once the class is made."""
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)  # what help() and editors show, rather than __new__'s
        cls.arguments = {parameter.name: parameter for parameter in parameters if parameter.kind not in _VARIABLE}
        cls._constructor = cls.__init__
        if cls.__eq__ is not object.__eq__:  # a layer is the same as itself alone
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]
        if getattr(getattr(cls, "__dataclass_params__", None), "frozen", False):
            raise TypeError(
                f"{cls.__name__} is a frozen dataclass, and a layer keeps what it computes. Use @dataclass."
            )

    def __new__(cls, *values: Any, **arguments: Any) -> Self:
        """Refuse arguments that the constructor does not have, and say what stands in their place."""
        if cls._constructor is not cls.__init__:
            cls._note_arguments()
        known = cls.arguments
        unknown = [name for name in arguments if name not in known]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values()):
            remedy = f" {_REMEDIES[unknown[0]]}" if unknown[0] in _REMEDIES else ""
            raise TypeError(f"{cls.__name__} has no argument {unknown[0]!r}; it has {', '.join(known)}.{remedy}")
        ours = cls.__module__.startswith(_OURS)
        first = [name for name, argument in known.items() if argument.kind is argument.POSITIONAL_OR_KEYWORD]
        if ours and len(values) > len(first):
            raise TypeError(
                f"{cls.__name__} takes {' and '.join(first) or 'nothing'} by place, got {len(values)} values. Give the "
                "others by name, stride=2 for one; how many channels or numbers come in, the inputs tell."
            )
        return super().__new__(cls)

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def infer_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape for an input shape, or raise ``ValueError`` if the layer cannot take it."""
        for layer in self.sublayers().values():
            input_shape = layer.infer_shape(input_shape)
        return input_shape

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """List the layer's own parameters and buffers for an input shape."""
        return ()

    def sublayers(self) -> dict[str, Layer]:
        """The layers that this one holds, by name: its attributes that are layers, or lists or dicts of them."""
        return {path: layer for name, value in vars(self).items() for path, layer in _layers_in(value, name)}

    def sublayer_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The input shape of each layer within: one after the other, unless a subclass says otherwise."""
        shapes = {}
        for name, layer in self.sublayers().items():
            shapes[name], input_shape = input_shape, layer.infer_shape(input_shape)
        return shapes

    def tree(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """Walk through this layer and all that it holds, each with its path, as in "3.conv1"."""
        yield path, self
        for name, layer in self.sublayers().items():
            yield from layer.tree(f"{path}.{name}" if path else name)

    def fix_shapes(self, input_shape: Shape, dtype: DTypeLike) -> Shape:
        """Settle the shapes and declarations of this layer and of those within; nothing is allocated."""
        input_shape = tuple(input_shape)
        output_shape = self._inferred(input_shape)
        shapes, held = self.sublayer_shapes(input_shape), self.sublayers()
        for name, layer in held.items():
            layer.fix_shapes(shapes[name], dtype)
        specs = checked_specs(self.label, self.declare(input_shape), type(self))
        self._make_room(specs)
        self.output_shape, self.dtype = output_shape, check_dtype(dtype)
        self.specs, self.input_shape = specs, input_shape
        return output_shape

    def _inferred(self, input_shape: Shape) -> Shape:
        """What ``infer_shape`` returns, checked."""
        returned: object = self.infer_shape(input_shape)
        sizes = tuple(returned) if isinstance(returned, tuple | list | np.ndarray) else None
        if sizes is None or not all(is_int(size) and size >= 1 for size in sizes):
            raise ValueError(
                f"{self.label}.infer_shape must return the shape of one sample, such as {input_shape}, "
                f"got {returned!r}."
            )
        return sizes

    def _make_room(self, specs: tuple[ParameterSpec, ...]) -> None:
        """Refuse attributes that would hide declared arrays; None held the place until now."""
        for name in [name for spec in specs for name in (spec.name, f"d{spec.name}")]:
            if vars(self).get(name, self) is None:
                object.__delattr__(self, name)
            elif name in vars(self):
                raise ValueError(
                    f"{self.label} has set {name!r} before it was built, which would hide the array of this name that "
                    "it declares. Set it after build(shape), or give the declaration an initializer."
                )

    def build(
        self,
        input_shape: Shape,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | int | None = None,
    ) -> Shape:
        """Fix the shapes and make the parameters of a layer that is used alone; the first ``forward`` does it too.

        Args:
            input_shape: the shape of one sample.
            dtype: float32, or float64 for proofs.
            generator: where random initial values come from; a number is a seed.

        Returns:
            The shape of one output.

        Raises:
            ValueError: if the layer cannot take this shape, or belongs to a network.
        """
        if self.owner is not None:
            raise ValueError(f"{self.label} belongs to a network, which builds it. Use layer.copy() to build it alone.")
        shape = self.fix_shapes(input_shape, dtype)
        self._store = ParameterStore(list(self.tree()), dtype, generator)
        return shape

    @property
    def multiply_adds(self) -> int:
        """Multiplications of the forward pass of one sample, each with its addition."""
        return sum(layer.multiply_adds for layer in self.sublayers().values())

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute the outputs, and keep what ``backward`` needs.

        Args:
            inputs: (N, …input_shape); any memory order; not changed.
            training: whether layers that act differently in training (``Dropout``) do so.

        Raises:
            ValueError: if the shape of a sample is not the one that the layer was built for.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, inputs, training=False).")

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Turn the gradient with respect to the outputs of the last ``forward`` into that with respect to its inputs.

        Gradients of parameters are overwritten, not added to; ``dvalues`` is not changed.

        Raises:
            RuntimeError: if there was no ``forward`` before.
            ValueError: if ``dvalues`` has another shape than the outputs.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward(self, dvalues).")

    def check_inputs(self, inputs: NDArray[Any]) -> FloatArray:
        """Check a batch of inputs, build the layer at first use, and bring the inputs to its dtype and to C order.

        Raises:
            ValueError: if the shape of a sample is not the one that the layer was built for.
        """
        x = unmasked("inputs", inputs)
        if x.dtype.kind not in "biuf":
            raise TypeError(f"{self.label} expects real numbers, got an array of {x.dtype}.")
        if x.ndim < 1:
            raise ValueError(f"{self.label} expects a batch (N, …), got a single number. Use x[None].")
        if self.input_shape is None:
            self.build(x.shape[1:], dtype=np.float64 if x.dtype == np.float64 else np.float32)
        expected = self.input_shape or ()
        if x.shape[1:] != expected and not self.elementwise:
            raise ValueError(
                f"{self.label} was built for inputs of shape (N, {', '.join(map(str, expected))}), got {x.shape}."
                + _channels_last_hint(expected, x.shape)
            )
        return np.asarray(x, self.dtype, order="C")  # sums depend on the order, in the last bit

    def check_gradient(self, dvalues: NDArray[Any]) -> FloatArray:
        """Check the gradient with respect to the outputs, and bring it to the layer's dtype and to C order.

        Raises:
            RuntimeError: if there was no ``forward`` before.
            ValueError: if it has another shape than the outputs.
        """
        if self.output is None:
            raise RuntimeError(f"{self.label}.backward needs a forward before it: call forward(x) first.")
        dy = np.asarray(dvalues, self.dtype, order="C")
        if dy.shape != self.output.shape:
            raise ValueError(
                f"{self.label}.backward expects the gradient with respect to its outputs, of their shape "
                f"{self.output.shape}, got {dy.shape}."
            )
        return dy

    def check_result(self, method: str, values: object, shape: tuple[int, ...]) -> NDArray[Any]:
        """Check what ``forward`` or ``backward`` of a layer of one's own returned.

        Raises:
            ValueError, TypeError: if it is not an array of real numbers of this shape.
        """
        try:
            array = np.asarray(values)
        except ValueError:  # arrays of several shapes
            array = np.empty(0, object)
        if array.dtype.kind not in "biuf" and values is not None:
            kind = f"{array.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
            raise TypeError(f"{self.label}.{method} must return real numbers, got {kind}.")
        if array.shape != shape:
            returned = "nothing" if values is None else f"an array of shape {array.shape}"
            remedy = "Say the new shape in infer_shape." if method == "forward" else "Return dinputs."
            raise ValueError(f"{self.label}.{method} must return an array of shape {shape}, got {returned}. {remedy}")
        return array

    def set_parameters(self, **values: NDArray[Any]) -> Self:
        """Copy arrays into the parameters by name, checking their shapes."""
        for name, value in values.items():
            self._copy_in(name, value, getattr(self, name))
        return self

    def copy(self) -> Self:
        """A copy with the same values that belongs to no network, to be taken into another one."""
        return copy.deepcopy(self)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values, from which ``type(layer)(**config)`` makes the same layer.

        Raises:
            AttributeError: if the layer does not keep an argument under its own name.
        """
        config = {}
        for name in self.arguments:
            try:
                config[name] = getattr(self, name)
            except AttributeError:
                raise AttributeError(
                    f"{type(self).__name__} does not keep its argument {name!r}. Set self.{name} = {name} in __init__, "
                    "or override config(), so that the layer can be described and saved."
                ) from None
        return config

    def __repr__(self) -> str:
        shown = []
        for parameter in self.arguments.values():
            value = getattr(self, parameter.name, parameter.default)
            if value is parameter.empty:
                continue
            if parameter.name in self.pairs and isinstance(value, tuple) and value[0] == value[1]:
                value = value[0]
            if parameter.kind is not parameter.KEYWORD_ONLY:
                shown.append(repr(value))
            elif isinstance(value, np.ndarray) or value != parameter.default:
                shown.append(f"{parameter.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def label(self) -> str:
        """Class and name, for messages."""
        return type(self).__name__ if self.name is None else f"{type(self).__name__} {self.name!r}"

    @property
    def owner(self) -> object | None:
        """The network that the layer belongs to, while that is alive."""
        reference = self.__dict__.get("_owner")
        return None if reference is None else reference()

    def belong_to(self, network: object) -> None:
        """Let this layer and those within belong to a network.

        Raises:
            ValueError: if one of them belongs to another network.
        """
        for _, layer in self.tree():
            if layer.owner is not None and layer.owner is not network:
                raise ValueError(
                    f"{layer.label} belongs to another network, whose weights it shows. Take a copy, layer.copy(), "
                    "which keeps the values, or look at the first k layers of that network by network[:k]."
                )
        for _, layer in self.tree():
            layer.__dict__["_owner"], layer.__dict__["_store"] = weakref.ref(network), None

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The declared arrays and their gradients by name, once the layer is built."""
        found: dict[str, FloatArray] = self.__dict__.get("arrays", {})
        return found

    @arrays.setter
    def arrays(self, arrays: dict[str, FloatArray]) -> None:
        self.__dict__["arrays"] = arrays

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

    def __setattr__(self, name: str, value: Any) -> None:
        if type(self).__module__.startswith(f"{_OURS}layers."):
            self._check_setting(name)
        if name in self.__dict__.get("arrays", ()):
            self._copy_in(name, value, self.arrays[name])
        elif name in _FOREIGN and self.owner and not hasattr(self, name):
            raise AttributeError(f"{self.label} has no {name!r}. {_FOREIGN[name]}")
        elif self.input_shape is None:
            if name == "name":
                self._check_name(value)
            object.__setattr__(self, name, value)
        elif isinstance(value, Layer) or isinstance(self.__dict__.get(name), Layer):
            raise ValueError(f"{self.label} is built: its layer {name!r} cannot be replaced. Make a new layer.")
        elif name in self.arguments:
            self._change_setting(name, value)
        else:
            if name in ("forward", "backward", "__class__"):
                object.__setattr__(self, "version", self.version + 1)
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in ("forward", "backward"):
            object.__setattr__(self, "version", self.version + 1)

    def _copy_in(self, name: str, value: Any, target: FloatArray) -> None:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{self.label}: {name} must be real numbers, got {value if value is None else array.dtype}."
            )
        if array.ndim and array.shape != target.shape:
            raise ValueError(f"{self.label}: {name} must have shape {target.shape}, got {array.shape}.")
        target[...] = array

    def _check_setting(self, name: str) -> None:
        """Refuse what a layer of this package does not have."""
        if name in _FOREIGN:
            remedy = f" {_FOREIGN[name]}"
        elif name in _REMEDIES:
            remedy = f" {_REMEDIES[name]}"
        else:
            remedy = " Arrays exist once it is built: call forward(x) or build(shape)." * (self.input_shape is None)
        check_setting(self, self.label, name, [*self.arguments, *self.arrays], remedy)

    def _check_name(self, name: object) -> None:
        """Refuse another name than the one by which a network knows the layer."""
        if self.owner is not None and name != self.name:
            raise ValueError(
                f"{self.label} belongs to a network, which knows it by its name. Give name=… when it is made."
            )

    def _change_setting(self, name: str, value: Any) -> None:
        """Change an argument of a built layer as the constructor would take it, if all shapes stay as they are."""
        if name == "name":
            self._check_name(value)
        before = self.__dict__.get(name)
        with contextlib.suppress(AttributeError):  # of a layer that does not keep all its arguments
            value = getattr(type(self)(**{**self.config(), name: value}), name)
        object.__setattr__(self, name, value)
        try:
            specs, shape = (
                checked_specs(self.label, self.declare(self.input_shape or ()), type(self)),
                self._inferred(self.input_shape or ()),
            )
            fits = shape == self.output_shape and [(s.name, s.shape) for s in specs] == [
                (s.name, s.shape) for s in self.specs
            ]
        except ValueError:
            specs, fits = (), False
        if not fits:
            object.__setattr__(self, name, before)
            raise ValueError(
                f"{self.label} is built, and {name}={value!r} would change its shapes; it stays {before!r}. "
                "Make a new layer."
            )
        object.__setattr__(self, "specs", specs)
        object.__setattr__(self, "version", self.version + 1)

    def __copy__(self) -> Self:
        """A copy is a deep one: layers that it holds belong to it alone."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: everything but the owner, with arrays of its own."""
        state = {name: value for name, value in vars(self).items() if name not in _TRANSIENT}
        state["values"] = {spec.name: self.arrays[spec.name].copy() for spec in self.specs if self.arrays}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state.pop("values")
        self.__dict__.update(state)
        if self.input_shape is not None:
            self._rebuild(values)

    def _rebuild(self, values: dict[str, FloatArray]) -> None:
        """Give a copy a store of its own, filled with the values of the original."""
        self.__dict__["arrays"] = values  # which the store keeps
        self.__dict__["_store"] = ParameterStore(list(self.tree()), self.dtype, 0, keep=True)


#: Arguments that other libraries have, and what stands in their place here.
_REMEDIES = {
    "activation": "An activation is a layer of its own: [Dense(3), ReLU()].",
    "input_shape": "Give input_shape to Sequential.",
    "input_dim": "Give input_shape=(D,) to Sequential.",
    "in_channels": "The inputs tell the number of channels.",
    "in_features": "The inputs tell their number.",
    "kernel_regularizer": "Use l2=….",
    "bias": "Use use_bias=….",
    "strides": "Use stride=….",
    "p": "Use rate=….",
    "negative_slope": "Use alpha=….",
}


_OURS = "handconv."
_KEPT = (
    "All parameters of a network are trained. To keep some as they are, train a network of the other layers on what "
    "the first k give: features = model[:k].predict(x)."
)
#: Attributes that layers of other libraries have, and that would be set here without effect.
_FOREIGN = {"trainable": _KEPT, "requires_grad": _KEPT}


def _layers_in(value: object, path: str) -> Iterator[tuple[str, Layer]]:
    """The layers that a value is, or holds in lists and dicts, with their paths."""
    if isinstance(value, Layer):
        yield path, value
    elif isinstance(value, list | tuple | Mapping):
        for key, each in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _layers_in(each, f"{path}.{key}")


def _channels_last_hint(expected: Shape, received: Shape) -> str:
    if len(expected) == 3 and len(received) == 4 and received[1:] == (*expected[1:], expected[0]):
        return " Channels last? Use x.transpose(0, 3, 1, 2)."
    if len(received) == len(expected):
        return " A single sample? Use x[None]."
    return ""


Layer.__init_subclass__()  # its own arguments are known in the same way
