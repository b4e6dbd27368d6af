"""The convolution layer: the same small filters at every place of the image."""

import math
from collections.abc import Sequence
from typing import ClassVar

from handconv.arrays import FloatArray
from handconv.engine.arena import memory_view, public_view
from handconv.engine.kernels.conv_block import FusedConvolution
from handconv.engine.kernels.conv_lowering import RowForm
from handconv.geometry import Geometry, Pair, geometry
from handconv.layers._arguments import image_shape, padding_of, pair
from handconv.layers.base import Initializer, Parameter, Shape
from handconv.layers.weighted import Weighted
from handconv.utils.validation import check_int


class Conv2D(Weighted):
    """Slide F filters over the image and answer, at each place, how well each one fits.

    A filter is a small pattern of weights, one plane for each input channel. Because the same filter is used
    everywhere, a feature is found wherever it lies, and the layer has few parameters. (Like every library of this
    field it computes the cross-correlation: the filter is not flipped.)

    Maths:
        z[n, f, i, j]  = b[f] + sum over c, u, v of w[f, c, u, v] · x[n, c, i·s + u - p, j·s + v - p]
        dw[f, c, u, v] = sum over n, i, j of dz[n, f, i, j] · x[n, c, i·s + u - p, j·s + v - p]
        db[f]          = sum over n, i, j of dz[n, f, i, j]
        dx[n, c, i·s + u - p, j·s + v - p] += dz[n, f, i, j] · w[f, c, u, v]
    Args:
        filters: number of output channels F, at least 1.
        kernel_size: KH = KW, or (KH, KW).
        stride: step between places, one number or (rows, columns).
        padding: zeros around the image: a number, (rows, columns), "same" (OH = ceil(H / stride)) or "valid" (none).
        use_bias: whether to add b.
        l1, l2: penalties l1·sum|w| and l2·sum w² on the weights; the gradient of the second is 2·l2·w.
        bias_l1, bias_l2: the same on the biases.
        weight_init, bias_init: names of initialisers, or functions (see ``handconv.initializers``).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        input (N, C, H, W) -> output (N, F, OH, OW) with OH = (H + 2p - KH) // s + 1
        weights (F, C, KH, KW), biases (F,)
    Raises:
        ValueError: if an argument is out of range, or the kernel is larger than the padded image.
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

    pairs: ClassVar[tuple[str, ...]] = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
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
        self.kernel_size = pair("Conv2D", "kernel_size", kernel_size)
        self.stride = pair("Conv2D", "stride", stride)
        self.padding = padding_of("Conv2D", padding)
        self._kernel: FusedConvolution | None = None

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (F, OH, OW)."""
        _, height, width = image_shape(self._label, input_shape)
        outputs = geometry(height, width, self.kernel_size, self.stride, self.padding).outputs
        if min(outputs) < 1:
            raise ValueError(
                f"{self._label}: the kernel {self.kernel_size} does not fit into images of {height}x{width} "
                f"with padding {self.padding!r}. Use a smaller kernel or more padding."
            )
        return self.filters, *outputs

    def declare(self, input_shape: Shape) -> tuple[Parameter, ...]:
        """Weights (F, C, KH, KW) and biases (F,)."""
        (height, width), channels = self.kernel_size, input_shape[0]
        shape = (self.filters, channels, height, width)
        return self._declaration(shape, channels * height * width, self.filters * height * width, self.filters)

    @property
    def multiply_adds(self) -> int:
        """One multiplication for each output and weight of its filter."""
        return math.prod(self.output_shape or ()) * math.prod(self.weights.shape[1:])

    @property
    def geometry(self) -> Geometry:
        """How the kernel slides over the image."""
        _, height, width = image_shape(self._label, self.input_shape or ())
        return geometry(height, width, self.kernel_size, self.stride, self.padding)

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        return self.run(x, remember=remember)

    def _parameter_gradients(self, dvalues: FloatArray) -> None:
        self.parameter_gradients(dvalues, dinputs_too=True)

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        return self.input_gradient()

    def run(
        self,
        x: FloatArray,
        pool_size: Pair = (1, 1),
        alpha: float | None = None,
        wanted: Pair | None = None,
        *,
        remember: bool,
    ) -> FloatArray:
        """Convolve, keep the best of each pooling window, add the biases, rectify: (N, C, H, W) -> (N, F, OH, OW).

        The inputs may lack last rows and columns that the ``wanted`` outputs do not look at.
        """

        def make() -> FusedConvolution:
            form = RowForm(self.geometry.cut(*x.shape[2:]), pool_size, wanted)
            return FusedConvolution(form, self.weights.shape, len(x), self.dtype, alpha, self.workspace)

        kernel = self.workspace.prepared((x.shape, pool_size, alpha, wanted), make)
        self._kernel = kernel if remember else None
        biases = self.biases if self.use_bias else None
        return public_view(kernel.forward(memory_view(x), self.weights, biases, remember=remember))

    def parameter_gradients(self, dvalues: FloatArray, *, dinputs_too: bool) -> None:
        """Go back through ``run`` to the parameters, on the way to ``input_gradient`` if that is wanted too."""
        assert self._kernel is not None
        dbiases = self.dbiases if self.use_bias else None
        self._kernel.backward(memory_view(dvalues), self.dweights, dbiases, dinputs_too=dinputs_too)

    def input_gradient(self) -> FloatArray:
        """Go on to the inputs: (N, C, H, W)."""
        assert self._kernel is not None
        return public_view(self._kernel.input_gradient(self.weights))
