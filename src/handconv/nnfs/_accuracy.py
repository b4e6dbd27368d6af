"""The accuracy of the book."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Accuracy_Categorical:
    """The share of right answers.

    Args:
        binary: whether the answers are zeros and ones, each right or wrong by itself.

    Example:
        >>> accuracy = Accuracy_Categorical()
        >>> accuracy.calculate(np.array([2, 0, 1, 1]), np.array([2, 0, 1, 0])), accuracy.calculate_accumulated()
        (0.75, 0.75)
    """

    def __init__(self, *, binary: bool = False) -> None:
        self.binary = binary
        self.new_pass()

    def new_pass(self) -> None:
        """Forget the batches that ``calculate`` has seen."""
        self.accumulated_sum: int = 0
        self.accumulated_count: int = 0

    def init(self, y: ArrayLike) -> None:
        """Nothing to prepare; a regression's accuracy has."""

    def calculate(self, predictions: NDArray[Any], y: ArrayLike) -> float:
        """Return the share of right answers of a batch: class numbers (N,) against class numbers or one-hot."""
        comparisons = self.compare(predictions, y)
        self.accumulated_sum += int(np.sum(comparisons))
        self.accumulated_count += len(comparisons)
        return float(np.mean(comparisons))

    def calculate_accumulated(self) -> float:
        """Return the share of all batches since ``new_pass``, each by its size."""
        if not self.accumulated_count:
            raise RuntimeError("calculate_accumulated needs a batch: call calculate(predictions, y) first.")
        return self.accumulated_sum / self.accumulated_count

    def compare(self, predictions: NDArray[Any], y: ArrayLike) -> NDArray[np.bool_]:
        """Say of each answer whether it is right."""
        predictions, truth = np.asarray(predictions), np.asarray(y)
        if not self.binary and truth.ndim == 2:
            truth = truth.argmax(axis=1)
        if predictions.shape != truth.shape:
            raise ValueError(
                f"Accuracy needs one answer for each truth of shape {truth.shape}, got {predictions.shape}. "
                "Probabilities? Use np.argmax(output, axis=1)."
            )
        right: NDArray[np.bool_] = predictions == truth
        return right
