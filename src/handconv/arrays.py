"""The types of arrays and shapes, as signatures name them. The axes stand in docstrings: (N, C, H, W), (N, D)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An array of float32 or float64.
FloatArray = NDArray[np.floating[Any]]
#: An array of any numbers.
Array = NDArray[Any]
#: The shape of one sample, without the batch axis, or of an array of parameters.
Shape = tuple[int, ...]
