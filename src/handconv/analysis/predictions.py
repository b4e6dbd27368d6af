"""What a classifier answers, and how sure it is, whatever its last layer is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.engine.kernels.softmax import softmax
from handconv.layers import Sigmoid
from handconv.sequential import Sequential


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
        """The most probable classes with their probabilities."""
        return tuple((label, self.probabilities[label]) for label in self.ranking[:count])


def probabilities(model: Sequential, x: ArrayLike) -> NDArray[np.floating]:
    """Give the probability of each class for each sample.

    After a final Softmax these are the outputs, after a single Sigmoid those of "no" and "yes", else the softmax of
    the outputs.

    Args:
        model: the classifier.
        x: samples (N, …).

    Shapes:
        (N, …) -> (N, K)

    Raises:
        ValueError, TypeError: if the model does not give one vector of classes a sample.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0)
        >>> probabilities(model, np.zeros((1, 2)))
        array([[0.5, 0.5]], dtype=float32)
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"A classifier is a handconv.Sequential, got {model!r}.")
    outputs = model.predict(x)
    if outputs.ndim != 2:
        raise ValueError(f"A classifier gives one vector (K,) a sample, this model gives {outputs.shape[1:]}.")
    if outputs.shape[1] == 1 and isinstance(model.layers[-1], Sigmoid):
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs if model.ends_in_softmax else softmax(outputs)


def answer(model: Sequential, image: ArrayLike) -> Answer:
    """Let a model classify one sample, given without the batch axis.

    Args:
        model: the classifier.
        image: the sample, (C, H, W) for an image.

    Raises:
        ValueError: if the sample does not have the model's input shape, or the model is no classifier.

    Example:
        >>> import handconv as hc
        >>> answer(hc.zoo.reference(), np.zeros((1, 28, 28), np.uint8)).top(1)
        ((0, 0.1...),)
    """
    row = probabilities(model, np.asarray(image)[None])[0]
    ranking = np.argsort(-row, kind="stable")
    return Answer(tuple(map(float, row)), tuple(map(int, ranking)))
