"""The activations of the book, each with its ``predictions``: the answers that are read from outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv import layers
from handconv.nnfs._layers import Identity


class Activation_Linear(Identity):
    """The linear activation of a regression's last layer: its ``output`` is the inputs.

    Example:
        >>> Activation_Linear().forward([[-1.0, 2.0]]).tolist()
        [[-1.0, 2.0]]
    """

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the answers for outputs: the outputs themselves."""
        return outputs


class Activation_ReLU(layers.ReLU):
    """max(x, 0).

    Example:
        >>> Activation_ReLU().forward([[-1.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the answers for outputs: the outputs themselves."""
        return outputs


class Activation_LeakyReLU(layers.LeakyReLU):
    """max(x, alpha·x).

    Args:
        alpha: the slope below zero.

    Example:
        >>> Activation_LeakyReLU(0.5).forward([[-1.0, 2.0]]).tolist()
        [[-0.5, 2.0]]
    """

    def __init__(self, alpha: float = 0.01) -> None:
        super().__init__(alpha)

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the answers for outputs: the outputs themselves."""
        return outputs


class Activation_Sigmoid(layers.Sigmoid):
    """1 / (1 + exp(-x)).

    Example:
        >>> Activation_Sigmoid().forward([[0.0, 1e4]]).tolist()
        [[0.5, 1.0]]
    """

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the answers for outputs: 1 above one half, else 0."""
        answers: NDArray[Any] = (np.asarray(outputs) > 0.5) * 1
        return answers


class Activation_Softmax(layers.Softmax):
    """exp(x) / sum of exp(x), stable for any scores.

    Example:
        >>> softmax = Activation_Softmax()
        >>> softmax.forward([[1e4, 1e4]]).tolist(), softmax.predictions(softmax.output).tolist()
        ([[0.5, 0.5]], [0])
    """

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the answers for outputs: the number of the largest in each row."""
        answers: NDArray[Any] = np.asarray(outputs).argmax(axis=1)
        return answers
