"""Layers and losses as users write them, and the networks in which the suite of test_users_layers.py trains them.

Each class is one way of writing. None of them knows the engine, shards, or worker processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import handconv as hc

Array = NDArray[Any]
Shape = tuple[int, ...]


class Scale(hc.Layer):
    """Multiply by an attribute that is no argument of the constructor."""

    factor = 1.0

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return inputs * self.factor

    def backward(self, dvalues: Array) -> Array:
        return dvalues * self.factor


class Affine(hc.Layer):
    """Multiply and shift each feature by parameters: y = gamma · x + beta."""

    def declare(self, input_shape: Shape) -> tuple[Any, ...]:
        return hc.ParameterSpec("gamma", input_shape, "ones", l2=0.01), hc.ParameterSpec("beta", input_shape)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.inputs = inputs
        return inputs * self.gamma + self.beta

    def backward(self, dvalues: Array) -> Array:
        self.dgamma[...] = (dvalues * self.inputs).sum(axis=0)
        self.dbeta[...] = dvalues.sum(axis=0)
        return dvalues * self.gamma


class RunningCentre(hc.Layer):
    """Subtract a running mean, which is a buffer, and move it towards the batch in training."""

    def __init__(self, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum

    def declare(self, input_shape: Shape) -> tuple[Any, ...]:
        return (hc.ParameterSpec("running_mean", input_shape, trainable=False),)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        outputs = inputs - self.running_mean
        if training:
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * inputs.mean(axis=0)
        return outputs

    def backward(self, dvalues: Array) -> Array:
        return dvalues


class SamplesSeen(hc.Layer):
    """Count the samples and the calls of training; change nothing."""

    def declare(self, input_shape: Shape) -> tuple[Any, ...]:
        return (
            hc.ParameterSpec("samples_seen", (1,), trainable=False, reduce="sum"),
            hc.ParameterSpec("calls", (1,), trainable=False, reduce="sum"),
        )

    def forward(self, inputs: Array, training: bool = False) -> Array:
        if training:
            self.samples_seen += len(inputs)
            self.calls = self.calls + 1
        return inputs

    def backward(self, dvalues: Array) -> Array:
        return dvalues


class BatchNorm(hc.Layer):
    """Normalise each channel: y = gamma · (x - mean) / sqrt(variance + epsilon) + beta."""

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.momentum, self.epsilon = momentum, epsilon

    def declare(self, input_shape: Shape) -> tuple[Any, ...]:
        channels = input_shape[:1]
        return (
            hc.ParameterSpec("gamma", channels, "ones", decay=False),
            hc.ParameterSpec("beta", channels, decay=False),
            hc.ParameterSpec("running_mean", channels, trainable=False),
            hc.ParameterSpec("running_variance", channels, "ones", trainable=False),
        )

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.axes = (0, *range(2, inputs.ndim))  # all but the channels
        self.shape = (1, -1, *(1,) * (inputs.ndim - 2))  # (1, C, 1, 1)
        mean, variance = self.running_mean, self.running_variance
        if training:
            mean, variance = inputs.mean(axis=self.axes), inputs.var(axis=self.axes)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_variance = self.momentum * self.running_variance + (1 - self.momentum) * variance
        self.training = training
        self.deviation = np.sqrt(variance + self.epsilon).reshape(self.shape)
        self.normalized = (inputs - mean.reshape(self.shape)) / self.deviation
        return self.gamma.reshape(self.shape) * self.normalized + self.beta.reshape(self.shape)

    def backward(self, dvalues: Array) -> Array:
        self.dbeta[...] = dvalues.sum(axis=self.axes)
        self.dgamma[...] = (dvalues * self.normalized).sum(axis=self.axes)
        dnormalized = dvalues * self.gamma.reshape(self.shape)
        if not self.training:  # mean and variance are constants
            return dnormalized / self.deviation
        along = (dnormalized * self.normalized).mean(axis=self.axes, keepdims=True)
        return (
            dnormalized - dnormalized.mean(axis=self.axes, keepdims=True) - self.normalized * along
        ) / self.deviation


class Residual(hc.Layer):
    """Add to the inputs what two convolutions, with a tanh between them, make of them."""

    def __init__(self, channels: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.channels = channels
        self.conv1 = hc.Conv2D(channels, 3, padding=1, l2=0.01)
        self.tanh = hc.Tanh()
        self.conv2 = hc.Conv2D(channels, 3, padding=1)

    def sublayers(self) -> dict[str, hc.Layer]:
        return {"conv1": self.conv1, "tanh": self.tanh, "conv2": self.conv2}

    def infer_shape(self, input_shape: Shape) -> Shape:
        for layer in self.sublayers().values():
            input_shape = layer.infer_shape(input_shape)
        return input_shape

    def forward(self, inputs: Array, training: bool = False) -> Array:
        outputs = inputs
        for layer in self.sublayers().values():
            outputs = layer.forward(outputs, training)
        return inputs + outputs

    def backward(self, dvalues: Array) -> Array:
        dinputs = dvalues
        for layer in reversed(self.sublayers().values()):
            dinputs = layer.backward(dinputs)
        return dvalues + dinputs


class Nested(hc.Layer):
    """Halve what a layer inside makes: layers may hold layers that hold layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.inner = Residual(channels)
        self.norm = BatchNorm()

    def sublayers(self) -> dict[str, hc.Layer]:
        return {"inner": self.inner, "norm": self.norm}

    def infer_shape(self, input_shape: Shape) -> Shape:
        return self.norm.infer_shape(self.inner.infer_shape(input_shape))

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return 0.5 * self.norm.forward(self.inner.forward(inputs, training), training)

    def backward(self, dvalues: Array) -> Array:
        return self.inner.backward(self.norm.backward(0.5 * dvalues))


class Noise(hc.Layer):
    """Multiply by random numbers around 1 in training."""

    def __init__(self, size: float = 0.3) -> None:
        super().__init__()
        self.size = size

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.noise = np.ones(inputs.shape, inputs.dtype)
        if training:
            self.noise += (self.size * self.generator.standard_normal(inputs.shape)).astype(inputs.dtype)
        return inputs * self.noise

    def backward(self, dvalues: Array) -> Array:
        return dvalues * self.noise


class InFloat64(hc.Layer):
    """Compute the square root of 1 + x² in float64, whatever the network's dtype, in both directions."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.inputs = np.asarray(inputs, np.float64)
        self.root = np.sqrt(1 + self.inputs**2)
        return self.root

    def backward(self, dvalues: Array) -> Array:
        return np.asarray(dvalues, np.float64) * self.inputs / self.root


class InPlace(hc.Layer):
    """Double the inputs, and the gradient, in the memory in which they come."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        inputs *= 2
        return inputs

    def backward(self, dvalues: Array) -> Array:
        dvalues *= 2
        return dvalues


class InPlaceKeepingInputs(hc.Layer):
    """Square the inputs in place after a copy was kept, and write the gradient into the memory of that copy."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.kept = inputs.copy()
        np.square(inputs, out=inputs)
        return inputs

    def backward(self, dvalues: Array) -> Array:
        self.kept *= 2
        self.kept *= dvalues
        return self.kept


class Itself(hc.Layer):
    """Return the inputs themselves, and the gradient itself."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.inputs = inputs
        return inputs

    def backward(self, dvalues: Array) -> Array:
        return dvalues


class FortranOrdered(hc.Layer):
    """Return arrays in Fortran order."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return np.asfortranarray(inputs * 1.5)

    def backward(self, dvalues: Array) -> Array:
        return np.asfortranarray(dvalues * 1.5)


class Reversed(hc.Layer):
    """Reverse the first feature axis: views with negative strides."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return inputs[:, ::-1]

    def backward(self, dvalues: Array) -> Array:
        return dvalues[:, ::-1]


class Spread(hc.Layer):
    """Give every feature the mean of all: read-only views with strides of 0."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return np.broadcast_to(inputs.mean(axis=1, keepdims=True), inputs.shape)

    def backward(self, dvalues: Array) -> Array:
        return np.broadcast_to(dvalues.mean(axis=1, keepdims=True), dvalues.shape)


class BothSigns(hc.Layer):
    """Put the inputs and their negatives side by side: twice the features."""

    def infer_shape(self, input_shape: Shape) -> Shape:
        return (2 * input_shape[0], *input_shape[1:])

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return np.concatenate([inputs, -inputs], axis=1)

    def backward(self, dvalues: Array) -> Array:
        positive, negative = np.split(dvalues, 2, axis=1)
        return positive - negative


class ByTheLargest(hc.Layer):
    """In training, divide by the power of two above the largest input, a Python number."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.divisor = 1 / 64
        while training and self.divisor < float(np.abs(inputs).max()):
            self.divisor *= 2
        return inputs / self.divisor

    def backward(self, dvalues: Array) -> Array:
        return dvalues / self.divisor


class OneMemory(hc.Layer):
    """Write the outputs of batches of one size into one array, again and again."""

    outputs: Array | None = None

    def forward(self, inputs: Array, training: bool = False) -> Array:
        if self.outputs is None or self.outputs.shape != inputs.shape or self.outputs.dtype != inputs.dtype:
            self.outputs = np.empty_like(inputs)
        return np.multiply(inputs, 3, out=self.outputs)

    def backward(self, dvalues: Array) -> Array:
        return dvalues * 3


class Ramp(hc.ReLU):
    """Another function than that of the class from which it is derived: 0 below -0.5, then x + 0.5, then 1."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.inside = (inputs > -0.5) & (inputs < 0.5)
        return np.clip(inputs + inputs.dtype.type(0.5), 0, 1)

    def backward(self, dvalues: Array) -> Array:
        return dvalues * self.inside


class Sign(hc.Layer):
    """Give whole numbers, and pass the gradient straight through."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return (inputs > 0).astype(int)

    def backward(self, dvalues: Array) -> Array:
        return dvalues


class ActivityPenalty(hc.Layer):
    """Return the inputs themselves, and add to the gradient what keeps them small."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.inputs = inputs
        return inputs

    def backward(self, dvalues: Array) -> Array:
        return dvalues + 0.01 * self.inputs


class TwiceTheDense(hc.Dense):
    """A layer of ours with parameters, doubled."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return 2 * super().forward(inputs, training)

    def backward(self, dvalues: Array, **options: Any) -> Array:
        return super().backward(2 * dvalues, **options)


def tripled(original: Callable[..., Array], values: Array, *more: Any, **options: Any) -> Array:
    """Three times what a method returns."""
    return 3 * original(values, *more, **options)


def patched_tanh() -> hc.Layer:
    """A layer of ours of which both methods were replaced on the instance."""
    layer = hc.Tanh()
    layer.forward = partial(tripled, layer.forward)
    layer.backward = partial(tripled, layer.backward)
    return layer


def scale_by(factor: float) -> Scale:
    """A layer whose attribute was set after it was made."""
    layer = Scale()
    layer.factor = factor
    return layer


class OwnError(hc.Loss):
    """The mean squared error by methods of its own: ``forward`` and ``backward``."""

    def forward(
        self, predictions: Array, targets: Array, sample_weights: Any = None, *, batch_size: int | None = None
    ) -> float:
        difference = predictions - targets
        weights = np.ones(len(difference)) if sample_weights is None else np.asarray(sample_weights)
        weights = weights / (batch_size or len(difference))
        self.direction = 2 / difference.shape[1] * difference * weights[:, None]
        return float(np.sum((difference**2).mean(axis=1) * weights))

    def backward(self) -> Array:
        return self.direction


class PureError(hc.Loss):
    """The mean squared error by pure functions; with targets in float64 both are float64."""

    def sample_losses(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        return ((np.asarray(predictions) - np.asarray(targets)) ** 2).mean(axis=1)

    def gradient(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        difference = np.asarray(predictions) - np.asarray(targets)
        return 2 / difference.shape[1] * difference


@dataclass(frozen=True)
class Case:
    """A network with a layer, or a loss, of a user's own.

    Attributes:
        layers: makes the layers, always anew.
        shape: of one sample.
        loss: makes the loss; without it, the network ends in Softmax and learns three classes.
        differentiable: whether forward has a slope that differences can see.
        by_hand: whether a pass by hand draws the same numbers as a step of fit.
        may_refuse: whether several workers, or a checkpoint, may be refused instead.
        file_may_refuse: whether a file may refuse to hold the layers.
    """

    layers: Callable[[], list[hc.Layer]]
    shape: Shape = (4,)
    loss: Callable[[], hc.Loss] | None = None
    differentiable: bool = True
    by_hand: bool = True
    may_refuse: bool = False
    file_may_refuse: bool = False


def _among_vectors(make: Callable[[], hc.Layer]) -> Callable[[], list[hc.Layer]]:
    return lambda: [hc.Dense(6), hc.Tanh(), make(), hc.Dense(5), hc.LeakyReLU(0.1), hc.Dense(3), hc.Softmax()]


def _among_images(make: Callable[[], hc.Layer]) -> Callable[[], list[hc.Layer]]:
    return lambda: [hc.Conv2D(3, 3, padding=1), hc.Tanh(), make(), hc.Flatten(), hc.Dense(3), hc.Softmax()]


def _first(make: Callable[[], hc.Layer]) -> Callable[[], list[hc.Layer]]:
    return lambda: [make(), hc.Dense(5), hc.Tanh(), hc.Dense(3), hc.Softmax()]


def _last(make: Callable[[], hc.Layer]) -> Callable[[], list[hc.Layer]]:
    return lambda: [hc.Dense(5), hc.Tanh(), hc.Dense(3), make()]


def _regression() -> list[hc.Layer]:
    return [hc.Dense(5), hc.Tanh(), hc.Dense(2)]


IMAGE = (2, 5, 5)

CASES = {
    "attribute": Case(_among_vectors(partial(scale_by, 1.7)), file_may_refuse=True),
    "attribute, first layer": Case(_first(partial(scale_by, 1.7)), file_may_refuse=True),
    "attribute, last layer": Case(_last(partial(scale_by, 1.7)), file_may_refuse=True),
    "parameters": Case(_among_vectors(Affine)),
    "parameters, first layer": Case(_first(Affine)),
    "buffer": Case(_among_vectors(RunningCentre), differentiable=False),
    "counters": Case(_among_vectors(SamplesSeen)),
    "batch norm of vectors": Case(_among_vectors(BatchNorm)),
    "batch norm of images": Case(_among_images(BatchNorm), IMAGE),
    "residual": Case(_among_images(partial(Residual, 3)), IMAGE),
    "nested": Case(_among_images(partial(Nested, 3)), IMAGE),
    "random": Case(_among_vectors(Noise), differentiable=False, by_hand=False),
    "float64": Case(_among_vectors(InFloat64)),
    "in place": Case(_among_vectors(InPlace)),
    "in place, first layer": Case(_first(InPlace)),
    "in place, of images": Case(_among_images(InPlace), IMAGE),
    "in place, inputs kept": Case(_among_vectors(InPlaceKeepingInputs)),
    "itself": Case(_among_vectors(Itself)),
    "itself, first layer": Case(_first(Itself)),
    "itself, last layer": Case(_last(Itself)),
    "itself, before one in place": Case(
        lambda: [hc.Dense(6), ActivityPenalty(), InPlace(), InPlaceKeepingInputs(), hc.Dense(3), hc.Softmax()],
        differentiable=False,
    ),
    "integers": Case(_among_vectors(Sign), differentiable=False),
    "Fortran order": Case(_among_images(FortranOrdered), IMAGE),
    "negative strides": Case(_among_vectors(Reversed)),
    "negative strides of images": Case(_among_images(Reversed), IMAGE),
    "strides of zero": Case(_among_vectors(Spread)),
    "other shape": Case(_among_vectors(BothSigns)),
    "other shape of images": Case(_among_images(BothSigns), IMAGE),
    "Python numbers": Case(_among_vectors(ByTheLargest)),
    "one memory": Case(_among_vectors(OneMemory), may_refuse=True),
    "one memory, last layer": Case(_last(OneMemory), may_refuse=True),
    "subclass": Case(_among_vectors(Ramp)),
    "subclass with parameters": Case(_among_vectors(partial(TwiceTheDense, 6))),
    "patched": Case(_among_vectors(patched_tanh), may_refuse=True, file_may_refuse=True),
    "loss by methods": Case(_regression, loss=OwnError),
    "loss by functions": Case(_regression, loss=PureError),
}
