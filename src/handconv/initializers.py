"""Initial values of parameters.

Weights start random, so that units differ, and just large enough that signals neither fade nor grow on their way
through the layers. With n inputs and m outputs of a unit (``fan_in``, ``fan_out``):

    he_normal       N(0, 2 / n)                        he_uniform       U(-a, a), a = sqrt(6 / n)
    glorot_normal   N(0, 2 / (n + m))                  glorot_uniform   U(-a, a), a = sqrt(6 / (n + m))
    normal          0.01 · N(0, 1)                     zeros, ones      0, 1

He's suit ReLU and its kin, which halve the variance; Glorot's suit tanh, sigmoid and softmax. Biases start as zeros.

References:
    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, section 2.2.
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, section 4.2.
    Kinsley and Kukieła, Neural networks from scratch in Python, 2020 (normal).
"""

from __future__ import annotations

# ruff: noqa: ARG001 (all initializers have the same signature)
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from handconv.arrays import FloatArray
from handconv.utils.nearest import nearest

Shape = tuple[int, ...]
#: Called with (shape, fan_in, fan_out, generator); what it returns is converted to the parameters' dtype.
Function = Callable[[Shape, int, int, "np.random.Generator"], FloatArray]


def he_normal(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Draw from N(0, 2 / fan_in), not truncated; its arguments, and those of the others, are as for ``initialize``.

    Example:
        >>> he_normal((2,), 8, 1, np.random.default_rng(0)).round(3)
        array([ 0.063, -0.066])
    """
    return math.sqrt(2 / fan_in) * generator.standard_normal(shape)


def he_uniform(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Draw from U(-a, a) with a = sqrt(6 / fan_in), whose variance is 2 / fan_in.

    Example:
        >>> he_uniform((2,), 6, 1, np.random.default_rng(0)).round(3)
        array([ 0.274, -0.46 ])
    """
    limit = math.sqrt(6 / fan_in)
    return generator.uniform(-limit, limit, shape)


def glorot_normal(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Draw from N(0, 2 / (fan_in + fan_out)), not truncated.

    Example:
        >>> glorot_normal((2,), 6, 2, np.random.default_rng(0)).round(3)
        array([ 0.063, -0.066])
    """
    return math.sqrt(2 / (fan_in + fan_out)) * generator.standard_normal(shape)


def glorot_uniform(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Draw from U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), whose variance is 2 / (fan_in + fan_out).

    Example:
        >>> glorot_uniform((2,), 4, 2, np.random.default_rng(0)).round(3)
        array([ 0.274, -0.46 ])
    """
    limit = math.sqrt(6 / (fan_in + fan_out))
    return generator.uniform(-limit, limit, shape)


def normal(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Draw from 0.01 · N(0, 1).

    Example:
        >>> normal((2,), 4, 2, np.random.default_rng(0)).round(5)
        array([ 0.00126, -0.00132])
    """
    return 0.01 * generator.standard_normal(shape)


def zeros(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Give zeros.

    Example:
        >>> zeros((2,), 4, 2, np.random.default_rng(0))
        array([0., 0.])
    """
    return np.zeros(shape)


def ones(shape: Shape, fan_in: int, fan_out: int, generator: np.random.Generator) -> FloatArray:
    """Give ones: the scale of a normalisation starts so.

    Example:
        >>> ones((2,), 4, 2, np.random.default_rng(0))
        array([1., 1.])
    """
    return np.ones(shape)


INITIALIZERS: dict[str, Function] = {
    function.__name__: function
    for function in (he_normal, he_uniform, glorot_normal, glorot_uniform, normal, zeros, ones)
}


def find(initializer: str | Function) -> Function:
    """Return the function of a name; a function is its own.

    Args:
        initializer: a name out of ``INITIALIZERS``, or a function.

    Raises:
        ValueError: if the name is unknown; the message has the nearest one, or all.
        TypeError: if it is neither a name nor a function.

    Example:
        >>> find("zeros") is zeros
        True
    """
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str):
        raise TypeError(
            "An initializer must be a name or a function (shape, fan_in, fan_out, generator) -> array, "
            f"got {initializer!r}."
        )
    if initializer not in INITIALIZERS:
        raise ValueError(f"There is no initializer {initializer!r}.{nearest(initializer, INITIALIZERS)}")
    return INITIALIZERS[initializer]


def initialize(
    initializer: str | Function,
    shape: Shape,
    fan_in: int,
    fan_out: int,
    generator: np.random.Generator,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Return the initial values of one array of parameters.

    Numbers are drawn in float64 whatever the dtype, so that a network starts alike in float32 and, for proofs, float64.

    Args:
        initializer: a name out of ``INITIALIZERS``, or a function (shape, fan_in, fan_out, generator) -> array.
        shape: of the parameters.
        fan_in: inputs of one unit: D of a dense layer, C·KH·KW of a convolution.
        fan_out: outputs that one input reaches: units of a dense layer, F·KH·KW of a convolution.
        generator: where the randomness comes from.
        dtype: of the parameters.

    Raises:
        ValueError: if the name is unknown, or the function returns another shape or numbers that are not finite.
        TypeError: if it is neither a name nor a function, or returns no real numbers.

    Example:
        >>> initialize("he_uniform", (2,), fan_in=6, fan_out=2, generator=np.random.default_rng(0)).round(3)
        array([ 0.274, -0.46 ], dtype=float32)
    """
    function = find(initializer)
    values = np.asarray(function(shape, fan_in, fan_out, generator))
    name = getattr(function, "__name__", repr(function))
    if values.shape != tuple(shape):
        raise ValueError(
            f"An initializer must return the shape it is asked for, {tuple(shape)}; {name} returned {values.shape}."
        )
    if values.dtype.kind not in "biuf":
        raise TypeError(f"An initializer must return real numbers; {name} returned {values.dtype}.")
    with np.errstate(over="ignore"):
        kept: FloatArray = values.astype(dtype, copy=False)
    if not np.isfinite(kept).all():
        raise ValueError(
            f"An initializer must return finite numbers, as {np.dtype(dtype)} holds them; {name} returned NaN, "
            "infinity or numbers beyond."
        )
    return kept
