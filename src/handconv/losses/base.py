"""What a loss is: how wrong each sample's predictions are, and the gradient of that with respect to the predictions.

    loss       = sum over n of w[n] · loss[n] / B        w: sample weights, 1 unless given        B: the batch's size
    dinputs[n] = w[n] / B · (gradient of loss[n] with respect to the predictions of sample n)

A loss is a page of two functions, ``sample_losses`` and ``gradient``, side by side. The mean over the batch is taken
here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import inspect
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.losses import targets as checks
from handconv.losses.targets import Targets
from handconv.utils.settings import Settings, is_change
from handconv.utils.validation import check_int, check_not_a_method, check_setting, is_ours, unmasked

#: The clip of losses on probabilities, so that no logarithm meets a zero.
EPSILON = 1e-7


def check_loss(loss: object) -> Loss:
    """Return the loss; refuse names and classes."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a loss such as handconv.MeanSquaredError(), got {loss!r}.")
    signature = inspect.signature(loss.forward)
    try:
        signature.bind(None, None, None, batch_size=None)
    except TypeError:
        raise TypeError(
            f"{loss.label}.forward must take (self, predictions, targets, sample_weights=None, *, batch_size=None), "
            f"got {signature}. Or define sample_losses and gradient alone."
        ) from None
    return loss


def checked_targets(loss: Loss, y: object, shape: Shape) -> Targets:
    """The targets of a whole data set as the loss wants them; its steps have them checked again, batch by batch.

    Args:
        loss: the loss.
        y: the truth for all samples.
        shape: of the predictions that belong to them, (N, …).

    Raises:
        ValueError, TypeError: if they do not fit, or a user-defined ``check_targets`` changes them again.
    """
    targets = np.asarray(loss.check_targets(unmasked("y", y), shape))
    if not is_ours(type(loss)):
        part, same = targets[: (len(targets) + 1) // 2], False
        with contextlib.suppress(Exception):  # of code that is not ours
            again = loss.check_targets(part.copy(), (len(part), *shape[1:]))
            same = np.array_equal(again, part, equal_nan=part.dtype.kind == "f")
        if not same:
            raise ValueError(
                f"{loss.label}.check_targets must leave targets that it has returned as they are: it gets all of them "
                "first, and then those of each batch. Change y before fit, or within sample_losses and gradient."
            )
    return targets


def as_number(loss: Loss, value: object) -> float:
    """Check that what ``forward`` of a user-defined loss returned is one real number."""
    found = np.asarray(value)
    if found.size != 1 or found.dtype.kind not in "biuf":
        raise TypeError(f"{loss.label}.forward must return one real number, got {value!r}.")
    return float(found.reshape(()))


class Loss(Settings):
    """A loss over a batch: ``forward`` measures, ``backward`` says which way to move each prediction.

    A loss of your own overrides ``sample_losses`` and ``gradient``, or ``forward`` and ``backward`` themselves. It may
    override ``check_targets`` to have its targets checked before training begins, and then again in each batch.

    Maths:
        loss = sum over n of w[n] · loss[n] / B
        dinputs[n] = w[n] / B · (gradient of loss[n] with respect to the predictions of sample n)
    Attributes:
        dinputs: of the last ``backward``.

    Example:
        >>> class AbsoluteError(Loss):
        ...     def sample_losses(self, predictions, targets):
        ...         return np.abs(predictions - targets).mean(axis=1)
        ...     def gradient(self, predictions, targets):
        ...         return np.sign(predictions - targets) / predictions.shape[1]
        >>> loss = AbsoluteError()
        >>> loss.forward([[1.0, 5.0]], [[0.0, 2.0]]), loss.backward().tolist()
        (2.0, [[0.5, 0.5]])
    """

    dinputs: FloatArray | None = None
    _measured: tuple[FloatArray, Targets, FloatArray | float] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Take a setting as the constructor would take it."""
        check_not_a_method(self, name, value)
        if is_change(self, name):
            value = self.as_constructed(name, value)
        elif type(self).__module__.startswith("handconv.losses."):
            check_setting(self, self.label, name, self.arguments)
        object.__setattr__(self, name, value)

    def sample_losses(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """Return each sample's own loss (N,).

        Args:
            predictions: the network's outputs (N, …), in any memory order; not changed.
            targets: the truth.
        """
        raise NotImplementedError(f"{self.label} must define sample_losses(self, predictions, targets).")

    def gradient(self, predictions: FloatArray, targets: Targets) -> FloatArray:
        """Return the gradient of each sample's own loss with respect to its predictions (N, …), a new array.

        Args:
            predictions: as for ``sample_losses``.
            targets: the truth.
        """
        raise NotImplementedError(f"{self.label} must define gradient(self, predictions, targets).")

    def forward(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        sample_weights: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> float:
        """Return the loss of a batch, or the share of it that belongs to these samples.

        Args:
            predictions: the network's outputs (N, …), in any memory order; not changed.
            targets: the truth.
            sample_weights: (N,), how much each sample counts; the loss is divided by B all the same.
            batch_size: B, the size of the whole batch where these samples are a part of it; N unless given.

        Raises:
            ValueError, TypeError: if the arrays do not fit; see ``check_targets``.
        """
        p = self.check_predictions(unmasked("predictions", predictions))
        t = self.check_targets(targets, p.shape)
        size = len(p) if batch_size is None else check_int("batch_size", batch_size)
        if size < len(p):
            raise ValueError(f"batch_size must be at least the number of samples, {len(p)}, got {batch_size}.")
        kept = np.array(p), np.array(t)  # copies: the caller, or sample_losses, may change these arrays
        losses = np.asarray(self.sample_losses(p, t))
        if losses.dtype.kind not in "biuf":
            raise TypeError(f"{self.label}.sample_losses must return real numbers, got {losses.dtype}.")
        if losses.shape != (len(p),):
            raise ValueError(
                f"{self.label}.sample_losses must return one loss for each of the {len(p)} samples, got an array of "
                f"shape {losses.shape}. The mean over the samples is taken elsewhere."
            )
        scale: FloatArray | float = 1.0 / size
        if sample_weights is not None:
            weights = self.check_sample_weights(sample_weights, len(p))
            losses, scale = losses * weights, np.multiply(weights, scale, dtype=p.dtype)
            scale = scale.reshape(len(p), *(1,) * (p.ndim - 1))
        vars(self)["_measured"] = *kept, scale
        return float(np.add.reduce(losses, dtype=np.float64) / size)

    def backward(self) -> FloatArray:
        """Return the gradient of the last ``forward`` with respect to its predictions, of their shape and dtype.

        Raises:
            RuntimeError: if there was no ``forward`` before.
        """
        if self._measured is None:
            raise RuntimeError(f"{self.label}.backward needs a forward before it: call forward(predictions, targets).")
        p, t, scale = self._measured
        gradient = np.asarray(self.gradient(p, t))
        if gradient.dtype.kind not in "biuf":
            raise TypeError(f"{self.label}.gradient must return real numbers, got {gradient.dtype}.")
        if gradient.shape != p.shape:
            raise ValueError(
                f"{self.label}.gradient must return an array of shape {p.shape}, as the predictions, "
                f"got {gradient.shape}."
            )
        dinputs: FloatArray = np.asarray(gradient * scale, p.dtype)
        vars(self)["dinputs"] = dinputs
        return dinputs

    def check_targets(self, targets: ArrayLike, shape: Shape) -> Targets:
        """Check the truth for a whole data set or a batch, and return it in the form that ``forward`` wants.

        Args:
            targets: the truth for all samples.
            shape: of the predictions that belong to them, (N, …).

        Raises:
            ValueError: if shapes, ranges or values do not fit.
            TypeError: if the targets are of the wrong kind.
        """
        return checks.as_many(self.label, unmasked("targets", targets), shape)

    @staticmethod
    def check_sample_weights(sample_weights: ArrayLike, samples: int) -> NDArray[np.float64]:
        """Check one weight for each sample: finite, not negative.

        Raises:
            ValueError: if shape or values do not fit.
            TypeError: if they are no numbers.
        """
        return checks.sample_weights(sample_weights, samples)

    def check_predictions(self, predictions: NDArray[Any]) -> FloatArray:
        """Bring predictions to floats; losses of probabilities also check their range.

        Raises:
            ValueError: if they are out of range.
            TypeError: if they are no numbers.
        """
        return checks.floats(self.label, predictions)

    @property
    def label(self) -> str:
        """The name of the class, for messages."""
        return type(self).__name__

    def __repr__(self) -> str:
        kept = {name: getattr(self, name) for name in self.arguments if hasattr(self, name)}
        return f"{self.label}({', '.join(f'{name}={value!r}' for name, value in kept.items())})"

    def __getstate__(self) -> Any:
        """A copy has measured nothing."""
        state = {name: value for name, value in vars(self).items() if name not in ("_measured", "dinputs", "output")}
        whole = super().__getstate__()
        return (state, whole[1]) if isinstance(whole, tuple) else state  # with what lies in __slots__


class ScoreLoss(Loss):
    """A loss of scores, which leaves the probabilities that they stand for in ``output``.

    Attributes:
        output: the probabilities of the last ``forward``.
    """

    output: FloatArray | None = None

    @staticmethod
    @abstractmethod
    def _probabilities(scores: FloatArray) -> FloatArray:
        """Turn scores (N, …) into probabilities."""

    def forward(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        sample_weights: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> float:
        """Return the loss, and leave the probabilities in ``output``."""
        loss = super().forward(predictions, targets, sample_weights, batch_size=batch_size)
        self.output = self._probabilities(self.check_predictions(np.asarray(predictions)))
        return loss
