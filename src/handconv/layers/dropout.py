"""Dropout: units that must not rely on one another."""

from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import memory_view, public_view
from handconv.layers.base import Layer
from handconv.rng import random_bits
from handconv.utils.validation import check_number

_LEVELS = 1 << 16


class Dropout(Layer):
    """In training, silence a random share of the inputs and scale up the others; otherwise change nothing.

    A network that cannot count on any single unit learns features that are useful on their own, which prevents
    overfitting. Scaling by 1 / (1 - rate) keeps the expected value, so that nothing has to be done when predicting.

    Maths:
        y = x · m        dx = dy · m        m = 0 with probability rate, else 1 / (1 - rate); the same m in both
        directions
    Args:
        rate: the share that is dropped, at least 0 and below 1 (held to 1/65536).
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
    settings: ClassVar[tuple[str, ...]] = ("rate",)

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        rule = "of at least 0 and below 1"
        self.rate = check_number("Dropout: rate, the share that is dropped,", rate, lambda x: 0 <= x < 1, rule)
        self.mask: NDArray[Any] | None = None

    def _forward(self, x: FloatArray, *, training: bool, remember: bool) -> FloatArray:
        if not training or self.rate == 0:
            self.mask = None
            return x
        memory = memory_view(x)
        mask = self.workspace.keep("mask", memory.shape, self.dtype)
        self._draw(mask)
        self.mask = np.asarray(public_view(mask))
        return public_view(np.multiply(memory, mask, out=self.workspace.keep("output", memory.shape, self.dtype)))

    def _backward(self, dvalues: FloatArray) -> FloatArray:
        if self.mask is None:
            return dvalues
        dy = memory_view(dvalues)
        out = self.workspace.keep("dinputs", dy.shape, self.dtype)
        return public_view(np.multiply(dy, memory_view(self.mask), out=out))

    def _draw(self, mask: FloatArray) -> None:
        """Fill the mask from 16 random bits a unit, far quicker than random floats."""
        words = self.workspace.scratch("random bits", (-(-mask.size // 4),), np.uint64)
        self.workspace.call(partial(self._draw_bits, np.asarray(words)))
        mask[...] = words.view(np.uint16)[: mask.size].reshape(mask.shape) >= round(self.rate * _LEVELS)
        mask *= self.dtype.type(1 / (1 - self.rate))

    def _draw_bits(self, words: NDArray[np.uint64]) -> None:
        if self.generator is None:
            self.generator = np.random.default_rng()
        words[...] = random_bits(self.generator, words.size)
