"""A convolution, a rectifier and a maximum pooling as one op; all but the convolution may be absent.

    y = f(max over the window of (w ∗ x) + b)        f: LeakyReLU, ReLU, or nothing

Together they are far quicker than one after the other, with the same results (``kernels/conv_block.py`` says why).
"""

from handconv.arrays import FloatArray
from handconv.engine.kernels.conv_block import FusedConvolution
from handconv.engine.kernels.conv_lowering import RowForm
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.engine.ops.norm import fold_into
from handconv.geometry import Pair
from handconv.layers import BatchNorm, Conv2D, LeakyReLU, MaxPool2D, ReLU


class ConvBlockOp(Op):
    """Conv2D, LeakyReLU or ReLU, MaxPool2D with windows side by side; in inference BatchNorm before the rectifier too.

    Attributes:
        output_crop: the rows and columns of y that the next op reads, if not all; no others are computed.
    """

    def __init__(
        self,
        convolution: Conv2D,
        norm: BatchNorm | None,
        rectifier: "LeakyReLU | ReLU | None",
        pool: MaxPool2D | None,
        context: Context,
    ) -> None:
        super().__init__([layer for layer in (convolution, norm, rectifier, pool) if layer is not None], context)
        self._convolution, self._norm = convolution, norm
        self._window = pool.pool_size if pool else (1, 1)
        self._alpha = None if rectifier is None else getattr(rectifier, "alpha", 0.0)
        self.output_crop: Pair | None = None
        self._kernel: FusedConvolution | None = None

    @property
    def required_input(self) -> Pair:
        """The rows and columns of the inputs that this op reads."""
        return RowForm(self._convolution.geometry, self._window, self.output_crop).required_input

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """(N, C, H, W) -> (N, F, OH, OW); the inputs may lack last rows and columns that are not read."""
        weights = self.parameter(self._convolution, "weights")
        biases = self.parameter(self._convolution, "biases") if self._convolution.use_bias else None
        if self._norm is not None:
            arrays = {name: self.scope.track(array) for name, array in self._norm.arrays.items()}
            weights, biases = fold_into(self._norm, arrays, weights, biases)
        kernel = self.scope.cached(x.shape, lambda: self._lay_out(x.shape))
        self._kernel = kernel if training else None
        return public_view(kernel.forward(memory_view(x), weights, biases, save_for_backward=training))

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """(N, F, OH, OW) -> (N, C, H, W)."""
        assert self._kernel is not None
        dweights = self.gradient(self._convolution, "weights")
        dbiases = self.gradient(self._convolution, "biases") if self._convolution.use_bias else None
        self._kernel.backward(memory_view(dy), dweights, dbiases, needs_input_grad=needs_input_grad)
        if not needs_input_grad:
            return None
        return public_view(self._kernel.input_gradient(self.parameter(self._convolution, "weights")))

    def _lay_out(self, shape: tuple[int, ...]) -> FusedConvolution:
        form = RowForm(self._convolution.geometry.cut(*shape[2:]), self._window, self.output_crop)
        weights_shape = self._convolution.weights.shape
        return FusedConvolution(form, weights_shape, shape[0], self.dtype, self._alpha, self.scope)
