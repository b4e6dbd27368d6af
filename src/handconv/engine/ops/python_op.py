"""A layer that runs its own Python code: any layer without a fast op, such as a user-defined one.

The layer gets arrays of its own in the usual memory order, which it may keep and change without harm. What it returns
is checked and copied to where the next op looks for it, whatever its type and order in memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.capture import untracked
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import Layer


class PythonOp(Op):
    """Runs ``layer.forward`` and ``layer.backward``, now and at every replay."""

    def __init__(self, layer: Layer, context: Context) -> None:
        super().__init__([layer], context)
        self._layer = layer
        self._tree = [each for _, each in layer.tree()]
        self._gradients = [
            (untracked(target), each, f"d{name}")
            for each in self._tree
            for name, target in context.gradients(each).items()
        ]

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """Let the layer's own forward compute the outputs."""
        source, shape = untracked(x), (len(x), *(self._layer.output_shape or ()))

        def compute() -> Any:
            self._set_generator()
            y = self._layer.forward(np.array(source, order="C"), training)
            return self._layer.check_result("forward", y, shape)

        return self.scope.computed("outputs", shape, self.dtype, compute)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """Let the layer's own backward compute the gradients."""
        source, shape = untracked(dy), (len(dy), *(self._layer.input_shape or ()))

        def compute() -> Any:
            for _, owner, name in self._gradients:  # as a layer may add to them
                owner.arrays[name][...] = 0
            dx = self._layer.backward(np.array(source, order="C"))
            for target, owner, name in self._gradients:
                target[...] = owner.arrays[name]
            return self._layer.check_result("backward", dx, shape) if needs_input_grad else 0

        dinputs = self.scope.computed("dinputs", shape, self.dtype, compute)
        return dinputs if needs_input_grad else None

    def _set_generator(self) -> None:
        if self.context.generator is not None:
            for layer in self._tree:
                layer.generator = self.context.generator


class ElementwiseOp(PythonOp):
    """An elementwise layer of this package: its own page, over the numbers in the order in which they lie."""

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """y = f(x)."""
        source = untracked(memory_view(x))
        return self._computed("outputs", source.shape, lambda: self._layer.forward(source, training))

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """dx = dy · f'(x)."""
        source = untracked(memory_view(dy))
        return self._computed("dinputs", source.shape, lambda: self._layer.backward(source))

    def _computed(self, name: str, shape: tuple[int, ...], compute: Callable[[], FloatArray]) -> FloatArray:
        target = self.scope.array(name, shape, self.dtype)
        plain = untracked(target)
        self.scope.host_call(lambda: plain.__setitem__(..., compute()))
        return public_view(target)
