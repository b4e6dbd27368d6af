"""Softmax over the last axis, by the log-sum-exp identity; any memory order, which the results keep.

    m = max over k of x[…, k]        s = sum over k of exp(x[…, k] - m)
    softmax(x) = exp(x - m) / s

Taking the maximum off first changes nothing in exact arithmetic. In floating point it makes every exponential at most
1 and their sum at least 1, so that no score overflows and no logarithm meets a zero.
"""

import numpy as np

from handconv.arrays import FloatArray


def softmax(x: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Write the probabilities of the scores ``x`` to ``out``, which may be ``x`` itself."""
    return softmax_parts(x, out)[0]


def softmax_parts(x: FloatArray, out: FloatArray | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the probabilities, and m and s of the formulas above, (…, 1) each."""
    largest = np.maximum.reduce(x, axis=-1, keepdims=True)
    out = np.subtract(x, largest, out=out)
    np.exp(out, out=out)
    total = np.add.reduce(out, axis=-1, keepdims=True)
    out /= total
    return out, largest, total
