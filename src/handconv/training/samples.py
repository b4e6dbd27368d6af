"""The samples that a run trains on: checked once, then taken by index, shard by shard.

uint8 images are pixels: they stay as they are (60,000 of them need 47 MB instead of 188) and are divided by 255 when a
shard is taken. Floats are used as they come.
"""

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import FRESH, Workspace, kept, memory_view
from handconv.losses import Loss
from handconv.utils.validation import check_number, is_int


def as_floats(x: NDArray[Any], dtype: DTypeLike, workspace: Workspace = FRESH) -> FloatArray:
    """Bring samples to floats, pixels divided by 255, with the batch innermost in memory.

    Example:
        >>> as_floats(np.array([[0, 255]], np.uint8), np.float32).tolist()
        [[0.0, 1.0]]
    """
    floats = kept(workspace, "samples", x.shape, dtype)
    memory = memory_view(floats)
    if x.dtype == np.uint8:
        pixels = workspace.scratch("pixels", memory.shape, np.uint8)
        pixels[...] = memory_view(x)  # bytes are quicker to turn round than floats
        memory[...] = pixels
        np.divide(memory, memory.dtype.type(255), out=memory)
    else:
        memory[...] = memory_view(x)
    return floats


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and, optionally, the weight of each sample in the loss; all of them, or the ``chosen`` ones."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    chosen: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.x if self.chosen is None else self.chosen)

    def take(
        self, indices: NDArray[np.intp], dtype: DTypeLike, workspace: Workspace
    ) -> tuple[FloatArray, NDArray[Any], NDArray[np.float64] | None]:
        """Gather some samples as (x, y, weights), ready for a network."""

        def taken(name: str, values: NDArray[Any], places: NDArray[np.intp]) -> NDArray[Any]:
            out = workspace.keep(name, (len(places), *values.shape[1:]), values.dtype)
            workspace.call(partial(values.take, places, 0, np.asarray(out), "clip"))  # other modes: through a buffer
            return out

        if self.chosen is not None:
            indices = taken("indices", self.chosen, indices)
        weights = None if self.weights is None else taken("weights", self.weights, indices)
        return as_floats(taken("rows", self.x, indices), dtype, workspace), taken("targets", self.y, indices), weights


def checked_inputs(x: object, input_shape: tuple[int, ...] | None = None, *, name: str = "x") -> NDArray[Any]:
    """Check that ``x`` holds at least one finite sample of numbers, of the expected shape if that is known."""
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold numbers, got an array of {array.dtype}. Convert it with x.astype('float32')."
        )
    if array.ndim < 2:
        raise ValueError(
            f"{name} must be a batch of samples (N, …), got shape {array.shape}. A single sample? Use x[None]."
        )
    if input_shape is not None and array.shape[1:] != input_shape:
        raise ValueError(
            f"{name} must have shape (N, {', '.join(map(str, input_shape))}), got {array.shape}."
            + _shape_remedy(array.shape, input_shape)
        )
    if not len(array):
        raise ValueError(f"{name} must hold at least one sample, got shape {array.shape}.")
    if array.dtype != np.uint8 and array.size:
        least, largest = array.min(), array.max()  # NaN and infinity show here too
        if not (np.isfinite(least) and np.isfinite(largest)):
            raise ValueError(f"{name} must be finite, got NaN or infinity. Clean it, with np.nan_to_num(x) for one.")
        if array.ndim == 4 and least >= 0 and 128 <= largest <= 255:
            warnings.warn(
                f"{name} looks like pixels from 0 to 255 as {array.dtype}; only uint8 is divided by 255. "
                f"Use {name}.astype('uint8'), or {name} / 255.",
                stacklevel=4,
            )
    return array


def _shape_remedy(shape: tuple[int, ...], input_shape: tuple[int, ...]) -> str:
    """Guess from a wrong shape what was meant.

    Example:
        >>> _shape_remedy((60000, 28, 28), (1, 28, 28))
        ' No channel axis? Use x[:, None].'
    """
    if shape == input_shape:
        return " A single sample? Use x[None]."
    if len(input_shape) == 3 and shape[1:] == (*input_shape[1:], input_shape[0]):
        return " Channels last? Use x.transpose(0, 3, 1, 2)."
    if input_shape[0] == 1 and shape[1:] == input_shape[1:]:
        return " No channel axis? Use x[:, None]."
    if math.prod(shape[1:]) == math.prod(input_shape):
        return f" The same numbers in another form? Use x.reshape(-1, {', '.join(map(str, input_shape))})."
    return ""


def checked_weights(
    samples: int, y: NDArray[Any], sample_weights: ArrayLike | None, class_weights: Mapping[int, float] | None
) -> NDArray[np.float64] | None:
    """Multiply the weights of samples and of classes to one weight a sample; None if there are neither."""
    if sample_weights is None and class_weights is None:
        return None
    weights = np.ones(samples) if sample_weights is None else Loss.check_sample_weights(sample_weights, samples)
    if class_weights is not None:
        classes = _classes(y)
        for label, weight in class_weights.items():
            if not is_int(label):
                raise TypeError(f"class_weights maps class numbers to weights, as in {{3: 2.0}}; got {label!r}.")
            weights[classes == label] *= check_number(
                f"class_weights[{label}]", weight, lambda x: x >= 0, "of at least 0"
            )
    return weights


def split(samples: Samples, share: float, generator: "np.random.Generator") -> tuple[Samples, Samples]:
    """Draw a share of each class for validation, measured without weights: (the rest, the share). Nothing is copied."""
    share = check_number("validation_split, the share held back,", share, lambda x: 0 < x < 1, "above 0 and below 1")
    count = len(samples)
    labels = _classes(samples.y)
    shuffled = generator.permutation(count)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Every (1 / share)-th sample of this list is held back, so each class gives its share to within one sample.
    held = np.zeros(count, np.bool_)
    held[by_class[np.diff(np.floor(np.arange(count + 1) * share + 1e-9)) > 0]] = True
    if not held.any() or held.all():
        raise ValueError(
            f"validation_split={share!r} of {count} samples leaves one of the two parts empty. Give more samples."
        )
    return (
        dataclasses.replace(samples, chosen=np.flatnonzero(~held)),
        dataclasses.replace(samples, chosen=np.flatnonzero(held), weights=None),
    )


def _classes(y: NDArray[Any]) -> NDArray[Any]:
    """The class of each sample (N,): class numbers as they are, a single output's 0 or 1, or the greatest of a row."""
    if y.ndim == 1:
        return y
    rows = y.reshape(len(y), -1)
    return (rows[:, 0] > 0.5).astype(np.intp) if rows.shape[1] == 1 else rows.argmax(axis=1)
