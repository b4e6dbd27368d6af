"""Layers that only look at the same numbers under another shape."""

import math
from collections.abc import Sequence

from handconv.arrays import FloatArray
from handconv.engine.arena import memory_shape, public_view
from handconv.layers.base import Layer, Shape
from handconv.utils.validation import is_int


class Reshape(Layer):
    """Give each sample another shape, its numbers in row-major order.

    Maths:
        y[n] = x[n] read row by row into the new shape; dx[n] = dy[n] read back
    Args:
        shape: the new shape of one sample; one entry may be -1 and is worked out.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, …) -> (N, …shape)
    Raises:
        ValueError: if the shape is none, or the number of values differs.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Reshape((1, 28, 28)).forward(np.zeros((5, 784))).shape
        (5, 1, 28, 28)

    References:
        numpy.reshape.
    """

    def __init__(self, shape: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.shape = tuple(shape) if isinstance(shape, tuple | list) else (0,)
        if self.shape.count(-1) > 1 or not all(is_int(size) and (size >= 1 or size == -1) for size in self.shape):
            raise ValueError(
                f"{type(self).__name__}: shape must be whole numbers of at least 1, one of them may be -1; "
                f"got {shape!r}."
            )

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(…) -> shape, with -1 worked out."""
        size, known = math.prod(input_shape), math.prod(size for size in self.shape if size != -1)
        if size % known or (-1 not in self.shape and size != known):
            raise ValueError(
                f"{self._label} cannot bring samples of shape {input_shape} ({size} values) to {self.shape}: "
                "the number of values must stay the same."
            )
        return tuple(size // known if entry == -1 else entry for entry in self.shape)

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        assert self.output_shape is not None
        return self._reshaped("output", x, self.output_shape)

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        assert self.input_shape is not None
        return self._reshaped("dinputs", dvalues, self.input_shape)

    def _reshaped(self, name: str, x: FloatArray, shape: Shape) -> FloatArray:
        """Read x row-major into (N, …shape), with the batch innermost in the result's memory."""
        memory = self.workspace.keep(name, memory_shape((x.shape[0], *shape)), self.dtype)
        source, target = _batch_last(x), _batch_last(public_view(memory))  # (…old, N), (…new, N)
        if target.flags.c_contiguous:
            target.reshape(source.shape)[...] = source
        else:
            row_major = self.workspace.scratch("row-major", source.shape, self.dtype)
            row_major[...] = source
            target[...] = row_major.reshape(target.shape)
        return public_view(memory)


class Flatten(Reshape):
    """Lay out each sample as one vector, in row-major order (C, H, W).

    It stands between the convolutional part of a network, which thinks in images, and the dense part, which thinks in
    vectors.

    Maths:
        y[n, (c·H + i)·W + j] = x[n, c, i, j]
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, C, H, W) -> (N, C·H·W)
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.Flatten().forward(np.zeros((5, 16, 5, 5))).shape
        (5, 400)

    References:
        numpy.ravel.
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__((-1,), name=name)


def _batch_last(x: FloatArray) -> FloatArray:
    return x.transpose(*range(1, x.ndim), 0)
