"""Adam, and Adam with decoupled weight decay."""

import math

import numpy as np

from handconv.arrays import FloatArray
from handconv.optimizers.base import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.utils.validation import NOT_NEGATIVE, POSITIVE, SHARE, check_number


class Adam(Optimizer):
    """Adam: for each parameter a step of about the learning rate, in the direction of its mean gradient.

    m is a running mean of the gradients (momentum), v one of their squares (as in RMSprop). Both start at zero and are
    therefore too small at first; the bias correction makes up for it.

    Maths:
        m = beta_1 · m + (1 - beta_1) · g        m_hat = m / (1 - beta_1^t)
        v = beta_2 · v + (1 - beta_2) · g²       v_hat = v / (1 - beta_2^t)
        p -= rate · m_hat / (sqrt(v_hat) + epsilon)

        The code makes no vectors m_hat and v_hat. With c = sqrt(1 - beta_2^t), sqrt(v_hat) equals sqrt(v) / c, and
        multiplying numerator and denominator of the last line by c gives
        p -= rate · c / (1 - beta_1^t) · m / (sqrt(v) + epsilon · c)
    Args:
        learning_rate: above 0, or a schedule.
        beta_1: how long m remembers, at least 0 and below 1.
        beta_2: how long v remembers, at least 0 and below 1.
        epsilon: keeps the divisor from zero, above 0.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> parameters, gradients = np.array([1.0, 2.0]), np.array([0.5, -100.0])
        >>> Adam(0.1).step(parameters, gradients)
        >>> parameters.round(6)
        array([0.9, 2.1])

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1 (epsilon as there, outside the
        root of v_hat; its default is Keras').
    """

    vectors = ("m", "v")

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.beta_1 = check_number(f"{self._label}: beta_1", beta_1, *SHARE)
        self.beta_2 = check_number(f"{self._label}: beta_2", beta_2, *SHARE)
        self.epsilon = check_number(f"{self._label}: epsilon", epsilon, *POSITIVE)

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        beta_1, beta_2 = self.beta_1, self.beta_2
        c = math.sqrt(1 - beta_2**self.iterations)
        step, epsilon = rate * c / (1 - beta_1**self.iterations), self.epsilon * c
        for p, g, m, v, spare in self._blocks(part, parameters, gradients, self.state["m"], self.state["v"]):
            np.multiply(g, 1 - beta_1, out=spare)
            np.multiply(m, beta_1, out=m)
            np.add(m, spare, out=m)
            np.square(g, out=spare)
            np.multiply(spare, 1 - beta_2, out=spare)
            np.multiply(v, beta_2, out=v)
            np.add(v, spare, out=v)
            np.sqrt(v, out=spare)
            np.add(spare, epsilon, out=spare)
            np.divide(m, spare, out=spare)
            np.multiply(spare, step, out=spare)
            np.subtract(p, spare, out=p)


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also shrinks the weights by a share of themselves.

    Adam would divide the gradient of an L2 penalty by sqrt(v_hat), so that weights with large gradients decay less;
    here all weights shrink by the same share.

    Maths:
        p -= rate · weight_decay · p        for weights, not for biases and scales (``ParameterSpec.decay``)
        then the step of Adam
    Args:
        learning_rate: above 0, or a schedule.
        beta_1: how long m remembers, at least 0 and below 1.
        beta_2: how long v remembers, at least 0 and below 1.
        epsilon: keeps the divisor from zero, above 0.
        weight_decay: at least 0.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> parameters, gradients = np.array([1.0, 2.0]), np.array([0.5, -100.0])
        >>> AdamW(0.1, weight_decay=0.5).step(parameters, gradients)
        >>> parameters.round(6)
        array([0.85, 2.  ])

    References:
        Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithm 2 (the decay scaled by the
        learning rate, as in PyTorch).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,  # Keras has weight_decay second, PyTorch last
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, clip_norm=clip_norm, clip_value=clip_value)
        self.weight_decay = check_number(f"{self._label}: weight_decay", weight_decay, *NOT_NEGATIVE)

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        self._decay(parameters, part, rate * self.weight_decay)
        super()._update(parameters, gradients, part, rate)
