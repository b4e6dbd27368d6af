"""What an op is: one step of a program, forward and backward, over the program's memory.

Arrays that ops hand to one another have the public shape (N, C, H, W) or (N, D), with the batch innermost in memory
(``engine.layout``). An op writes to arrays of its scope by ufuncs and assignments, so that it can be captured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.arena import Arena, Scope
from handconv.layers import Layer


@dataclass
class Context:
    """What the ops of one program share.

    Attributes:
        arena: the memory.
        dtype: of all activations.
        gradients: gives the arrays, by the names of the parameters, that the gradients of a layer go to.
        generator: where the random numbers of training come from.
        training: whether the program is for training; for inference more can be fused.
        fuse: whether several layers may become one op.
        engine: whether there are fast ops at all; if not, every layer runs its own Python code.
    """

    arena: Arena
    dtype: "np.dtype[Any]"
    gradients: Callable[[Layer], dict[str, FloatArray]]
    generator: "np.random.Generator | None" = None
    training: bool = True
    fuse: bool = True
    engine: bool = True


class Op:
    """One step of a program.

    Args:
        layers: what it computes, one after the other.
        context: what it shares with the other ops.
    """

    def __init__(self, layers: Sequence[Layer], context: Context) -> None:
        self.layers, self.context = tuple(layers), context
        self.scope: Scope = context.arena.scope()
        self.dtype = context.dtype

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to train here."""
        return any(spec.trainable for layer in self.layers for _, each in layer.tree() for spec in each.specs)

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """Compute the outputs; in training, also save what ``backward`` needs."""
        raise NotImplementedError

    def backward(self, dy: FloatArray, *, needs_input_grad: bool) -> FloatArray | None:
        """Fill the gradients of the parameters, and return the gradient with respect to the inputs if it is needed."""
        raise NotImplementedError

    def parameter(self, layer: Layer, name: str) -> FloatArray:
        """An array of a layer, tracked."""
        return self.scope.track(layer.arrays[name])

    def gradient(self, layer: Layer, name: str) -> FloatArray:
        """Where the gradient of an array goes, tracked."""
        return self.scope.track(self.context.gradients(layer)[name])

    def __repr__(self) -> str:
        names = " + ".join(type(layer).__name__ for layer in self.layers)
        return f"[{names}]" if len(self.layers) > 1 else names
