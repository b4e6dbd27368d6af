"""Slopes by central differences, and whether they can be trusted.

From the values at t-2h, t-h, t, t+h, t+2h, with d[k] = f(t + k·h) - f(t):

    near  = (d[1] - d[-1]) / 2h                 wide = (d[2] - d[-2]) / 4h
    ahead = (4·d[1] - d[2]) / 2h                behind = (d[-2] - 4·d[-1]) / 2h
    slope = (4·near - wide) / 3                 the four points' own formula, with an error of h⁴ f⁽⁵⁾ / 30

Where f is smooth, near, wide, ahead and behind differ by no more than h²·f‴. Where f has a kink between t-2h and t+2h,
they differ by at least one and a half times what the slope is then wrong by: a kink at c, 0 <= c < 2h, that changes the
slope of f by j, moves

    slope by  j·(6h - 7c)/12h   ahead - behind by  j·(2h - 3c)/2h   near - wide by  -j·c/4h             for c < h
    slope by -j·(2h -  c)/12h   ahead - behind by -j·(2h -  c)/2h   near - wide by  -j·(2h - c)/4h      for c >= h

So their ``spread`` bounds the error, and a slope is believed only where the spread is small. Only the forward pass
takes part in that judgement: a wrong backward pass cannot hide behind it.

Each d carries the rounding of the values it is the difference of; ``noise`` is the resulting error of the slope.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The places at which a function is evaluated, in units of h.
PLACES = (-2, -1, 1, 2)

#: Roundings that a value may have gone through; each is half a unit in the last place.
_ROUNDINGS = 16
_UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True)
class Slope:
    """A slope, how far its four estimates lie apart, and the rounding error in it; numbers or arrays."""

    value: Any
    spread: Any
    noise: Any

    def trusted(self, tolerance: float, floor: float = 0.0) -> NDArray[np.bool_]:
        """Whether it is known well enough to be compared to ``tolerance``; NaN is not."""
        scale = np.maximum(np.abs(self.value), np.maximum(floor, self.noise / tolerance))
        return np.asarray(self.spread <= tolerance / 2 * scale)


def slope(differences: Sequence[Any], size: Any, h: float) -> Slope:
    """Work out the slope from d[-2], d[-1], d[1], d[2].

    Args:
        differences: of the values from the one in the middle.
        size: how large the values are, for the rounding error.
        h: the step.

    Example:
        >>> cube = slope([(2 + k / 1024) ** 3 - 8 for k in PLACES], 8.0, 1 / 1024)
        >>> round(cube.value, 9), bool(cube.trusted(1e-5)), bool(slope([0, 0, 1, 2], 2.0, 1.0).trusted(1e-5))
        (12.0, True, False)
    """
    back_2, back_1, on_1, on_2 = differences
    near, wide = (on_1 - back_1) / (2 * h), (on_2 - back_2) / (4 * h)
    ahead, behind = (4 * on_1 - on_2) / (2 * h), (back_2 - 4 * back_1) / (2 * h)
    estimates = np.array([near, wide, ahead, behind])
    return Slope((4 * near - wide) / 3, np.ptp(estimates, axis=0), _ROUNDINGS * _UNIT * size / h)


def step(eps: float, value: float) -> float:
    """The power of two next to eps, or to that share of a value above 1: adding it to the value is free of rounding."""
    return 2.0 ** round(math.log2(eps * max(1.0, abs(value))))


def relative_error(analytic: float, numeric: float, floor: float) -> float:
    """|a - n| / max(|a|, |n|, floor); infinite where one of them is not finite.

    Example:
        >>> relative_error(2.0, 1.0, 0.1), relative_error(0.0, 0.0, 0.0), relative_error(float("nan"), 1.0, 0.1)
        (0.5, 0.0, inf)
    """
    if not (math.isfinite(analytic) and math.isfinite(numeric)):
        return math.inf
    difference = abs(analytic - numeric)
    return difference / max(abs(analytic), abs(numeric), floor) if difference else 0.0
