"""What layers with weights and biases have in common: their arguments, penalties and initialisers."""

from __future__ import annotations

from handconv.arrays import FloatArray, Shape
from handconv.layers.base import Layer
from handconv.layers.parameters import Initializer, ParameterSpec
from handconv.utils.validation import NOT_NEGATIVE, check_bool, check_number


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
        TypeError: if ``use_bias`` is no truth value.
    """

    weights: FloatArray
    biases: FloatArray
    dweights: FloatArray
    dbiases: FloatArray

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
            return check_number(f"{type(self).__name__}: {argument}", value, *NOT_NEGATIVE)

        self.use_bias = check_bool(f"{type(self).__name__}: use_bias", use_bias)
        self.l1, self.l2 = penalty("l1", l1), penalty("l2", l2)
        self.bias_l1, self.bias_l2 = penalty("bias_l1", bias_l1), penalty("bias_l2", bias_l2)
        self.weight_init, self.bias_init = weight_init, bias_init

    def declare_weights(self, shape: Shape, fan_in: int, fan_out: int, units: int) -> tuple[ParameterSpec, ...]:
        """Weights of this shape and, if they are used, one bias a unit."""
        weights = ParameterSpec("weights", shape, self.weight_init, fan_in, fan_out, l1=self.l1, l2=self.l2)
        biases = ParameterSpec("biases", (units,), self.bias_init, fan_in, fan_out, l1=self.bias_l1, l2=self.bias_l2)
        return (weights, biases) if self.use_bias else (weights,)
