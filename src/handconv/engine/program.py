"""A program: a network lowered to ops over one memory, whose NumPy calls are captured once and replayed.

    program = Program(layers, dtype, gradients=…, generator=…)
    y = program.forward(x, training=True)       run the ops one after the other
    dx = program.backward(dy)                   and backwards; the gradients of the parameters go to ``gradients``
    y = program.run(key, compute)               do what ``compute`` does; from the second time on, for the same key,
                                                by the NumPy calls that it made

The key tells what the calls depend on: sizes and types of arrays, and whether the program is trained.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from handconv.arrays import FloatArray
from handconv.engine.arena import Arena
from handconv.engine.capture import Call, replay
from handconv.engine.lower import lower
from handconv.engine.ops.base import Context
from handconv.layers import Layer


class Program:
    """A list of ops and the memory that they work in.

    Args:
        layers: of the network, built.
        dtype: of all activations.
        gradients: for each layer with parameters, the arrays that their gradients go to; none for inference.
        generator: where the random numbers of training come from.
        fuse: whether several layers may become one op.
        engine: whether there are fast ops at all; if not, every layer runs its own Python code.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        dtype: DTypeLike,
        *,
        gradients: Mapping[Layer, dict[str, FloatArray]] | None = None,
        generator: "np.random.Generator | None" = None,
        fuse: bool = True,
        engine: bool = True,
    ) -> None:
        self.memory = Arena()
        targets = gradients or {}
        context = Context(
            self.memory,
            np.dtype(dtype),
            lambda layer: targets.get(layer, {}),
            generator,
            training=gradients is not None,
            fuse=fuse,
            engine=engine,
        )
        self.ops = lower(layers, context)
        trained = [op.has_parameters for op in self.ops]
        self._first_trained = trained.index(True) if True in trained else len(self.ops)
        self._captured: dict[Hashable, tuple[list[Call], FloatArray]] = {}

    def forward(self, x: FloatArray, *, training: bool) -> FloatArray:
        """Run the ops, over arrays of public shape with the batch innermost in memory."""
        for op in self.ops:
            x = op.forward(x, training=training)
        return x

    def backward(self, dy: FloatArray, *, needs_input_grad: bool = False) -> FloatArray | None:
        """Run the ops backwards, down to the first that has parameters, or to the inputs."""
        first = 0 if needs_input_grad else self._first_trained
        dvalues: FloatArray | None = dy
        for op in reversed(self.ops[first:]):
            assert dvalues is not None
            dvalues = op.backward(dvalues, needs_input_grad=needs_input_grad or op is not self.ops[first])
        return dvalues

    def run(self, key: Hashable, compute: Callable[[], FloatArray]) -> FloatArray:
        """Do what ``compute`` does; from the second time on, for the same key, by the calls that it made."""
        found = self._captured.get(key)
        if found is not None:
            replay(found[0])
            return found[1]
        with self.memory.capture.recording() as calls:
            outputs = compute()
        self._captured[key] = calls, outputs
        return outputs

    def __len__(self) -> int:
        """How many computations are captured."""
        return len(self._captured)
