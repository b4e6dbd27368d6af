"""What is repeated gives the same bits as what is computed, whatever has changed but the arrays' places."""

import copy
import pickle
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest

from handconv import layers
from handconv.engine.arena import ReusedMemory, kept, public_view
from handconv.layers import (
    AveragePool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
    Weighted,
)
from handconv.network import Network

Array = np.ndarray[Any, Any]

NETWORKS: dict[str, Callable[[], list[Layer]]] = {
    "the reference network": lambda: [
        Conv2D(3, 3),
        LeakyReLU(0.1),
        MaxPool2D(2),
        Conv2D(4, 3),
        LeakyReLU(0.1),
        MaxPool2D(2),
        Flatten(),
        Dense(5),
        LeakyReLU(0.1),
        Dropout(0.3),
        Dense(4),
        Softmax(),
    ],
    "padding and strides": lambda: [
        Conv2D(3, 3, stride=2, padding="same"),
        ReLU(),
        MaxPool2D(3, stride=2, padding=1),
        AveragePool2D(2, stride=1, padding="same"),
        Tanh(),
        GlobalAveragePool2D(),
        Sigmoid(),
    ],
    "a stride beyond the kernel, without biases": lambda: [
        Conv2D(2, 2, use_bias=False),
        Conv2D(3, (1, 2), stride=3, use_bias=False),
        Flatten(),
        Dense(2, use_bias=False),
    ],
    "other shapes": lambda: [
        Flatten(),
        Dense(12),
        Reshape((3, 2, 2)),
        Conv2D(2, 2),
        Flatten(),
        Softmax(),
        Dropout(0.0),
    ],
    "wide enough to be cut into tiles and bands": lambda: [
        Conv2D(40, 3),
        Conv2D(40, 3, padding=1),
        MaxPool2D(2),
        Flatten(),
    ],
}
IMAGE = (2, 12, 13)


def network(make: Callable[[], Sequence[Layer]], *, fuse: bool = True, **options: Any) -> Network:
    made = Network(make(), input_shape=IMAGE, seed=1, dtype="float64", fuse=fuse, **options)
    made.set_generator(np.random.default_rng(5))
    return made


class Steps:
    """Steps of training by ``repeat``: those of a network that keeps its memory are recorded."""

    def __init__(self, net: Network, *, training: bool = True) -> None:
        self.net, self.training = net, training
        self._arrays: dict[Any, tuple[Array, Array]] = {}

    def __call__(self, x: Array, dy: Array, *, skip: bool = False) -> tuple[Array, Array]:
        """The outputs, and the gradient by the inputs."""
        kind = x.shape, self.training, skip
        dvalues, _ = self._arrays.setdefault(kind, (np.empty_like(dy), dy))
        dvalues[...] = dy

        def compute() -> Array:
            y = self.net.forward(x, self.training)
            self._arrays[kind] = dvalues, self.net.backward(dvalues, skip_dinputs=skip)
            return y

        y = self.net.passes.repeat(kind, x, compute)
        return y, self._arrays[kind][1]


@contextmanager
def counted() -> Iterator[list[str]]:
    """The hooks of layers that Python runs meanwhile."""
    called: list[str] = []

    def watched(kind: type[Layer], name: str) -> Any:
        hook = getattr(kind, name)

        def watching(*arguments: Any, **options: Any) -> Any:
            called.append(f"{kind.__name__}.{name}")
            return hook(*arguments, **options)

        return mock.patch.object(kind, name, watching)

    with ExitStack() as stack:
        for kind in (Dense, Dropout, Flatten, Reshape, Sigmoid, Softmax, GlobalAveragePool2D):
            for name in ("_forward", "_backward"):
                stack.enter_context(watched(kind, name))
        stack.enter_context(watched(Conv2D, "run"))
        stack.enter_context(watched(Conv2D, "parameter_gradients"))
        yield called


def test_every_layer_is_in_these_networks() -> None:
    used = {type(layer) for make in NETWORKS.values() for layer in make()}
    assert used == {getattr(layers, name) for name in layers.__all__} - {Layer, Weighted, layers.Parameter}


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_of_training_are_repeated_bit_for_bit(name: str, fuse: bool, rng: np.random.Generator) -> None:
    computing, repeating = (Steps(network(NETWORKS[name], fuse=fuse)) for _ in range(2))
    repeating.net.reuse_memory()
    inputs = ReusedMemory()
    for step, count in enumerate([3, 3, 5, 2, 3, 5, 3]):  # each kind is recorded once, then comes again
        for vector in (computing.net.parameters, repeating.net.parameters):
            vector += 0.01 * np.random.default_rng(step).normal(size=vector.size)
        x = kept(inputs, f"x{count}", (count, *IMAGE), np.float64)
        x[...] = rng.normal(size=x.shape)
        computing.training = repeating.training = step != 4
        dy, skip = rng.normal(size=(count, *computing.net.output_shape)), step in {1, 6}
        with counted() as called:
            y, dx = repeating(x, dy, skip=skip)
        expected_y, expected_dx = computing(x, dy, skip=skip)
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(dx, expected_dx)
        np.testing.assert_array_equal(repeating.net.gradients, computing.net.gradients)
        assert (called == []) == (step in {5, 6})
        for mine, other in zip(repeating.net.layers, computing.net.layers, strict=True):
            if mine.output is not None and other.output is not None:
                np.testing.assert_array_equal(mine.output, other.output)


@pytest.mark.parametrize("name", NETWORKS)
def test_inferences_are_repeated_bit_for_bit(name: str, rng: np.random.Generator) -> None:
    repeating, computing = network(NETWORKS[name]), network(NETWORKS[name])
    for step, (count, logits) in enumerate([(3, False), (1, True), (3, False), (1, True)]):
        repeating.parameters += 1
        computing.parameters += 1
        x = rng.normal(size=(count, *IMAGE))
        with counted() as called:
            y = repeating.infer(x, logits=logits)
        np.testing.assert_array_equal(y, computing.forward(x, logits=logits))
        assert (called == []) == (step > 1)


def test_a_step_over_another_array_is_computed(rng: np.random.Generator) -> None:
    repeating, fresh = (Steps(network(NETWORKS["padding and strides"])) for _ in range(2))
    repeating.net.reuse_memory()
    for _ in range(3):
        x, dy = rng.normal(size=(2, *IMAGE)), rng.normal(size=(2, 3))
        for received, expected in zip(repeating(x, dy), fresh(x, dy), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_an_inference_that_was_made_before_hands_no_memory_to_the_layers(rng: np.random.Generator) -> None:
    net = network(NETWORKS["the reference network"])
    x = rng.normal(size=(3, *IMAGE))
    first = net.infer(x)
    with mock.patch.object(Network, "inference_memory", side_effect=AssertionError):
        np.testing.assert_array_equal(net.infer(x), first)
        with pytest.raises(AssertionError):
            net.infer(x[:1])


def test_a_generator_that_is_given_between_passes_is_the_one_that_is_used(rng: np.random.Generator) -> None:
    repeating, fresh = (Steps(network(NETWORKS["the reference network"])) for _ in range(2))
    repeating.net.reuse_memory()
    inputs = [public_view(rng.normal(size=(12, 2, 13, count))) for count in (3, 5)]
    for seed in range(3):
        for each in (repeating, fresh):
            each.net.set_generator(np.random.default_rng(seed))
        for x in inputs:  # the other size comes between, so the layers are brought back to where a step left them
            dy = rng.normal(size=(len(x), 4))
            np.testing.assert_array_equal(repeating(x, dy)[0], fresh(x, dy)[0])


@pytest.mark.parametrize("setting", ["alpha", "rate"])
def test_settings_may_change_between_passes(setting: str, rng: np.random.Generator) -> None:
    repeating, fresh = (Steps(network(NETWORKS["the reference network"])) for _ in range(2))
    repeating.net.reuse_memory()
    x, dy = public_view(rng.normal(size=(12, 2, 13, 3))), rng.normal(size=(3, 4))
    for value in (0.3, 0.6, 0.3):
        for layer in (*repeating.net.layers, *fresh.net.layers):
            if setting in layer.settings:
                setattr(layer, setting, value)
        np.testing.assert_array_equal(repeating(x, dy)[0], fresh(x, dy)[0])
        np.testing.assert_array_equal(repeating.net.gradients, fresh.net.gradients)
        np.testing.assert_array_equal(repeating.net.infer(x), fresh.net.infer(x))


class Own(Layer):
    """What a user may write: no workspace, Python in between, state, another memory order and another type."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def _forward(self, x: Array, *, training: bool, remember: bool) -> Array:
        self.seen.append(float(x.sum()))
        self.factor = 2.0 if x.max() > 1 else 3.0
        return np.ascontiguousarray(self.factor * x).astype(np.float32)

    def _backward(self, dvalues: Array) -> Array:
        return self.factor * np.ascontiguousarray(dvalues)


class OwnDense(Dense):
    """A layer that derives from one of ours."""

    def _forward(self, x: Array, *, training: bool, remember: bool) -> Array:
        return super()._forward(x * (1 if x.flat[0] > 0 else -1), training=training, remember=remember)


@pytest.mark.parametrize(
    "make", [lambda: [Conv2D(3, 3), ReLU(), Own(), Conv2D(2, 2), Own(), Flatten(), OwnDense(3)], lambda: [Own()]]
)
def test_layers_of_a_users_own_are_called_each_time(make: Callable[[], list[Layer]], rng: np.random.Generator) -> None:
    net, fresh = (Network(make(), input_shape=IMAGE, seed=1) for _ in range(2))
    net.reuse_memory()
    repeating, computing = Steps(net), Steps(fresh)
    x = public_view(np.empty((12, 2, 13, 3), np.float32))
    for _ in range(4):
        x[...] = rng.normal(scale=0.3, size=x.shape)
        dy = rng.normal(size=(3, *fresh.output_shape)).astype(np.float32)
        for received, expected in zip(repeating(x, dy), computing(x, dy), strict=True):
            np.testing.assert_array_equal(received, expected)
        np.testing.assert_array_equal(net.gradients, fresh.gradients)
        np.testing.assert_array_equal(net.infer(x), fresh.infer(x))
    for mine, other in zip(net.layers, fresh.layers, strict=True):
        if isinstance(mine, Own) and isinstance(other, Own):
            assert len(mine.seen) == 8
            assert mine.seen == other.seen


class Doubled(Layer):
    """Answers in numbers of another type than it gets."""

    def _forward(self, x: Array, *, training: bool, remember: bool) -> Array:
        return np.rint(2 * x).astype(np.int64)


def test_the_type_of_a_users_own_answers_stays_and_the_next_layer_takes_it(rng: np.random.Generator) -> None:
    last, inner = Network([Doubled()], input_shape=(3,)), Network([Doubled(), Dense(2)], input_shape=(3,), seed=0)
    for _ in range(3):
        x = rng.normal(size=(4, 3)).astype(np.float32)
        np.testing.assert_array_equal(last.infer(x), np.rint(2 * x))
        assert last.infer(x).dtype == last.forward(x).dtype == np.int64
        np.testing.assert_array_equal(inner.infer(x), inner.forward(x))


def test_inferences_of_many_sizes_do_not_keep_the_memory_of_each() -> None:
    net, sizes = Network([Dense(2000), ReLU()], input_shape=(1,), seed=0), 200
    tracemalloc.start()
    try:
        for size in range(1, sizes):
            net.infer(np.ones((size, 1)))
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 16 * 2 * 3 * (
        sizes * 2000 * 4
    )  # 16 sizes, 2 layers, at most 3 arrays each; all: 4 times as much


def test_other_vectors_are_recorded_anew(rng: np.random.Generator) -> None:
    net, fresh = network(NETWORKS["the reference network"]), network(NETWORKS["the reference network"])
    net.reuse_memory()
    repeating, computing = Steps(net, training=False), Steps(fresh, training=False)
    x, dy = public_view(rng.normal(size=(12, 2, 13, 3))), rng.normal(size=(3, 4))
    for vector in (net.gradients, np.zeros_like(net.gradients)):
        net.write_gradients(vector)
        for _ in range(2):
            repeating(x, dy)
        computing(x, dy)
        np.testing.assert_array_equal(vector, fresh.gradients)
    net.bind(2 * net.parameters, vector)
    np.testing.assert_array_equal(net.infer(x), network_with(2 * fresh.parameters).infer(x))


def network_with(parameters: Array) -> Network:
    net = network(NETWORKS["the reference network"])
    net.parameters[...] = parameters
    return net


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])  # noqa: S301
def test_a_copy_makes_passes_of_its_own(copied: Callable[[Network], Network], rng: np.random.Generator) -> None:
    net = network(NETWORKS["the reference network"])
    x, dy = rng.normal(size=(3, *IMAGE)), rng.normal(size=(3, 4))
    net.infer(x)
    net.reuse_memory()
    steps = Steps(net)
    for _ in range(2):
        steps(x, dy)
    twin = copied(net)
    twin.parameters *= 2
    expected = network_with(twin.parameters)
    for _ in range(2):
        np.testing.assert_array_equal(twin.infer(x), expected.infer(x))
        np.testing.assert_array_equal(twin.forward(x), expected.forward(x))
        np.testing.assert_array_equal(twin.backward(dy), expected.backward(dy))
    np.testing.assert_array_equal(twin.gradients, expected.gradients)
