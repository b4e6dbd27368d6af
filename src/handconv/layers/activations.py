"""Activation layers: what makes a network more than one linear map.

Each keeps the slope dy/dx of every number, so that the way back is one product: dx = dy · slope.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.layers.base import Layer
from handconv.utils.validation import check_number


class LeakyReLU(Layer):
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

    elementwise: ClassVar[bool] = True

    def __init__(self, alpha: float = 0.01, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.alpha = check_number("LeakyReLU: alpha", alpha, lambda slope: 0 <= slope <= 1, "from 0 to 1")

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Y = max(x, 0) + alpha · min(x, 0)."""
        x = self.check_inputs(inputs)
        self._slope = np.where(x > 0, self.dtype.type(1), self.dtype.type(self.alpha))
        self.output = np.maximum(x, 0)
        if self.alpha:  # 0 · -inf would be no number
            self.output += self.dtype.type(self.alpha) * np.minimum(x, 0)
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Dx = dy where x > 0, alpha · dy elsewhere."""
        self.dinputs = self.check_gradient(dvalues) * self._slope
        return self.dinputs


class ReLU(Layer):
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

    elementwise: ClassVar[bool] = True

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Y = max(x, 0)."""
        x = self.check_inputs(inputs)
        self._slope = x > 0
        self.output = np.maximum(x, 0)
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Dx = dy where x > 0, 0 elsewhere."""
        self.dinputs = self.check_gradient(dvalues) * self._slope
        return self.dinputs


class Sigmoid(Layer):
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

    elementwise: ClassVar[bool] = True

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Y = 1 / (1 + exp(-x)), as exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows."""
        x = self.check_inputs(inputs)
        y = np.exp(np.minimum(x, 0)) / (np.exp(-np.abs(x)) + 1)
        self._slope = (1 - y) * y
        self.output = y
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Dx = dy · y · (1 - y)."""
        self.dinputs = self.check_gradient(dvalues) * self._slope
        return self.dinputs


class Tanh(Layer):
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

    elementwise: ClassVar[bool] = True

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Y = tanh(x)."""
        y = np.tanh(self.check_inputs(inputs))
        self._slope = 1 - y * y
        self.output = y
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Dx = dy · (1 - y²)."""
        self.dinputs = self.check_gradient(dvalues) * self._slope
        return self.dinputs


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
        (N, …, K): over the last axis… for classifiers (N, K)
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Softmax().forward(np.array([[1e4, 1e4]])).tolist()
        [[0.5, 0.5]]

    References:
        Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Y = exp(x - max x) / their sum: taking the maximum off first changes nothing but that nothing overflows."""
        x = self.check_inputs(inputs)  # (N, …, K)
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        self.output = exponentials / exponentials.sum(axis=-1, keepdims=True)
        self._y = self.output.copy()  # its own: the caller may change the outputs
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Dx = y · (dy - sum of dy · y)."""
        dy = self.check_gradient(dvalues)
        y = self._y
        self.dinputs = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return self.dinputs
