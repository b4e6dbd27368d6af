"""Activation layers: what makes a network more than one linear map.

Each keeps the slope dy/dx of every number, so that the way back is one product: dx = dy · slope.
"""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.layers.base import Layer
from handconv.utils.validation import POSITIVE, check_number, is_ours


class Activation(Layer):
    """A function of each number by itself; ``forward`` keeps its slope at the inputs."""

    elementwise: ClassVar[bool] = True
    _slope: NDArray[Any]

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dx = dy · slope."""
        self.dinputs = self.check_gradient(dvalues) * self._slope
        return self.dinputs


class LeakyReLU(Activation):
    """Let what is positive through and shrink what is negative.

    As simple as ReLU, but a unit whose input is negative still gets a gradient, so that it cannot die.

    Maths:
        y = max(x, 0) + alpha·min(x, 0)
        dx = dy where x > 0, alpha·dy elsewhere (also at 0, as in PyTorch)
    Args:
        alpha: the slope for negative inputs, in 0 … 1.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Raises:
        ValueError: if alpha is out of range.
    Example:
        >>> import numpy as np, handconv as hc
        >>> relu = hc.LeakyReLU(0.1)
        >>> relu.forward(np.array([[-10.0, 0.0, 3.0]])).tolist()
        [[-1.0, 0.0, 3.0]]
        >>> relu.backward(np.ones((1, 3))).tolist()
        [[0.1, 0.1, 1.0]]

    References:
        Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013, section 2.
    """

    def __init__(self, alpha: float = 0.01, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.alpha = check_number("LeakyReLU: alpha", alpha, lambda slope: 0 <= slope <= 1, "from 0 to 1")

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = max(x, 0) + alpha · min(x, 0)."""
        x = self.check_inputs(inputs)
        self._slope = np.where(x > 0, self.dtype.type(1), self.dtype.type(self.alpha))
        self.output = np.maximum(x, 0)
        if self.alpha:  # 0 · -inf would be NaN
            self.output += self.dtype.type(self.alpha) * np.minimum(x, 0)
        return self.output


class ReLU(Activation):
    """Let what is positive through and nothing else.

    Maths:
        y = max(x, 0)
        dx = dy where x > 0, 0 elsewhere
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.ReLU().forward(np.array([[-2.0, 3.0]])).tolist()
        [[0.0, 3.0]]

    References:
        Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = max(x, 0)."""
        x = self.check_inputs(inputs)
        self._slope = x > 0
        self.output = np.maximum(x, 0)
        return self.output


class Sigmoid(Activation):
    """Squash any number into 0 … 1, to be read as a probability.

    Maths:
        y = 1 / (1 + exp(-x))
        dx = dy · y · (1 - y)
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Sigmoid().forward(np.array([[-1e4, 0.0, 1e4]])).tolist()
        [[0.0, 0.5, 1.0]]

    References:
        Goodfellow, Bengio and Courville, Deep learning, 2016, section 6.2.2.2.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = 1 / (1 + exp(-x)), as exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows."""
        y = _sigmoid(self.check_inputs(inputs))
        self._slope = (1 - y) * y
        self.output = y
        return self.output


class Tanh(Activation):
    """Squash any number into -1 … 1.

    Maths:
        y = tanh(x)
        dx = dy · (1 - y²)
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Tanh().forward(np.array([[0.0, 1e4]])).tolist()
        [[0.0, 1.0]]

    References:
        LeCun, Bottou, Orr and Müller, Efficient backprop, 1998, section 4.4.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = tanh(x)."""
        y = np.tanh(self.check_inputs(inputs))
        self._slope = 1 - y * y
        self.output = y
        return self.output


class ELU(Activation):
    """Let what is positive through and bend what is negative smoothly towards -alpha.

    Means of activations stay nearer to zero than with ReLU, and a negative unit still has a gradient.

    Maths:
        y = x where x > 0, alpha · (exp(x) - 1) elsewhere
        dx = dy where x > 0, dy · alpha · exp(x) elsewhere
    Args:
        alpha: how far down it goes, above 0.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Raises:
        ValueError: if alpha is not above 0.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.ELU().forward(np.array([[-1e4, 0.0, 2.0]])).tolist()
        [[-1.0, 0.0, 2.0]]

    References:
        Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by ELUs, 2016, section 3.
    """

    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.alpha = check_number("ELU: alpha", alpha, *POSITIVE)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = max(x, 0) + alpha · (exp(min(x, 0)) - 1)."""
        x, alpha = self.check_inputs(inputs), self.dtype.type(self.alpha)
        negative = np.minimum(x, 0)
        self._slope = np.where(x > 0, self.dtype.type(1), alpha * np.exp(negative))
        self.output = np.maximum(x, 0) + alpha * np.expm1(negative)
        return self.output


class Softplus(Activation):
    """A smooth ReLU: always positive, with a slope that grows from 0 to 1.

    Maths:
        y = log(1 + exp(x))
        dx = dy / (1 + exp(-x))
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Softplus().forward(np.array([[-1e4, 0.0, 1e4]])).round(4).tolist()
        [[0.0, 0.6931, 10000.0]]

    References:
        Dugas, Bengio, Bélisle, Nadeau and Garcia, Incorporating second-order functional knowledge, 2001, section 3.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = max(x, 0) + log(1 + exp(-|x|)), in which nothing overflows."""
        x = self.check_inputs(inputs)
        self._slope = _sigmoid(x)
        self.output = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
        return self.output


class SiLU(Activation):
    """The inputs, gated by their own sigmoid: a smooth ReLU that dips a little below zero.

    Maths:
        y = x · s        s = 1 / (1 + exp(-x))
        dx = dy · s · (1 + x · (1 - s))
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.SiLU().forward(np.array([[-1e4, 0.0, 1e4]])).tolist()
        [[0.0, 0.0, 10000.0]]

    References:
        Elfwing, Uchibe and Doya, Sigmoid-weighted linear units, 2018, section 2.2.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = x · s."""
        x = self.check_inputs(inputs)
        s = _sigmoid(x)
        self._slope = s * (1 + x * (1 - s))
        self.output = x * s + 0.0  # no -0.0
        return self.output


class GELU(Activation):
    """The inputs, each times the probability that a standard normal variable is smaller: used in many transformers.

    Maths:
        y = x / 2 · (1 + t)        t = tanh(u)        u = sqrt(2 / π) · (x + 0.044715 · x³)
        dx = dy · ((1 + t) / 2 + x / 2 · (1 - t²) · sqrt(2 / π) · (1 + 3 · 0.044715 · x²))
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.GELU().forward(np.array([[-1e4, 0.0, 1.0]])).round(4).tolist()
        [[0.0, 0.0, 0.8412]]

    References:
        Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2 (the form with tanh, PyTorch's
        ``approximate="tanh"``).
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = x / 2 · (1 + t)."""
        x, root, cubic = self.check_inputs(inputs), math.sqrt(2 / math.pi), 0.044715
        near = np.clip(x, -10, 10)  # beyond, t is ±1 exactly, and x³ might overflow
        t = np.tanh(root * (near + cubic * near**3))
        self._slope = (1 + t) / 2 + near / 2 * (1 - t * t) * root * (1 + 3 * cubic * near**2)
        self.output = x / 2 * (1 + t) + 0.0  # no -0.0
        return self.output


class Softmax(Layer):
    """Turn scores into probabilities that sum to 1.

    At the end of a classifier. Trained with cross-entropy, ``Sequential`` runs both as one, which is stable for any
    scores and has the simple gradient (probabilities - truth) / N; this layer's own backward is the full Jacobian.

    Maths:
        y[n, k] = exp(x[n, k] - max x[n]) / sum over j of exp(x[n, j] - max x[n])
        dx[n, k] = y[n, k] · (dy[n, k] - sum over j of dy[n, j] · y[n, j])
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, …, K), over the last axis; for classifiers (N, K)
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Softmax().forward(np.array([[1e4, 1e4]])).tolist()
        [[0.5, 0.5]]

    References:
        Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = exp(x - max x) / their sum: subtracting the maximum prevents overflow and does not change y."""
        x = self.check_inputs(inputs)  # (N, …, K)
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        self.output = exponentials / exponentials.sum(axis=-1, keepdims=True)
        self._y = self.output.copy()  # the caller may change ``output``
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dx = y · (dy - sum of dy · y)."""
        dy = self.check_gradient(dvalues)
        y = self._y
        self.dinputs = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return self.dinputs


def _sigmoid(x: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), as exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows."""
    y: FloatArray = np.exp(np.minimum(x, 0)) / (np.exp(-np.abs(x)) + 1)
    return y


def probabilities_of(layer: Layer) -> type[Softmax] | type[Sigmoid] | None:
    """Tell which kind of probabilities a layer gives: Softmax if they sum to 1, Sigmoid for yes or no, None if none.

    A user-defined layer is asked for the answers to some scores: a copy of it.

    Example:
        >>> probabilities_of(Softmax()) is Softmax, probabilities_of(Tanh())
        (True, None)
    """
    for kind in (Softmax, Sigmoid):
        if isinstance(layer, kind):
            return kind
    if not is_ours(type(layer)):
        scores = np.random.default_rng(0).normal(0, 3, (4, *(layer.input_shape or (3,)))).astype(layer.dtype)
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # of code that is not ours
            given = np.asarray(copy.deepcopy(layer).forward(scores.copy(), False), np.float64)
            if (
                given.ndim == 2
                and given.shape[1] > 1
                and (given >= 0).all()
                and np.allclose(given.sum(axis=1), 1, atol=1e-3)
            ):
                return Softmax
            if given.shape == scores.shape and np.allclose(given, _sigmoid(scores), atol=1e-5):
                return Sigmoid
    return None
