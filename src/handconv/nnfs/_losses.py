"""The losses of the book."""

from __future__ import annotations

from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv import losses
from handconv.arrays import FloatArray
from handconv.losses import targets
from handconv.nnfs._layers import Trainable
from handconv.utils.validation import unmasked


class Loss:
    """What the losses share: the mean over a batch, the mean over the batches of a pass, and the penalties.

    Derive from it and define ``forward(y_pred, y_true)``, which returns the losses of the samples, for one of your
    own; to train with it, also ``backward(dvalues, y_true)``.
    """

    def __init__(self) -> None:
        self.dinputs: FloatArray | None = None
        self.trainable_layers: list[Trainable] = []
        self.new_pass()

    def new_pass(self) -> None:
        """Forget the batches that ``calculate`` has seen."""
        self.accumulated_sum: float = 0.0
        self.accumulated_count: int = 0

    def remember_trainable_layers(self, trainable_layers: list[Trainable]) -> None:
        """Set the layers whose penalties are counted."""
        self.trainable_layers = trainable_layers

    def forward(self, y_pred: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Return the loss of each sample."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(y_pred, y_true).")

    def backward(self, dvalues: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Compute ``dinputs``, the gradient of the mean loss with respect to the predictions ``dvalues``."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dvalues, y_true).")

    @overload
    def calculate(self, output: NDArray[Any], y: ArrayLike) -> float: ...

    @overload
    def calculate(
        self, output: NDArray[Any], y: ArrayLike, *, include_regularization: bool
    ) -> float | tuple[float, float]: ...

    def calculate(
        self, output: NDArray[Any], y: ArrayLike, *, include_regularization: bool = False
    ) -> float | tuple[float, float]:
        """Return the mean loss of a batch; with ``include_regularization``, a pair of it and the penalties."""
        sample_losses = self.forward(output, y)
        self.accumulated_sum += float(np.sum(sample_losses))
        self.accumulated_count += len(sample_losses)
        data_loss = float(np.mean(sample_losses))
        return (data_loss, self.regularization_loss()) if include_regularization else data_loss

    @overload
    def calculate_accumulated(self) -> float: ...

    @overload
    def calculate_accumulated(self, *, include_regularization: bool) -> float | tuple[float, float]: ...

    def calculate_accumulated(self, *, include_regularization: bool = False) -> float | tuple[float, float]:
        """Return the mean loss of all samples since ``new_pass``, each batch by its size."""
        if not self.accumulated_count:
            raise RuntimeError("calculate_accumulated needs a batch: call calculate(output, y) first.")
        data_loss = self.accumulated_sum / self.accumulated_count
        return (data_loss, self.regularization_loss()) if include_regularization else data_loss

    def regularization_loss(self, layer: Trainable | None = None) -> float:
        """Return the penalties of a layer, or of all remembered layers."""
        if layer is not None and not hasattr(layer, "network"):
            raise TypeError(f"regularization_loss expects a layer with weights, such as Layer_Dense, got {layer!r}.")
        return sum(each.network.penalty() for each in (self.trainable_layers if layer is None else [layer]))


class _FrameworkLoss(Loss):
    """A loss that one of the framework's computes."""

    kind: ClassVar[type[losses.Loss]]

    def forward(self, y_pred: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Return the loss of each sample."""
        return self.kind().sample_losses(np.asarray(y_pred), unmasked("y_true", y_true))

    def backward(self, dvalues: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Compute ``dinputs``, the gradient of the mean loss with respect to the predictions ``dvalues``."""
        loss = self.kind()
        loss.forward(dvalues, y_true)
        self.dinputs = loss.backward()
        return self.dinputs


class Loss_CategoricalCrossentropy(_FrameworkLoss):
    """Cross-entropy of probabilities (N, K); the truth is class numbers (N,) or one-hot (N, K).

    Example:
        >>> round(Loss_CategoricalCrossentropy().calculate(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1])), 4)
        0.3466
    """

    kind = losses.CategoricalCrossentropy


class Loss_BinaryCrossentropy(_FrameworkLoss):
    """Cross-entropy of yes-or-no probabilities.

    Example:
        >>> round(Loss_BinaryCrossentropy().calculate(np.array([[0.5], [0.8]]), np.array([[0], [1]])), 4)
        0.4581
    """

    kind = losses.BinaryCrossentropy


class Loss_MeanSquaredError(_FrameworkLoss):
    """The mean of the squared differences.

    Example:
        >>> Loss_MeanSquaredError().calculate(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
        2.5
    """

    kind = losses.MeanSquaredError


class Loss_MeanAbsoluteError(Loss):
    """The mean of the differences without their signs: far-off targets count less than in the squared error.

    Maths:
        loss[n] = 1/K · sum over k of |y[n, k] - t[n, k]|        dy = sign(y - t) / K / N
    Example:
        >>> loss = Loss_MeanAbsoluteError()
        >>> loss.calculate(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
        1.5
        >>> loss.backward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]])).tolist()
        [[0.5, -0.5]]
    """

    def forward(self, y_pred: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Return the loss of each sample."""
        difference = self._difference(y_pred, y_true)
        sample_losses: FloatArray = np.abs(difference).mean(axis=tuple(range(1, difference.ndim)))
        return sample_losses

    def backward(self, dvalues: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Compute ``dinputs``, the gradient of the mean loss with respect to the predictions ``dvalues``."""
        difference = self._difference(dvalues, y_true)
        self.dinputs = np.sign(difference) / difference.size
        return self.dinputs

    def _difference(self, y_pred: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        predictions = targets.floats(type(self).__name__, np.asarray(y_pred))
        truth = targets.values(type(self).__name__, y_true, predictions.shape)
        difference: FloatArray = predictions - truth.astype(predictions.dtype)
        return difference


class Activation_Softmax_Loss_CategoricalCrossentropy:
    """Softmax and cross-entropy as one, stable in both directions: nothing overflows, and nothing is divided by a zero.

    Maths:
        loss = mean over n of (log(sum over k of exp x[n, k]) - x[n, y])        dx = (softmax(x) - truth) / N
    Example:
        >>> loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
        >>> round(loss_activation.forward(np.array([[1.0, 1.0], [0.0, 1e4]]), np.array([0, 1])), 4)
        0.3466
        >>> loss_activation.backward(loss_activation.output, np.array([0, 1])).tolist()
        [[-0.25, 0.25], [0.0, 0.0]]
    """

    def __init__(self) -> None:
        self.loss = Loss_CategoricalCrossentropy()
        self.output: FloatArray = np.empty((0, 0), np.float32)
        self.dinputs: FloatArray | None = None

    def forward(self, inputs: NDArray[Any], y_true: ArrayLike) -> float:
        """Return the mean loss of scores (N, K); ``output`` holds their probabilities."""
        combined = losses.SoftmaxCategoricalCrossentropy()
        loss = combined.forward(inputs, y_true)
        assert combined.output is not None
        self.output = combined.output
        return loss

    def backward(self, dvalues: NDArray[Any], y_true: ArrayLike) -> FloatArray:
        """Compute ``dinputs``, the gradient with respect to the scores, from the probabilities ``dvalues``."""
        combined = losses.SoftmaxCategoricalCrossentropy()
        with np.errstate(divide="ignore"):
            combined.forward(np.log(dvalues), y_true)  # softmax(log p) = p, so these scores have the same gradient
        self.dinputs = combined.backward()
        return self.dinputs
