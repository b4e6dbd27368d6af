"""Layers that only look at the same numbers under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.base import Layer
from handconv.utils.validation import check_image_shape, is_int
from handconv.utils.words import counted


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

    shape: Shape = (-1,)

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
                f"{self.label} cannot bring samples of shape {input_shape} ({counted(size, 'value')}) to {self.shape}: "
                "the number of values must stay the same."
            )
        return tuple(size // known if entry == -1 else entry for entry in self.shape)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """The numbers of each sample, read row by row into the new shape."""
        x = self.check_inputs(inputs)
        self.output = np.array(x, order="C").reshape(len(x), *(self.output_shape or ()))
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """The numbers of each gradient, read back into the old shape."""
        dy = self.check_gradient(dvalues)
        self.dinputs = np.array(dy, order="C").reshape(len(dy), *(self.input_shape or ()))
        return self.dinputs


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


class ZeroPad2D(Layer):
    """Surround images with zeros.

    Maths:
        y[n, c, i + top, j + left] = x[n, c, i, j], 0 elsewhere; dx[n, c, i, j] = dy[n, c, i + top, j + left]
    Args:
        padding: cells on every side: a number, (rows, columns), or (top, bottom, left, right).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, C, H, W) -> (N, C, top + H + bottom, left + W + right)
    Raises:
        ValueError: if padding is not such numbers of at least 0, or the inputs are not images.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.ZeroPad2D((0, 0, 1, 0)).forward(np.ones((1, 1, 1, 2))).tolist()
        [[[[0.0, 1.0, 1.0]]]]

    References:
        numpy.pad.
    """

    def __init__(self, padding: int | Sequence[int] = 1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        sides = (padding,) * 4 if is_int(padding) else tuple(padding) if isinstance(padding, tuple | list) else ()
        if len(sides) == 2:
            sides = (sides[0], sides[0], sides[1], sides[1])
        if len(sides) != 4 or not all(is_int(side) and side >= 0 for side in sides):
            raise ValueError(
                "ZeroPad2D: padding must be a whole number of at least 0, (rows, columns) or (top, bottom, left, "
                f"right), got {padding!r}."
            )
        self.padding = tuple(int(side) for side in sides)

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, top + H + bottom, left + W + right)."""
        channels, height, width = check_image_shape(self.label, input_shape)
        top, bottom, left, right = self.padding
        return channels, top + height + bottom, left + width + right

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """The images in the middle of zeros."""
        x = self.check_inputs(inputs)
        top, bottom, left, right = self.padding
        self.output = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """The middle of the gradient."""
        dy = self.check_gradient(dvalues)
        (_, height, width), (top, _, left, _) = self.input_shape or (0, 0, 0), self.padding
        self.dinputs = np.array(dy[:, :, top : top + height, left : left + width])
        return self.dinputs
