"""Where a window slides: sizes, strides and padding.

An ``Axis`` describes one direction of a convolution or a pooling; a ``Geometry`` two of them. Both are immutable
and hashable; all arithmetic on indices lives here.

    span of a window      = (window - 1)·dilation + 1
    outputs along an axis = (size + before + after - span) // stride + 1
    output o reads the inputs o·stride + u·dilation - before, for u in 0 … window - 1
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pair = tuple[int, int]


class Axis(NamedTuple):
    """One direction in which a window slides."""

    size: int
    window: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        """How many cells lie from the first to the last cell of a window."""
        return (self.window - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """How many windows fit."""
        return (self.size + self.before + self.after - self.span) // self.stride + 1

    def inputs_of(self, outputs: int) -> int:
        """How many of the padded inputs the first ``outputs`` outputs depend on."""
        return (outputs - 1) * self.stride + self.span

    @property
    def overlaps(self) -> bool:
        """Whether one input may belong to several windows."""
        return self.span > self.stride

    @property
    def first_inside(self) -> NDArray[np.intp]:
        """For each window, its first cell that is not padding before the input (without dilation)."""
        return np.clip(self.before - self.stride * np.arange(self.outputs), 0, self.window)

    @property
    def padded(self) -> int:
        """The size with its padding."""
        return self.size + self.before + self.after


class Geometry(NamedTuple):
    """The two directions of a convolution or pooling."""

    rows: Axis
    columns: Axis

    @property
    def outputs(self) -> Pair:
        """(OH, OW)."""
        return self.rows.outputs, self.columns.outputs

    @property
    def has_padding(self) -> bool:
        """Whether any window reaches beyond the input."""
        return any((self.rows.before, self.rows.after, self.columns.before, self.columns.after))

    @property
    def inside(self) -> tuple[slice, slice, slice, slice]:
        """The part of a padded (N, C, H, W) that is no padding."""
        rows, columns = self
        inside = slice(rows.before, rows.before + rows.size), slice(columns.before, columns.before + columns.size)
        return slice(None), slice(None), *inside

    def cut(self, height: int, width: int) -> "Geometry":
        """The same windows over an input that lacks its last rows and columns."""
        return Geometry(self.rows._replace(size=height), self.columns._replace(size=width))


@cache
def geometry(
    height: int, width: int, window: Pair, stride: Pair, padding: Pair | int | str, dilation: Pair = (1, 1)
) -> Geometry:
    """Work out the padding on all four sides: "same" gives ceil(size / stride) outputs, the odd one after."""

    def axis(size: int, window: int, stride: int, padding: int | str, dilation: int) -> Axis:
        if padding == "same":
            total = max(0, (-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size)
            return Axis(size, window, stride, total // 2, total - total // 2, dilation)
        amount = 0 if padding == "valid" else int(padding)
        return Axis(size, window, stride, amount, amount, dilation)

    vertical, horizontal = padding if isinstance(padding, tuple) else (padding, padding)
    return Geometry(
        axis(height, window[0], stride[0], vertical, dilation[0]),
        axis(width, window[1], stride[1], horizontal, dilation[1]),
    )


Window = tuple[slice, slice, slice, slice]


def window_slices(geometry: Geometry) -> Iterator[tuple[Pair, Window]]:
    """For each offset (u, v) in a window, row by row: where that cell of all windows lies in a padded (N, C, H, W).

    Example:
        >>> x = np.arange(16).reshape(1, 1, 4, 4)
        >>> [x[window][0, 0].tolist() for _, window in window_slices(geometry(4, 4, (2, 2), (2, 2), 0))][1]
        [[1, 3], [9, 11]]
    """
    rows, columns = geometry

    def reached(axis: Axis, cell: int) -> slice:
        start = cell * axis.dilation
        return slice(start, start + (axis.outputs - 1) * axis.stride + 1, axis.stride)

    for u, v in np.ndindex(rows.window, columns.window):
        yield (u, v), (slice(None), slice(None), reached(rows, u), reached(columns, v))


def windows_of(x: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """See all windows of a padded (N, C, H, W): a view (N, C, KH, KW, OH, OW)."""
    rows, columns = geometry
    windows = sliding_window_view(x, (rows.span, columns.span), axis=(2, 3))  # (N, C, H', W', span, span)
    windows = windows[:, :, :: rows.stride, :: columns.stride, :: rows.dilation, :: columns.dilation]
    return windows.transpose(0, 1, 4, 5, 2, 3)


def pad_images(x: NDArray[Any], geometry: Geometry, fill: float) -> NDArray[Any]:
    """Surround (N, C, H, W) with ``fill``; ``x`` itself where there is no padding."""
    if not geometry.has_padding:
        return x
    rows, columns = geometry
    padded = np.full((*x.shape[:2], rows.padded, columns.padded), fill, x.dtype)
    padded[geometry.inside] = x
    return padded
