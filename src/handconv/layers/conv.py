"""The convolution layer: the same small filters at every place of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.geometry import Geometry, geometry, pad_images, window_slices, windows_of
from handconv.layers.parameters import Initializer, ParameterSpec
from handconv.layers.weighted import Weighted
from handconv.utils.validation import check_image_shape, check_int, check_padding, check_pair


class Conv2D(Weighted):
    """Slide F filters over the image and answer, at each place, how well each one fits.

    A filter is a small pattern of weights, one plane for each input channel. Because the same filter is used
    everywhere, a feature is found wherever it lies, and the layer has few parameters. (Like every library of this
    field it computes the cross-correlation: the filter is not flipped.)

    ``groups`` splits the channels into that many parts, each with its own share of the filters; as many groups as
    channels make a depthwise convolution. With a ``dilation`` of d, neighbouring cells of a window are d pixels apart.

    Maths:
        z[n, f, i, j]  = b[f] + sum over c, u, v of w[f, c, u, v] · x[n, c, i·s + u·d - p, j·s + v·d - p]
        dw[f, c, u, v] = sum over n, i, j of dz[n, f, i, j] · x[n, c, i·s + u·d - p, j·s + v·d - p]
        db[f]          = sum over n, i, j of dz[n, f, i, j]
        dx[n, c, i·s + u·d - p, j·s + v·d - p] += dz[n, f, i, j] · w[f, c, u, v]
        with groups, c runs over the channels of the group that f belongs to
    Args:
        filters: number of output channels F, at least 1.
        kernel_size: KH = KW, or (KH, KW).
        stride: step between places, one number or (rows, columns).
        padding: zeros around the image: a number, (rows, columns), "same" (OH = ceil(H / stride)) or "valid" (none).
        dilation: distance d between the cells of a window, one number or (rows, columns).
        groups: parts of the channels that are convolved apart; it divides the channels and the filters.
        use_bias: whether to add b.
        l1, l2: penalties l1·sum|w| and l2·sum w² on the weights; the gradient of the second is 2·l2·w.
        bias_l1, bias_l2: the same on the biases.
        weight_init, bias_init: names of initialisers, or functions (see ``handconv.initializers``).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        input (N, C, H, W) -> output (N, F, OH, OW) with OH = (H + 2p - (KH - 1)·d - 1) // s + 1
        weights (F, C / groups, KH, KW), biases (F,)
    Raises:
        ValueError: if an argument is out of range, the kernel is larger than the padded image, or the groups do not
            divide the channels and the filters.
    Example:
        >>> import numpy as np, handconv as hc
        >>> conv = hc.Conv2D(8, 3)
        >>> y = conv.forward(np.zeros((2, 1, 28, 28), np.float32))
        >>> y.shape
        (2, 8, 26, 26)
        >>> conv.backward(np.ones_like(y)).shape, conv.dweights.shape, conv.dbiases.tolist()[:2]
        ((2, 1, 28, 28), (8, 1, 3, 3), [1352.0, 1352.0])

    References:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998, section II.
    """

    pairs: ClassVar[tuple[str, ...]] = ("kernel_size", "stride", "padding", "dilation")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        l1: float = 0.0,
        l2: float = 0.0,
        bias_l1: float = 0.0,
        bias_l2: float = 0.0,
        weight_init: Initializer = "he_normal",
        bias_init: Initializer = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            l1=l1,
            l2=l2,
            bias_l1=bias_l1,
            bias_l2=bias_l2,
            weight_init=weight_init,
            bias_init=bias_init,
            name=name,
        )
        self.filters = check_int("Conv2D: filters", filters)
        self.kernel_size = check_pair("Conv2D", "kernel_size", kernel_size)
        self.stride = check_pair("Conv2D", "stride", stride)
        self.padding = check_padding("Conv2D", padding)
        self.dilation = check_pair("Conv2D", "dilation", dilation)
        self.groups = check_int("Conv2D: groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"Conv2D: groups must divide the filters, {self.filters}, got {groups!r}.")

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (F, OH, OW)."""
        channels, height, width = check_image_shape(self.label, input_shape)
        if channels % self.groups:
            raise ValueError(f"{self.label}: groups must divide the channels, {channels}, got {self.groups}.")
        outputs = geometry(height, width, self.kernel_size, self.stride, self.padding, self.dilation).outputs
        if min(outputs) < 1:
            raise ValueError(
                f"{self.label}: the kernel {self.kernel_size} does not fit into images of {height}x{width} "
                f"with padding {self.padding!r}. Use a smaller kernel or more padding."
                + _channels_last_hint(input_shape)
            )
        return self.filters, *outputs

    def declare(self, input_shape: Shape) -> tuple[ParameterSpec, ...]:
        """Weights (F, C / groups, KH, KW) and biases (F,)."""
        (height, width), channels = self.kernel_size, input_shape[0] // self.groups
        shape, reached = (self.filters, channels, height, width), self.filters // self.groups * height * width
        return self.declare_weights(shape, channels * height * width, reached, self.filters)

    @property
    def multiply_adds(self) -> int:
        """One multiplication for each output and weight of its filter."""
        return math.prod(self.output_shape or ()) * math.prod(self.weights.shape[1:])

    @property
    def geometry(self) -> Geometry:
        """How the kernel slides over the image."""
        _, height, width = check_image_shape(self.label, self.input_shape or ())
        return geometry(height, width, self.kernel_size, self.stride, self.padding, self.dilation)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """z = w ∗ x + b, as one product of the filters with the matrix of all windows, for each group G."""
        x = self.check_inputs(inputs)  # (N, C, H, W)
        windows = windows_of(pad_images(x, self.geometry, 0.0), self.geometry)  # (N, C, KH, KW, OH, OW)
        batch, *_, height, width = windows.shape
        w = self.weights.reshape(self.groups, self.filters // self.groups, -1)  # (G, F/G, C/G·KH·KW)
        own = np.array(windows, order="C")  # the caller may change the inputs
        self._columns = own.reshape(batch, self.groups, w.shape[2], height * width)  # (N, G, C/G·KH·KW, OH·OW)
        z = (w @ self._columns).reshape(batch, self.filters, height, width)  # (N, F, OH, OW)
        if self.use_bias:
            z += self.biases[:, None, None]
        self.output = z
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dw = dz · windowsᵀ, db = the sum of dz, dx = the shares wᵀ dz of all windows, added where they overlap."""
        dz = self.check_gradient(dvalues)  # (N, F, OH, OW)
        batch, filters, height, width = dz.shape
        if self.use_bias:
            self.dbiases = dz.sum(axis=(0, 2, 3))
        dz = dz.reshape(batch, self.groups, filters // self.groups, height * width)  # (N, G, F/G, OH·OW)
        dw = np.matmul(dz, self._columns.swapaxes(2, 3)).sum(axis=0)  # (G, F/G, C/G·KH·KW)
        self.dweights = dw.reshape(self.weights.shape)

        w, channels = self.weights.reshape(dw.shape), self.groups * self.weights.shape[1]
        shares = w.swapaxes(1, 2) @ dz  # (N, G, C/G·KH·KW, OH·OW)
        shares = shares.reshape(batch, channels, *self.kernel_size, height, width)  # (N, C, KH, KW, OH, OW)
        rows, columns = self.geometry
        dx = np.zeros((batch, shares.shape[1], rows.padded, columns.padded), self.dtype)
        for (u, v), window in window_slices(self.geometry):
            dx[window] += shares[:, :, u, v]
        self.dinputs = dx[self.geometry.inside]  # without the padding
        return self.dinputs


def _channels_last_hint(shape: Shape) -> str:
    if shape[0] > 4 and shape[2] in (1, 3, 4):
        return f" Channels last? Images are (C, H, W), here {(shape[2], shape[0], shape[1])}: x.transpose(0, 3, 1, 2)."
    return ""
