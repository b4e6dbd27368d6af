"""What is replayed gives the same bits as what is computed, whatever has changed but the places of the arrays."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine_helpers import ByProgram, assert_close_passes, assert_equal_passes, by_hand
from handconv import layers
from handconv.engine.capture import CaptureError
from handconv.engine.ops.base import Op
from handconv.engine.ops.dense import DenseOp
from handconv.layers import (
    ELU,
    GELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SpatialDropout2D,
    Tanh,
    ZeroPad2D,
)
from handconv.network import Network
from strategies import normal

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
    "norms, groups and residuals": lambda: [
        ZeroPad2D((1, 2)),
        Conv2D(4, 3, groups=2, dilation=2),
        BatchNorm(),
        ReLU(),
        Residual([Conv2D(4, 3, padding=1), GroupNorm(2), GELU(), SpatialDropout2D(0.3)]),
        Residual([Conv2D(6, 3, padding=1, stride=2), ELU()], projection=Conv2D(6, 1, stride=2)),
        SiLU(),
        Flatten(),
        Dense(6),
        LayerNorm(),
        Softplus(),
    ],
    "normalisations after convolutions": lambda: [
        Conv2D(4, 3, use_bias=False),
        BatchNorm(),
        ReLU(),
        MaxPool2D(2),
        Conv2D(3, 2),
        BatchNorm(),
    ],
    "wide enough to be cut into tiles and bands": lambda: [
        Conv2D(40, 3),
        Conv2D(40, 3, padding=1),
        MaxPool2D(2),
        Flatten(),
    ],
}
IMAGE = (2, 12, 13)


def network(make: Callable[[], Sequence[Layer]], **options: Any) -> Network:
    return Network(make(), input_shape=IMAGE, seed=1, dtype="float64", **options)


def program(net: Network, seed: int = 5, **options: Any) -> ByProgram:
    return ByProgram(net.layers, generator=np.random.default_rng(seed), **options)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The passes of ops that Python runs meanwhile."""
    called: list[str] = []

    def watched(kind: type[Op], name: str) -> Any:
        original = getattr(kind, name)

        def watching(*arguments: Any, **options: Any) -> Any:
            called.append(f"{kind.__name__}.{name}")
            return original(*arguments, **options)

        return mock.patch.object(kind, name, watching)

    def all_kinds(kind: type[Op]) -> Iterator[type[Op]]:
        yield kind
        for derived in kind.__subclasses__():
            yield from all_kinds(derived)

    with ExitStack() as stack:
        for kind in all_kinds(Op):
            for name in {"forward", "backward"} & vars(kind).keys():
                stack.enter_context(watched(kind, name))
        yield called


def test_every_layer_is_in_these_networks() -> None:
    used = {type(layer) for make in NETWORKS.values() for layer in network(make).store.layers}
    assert used == {getattr(layers, name) for name in layers.__all__} - {Layer, layers.ParameterSpec}


@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"engine": False}], ids=["fused", "not fused", "no engine"])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_of_training_are_replayed_bit_for_bit(name: str, options: Any) -> None:
    net = network(NETWORKS[name])
    replaying = program(net, **options)
    generator = np.random.default_rng(5)
    for step, count in enumerate([3, 3, 5, 2, 3, 5, 3]):  # each kind is captured once, then comes again
        net.parameters += 0.01 * np.random.default_rng(step).normal(size=net.parameters.size)
        training, needs_input_grad = step != 4, step not in {1, 6}
        x, dy = normal(step, count, *IMAGE), normal(step + 9, count, *net.output_shape) if training else None
        computing = ByProgram(net.layers, generator=generator, **options)
        with counted() as called:
            received = replaying(x, dy, training=training, needs_input_grad=needs_input_grad)
        assert (called == []) == (step in {5, 6})
        assert_equal_passes(received, computing(x, dy, training=training, needs_input_grad=needs_input_grad))


@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"engine": False}], ids=["fused", "not fused", "no engine"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_computes_what_the_pages_do(name: str, options: Any) -> None:
    net = network(NETWORKS[name])
    run, same = program(net, **options), np.random.default_rng(5)
    net.parameters[...] = 0.3 * normal(0, net.parameters.size)  # biases that are not zero
    for step, count in enumerate([4, 1, 4]):
        x, dy = normal(step, count, *IMAGE), normal(step + 9, count, *net.output_shape)
        received = run(x, dy)
        for layer in net.store.layers:
            layer.generator = same
        assert_close_passes(received, by_hand(net.layers, x, dy), 1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_inferences_are_replayed_bit_for_bit(name: str) -> None:
    net = network(NETWORKS[name])
    replaying = program(net)
    for step, count in enumerate([3, 1, 3, 1]):
        net.parameters += 0.1
        x = normal(step, count, *IMAGE)
        with counted() as called:
            received = replaying(x, training=False)
        assert (called == []) == (step > 1)
        assert_equal_passes(received, program(net)(x, training=False))


def test_training_and_inference_of_one_program_do_not_disturb_each_other() -> None:
    net = network(NETWORKS["the reference network"])
    mixed, generator = program(net), np.random.default_rng(5)
    for step in range(3):
        x, dy = normal(step, 3, *IMAGE), normal(step + 9, 3, 4)
        assert_equal_passes(mixed(x, dy), ByProgram(net.layers, generator=generator)(x, dy))
        assert_equal_passes(mixed(x, training=False), program(net)(x, training=False))


def test_a_generator_may_be_moved_between_the_steps() -> None:
    net, generator = network(NETWORKS["the reference network"]), np.random.default_rng(0)
    replaying = ByProgram(net.layers, generator=generator)
    for seed in range(3):
        for count in (3, 5):  # the other size comes between
            generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state
            x, dy = normal(seed, count, *IMAGE), normal(seed + 9, count, 4)
            assert_equal_passes(replaying(x, dy), program(net, seed)(x, dy))


@pytest.mark.parametrize("setting", ["alpha", "rate"])
def test_a_program_made_anew_has_the_settings_that_were_changed(setting: str) -> None:
    net = network(NETWORKS["the reference network"])
    x, dy = normal(0, 3, *IMAGE), normal(1, 3, 4)
    answers = []
    for value in (0.3, 0.6, 0.3):
        for layer in net.layers:
            if setting in layer.config():
                setattr(layer, setting, value)
        received = program(net)(x, dy)
        for layer in net.layers:
            layer.generator = np.random.default_rng(5)
        assert_close_passes(received, by_hand(net.layers, x, dy), 1e-11)
        answers.append(received.y)
    np.testing.assert_array_equal(answers[0], answers[2])
    assert not np.array_equal(answers[0], answers[1])


class Own(Layer):
    """What a user may write: Python in between, state, another memory order and another type."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.seen.append(float(inputs.sum()))
        self.factor = 2.0 if inputs.max() > 1 else 3.0
        return np.asfortranarray(self.factor * inputs).astype(np.float32)

    def backward(self, dvalues: Array) -> Array:
        return self.factor * np.asfortranarray(dvalues)


class OwnDense(Dense):
    """A layer that derives from one of ours."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return super().forward(inputs * (1 if inputs.flat[0] > 0 else -1), training)


@pytest.mark.parametrize(
    "make", [lambda: [Conv2D(3, 3), ReLU(), Own(), Conv2D(2, 2), Own(), Flatten(), OwnDense(3)], lambda: [Own()]]
)
def test_layers_of_a_users_own_are_called_each_time(make: Callable[[], list[Layer]]) -> None:
    net, pages = network(make), network(make)
    run = program(net)
    for seed in range(4):
        x, dy = 0.3 * normal(seed, 3, *IMAGE), normal(seed + 9, 3, *net.output_shape)
        assert_close_passes(run(x, dy), by_hand(pages.layers, x, dy), 1e-6)
    for mine, other in zip(net.layers, pages.layers, strict=True):
        if isinstance(mine, Own) and isinstance(other, Own):
            assert len(mine.seen) == 4
            np.testing.assert_allclose(mine.seen, other.seen, rtol=1e-4)


class Failing(Layer):
    """Fails as long as it is told to."""

    error: Exception | None = None

    def forward(self, inputs: Array, training: bool = False) -> Array:
        if self.error is not None:
            raise self.error
        return 2 * inputs

    def backward(self, dvalues: Array) -> Array:
        return 2 * dvalues


def test_an_error_in_a_captured_run_leaves_nothing_captured() -> None:
    net = network(lambda: [Failing(), Flatten(), Dense(2)])
    run, x, dy = program(net), normal(0, 3, *IMAGE), normal(1, 3, 2)
    object.__setattr__(net.layers[0], "error", ZeroDivisionError())
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run(x, dy)
        assert len(run.program) == 0
        assert not run.program.memory.capture.is_recording
    object.__setattr__(net.layers[0], "error", None)
    for _ in range(2):
        assert_close_passes(run(x, dy), by_hand(net.layers, x, dy), 1e-12)
    assert len(run.program) == 1


def test_an_error_in_a_replay_leaves_the_captured_calls_as_they_were() -> None:
    net = network(lambda: [Failing(), Flatten(), Dense(2)])
    run, x, dy = program(net), normal(0, 3, *IMAGE), normal(1, 3, 2)
    run(x, dy)
    object.__setattr__(net.layers[0], "error", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run(x, dy)
    object.__setattr__(net.layers[0], "error", None)
    with counted() as called:
        assert_close_passes(run(x, dy), by_hand(net.layers, x, dy), 1e-12)
    assert called == []


def test_an_op_that_cannot_be_captured_leaves_nothing_captured() -> None:
    def careless(self: DenseOp, x: Array, *, training: bool) -> Array:
        return x + np.ones(x.shape)

    run = program(network(lambda: [Flatten(), Dense(312)]))
    with mock.patch.object(DenseOp, "forward", careless), pytest.raises(CaptureError):
        run(normal(0, 3, *IMAGE))
    assert len(run.program) == 0
    run(normal(0, 3, *IMAGE))
    assert len(run.program) == 1


def test_backward_goes_down_to_the_first_op_that_has_parameters() -> None:
    net = network(lambda: [Tanh(), Flatten(), Dense(4), ReLU(), Dense(2)])
    x, dy = normal(0, 3, *IMAGE), normal(1, 3, 2)
    for needs_input_grad, expected in (
        (True, ["DenseOp", "_ActivationOp", "DenseOp", "ReshapeOp", "_ActivationOp"]),
        (False, ["DenseOp", "_ActivationOp", "DenseOp"]),
    ):
        with counted() as called:
            program(net)(x, dy, needs_input_grad=needs_input_grad)
        assert [name.removesuffix(".backward") for name in called if name.endswith("backward")] == expected


def test_backward_asks_an_op_for_the_gradient_of_its_inputs_only_where_one_before_it_needs_it() -> None:
    net = network(lambda: [Flatten(), Dense(4), Dense(2)])
    asked: list[bool] = []

    def asking(self: DenseOp, dy: Array, *, needs_input_grad: bool) -> Any:
        asked.append(needs_input_grad)
        return dy if self is not run.ops[2] else np.zeros((3, 4))

    run = program(net)
    with mock.patch.object(DenseOp, "backward", asking):
        assert run.program.backward(np.zeros((3, 2))) is not None
        run.program.backward(np.zeros((3, 312)), needs_input_grad=False)
    assert asked == [True, False, True, False]


def test_without_parameters_there_is_nothing_to_go_back_for() -> None:
    run = program(network(lambda: [Tanh(), Flatten()]))
    with counted() as called:
        run(normal(0, 3, *IMAGE), normal(1, 3, 312), needs_input_grad=False)
    assert called == ["_ActivationOp.forward", "ReshapeOp.forward"]
