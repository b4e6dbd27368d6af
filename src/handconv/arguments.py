"""Checks of arguments that many share: each returns the plain value, or raises an error of rule and received value."""

import math
from collections.abc import Callable
from numbers import Real
from typing import TypeGuard

import numpy as np


def number(name: str, value: object, fits: Callable[[float], bool], rule: str) -> float:
    """Check a finite number, and return it as a plain float.

    Args:
        name: whose argument it is, and which: "Adam: beta_1".
        value: what was given for it.
        fits: tells whether a number obeys the rule.
        rule: the rule in words that follow "a number".

    Raises:
        ValueError: if it is no finite number, or does not obey.

    Example:
        >>> number("Dropout: rate", 0, lambda rate: 0 <= rate < 1, "of at least 0 and below 1")
        0.0
        >>> number("Dropout: rate", "half", lambda rate: 0 <= rate < 1, "of at least 0 and below 1")
        Traceback (most recent call last):
        ValueError: Dropout: rate must be a number of at least 0 and below 1, got 'half'.
    """
    plain = float(value) if isinstance(value, Real) else math.nan
    if not math.isfinite(plain) or not fits(plain):
        raise ValueError(f"{name} must be a number {rule}, got {value!r}.")
    return plain


def whole(name: str, value: object) -> int:
    """Check a whole number of at least 1, and return it as a plain int.

    Args:
        name: whose argument it is, and which: "Dense: units".
        value: what was given for it.

    Raises:
        ValueError: if it is none.

    Example:
        >>> whole("Dense: units", np.int64(3))
        3
    """
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is an integer, Python's or NumPy's; True and False are none.

    Example:
        >>> is_whole(2), is_whole(np.int8(2)), is_whole(2.0), is_whole(True)
        (True, True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
