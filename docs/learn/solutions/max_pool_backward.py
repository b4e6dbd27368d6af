"""Exercise 1, solved: the backward pass of a max pooling.

The place of the first maximum of each window is its position 0 … K·K - 1, row by row, which ``argmax`` gives. For each
position at a time, the cells of all windows at that position are a slice of the image with the stride as its step. No
two of these cells are the same one, so that a whole slice can be added at once.
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
        size, step, (OH, OW) = self.pool_size, self.stride, dvalues.shape[2:]
        winner = self.windows().reshape(*dvalues.shape, -1).argmax(axis=-1)  # (N, C, OH, OW), the first of equals
        dinputs = np.zeros_like(self.inputs)
        for position, (u, v) in enumerate(np.ndindex(size, size)):
            dcells = dinputs[:, :, u : u + step * OH : step, v : v + step * OW : step]  # (N, C, OH, OW)
            dcells += dvalues * (winner == position)
        return dinputs
