"""Normalisations: numbers brought to mean 0 and variance 1, then to a scale and a shift that are learnt.

    x_hat = (x - mean) / sqrt(variance + epsilon)        y = gamma · x_hat + beta

They differ in what the mean and the variance are taken over. The way back is the same for all:

    dx_hat = gamma · dy
    dx = (dx_hat - mean of dx_hat - x_hat · mean of (dx_hat · x_hat)) / sqrt(variance + epsilon)

The last two terms are there because every number moves the mean and the variance of its own group.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.base import Layer
from handconv.layers.parameters import ParameterSpec
from handconv.utils.validation import POSITIVE, SHARE, check_image_shape, check_int, check_number


def _check_epsilon(owner: str, epsilon: float) -> float:
    value = check_number(f"{owner}: epsilon", epsilon, *POSITIVE)
    if value > 1:
        raise ValueError(
            f"{owner}: epsilon keeps a divisor from 0 and is at most 1, got {epsilon!r}. How many channels or numbers "
            "come in, the inputs tell."
        )
    return value


class BatchNorm(Layer):
    """Normalise each feature, or each channel of images, over the batch.

    Activations keep their scale however the layers before change, so that deep networks train at higher rates. In
    training, mean and variance are taken over the samples that are computed together: over each *shard* of a batch, as
    in any data-parallel training without synchronised statistics (``fit(shard_size=…)`` sets its size). Inference uses
    running averages of them, which are buffers; after a training with averaged weights, these are measured anew on up
    to 5,000 training samples.

    Maths:
        in training: mean and variance over n (images: over n, i, j) of x[n, c], the variance divided by the count
        running_mean = momentum · running_mean + (1 - momentum) · mean; running_var likewise, of the variance divided by
        the count less 1
        y = gamma · (x - mean) / sqrt(variance + epsilon) + beta; out of training with the running values
        dbeta = sum of dy        dgamma = sum of dy · x_hat        x_hat = (x - mean) / sqrt(variance + epsilon)
        dx = gamma / sqrt(variance + epsilon) · (dy - dbeta / m - x_hat · dgamma / m)        m: numbers in each mean
        out of training, where the statistics do not depend on x: dx = gamma / sqrt(variance + epsilon) · dy
    Args:
        momentum: the share of the old running value that is kept at each step, at least 0 and below 1.
        epsilon: keeps the divisor from zero, above 0 and at most 1.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, D) or (N, C, H, W), unchanged; gamma, beta, running_mean, running_var (D,) or (C,)
    Raises:
        ValueError: if an argument is out of range, or a shard in training has a single number for each feature.
    Example:
        >>> import numpy as np, handconv as hc
        >>> norm = hc.BatchNorm()
        >>> norm.forward(np.array([[1.0], [3.0]]), training=True).round(3).tolist()
        [[-1.0], [1.0]]
        >>> norm.running_mean.round(3).tolist(), norm.running_var.round(3).tolist()
        ([0.2], [1.1])

    References:
        Ioffe and Szegedy, Batch normalization, 2015, algorithms 1 and 2 (running values as in PyTorch).
    """

    min_samples: ClassVar[int] = 2

    gamma: FloatArray
    beta: FloatArray
    dgamma: FloatArray
    dbeta: FloatArray
    running_mean: FloatArray
    running_var: FloatArray

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.momentum = check_number("BatchNorm: momentum", momentum, *SHARE)
        self.epsilon = _check_epsilon("BatchNorm", epsilon)

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(D,) or (C, H, W), unchanged."""
        if not input_shape:
            raise ValueError(f"{self.label} expects features, (N, D), got single numbers (N,). Use x[:, None].")
        return input_shape

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """Scale and shift, and the running statistics, one of each a feature or channel."""
        shape = input_shape[:1]
        return (
            ParameterSpec("gamma", shape, "ones"),
            ParameterSpec("beta", shape),
            ParameterSpec("running_mean", shape, trainable=False),
            ParameterSpec("running_var", shape, "ones", trainable=False),
        )

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = gamma · x_hat + beta."""
        x = self.check_inputs(inputs)
        self._axes = (0, *range(2, x.ndim))  # all but the features
        count = x.size // x.shape[1]
        if training:
            if count < 2:
                raise ValueError(
                    f"{self.label} in training needs at least 2 numbers for each feature, got {count}: inputs of shape "
                    f"{x.shape}. Use a batch size that leaves no single sample."
                )
            mean = x.mean(axis=self._axes)  # (C,)
            variance = ((x - self._spread(mean, x)) ** 2).mean(axis=self._axes)
            new = 1 - self.momentum
            self.running_mean += self.dtype.type(new) * (mean - self.running_mean)
            self.running_var += self.dtype.type(new) * (variance * (count / (count - 1)) - self.running_var)
        else:
            mean, variance = self.running_mean.copy(), self.running_var.copy()
        self._inverse = 1 / np.sqrt(variance + self.dtype.type(self.epsilon))  # (C,)
        self._x_hat, self._training = (x - self._spread(mean, x)) * self._spread(self._inverse, x), training
        self.output = self._spread(self.gamma, x) * self._x_hat + self._spread(self.beta, x)
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dgamma = sum of dy · x_hat, dbeta = sum of dy, dx = gamma / sigma · (dy - dbeta / n - x_hat · dgamma / n)."""
        dy = self.check_gradient(dvalues)
        self.dgamma = (dy * self._x_hat).sum(axis=self._axes)
        self.dbeta = dy.sum(axis=self._axes)
        dx = dy
        if self._training:
            count = dy.dtype.type(dy.size // dy.shape[1])
            dx = dy - self._spread(self.dbeta / count, dy) - self._x_hat * self._spread(self.dgamma / count, dy)
        self.dinputs = self._spread(self.gamma * self._inverse, dy) * dx
        return self.dinputs

    @staticmethod
    def _spread(values: FloatArray, x: FloatArray) -> FloatArray:
        """(C,) as (1, C, 1, 1), beside x."""
        return values.reshape(1, -1, *(1,) * (x.ndim - 2))


class _SampleNorm(Layer):
    """Normalises within each sample, the same in training and in inference."""

    epsilon: float
    gamma: FloatArray
    beta: FloatArray
    dgamma: FloatArray
    dbeta: FloatArray

    def _normalize(self, x: FloatArray) -> FloatArray:
        """X (N, G, M) -> y, over the last axis; keeps x_hat and 1 / sigma."""
        centered = x - x.mean(axis=2, keepdims=True)
        variance = (centered**2).mean(axis=2, keepdims=True)
        self._inverse = 1 / np.sqrt(variance + self.dtype.type(self.epsilon))
        x_hat: FloatArray = centered * self._inverse
        self._x_hat = x_hat
        return x_hat

    def _denormalize(self, dx_hat: FloatArray) -> FloatArray:
        """dx_hat (N, G, M) -> dx."""
        x_hat = self._x_hat
        along = (dx_hat * x_hat).mean(axis=2, keepdims=True)
        dx: FloatArray = (dx_hat - dx_hat.mean(axis=2, keepdims=True) - x_hat * along) * self._inverse
        return dx


class LayerNorm(_SampleNorm):
    """Normalise each sample over all its numbers.

    Unlike ``BatchNorm`` it does not depend on the other samples of a batch, so that it computes the same in training
    and in inference.

    Maths:
        x_hat = (x - mean) / sqrt(variance + epsilon), mean and variance over all numbers of x[n]
        y = gamma · x_hat + beta, with gamma and beta of a sample's shape
        dbeta = sum over n of dy        dgamma = sum over n of dy · x_hat        dx_hat = gamma · dy
        dx = (dx_hat - mean of dx_hat - x_hat · mean of (dx_hat · x_hat)) / sqrt(variance + epsilon)
    Args:
        epsilon: keeps the divisor from zero, above 0 and at most 1.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, …), unchanged; gamma, beta (…)
    Raises:
        ValueError: if epsilon is not above 0.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.LayerNorm().forward(np.array([[1.0, 3.0]])).round(3).tolist()
        [[-1.0, 1.0]]

    References:
        Ba, Kiros and Hinton, Layer normalization, 2016, section 3.
    """

    def __init__(self, epsilon: float = 1e-5, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.epsilon = _check_epsilon("LayerNorm", epsilon)

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """Scale and shift of each number of a sample; neither decays."""
        return (
            ParameterSpec("gamma", input_shape, "ones", decay=False),
            ParameterSpec("beta", input_shape, decay=False),
        )

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = gamma · x_hat + beta."""
        x = self.check_inputs(inputs)
        x_hat = self._normalize(x.reshape(len(x), 1, math.prod(x.shape[1:]))).reshape(x.shape)
        self.output = self.gamma * x_hat + self.beta
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dgamma = sum of dy · x_hat, dbeta = sum of dy, dx of gamma · dy."""
        dy = self.check_gradient(dvalues)
        self.dgamma, self.dbeta = (dy * self._x_hat.reshape(dy.shape)).sum(axis=0), dy.sum(axis=0)
        self.dinputs = self._denormalize((self.gamma * dy).reshape(self._x_hat.shape)).reshape(dy.shape)
        return self.dinputs


class GroupNorm(_SampleNorm):
    """Normalise groups of channels of each image.

    It lies between the normalisation of a whole image (one group) and that of each channel by itself (as many groups
    as channels), and suits images whose batches are too small for ``BatchNorm``.

    Maths:
        x_hat = (x - mean) / sqrt(variance + epsilon), mean and variance over a group's channels and pixels of x[n]
        y = gamma[c] · x_hat + beta[c]
        dbeta[c] = sum over n, i, j of dy        dgamma[c] = sum over n, i, j of dy · x_hat        dx_hat = gamma · dy
        dx = (dx_hat - mean of dx_hat - x_hat · mean of (dx_hat · x_hat)) / sqrt(variance + epsilon)
    Args:
        groups: how many groups; it divides the channels.
        epsilon: keeps the divisor from zero, above 0 and at most 1.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, C, H, W), unchanged; gamma, beta (C,)
    Raises:
        ValueError: if an argument is out of range, or the groups do not divide the channels.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.GroupNorm(1).forward(np.array([1.0, 3.0]).reshape(1, 2, 1, 1)).round(3).ravel().tolist()
        [-1.0, 1.0]

    References:
        Wu and He, Group normalization, 2018, section 3.
    """

    def __init__(self, groups: int, epsilon: float = 1e-5, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.groups = check_int("GroupNorm: groups", groups)
        self.epsilon = _check_epsilon("GroupNorm", epsilon)

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W), unchanged."""
        channels, _, _ = check_image_shape(self.label, input_shape)
        if channels % self.groups:
            raise ValueError(f"{self.label}: groups must divide the channels, {channels}, got {self.groups}.")
        return input_shape

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """Scale and shift of each channel."""
        return ParameterSpec("gamma", input_shape[:1], "ones"), ParameterSpec("beta", input_shape[:1])

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = gamma · x_hat + beta."""
        x = self.check_inputs(inputs)  # (N, C, H, W)
        grouped = x.reshape(len(x), self.groups, math.prod(x.shape[1:]) // self.groups)
        x_hat = self._normalize(grouped).reshape(x.shape)
        self.output = self.gamma[:, None, None] * x_hat + self.beta[:, None, None]
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dgamma = sum of dy · x_hat, dbeta = sum of dy, dx of gamma · dy."""
        dy = self.check_gradient(dvalues)  # (N, C, H, W)
        self.dgamma = (dy * self._x_hat.reshape(dy.shape)).sum(axis=(0, 2, 3))
        self.dbeta = dy.sum(axis=(0, 2, 3))
        dx_hat = self.gamma[:, None, None] * dy
        self.dinputs = self._denormalize(dx_hat.reshape(self._x_hat.shape)).reshape(dy.shape)
        return self.dinputs
