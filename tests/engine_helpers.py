"""Layers computed by their pages and by a program, side by side."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.engine.capture import untracked
from handconv.engine.layout import memory_view
from handconv.engine.ops.base import Op
from handconv.engine.ops.inputs import InputOp
from handconv.engine.program import Program
from handconv.layers import Layer
from helpers import assert_close
from strategies import normal

Array = NDArray[Any]
Make = Callable[[], Sequence[Layer]]
Values = Callable[..., Array]


class Passes(NamedTuple):
    """What a forward pass and a backward pass computed."""

    y: Array
    dx: Array | None
    gradients: list[Array]  # of the parameters, in order


def built(
    make: Make, shape: tuple[int, ...], dtype: DTypeLike = np.float64, values: Values | None = None
) -> list[Layer]:
    """Make layers, one after the other, for samples of this shape; ``values`` gives their parameters."""
    layers = list(make())
    for place, layer in enumerate(layers):
        shape = layer.build(shape, dtype=dtype, generator=place)
        for _, each in layer.tree():
            for number, spec in enumerate(each.specs if values else ()):
                assert values is not None
                each.arrays[spec.name][...] = values(97 * place + number, *spec.shape)
    return layers


def parameters(layers: Sequence[Layer]) -> list[tuple[Layer, str]]:
    """The layers, and names of arrays, that have a gradient."""
    tree = [each for layer in layers for _, each in layer.tree()]
    return [(each, spec.name) for each in tree for spec in each.specs if spec.trainable]


def by_hand(layers: Sequence[Layer], x: Array, dy: Array | None = None, *, training: bool = True) -> Passes:
    """What the pages compute."""
    for layer in layers:
        x = layer.forward(x, training)
    y, dx = np.array(x), dy
    for layer in reversed(layers if dx is not None else ()):
        dx = layer.backward(dx)
    gradients = [] if dx is None else [np.array(each.arrays[f"d{name}"]) for each, name in parameters(layers)]
    return Passes(y, dx, gradients)


class ByProgram:
    """What a program computes for the same layers; the same sizes are replayed from the second time on."""

    def __init__(
        self,
        layers: Sequence[Layer],
        dtype: DTypeLike = np.float64,
        *,
        generator: np.random.Generator | None = None,
        **options: Any,
    ) -> None:
        self.layers, self._dtype = layers, np.dtype(dtype)
        self._targets = {
            (each, name): np.full(each.arrays[name].shape, np.nan, dtype) for each, name in parameters(layers)
        }
        by_layer: dict[Layer, dict[str, Array]] = {}
        for (layer, name), target in self._targets.items():
            by_layer.setdefault(layer, {})[name] = target
        self.program = Program(layers, self._dtype, gradients=by_layer, generator=generator, **options)
        self._dvalues: dict[Any, Array] = {}
        self._dx: dict[Any, Array | None] = {}

    @property
    def ops(self) -> list[Op]:
        """The ops of the program."""
        return self.program.ops

    def __call__(
        self, x: Array, dy: Array | None = None, *, training: bool = True, needs_input_grad: bool = True
    ) -> Passes:
        memory, pixels = self.program.memory, x.dtype == np.uint8
        inputs = memory.cached(("inputs", x.shape, pixels), lambda: InputOp(x.shape, x.dtype, self._dtype, memory))
        inputs.source[...] = memory_view(x)
        key = x.shape, pixels, None if dy is None else dy.shape, training, needs_input_grad

        def compute() -> Array:
            y = self.program.forward(inputs.forward(), training=training)
            if dy is not None:
                dvalues = memory.public_array("dvalues", dy.shape, self._dtype)
                with memory.capture.paused():
                    dvalues[...] = dy
                self._dvalues[key] = untracked(dvalues)
                dx = self.program.backward(dvalues, needs_input_grad=needs_input_grad)
                self._dx[key] = dx if needs_input_grad else None
            return y

        if key in self._dvalues:
            self._dvalues[key][...] = dy
        with np.errstate(over="ignore", invalid="ignore"):  # as in a training: BLAS raises flags of its own
            y = np.array(untracked(self.program.run(key, compute)))
        dx = self._dx.get(key)
        gradients = [] if dy is None else [target.copy() for target in self._targets.values()]
        return Passes(y, None if dx is None else np.array(untracked(dx)), gradients)


def small_integers(seed: int, *shape: int) -> Array:
    """Whole numbers from -2 to 2, many of them equal; sums and products of them are exact in any order."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float64)


def small_weights(seed: int, *shape: int) -> Array:
    """Whole numbers of which none is zero, so that an infinite input stays infinite."""
    return np.random.default_rng(seed).choice([-2.0, -1.0, 1.0, 2.0], shape)


def assert_op_is_page(
    make: Make,
    shape: tuple[int, ...],
    ops: Sequence[type[Op]] | None,
    seed: int = 0,
    *,
    exact: bool = True,
    dtypes: Sequence[Any] = (np.float64, np.float32),
) -> None:
    """Compare a program, computed and replayed, with the pages, in both directions, over batches of samples (N, …).

    With ``exact``, small whole numbers give the same bits; normal numbers are the same up to 1e-11 in float64 and up to
    the rounding of float32. Without, functions such as exp come between, and all is compared up to rounding.
    """
    for dtype, values in [(dtype, values) for dtype in dtypes for values in (small_integers, normal)]:
        pages, fast = built(make, shape[1:], dtype, values), built(make, shape[1:], dtype, values)
        run = ByProgram(fast, dtype, generator=np.random.default_rng(11))
        assert ops is None or [type(op) for op in run.ops] == list(ops)
        same = np.random.default_rng(11)
        for layer in pages:
            layer.generator = same
        for step, needs_input_grad in enumerate((True, False, True)):
            x = values(seed + 3 * step, *shape).astype(dtype)
            dy = values(seed + 3 * step + 1, len(x), *(pages[-1].output_shape or ())).astype(dtype)
            expected, received = by_hand(pages, x, dy), run(x, dy, needs_input_grad=needs_input_grad)
            assert needs_input_grad == (received.dx is not None)
            assert received.y.dtype == dtype
            if exact and values is small_integers:
                assert_equal_passes(received, expected)
            else:
                assert_close_passes(received, expected, 1e-11 if dtype is np.float64 else 1e-4)
        out_of_training = run(x, training=False)
        assert_close(out_of_training.y, by_hand(pages, x, training=False).y, 1e-11 if dtype is np.float64 else 1e-4)


def assert_same_outputs(make: Make, x: Array, values: Values | None = None) -> None:
    """Compare the outputs alone, in and out of training, infinities and NaN included."""
    with np.errstate(invalid="ignore", over="ignore"):
        pages, fast = built(make, x.shape[1:], x.dtype, values), built(make, x.shape[1:], x.dtype, values)
        run = ByProgram(fast, x.dtype)
        for training in (True, False):
            assert_close(run(x, training=training).y, by_hand(pages, x, training=training).y, 1e-6)


def with_extremes(seed: int, values: Array, count: int = 3) -> Array:
    """Put infinities and NaN in some places."""
    rng, found = np.random.default_rng(seed), values.copy()
    found.flat[rng.integers(0, found.size, count)] = rng.choice([np.inf, -np.inf, np.nan], count)
    return found


def assert_equal_passes(received: Passes, expected: Passes) -> None:
    """The same bits, but for the sign of zero."""
    np.testing.assert_array_equal(received.y, expected.y)
    if received.dx is not None:
        np.testing.assert_array_equal(received.dx, expected.dx)
    for mine, other in zip(received.gradients, expected.gradients, strict=True):
        np.testing.assert_array_equal(mine, other)


def assert_close_passes(received: Passes, expected: Passes, tolerance: float) -> None:
    """The same up to rounding."""
    assert_close(received.y, expected.y, tolerance)
    if received.dx is not None and expected.dx is not None:
        assert_close(received.dx, expected.dx, tolerance)
    for mine, other in zip(received.gradients, expected.gradients, strict=True):
        assert_close(mine, other, tolerance)
