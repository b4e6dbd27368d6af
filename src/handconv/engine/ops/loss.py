"""The loss as the last op of a program: its value, its gradient, and the answers that are counted as right or wrong.

Softmax with cross-entropy on scores, the loss of classifiers, has a fast op. Any other loss runs its own Python code,
now and at every replay, over arrays of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Scope
from handconv.engine.capture import untracked
from handconv.engine.kernels.softmax import softmax_parts
from handconv.losses import Loss
from handconv.losses.base import as_number
from handconv.losses.cross_entropy import CategoricalLoss

Weights = NDArray[np.float64] | None


class LossOp:
    """A loss whose own ``forward`` and ``backward`` are called.

    Args:
        loss: the loss.
        scope: where its arrays come from.
        answers_from_output: whether the answers to be counted are the probabilities in ``loss.output``.
    """

    def __init__(self, loss: Loss, scope: Scope, *, answers_from_output: bool = False) -> None:
        self.loss, self.scope, self._from_output = loss, scope, answers_from_output
        #: Gives, after a forward, the outputs that are counted as right or wrong.
        self.answers: Callable[[], NDArray[Any]] = lambda: np.empty(0)
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.float32)
        self._latest: NDArray[Any] = np.empty(0)

    @property
    def key(self) -> tuple[object, ...]:
        """What captured calls depend on."""
        return ()

    def forward(
        self, predictions: FloatArray, targets: NDArray[Any], sample_weights: Weights, batch_size: int
    ) -> FloatArray:
        """Return the share of the mean loss that belongs to these samples, as an array (1,)."""
        p, t = untracked(predictions), untracked(targets)
        w = None if sample_weights is None else untracked(sample_weights)
        self.answers, self._shape, self._dtype = lambda: self._latest, p.shape, p.dtype

        def compute() -> float:
            value = self.loss.forward(np.array(p, order="C"), t.copy(), w, batch_size=batch_size)
            self._latest = self.loss.output if self._from_output else p  # type: ignore[attr-defined]
            return as_number(self.loss, value)

        return self.scope.computed("loss", (1,), np.float64, compute)

    def backward(self) -> FloatArray:
        """Return the gradient with respect to the predictions."""
        shape = self._shape

        def compute() -> Any:
            dvalues = np.asarray(self.loss.backward())
            name = type(self.loss).__name__
            if dvalues.dtype.kind not in "biuf":
                raise TypeError(f"{name}.backward must return real numbers, got {dvalues.dtype}.")
            if dvalues.shape != shape:
                raise ValueError(f"{name}.backward must return an array of shape {shape}, got {dvalues.shape}.")
            return dvalues

        return self.scope.computed("dvalues", shape, self._dtype, compute)


class SoftmaxCrossEntropyOp(LossOp):
    """Softmax and cross-entropy on scores; the loss gives the label smoothing."""

    loss: CategoricalLoss

    @property
    def key(self) -> tuple[object, ...]:
        """The label smoothing, which callbacks may change."""
        return (self.loss.label_smoothing,)

    def forward(
        self, predictions: FloatArray, targets: NDArray[Any], sample_weights: Weights, batch_size: int
    ) -> FloatArray:
        """log(sum of exp(x - m)) - sum of q · (x - m)."""
        scores = untracked(predictions)
        self.answers = lambda: scores
        classes, smoothing = predictions.shape[1], self.loss.label_smoothing
        self._probabilities, largest, total = softmax_parts(predictions)  # (N, K), (N, 1), (N, 1)
        shifted = predictions - largest
        truth: NDArray[Any] = targets
        if targets.ndim == 1:
            numbers = self.scope.cached(classes, lambda: self.scope.constant(np.arange(classes)[:, None]))
            truth = np.equal(numbers, targets).T  # (N, K), the samples innermost
        if targets.ndim == 1 and not smoothing:
            of_truth = np.add.reduce(shifted, axis=1, where=truth)  # the others may be -inf
        else:
            truth = np.multiply(truth, 1 - smoothing, dtype=predictions.dtype)
            truth += smoothing / classes
            of_truth = np.add.reduce(shifted * truth, axis=1, where=truth != 0)
        scale: NDArray[Any] | float = 1.0 / batch_size
        losses = np.log(total[:, 0]) - of_truth
        if sample_weights is not None:
            losses = losses * sample_weights
            scale = np.multiply(sample_weights, scale, dtype=predictions.dtype).reshape(-1, 1)  # (N, 1)
        self._truth, self._scale = truth, scale
        value = np.add.reduce(losses, dtype=np.float64, keepdims=True)
        value *= 1.0 / batch_size
        return value

    def backward(self) -> FloatArray:
        """(softmax(x) - q) · w / B."""
        dx: FloatArray = +self._probabilities  # a copy that keeps the memory order
        dx -= self._truth
        dx *= self._scale
        return dx
