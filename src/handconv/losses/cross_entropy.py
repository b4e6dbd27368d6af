"""Cross-entropy over K classes, of logits and of probabilities.

With q the truth (1 for the true class y, 0 elsewhere), smoothed by s:  q = (1 - s) · truth + s / K

    of logits x:          loss[n] = log(sum over k of exp x[n, k]) - sum over k of q[n, k] · x[n, k]
                          dx = p - q   with p = softmax(x)
    of probabilities p:   loss[n] = -sum over k of q[n, k] · log p[n, k]
                          dp = -q / p

Without smoothing only the true class counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.losses import targets as checks
from handconv.losses.base import EPSILON, Loss, ScoreLoss
from handconv.losses.targets import Targets
from handconv.utils.validation import check_number


class CategoricalLoss(Loss):
    """What both forms share: the targets and their smoothing."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        rule = "of at least 0 and below 1, as 0.1 is"
        self.label_smoothing = check_number(
            f"{self.label}: label_smoothing", label_smoothing, lambda x: 0 <= x < 1, rule
        )

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check class numbers (N,) or one-hot rows (N, K), told apart by their number of axes.

        Rows may also share a sample out among classes, if they sum to 1. One-hot rows come back as class numbers.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, K).

        Raises:
            ValueError: if the shape does not fit, a class number is out of range, or a row does not sum to 1.
            TypeError: if class numbers are no integers.
        """
        return checks.classes(self.label, targets, shape)

    def truth(self, targets: Targets, classes: int, dtype: DTypeLike) -> FloatArray:
        """Return q (N, K): 1 for the true class, 0 elsewhere, and smoothed."""
        truth: NDArray[Any] = targets if targets.ndim == 2 else np.arange(classes) == targets[:, None]
        q: FloatArray = np.multiply(truth, 1 - self.label_smoothing, dtype=dtype)
        q += self.label_smoothing / classes
        return q


class SoftmaxCategoricalCrossentropy(ScoreLoss, CategoricalLoss):
    """Softmax and categorical cross-entropy as one, on logits: what classifiers are trained with.

    Together they are simpler than apart, and stable for any scores: by the log-sum-exp identity nothing overflows, no
    logarithm meets a zero, nothing is clipped, and the gradient is the probabilities minus the truth. The probabilities
    are left in ``output``.

    Maths:
        loss[n] = log(sum over k of exp(x[n, k] - m[n])) - (x[n, y] - m[n])        m[n] = max over k of x[n, k]
        dx[n, k] = (softmax(x)[n, k] - q[n, k]) · w[n] / B                         q = (1 - s) · truth + s / K
    Args:
        label_smoothing: s, the share that is taken from the truth and spread over all classes; at least 0, below 1.
    Shapes:
        predictions (N, K); targets (N,) class numbers or (N, K) one-hot -> a number
    Raises:
        ValueError: if label_smoothing is out of range.

    Example:
        >>> loss = SoftmaxCategoricalCrossentropy()
        >>> round(loss.forward([[1.0, 1.0], [0.0, 1e4]], [0, 1]), 4)
        0.3466
        >>> loss.output.tolist(), loss.backward().tolist()
        ([[0.5, 0.5], [0.0, 1.0]], [[-0.25, 0.25], [0.0, 0.0]])

    References:
        Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
        Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception architecture, 2016, section 7 (smoothing).
    """

    @staticmethod
    def _probabilities(scores: FloatArray) -> FloatArray:
        """softmax(x) = exp(x - m) / sum of exp(x - m), with m = max x."""
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))  # (N, K)
        softmax: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return softmax

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """log(sum of exp(x - m)) - sum of q · (x - m), with m = max x."""
        x, t = self._checked(predictions, targets)
        shifted = x - x.max(axis=1, keepdims=True)  # (N, K)
        q = self.truth(t, x.shape[1], x.dtype)
        of_truth = np.multiply(shifted, q, where=q != 0, out=np.zeros_like(shifted))  # elsewhere scores may be -inf
        losses: FloatArray = np.log(np.exp(shifted).sum(axis=1)) - of_truth.sum(axis=1)
        return losses

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """softmax(x) - q."""
        x, t = self._checked(predictions, targets)
        dx: FloatArray = self._probabilities(x) - self.truth(t, x.shape[1], x.dtype)
        return dx

    def _checked(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, Targets]:
        x = self.check_predictions(np.asarray(predictions))
        return x, self.check_targets(targets, x.shape)


class CategoricalCrossentropy(CategoricalLoss):
    """Cross-entropy of probabilities, such as ``Softmax`` gives.

    The loss of a sample is the surprise at its true class. ``SoftmaxCategoricalCrossentropy`` on logits is quicker to
    train with, and stable; ``Sequential`` uses it by itself where a network ends in ``Softmax``.

    Maths:
        loss[n] = -sum over k of q[n, k] · log p[n, k]        dp = -q / p · w / B        p clipped to 1e-7 … 1
    Args:
        label_smoothing: s in q = (1 - s) · truth + s / K, at least 0 and below 1.
    Shapes:
        predictions (N, K); targets (N,) class numbers or (N, K) one-hot -> a number
    Raises:
        ValueError: if label_smoothing is out of range, or predictions are no probabilities.

    Example:
        >>> loss = CategoricalCrossentropy()
        >>> round(loss.forward([[0.5, 0.5], [0.2, 0.8]], [0, 1]), 4), loss.backward().tolist()
        (0.4581, [[-1.0, 0.0], [0.0, -0.625]])

    References:
        Goodfellow, Bengio and Courville, Deep learning, 2016, section 6.2.2.
    """

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """-sum of q · log p."""
        p, q = self._checked(predictions, targets)
        losses: FloatArray = -(q * np.log(np.clip(p, EPSILON, 1))).sum(axis=1)
        return losses

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """-q / p."""
        p, q = self._checked(predictions, targets)
        dp: FloatArray = -q / np.clip(p, EPSILON, 1)
        return dp + 0.0  # no -0.0 where q is 0

    def check_predictions(self, predictions: NDArray[Any]) -> FloatArray:
        """Check that the predictions are probabilities."""
        remedy = "Logits? Use SoftmaxCategoricalCrossentropy."
        return checks.probabilities(self.label, super().check_predictions(predictions), remedy)

    def _checked(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, FloatArray]:
        p = self.check_predictions(np.asarray(predictions))
        return p, self.truth(self.check_targets(targets, p.shape), p.shape[1], p.dtype)
