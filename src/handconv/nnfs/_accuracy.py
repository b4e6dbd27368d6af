"""The accuracies of the book."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.utils.validation import unmasked


class Accuracy:
    """What the accuracies share: the share of right answers in a batch, and in the batches of a pass.

    Derive from it and define ``compare(predictions, y)``, which says of each answer whether it is right, for one of
    your own.
    """

    def __init__(self) -> None:
        self.new_pass()

    def new_pass(self) -> None:
        """Forget the batches that ``calculate`` has seen."""
        self.accumulated_sum: int = 0
        self.accumulated_count: int = 0

    def init(self, y: ArrayLike) -> None:
        """Prepare for the targets of a whole training, where there is something to prepare."""

    def calculate(self, predictions: NDArray[Any], y: ArrayLike) -> float:
        """Return the share of right answers of a batch."""
        comparisons = self.compare(predictions, y)
        self.accumulated_sum += int(np.sum(comparisons))
        self.accumulated_count += np.size(comparisons)
        return float(np.mean(comparisons))

    def calculate_accumulated(self) -> float:
        """Return the share of all batches since ``new_pass``, each by its size."""
        if not self.accumulated_count:
            raise RuntimeError("calculate_accumulated needs a batch: call calculate(predictions, y) first.")
        return self.accumulated_sum / self.accumulated_count

    def compare(self, predictions: NDArray[Any], y: ArrayLike) -> NDArray[np.bool_]:
        """Say of each answer whether it is right."""
        raise NotImplementedError(f"{type(self).__name__} must define compare(predictions, y).")


class Accuracy_Categorical(Accuracy):
    """The share of right answers: class numbers (N,) against class numbers or one-hot.

    Args:
        binary: whether the answers are zeros and ones, each right or wrong by itself.

    Example:
        >>> accuracy = Accuracy_Categorical()
        >>> accuracy.calculate(np.array([2, 0, 1, 1]), np.array([2, 0, 1, 0])), accuracy.calculate_accumulated()
        (0.75, 0.75)
    """

    def __init__(self, *, binary: bool = False) -> None:
        super().__init__()
        self.binary = binary

    def compare(self, predictions: NDArray[Any], y: ArrayLike) -> NDArray[np.bool_]:
        """Say of each answer whether it is right."""
        predictions, truth = np.asarray(predictions), unmasked("y", y)
        if not self.binary and truth.ndim == 2:
            truth = truth.argmax(axis=1)
        if predictions.shape != truth.shape:
            column = predictions.shape == (*truth.shape, 1)
            remedy = "y.reshape(-1, 1) and binary=True" if column else "np.argmax(output, axis=1)"
            raise ValueError(
                f"Accuracy needs one answer for each truth of shape {truth.shape}, got {predictions.shape}. "
                f"{'One output' if column else 'Probabilities'}? Use {remedy}."
            )
        right: NDArray[np.bool_] = predictions == truth
        return right


class Accuracy_Regression(Accuracy):
    """The share of numbers that are right to within ``precision``: a 250th of the standard deviation of the targets.

    Example:
        >>> accuracy = Accuracy_Regression()
        >>> accuracy.init(np.array([[-250.0], [250.0]]))
        >>> accuracy.precision, accuracy.calculate(np.array([[1.5], [-0.5]]), np.zeros((2, 1)))
        (1.0, 0.5)
    """

    def __init__(self) -> None:
        super().__init__()
        self.precision: float | None = None

    def init(self, y: ArrayLike, reinit: bool = False) -> None:
        """Take ``precision`` from the targets of a whole training, once or, with ``reinit``, again."""
        if self.precision is None or reinit:
            self.precision = float(np.std(unmasked("y", y), dtype=np.float64)) / 250

    def compare(self, predictions: NDArray[Any], y: ArrayLike) -> NDArray[np.bool_]:
        """Say of each number whether it is right."""
        if self.precision is None:
            raise RuntimeError("Accuracy_Regression needs a precision: call init(y) with all targets first.")
        predictions, truth = np.asarray(predictions), unmasked("y", y)
        if predictions.shape != truth.shape:
            raise ValueError(
                f"Accuracy needs one number for each truth of shape {truth.shape}, got {predictions.shape}. "
                "Use y.reshape(-1, 1) for one output."
            )
        right: NDArray[np.bool_] = np.abs(predictions - truth) < self.precision
        return right
