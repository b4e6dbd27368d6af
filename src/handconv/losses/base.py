"""What a loss is: the weighted mean of the samples' losses, and its gradient by the predictions."""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.losses import targets as _checks
from handconv.losses.targets import Shape, Targets

#: The clip of losses on probabilities, so that no logarithm meets a zero.
EPSILON = 1e-7

Gradient = Callable[[], FloatArray]


class Loss(ABC):
    """A loss over a batch: ``forward`` measures, ``backward`` says which way to move each prediction.

    Maths:
        loss = sum over n of w[n] · loss[n] / B
        dinputs[n] = w[n] / B · (gradient of loss[n] by predictions[n])
    """

    #: The arguments that ``measure`` looks at each time, so that they may be changed in between.
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.dinputs: FloatArray | None = None
        self._gradient: Gradient | None = None
        self._scale: float | FloatArray = 1.0

    def forward(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        sample_weights: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> float:
        """Return the loss of a batch, or the share of it that belongs to these samples.

        Args:
            predictions: the network's outputs (N, …), in any memory order; not changed.
            targets: the truth.
            sample_weights: (N,), how much each sample counts; the loss is divided by B all the same.
            batch_size: B, the size of the whole batch where these samples are a part of it; N unless given.

        Raises:
            ValueError, TypeError: if the arrays do not fit; see ``check_targets``.
        """
        values = self._check_predictions(np.asarray(predictions))
        truth = self.check_targets(targets, values.shape)
        weights = None if sample_weights is None else self.check_sample_weights(sample_weights, len(values))
        if batch_size is not None and batch_size < len(values):
            raise ValueError(f"batch_size must be at least the number of samples, {len(values)}, got {batch_size}.")
        return float(self.measure(values, truth, weights, batch_size or len(values))[0])

    def measure(
        self, predictions: FloatArray, targets: Targets, sample_weights: NDArray[np.float64] | None, batch_size: int
    ) -> NDArray[np.float64]:
        """Return what ``forward`` does as an array (1,), without checks: for loops that have made them.

        Args:
            predictions: a network's outputs (N, …), of its dtype.
            targets: (a slice of) what ``check_targets`` returned.
            sample_weights: (a slice of) what ``check_sample_weights`` returned, if there are any.
            batch_size: B.
        """
        losses, self._gradient = self._evaluate(predictions, targets)
        self._scale = 1.0 / batch_size
        if sample_weights is not None:
            scale = np.multiply(sample_weights, self._scale, dtype=predictions.dtype)
            losses, self._scale = losses * sample_weights, scale.reshape(len(scale), *(1,) * (predictions.ndim - 1))
        total: NDArray[np.float64] = np.add.reduce(losses, dtype=np.float64, keepdims=True)
        total *= 1.0 / batch_size
        return total

    def backward(self) -> FloatArray:
        """Return the gradient of the last ``forward`` by its predictions: their shape, dtype and memory order.

        Raises:
            RuntimeError: if there was no ``forward`` before.
        """
        if self._gradient is None:
            raise RuntimeError(f"{self._label}.backward needs a forward before it: call forward(predictions, targets).")
        self.dinputs = self._gradient()
        self.dinputs *= self._scale
        return self.dinputs

    def config(self) -> dict[str, object]:
        """Return the constructor's arguments as plain values."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def blank(self) -> Self:
        """Return a copy that remembers no ``forward``."""
        blank = copy.copy(self)
        blank.dinputs = blank._gradient = None
        return blank

    def sample_losses(self, predictions: ArrayLike, targets: ArrayLike) -> FloatArray:
        """Return each sample's own loss (N,); the last ``forward`` stays as it is."""
        values = self._check_predictions(np.asarray(predictions))
        return self._evaluate(values, self.check_targets(targets, values.shape))[0]

    @abstractmethod
    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check the truth for a whole data set or a batch, and return it in the form that ``forward`` wants.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shapes, ranges or values do not fit.
            TypeError: if the targets are of the wrong kind.
        """

    @staticmethod
    def check_sample_weights(sample_weights: ArrayLike, samples: int) -> NDArray[np.float64]:
        """Check one weight for each sample: finite, not negative.

        Raises:
            ValueError: if shape or values do not fit.
            TypeError: if they are no numbers.
        """
        return _checks.sample_weights(sample_weights, samples)

    @abstractmethod
    def _evaluate(self, predictions: FloatArray, targets: Targets) -> tuple[FloatArray, Gradient]:
        """Return the samples' losses (N,), and how to get a new array of their gradients if it is wanted."""

    def _check_predictions(self, predictions: NDArray[np.generic]) -> FloatArray:
        return _checks.floats(self._label, predictions)

    @property
    def _label(self) -> str:
        return type(self).__name__
