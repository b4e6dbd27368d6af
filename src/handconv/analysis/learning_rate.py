"""The learning rate range test: train a copy at rates that rise from far too low to far too high, and watch the loss.

    rate of step t = lowest · (highest / lowest)^(t / (T - 1))

While the rate is too low the loss stays; then it falls; where the rate is too high it rises again, and soon explodes. A
good rate is below the one at which the loss is least.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.errors import DivergenceError
from handconv.losses import Loss
from handconv.losses.base import check_loss, checked_targets
from handconv.optimizers import Adam, Optimizer
from handconv.optimizers.base import check_optimizer
from handconv.optimizers.schedules import Schedule
from handconv.samples import Samples, checked_inputs, gathered_in_order
from handconv.sequential import Sequential
from handconv.training.checks import check_run
from handconv.training.loop import InProcess
from handconv.training.state import TrainingState
from handconv.training.step import arithmetic
from handconv.utils.figures import BLUE, GREY, ORANGE, headline, new_figure, tidy
from handconv.utils.validation import POSITIVE, check_int, check_number, is_int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MEMORY = 0.9  # how much of the running mean of the loss stays at each step
_WORSE = 4.0  # so many times the least loss is too much
_BELOW_LEAST = 10.0
_FEWEST = 20  # steps


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What the loss did while the learning rate rose.

    Args:
        rates: of each step.
        losses: of each step's batch, before the step.
        smoothed: the running mean of the losses.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss is least; the peak of a schedule may be some times higher."""
        return float(self.rates[np.argmin(self.smoothed)] / _BELOW_LEAST)

    def plot(self) -> Figure:
        """Draw the loss over the rate.

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        figure = new_figure(6.5, 4)
        headline(
            figure,
            f"A good rate is about {self.suggestion:.2g}: the loss is least at ten times as much",
        )
        axes = figure.add_subplot()
        axes.plot(self.rates, self.losses, color=GREY, linewidth=0.7, alpha=0.5, label="of one batch")
        axes.plot(self.rates, self.smoothed, color=BLUE, linewidth=2, label="running mean")
        axes.axvline(self.suggestion, color=ORANGE, linewidth=2, label="suggestion")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.5 * self.smoothed.max())
        axes.legend(frameon=False)
        tidy(axes, x="learning rate", y="loss")
        return figure

    def __repr__(self) -> str:
        ends = f"{self.rates[0]:.3g} to {self.rates[-1]:.3g}"
        return f"RangeTest(suggestion={self.suggestion:.3g}, {len(self.rates)} steps, rates from {ends})"


@dataclass(frozen=True)
class _Rising(Schedule):
    """A rate that rises by the same factor at each step."""

    lowest: float
    highest: float

    def __call__(self, step: int, total_steps: int | None) -> float:
        share = step / max(1, self._total(total_steps) - 1)
        return float(self.lowest * (self.highest / self.lowest) ** share)


def find_learning_rate(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 200,
    batch_size: int = 128,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
) -> RangeTest:
    """Find a learning rate by a range test on a copy of the model; the model stays as it is.

    The copy is trained while the rate rises from step to step, until all steps are done or the running mean of the loss
    has become four times its least. That is as much work as a part of an epoch.

    Args:
        model: the model, trained or not.
        x: inputs (N, …), as for ``fit``.
        y: their targets.
        lowest: the first rate, above 0.
        highest: the last rate, above ``lowest``.
        steps: how many steps lie between them, at least 20.
        batch_size: samples to each step, all N if there are no more: the one that is to be trained with.
        optimizer: the one that is to be trained with; it stays as it is. ``Adam()`` if not given.
        loss: the default loss unless given.

    Returns:
        The rates and losses, with ``suggestion`` and ``plot()``.

    Raises:
        ValueError, TypeError: if an argument is out of range, or the samples do not fit the model.
        DivergenceError: if already the lowest rates are too high.

    Example:
        >>> import numpy as np, handconv as hc
        >>> digits = hc.datasets.load("digits")
        >>> test = hc.find_learning_rate(hc.zoo.reference(), digits.x_train[:512], digits.y_train[:512], batch_size=32)
        >>> 1e-4 < test.suggestion < 1e-1
        True

    References:
        Smith, Cyclical learning rates for training neural networks, 2017, section 3.3.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"find_learning_rate takes a handconv.Sequential, got {model!r}.")
    lowest = check_number("find_learning_rate: lowest", lowest, *POSITIVE)
    highest = check_number("find_learning_rate: highest", highest, lambda rate: rate > lowest, f"above {lowest:g}")
    if not is_int(steps) or steps < _FEWEST:
        raise ValueError(f"find_learning_rate: steps must be a whole number of at least {_FEWEST}, got {steps!r}.")
    run = _run(copy.deepcopy(model), x, y, check_int("find_learning_rate: batch_size", batch_size), loss)
    run.optimizer = Adam() if optimizer is None else copy.deepcopy(check_optimizer(optimizer))
    run.optimizer.learning_rate = _Rising(lowest, highest)
    run.optimizer.build(run.network.parameters, run.network.decayed())
    run.optimizer.total_steps = steps
    check_run(run, is_saved=False, was_used=False)
    losses = _train(run, steps)
    if len(losses) < 2:
        raise DivergenceError(f"The loss is not finite at the learning rate {lowest:g} already. Give a lower lowest.")
    rates = [run.optimizer.learning_rate(step, steps) for step in range(len(losses))]
    return RangeTest(np.array(rates), np.array(losses), np.array(_smoothed(losses)))


def _run(network: Sequential, x: ArrayLike, y: ArrayLike, batch_size: int, loss: Loss | None) -> TrainingState:
    """A training of whole batches."""
    inputs = checked_inputs(x, network.input_shape, network.dtype)
    network.ensure_built(inputs.shape[1:])
    loss = network.default_loss() if loss is None else check_loss(loss)
    targets = checked_targets(loss, y, (len(inputs), *network.output_shape))
    size = min(batch_size, len(inputs))
    whole = np.arange(len(inputs) // size * size)
    samples = Samples(gathered_in_order(inputs), gathered_in_order(targets, "y"), chosen=whole)
    return TrainingState(network, loss, Adam(), samples, epochs=1, batch_size=size, shuffle=True)


def _train(run: TrainingState, steps: int) -> list[float]:
    """The loss of each step until all are done, or it explodes."""
    losses: list[float] = []
    with arithmetic(), InProcess(run) as executor:
        try:
            while len(losses) < steps:
                executor.sums[...] = before = np.zeros(4)
                for sums in executor.epoch(len(losses) // run.steps_per_epoch, 0):
                    total, _, _, samples = sums - before
                    losses.append(float(total / samples))
                    before = sums.copy()
                    smoothed = _smoothed(losses)
                    if len(losses) == steps or smoothed[-1] > _WORSE * min(smoothed):
                        return losses
        except DivergenceError:
            pass
    return losses


def _smoothed(losses: list[float]) -> list[float]:
    """The running mean, corrected for its start at zero."""
    mean, result = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        result.append(mean / (1 - _MEMORY**step))
    return result
