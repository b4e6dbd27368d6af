"""Activation layers: what makes a network more than one linear map."""

from typing import ClassVar

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.arena import memory_view, public_view
from handconv.engine.kernels import elementwise, softmax
from handconv.layers.base import Layer
from handconv.utils.validation import check_number


class _Activation(Layer):
    """A function of single numbers, whose derivative is known from its output."""

    elementwise: ClassVar[bool] = True

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        memory = memory_view(x)
        y = self._activate(memory, self.workspace.keep("output", memory.shape, self.dtype))
        self._activated = y if remember else None
        return public_view(y)

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        assert self._activated is not None
        dy = memory_view(dvalues)
        return public_view(self._gradient(dy, self._activated, self.workspace.keep("dinputs", dy.shape, self.dtype)))

    def _activate(self, x: FloatArray, out: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _gradient(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        raise NotImplementedError


class LeakyReLU(_Activation):
    """Let what is positive through and shrink what is negative.

    As simple as ReLU, but a unit whose input is negative still gets a gradient, so that it cannot die.

    Maths:
        y = max(x, alpha·x)
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

    settings: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 0.01, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.alpha = check_number("LeakyReLU: alpha", alpha, lambda slope: 0 <= slope <= 1, "from 0 to 1")

    def _activate(self, x: FloatArray, out: FloatArray) -> FloatArray:
        spare = self.workspace.scratch("spare", x.shape, x.dtype)
        return elementwise.leaky_relu(x, self.alpha, out, spare)

    def _gradient(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.leaky_relu_gradient(dy, y > 0, self.alpha, out)


class ReLU(_Activation):
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

    alpha: ClassVar[float] = 0.0

    def _activate(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return np.maximum(x, 0, out=out)

    def _gradient(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.leaky_relu_gradient(dy, y > 0, 0.0, out)


class Sigmoid(_Activation):
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

    def _activate(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.sigmoid(x, out)

    def _gradient(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.sigmoid_gradient(dy, y, out)


class Tanh(_Activation):
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

    def _activate(self, x: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.tanh(x, out)

    def _gradient(self, dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        return elementwise.tanh_gradient(dy, y, out)


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

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        y = public_view(self.workspace.keep("output", memory_view(x).shape, self.dtype))
        softmax.softmax(x, out=y)
        self._probabilities = y if remember else None
        return y

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        y = self._probabilities
        assert y is not None
        dx: FloatArray = y * (dvalues - np.add.reduce(dvalues * y, axis=-1, keepdims=True))
        return dx
