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
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.arguments import REMEDIES, Arguments
from handconv.layers.kept_functions import rebind_functions
from handconv.layers.kept_views import VIEWS, kept_views, restore_views
from handconv.layers.parameters import Declaring, ParameterSpec, ParameterStore, checked_specs
from handconv.utils.nearest import nearest
from handconv.utils.settings import is_change
from handconv.utils.validation import (
    MaskedValuesError,
    check_dtype,
    check_not_a_method,
    is_int,
    is_ours,
    real_numbers,
    shape_remedy,
    unmasked,
)


class Layer(Declaring, Arguments):
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

    #: Whether it applies one function to each number, so that its inputs may have another shape at each call.
    elementwise: ClassVar[bool] = False
    #: The fewest samples that it can be trained on together.
    min_samples: ClassVar[int] = 1
    output_shape: Shape | None = None
    dtype: np.dtype[Any] = np.dtype(np.float32)
    output: FloatArray | None = None
    dinputs: FloatArray | None = None
    generator: np.random.Generator | None = None
    #: Counts changes of this layer's settings, methods and sublayers.
    _version: int = 0
    #: Counts such changes of all layers together: while it is the same, no layer needs to be checked for changes.
    changes: ClassVar[int] = 0
    _owner: weakref.ref[object] | None = None

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

    @property
    def multiply_adds(self) -> int:
        """Multiplications of the forward pass of one sample, each with its addition."""
        return sum(layer.multiply_adds for layer in self.sublayers().values())

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
        ParameterStore(list(self.tree()), dtype, generator)  # gives each layer its arrays
        return shape

    def check_inputs(self, inputs: NDArray[Any]) -> FloatArray:
        """Check a batch of inputs, build the layer at first use, and bring the inputs to its dtype and to C order.

        Raises:
            ValueError: if the shape of a sample is not the one that the layer was built for.
        """
        x = real_numbers(f"{self.label}: inputs", inputs)
        if x.ndim < 1:
            raise ValueError(f"{self.label} expects a batch (N, …), got a single number. Use x[None].")
        if self.input_shape is None:
            self.build(x.shape[1:], dtype=np.float64 if x.dtype == np.float64 else np.float32)
        expected = self.input_shape or ()
        if x.shape[1:] != expected and not self.elementwise:
            raise ValueError(
                f"{self.label} was built for inputs of shape (N, {', '.join(map(str, expected))}), got {x.shape}."
                + shape_remedy(x.shape, expected)
            )
        return np.asarray(x, self.dtype, order="C")  # the last bits of sums depend on the memory order

    def check_gradient(self, dvalues: NDArray[Any]) -> FloatArray:
        """Check the gradient with respect to the outputs, and bring it to the layer's dtype and to C order.

        Raises:
            RuntimeError: if there was no ``forward`` before.
            ValueError: if it has another shape than the outputs.
        """
        if self.output is None:
            raise RuntimeError(f"{self.label}.backward needs a forward before it: call forward(x) first.")
        dy = np.asarray(real_numbers(f"{self.label}.backward: dvalues", dvalues), self.dtype, order="C")
        if dy.shape != self.output.shape:
            raise ValueError(
                f"{self.label}.backward expects the gradient with respect to its outputs, of their shape "
                f"{self.output.shape}, got {dy.shape}."
            )
        return dy

    def check_result(self, method: str, values: object, shape: tuple[int, ...]) -> NDArray[Any]:
        """Check what ``forward`` or ``backward`` of a user-defined layer returned.

        Raises:
            ValueError, TypeError: if it is not an array of real numbers of this shape.
        """
        try:
            array = unmasked(f"What {self.label}.{method} returns", values)
        except MaskedValuesError:
            raise
        except ValueError:
            array = np.empty(0, object)  # a list of arrays of several shapes, refused below
        if array.dtype.kind not in "biuf" and values is not None:
            kind = f"{array.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
            raise TypeError(f"{self.label}.{method} must return real numbers, got {kind}.")
        if array.shape != shape:
            returned = "nothing" if values is None else f"an array of shape {array.shape}"
            remedy = "Say the new shape in infer_shape." if method == "forward" else "Return dinputs."
            raise ValueError(f"{self.label}.{method} must return an array of shape {shape}, got {returned}. {remedy}")
        return array

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
        output_shape, shapes = self._inferred(input_shape), self.sublayer_shapes(input_shape)
        for name, layer in self.sublayers().items():
            layer.fix_shapes(shapes[name], dtype)
        specs = self._declared(input_shape)
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

    def _declared(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """What ``declare`` returns, checked."""
        return checked_specs(self.label, self.declare(input_shape), type(self))

    @property
    def owner(self) -> object | None:
        """The network that the layer belongs to, while that is alive."""
        return None if self._owner is None else self._owner()

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
            layer._owner = weakref.ref(network)

    def copy(self) -> Self:
        """A copy with the same values that belongs to no network, to be taken into another one."""
        return copy.deepcopy(self)

    def __copy__(self) -> Self:
        """A copy is a deep one: layers that it holds belong to it alone."""
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy, whose own functions, such as lambdas made in ``__init__``, look at the copy and not at this layer."""
        made = memo[id(self)] = object.__new__(type(self))
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        rebind_functions(made, memo)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: everything but the owner, with arrays of its own."""
        kept = kept_views([layer for _, layer in self.tree()])
        left_out = {"_owner", "arrays", *(view.path[0] for view in kept if view.keeper == 0 and len(view.path) == 1)}
        state = {name: value for name, value in vars(self).items() if name not in left_out}
        values = {spec.name: self.arrays[spec.name].copy() for spec in self.specs if self.arrays}
        return state | {VALUES: values, VIEWS: kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.arrays, kept = state.pop(VALUES), state.pop(VIEWS)
        vars(self).update(state)
        if self.input_shape is not None:
            store = ParameterStore(list(self.tree()), self.dtype, keep=True)  # gives them vectors of their own
            restore_views(store.layers, kept)

    def __setattr__(self, name: str, value: Any) -> None:
        """Copy into declared arrays, check settings, and refuse what would have no effect."""
        check_not_a_method(self, name, value)
        if name in self.arrays:
            self._copy_in(name, value, self.arrays[name])
        elif not hasattr(self, name) and (remedy := self._remedy(name)):
            raise AttributeError(f"{self.label} has no {name!r}. {remedy}")
        elif name == "name" and self.owner is not None and value != self.name:
            raise ValueError(
                f"{self.label} belongs to a network, which knows it by its name. Give name=… when it is made."
            )
        elif self.input_shape is None:
            changed = is_ours(type(self)) and is_change(self, name)
            object.__setattr__(self, name, self.as_constructed(name, value) if changed else value)
        elif isinstance(self.__dict__.get(name), Layer):
            raise ValueError(f"{self.label} is built: its layer {name!r} cannot be replaced. Make a new layer.")
        elif isinstance(value, Layer):
            raise ValueError(
                f"{self.label} is built: a layer that is set as {name!r} now would not be trained. Make all layers in "
                "__init__."
            )
        elif name in self.arguments:
            self._change_setting(name, value)
        else:
            object.__setattr__(self, name, value)
            if name in _METHODS:
                self._count_change()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in _METHODS:
            self._count_change()

    def _count_change(self) -> None:
        self._version += 1
        Layer.changes += 1

    def _remedy(self, name: str) -> str:
        """What to use instead of an attribute of other libraries, or of a misspelt setting; "" if there is nothing."""
        if name in _FOREIGN and (self.owner or is_ours(type(self))):
            return _FOREIGN[name]
        known = [*self.arguments, *self.arrays]
        if name in known or name.startswith("_") or not is_ours(type(self)):
            return ""
        guess = REMEDIES.get(name) or nearest(name, known, " ").strip()
        built = self.input_shape is not None
        return guess if built or not guess else f"{guess} Arrays exist once it is built: call build(shape)."

    def _change_setting(self, name: str, value: Any) -> None:
        """Change an argument of a built layer as the constructor would take it, if all shapes stay as they are."""
        before, value = self.__dict__.get(name), self.as_constructed(name, value)
        object.__setattr__(self, name, value)
        given, output_shape, specs = self.input_shape or (), None, self.specs
        with contextlib.suppress(ValueError):
            output_shape, specs = self._inferred(given), self._declared(given)
        if output_shape != self.output_shape or _shapes(specs) != _shapes(self.specs):
            object.__setattr__(self, name, before)
            raise ValueError(
                f"{self.label} is built, and {name}={value!r} would change its shapes; it stays {before!r}. "
                "Make a new layer."
            )
        self.specs = specs
        self._count_change()


VALUES = "values of the declared arrays"  # in the state of a copy: no attribute has such a name
#: What a layer computes changes with these attributes.
_METHODS = ("forward", "backward", "__class__")
_NO_FREEZING = (
    "All parameters of a network are trained. To keep some as they are, train a network of the other layers on what "
    "the first k give: features = model[:k].predict(x)."
)
#: Attributes that layers of other libraries have, and that would be set here without effect.
_FOREIGN = {"trainable": _NO_FREEZING, "requires_grad": _NO_FREEZING}


def _layers_in(value: object, path: str) -> Iterator[tuple[str, Layer]]:
    """The layers that a value is, or holds in lists and dicts, with their paths."""
    if isinstance(value, Layer):
        yield path, value
    elif isinstance(value, list | tuple | Mapping):
        for key, each in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _layers_in(each, f"{path}.{key}")


def _shapes(specs: tuple[ParameterSpec, ...]) -> list[tuple[str, Shape]]:
    return [(spec.name, spec.shape) for spec in specs]
