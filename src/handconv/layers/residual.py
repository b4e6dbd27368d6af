"""The residual layer: what its layers compute is added to what came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape
from handconv.layers.base import Layer


class Residual(Layer):
    """Run layers, and add their result to the inputs: the layers learn the difference that improves the inputs.

    The gradient also flows straight back, past all of these layers, so that very deep networks can be trained.

    Maths:
        y = F(x) + P(x)        dx = dF/dx · dy + dP/dx · dy        P: the projection, or the inputs as they are
    Args:
        layers: F, one after the other.
        projection: P, a layer that brings the inputs to the shape of F's outputs, such as
            ``Conv2D(filters, 1, stride=2)``; not needed where F keeps the shape.
        name: the layer's name in ``summary`` and in files.
    Shapes:
        (N, …) -> the outputs of the last layer
    Raises:
        ValueError: if there are no layers, or the shapes of both ways differ.
    Example:
        >>> import numpy as np, handconv as hc
        >>> block = hc.Residual([hc.Conv2D(4, 3, padding=1), hc.ReLU(), hc.Conv2D(4, 3, padding=1)])
        >>> block.forward(np.zeros((2, 4, 8, 8))).shape
        (2, 4, 8, 8)

    References:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, section 3.2.
    """

    def __init__(self, layers: Sequence[Layer], projection: Layer | None = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers = list(layers) if isinstance(layers, list | tuple) else []
        self.projection = projection
        if not self.layers or not all(isinstance(layer, Layer) for layer in [*self.layers, projection or self]):
            raise ValueError(f"Residual needs a list of layers, got {layers!r} and the projection {projection!r}.")

    def infer_shape(self, input_shape: Shape) -> Shape:
        """The shape that both ways give."""
        shape = input_shape
        for layer in self.layers:
            shape = layer.infer_shape(shape)
        aside = input_shape if self.projection is None else self.projection.infer_shape(input_shape)
        if shape != aside:
            remedy = "Keep the shape, or give a projection." if self.projection is None else "Let the projection match."
            raise ValueError(f"{self.label}: its layers give {shape}, and the way past them {aside}. {remedy}")
        return shape

    def sublayer_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The layers one after the other; the projection gets the inputs too."""
        shapes, shape = {}, input_shape
        for place, layer in enumerate(self.layers):
            shapes[f"layers.{place}"], shape = shape, layer.infer_shape(shape)
        return shapes | {"projection": input_shape}

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """y = F(x) + P(x)."""
        x = self.check_inputs(inputs)
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        self.output = np.add(y, x if self.projection is None else self.projection.forward(x, training))
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """dx = both ways' gradients, added."""
        dy = self.check_gradient(dvalues)
        dx = dy
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        self.dinputs = np.add(dx, dy if self.projection is None else self.projection.backward(dy))
        return self.dinputs
