"""Pooling layers: a smaller image of the strongest, or the average, answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.geometry import Geometry, geometry, pad_images, window_slices
from handconv.layers.base import Layer
from handconv.utils.validation import check_image_shape, check_padding, check_pair


class _Pooling(Layer):
    """The window that both kinds of pooling slide over the image."""

    pairs: ClassVar[tuple[str, ...]] = ("pool_size", "stride", "padding")

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        *,
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | str = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        owner = type(self).__name__
        self.pool_size = check_pair(owner, "pool_size", pool_size)
        self.stride = self.pool_size if stride is None else check_pair(owner, "stride", stride)
        self.padding = check_padding(owner, padding)
        if not isinstance(self.padding, str) and any(
            2 * padding > window for padding, window in zip(self.padding, self.pool_size, strict=True)
        ):
            raise ValueError(
                f"{owner}: padding must be at most half of the window {self.pool_size}, got {padding!r}, "
                "so that no window lies in the padding alone."
            )

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, OH, OW)."""
        channels, height, width = check_image_shape(self.label, input_shape)
        outputs = geometry(height, width, self.pool_size, self.stride, self.padding).outputs
        if min(outputs) < 1:
            raise ValueError(
                f"{self.label}: the window {self.pool_size} does not fit into images of {height}x{width} "
                f"with padding {self.padding!r}. Use a smaller window."
            )
        return channels, *outputs

    @property
    def geometry(self) -> Geometry:
        """How the window slides over the image."""
        _, height, width = check_image_shape(self.label, self.input_shape or ())
        return geometry(height, width, self.pool_size, self.stride, self.padding)


class MaxPool2D(_Pooling):
    """Keep the greatest value of each window.

    Where exactly a feature lies in the window stops mattering, and the image shrinks. In the backward pass the
    gradient is routed to the one cell that gave the maximum; all others get nothing.

    Maths:
        y[n, c, i, j] = max over u, v of x[n, c, i·s + u - p, j·s + v - p]       (outside of the image: -inf)
        dx[n, c, i·s + u* - p, j·s + v* - p] += dy[n, c, i, j]                  (u*, v*): the first maximum, row by row
    Args:
        pool_size: the window, one number or (rows, columns).
        stride: step between windows; the window itself if not given. Smaller steps make windows overlap.
        padding: cells of -inf around the image: a number, (rows, columns), "same" or "valid".
        name: the layer's name in ``summary`` and in files.
    Shapes:
        input (N, C, H, W) -> output (N, C, OH, OW) with OH = (H + 2p - KH) // s + 1: rows that fill no window are
        dropped
    Raises:
        ValueError: if an argument is out of range, or the window is larger than the image.
    Example:
        >>> import numpy as np, handconv as hc
        >>> pool = hc.MaxPool2D(2)
        >>> x = np.array([[1, 3, 0], [2, 3, 9], [9, 9, 9]], np.float32).reshape(1, 1, 3, 3)
        >>> pool.forward(x).tolist()
        [[[[3.0]]]]
        >>> pool.backward(np.ones((1, 1, 1, 1)))[0, 0].tolist()        # the first of the two maxima
        [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]

    References:
        Ranzato, Huang, Boureau and LeCun, Unsupervised learning of invariant feature hierarchies, 2007.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """The greatest cell of each window: the cells are looked at one offset (u, v) after another, row by row."""
        x = pad_images(self.check_inputs(inputs), self.geometry, -np.inf)  # (N, C, H, W) with its padding
        y = np.full((*x.shape[:2], *self.geometry.outputs), -np.inf, self.dtype)  # (N, C, OH, OW)
        rows, columns = self.geometry
        first = rows.first_inside[:, None] * columns.window + columns.first_inside  # padding never wins
        self._winner = np.broadcast_to(first, y.shape).astype(np.uint16)  # which offset gave the maximum
        for k, (_, window) in enumerate(window_slices(self.geometry)):
            cell = x[window]  # (N, C, OH, OW): the cell at this offset of every window
            np.maximum(self._winner, np.uint16(k) * (cell > y), out=self._winner)  # the first of equals stays
            y = np.maximum(y, cell)
        self.output = y
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """The gradient of each window goes to the cell that won it, and adds up where windows overlap."""
        dy = self.check_gradient(dvalues)  # (N, C, OH, OW)
        rows, columns = self.geometry
        dx = np.zeros((*dy.shape[:2], rows.padded, columns.padded), self.dtype)
        for k, (_, window) in enumerate(window_slices(self.geometry)):
            dx[window] += dy * (self._winner == k)
        self.dinputs = dx[self.geometry.inside]
        return self.dinputs


class AveragePool2D(_Pooling):
    """Keep the mean of each window.

    A softer summary than the maximum: every cell of the window has the same say, and the same share of the gradient.

    Maths:
        y[n, c, i, j] = mean over u, v of x[n, c, i·s + u - p, j·s + v - p]      (outside of the image: 0, and counted)
        dx[n, c, i·s + u - p, j·s + v - p] += dy[n, c, i, j] / (KH·KW)
    Args:
        pool_size, stride, padding, name: as for ``MaxPool2D``; the padding is of zeros.
    Shapes:
        input (N, C, H, W) -> output (N, C, OH, OW) with OH = (H + 2p - KH) // s + 1
    Raises:
        ValueError: if an argument is out of range, or the window is larger than the image.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.AveragePool2D(2).forward(np.arange(4.0).reshape(1, 1, 2, 2)).tolist()
        [[[[1.5]]]]

    References:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998, section II.
    """

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """The mean of the cells of each window."""
        x = pad_images(self.check_inputs(inputs), self.geometry, 0.0)  # (N, C, H, W) with its padding
        cells = [x[window] for _, window in window_slices(self.geometry)]  # KH·KW views (N, C, OH, OW)
        self.output = sum(cells[1:], cells[0]) * self.dtype.type(1 / len(cells))
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Each cell of a window gets the same share of its gradient."""
        dy = self.check_gradient(dvalues)  # (N, C, OH, OW)
        rows, columns = self.geometry
        dx = np.zeros((*dy.shape[:2], rows.padded, columns.padded), self.dtype)
        share = dy * self.dtype.type(1 / (rows.window * columns.window))
        for _, window in window_slices(self.geometry):
            dx[window] += share
        self.dinputs = dx[self.geometry.inside]
        return self.dinputs


class GlobalAveragePool2D(Layer):
    """Keep the mean of each channel.

    It turns an image of any size into one number a channel, without parameters; a common end of convolutional networks.

    Maths:
        y[n, c] = mean over i, j of x[n, c, i, j]
        dx[n, c, i, j] = dy[n, c] / (H·W)
    Args:
        name: the layer's name in ``summary`` and in files.
    Shapes:
        input (N, C, H, W) -> output (N, C)
    Raises:
        ValueError: if the input is no image.
    Example:
        >>> import numpy as np, handconv as hc
        >>> hc.GlobalAveragePool2D().forward(np.ones((2, 3, 5, 5))).shape
        (2, 3)

    References:
        Lin, Chen and Yan, Network in network, 2014, section 3.2.
    """

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C,)."""
        return check_image_shape(self.label, input_shape)[:1]

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """The mean of each channel; NumPy adds the numbers of a row of memory in pairs, which keeps them exact."""
        x = self.check_inputs(inputs)
        batch, channels, height, width = x.shape
        self.output = x.reshape(batch, channels, height * width).mean(axis=2)  # (N, C)
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Each pixel gets the same share of its channel's gradient."""
        dy = self.check_gradient(dvalues)  # (N, C)
        _, height, width = self.input_shape or ()
        share = dy / self.dtype.type(height * width)
        self.dinputs = np.broadcast_to(share[:, :, None, None], (*dy.shape, height, width)).copy()
        return self.dinputs
