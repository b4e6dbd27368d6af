"""The order of the memory.

Arrays have the public shape (N, C, H, W) or (N, D); in the memory of a program the batch is the *innermost* axis,
(H, C, W, N) or (D, N). A NumPy array carries its strides, so reading it under its public shape costs nothing, and
pooling, activations and the shifts of a convolution become long contiguous runs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.engine.capture import CapturedArray


def memory_view(x: NDArray[Any]) -> NDArray[Any]:
    """Show an array of public shape as it lies in memory: (N, C, H, W) -> (H, C, W, N), (N, D) -> (D, N)."""
    if x.ndim == 4:
        return x.transpose(2, 1, 3, 0)
    return x.transpose(*range(1, x.ndim), 0)


def public_view(memory: NDArray[Any]) -> NDArray[Any]:
    """Show memory under its public shape: (H, C, W, N) -> (N, C, H, W), (D, N) -> (N, D)."""
    if memory.ndim == 4:
        return memory.transpose(3, 1, 0, 2)
    return memory.transpose(-1, *range(memory.ndim - 1))


def memory_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in memory of an array of public ``shape``."""
    if len(shape) == 4:
        return shape[2], shape[1], shape[3], shape[0]
    return (*shape[1:], shape[0])


def strided(array: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
    """See an array's memory, from a byte of it on, under another shape and other strides."""
    view = np.ndarray(shape, array.dtype, array, offset, strides)
    return array.capture.track(view) if isinstance(array, CapturedArray) and array.capture else view
