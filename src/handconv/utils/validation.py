"""Checks of arguments that many share: each returns the plain value, or raises an error of rule and received value."""

import math
from collections.abc import Callable
from numbers import Real
from typing import TypeGuard

import numpy as np


def check_number(name: str, value: object, fits: Callable[[float], bool], rule: str) -> float:
    """Check a finite number, and return it as a plain float.

    Args:
        name: whose argument it is, and which: "Adam: beta_1".
        value: what was given for it.
        fits: tells whether a number obeys the rule.
        rule: the rule in words that follow "a number".

    Raises:
        ValueError: if it is no finite number, or does not obey.

    Example:
        >>> check_number("Dropout: rate", 0, lambda rate: 0 <= rate < 1, "of at least 0 and below 1")
        0.0
        >>> check_number("Dropout: rate", "half", lambda rate: 0 <= rate < 1, "of at least 0 and below 1")
        Traceback (most recent call last):
        ValueError: Dropout: rate must be a number of at least 0 and below 1, got 'half'.
    """
    plain = float(value) if isinstance(value, Real) else math.nan
    if not math.isfinite(plain) or not fits(plain):
        raise ValueError(f"{name} must be a number {rule}, got {value!r}.")
    return plain


def check_int(name: str, value: object) -> int:
    """Check a whole number of at least 1, and return it as a plain int.

    Args:
        name: whose argument it is, and which: "Dense: units".
        value: what was given for it.

    Raises:
        ValueError: if it is none.

    Example:
        >>> check_int("Dense: units", np.int64(3))
        3
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is an integer, Python's or NumPy's; True and False are none.

    Example:
        >>> is_int(2), is_int(np.int8(2)), is_int(2.0), is_int(True)
        (True, True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
