"""What a layer is: a shape in, a shape out, a forward pass, and the backward pass that mirrors it.

A layer is written as two hooks. ``_forward`` gets the inputs with the batch innermost in memory, returns the outputs,
and remembers what ``_backward`` needs when it is asked to; ``_backward`` turns the gradient of the loss by the outputs
into the gradient by the inputs. The public ``forward`` and ``backward`` check shapes and build the layer at first use.

A layer with parameters declares them (``handconv.layers.weighted``); their values are views into two flat vectors, one
of values and one of gradients, which belong to the model, or to the layer itself where it is used alone.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import FRESH, Workspace, laid_out
from handconv.initializers import initialize

Shape = tuple[int, ...]
Initializer = str | Callable[..., NDArray[Any]]


class Parameter(NamedTuple):
    """The declaration of one array of parameters: how it looks, starts and is penalised.

    Attributes:
        name: "weights", say; the layer's own name stands before it in files.
        shape: of the array.
        initializer: a name in ``handconv.initializers``, or a function with their arguments.
        fan_in: numbers that go into one output.
        fan_out: outputs that one number goes into.
        l1: the penalty on the sum of absolute values.
        l2: the penalty on the sum of squares.
    """

    name: str
    shape: Shape
    initializer: Initializer
    fan_in: int
    fan_out: int
    l1: float = 0.0
    l2: float = 0.0

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class ParameterView(NamedTuple):
    """Where one named array of parameters lies in the vectors."""

    name: str
    place: slice
    shape: Shape
    l1: float
    l2: float

    def of(self, vector: FloatArray) -> FloatArray:
        """The array as a view into a vector."""
        return vector[self.place].reshape(self.shape)


class Layer:
    """One step of a network, usable alone and in ``Sequential``.

    Shapes are without the batch axis: ``input_shape`` and ``output_shape`` are known once the layer is built, which
    happens at the first ``forward``. A layer of your own defines the two hooks, and ``infer_shape`` if the shape
    changes; ``handconv.gradcheck`` tells whether its backward is right. One with parameters derives from ``Weighted``.

    Args:
        name: the layer's name in ``summary`` and in files.

    Example:
        >>> import handconv as hc
        >>> class Square(hc.Layer):
        ...     def _forward(self, x, *, training, remember):
        ...         self.x = x if remember else None
        ...         return x * x
        ...     def _backward(self, dvalues):
        ...         return 2 * self.x * dvalues
        >>> square = Square()
        >>> square.forward(np.array([[3.0, -1.0]])).tolist(), square.backward(np.array([[1.0, 1.0]])).tolist()
        ([[9.0, 1.0]], [[6.0, -2.0]])
    """

    #: Whether it treats every number alike, whatever the shape; then it takes any shape at any time.
    elementwise: ClassVar[bool] = False
    #: The arguments that may be given as one number for both directions, and are shown so.
    pairs: ClassVar[tuple[str, ...]] = ()
    #: The arguments that the hooks look at each time, so that they may be changed between two passes.
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.output: FloatArray | None = None
        self.dinputs: FloatArray | None = None
        self.generator: np.random.Generator | None = None
        self._declared: tuple[Parameter, ...] = ()
        self.workspace: Workspace = FRESH

    def infer_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape for an input shape, or raise ``ValueError`` if the layer cannot take it."""
        return input_shape

    def declare(self, input_shape: Shape) -> tuple[Parameter, ...]:
        """List the layer's parameters for an input shape, in the order in which they lie in the vector."""
        return ()

    def build(
        self,
        input_shape: Shape,
        *,
        dtype: DTypeLike = np.float32,
        generator: "np.random.Generator | int | None" = None,
        values: FloatArray | None = None,
        gradients: FloatArray | None = None,
    ) -> Shape:
        """Fix the shapes, claim the parameters and initialise them.

        Args:
            input_shape: the shape of one sample.
            dtype: float32, or float64 for proofs.
            generator: where random initial values come from; a number is a seed.
            values: the piece of the model's parameter vector that is this layer's; a new one if not given.
            gradients: the same of the gradient vector.

        Returns:
            The shape of one output.
        """
        self.output_shape = self.infer_shape(tuple(input_shape))
        self.input_shape, self.dtype = tuple(input_shape), np.dtype(dtype)
        parameters = self._declared = self.declare(self.input_shape)
        if parameters:
            size = sum(parameter.size for parameter in parameters)
            values = np.empty(size, dtype) if values is None else values
            self.bind(values, np.zeros(size, dtype) if gradients is None else gradients)
            random = np.random.default_rng(generator)
            views = pieces(values, parameters)
            for parameter in parameters:
                views[parameter.name][...] = initialize(
                    parameter.initializer, parameter.shape, parameter.fan_in, parameter.fan_out, random, self.dtype
                )
        return self.output_shape

    @property
    def multiply_adds(self) -> int:
        """Multiplications of the forward pass of one sample, each with its addition."""
        return 0

    def bind(self, values: FloatArray, gradients: FloatArray) -> None:
        """Let the layer's parameters and gradients be views into these vectors; only for layers that declare any."""
        raise TypeError(
            f"{type(self).__name__} declares parameters but is no subclass of Weighted; derive it from that."
        )

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute the outputs, and remember what ``backward`` needs.

        Args:
            inputs: (N, …input_shape); any memory order; not changed.
            training: whether layers that act differently in training (``Dropout``) do so.

        Raises:
            ValueError: if the shape of a sample is not the one that the layer was built for.
        """
        self.output = np.asarray(self._forward(self._received(inputs), training=training, remember=True))
        return self.output

    def infer(self, inputs: NDArray[Any]) -> FloatArray:
        """Compute the outputs as ``forward`` does out of training, remembering nothing: quicker, and no backward."""
        self.output = None
        return self._forward(self._received(inputs), training=False, remember=False)

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Turn the gradient by the outputs of the last ``forward`` into the gradient by its inputs.

        Gradients of parameters are overwritten, not added to; ``dvalues`` is not changed.

        Raises:
            RuntimeError: if there was no ``forward`` before, or an ``infer`` since.
            ValueError: if ``dvalues`` has another shape than the outputs.
        """
        self.dinputs = np.asarray(self._backward(self._returned(dvalues)))
        return self.dinputs

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values, from which ``type(layer)(**config)`` makes the same layer."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        shown = []
        for parameter in inspect.signature(type(self)).parameters.values():
            value = getattr(self, parameter.name)
            if parameter.name in self.pairs and value[0] == value[1]:
                value = value[0]
            if parameter.kind is not parameter.KEYWORD_ONLY:
                shown.append(repr(value))
            elif value != parameter.default:
                shown.append(f"{parameter.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        raise NotImplementedError(f"{type(self).__name__} must define forward, or the hook _forward.")

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        raise NotImplementedError(f"{type(self).__name__} must define backward, or the hook _backward.")

    def _received(self, inputs: NDArray[Any]) -> FloatArray:
        """Check the inputs, build at first use, and lay the inputs out with the batch innermost."""
        inputs = np.asarray(inputs)
        if inputs.ndim and inputs.shape[1:] == self.input_shape and inputs.dtype == self.dtype:
            return self.workspace.noted(laid_out(inputs))
        if inputs.ndim < 1:
            raise ValueError(f"{self._label} expects a batch (N, …), got a single number. Use x[None].")
        if self.input_shape is None:
            self.build(inputs.shape[1:], dtype=np.float64 if inputs.dtype == np.float64 else np.float32)
        inputs, expected = np.asarray(inputs, self.dtype), self.input_shape or ()
        if inputs.shape[1:] != expected and not self.elementwise:
            raise ValueError(
                f"{self._label} was built for inputs of shape (N, {_listed(expected)}), got {inputs.shape}."
                + _channels_last_hint(expected, inputs.shape)
            )
        return self.workspace.noted(laid_out(inputs))

    def _returned(self, dvalues: NDArray[Any]) -> FloatArray:
        """Check the gradient by the outputs, and lay it out with the batch innermost."""
        if self.output is None:
            raise RuntimeError(f"{self._label}.backward needs a forward before it: call forward(x) first.")
        dvalues = np.asarray(dvalues, self.dtype)
        if dvalues.shape != self.output.shape:
            raise ValueError(
                f"{self._label}.backward expects the gradient by its outputs, of their shape {self.output.shape}, "
                f"got {dvalues.shape}."
            )
        return self.workspace.noted(laid_out(dvalues))

    @property
    def _label(self) -> str:
        return type(self).__name__ if self.name is None else f"{type(self).__name__} {self.name!r}"


def pieces(vector: FloatArray, parameters: tuple[Parameter, ...]) -> dict[str, FloatArray]:
    """Cut a vector into views, one for each parameter, by name."""
    views, start = {}, 0
    for parameter in parameters:
        end = start + parameter.size
        views[parameter.name] = vector[start:end].reshape(parameter.shape)
        start = end
    return views


def _listed(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def _channels_last_hint(expected: Shape, received: Shape) -> str:
    if len(expected) == 3 and len(received) == 4 and received[1:] == (*expected[1:], expected[0]):
        return " Channels last? Use x.transpose(0, 3, 1, 2)."
    if len(received) == len(expected):
        return " A single sample? Use x[None]."
    return ""
