"""Losses that judge every output by itself and take the mean over a sample's K outputs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.losses import targets as _checks
from handconv.losses.base import EPSILON, Gradient, Loss
from handconv.losses.targets import Shape, Targets


class BinaryCrossentropy(Loss):
    """Cross-entropy of yes-or-no probabilities, such as ``Sigmoid`` gives.

    For two classes with one output, or for several labels that may hold at once.

    Maths:
        loss[n] = -1/K · sum over k of (t · log p + (1 - t) · log(1 - p))        p clipped to 1e-7 … 1 - 1e-7
        dp = (p - t) / (p · (1 - p)) / K · w / B
    Shapes:
        predictions (N, …), K numbers a sample; targets the same, or (N,) where K is 1 -> a number
    Raises:
        ValueError: if predictions are no probabilities.

    Example:
        >>> loss = BinaryCrossentropy()
        >>> round(loss.forward([[0.5], [0.8]], [0, 1]), 4), loss.backward().round(4).tolist()
        (0.4581, [[1.0], [-0.625]])

    References:
        Goodfellow, Bengio and Courville, Deep learning, 2016, section 6.2.2.2.
    """

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check numbers from 0 to 1 of the predictions' shape; (N,) does where there is one output.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shape or range do not fit.
            TypeError: if the targets are no numbers.
        """
        truth = _checks.values(self._label, targets, shape)
        lowest, highest = truth.min(), truth.max()
        if lowest < 0 or highest > 1:
            raise ValueError(
                f"{self._label}: targets must be from 0 to 1, got values from {lowest} to {highest}. "
                "More than two classes? Use SoftmaxCategoricalCrossentropy."
            )
        return truth

    def _evaluate(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, Gradient]:
        p, t = np.clip(predictions, EPSILON, 1 - EPSILON), _like(predictions, targets)
        losses = -_mean(t * np.log(p) + (1 - t) * np.log1p(-p))
        return losses, lambda: (p - t) / (p * (1 - p) * _outputs(p))

    def _check_predictions(self, predictions: NDArray[np.generic]) -> FloatArray:
        return _checks.probabilities(self._label, super()._check_predictions(predictions), "Put a Sigmoid last.")


class MeanSquaredError(Loss):
    """The mean of the squared differences: for numbers, not classes.

    Maths:
        loss[n] = 1/K · sum over k of (y[n, k] - t[n, k])²        dy = 2 · (y - t) / K · w / B
    Shapes:
        predictions (N, …), K numbers a sample; targets the same, or (N,) where K is 1 -> a number

    Example:
        >>> loss = MeanSquaredError()
        >>> loss.forward([[1.0, 2.0]], [[0.0, 4.0]]), loss.backward().tolist()
        (2.5, [[1.0, -2.0]])

    References:
        Goodfellow, Bengio and Courville, Deep learning, 2016, section 5.5.1.
    """

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check finite numbers of the predictions' shape; (N,) does where there is one output.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shape or values do not fit.
            TypeError: if the targets are no numbers.
        """
        return _checks.values(self._label, targets, shape)

    def _evaluate(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, Gradient]:
        difference = predictions - _like(predictions, targets)
        return _mean(difference * difference), lambda: difference * (2 / _outputs(difference))


def _like(predictions: FloatArray, targets: Targets) -> FloatArray:
    """Copy targets into the dtype and memory order of the predictions, which results then keep."""
    result = np.empty_like(predictions)
    result[...] = targets
    return result


def _mean(values: FloatArray) -> FloatArray:
    """Take the mean over all axes but the first."""
    mean: FloatArray = np.mean(values, axis=tuple(range(1, values.ndim)))
    return mean


def _outputs(values: FloatArray) -> int:
    """Return K, how many numbers there are for one sample."""
    return values.size // len(values)
