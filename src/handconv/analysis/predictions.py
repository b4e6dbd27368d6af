"""What a classifier answers, and how sure it is, whatever its last layer is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from handconv.ensemble import Classifier, probabilities
from handconv.utils.validation import check_int, unmasked


@dataclass(frozen=True)
class Answer:
    """The classes that a model takes one sample for.

    Args:
        probabilities: one probability a class.
        ranking: the class numbers, the most probable first.
    """

    probabilities: tuple[float, ...]
    ranking: tuple[int, ...]

    @property
    def label(self) -> int:
        """The most probable class."""
        return self.ranking[0]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.probabilities[self.label]

    def top(self, count: int = 3) -> tuple[tuple[int, float], ...]:
        """The most probable classes with their probabilities, at least one."""
        return tuple((label, self.probabilities[label]) for label in self.ranking[: check_int("top: count", count)])


def answer(model: Classifier, image: ArrayLike) -> Answer:
    """Let a model classify one sample, given without the batch axis.

    Args:
        model: the classifier, or the ensemble.
        image: the sample, (C, H, W) for an image.

    Raises:
        ValueError: if the sample does not have the model's input shape, or the model is no classifier.

    Example:
        >>> import handconv as hc
        >>> answer(hc.zoo.reference(), np.zeros((1, 28, 28), np.uint8)).top(1)
        ((0, 0.1...),)
    """
    row = probabilities(model, unmasked("image", image)[None])[0]
    ranking = np.argsort(-row, kind="stable")
    return Answer(tuple(map(float, row)), tuple(map(int, ranking)))
