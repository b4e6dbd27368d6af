"""Inference: programs are kept from call to call, until a setting or a method changes."""

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from handconv.engine import inference
from handconv.engine.inference import Inference
from handconv.engine.ops.python_op import PythonOp
from handconv.engine.program import Program
from handconv.layers import Conv2D, Dense, Dropout, Flatten, Layer, LeakyReLU, MaxPool2D, ReLU, Softmax
from handconv.network import Network
from strategies import MEMORY_ORDERS, in_memory_order, normal

Array = np.ndarray[Any, Any]
IMAGE = (2, 8, 9)


def network(**options: Any) -> Network:
    layers = [Conv2D(3, 3), LeakyReLU(0.1), MaxPool2D(2), Flatten(), Dense(4), Dropout(0.5), Softmax()]
    return Network(layers, input_shape=IMAGE, seed=1, **{"dtype": "float64", **options})


@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"engine": False}], ids=["fused", "not fused", "no engine"])
def test_the_answers_are_those_of_the_pages_for_several_sizes_in_turn(options: Any) -> None:
    net = network(**options)
    for step, count in enumerate([3, 1, 3, 5, 1]):
        net.parameters += 0.01
        x = normal(step, count, *IMAGE)
        np.testing.assert_allclose(net.infer(x), net.forward(x), rtol=1e-12)


@pytest.mark.parametrize("order", MEMORY_ORDERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, np.bool_])
def test_inputs_may_be_of_any_type_and_memory_order(order: str, dtype: Any) -> None:
    net = network()
    for step in range(2):
        x = in_memory_order((100 * abs(normal(step, 4, *IMAGE))).astype(dtype), order)
        np.testing.assert_allclose(net.infer(x), net.forward(x), rtol=1e-12)


def test_pixels_and_floats_of_the_same_size_are_told_apart() -> None:
    net = network()
    pixels = np.full((2, *IMAGE), 255, np.uint8)
    for _ in range(2):
        np.testing.assert_allclose(net.infer(pixels), net.forward(np.ones(pixels.shape)), rtol=1e-12)
        np.testing.assert_allclose(net.infer(255.0 * np.ones(pixels.shape)), net.forward(255.0 * np.ones(pixels.shape)))


def test_the_first_layers_have_a_program_of_their_own() -> None:
    net, x = network(), normal(0, 3, *IMAGE)
    for _ in range(2):
        np.testing.assert_allclose(net.answer(x, net.layers[:5]), net[:5].forward(x), rtol=1e-12)
        np.testing.assert_allclose(net.answer(x, net.layers), net.forward(x), rtol=1e-12)


def test_a_program_is_kept_until_a_setting_changes() -> None:
    net = network()
    answers = Inference(net.store.layers, net.dtype, fuse=True, engine=True)
    x = normal(0, 2, *IMAGE)
    with mock.patch.object(inference, "Program", side_effect=Program) as making:
        for layers in (net.layers, net.layers, net.layers[:4], net.layers):
            answers.outputs(layers, x)
        assert making.call_count == 2
        net.layers[1].alpha = 0.3  # type: ignore[attr-defined]
        answers.outputs(net.layers, x)
        assert making.call_count == 3
        network().layers[1].alpha = 0.4  # type: ignore[attr-defined]
        answers.outputs(net.layers, x)
        assert making.call_count == 3, "a layer of another network changed"


def test_settings_may_change_between_inferences() -> None:
    net, x = network(), normal(0, 3, *IMAGE)
    for alpha in (0.3, 0.6, 0.3):
        net.layers[1].alpha = alpha  # type: ignore[attr-defined]
        for _ in range(2):
            np.testing.assert_allclose(net.infer(x), net.forward(x), rtol=1e-12)


def test_a_setting_of_a_layer_within_another_changes_the_answers_too() -> None:
    class Holder(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = [LeakyReLU(0.1)]

        def forward(self, inputs: Array, training: bool = False) -> Array:
            return self.inner[0].forward(inputs, training)

    net = Network([Holder()], input_shape=(2,), dtype="float64")
    x = np.array([[-1.0, 2.0]])
    np.testing.assert_allclose(net.infer(x), [[-0.1, 2.0]])
    net.layers[0].inner[0].alpha = 0.5  # type: ignore[attr-defined]
    np.testing.assert_allclose(net.infer(x), [[-0.5, 2.0]])


def test_answers_are_plain_arrays_that_the_next_call_overwrites_and_infer_copies() -> None:
    net = network()
    x = normal(0, 2, *IMAGE)
    answer, copied = net.answer(x, net.layers), net.infer(x)
    assert type(answer) is np.ndarray
    np.testing.assert_array_equal(answer, copied)
    net.answer(-x, net.layers)
    assert not np.array_equal(answer, copied)


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


def test_so_many_sizes_are_kept_and_then_a_program_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_MANY", 3)
    net = network()
    answers = Inference(net.store.layers, net.dtype, fuse=True, engine=True)
    made = []
    with mock.patch.object(inference, "Program", side_effect=Program) as making:
        for size in (1, 2, 1, 3, 4):
            x = normal(size, size, *IMAGE)
            np.testing.assert_allclose(answers.outputs(net.layers, x), net.forward(x), rtol=1e-12)
            made.append(making.call_count)
    assert made == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"fuse": True, "engine": True}, "[Conv2D + LeakyReLU + MaxPool2D]"),
        ({"fuse": False, "engine": True}, "Conv2D"),
        ({"fuse": True, "engine": False}, "Conv2D"),
    ],
)
def test_ops_are_fused_and_fast_as_the_network_says(options: Any, first: str) -> None:
    net = network()
    with mock.patch.object(inference, "Program", wraps=Program) as making:
        Inference(net.store.layers, net.dtype, **options).outputs(net.layers, normal(0, 2, *IMAGE))
    assert making.call_args.kwargs == options
    op = Program(net.layers, net.dtype, **options).ops[0]
    assert repr(op) == first
    assert isinstance(op, PythonOp) == (not options["engine"])


class Doubled(Layer):
    """Answers in numbers of another type than it gets."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return np.rint(2 * inputs).astype(np.int64)


def test_a_users_own_answers_are_brought_to_the_networks_type() -> None:
    last, inner = Network([Doubled()], input_shape=(3,)), Network([Doubled(), Dense(2)], input_shape=(3,), seed=0)
    for seed in range(3):
        x = normal(seed, 4, 3, dtype=np.float32)
        np.testing.assert_array_equal(last.infer(x), np.rint(2 * x))
        assert last.infer(x).dtype == last.forward(x).dtype == np.float32
        np.testing.assert_allclose(inner.infer(x), inner.forward(x), rtol=1e-5)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])  # noqa: S301
def test_a_copy_has_programs_of_its_own(copied: Callable[[Network], Network]) -> None:
    net, x = network(), normal(0, 3, *IMAGE)
    before = net.infer(x)
    twin = copied(net)
    twin.parameters *= 2
    for _ in range(2):
        np.testing.assert_allclose(twin.infer(x), twin.forward(x), rtol=1e-12)
        np.testing.assert_array_equal(net.infer(x), before)
    assert not np.array_equal(twin.infer(x), before)


def test_other_vectors_are_captured_anew() -> None:
    net, x = network(), normal(0, 3, *IMAGE)
    net.infer(x)
    net.bind(2 * net.parameters, net.gradients, net.buffers)
    np.testing.assert_allclose(net.infer(x), net.forward(x), rtol=1e-12)


def test_the_pages_are_not_run_by_an_inference_with_the_engine() -> None:
    net = network()
    net.infer(normal(0, 3, *IMAGE))
    assert [layer.output for layer in net.layers] == [None] * 7


def test_without_the_engine_an_inference_runs_the_pages() -> None:
    net = network(engine=False)
    with (
        mock.patch.object(net.layers[4], "check_inputs", side_effect=ZeroDivisionError),
        pytest.raises(ZeroDivisionError),
    ):
        net.infer(normal(0, 3, *IMAGE))
