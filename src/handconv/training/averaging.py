"""Averaged weights: the mean of the parameters over many steps answers better than those of the last step.

After each step every rank moves its own part of the average:

    average += share(t) · (parameters - average)                 t: steps done, of T in all

    exponential   share = 1 - decay, larger in the first steps, so that the start is soon forgotten
    stochastic    share = 1 until t = start · T, then 1/2, 1/3, 1/4, …: the plain mean of that step and all later ones

Validation and the trained model use the average; training itself goes on from the parameters as they are. The running
statistics of BatchNorm belong to the latter, and are measured anew for the average (``training.statistics``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from handconv.arrays import FloatArray
from handconv.utils.settings import Settings, is_change
from handconv.utils.validation import SHARE, check_number, check_setting, is_ours


class WeightAverage(Settings, ABC):
    """An average of the parameters over the steps of a training; ``fit(averaging=…)`` takes it."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Take a setting as the constructor would take it, and refuse one that an average of ours does not have."""
        if is_ours(type(self)):
            check_setting(self, type(self).__name__, name, self.arguments)
            if is_change(self, name):
                value = getattr(type(self)(**super().config() | {name: value}), name)
        object.__setattr__(self, name, value)

    @abstractmethod
    def share(self, step: int, steps: int) -> float:
        """How far the average moves towards the parameters after a step, from 0 to 1.

        Args:
            step: steps done, this one included.
            steps: of the whole training.
        """

    def update(self, average: FloatArray, parameters: FloatArray, step: int, steps: int) -> None:
        """Move the average in place.

        Raises:
            ValueError: if the share is no number from 0 to 1.
        """
        label = f"{type(self).__name__}: the share after step {step}"
        share = check_number(label, self.share(step, steps), lambda value: 0 <= value <= 1, "from 0 to 1")
        if share == 1:
            average[...] = parameters
        else:
            average += average.dtype.type(share) * (parameters - average)

    def config(self) -> dict[str, Any]:
        """Name and arguments as plain values."""
        return {"name": type(self).__name__} | super().config()

    def __repr__(self) -> str:
        arguments = (f"{name}={value!r}" for name, value in super().config().items())
        return f"{type(self).__name__}({', '.join(arguments)})"


class ExponentialAverage(WeightAverage):
    """A mean that forgets: the last 1 / (1 - decay) steps count most.

    Maths:
        share = 1 - min(decay, (1 + t) / (10 + t))
    Args:
        decay: how much of the average stays at each step, at least 0 and below 1.

    Raises:
        ValueError: if decay is out of range.

    Example:
        >>> round(ExponentialAverage(0.99).share(10_000, 20_000), 4)
        0.01

    References:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; the warm-up as in TensorFlow's
        ``ExponentialMovingAverage``.
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = check_number("ExponentialAverage: decay", decay, *SHARE)

    def share(self, step: int, steps: int) -> float:
        """1 - min(decay, (1 + t) / (10 + t))."""
        return 1 - min(self.decay, (1 + step) / (10 + step))


class StochasticAverage(WeightAverage):
    """The plain mean of all steps of the last part of a training, best with a learning rate that stays up.

    Maths:
        share = 1 while t <= max(1, start · T), then 1 / (1 + the steps since)
    Args:
        start: where the mean begins, as a share of the training, at least 0 and below 1.

    Raises:
        ValueError: if start is out of range.

    Example:
        >>> average = StochasticAverage(0.5)
        >>> [round(average.share(t, 8), 3) for t in (4, 5, 6, 7)]
        [1, 0.5, 0.333, 0.25]

    References:
        Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, Averaging weights leads to wider optima, 2018, section 3.
    """

    def __init__(self, start: float = 0.75) -> None:
        self.start = check_number("StochasticAverage: start", start, *SHARE)

    def share(self, step: int, steps: int) -> float:
        """1 before the mean begins, then 1 / (1 + the steps since)."""
        since = step - max(1, int(self.start * steps))
        return 1 if since <= 0 else 1 / (1 + since)
