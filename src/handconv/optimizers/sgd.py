"""Gradient descent with momentum."""

import numpy as np

from handconv.arrays import FloatArray
from handconv.optimizers.base import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.utils.validation import SHARE, check_bool, check_number


class SGD(Optimizer):
    """Stochastic gradient descent: a step down the slope, with momentum if wanted.

    Momentum lets steps in one direction add up, and steps to and fro cancel out. Nesterov's form looks a step ahead.

    Maths:
        velocity = momentum · velocity + g
        p -= rate · velocity                               (Nesterov: p -= rate · (g + momentum · velocity))
    Args:
        learning_rate: above 0, or a schedule.
        momentum: at least 0 and below 1; 0.9 is usual.
        nesterov: whether to look ahead; needs momentum.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if ``nesterov`` is no truth value.

    Example:
        >>> parameters, gradients = np.array([1.0, 2.0]), np.array([0.5, -1.0])
        >>> SGD(0.1).step(parameters, gradients)
        >>> parameters
        array([0.95, 2.1 ])

    References:
        Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning, 2013
        (here in the form of PyTorch, where the rate is outside the velocity).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.momentum = check_number(f"{self._label}: momentum", momentum, *SHARE)
        self.nesterov = check_bool("SGD: nesterov", nesterov)
        if nesterov and not momentum:
            raise ValueError(f"SGD: nesterov needs momentum above 0, got {momentum!r}. Set momentum=0.9.")

    @property
    def vectors(self) -> tuple[str, ...]:  # type: ignore[override]
        """The velocity, if there is momentum."""
        return ("velocity",) if self.momentum else ()

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        if not self.momentum:
            for p, g, move in self._blocks(part, parameters, gradients):
                np.multiply(g, rate, out=move)
                np.subtract(p, move, out=p)
            return
        for p, g, velocity, move in self._blocks(part, parameters, gradients, self.state["velocity"]):
            np.multiply(velocity, self.momentum, out=velocity)
            np.add(velocity, g, out=velocity)
            if self.nesterov:
                np.multiply(velocity, self.momentum, out=move)
                np.add(g, move, out=move)
                np.multiply(move, rate, out=move)
            else:
                np.multiply(velocity, rate, out=move)
            np.subtract(p, move, out=p)
