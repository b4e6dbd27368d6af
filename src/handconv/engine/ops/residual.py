"""The residual layer as one op that holds the ops of its layers."""

from collections.abc import Sequence

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.base import Context, Op
from handconv.layers import Residual


class ResidualOp(Op):
    """Residual: y = F(x) + P(x).

    Args:
        layer: the layer.
        body: the ops of F.
        aside: the ops of P; none for the inputs as they are.
        context: what it shares with the other ops.
    """

    def __init__(self, layer: Residual, body: Sequence[Op], aside: Sequence[Op], context: Context) -> None:
        super().__init__([layer], context)
        self._ways = body, aside

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """Run both ways, and add."""
        results = []
        for way in self._ways:
            y = x
            for op in way:
                y = op.forward(y, training=training)
            results.append(memory_view(y))
        return self._sum("outputs", results)

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """Go back both ways, and add."""
        results = []
        for way in self._ways:
            dx: FloatArray = dy
            for op in reversed(way):
                back = op.backward(dx, needs_input_grad=True)
                assert back is not None
                dx = back
            results.append(memory_view(dx))
        return self._sum("dinputs", results)

    def _sum(self, name: str, results: list[FloatArray]) -> FloatArray:
        one, other = results
        return public_view(np.add(one, other, out=self.scope.array(name, one.shape, self.dtype)))
