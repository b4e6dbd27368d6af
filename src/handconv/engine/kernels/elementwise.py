"""Activations, one number at a time, forward and backward, into arrays that are handed in.

    leaky ReLU   y = max(x, a·x)            dx = dy · (1 where y > 0, else a)     0 <= a <= 1; a = 0 is ReLU
    sigmoid      y = 1 / (1 + exp(-x))      dx = dy · y · (1 - y)
    tanh         y = tanh(x)                dx = dy · (1 - y²)

Every backward needs the output only, so nothing else is remembered. The slope of a ReLU at 0 is a, as in PyTorch.
"""

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray


def leaky_relu(x: FloatArray, alpha: float, out: FloatArray, spare: FloatArray) -> FloatArray:
    """Write max(x, alpha·x) to ``out``, which may be x itself; ``spare`` is overwritten."""
    if not alpha:
        return np.maximum(x, x.dtype.type(0), out=out)  # 0 · infinity would be no number
    np.multiply(x, x.dtype.type(alpha), out=spare)
    return np.maximum(x, spare, out=out)


def leaky_relu_gradient(dy: FloatArray, positive: NDArray[np.bool_], alpha: float, out: FloatArray) -> FloatArray:
    """Write dy where y was positive and alpha·dy elsewhere; arithmetic, as selecting by a mask takes ten times as long.

    ``out`` becomes the slope first, positive · (1 - alpha) + alpha, so it must not be dy. Where y was positive the
    slope is exactly 1, as adding alpha undoes the rounding of 1 - alpha.
    """
    out[...] = positive
    if slope := dy.dtype.type(alpha):
        out *= 1 - slope
        out += slope
    return np.multiply(dy, out, out=out)


def sigmoid(x: FloatArray, out: FloatArray) -> FloatArray:
    """Write 1 / (1 + exp(-x)) to ``out``, as exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows."""
    divisor = np.exp(-np.abs(x))
    divisor += 1
    np.exp(np.minimum(x, 0, out=out), out=out)
    return np.divide(out, divisor, out=out)


def sigmoid_gradient(dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
    """Write dy · y · (1 - y) to ``out``."""
    np.subtract(1, y, out=out)
    out *= y
    return np.multiply(dy, out, out=out)


def tanh(x: FloatArray, out: FloatArray) -> FloatArray:
    """Write the hyperbolic tangent to ``out``."""
    return np.tanh(x, out=out)


def tanh_gradient(dy: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
    """Write dy · (1 - y²) to ``out``."""
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)
    return np.multiply(dy, out, out=out)
