"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.parameters import Initializer, ParameterSpec
from handconv.layers.weighted import Weighted
from handconv.utils.validation import check_int


class Dense(Weighted):
    """Connect every input with every output: each output is a weighted sum of all inputs.

    Maths:
        y = x w + b
        dw = xᵀ dy        db = sum over n of dy[n]        dx = dy wᵀ
    Args:
        units: number of outputs, at least 1.
        use_bias: whether to add b.
        l1, l2: penalties l1·sum|w| and l2·sum w² on the weights; the gradient of the second is 2·l2·w.
        bias_l1, bias_l2: the same on the biases.
        weight_init, bias_init: names of initialisers, or functions (see ``handconv.initializers``).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        input (N, D) -> output (N, units); weights (D, units), biases (units,)
    Raises:
        ValueError: if an argument is out of range, or the input is not (N, D).
    Example:
        >>> import numpy as np, handconv as hc
        >>> dense = hc.Dense(2)
        >>> dense.build((3,))
        (2,)
        >>> dense.weights = [[1, 0], [0, 1], [1, 1]]
        >>> dense.forward(np.array([[1.0, 2.0, 3.0]])).tolist()
        [[4.0, 5.0]]
        >>> dense.backward(np.array([[1.0, 0.0]])).tolist(), dense.dweights[:, 0].tolist()
        ([[1.0, 0.0, 1.0]], [1.0, 2.0, 3.0])

    References:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.
    """

    def __init__(
        self,
        units: int,
        *,
        use_bias: bool = True,
        l1: float = 0.0,
        l2: float = 0.0,
        bias_l1: float = 0.0,
        bias_l2: float = 0.0,
        weight_init: Initializer = "he_normal",
        bias_init: Initializer = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            l1=l1,
            l2=l2,
            bias_l1=bias_l1,
            bias_l2=bias_l2,
            weight_init=weight_init,
            bias_init=bias_init,
            name=name,
        )
        self.units = check_int("Dense: units", units)

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(D,) -> (units,)."""
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.label} expects vectors (N, D), got samples of shape {input_shape}. Put a Flatten before."
            )
        return (self.units,)

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """Weights (D, units) and biases (units,)."""
        return self.declare_weights((input_shape[0], self.units), input_shape[0], self.units, self.units)

    @property
    def multiply_adds(self) -> int:
        """One multiplication for each weight."""
        return self.weights.size

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = x w + b."""
        x = self._x = np.array(self.check_inputs(inputs))  # (N, D), a copy: the caller may change the inputs
        self.output = x @ self.weights  # (N, units)
        if self.use_bias:
            self.output += self.biases
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dw = xᵀ dy, db = the sum of dy, dx = dy wᵀ."""
        dy = self.check_gradient(dvalues)  # (N, units)
        self.dweights = self._x.T @ dy  # (D, units)
        if self.use_bias:
            self.dbiases = dy.sum(axis=0)
        self.dinputs = dy @ self.weights.T  # (N, D)
        return self.dinputs
