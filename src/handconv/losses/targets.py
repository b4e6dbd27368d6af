"""Checks of predictions, targets and weights: once for a whole data set, so that the steps need none."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray, Shape
from handconv.utils.validation import unmasked

#: Class numbers (N,) of int64, or numbers of the predictions' shape.
Targets = NDArray[Any]

_SUM_TOLERANCE = 1e-3  # what rounding in float16 explains
_RANGE_TOLERANCE = 1e-4


def floats(owner: str, predictions: NDArray[Any]) -> FloatArray:
    """Let float32 and float64 pass, and turn other numbers into float64."""
    if predictions.ndim == 0:
        raise ValueError(f"{owner} expects predictions (N, …), got a single number. Use x.reshape(1, 1).")
    if predictions.dtype.kind not in "biuf":
        raise TypeError(f"{owner} expects predictions that are numbers, got dtype {predictions.dtype}.")
    return predictions if predictions.dtype in (np.float32, np.float64) else predictions.astype(np.float64)


def probabilities(owner: str, predictions: FloatArray, remedy: str) -> FloatArray:
    """Check numbers from 0 to 1, up to rounding; NaN passes, and makes the loss NaN."""
    if predictions.size:
        lowest, highest = predictions.min(), predictions.max()
        if lowest < -_RANGE_TOLERANCE or highest > 1 + _RANGE_TOLERANCE:
            raise ValueError(
                f"{owner} expects probabilities from 0 to 1, got values from {lowest:g} to {highest:g}. {remedy}"
            )
    return predictions


def classes(owner: str, targets: ArrayLike, shape: Shape) -> Targets:
    """Check class numbers (N,), or the share of each class (N, K); one-hot rows become class numbers.

    The two are told apart by their number of axes, never by their size.
    """
    truth = unmasked("targets", targets)
    if len(shape) != 2:
        raise ValueError(f"{owner} expects predictions (N, K), one for each class, got shape {shape}. Add a Flatten.")
    if shape[1] < 2:
        raise ValueError(
            f"{owner} needs at least 2 outputs, one for each class, got shape {shape}. "
            "Two classes and one output? Use Sigmoid and BinaryCrossentropy. Numbers, no classes? MeanSquaredError."
        )
    if truth.ndim not in (1, 2):
        raise ValueError(
            f"{owner} expects class numbers (N,) or one-hot rows (N, {shape[1]}), got targets of shape {truth.shape}."
        )
    as_many(owner, truth, shape)
    return _class_numbers(owner, truth, shape[1]) if truth.ndim == 1 else _class_shares(owner, truth, shape[1])


def _class_numbers(owner: str, truth: Targets, count: int) -> NDArray[np.int64]:
    if truth.dtype.kind not in "iu":
        remedy = "Use y.astype(int)." if truth.dtype.kind in "bf" else "Use np.unique(y, return_inverse=True)[1]."
        if truth.dtype.kind == "f" and np.isnan(truth).any():
            remedy = f"The first NaN is at {np.isnan(truth).argmax()}; drop such samples."
        raise TypeError(f"{owner}: class numbers must be integers from 0 to {count - 1}, got {truth.dtype}. {remedy}")
    outside = (truth < 0) | (truth >= count)
    if outside.any():
        first = int(outside.argmax())
        raise ValueError(
            f"{owner}: class numbers must be from 0 to {count - 1} for {count} outputs, got {truth[first]} at {first}. "
            "Count classes from 0, and give the last layer one unit for each class."
        )
    return truth.astype(np.int64, copy=False)


def _class_shares(owner: str, truth: Targets, count: int) -> Targets:
    if truth.shape[1] != count:
        hint = " Class numbers in a column? Use y[:, 0]." if truth.shape[1] == 1 else ""
        raise ValueError(f"{owner} expects one-hot rows (N, {count}), one for each output, got {truth.shape}.{hint}")
    _numbers(owner, "targets", truth)
    sums = truth.sum(axis=1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > _SUM_TOLERANCE) | (truth < 0).any(axis=1)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{owner}: each row of one-hot targets must be at least 0 and sum to 1, got {truth[first]} at {first}. "
            "Numbers, no classes? Use MeanSquaredError; several labels a sample? Sigmoid and BinaryCrossentropy."
        )
    if np.isin(truth, (0, 1)).all():
        numbers: Targets = truth.argmax(axis=1)
        return numbers
    shares: Targets = truth / sums[:, None]
    return shares


def values(owner: str, targets: ArrayLike, shape: Shape) -> Targets:
    """Check finite numbers of the predictions' shape; (N,) does for (N, 1)."""
    truth = unmasked("targets", targets)
    if truth.ndim == 0:
        raise ValueError(f"{owner} expects targets of the predictions' shape {shape}, got a single number.")
    as_many(owner, truth, shape)
    if math.prod(truth.shape[1:]) == math.prod(shape[1:]) == 1:
        truth = truth.reshape(shape)
    if truth.shape != shape:
        hint = f" Class numbers? Use np.eye({shape[1]})[y]." if truth.ndim == 1 and len(shape) == 2 else ""
        raise ValueError(f"{owner} expects targets of the predictions' shape {shape}, got {truth.shape}.{hint}")
    return _numbers(owner, "targets", truth)


def sample_weights(weights: ArrayLike, samples: int) -> NDArray[np.float64]:
    """Check one weight for each sample."""
    array = unmasked("sample_weights", weights)
    if array.shape != (samples,):
        raise ValueError(f"sample_weights must be one number for each of the {samples} samples, got {array.shape}.")
    array = np.asarray(_numbers("sample_weights", "they", array), np.float64)
    if (array < 0).any():
        first = int((array < 0).argmax())
        raise ValueError(f"sample_weights must be at least 0, got {array[first]:g} at {first}. Leave samples out by 0.")
    return array


def as_many(owner: str, truth: Targets, shape: Shape) -> Targets:
    """Check that there is one target for each sample, and at least one."""
    if not truth.ndim or len(truth) != shape[0]:
        received = len(truth) if truth.ndim else "a single number"
        raise ValueError(f"{owner} expects one target for each of the {shape[0]} samples, got {received}.")
    if not shape[0]:
        raise ValueError(f"{owner} needs at least one sample, got none.")
    return truth


def _numbers(owner: str, what: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{owner}: {what} must be numbers, got dtype {array.dtype}.")
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(axis) for axis in np.argwhere(~finite)[0])
        raise ValueError(f"{owner}: {what} must be finite, got {array[place]} at {place}. Drop or repair such samples.")
    return array
