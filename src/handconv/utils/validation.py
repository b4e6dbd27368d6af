"""Checks of arguments that many share: each returns the plain value, or raises an error of rule and received value."""

import contextlib
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import DTypeLike, NDArray

Rule = tuple[Callable[[float], bool], str]
#: Rules for numbers, and their words.
POSITIVE: Rule = (lambda value: value > 0, "above 0")
NOT_NEGATIVE: Rule = (lambda value: value >= 0, "of at least 0")
SHARE: Rule = (lambda value: 0 <= value < 1, "of at least 0 and below 1")
FRACTION: Rule = (lambda value: 0 < value < 1, "above 0 and below 1")


def check_number(name: str, value: object, fits: Callable[[float], bool], rule: str) -> float:
    """Check a finite number, and return it as a plain float; True and False are refused.

    Args:
        name: whose argument it is, and which: "Adam: beta_1".
        value: what was given for it.
        fits: tells whether a number obeys the rule.
        rule: the rule in words that follow "a number".

    Raises:
        ValueError: if it is no finite number, or does not obey.

    Example:
        >>> check_number("LeakyReLU: alpha", 0, lambda slope: 0 <= slope <= 1, "from 0 to 1")
        0.0
        >>> check_number("Dropout: rate", "half", *SHARE)
        Traceback (most recent call last):
        ValueError: Dropout: rate must be a number of at least 0 and below 1, got 'half'.
    """
    try:
        plain = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:  # of a whole number beyond all floats
        plain = math.inf
    if not math.isfinite(plain) or not fits(plain):
        raise ValueError(f"{name} must be a number {rule}, got {value!r}.")
    return plain


def check_int(name: str, value: object) -> int:
    """Check a whole number of at least 1, and return it as a plain int.

    Args:
        name: whose argument it is, and which: "Dense: units".
        value: what was given for it.

    Raises:
        ValueError: if it is no whole number, or below 1.

    Example:
        >>> check_int("Dense: units", np.int64(3))
        3
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def check_bool(name: str, value: object) -> bool:
    """Check True or False, Python's or NumPy's, and return it as a plain bool.

    Args:
        name: whose argument it is, and which: "SGD: nesterov".
        value: what was given for it.

    Raises:
        TypeError: if it is neither, as a text is, which counts as true in Python, even "no".

    Example:
        >>> check_bool("shuffle", np.True_)
        True
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """Check the type of all numbers of a network, float32 or float64.

    Args:
        dtype: its name, or anything else that NumPy takes for one; not None, which NumPy takes for float64.

    Raises:
        ValueError: if it is another type.

    Example:
        >>> check_dtype("float32")
        dtype('float32')
    """
    found: object = dtype
    with contextlib.suppress(TypeError):  # of what NumPy does not know
        found = dtype if dtype is None else np.dtype(dtype)
    if not isinstance(found, np.dtype) or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {found}.")
    return found


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is an integer, Python's or NumPy's; True and False are not.

    Example:
        >>> is_int(2), is_int(np.int8(2)), is_int(2.0), is_int(True)
        (True, True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_ours(kind: type) -> bool:
    """Whether a class is of this package, not user-defined.

    Example:
        >>> is_ours(int)
        False
    """
    return kind.__module__.startswith("handconv.")


def check_not_a_method(owner: object, name: str, value: object) -> None:
    """Refuse an attribute of one's own that would replace a method of this package's, which others call.

    Args:
        owner: whose attribute it is.
        name: of the attribute.
        value: of the attribute; a function may replace a method.

    Raises:
        AttributeError: if it would.

    Example:
        >>> import handconv as hc
        >>> hc.ReLU().copy = True
        Traceback (most recent call last):
        AttributeError: ReLU has a method 'copy', which True would replace. Choose another name, _copy for one.
    """
    if callable(value):
        return
    if any(is_ours(kind) and callable(vars(kind).get(name)) for kind in type(owner).__mro__):
        raise AttributeError(
            f"{type(owner).__name__} has a method {name!r}, which {value!r} would replace. "
            f"Choose another name, {'my' if name.startswith('_') else ''}_{name.strip('_')} for one."
        )


def check_setting(owner: object, label: str, name: str, settings: Collection[str], remedy: str = "") -> None:
    """Refuse to set an attribute that a part of this package does not have: it would silently have no effect.

    Args:
        owner: the layer, loss, optimizer or callback.
        label: what messages call it.
        name: of the attribute; private ones, and those of the class, may be set.
        settings: the names of the constructor's arguments.
        remedy: what stands in its place.

    Raises:
        AttributeError: if there is no such setting.
    """
    if not (name.startswith("_") or name in settings or hasattr(type(owner), name)):
        known = ", ".join(settings) or "none"
        raise AttributeError(f"{label} has no setting {name!r}; it has {known}. {remedy}".rstrip())


class MaskedValuesError(ValueError):
    """Values of an array are missing."""


def unmasked(name: str, values: object) -> NDArray[Any]:
    """Return values as an array, and refuse a masked one in which values are missing.

    Args:
        name: what they are, for the message.
        values: anything that NumPy takes for an array.

    Raises:
        MaskedValuesError: if values are masked.

    Example:
        >>> unmasked("x", np.ma.array([1.0, 2.0], mask=[False, True]))
        Traceback (most recent call last):
        handconv.utils.validation.MaskedValuesError: x has 1 masked (missing) value. Fill it first, as x.filled(0) does.
    """
    if "numpy.ma" in sys.modules:  # else there are no masked arrays, and importing it would take 3 MB
        parts = values if isinstance(values, list | tuple) else [values]
        missing = sum(int(np.ma.getmaskarray(part).sum()) for part in parts if isinstance(part, np.ma.MaskedArray))
        if missing:
            what = "value. Fill it" if missing == 1 else "values. Fill them"
            raise MaskedValuesError(f"{name} has {missing} masked (missing) {what} first, as x.filled(0) does.")
    return np.asarray(values)


def real_numbers(name: str, values: object) -> NDArray[Any]:
    """Return values as an array of real numbers, of any type.

    Args:
        name: what they are, for the message.
        values: anything that NumPy takes for an array.

    Raises:
        ValueError: if values are masked.
        TypeError: if it does not hold real numbers.

    Example:
        >>> real_numbers("dvalues", [[1j]])
        Traceback (most recent call last):
        TypeError: dvalues must be real numbers, got complex128.
    """
    array = unmasked(name, values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got {values if values is None else array.dtype}.")
    return array


def broken(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """The name of the first of these arrays that holds NaN or infinity.

    Example:
        >>> broken({"weights": np.ones(2), "biases": np.array([np.nan])})
        'biases'
    """
    return next((name for name, values in arrays.items() if not np.isfinite(values).all()), None)


def checked_samples(name: str, x: object, input_shape: tuple[int, ...] | None) -> NDArray[Any]:
    """Return a batch of samples as an array of real numbers.

    Args:
        name: what it is, for the message.
        x: anything that NumPy takes for an array.
        input_shape: the shape of one sample, if it is known.

    Raises:
        ValueError: if values are masked, or it is no batch of samples of this shape.
        TypeError: if it does not hold real numbers.

    Example:
        >>> checked_samples("x", [[1, 2], [3, 4]], (2,)).shape
        (2, 2)
    """
    try:
        array = unmasked(name, x)
    except MaskedValuesError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{name} must be one array of samples of the same shape ({error}). Resize them first."
        ) from error
    if array.dtype.kind not in "biuf":
        if not isinstance(x, np.ndarray | Sequence) or isinstance(x, str):
            raise TypeError(f"{name} must be an array of samples (N, …), got {type(x).__name__}. Make an array of it.")
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
            + (shape_remedy(array.shape, input_shape) or " Images are (N, C, H, W); a single sample is x[None].")
        )
    return array


def check_range(name: str, least: Any, largest: Any, dtype: DTypeLike) -> None:
    """Check that finite numbers stay finite in another type.

    Args:
        name: whose they are, for the message.
        least: the least of them; infinity passes.
        largest: the largest of them; infinity passes.
        dtype: the other type.

    Raises:
        ValueError: if they do not.

    Example:
        >>> check_range("x", 0.0, 1e39, np.float32)
        Traceback (most recent call last):
        ValueError: x must stay within the range of float32, got 1e+39. Scale it, or use dtype='float64'.
    """
    limit = float(np.finfo(dtype).max)
    for extreme in map(float, (least, largest)):
        if limit < abs(extreme) < math.inf:
            raise ValueError(
                f"{name} must stay within the range of {np.dtype(dtype)}, got {extreme:g}. "
                "Scale it, or use dtype='float64'."
            )


def shape_remedy(shape: tuple[int, ...], input_shape: tuple[int, ...]) -> str:
    """Guess from a wrong shape of a batch what was meant, and say what to do.

    Example:
        >>> shape_remedy((60000, 28, 28), (1, 28, 28))
        ' No channel axis? Use x[:, None].'
    """
    if shape == input_shape:
        return " A single sample? Use x[None]."
    if len(input_shape) == 3 and shape == input_shape[1:] and input_shape[0] == 1:
        return " A single grey image? Use x[None, None]."
    if len(input_shape) == 3 and shape[1:] == (*input_shape[1:], input_shape[0]):
        return " Channels last? Use x.transpose(0, 3, 1, 2)."
    if input_shape[:1] == (1,) and shape[1:] == input_shape[1:]:
        return " No channel axis? Use x[:, None]."
    if math.prod(shape[1:]) == math.prod(input_shape):
        return f" The same numbers in another form? Use x.reshape(-1, {', '.join(map(str, input_shape))})."
    return ""


def check_pair(owner: str, name: str, value: int | Sequence[int], *, least: int = 1) -> tuple[int, int]:
    """Read 3 as (3, 3), and check that both numbers are whole and at least ``least``."""
    both = (value, value) if is_int(value) else tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(both) != 2 or not all(is_int(number) and number >= least for number in both):
        raise ValueError(
            f"{owner}: {name} must be a whole number of at least {least} or a pair of them (rows, columns), "
            f"got {value!r}."
        )
    return int(both[0]), int(both[1])


def check_padding(owner: str, value: int | Sequence[int] | str) -> tuple[int, int] | str:
    """Read a padding: a number, a pair, "same" or "valid"."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f'{owner}: padding must be a number, a pair, "same" or "valid", got {value!r}.')
        return value
    return check_pair(owner, "padding", value, least=0)


def check_sample_shape(input_shape: object) -> tuple[int, ...]:
    """Check the shape of one sample."""
    sizes = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    if not sizes or not all(is_int(size) and size >= 1 for size in sizes):
        raise ValueError(f"input_shape must be whole numbers of at least 1, as in (1, 28, 28); got {input_shape!r}.")
    return tuple(int(size) for size in sizes)


def check_image_shape(owner: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Check that one sample is an image (C, H, W)."""
    if len(shape) != 3:
        raise ValueError(
            f"{owner} expects images (N, C, H, W), got samples of shape {shape}. "
            "Give grey images a channel axis, x[:, None], or put a Reshape before."
        )
    return shape[0], shape[1], shape[2]
