"""Cross-entropy over K classes, of logits and of probabilities.

With q the truth (1 for the true class y, 0 elsewhere), smoothed by s:  q = (1 - s) · truth + s / K

    of logits x:          loss[n] = log(sum over k of exp x[n, k]) - sum over k of q[n, k] · x[n, k]
                          dx = p - q   with p = softmax(x)
    of probabilities p:   loss[n] = -sum over k of q[n, k] · log p[n, k]
                          dp = -q / p

Without smoothing only the true class counts.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.kernels.softmax import softmax_parts
from handconv.losses import targets as _checks
from handconv.losses.base import EPSILON, Gradient, Loss
from handconv.losses.targets import Shape, Targets
from handconv.utils.validation import check_number


class _Categorical(Loss):
    """What both forms share: the targets and their smoothing."""

    settings: ClassVar[tuple[str, ...]] = ("label_smoothing",)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        rule = "of at least 0 and below 1, as 0.1 is"
        self.label_smoothing = check_number(
            f"{self._label}: label_smoothing", label_smoothing, lambda x: 0 <= x < 1, rule
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
        return _checks.classes(self._label, targets, shape)

    def _is_plain(self, targets: Targets) -> bool:
        """Whether each sample has one class and nothing is smoothed."""
        return targets.ndim == 1 and not self.label_smoothing

    @staticmethod
    def _truth(targets: Targets, classes: int) -> NDArray[Any]:
        """Return the truth (N, K), of class numbers with the samples innermost in memory."""
        return targets if targets.ndim == 2 else np.equal(np.arange(classes)[:, None], targets).T

    def _smoothed(self, truth: NDArray[Any], dtype: DTypeLike) -> FloatArray:
        """Return q (N, K)."""
        shares: FloatArray = np.multiply(truth, 1 - self.label_smoothing, dtype=dtype)
        shares += self.label_smoothing / truth.shape[1]
        return shares


class SoftmaxCategoricalCrossentropy(_Categorical):
    """Softmax and categorical cross-entropy as one, on logits: what classifiers are trained with.

    Together they are simpler than apart, and stable for any scores: by the log-sum-exp identity nothing overflows, no
    logarithm meets a zero, nothing is clipped, and the gradient is the probabilities minus the truth. The probabilities
    are left in ``output``.

    Maths:
        loss[n] = log(sum over k of exp(x[n, k] - m[n])) - (x[n, y] - m[n])        m[n] = max over k of x[n, k]
        dx[n, k] = (softmax(x)[n, k] - q[n, k]) · w[n] / B                         q = (1 - s) · truth + s / K
    Args:
        label_smoothing: s, the share that is taken from the truth and spread over all classes, from 0 to 1.
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

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        self.output: FloatArray | None = None

    def _evaluate(self, logits: FloatArray, targets: Targets) -> tuple[FloatArray, Gradient]:
        probabilities, largest, total = softmax_parts(logits)  # (N, K), (N, 1), (N, 1)
        self.output = probabilities
        shifted, truth = logits - largest, self._truth(targets, logits.shape[1])
        if self._is_plain(targets):
            of_truth = np.add.reduce(shifted, axis=1, where=truth)  # the others may be -inf
        else:
            truth = self._smoothed(truth, logits.dtype)
            of_truth = np.add.reduce(shifted * truth, axis=1)

        def gradient() -> FloatArray:
            dlogits = +probabilities  # a copy that keeps the memory order
            dlogits -= truth
            return dlogits

        return np.log(total[:, 0]) - of_truth, gradient


class CategoricalCrossentropy(_Categorical):
    """Cross-entropy of probabilities, such as ``Softmax`` gives.

    The loss of a sample is the surprise at its true class. ``SoftmaxCategoricalCrossentropy`` on logits is quicker to
    train with, and stable; ``Sequential`` uses it by itself where a network ends in ``Softmax``.

    Maths:
        loss[n] = -sum over k of q[n, k] · log p[n, k]        dp = -q / p · w / B        p clipped to 1e-7 … 1
    Args:
        label_smoothing: s in q = (1 - s) · truth + s / K, from 0 to 1.
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

    def _evaluate(self, probabilities: FloatArray, targets: Targets) -> tuple[FloatArray, Gradient]:
        if self._is_plain(targets):
            truth = np.arange(len(probabilities)), targets
            of_truth: NDArray[np.floating] = np.clip(probabilities[truth], EPSILON, 1)

            def gradient() -> FloatArray:
                dprobabilities = np.zeros_like(probabilities)
                dprobabilities[truth] = -1 / of_truth
                return dprobabilities

            return -np.log(of_truth), gradient
        shares = self._smoothed(self._truth(targets, probabilities.shape[1]), probabilities.dtype)
        clipped = np.clip(probabilities, EPSILON, 1)
        losses = -np.sum(shares * np.log(clipped), axis=1)
        return losses, lambda: np.divide(-shares, clipped, out=np.empty_like(clipped))

    def _check_predictions(self, predictions: NDArray[np.generic]) -> FloatArray:
        remedy = "Logits? Use SoftmaxCategoricalCrossentropy."
        return _checks.probabilities(self._label, super()._check_predictions(predictions), remedy)
