"""Learning rates that change while training goes on.

A schedule is called with the number of steps done and that of the whole training, and returns the learning rate of the
next step. With t = step / total_steps, the share of the training that is done:

    Constant           rate
    InverseTimeDecay   initial / (1 + decay · step)
    StepDecay          initial · factor^(milestones passed)
    CosineDecay        final + (initial - final) · (1 + cos(π·t)) / 2
    OneCycle           peak / start_divisor up to peak in a straight line while t <= warmup,
                       then down to peak / final_divisor along a half cosine
    LinearWarmup       up to the first rate of any other schedule in a straight line, then that schedule
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handconv.utils import configured
from handconv.utils.validation import NOT_NEGATIVE, POSITIVE, SHARE, check_number


class Schedule(configured.Configured, ABC):
    """A learning rate that depends on the step. To write your own, derive a dataclass from it."""

    @abstractmethod
    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step.

        Args:
            step: how many steps are done.
            total_steps: how many there will be; None if that is unknown.
        """

    def _share(self, step: int, total_steps: int | None) -> float:
        """Return t, the share of the training that is done, 1 at most."""
        return min(1.0, step / max(1, self._total(total_steps)))

    def _total(self, total_steps: int | None) -> int:
        """Return how many steps the training has, which must be known."""
        if total_steps is None:
            raise ValueError(
                f"{type(self).__name__} needs to know how many steps the training has: set optimizer.total_steps "
                "(fit does so by itself)."
            )
        return total_steps


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step; needs no total. An optimizer takes a plain number as well: this is to compose with.

    Maths:
        rate
    Args:
        rate: above 0.

    Example:
        >>> Constant(0.1)(100, None)
        0.1
    """

    rate: float

    def __post_init__(self) -> None:
        self._check("rate", *POSITIVE)

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        return self.rate


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """A rate that falls like 1 / step; needs no total.

    Maths:
        initial / (1 + decay · step)
    Args:
        initial: the first rate, above 0.
        decay: how fast it falls: after 1 / decay steps it is one half; at least 0.

    Example:
        >>> InverseTimeDecay(0.1, decay=0.01)(100, None)
        0.05

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapter 10 (``decay``).
    """

    initial: float
    decay: float

    def __post_init__(self) -> None:
        self._check("initial", *POSITIVE)
        self._check("decay", *NOT_NEGATIVE)

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        return self.initial / (1 + self.decay * step)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A rate that drops at certain points of the training.

    Maths:
        initial · factor^(number of milestones <= t)
    Args:
        initial: the first rate, above 0.
        factor: what it is multiplied by at each milestone, above 0 and at most 1.
        milestones: shares of the training, from 0 to 1.

    Example:
        >>> [round(StepDecay(0.1)(step, 100), 6) for step in (49, 50, 75)]
        [0.1, 0.01, 0.001]

    References:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, section 4.2 (the defaults).
    """

    initial: float
    factor: float = 0.1
    milestones: tuple[float, ...] = (0.5, 0.75)

    def __post_init__(self) -> None:
        if not isinstance(self.milestones, Iterable):
            raise TypeError(f"StepDecay: milestones must be a list of shares, as in [0.5], got {self.milestones!r}.")
        object.__setattr__(self, "milestones", tuple(self.milestones))
        self._check("initial", *POSITIVE)
        self._check("factor", lambda value: 0 < value <= 1, "above 0 and at most 1")
        for milestone in self.milestones:
            check_number("StepDecay: each of the milestones", milestone, lambda value: 0 <= value <= 1, "from 0 to 1")

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        share = self._share(step, total_steps)
        return self.initial * self.factor ** sum(share >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """A rate that falls along a half cosine: slowly, quickly, slowly.

    Maths:
        final + (initial - final) · (1 + cos(π·t)) / 2
    Args:
        initial: the first rate, above 0.
        final: what it comes to at the end, from 0 to ``initial``.

    Example:
        >>> [round(CosineDecay(0.1)(step, 100), 6) for step in (0, 50, 100)]
        [0.1, 0.05, 0.0]

    References:
        Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, equation 5 (no restarts).
    """

    initial: float
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check("initial", *POSITIVE)
        self._check("final", lambda value: 0 <= value <= self.initial, f"from 0 to initial, {self.initial}")

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        return _half_cosine(self.initial, self.final, self._share(step, total_steps))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """A rate that rises to a peak, higher than one would dare to start with, and then falls to almost nothing.

    Often the quickest way to a good accuracy ("super-convergence").

    Maths:
        t <= warmup:  from peak / start_divisor to peak in a straight line
        t > warmup:   from peak to peak / final_divisor along a half cosine
    Args:
        peak: the highest rate, above 0.
        warmup: the share of the training in which it rises, from 0 up to but not including 1.
        start_divisor: peak / first rate, at least 1.
        final_divisor: peak / last rate, at least 1.

    Example:
        >>> [round(OneCycle(0.01)(step, 100), 6) for step in (0, 15, 30, 65, 100)]
        [0.0004, 0.0052, 0.01, 0.005, 1e-06]

    References:
        Smith and Topin, Super-convergence: very fast training of neural networks using large learning rates, 2019.
    """

    peak: float
    warmup: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4

    def __post_init__(self) -> None:
        self._check("peak", *POSITIVE)
        self._check("warmup", *SHARE)
        self._check("start_divisor", lambda value: value >= 1, "of at least 1")
        self._check("final_divisor", lambda value: value >= 1, "of at least 1")

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        share = self._share(step, total_steps)
        if share < self.warmup:
            start = self.peak / self.start_divisor
            return start + (self.peak - start) * share / self.warmup
        return _half_cosine(self.peak, self.peak / self.final_divisor, (share - self.warmup) / (1 - self.warmup))


@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """A rate that rises in a straight line to the first rate of another schedule, which then has the other steps.

    While the weights are still random, gradients are large and point in changing directions, and the running means of
    Adam have seen few of them: short steps are safer there. The more samples a batch has, the more a warm-up helps.

    Maths:
        w = warmup · total_steps, rounded
        step < w:   first · (step + 1) / (w + 1)                 first: what ``schedule`` starts with
        step >= w:  schedule(step - w, total_steps - w)
    Args:
        schedule: what follows.
        warmup: the share of the training in which the rate rises, from 0 up to but not including 1.

    Raises:
        TypeError: if ``schedule`` is no schedule.
        ValueError: if ``warmup`` is out of range.

    Example:
        >>> schedule = LinearWarmup(CosineDecay(0.1), warmup=0.04)
        >>> [round(schedule(step, 100), 6) for step in (0, 1, 2, 3, 4, 52, 100)]
        [0.02, 0.04, 0.06, 0.08, 0.1, 0.05, 0.0]

    References:
        Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, section 2.2 (gradual warmup).
    """

    schedule: Schedule
    warmup: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(
                f"LinearWarmup: schedule must be a schedule, got {self.schedule!r}. "
                "For one rate after the warm-up use Constant(rate)."
            )
        self._check("warmup", *SHARE)

    def __call__(self, step: int, total_steps: int | None) -> float:
        """Return the learning rate of the next step."""
        total = self._total(total_steps)
        rising = round(self.warmup * total)
        if step < rising:
            return self.schedule(0, total - rising) * (step + 1) / (rising + 1)
        return self.schedule(step - rising, total - rising)


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.__name__: schedule
    for schedule in (Constant, InverseTimeDecay, StepDecay, CosineDecay, OneCycle, LinearWarmup)
}


def from_config(config: Mapping[str, Any]) -> Schedule:
    """Make the schedule that ``config()`` described.

    Args:
        config: the name and the arguments.

    Raises:
        ValueError, TypeError: if it names no schedule of this module.
    """
    return configured.from_config(config, SCHEDULES, "A schedule")


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
