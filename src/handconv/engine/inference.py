"""Inference: answers of a network, out of training, by programs that are kept from call to call.

Laying out arrays and views costs more than one image does, so a program is kept for each number of layers that were
asked for, until a setting or a method of one of them changes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.capture import untracked
from handconv.engine.layout import memory_view
from handconv.engine.lower import signature
from handconv.engine.ops.inputs import InputOp
from handconv.engine.program import Program
from handconv.layers import Layer

_MANY = 16  # sizes of batches of which the captured calls, and their arrays, are kept


class Inference:
    """The programs of a network's inference.

    Args:
        members: all layers of the network, those within others too.
        dtype: of the network.
        fuse: as for ``Program``.
        engine: as for ``Program``.
    """

    def __init__(self, members: Sequence[Layer], dtype: DTypeLike, *, fuse: bool, engine: bool) -> None:
        self._members = members
        self._dtype, self._fuse, self._engine = np.dtype(dtype), fuse, engine
        self._programs: dict[int, tuple[tuple[object, ...], Program]] = {}

    def program(self, layers: Sequence[Layer]) -> Program:
        """The program of some layers as they are now."""
        now = signature(self._members)
        before, program = self._programs.get(len(layers), (None, None))
        if program is None or before != now or len(program) >= _MANY:
            program = Program(layers, self._dtype, fuse=self._fuse, engine=self._engine)
            self._programs[len(layers)] = now, program
        return program

    def outputs(self, layers: Sequence[Layer], x: NDArray[Any]) -> FloatArray:
        """The outputs for one batch (N, …); uint8 is divided by 255. The next call overwrites them."""
        program = self.program(layers)
        memory, dtype = program.memory, self._dtype
        key = x.shape, x.dtype == np.uint8
        inputs = memory.cached(key, lambda: InputOp(x.shape, x.dtype, dtype, memory))
        inputs.source[...] = memory_view(x)
        outputs: FloatArray = untracked(program.run(key, lambda: program.forward(inputs.forward(), training=False)))
        return outputs
