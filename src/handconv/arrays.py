"""The types of arrays and shapes, as signatures name them, and inputs as floats.

The axes stand in docstrings: (N, C, H, W), (N, D).
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: An array of float32 or float64.
FloatArray = NDArray[np.floating[Any]]
#: The shape of one sample, without the batch axis, or of an array of parameters.
Shape = tuple[int, ...]


def as_floats(inputs: NDArray[Any], dtype: DTypeLike) -> FloatArray:
    """Inputs as a network computes with them, a new array of this type; uint8 are pixels, and are divided by 255.

    Example:
        >>> as_floats(np.array([0, 51, 255], np.uint8), np.float64).tolist(), as_floats(np.array([51.0]), "f8").tolist()
        ([0.0, 0.2, 1.0], [51.0])
    """
    floats: FloatArray = inputs.astype(dtype)
    if inputs.dtype == np.uint8:
        floats /= 255
    return floats
