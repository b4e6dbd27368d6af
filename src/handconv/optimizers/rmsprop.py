"""RMSprop: the gradient divided by the root of a running mean of its squares."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.optimizers.base import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.utils.validation import POSITIVE, SHARE, check_number


class RMSprop(Optimizer):
    """RMSprop: steps of about the learning rate in every direction, however steep the slope is there.

    v is a running mean of the squared gradients. Its root is the size that gradients of late have had, and dividing by
    it leaves little but their sign. Old gradients are forgotten, unlike Adagrad's, so that the steps do not die away.

    Maths:
        v = rho · v + (1 - rho) · g²
        p -= rate · g / (sqrt(v) + epsilon)
        With momentum:
        velocity = momentum · velocity + g / (sqrt(v) + epsilon)        p -= rate · velocity
    Args:
        learning_rate: above 0, or a schedule.
        rho: how long v remembers, at least 0 and below 1.
        momentum: how long the velocity remembers, at least 0 and below 1.
        epsilon: keeps the divisor from zero, above 0.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> parameters, gradients = np.array([1.0, 2.0]), np.array([0.5, -100.0])
        >>> RMSprop(0.1, rho=0.75).step(parameters, gradients)
        >>> parameters.round(6)
        array([0.8, 2.2])

    References:
        Tieleman and Hinton, Lecture 6.5: RMSProp, COURSERA: Neural networks for machine learning, 2012 (not centred;
        epsilon outside the root, and the rate outside the velocity, as in PyTorch; the other defaults are Keras').
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.rho = check_number(f"{self._label}: rho", rho, *SHARE)
        self.momentum = check_number(f"{self._label}: momentum", momentum, *SHARE)
        self.epsilon = check_number(f"{self._label}: epsilon", epsilon, *POSITIVE)

    @property
    def vectors(self) -> tuple[str, ...]:  # type: ignore[override]
        """The mean square, and the velocity if there is momentum."""
        return ("v", "velocity") if self.momentum else ("v",)

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        for p, g, *state, spare in self._blocks(part, parameters, gradients, *self.state.values()):
            v = state[0]
            np.square(g, out=spare)
            np.multiply(spare, 1 - self.rho, out=spare)
            np.multiply(v, self.rho, out=v)
            np.add(v, spare, out=v)
            np.sqrt(v, out=spare)
            np.add(spare, self.epsilon, out=spare)
            np.divide(g, spare, out=spare)
            if self.momentum:
                velocity = state[1]
                np.multiply(velocity, self.momentum, out=velocity)
                np.add(velocity, spare, out=velocity)
                np.multiply(velocity, rate, out=spare)
            else:
                np.multiply(spare, rate, out=spare)
            np.subtract(p, spare, out=p)
