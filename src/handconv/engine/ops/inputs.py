"""The inputs of a program: samples, brought to floats, the batch innermost in memory; uint8 are pixels, 0 to 255."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Scope
from handconv.engine.layout import memory_shape, memory_view


class InputOp:
    """Where the samples of a batch are written to, and how they become floats.

    Args:
        shape: of the batch, (N, …).
        received: the type of the samples.
        dtype: of the floats.
        scope: where the arrays come from.

    Attributes:
        source: to be filled, in the order of the memory; of the floats' own type unless the samples are pixels.
    """

    def __init__(self, shape: tuple[int, ...], received: DTypeLike, dtype: DTypeLike, scope: Scope) -> None:
        self._floats: FloatArray = scope.public_array("inputs", shape, dtype)
        self._are_pixels = np.dtype(received) == np.uint8
        self.source: NDArray[Any] = memory_view(self._floats)
        if self._are_pixels:  # bytes are quicker to turn round than floats
            self.source = scope.scratch("pixels", memory_shape(shape), np.uint8)

    def forward(self) -> FloatArray:
        """The floats, of public shape."""
        if self._are_pixels:
            memory = memory_view(self._floats)
            memory[...] = self.source
            np.divide(memory, memory.dtype.type(255), out=memory)
        return self._floats
