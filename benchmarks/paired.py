r"""Is it slower? The median of paired ratios, and an interval that holds it with 95 % confidence.

In round r the new tree took a_r and the old one b_r; whatever slowed the machine down in that round slowed both. The
ratios q_r = a_r / b_r, in order q_(1) <= … <= q_(n), fall below their true median with probability 1/2 each, so that

    P(q_(k) <= median <= q_(n+1-k)) >= 1 - 2 · sum over i < k of C(n, i) / 2^n

for any distribution. The interval takes the largest k for which this is at least 0.95; below six rounds there is none.

References:
    H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition, 2003, section 7.1.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
TOLERANCE = 1.03  # a ratio up to here counts as no loss


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and its interval (None: too few rounds for one)."""

    median: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        interval = "[too few rounds]" if self.low is None else f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.median:.3f} {interval}"


def ratio(new: Sequence[float], old: Sequence[float]) -> Ratio:
    """The ratio of what was measured in pairs."""
    ratios = sorted(a / b for a, b in zip(new, old, strict=True))
    low, high = interval(ratios) or (None, None)
    return Ratio(statistics.median(ratios), low, high)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The order statistics between which the median lies, None if there are too few values."""
    ordered, n = sorted(values), len(values)
    k, outside = 0, 0  # how many of the 2^n cases the interval misses on one side
    while 2 * (outside + math.comb(n, k)) <= (1 - CONFIDENCE) * 2**n:
        outside += math.comb(n, k)
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else None


def verdict(found: Ratio, worse: str = "slower") -> str:
    """Say "slower" only if the whole interval lies above the tolerance, "not slower" if it lies below."""
    if found.low is None or found.high is None:
        return "too few rounds"
    return worse if found.low > TOLERANCE else f"not {worse}" if found.high <= TOLERANCE else "unclear"
