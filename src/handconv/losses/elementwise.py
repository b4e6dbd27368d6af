"""Losses that judge every output by itself and take the mean over a sample's K outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.losses import targets as checks
from handconv.losses.base import EPSILON, Loss, ScoreLoss
from handconv.losses.targets import Targets


class _Elementwise(Loss):
    """What they share: targets of the predictions' shape, and the mean over K."""

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check finite numbers of the predictions' shape; (N,) does where there is one output.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shape or values do not fit.
            TypeError: if the targets are no numbers.
        """
        return checks.values(self.label, targets, shape)

    def _checked(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, FloatArray]:
        """The predictions and the targets, of the same dtype."""
        p = self.check_predictions(np.asarray(predictions))
        return p, self.check_targets(targets, p.shape).astype(p.dtype)


class _Binary(_Elementwise):
    """The targets of yes or no."""

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check numbers from 0 to 1 of the predictions' shape; (N,) does where there is one output.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shape or range do not fit.
            TypeError: if the targets are no numbers.
        """
        truth = checks.values(self.label, targets, shape)
        lowest, highest = truth.min(), truth.max()
        if lowest < 0 or highest > 1:
            raise ValueError(
                f"{self.label}: targets must be from 0 to 1, got values from {lowest} to {highest}. "
                "More than two classes? Use SoftmaxCategoricalCrossentropy."
            )
        return truth


class BinaryCrossentropy(_Binary):
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

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """-mean of (t · log p + (1 - t) · log(1 - p))."""
        p, t = self._checked(predictions, targets)
        p = np.clip(p, EPSILON, 1 - EPSILON)
        return -_mean(t * np.log(p) + (1 - t) * np.log1p(-p))

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """(p - t) / (p · (1 - p)) / K."""
        p, t = self._checked(predictions, targets)
        p = np.clip(p, EPSILON, 1 - EPSILON)
        dp: FloatArray = (p - t) / (p * (1 - p) * _outputs(p))
        return dp

    def check_predictions(self, predictions: NDArray[Any]) -> FloatArray:
        """Check that the predictions are probabilities."""
        return checks.probabilities(self.label, super().check_predictions(predictions), "Put a Sigmoid last.")


class SigmoidBinaryCrossentropy(ScoreLoss, _Binary):
    """Sigmoid and binary cross-entropy as one, on scores: what yes-or-no networks are trained with.

    A sigmoid that is confidently wrong is flat, so that its own gradient vanishes; together with the logarithm it does
    not. ``Sequential`` uses this loss by itself where a network ends in ``Sigmoid``. The probabilities are left in
    ``output``.

    Maths:
        loss[n] = 1/K · sum over k of (max(x, 0) - x · t + log(1 + exp(-|x|)))
        dx = (sigmoid(x) - t) / K · w / B
    Shapes:
        predictions (N, …), K scores a sample; targets the same, or (N,) where K is 1 -> a number

    Example:
        >>> loss = SigmoidBinaryCrossentropy()
        >>> round(loss.forward([[0.0], [-1e4]], [0, 1]), 4), loss.backward().tolist()
        (5000.3466, [[0.25], [-0.5]])

    References:
        Goodfellow, Bengio and Courville, Deep learning, 2016, section 6.2.2.2.
    """

    @staticmethod
    def _probabilities(scores: FloatArray) -> FloatArray:
        """sigmoid(x) = 1 / (1 + exp(-x)), as exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows."""
        sigmoid: FloatArray = np.exp(np.minimum(scores, 0)) / (np.exp(-np.abs(scores)) + 1)
        return sigmoid

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """The mean of max(x, 0) - x · t + log(1 + exp(-|x|)), which is -log p or -log(1 - p) without overflow."""
        x, t = self._checked(predictions, targets)
        return _mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))))

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """(sigmoid(x) - t) / K."""
        x, t = self._checked(predictions, targets)
        dx: FloatArray = (self._probabilities(x) - t) / x.dtype.type(_outputs(x))
        return dx


class MeanSquaredError(_Elementwise):
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

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """The mean of (y - t)²."""
        y, t = self._checked(predictions, targets)
        return _mean((y - t) ** 2)

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """2 · (y - t) / K."""
        y, t = self._checked(predictions, targets)
        dy: FloatArray = (y - t) * y.dtype.type(2 / _outputs(y))
        return dy


def _mean(values: FloatArray) -> FloatArray:
    """Take the mean over all axes but the first."""
    mean: FloatArray = np.mean(values, axis=tuple(range(1, values.ndim)))
    return mean


def _outputs(values: FloatArray) -> int:
    """Return K, how many numbers there are for one sample."""
    return values.size // len(values)
