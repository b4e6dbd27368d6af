"""Dropout: units that must not rely on one another."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.base import Layer
from handconv.rng import random_mask
from handconv.utils.validation import SHARE, check_image_shape, check_number


class Dropout(Layer):
    """In training, set a random share of the inputs to zero and scale up the others; otherwise change nothing.

    A network that cannot count on any single unit learns features that are useful on their own, which prevents
    overfitting. Scaling by 1 / (1 - rate) keeps the expected value, so that nothing has to be done when predicting.

    Maths:
        y = x · m        dx = dy · m, with the same m        m = 0 with probability rate, else 1 / (1 - rate)
    Args:
        rate: the share that is dropped, at least 0 and below 1 (drawn with a resolution of 1/65536).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        any
    Raises:
        ValueError: if rate is out of range.
    Example:
        >>> import numpy as np, handconv as hc
        >>> dropout = hc.Dropout(0.5)
        >>> dropout.generator = np.random.default_rng(0)
        >>> y = dropout.forward(np.ones((1, 1000)), training=True)
        >>> sorted(set(y.ravel().tolist())), bool(0.4 < y.mean() < 1.2)
        ([0.0, 2.0], True)
        >>> dropout.forward(np.ones((1, 3))).tolist()
        [[1.0, 1.0, 1.0]]

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout, 2014, section 4 (inverted scaling:
        section 10).
    """

    elementwise: ClassVar[bool] = True

    mask: NDArray[Any] | None = None

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = check_number(f"{type(self).__name__}: rate, the share that is dropped,", rate, *SHARE)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = x · m in training, y = x otherwise."""
        x = self.check_inputs(inputs)
        self.mask = None
        if training and self.rate:
            if self.generator is None:
                self.generator = np.random.default_rng()
            kept = random_mask(self.generator, self._mask_shape(x.shape), self.rate)  # True with probability 1 - rate
            self.mask = kept * self.dtype.type(1 / (1 - self.rate))
        self.output = np.array(x) if self.mask is None else x * self.mask
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dx = dy · m, with the same m."""
        dy = self.check_gradient(dvalues)
        self.dinputs = np.array(dy) if self.mask is None else dy * self.mask
        return self.dinputs

    def _mask_shape(self, shape: Shape) -> Shape:
        """One number of the mask for each input."""
        return shape


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of images.

    Neighbouring pixels of a feature map are nearly equal, so that dropping single ones hides little; for a whole
    channel that is dropped, other channels must make up.

    Maths:
        y[n, c] = x[n, c] · m[n, c]        dx = dy · m        m = 0 with probability rate, else 1 / (1 - rate)
    Args:
        rate: the share of the channels that is dropped, at least 0 and below 1 (drawn with a resolution of 1/65536).
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, C, H, W), unchanged
    Raises:
        ValueError: if rate is out of range, or the inputs are not images.
    Example:
        >>> dropout = SpatialDropout2D(0.5)
        >>> dropout.generator = np.random.default_rng(0)
        >>> y = dropout.forward(np.ones((2, 50, 3, 3)), training=True)
        >>> sorted(set(y[:, :, 0, 0].ravel().tolist())), bool((y == y[:, :, :1, :1]).all())
        ([0.0, 2.0], True)

    References:
        Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization, 2015, section 3.2.
    """

    elementwise: ClassVar[bool] = False

    def infer_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W), unchanged."""
        return check_image_shape(self.label, input_shape)

    def _mask_shape(self, shape: Shape) -> Shape:
        """One number of the mask for each channel: (N, C, 1, 1)."""
        return (*shape[:2], 1, 1)
