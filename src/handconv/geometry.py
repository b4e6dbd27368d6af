"""Where a window slides: sizes, strides and padding.

An ``Axis`` describes one direction of a convolution or a pooling; a ``Geometry`` two of them. Both are immutable
and hashable; all arithmetic on indices lives here.

    outputs along an axis = (size + before + after - window) // stride + 1
    output o looks at the inputs o·stride + u - before, for u in 0 … window - 1
"""

from functools import cache
from typing import NamedTuple

Pair = tuple[int, int]


class Axis(NamedTuple):
    """One direction in which a window slides."""

    size: int
    window: int
    stride: int = 1
    before: int = 0
    after: int = 0

    @property
    def outputs(self) -> int:
        """How many windows fit."""
        return (self.size + self.before + self.after - self.window) // self.stride + 1

    def reach(self, outputs: int) -> int:
        """How many of the padded inputs the first so many outputs look at."""
        return (outputs - 1) * self.stride + self.window

    @property
    def overlaps(self) -> bool:
        """Whether one input may belong to several windows."""
        return self.window > self.stride

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

    def cut(self, height: int, width: int) -> "Geometry":
        """The same windows over an input that lacks its last rows and columns."""
        return Geometry(self.rows._replace(size=height), self.columns._replace(size=width))


@cache
def geometry(height: int, width: int, window: Pair, stride: Pair, padding: Pair | str) -> Geometry:
    """Work out the padding on all four sides: "same" gives ceil(size / stride) outputs, the odd one after."""

    def axis(size: int, window: int, stride: int, padding: int | str) -> Axis:
        if padding == "same":
            total = max(0, (-(-size // stride) - 1) * stride + window - size)
            return Axis(size, window, stride, total // 2, total - total // 2)
        amount = 0 if padding == "valid" else int(padding)
        return Axis(size, window, stride, amount, amount)

    vertical, horizontal = (padding, padding) if isinstance(padding, str) else padding
    return Geometry(axis(height, window[0], stride[0], vertical), axis(width, window[1], stride[1], horizontal))
