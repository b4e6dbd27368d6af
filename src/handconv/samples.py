"""The samples that a run trains on: checked once, then gathered by index, shard by shard.

uint8 images are pixels: they stay as they are (60,000 of them need 47 MB instead of 188) and are divided by 255 when a
shard is gathered. Floats are used as they come. Samples are gathered from arrays in any memory order; only an array
whose samples lie interleaved (Fortran order) is copied once beforehand, unless it is a file mapped into memory.
"""

import dataclasses
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Scope
from handconv.engine.layout import memory_view
from handconv.engine.ops.inputs import InputOp
from handconv.losses import Loss
from handconv.metrics import name_classes
from handconv.utils.validation import FRACTION, NOT_NEGATIVE, check_number, check_range, checked_samples, is_int
from handconv.utils.warn import warn
from handconv.utils.words import counted

_DARK, _MANY = 32, 64  # if 64 uint8 images are all darker than 32, they are probably not pixels
_FAR = 20  # standardised images (mean 0, variance 1) stay well within


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and, optionally, the weight of each sample in the loss; all of them, or the ``chosen`` ones."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    chosen: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.x if self.chosen is None else self.chosen)


class GatherOp:
    """Gathers the samples of one shard into kept arrays: the first op of a step.

    Args:
        samples: all samples.
        indices: of the shard's samples; to be filled before each run.
        dtype: of the floats.
        scope: where the arrays come from.
        augment: changes the images at random, each time that they are gathered.
    """

    def __init__(
        self,
        samples: Samples,
        indices: NDArray[np.intp],
        dtype: DTypeLike,
        scope: Scope,
        augment: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self._scope = scope
        self._reads: list[Callable[[], object]] = []
        chosen = indices
        if samples.chosen is not None:
            chosen = np.empty_like(indices)
            self._reads.append(partial(samples.chosen.take, indices, 0, chosen, "clip"))
        rows = self._read("rows", samples.x, chosen)
        if augment is not None:
            plain = rows.view(np.ndarray)
            self._reads.append(lambda: plain.__setitem__(..., augment(plain)))
        self._rows, self._inputs = memory_view(rows), InputOp(rows.shape, rows.dtype, dtype, scope)
        self._targets = self._read("targets", samples.y, chosen)
        self._weights = None if samples.weights is None else self._read("weights", samples.weights, chosen)

    def forward(self) -> tuple[FloatArray, NDArray[Any], NDArray[np.float64] | None]:
        """The shard's (x, y, weights), ready for a program."""
        for read in self._reads:
            self._scope.host_call(read)
        self._inputs.source[...] = self._rows
        return self._inputs.forward(), self._targets, self._weights

    def _read(self, name: str, values: NDArray[Any], indices: NDArray[np.intp]) -> NDArray[Any]:
        """Have the chosen samples read, axis by axis as they lie in memory, into an array of their original shape."""
        axes = (0, *sorted(range(1, values.ndim), key=lambda axis: -abs(values.strides[axis])))
        lying = values.transpose(axes)
        out = self._scope.array(name, (len(indices), *lying.shape[1:]), values.dtype.newbyteorder("="))
        plain = out.view(np.ndarray)
        flags = lying.flags
        if flags.c_contiguous and flags.aligned and lying.dtype.isnative:
            self._reads.append(partial(lying.take, indices, 0, plain, "clip"))  # other modes: through a buffer
        else:  # take would copy all samples first
            self._reads.append(lambda: plain.__setitem__(..., lying[indices]))
        return out.transpose(np.argsort(axes))


def gathered_in_order(x: NDArray[Any], name: str = "x") -> NDArray[Any]:
    """An array whose samples lie one after another: the array itself, or a copy where they lie interleaved.

    A mapped file is never copied.
    """
    strides = [abs(stride) for stride, size in zip(x.strides, x.shape, strict=True) if size > 1]
    interleaved = len(x) > 1 and abs(x.strides[0]) < max(strides)
    if not interleaved or is_memory_mapped(x):
        return x
    if x.nbytes > 1 << 24:
        warn(
            f"{name} lies in memory with its samples interleaved (Fortran order), and is copied once, "
            f"{x.nbytes >> 20} MB. np.ascontiguousarray(x) beforehand saves that.",
        )
    return np.ascontiguousarray(x)


def is_memory_mapped(array: object) -> bool:
    """Whether an array's memory is a file's."""
    while array is not None:
        if isinstance(array, np.memmap | mmap.mmap):
            return True
        array = getattr(array, "base", None)
    return False


def checked_inputs(
    x: object, input_shape: tuple[int, ...] | None = None, dtype: DTypeLike = np.float32, *, name: str = "x"
) -> NDArray[Any]:
    """Check that ``x`` holds at least one sample of numbers, finite in ``dtype``, of the expected shape if known."""
    array = checked_samples(name, x, input_shape)
    if not len(array):
        raise ValueError(f"{name} must hold at least one sample, got shape {array.shape}.")
    if array.size:
        _check_values(array, dtype, name)
    return array


def _check_values(array: NDArray[Any], dtype: DTypeLike, name: str) -> None:
    """Check that values are finite, and remark upon those that look like pixels of another scale."""
    if array.dtype == np.uint8:
        few = len(array) < _MANY
        if not few and array[:_MANY].max() < _DARK and 0 < (brightest := int(array.max())) < _DARK:
            warn(
                f"{name} holds uint8 from 0 to {brightest}, which are divided by 255 as pixels are. Other numbers? Use "
                f"{name}.astype('float32'){'' if brightest <= 1 else f' / {brightest}'}.",
            )
        return
    least, largest = array.min(), array.max()  # NaN and infinity show here too
    if not (np.isfinite(least) and np.isfinite(largest)):
        raise ValueError(f"{name} must be finite, got NaN or infinity. Clean it, for example with np.nan_to_num(x).")
    check_range(name, least, largest, dtype)
    if array.ndim == 4 or (array.ndim == 2 and array.shape[1] >= 49 and _whole_numbers(array)):
        _remark_on_scale(array, float(least), float(largest), name)


def _remark_on_scale(array: NDArray[Any], least: float, largest: float, name: str) -> None:
    """Warn of images, or rows of whole numbers as long as a small image, that are not on the scale of 0 to 1."""
    pixels, extreme = 255 if largest <= 255 else 65535 if _whole_numbers(array) else 0, max(-least, largest)
    if least >= 0 and 128 <= largest <= pixels:
        to_bytes = f"{name}.astype('uint8'), or " if pixels == 255 else ""
        remark = (
            f"looks like pixels from 0 to {pixels} as {array.dtype}; only uint8 is divided by 255. "
            f"Use {to_bytes}{name} / {pixels}."
        )
    elif array.ndim != 4 or extreme <= _FAR:
        return
    elif array.dtype == np.int8 and least < 0:
        remark = f"looks like pixels that were read as int8: the bright ones are negative. Use {name}.view('uint8')."
    else:
        remark = (
            f"holds images from {least:g} to {largest:g} as {array.dtype}; a network learns from numbers near 0 to 1, "
            f"and only uint8 is divided by 255. Use {name} / {extreme:g}."
        )
    warn(f"{name} {remark}")


def _whole_numbers(array: NDArray[Any]) -> bool:
    few = array[:4]
    return bool((few == np.floor(few)).all())


def remark_on_targets(x: NDArray[Any], y: NDArray[Any]) -> None:
    """Warn of images as targets that are on another scale than the same images as inputs."""
    if x.dtype == y.dtype == np.uint8 and y.ndim > 2 and (brightest := y.max()) > 1:
        warn(
            f"y holds images of uint8 up to {brightest}, which are taken as they are, while x is divided by 255. "
            "Use y / np.float32(255), so that both are on one scale."
        )


def checked_weights(
    samples: int,
    y: NDArray[Any],
    sample_weights: ArrayLike | None,
    class_weights: Mapping[int, float] | None,
    outputs: int = 2,
) -> NDArray[np.float64] | None:
    """Multiply the weights of samples and of classes to one weight a sample; None if there are neither."""
    if sample_weights is None and class_weights is None:
        return None
    weights = np.ones(samples) if sample_weights is None else Loss.check_sample_weights(sample_weights, samples)
    if class_weights is not None:
        if not name_classes(y):
            raise ValueError("class_weights need targets that name classes. Use sample_weights.")
        classes, weights = _classes(y), weights.copy()
        known = set(range(max(2, outputs))) | set(np.unique(classes).tolist())
        for label, weight in class_weights.items():
            if not is_int(label):
                raise TypeError(f"class_weights maps class numbers to weights, as in {{3: 2.0}}; got {label!r}.")
            if int(label) not in known:
                raise ValueError(
                    f"class_weights names class {label}, which there is not; the classes are {_listed(sorted(known))}."
                )
            weights[classes == label] *= check_number(f"class_weights[{label}]", weight, *NOT_NEGATIVE)
    if not weights.any():
        raise ValueError(
            "The weights are 0 for every sample, so that there is nothing to learn from. Give some samples, or a class "
            "that the targets name, a weight above 0."
        )
    return weights


def split(samples: Samples, share: float, generator: "np.random.Generator") -> tuple[Samples, Samples]:
    """Draw a share of each class for validation, measured without weights: (the rest, the share). Nothing is copied."""
    share = check_number("validation_split, the share held back,", share, *FRACTION)
    count = len(samples)
    labels = _classes(samples.y)
    shuffled = generator.permutation(count)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Every (1 / share)-th sample of this list is held back, so each class gives its share to within one sample.
    held = np.zeros(count, np.bool_)
    held[by_class[np.diff(np.floor(np.arange(count + 1) * share * (1 + 1e-12))) > 0]] = True
    if not held.any() or held.all():
        raise ValueError(
            f"validation_split={share!r} of {counted(count, 'sample')} leaves one of the two parts empty. "
            "Give more samples."
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


def _listed(numbers: list[int]) -> str:
    """Name numbers, many of them by their ends."""
    return ", ".join(map(str, numbers)) if len(numbers) <= 12 else f"{numbers[0]} to {numbers[-1]}"
