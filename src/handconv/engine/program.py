"""Computations on a network that are made once and then repeated: their NumPy calls are recorded and played again.

Where memory is reused, a shard of training, or an inference, over the same arrays is the same list of calls
(``kernels.recording``). The first of each kind (the size of the shard, for one) notes them, those that follow play
them. One that comes with another array is recorded anew. Layers and losses of a user's own, whose Python code may do
anything, are called each time, and what they return is copied to where the next step looks for it.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv import layers
from handconv.arrays import FloatArray
from handconv.engine.arena import FRESH, FreshMemory, ReusedMemory, Workspace, kept, laid_out
from handconv.engine.capture import Call, play
from handconv.engine.lower import ConvolutionBlock, Step, layers_of
from handconv.layers import Layer
from handconv.losses import Loss, SoftmaxCategoricalCrossentropy

_OWN = frozenset(
    [ConvolutionBlock, SoftmaxCategoricalCrossentropy, *(getattr(layers, name) for name in layers.__all__)]
)
_GIVEN = {"generator", "workspace", "gradients", "_values"}  # to a layer from outside, beside its arguments
_MANY = 16  # kinds of passes: inferences of so many sizes of batch are kept, and their arrays with them


class Pass(NamedTuple):
    """A recorded computation: what it reads, calls and returns, and what it leaves in the layers."""

    inputs: NDArray[Any]
    calls: Sequence[Call]
    outputs: FloatArray
    left: list[tuple[dict[str, Any], dict[str, Any]]]  # attributes of a layer, and the values that they get


class Passes:
    """The computations on a network in one memory, whose sections the layers get; fresh memory keeps none."""

    def __init__(self, layers: Sequence[Layer], memory: FreshMemory | ReusedMemory) -> None:
        self.memory = memory
        self._tape = memory.tape if isinstance(memory, ReusedMemory) else None
        self._sections = [(layer, memory.section()) for layer in layers]
        self._layers = [layer for layer in layers if type(layer) in _OWN]
        self._settings = [(layer, name) for layer in self._layers for name in layer.settings]
        self._made: dict[Hashable, Pass] = {}
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

    def repeat(self, kind: Hashable, inputs: NDArray[Any], compute: Callable[[], FloatArray]) -> FloatArray:
        """Do what ``compute`` does; from the second time on, for the same kind and array, by the calls that it made."""
        if self._tape is None:
            return compute()
        found = self._again(kind, inputs)
        if found is None:
            with self._tape.recording() as calls:
                outputs = np.asarray(compute())
            left = [(vars(layer), _left(layer)) for layer in self._layers]
            found = self._present = self._made[self._key(kind)] = Pass(inputs, calls, outputs, left)
        elif found is not self._present:
            for attributes, values in found.left:
                attributes.update(values)
            self._present = found
        return found.outputs

    def once_more(self, kind: Hashable, inputs: NDArray[Any]) -> FloatArray | None:
        """Do as ``repeat`` does if that was recorded, else do nothing; the layers are left as they are."""
        found = self._again(kind, inputs)
        return None if found is None else found.outputs

    def _again(self, kind: Hashable, inputs: NDArray[Any]) -> Pass | None:
        """Play what was recorded for this kind and array, if anything was."""
        found = self._made.get(self._key(kind))
        if found is None or found.inputs is not inputs:
            return None
        play(found.calls)
        return found

    def _key(self, kind: Hashable) -> Hashable:
        return kind, *[getattr(layer, name) for layer, name in self._settings]


def onward(steps: Sequence[Step], method: str, x: NDArray[Any], *options: bool) -> FloatArray:
    """Go forward, by "forward" or "infer"."""
    for step in steps:
        x = _run(step, method, x, *options)
    return x


def back(steps: Sequence[Step], dvalues: NDArray[Any], *, skip_dinputs: bool) -> FloatArray:
    """Go backward; the first step may leave out the gradient by its inputs."""
    for step in reversed(steps):
        options = {"skip_dinputs": True} if skip_dinputs and step is steps[0] else {}
        dvalues = _run(step, "backward", dvalues, **options)
    return dvalues


def measured(
    loss: Loss,
    predictions: FloatArray,
    targets: NDArray[Any],
    sample_weights: NDArray[np.float64] | None,
    batch_size: int,
    workspace: Workspace,
) -> tuple[FloatArray, FloatArray]:
    """A loss (1,) and its gradient by the predictions; the arguments are those of ``Loss.measure``."""
    if type(loss) in _OWN:
        predictions, targets = workspace.noted(predictions), workspace.noted(targets)
        return loss.measure(predictions, targets, sample_weights, batch_size), loss.backward()
    plain, truth = np.asarray(predictions), np.asarray(targets)
    weights = None if sample_weights is None else np.asarray(sample_weights)
    value = workspace.each_time("loss", lambda: loss.measure(plain, truth, weights, batch_size))
    return value, workspace.each_time("gradient of the loss", loss.backward)


def _run(step: Step, method: str, x: NDArray[Any], *arguments: bool, **options: bool) -> FloatArray:
    """Call a method of a step, such that a recording repeats it."""
    compute: Callable[..., FloatArray] = getattr(step, method)
    layer = layers_of(step)[0]
    memory = layer.workspace
    if memory is FRESH:
        return compute(x, *arguments, **options)
    plain = np.asarray(x)
    if type(step) not in _OWN:
        return memory.each_time(f"results of {method}", lambda: compute(plain, *arguments, **options))
    if laid_out(plain) is not plain or plain.dtype != layer.dtype:
        x = kept(memory, f"inputs of {method}", plain.shape, layer.dtype)
        x[...] = plain
    return compute(x, *arguments, **options)


def _left(layer: Layer) -> dict[str, Any]:
    """The attributes that passes set: all but those that come from outside."""
    given = _GIVEN | layer.config().keys()
    return {name: value for name, value in vars(layer).items() if name not in given}
