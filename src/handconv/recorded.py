"""Passes over a network that are computed once and then repeated: their NumPy calls are recorded and played again.

Where memory is reused, a pass over the same arrays is the same list of calls (``kernels.recording``). The first pass of
each kind (direction, size of the batch, training or not) notes them, those that follow play them. A pass that comes
with another array is recorded anew. Layers of a user's own, whose Python code may do anything, are called each time,
and what they return is copied to where the next step looks for it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv import layers
from handconv.kernels.memory import FRESH, FloatArray, FreshMemory, ReusedMemory, kept, laid_out
from handconv.kernels.recording import Call, play
from handconv.layers import Layer
from handconv.plan import ConvolutionBlock, Step, layers_of

_OWN = frozenset([ConvolutionBlock, *(getattr(layers, name) for name in layers.__all__)])
_GIVEN = {"generator", "workspace", "gradients", "_values"}  # to a layer from outside, beside its arguments
_MANY = 16  # kinds of passes: inferences of so many sizes of batch are kept, and their arrays with them


@dataclass(frozen=True, eq=False)
class Pass:
    """A recorded pass: what it reads, returns and calls, and what it leaves in the layers."""

    inputs: NDArray[Any]
    outputs: FloatArray
    calls: Sequence[Call]
    left: list[tuple[dict[str, Any], dict[str, Any]]]  # attributes of a layer, and the values that they get
    backward: "dict[Hashable, Pass]" = field(default_factory=dict)  # the passes that go back from here

    def restore(self) -> None:
        """Bring the layers to where this pass left them."""
        for attributes, values in self.left:
            attributes.update(values)


class Passes:
    """The passes over the steps of a network in one memory, whose sections the layers get; fresh memory keeps none."""

    def __init__(self, layers: Sequence[Layer], memory: FreshMemory | ReusedMemory) -> None:
        self.memory = memory
        self._tape = memory.tape if isinstance(memory, ReusedMemory) else None
        self._sections = [(layer, memory.section()) for layer in layers]
        self._layers = [layer for layer in layers if type(layer) in _OWN]
        self._settings = [(layer, name) for layer in self._layers for name in layer.settings]
        self._made: dict[Hashable, Pass] = {}
        self._latest: Pass | None = None  # of those forward
        self._present: Pass | None = None  # of which the layers have what it left

    def __reduce__(self) -> tuple[type["Passes"], tuple[tuple[()], FreshMemory]]:
        """A copy of a network has made no passes: they belong to the memory of the original."""
        return Passes, ((), FRESH)

    def forget_if_many(self) -> None:
        """Begin anew if there are many kinds of passes, as each keeps its arrays."""
        if len(self._made) >= _MANY:
            self._made.clear()
            for memory in (self.memory, *(section for _, section in self._sections)):
                memory.forget()

    def give_memory(self) -> None:
        """Let the layers work in this memory."""
        for layer, section in self._sections:
            layer.workspace = section

    def onward(self, steps: Sequence[Step], method: str, x: NDArray[Any], *options: bool) -> FloatArray:
        """Go forward, by "forward" or "infer"."""
        if self._tape is None:
            return _onward(steps, method, x, *options)
        key = self._key(steps, method, x, options)
        self._latest = self._again(self._made, key, x, _onward, steps, method, x, *options)
        return self._latest.outputs

    def once_more(self, steps: Sequence[Step], method: str, x: NDArray[Any], *options: bool) -> FloatArray | None:
        """Go forward as ``onward`` does if that pass was recorded, else do nothing; the layers are left as they are."""
        found = self._made.get(self._key(steps, method, x, options))
        if found is None or found.inputs is not x:
            return None
        play(found.calls)
        return found.outputs

    def _key(self, steps: Sequence[Step], method: str, x: NDArray[Any], options: tuple[bool, ...]) -> Hashable:
        settings = [getattr(layer, name) for layer, name in self._settings]
        return method, x.shape, len(steps), *options, *settings

    def back(self, steps: Sequence[Step], dvalues: NDArray[Any], *, skip_dinputs: bool) -> FloatArray:
        """Go back from where the latest pass forward arrived."""
        if self._tape is None:
            return _back(steps, dvalues, skip_dinputs)
        assert self._latest is not None
        key = len(steps), skip_dinputs
        return self._again(self._latest.backward, key, dvalues, _back, steps, dvalues, skip_dinputs).outputs

    def _again(
        self,
        made: dict[Hashable, Pass],
        key: Hashable,
        inputs: NDArray[Any],
        compute: Callable[..., FloatArray],
        *arguments: Any,
    ) -> Pass:
        """Repeat the pass of this key, or record it if it is new or comes with another array."""
        found = made.get(key)
        if found is not None and found.inputs is inputs:
            play(found.calls)
            if self._present not in (found, *found.backward.values()):
                found.restore()
                self._present = found
            return found
        assert self._tape is not None
        with self._tape.recording() as calls:
            outputs = np.asarray(compute(*arguments))
        left = [(vars(layer), _left(layer)) for layer in self._layers]
        self._present = made[key] = Pass(inputs, outputs, calls, left)
        return self._present


def _onward(steps: Sequence[Step], method: str, x: NDArray[Any], *options: bool) -> FloatArray:
    for step in steps:
        x = _run(step, method, x, *options)
    return x


def _back(steps: Sequence[Step], dvalues: NDArray[Any], skip_dinputs: bool) -> FloatArray:
    for step in reversed(steps):
        options = {"skip_dinputs": True} if skip_dinputs and step is steps[0] else {}
        dvalues = _run(step, "backward", dvalues, **options)
    return dvalues


def _run(step: Step, method: str, x: NDArray[Any], *arguments: bool, **options: bool) -> FloatArray:
    """Call a method of a step, such that a recording repeats it."""
    compute: Callable[..., FloatArray] = getattr(step, method)
    layer = layers_of(step)[0]
    memory = layer.workspace
    if not isinstance(memory, ReusedMemory):
        return compute(x, *arguments, **options)
    plain = np.asarray(x)
    if type(step) in _OWN:
        if laid_out(plain) is not plain or plain.dtype != layer.dtype:
            x = kept(memory, f"inputs of {method}", plain.shape, layer.dtype)
            x[...] = plain
        return compute(x, *arguments, **options)
    with memory.tape.paused():
        result = np.asarray(compute(plain, *arguments, **options))
        copy = kept(memory, f"results of {method}", result.shape, result.dtype)
        copy[...] = result
    memory.tape.note(lambda: copy.__setitem__(..., compute(plain, *arguments, **options)))
    return copy


def _left(layer: Layer) -> dict[str, Any]:
    """The attributes that passes set: all but those that come from outside."""
    given = _GIVEN | layer.config().keys()
    return {name: value for name, value in vars(layer).items() if name not in given}
