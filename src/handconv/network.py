"""A network: a chain of layers over one vector of parameters and one of gradients.

Every layer's ``weights`` and ``biases`` are views into ``parameters``, every ``dweights`` and ``dbiases`` into
``gradients``, in the order of the layers. An optimizer, a checkpoint, a copy between processes or a sum over shards is
then one operation on one vector. Names are paths, ``"0.weights"``, or begin with the layer's own name.

The penalty is  sum over parameters of  l1 · sum|w| + l2 · sum w²,  its gradient  l1 · sign(w) + 2 · l2 · w.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine import lower as plan
from handconv.engine.arena import FRESH, ReusedMemory, Workspace, kept
from handconv.engine.program import Passes, back, onward
from handconv.layers import Layer, Softmax, Weighted
from handconv.layers._arguments import sample_shape
from handconv.layers._names import checked_names
from handconv.layers.base import ParameterView, Shape
from handconv.rng import Purpose, Streams
from handconv.utils.locks import ForkSafeRLock


class Network:
    """A chain of layers that acts as one.

    Args:
        layers: the layers, in order.
        input_shape: the shape of one sample; if it is not given, the first batch tells.
        seed: of everything random: initial parameters, the order of samples, dropout. None draws one.
        dtype: "float32", or "float64" for proofs.
        fuse: whether neighbouring layers may run as one step (see ``handconv.engine.lower``); the results are the same.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        input_shape: Sequence[int] | None = None,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        fuse: bool = True,
    ) -> None:
        if not isinstance(layers, Sequence):
            raise TypeError(f"A network is made of a list of layers, got {layers!r}. Put them in brackets: [layer, …].")
        self.layers = list(layers)
        self.streams = Streams(seed)
        self.dtype = np.dtype(dtype)
        self.fuse = fuse
        self.names = checked_names(self.layers)
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"dtype must be float32 or float64, got {self.dtype}.")
        self.info: dict[str, Any] = {}
        self.epochs_trained = 0
        self.input_shape: Shape | None = None
        self.parameters: FloatArray = np.empty(0, self.dtype)
        self.gradients: FloatArray = np.empty(0, self.dtype)
        self.views: tuple[ParameterView, ...] = ()
        self.plan: list[plan.Step] = []
        self.passes = Passes(self.layers, FRESH)  # what is computed over and over in the layers' memory
        self._output_shape: Shape | None = None
        self._turns = ForkSafeRLock()
        self._inference = Passes(self.layers, ReusedMemory())
        if input_shape is not None:
            self.build(input_shape)

    @property
    def built(self) -> bool:
        """Whether shapes and parameters exist."""
        return self.input_shape is not None

    @property
    def output_shape(self) -> Shape:
        """The shape of one output."""
        return self.layers[-1].output_shape or ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(repr, self.layers))}], input_shape={self.input_shape})"

    def count_parameters(self, input_shape: Sequence[int]) -> int:
        """How many parameters the layers have for this input shape; nothing is allocated."""
        shape, count = sample_shape(input_shape), 0
        for layer in self.layers:
            output_shape = layer.infer_shape(shape)
            count += sum(parameter.size for parameter in layer.declare(shape))
            shape = output_shape
        return count

    def build(self, input_shape: Sequence[int]) -> None:
        """Work out all shapes, allocate the vectors, initialise the parameters and draw the plan."""
        shape = input_shape = sample_shape(input_shape)
        self.views = self._lay_out(shape)
        size = self.views[-1].place.stop if self.views else 0
        self.parameters, self.gradients = np.zeros(size, self.dtype), np.zeros(size, self.dtype)
        generator = self.streams.generator(Purpose.INITIALIZE)
        for layer, place in self._placed:
            values, gradients = self.parameters[place], self.gradients[place]
            shape = layer.build(shape, dtype=self.dtype, generator=generator, values=values, gradients=gradients)
        self.plan = plan.draw(self.layers, fuse=self.fuse)
        self._forget_passes()
        weighted = [isinstance(step, Weighted | plan.ConvolutionBlock) for step in self.plan]
        self._first_weighted = weighted.index(True) if True in weighted else len(self.plan)
        self.input_shape, self._output_shape = input_shape, None

    def ensure_built(self, input_shape: Sequence[int]) -> None:
        """Build if that was not done yet; of threads that ask at once, one builds."""
        with self._turns:
            if not self.built:
                self.build(input_shape)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy: its layers look into its own vectors, and no memory is shared."""
        self.__dict__.update(state)
        self.fresh_memory()
        if self.built:
            self.bind(self.parameters, self.gradients)

    def _lay_out(self, shape: Shape) -> tuple[ParameterView, ...]:
        """Give each parameter its place in the vectors."""
        views: list[ParameterView] = []
        self._placed: list[tuple[Layer, slice]] = []
        end = 0
        for name, layer in zip(self.names, self.layers, strict=True):
            start, output_shape = end, layer.infer_shape(shape)
            for parameter in layer.declare(shape):
                place = slice(end, end + parameter.size)
                path = f"{name}.{parameter.name}"
                views.append(ParameterView(path, place, parameter.shape, parameter.l1, parameter.l2))
                end = place.stop
            self._placed.append((layer, slice(start, end)))
            shape = output_shape
        return tuple(views)

    def bind(self, parameters: FloatArray, gradients: FloatArray) -> None:
        """Let the layers use these vectors; values are not copied."""
        self.parameters, self.gradients = parameters, gradients
        self._forget_passes()
        for layer, place in self._placed:
            if place.stop > place.start:
                layer.bind(parameters[place], gradients[place])

    def write_gradients(self, gradients: FloatArray) -> None:
        """Let backward passes write to this vector; ``gradients`` stays the network's own."""
        self._forget_passes()
        for layer, place in self._placed:
            if isinstance(layer, Weighted):
                layer.gradients = layer.gradient_views(gradients[place])

    def _forget_passes(self) -> None:
        """Record all passes anew: those that were recorded read and write other vectors."""
        self._inference = Passes(self.layers, ReusedMemory())
        if self.layers[0].workspace is not FRESH:
            self.reuse_memory()

    def reuse_memory(self) -> None:
        """Keep all arrays between steps: quick, but what a step returned is overwritten by the next one."""
        self._use(Passes(self.layers, ReusedMemory()))

    def fresh_memory(self) -> None:
        """Allocate every array anew, as layers do that are used alone: what a step returns belongs to the caller."""
        self._use(Passes(self.layers, FRESH))

    def _use(self, passes: Passes) -> None:
        self.passes, self._output_shape = passes, None
        passes.give_memory()

    @contextlib.contextmanager
    def inference_memory(self) -> Iterator[Workspace]:
        """Meanwhile use arrays that are kept from one inference to the next; where memory is reused already, that.

        Yields a workspace for what is done to the inputs before.
        """
        with self._turns:
            if self.layers[0].workspace is not FRESH:
                yield ReusedMemory()
                return
            self._use(self._inference)
            try:
                yield self._inference.memory
            finally:
                self.fresh_memory()
                self._inference.forget_if_many()

    def named_parameters(self) -> dict[str, FloatArray]:
        """The parameters by name, as views."""
        return {view.name: view.of(self.parameters) for view in self.views}

    def set_generator(self, generator: "np.random.Generator") -> None:
        """Let all random layers draw from this stream."""
        for layer in self.layers:
            layer.generator = generator

    def steps(self, *, logits: bool = False) -> list[plan.Step]:
        """The plan; with ``logits``, without a final Softmax, which the combined loss replaces."""
        return self.plan[:-1] if logits and self.ends_in_softmax else self.plan

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the last layer is a Softmax."""
        return isinstance(self.layers[-1], Softmax)

    def forward(self, x: NDArray[Any], training: bool = False, *, logits: bool = False) -> FloatArray:
        """Run all layers, remembering what ``backward`` needs.

        Raises:
            ValueError: if the shape of a sample is not the network's.
        """
        x = self._received(x)
        outputs = onward(self.steps(logits=logits), "forward", x, training)
        self._output_shape = outputs.shape
        return outputs

    def infer(self, x: NDArray[Any], *, logits: bool = False) -> FloatArray:
        """Run all layers as out of training, remembering nothing.

        Threads that infer at once take turns; none may while another one trains.
        """
        with self._turns:
            x, self._output_shape = self._received(x), None
            steps, passes = self.steps(logits=logits), self._inference
            kind = "inference", x.shape, len(steps)
            if self.layers[0].workspace is not FRESH:
                return self.passes.repeat(kind, x, lambda: onward(steps, "infer", x))
            inputs = kept(passes.memory, "inputs", x.shape, self.dtype)  # passes are recorded with arrays of our own
            inputs[...] = x
            outputs = passes.once_more(kind, inputs)
            if outputs is None:
                with self.inference_memory():
                    outputs = passes.repeat(kind, inputs, lambda: onward(steps, "infer", inputs))
            return outputs.copy(order="K")

    def backward(self, dvalues: NDArray[Any], *, logits: bool = False, skip_dinputs: bool = False) -> FloatArray:
        """Run all layers backwards: fills ``gradients`` and returns the gradient by the inputs.

        Args:
            dvalues: the gradient by the outputs.
            logits: whether the forward pass left out the final Softmax.
            skip_dinputs: stop at the first layer that has parameters; an empty array is returned.

        Raises:
            RuntimeError: if there was no ``forward`` before.
            ValueError: if ``dvalues`` has another shape than the outputs.
        """
        if self._output_shape is None:
            raise RuntimeError("backward needs a forward before it: call forward(x) first.")
        dvalues = np.asarray(dvalues, self.dtype)
        if dvalues.shape != self._output_shape:
            raise ValueError(
                f"backward expects the gradient by the outputs, of shape {self._output_shape}, got {dvalues.shape}."
            )
        first = self._first_weighted if skip_dinputs else 0
        gradient = kept(self.layers[-1].workspace, "gradient by the outputs", dvalues.shape, self.dtype)
        gradient[...] = dvalues
        return back(self.steps(logits=logits)[first:], gradient, skip_dinputs=skip_dinputs)

    def penalty(self) -> float:
        """The sum of the L1 and L2 penalties of all parameters."""
        total = 0.0
        for view in self.views:
            values = self.parameters[view.place]
            total += view.l1 * float(np.abs(values).sum()) if view.l1 else 0.0
            total += view.l2 * float(np.dot(values, values)) if view.l2 else 0.0
        return total

    def add_penalty_gradients(self, gradients: FloatArray, part: slice | None = None) -> None:
        """Add the gradient of the penalty to a gradient vector, or to the ``part`` of it."""
        start, stop, _ = (part or slice(None)).indices(self.parameters.size)
        for view in self.views:
            place = slice(max(start, view.place.start), min(stop, view.place.stop))
            if place.stop <= place.start:
                continue
            if view.l1:
                gradients[place] += np.sign(self.parameters[place]) * view.l1
            if view.l2:
                gradients[place] += self.parameters[place] * (2 * view.l2)

    def decayed(self) -> list[slice]:
        """The places of the parameters that decoupled weight decay shrinks: all but biases."""
        return [view.place for view in self.views if not view.name.endswith(".biases")]

    def _received(self, x: NDArray[Any]) -> FloatArray:
        """Build at first use, check the shape, and bring the inputs to the network's dtype."""
        x = np.asarray(x, self.dtype)
        if self.input_shape is None:
            self.ensure_built(x.shape[1:])
        expected = self.input_shape or ()
        if x.shape[1:] != expected:
            raise ValueError(
                f"The network expects inputs of shape (N, {', '.join(map(str, expected))}), got {x.shape}. "
                "Images are (N, C, H, W); a single sample is x[None]."
            )
        return x
