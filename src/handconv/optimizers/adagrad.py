"""Adagrad: the gradient divided by the root of the sum of all its squares so far."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.optimizers.base import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.utils.validation import POSITIVE, check_number


class Adagrad(Optimizer):
    """Adagrad: each parameter has a rate of its own, which falls with every gradient that it has seen.

    A parameter whose gradient is seldom other than zero, such as the weight of a rare feature, keeps a high rate. The
    sum v never shrinks, so all steps become shorter in time, which suits convex losses better than deep networks.

    Maths:
        v = v + g²
        p -= rate · g / (sqrt(v) + epsilon)
    Args:
        learning_rate: above 0, or a schedule.
        epsilon: keeps the divisor from zero, above 0.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> parameters, optimizer = np.array([1.0]), Adagrad(0.1)
        >>> for gradient in (3.0, 4.0):
        ...     optimizer.step(parameters, np.array([gradient]))
        ...     print(parameters.round(6))
        [0.9]
        [0.82]

    References:
        Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011,
        equation 1 with the diagonal of the matrix (v starts at zero and epsilon is outside the root, as in PyTorch).
    """

    vectors = ("v",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        epsilon: float = 1e-7,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.epsilon = check_number(f"{self._label}: epsilon", epsilon, *POSITIVE)

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        for p, g, v, spare in self._blocks(part, parameters, gradients, self.state["v"]):
            np.square(g, out=spare)
            np.add(v, spare, out=v)
            np.sqrt(v, out=spare)
            np.add(spare, self.epsilon, out=spare)
            np.divide(g, spare, out=spare)
            np.multiply(spare, rate, out=spare)
            np.subtract(p, spare, out=p)
