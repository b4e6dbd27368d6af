"""Exercise 1: write the backward pass of a max pooling, as chapter 3 describes it.

make test TESTS="tests/test_learn.py --answers exercises -k max_pool"
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import handconv as hc


class MaxPool2D(hc.Layer):
    """Keep the greatest value of each square window; the windows lie a stride apart, and may overlap."""

    def __init__(self, pool_size=2, stride=2):
        super().__init__()
        self.pool_size = pool_size
        self.stride = stride

    def infer_shape(self, input_shape):
        """(C, H, W) -> (C, OH, OW)."""
        channels, *size = input_shape
        return channels, *((side - self.pool_size) // self.stride + 1 for side in size)

    def windows(self):
        """View the windows of the inputs: (N, C, OH, OW, K, K)."""
        size = (self.pool_size, self.pool_size)
        return sliding_window_view(self.inputs, size, axis=(2, 3))[:, :, :: self.stride, :: self.stride]

    def forward(self, inputs, training=False):
        """y[n, c, i, j] = max over u, v of x[n, c, i·s + u, j·s + v]."""
        self.inputs = inputs  # (N, C, H, W)
        return np.max(self.windows(), axis=(4, 5))  # (N, C, OH, OW)

    def backward(self, dvalues):
        """Turn the gradient with respect to the outputs into the one with respect to the inputs, of their shape."""
        raise NotImplementedError(
            "Write MaxPool2D.backward: dvalues (N, C, OH, OW) -> dinputs (N, C, H, W), where the first maximum of each "
            "window, row by row, gets what belongs to the window, and what several windows give to one cell is added."
        )
