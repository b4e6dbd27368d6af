"""Lion: the sign of a running mean of the gradients."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.optimizers.base import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.utils.validation import NOT_NEGATIVE, SHARE, check_number


class Lion(Optimizer):
    """Lion (evolved sign momentum): every parameter moves by exactly the learning rate, up or down.

    The direction is the sign of a mean of the momentum m and the present gradient. m itself remembers for longer than
    that mean does. There is one vector of state where Adam has two, and no root or division. As each step is as long as
    it can be, the learning rate should be three to ten times lower than Adam's, and the weight decay as much higher.

    Maths:
        direction = sign(beta_1 · m + (1 - beta_1) · g)
        p -= rate · (direction + weight_decay · p)        no decay for biases and scales (``ParameterSpec.decay``)
        m = beta_2 · m + (1 - beta_2) · g
    Args:
        learning_rate: above 0, or a schedule.
        beta_1: the share of m in the direction, at least 0 and below 1.
        beta_2: how long m remembers, at least 0 and below 1.
        weight_decay: at least 0.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> parameters, gradients = np.array([1.0, 2.0]), np.array([0.5, -100.0])
        >>> Lion(0.1, weight_decay=0.5).step(parameters, gradients)
        >>> parameters.round(6)
        array([0.85, 2.  ])

    References:
        Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2 (and section 5 on the rates).
    """

    vectors = ("m",)

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.1,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.beta_1 = check_number(f"{self._label}: beta_1", beta_1, *SHARE)
        self.beta_2 = check_number(f"{self._label}: beta_2", beta_2, *SHARE)
        self.weight_decay = check_number(f"{self._label}: weight_decay", weight_decay, *NOT_NEGATIVE)

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        self._decay(parameters, part, rate * self.weight_decay)
        beta_1, beta_2 = self.beta_1, self.beta_2
        for p, g, m, spare in self._blocks(part, parameters, gradients, self.state["m"]):
            # beta_1 · m + (1 - beta_1) · g has the sign of g + beta_1 / (1 - beta_1) · m: one product less
            np.multiply(m, beta_1 / (1 - beta_1), out=spare)
            np.add(spare, g, out=spare)
            np.sign(spare, out=spare)
            np.multiply(spare, rate, out=spare)
            np.subtract(p, spare, out=p)
            np.multiply(g, 1 - beta_2, out=spare)
            np.multiply(m, beta_2, out=m)
            np.add(m, spare, out=m)
