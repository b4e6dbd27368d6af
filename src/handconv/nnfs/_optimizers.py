"""The optimizers of the book."""

from abc import ABC, abstractmethod
from weakref import WeakKeyDictionary

from handconv import optimizers
from handconv.network import Network
from handconv.nnfs._layers import Trainable
from handconv.optimizers.schedules import InverseTimeDecay


class Optimizer(ABC):
    """What the optimizers share: the learning rate, the steps done, and one of the framework's optimizers a layer."""

    def __init__(self, learning_rate: float, decay: float) -> None:
        self.learning_rate = learning_rate
        self.current_learning_rate = learning_rate
        self.decay = decay
        self.iterations = 0
        self._optimizers: WeakKeyDictionary[Trainable, optimizers.Optimizer] = WeakKeyDictionary()

    def pre_update_params(self) -> None:
        """Work out ``current_learning_rate``; once before the layers of a step."""
        self.current_learning_rate = InverseTimeDecay(self.learning_rate, self.decay)(self.iterations, None)

    def update_params(self, layer: Trainable) -> None:
        """Update the weights and biases of a layer by its ``dweights`` and ``dbiases``."""
        if not isinstance(layer, Trainable):
            raise TypeError(
                f"update_params expects a layer with weights of handconv.nnfs, Layer_Dense or Conv2D, got {layer!r}."
            )
        if layer not in self._optimizers:
            self._optimizers[layer] = self._start()
            self._optimizers[layer].build(layer.network.parameters)
        optimizer = self._optimizers[layer]
        optimizer.iterations = self.iterations  # steps, however many layers there are
        self._step(optimizer, layer.network)

    def post_update_params(self) -> None:
        """Count the step; once after all layers."""
        self.iterations += 1

    @abstractmethod
    def _start(self) -> optimizers.Optimizer:
        """Make the framework's optimizer for a layer."""

    def _step(self, optimizer: optimizers.Optimizer, network: Network) -> None:
        """Let it do a step at the present learning rate."""
        optimizer.learning_rate = self.current_learning_rate
        optimizer.step(network.parameters, network.gradients)


class Optimizer_SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    Maths:
        update = momentum · update - rate · g        p += update        rate = learning_rate / (1 + decay · iterations)
    Args:
        learning_rate: of the first step.
        decay: how fast the rate falls.
        momentum: the share of the last update that is kept.

    Example:
        >>> import numpy as np
        >>> from handconv.nnfs import Layer_Dense
        >>> dense, optimizer = Layer_Dense(2, 1), Optimizer_SGD(learning_rate=0.25)
        >>> dense.weights = [[1], [1]]
        >>> _ = dense.forward(np.ones((1, 2)), training=True), dense.backward(np.ones((1, 1)))
        >>> optimizer.pre_update_params()
        >>> optimizer.update_params(dense)
        >>> optimizer.post_update_params()
        >>> dense.weights.tolist()
        [[0.75], [0.75]]

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapter 10.
    """

    def __init__(self, learning_rate: float = 1.0, decay: float = 0.0, momentum: float = 0.0) -> None:
        super().__init__(learning_rate, decay)
        self.momentum = momentum

    def _start(self) -> optimizers.SGD:
        return optimizers.SGD(1.0, self.momentum)

    def _step(self, optimizer: optimizers.Optimizer, network: Network) -> None:
        # The book has the rate inside of the momentum: a rate of 1 for gradients that it has scaled already.
        optimizer.step(network.parameters, self.current_learning_rate * network.gradients)


class Optimizer_Adam(Optimizer):
    """Adam, with bias correction; the moments of each layer live from batch to batch.

    Maths:
        m = beta_1 · m + (1 - beta_1) · g        m_hat = m / (1 - beta_1^t)        t = iterations + 1
        v = beta_2 · v + (1 - beta_2) · g²       v_hat = v / (1 - beta_2^t)
        p -= rate · m_hat / (sqrt(v_hat) + epsilon)        rate = learning_rate / (1 + decay · iterations)
    Args:
        learning_rate: of the first step.
        decay: how fast the rate falls.
        epsilon: keeps the divisor above 0.
        beta_1: the share of the gradients' mean that is kept.
        beta_2: the share of their squares' mean that is kept.

    Example:
        >>> optimizer = Optimizer_Adam(learning_rate=0.02, decay=0.5)
        >>> optimizer.post_update_params()
        >>> optimizer.pre_update_params()
        >>> round(optimizer.current_learning_rate, 6)
        0.013333

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapter 10.
        Kingma and Ba, Adam: a method for stochastic optimization, 2015.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        decay: float = 0.0,
        epsilon: float = 1e-7,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
    ) -> None:
        super().__init__(learning_rate, decay)
        self.epsilon, self.beta_1, self.beta_2 = epsilon, beta_1, beta_2

    def _start(self) -> optimizers.Adam:
        return optimizers.Adam(self.learning_rate, self.beta_1, self.beta_2, self.epsilon)


class Optimizer_Adagrad(Optimizer):
    """Adagrad: each parameter's rate falls with the gradients that it has seen.

    Maths:
        cache = cache + g²
        p -= rate · g / (sqrt(cache) + epsilon)        rate = learning_rate / (1 + decay · iterations)
    Args:
        learning_rate: of the first step.
        decay: how fast the rate falls.
        epsilon: keeps the divisor above 0.

    Example:
        >>> optimizer = Optimizer_Adagrad(decay=0.25)
        >>> optimizer.post_update_params()
        >>> optimizer.pre_update_params()
        >>> optimizer.current_learning_rate
        0.8

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapter 10.
    """

    def __init__(self, learning_rate: float = 1.0, decay: float = 0.0, epsilon: float = 1e-7) -> None:
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon

    def _start(self) -> optimizers.Adagrad:
        return optimizers.Adagrad(self.learning_rate, self.epsilon)


class Optimizer_RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of a running mean of its squares.

    Maths:
        cache = rho · cache + (1 - rho) · g²
        p -= rate · g / (sqrt(cache) + epsilon)        rate = learning_rate / (1 + decay · iterations)
    Args:
        learning_rate: of the first step.
        decay: how fast the rate falls.
        epsilon: keeps the divisor above 0.
        rho: the share of the squares' mean that is kept.

    Example:
        >>> optimizer = Optimizer_RMSprop(learning_rate=0.02, decay=0.25)
        >>> optimizer.post_update_params()
        >>> optimizer.pre_update_params()
        >>> optimizer.current_learning_rate
        0.016

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapter 10.
    """

    def __init__(
        self, learning_rate: float = 0.001, decay: float = 0.0, epsilon: float = 1e-7, rho: float = 0.9
    ) -> None:
        super().__init__(learning_rate, decay)
        self.epsilon, self.rho = epsilon, rho

    def _start(self) -> optimizers.RMSprop:
        return optimizers.RMSprop(self.learning_rate, self.rho, epsilon=self.epsilon)
