"""Layers that learn: their weights and biases, and the gradients of both, are views into two flat vectors."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.layers.base import Initializer, Layer, Parameter, Shape, pieces
from handconv.utils.validation import check_number


class Weighted(Layer):
    """A layer with ``weights`` and, unless ``use_bias`` is off, ``biases``, and the gradients of both.

    Args:
        use_bias: whether there are ``biases``.
        l1, l2: penalties on the weights, on the sum of absolute values and on that of squares, at least 0.
        bias_l1, bias_l2: the same on the biases.
        weight_init, bias_init: the initialisers, by name or as functions (see ``handconv.initializers``).
        name: the layer's name in ``summary`` and in files.

    Raises:
        ValueError: if a penalty is negative or no number.
    """

    def __init__(
        self,
        *,
        use_bias: bool,
        l1: float,
        l2: float,
        bias_l1: float,
        bias_l2: float,
        weight_init: Initializer,
        bias_init: Initializer,
        name: str | None,
    ) -> None:
        super().__init__(name=name)

        def penalty(argument: str, value: float) -> float:
            return check_number(f"{type(self).__name__}: {argument}", value, lambda x: x >= 0, "of at least 0")

        self.use_bias = use_bias
        self.l1, self.l2 = penalty("l1", l1), penalty("l2", l2)
        self.bias_l1, self.bias_l2 = penalty("bias_l1", bias_l1), penalty("bias_l2", bias_l2)
        self.weight_init, self.bias_init = weight_init, bias_init
        self._values: dict[str, FloatArray] = {}
        #: Where ``backward`` writes to: views by the name of the parameter.
        self.gradients: dict[str, FloatArray] = {}

    def _declaration(self, shape: Shape, fan_in: int, fan_out: int, units: int) -> tuple[Parameter, ...]:
        weights = Parameter("weights", shape, self.weight_init, fan_in, fan_out, self.l1, self.l2)
        biases = Parameter("biases", (units,), self.bias_init, fan_in, fan_out, self.bias_l1, self.bias_l2)
        return (weights, biases) if self.use_bias else (weights,)

    def bind(self, values: FloatArray, gradients: FloatArray) -> None:
        """Let weights, biases, dweights and dbiases be views into these vectors."""
        if self.input_shape is None:
            raise RuntimeError(f"{self._label} must be built before its parameters can be bound: call build(shape).")
        self._values, self.gradients = pieces(values, self._declared), self.gradient_views(gradients)

    def gradient_views(self, vector: FloatArray) -> dict[str, FloatArray]:
        """Cut a vector into dweights and dbiases; assigned to ``gradients``, ``backward`` writes to it."""
        return pieces(vector, self._declared)

    def backward(self, dvalues: NDArray[Any], *, skip_dinputs: bool = False) -> FloatArray:
        """As ``Layer.backward``; fills ``dweights`` and ``dbiases``.

        Args:
            dvalues: the gradient by the outputs.
            skip_dinputs: leave out the gradient by the inputs, which the first layer of a network need not compute; an
                empty array is returned.
        """
        dvalues = self._returned(dvalues)
        self._parameter_gradients(dvalues)
        self.dinputs = np.empty(0, self.dtype) if skip_dinputs else np.asarray(self._backward(dvalues))
        return self.dinputs

    def _parameter_gradients(self, dvalues: FloatArray) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define the hook _parameter_gradients.")

    @property
    def weights(self) -> FloatArray:
        """The weights; assigning copies into the model's vector."""
        return self._named(self._values, "weights")

    @weights.setter
    def weights(self, value: NDArray[Any]) -> None:
        self.weights[...] = value

    @property
    def biases(self) -> FloatArray:
        """The biases; assigning copies into the model's vector."""
        return self._named(self._values, "biases")

    @biases.setter
    def biases(self, value: NDArray[Any]) -> None:
        self.biases[...] = value

    @property
    def dweights(self) -> FloatArray:
        """The gradient of the loss by the weights, of the last ``backward``."""
        return self._named(self.gradients, "weights")

    @property
    def dbiases(self) -> FloatArray:
        """The gradient of the loss by the biases, of the last ``backward``."""
        return self._named(self.gradients, "biases")

    def _named(self, arrays: dict[str, FloatArray], name: str) -> FloatArray:
        if self.input_shape is None:
            raise AttributeError(f"{self._label} has no {name} before it is built: call forward(x) or build(shape).")
        if name not in arrays:
            reason = "it was made with use_bias=False" if name == "biases" else f"it has {' and '.join(arrays)}"
            raise AttributeError(f"{self._label} has no {name}: {reason}.")
        return self.workspace.noted(arrays[name])

    def set_parameters(self, **values: NDArray[Any]) -> Self:
        """Copy arrays into the parameters by name, checking their shapes."""
        for name, value in values.items():
            target = self._named(self._values, name)
            if np.shape(value) != target.shape:
                raise ValueError(f"{self._label}: {name} have shape {target.shape}, got {np.shape(value)}.")
            target[...] = value
        return self
