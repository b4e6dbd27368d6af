"""Lowering: which op computes which layers, and when a layer runs its own Python code."""

from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine_helpers import ByProgram, Make, assert_close_passes, assert_equal_passes, built, by_hand
from handconv.engine import lower as lowering
from handconv.engine.arena import Arena
from handconv.engine.lower import fast_kind, lower, register, register_like, signature
from handconv.engine.ops.base import Context
from handconv.engine.ops.elementwise import TanhOp
from handconv.engine.ops.python_op import PythonOp
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
)
from handconv.network import Network
from strategies import normal

EVERY_LAYER: Make = lambda: [  # noqa: E731
    Conv2D(2, 3),
    LeakyReLU(),
    MaxPool2D(2),
    Tanh(),
    AveragePool2D(2),
    ReLU(),
    Reshape((1, 2, 1)),
    MaxPool2D(1),
    GlobalAveragePool2D(),
    Dropout(0.5),
    Flatten(),
    Dense(3),
    Sigmoid(),
    Softmax(),
]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the registry as it was."""
    monkeypatch.setattr(lowering, "_REGISTRY", dict(lowering._REGISTRY))


def kinds(layers: list[Layer], **options: Any) -> list[str]:
    """What the ops for some layers say they are; stars mark those that run Python code."""
    ops = lower(layers, Context(Arena(), np.dtype(np.float64), lambda _: {}), **options)
    return [f"*{op!r}*" if isinstance(op, PythonOp) else repr(op) for op in ops]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: [Conv2D(2, 3), MaxPool2D(2)], ["[Conv2D + MaxPool2D]"]),
        (lambda: [Conv2D(2, 3), ReLU(), MaxPool2D(2), Flatten()], ["[Conv2D + ReLU + MaxPool2D]", "Flatten"]),
        (lambda: [Conv2D(2, 3), LeakyReLU(), MaxPool2D((1, 3))], ["[Conv2D + LeakyReLU + MaxPool2D]"]),
        (lambda: [Conv2D(2, 3), MaxPool2D(2), ReLU(), Flatten()], ["[Conv2D + MaxPool2D]", "ReLU", "Flatten"]),
        (lambda: [Conv2D(2, 3), ReLU(), ReLU(), MaxPool2D(2)], ["[Conv2D + ReLU]", "ReLU", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), ReLU()], ["[Conv2D + ReLU]"]),
        (lambda: [Conv2D(2, 3)], ["Conv2D"]),
        (lambda: [Conv2D(2, 3), ReLU(), Flatten()], ["[Conv2D + ReLU]", "Flatten"]),
        (lambda: [Conv2D(2, 3), Conv2D(2, 3), MaxPool2D(2)], ["Conv2D", "[Conv2D + MaxPool2D]"]),
        (lambda: [Conv2D(2, 3), Tanh(), MaxPool2D(2)], ["Conv2D", "Tanh", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), Sigmoid(), MaxPool2D(2)], ["Conv2D", "Sigmoid", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), Dropout(0.5), MaxPool2D(2)], ["Conv2D", "Dropout", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), AveragePool2D(2)], ["Conv2D", "AveragePool2D"]),
        (lambda: [Conv2D(2, 3), MaxPool2D(3, stride=2)], ["Conv2D", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), MaxPool2D(2, stride=3)], ["Conv2D", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), MaxPool2D(2, padding=1)], ["Conv2D", "MaxPool2D"]),
        (lambda: [ReLU(), MaxPool2D(2)], ["ReLU", "MaxPool2D"]),
    ],
)
def test_a_convolution_is_fused_with_the_rectifier_and_the_pooling_after_it_where_windows_lie_side_by_side(
    make: Make, expected: list[str]
) -> None:
    assert kinds(built(make, (1, 9, 9))) == expected


def test_without_fusion_every_layer_is_an_op() -> None:
    layers = built(lambda: [Conv2D(2, 3), ReLU(), MaxPool2D(2), Conv2D(2, 2)], (1, 9, 9))
    assert kinds(layers, fuse=False) == ["Conv2D", "ReLU", "MaxPool2D", "Conv2D"]
    assert kinds(layers) == ["[Conv2D + ReLU + MaxPool2D]", "Conv2D"]


def test_without_fusion_every_convolution_computes_all_its_outputs() -> None:
    layers = built(lambda: [Conv2D(2, 3), Conv2D(2, 2, stride=3)], (1, 9, 9))
    x, dy = normal(0, 2, 1, 9, 9), normal(1, 2, 2, 2, 2)
    run = ByProgram(layers, fuse=False)
    assert [op.output_crop for op in run.ops] == [None, None]  # type: ignore[attr-defined]
    assert [op.output_crop for op in ByProgram(layers).ops] == [(5, 5), None]  # type: ignore[attr-defined]
    assert_close_passes(run(x, dy), by_hand(layers, x, dy), 1e-11)


def test_a_convolution_before_another_op_computes_all_its_outputs() -> None:
    run = ByProgram(built(lambda: [Conv2D(2, 3), Tanh(), Conv2D(2, 2, stride=3)], (1, 9, 9)))
    assert [getattr(op, "output_crop", "none") for op in run.ops] == [None, "none", None]


def test_every_layer_has_a_fast_op() -> None:
    assert [layer for layer in EVERY_LAYER() if fast_kind(layer) is not type(layer)] == []


def test_without_the_engine_every_layer_is_a_python_op_with_the_same_results() -> None:
    fast, slow, pages = (built(EVERY_LAYER, (1, 8, 8)) for _ in range(3))
    with_engine = ByProgram(fast, generator=np.random.default_rng(3))
    without = ByProgram(slow, generator=np.random.default_rng(3), engine=False)
    assert [type(op) for op in without.ops] == [PythonOp] * len(slow)
    assert PythonOp not in map(type, with_engine.ops)
    generator = np.random.default_rng(3)
    for layer in pages:
        layer.generator = generator
    for seed in range(3):
        x, dy = normal(seed, 4, 1, 8, 8), normal(seed + 3, 4, 3)
        expected = by_hand(pages, x, dy)
        assert_equal_passes(without(x, dy), expected)
        assert_close_passes(with_engine(x, dy), expected, 1e-11)


def test_classes_derived_from_the_layers_run_their_own_code() -> None:
    class Own(Conv2D):
        pass

    class OwnPool(MaxPool2D):
        pass

    class OwnReLU(ReLU):
        pass

    def of(*layers: Layer) -> list[str]:
        return kinds(built(lambda: layers, (1, 9, 9)))

    assert of(Own(2, 3), MaxPool2D(2)) == ["*Own*", "MaxPool2D"]
    assert of(Conv2D(2, 3), OwnPool(2)) == ["Conv2D", "*OwnPool*"]
    assert of(Conv2D(2, 3), OwnReLU(), MaxPool2D(2)) == ["Conv2D", "*OwnReLU*", "MaxPool2D"]


def halved(self: Layer, inputs: Any, training: bool = False) -> Any:
    """Stands in for a forward."""
    self.output = np.asarray(inputs) / 2
    return self.output


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("patched", [ReLU, Conv2D, MaxPool2D])
def test_a_class_whose_method_was_replaced_runs_its_own_code_until_it_is_put_back(
    method: str, patched: type[Layer]
) -> None:
    layers = built(lambda: [Conv2D(2, 3), ReLU(), MaxPool2D(2)], (1, 9, 9))
    fused, before = kinds(layers), signature(layers)
    with mock.patch.object(patched, method, halved):
        assert [f"*{patched.__name__}*" == kind for kind in kinds(layers)].count(True) == 1
        assert fast_kind(next(layer for layer in layers if type(layer) is patched)) is None
        assert signature(layers) != before
    assert kinds(layers) == fused
    assert signature(layers) == before


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_layer_whose_method_was_replaced_runs_its_own_code_until_it_is_put_back(method: str) -> None:
    layers = built(lambda: [Dense(2), ReLU()], (3,))
    before = signature(layers)
    with mock.patch.object(layers[0], method, halved):
        assert kinds(layers) == ["*Dense*", "ReLU"]
        during = signature(layers)
        assert during != before
    assert kinds(layers) == ["Dense", "ReLU"]
    assert signature(layers) not in (before, during)


def test_a_layer_without_a_method_of_its_own_follows_the_class_that_it_derives_from() -> None:
    with mock.patch.object(Reshape, "forward", halved):
        assert kinds(built(lambda: [Flatten()], (3,))) == ["*Flatten*"]


def test_the_signature_holds_settings_and_methods_of_every_layer() -> None:
    layers = built(lambda: [LeakyReLU(0.1), Dropout(0.5)], (3,))
    before = signature(layers)
    assert signature(layers) == before
    layers[1].rate = 0.6  # type: ignore[attr-defined]
    assert signature(layers) != before
    assert len(signature(layers)) == 2


def doubled_tanh(layer: Layer, context: Context) -> TanhOp:
    """Makes an op that can be told from the registered one."""
    op = TanhOp(layer, context)
    op.is_doubled = True  # type: ignore[attr-defined]
    return op


def test_registering_lets_layers_of_exactly_this_type_be_computed_by_an_op() -> None:
    class Own(Layer):
        forward, backward = Tanh.forward, Tanh.backward

    class Derived(Own):
        pass

    assert fast_kind(Own()) is None
    register(Own, doubled_tanh)
    assert fast_kind(Own()) is Own
    assert fast_kind(Derived()) is None
    (op,) = ByProgram(built(lambda: [Own()], (3,))).ops
    assert op.is_doubled  # type: ignore[attr-defined]


def test_a_subclass_that_is_registered_like_its_base_is_fused_like_it() -> None:
    class OwnConv(Conv2D):
        pass

    class OwnReLU(LeakyReLU):
        """With passes of its own that compute the same."""

        def forward(self, inputs: Any, training: bool = False) -> Any:
            return super().forward(inputs, training)

        def backward(self, dvalues: Any) -> Any:
            return super().backward(dvalues)

    class OwnPool(MaxPool2D):
        pass

    def make() -> list[Layer]:
        return [OwnConv(2, 3), OwnReLU(0.25), OwnPool(2)]

    assert kinds(built(make, (1, 9, 9))) == ["*OwnConv*", "*OwnReLU*", "*OwnPool*"]
    for own, like in ((OwnConv, Conv2D), (OwnReLU, LeakyReLU), (OwnPool, MaxPool2D)):
        register_like(own, like)
    layers = built(make, (1, 9, 9))
    assert kinds(layers) == ["[OwnConv + OwnReLU + OwnPool]"]
    assert kinds(layers, fuse=False) == ["OwnConv", "OwnReLU", "OwnPool"]
    x, dy = normal(0, 2, 1, 9, 9), normal(1, 2, 2, 3, 3)
    assert_close_passes(ByProgram(layers)(x, dy), by_hand(built(make, (1, 9, 9)), x, dy), 1e-11)
    with mock.patch.object(OwnReLU, "forward", halved):
        assert kinds(layers) == ["OwnConv", "*OwnReLU*", "OwnPool"]


@pytest.mark.parametrize(("subclass", "like"), [(Dense, Conv2D), (ReLU, LeakyReLU), (Dense, Layer)])
def test_what_does_not_derive_from_a_registered_type_is_not_registered_like_it(subclass: Any, like: Any) -> None:
    message = rf"^{subclass.__name__} must derive from a registered type of layer, got {like.__name__}\.$"
    with pytest.raises(ValueError, match=message):
        register_like(subclass, like)


@pytest.fixture
def net() -> Network:
    """A network whose inference is asked for again and again."""
    return Network([Dense(2), ReLU()], input_shape=(3,), seed=0, dtype="float64")


def test_an_inference_follows_methods_that_are_replaced_and_put_back(net: Network) -> None:
    x = normal(0, 4, 3)
    before = net.infer(x)
    with mock.patch.object(ReLU, "forward", halved):
        np.testing.assert_allclose(net.infer(x), net.layers[0].forward(x) / 2)
    np.testing.assert_array_equal(net.infer(x), before)
    with mock.patch.object(net.layers[1], "forward", halved.__get__(net.layers[1])):
        np.testing.assert_allclose(net.infer(x), net.layers[0].forward(x) / 2)
    np.testing.assert_array_equal(net.infer(x), before)
