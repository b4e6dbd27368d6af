"""The plan: which steps really run, and that they equal the layers one by one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handconv.engine.kernels.conv_lowering import TILE
from handconv.engine.lower import ConvolutionBlock, draw
from handconv.layers import (
    AveragePool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Tanh,
)
from handconv.network import Network
from handconv.summary import summarize
from helpers import assert_close
from strategies import MEMORY_ORDERS, in_memory_order

Layers = Callable[[], list[Layer]]

FUSED: dict[str, tuple[Layers, tuple[int, ...]]] = {
    "the usual": (lambda: [Conv2D(3, 3), LeakyReLU(), MaxPool2D(2)], (2, 8, 8)),
    "nothing between": (lambda: [Conv2D(3, 3), MaxPool2D(2)], (2, 8, 8)),
    "ReLU": (lambda: [Conv2D(3, 3), ReLU(), MaxPool2D(2)], (2, 8, 8)),
    "activations on both sides": (lambda: [Conv2D(3, 3), LeakyReLU(0.3), MaxPool2D(2), ReLU()], (1, 7, 9)),
    "odd sizes, 11 -> 5": (lambda: [Conv2D(2, 3), LeakyReLU(), MaxPool2D(2)], (1, 13, 13)),
    "3x3 pools": (lambda: [Conv2D(2, 3), LeakyReLU(), MaxPool2D(3)], (2, 11, 12)),
    "pools of 1x3": (lambda: [Conv2D(2, (3, 2)), MaxPool2D((1, 3))], (2, 6, 9)),
    "pools of 1x1": (lambda: [Conv2D(2, 3), LeakyReLU(), MaxPool2D(1)], (2, 5, 5)),
    "one window": (lambda: [Conv2D(2, 3), ReLU(), MaxPool2D(3)], (2, 5, 5)),
    "stride": (lambda: [Conv2D(2, 3, stride=2), LeakyReLU(), MaxPool2D(2)], (2, 11, 12)),
    "stride beyond the kernel": (lambda: [Conv2D(2, 2, stride=(3, 4)), MaxPool2D(2)], (1, 12, 15)),
    "padding": (lambda: [Conv2D(2, 3, padding=1), LeakyReLU(), MaxPool2D(2)], (2, 6, 7)),
    "padding same, stride": (lambda: [Conv2D(2, 3, stride=2, padding="same"), ReLU(), MaxPool2D(2)], (2, 9, 10)),
    "wide padding": (lambda: [Conv2D(2, (2, 3), padding=(3, 2)), MaxPool2D((3, 2))], (1, 4, 5)),
    "no bias": (lambda: [Conv2D(2, 3, use_bias=False), LeakyReLU(), MaxPool2D(2)], (2, 6, 6)),
    "twice, then dense": (
        lambda: [
            Conv2D(3, 3), LeakyReLU(), MaxPool2D(2), Conv2D(4, 3), LeakyReLU(), MaxPool2D(2), Flatten(), Dense(3),
        ],
        (1, 14, 15),
    ),
}  # fmt: skip
every_net = pytest.mark.parametrize(("layers", "shape"), FUSED.values(), ids=FUSED)


def both(layers: Layers, shape: tuple[int, ...], dtype: str = "float64") -> tuple[Network, Network]:
    """The network as planned, and layer by layer, with the same parameters; the biases not zero."""
    fused, plain = (Network(layers(), input_shape=shape, seed=0, dtype=dtype, fuse=fuse) for fuse in (True, False))
    fused.parameters[...] = np.random.default_rng(1).normal(size=fused.parameters.size)
    plain.parameters[...] = fused.parameters
    return fused, plain


def assert_same_passes(fused: Network, plain: Network, x: NDArray[np.float64]) -> None:
    """Forward and back, once each, and the gradients of all parameters."""
    y = plain.forward(x)
    assert_close(fused.forward(x), y)
    dy = np.random.default_rng(2).normal(size=y.shape)
    assert_close(fused.backward(dy), plain.backward(dy), 1e-11)
    assert_close(fused.gradients, plain.gradients, 1e-11)


@pytest.fixture(params=[TILE, 3000, 1], ids=["one tile", "few tiles", "a tile a row"])
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handconv.engine.kernels.conv_lowering.TILE", request.param)


@pytest.mark.usefixtures("_tiles")
@every_net
class TestFusedEqualsUnfused:
    def test_plan_has_the_fused_step(self, layers: Layers, shape: tuple[int, ...]) -> None:
        fused, plain = both(layers, shape)
        assert any(isinstance(step, ConvolutionBlock) for step in fused.plan)
        assert plain.plan == plain.layers

    def test_outputs(self, layers: Layers, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        fused, plain = both(layers, shape)
        x = rng.normal(size=(5, *shape))
        assert_close(fused.forward(x), plain.forward(x))
        assert_close(fused.infer(x), plain.infer(x))

    def test_gradients(self, layers: Layers, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        fused, plain = both(layers, shape)
        x = rng.normal(size=(5, *shape))
        y = plain.forward(x)
        fused.forward(x)
        dy = rng.normal(size=y.shape)
        assert_close(fused.backward(dy), plain.backward(dy))
        assert_close(fused.gradients, plain.gradients, 1e-11)

    def test_with_reused_memory_step_after_step(
        self, layers: Layers, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        fused, plain = both(layers, shape)
        fused.reuse_memory()
        for count in (4, 1, 6):
            assert_same_passes(fused, plain, rng.normal(size=(count, *shape)))

    def test_in_float32(self, layers: Layers, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        fused, plain = both(layers, shape, "float32")
        x = rng.normal(size=(3, *shape))
        np.testing.assert_allclose(fused.forward(x), plain.forward(x), atol=2e-5)


@pytest.mark.parametrize("order", MEMORY_ORDERS)
def test_inputs_may_lie_in_any_memory_order(order: str, rng: np.random.Generator) -> None:
    fused, plain = both(*FUSED["the usual"])
    x, dy = rng.normal(size=(4, 2, 8, 8)), rng.normal(size=(4, 3, 3, 3))
    assert_close(fused.forward(in_memory_order(x, order)), plain.forward(x))
    assert_close(fused.backward(in_memory_order(dy, order)), plain.backward(dy))


@pytest.mark.parametrize("between", [LeakyReLU, ReLU])
def test_ties_give_the_gradient_to_the_first_place_as_the_layers_do(between: type[Layer]) -> None:
    """On MNIST's blank border every window is a tie; and ReLU makes ties of all that is negative."""
    fused, plain = both(lambda: [Conv2D(2, 3), between(), MaxPool2D(2)], (1, 8, 8))
    x = np.zeros((2, 1, 8, 8))
    x[1, 0, 3:5, 3:5] = 1
    dy = np.random.default_rng(0).normal(size=(2, 2, 3, 3))
    for network in (fused, plain):
        network.parameters[...] = np.round(network.parameters)
    assert_close(fused.forward(x), plain.forward(x))
    assert_close(fused.backward(dy), plain.backward(dy))
    assert_close(fused.gradients, plain.gradients)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (lambda: [Conv2D(2, 3), MaxPool2D(2)], ["[Conv2D + MaxPool2D]"]),
        (lambda: [Conv2D(2, 3), ReLU(), MaxPool2D(2), Flatten()], ["[Conv2D + ReLU + MaxPool2D]", "Flatten"]),
        (lambda: [Conv2D(2, 3), MaxPool2D(2), ReLU(), Flatten()], ["[Conv2D + MaxPool2D]", "ReLU", "Flatten"]),
        (lambda: [Conv2D(2, 3), ReLU(), ReLU(), MaxPool2D(2)], ["[Conv2D + ReLU]", "ReLU", "MaxPool2D"]),
        (lambda: [Conv2D(2, 3), ReLU()], ["[Conv2D + ReLU]"]),
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
def test_a_plan_fuses_a_convolution_with_the_rectifier_and_the_pooling_after_it_where_windows_lie_side_by_side(
    layers: Layers, expected: list[str]
) -> None:
    network = Network(layers(), input_shape=(1, 9, 9), seed=0)
    assert list(summarize(network).plan) == expected


def test_classes_derived_from_the_layers_are_not_fused() -> None:
    class Own(Conv2D):
        pass

    class OwnPool(MaxPool2D):
        pass

    class OwnReLU(ReLU):
        pass

    for layers in ([Own(2, 3), MaxPool2D(2)], [Conv2D(2, 3), OwnPool(2)], [Conv2D(2, 3), OwnReLU(), MaxPool2D(2)]):
        network = Network(layers, input_shape=(1, 9, 9), seed=0)
        assert [type(layer).__name__ for layer in layers] == list(summarize(network).plan)


def test_fuse_false_runs_the_layers() -> None:
    network = Network([Conv2D(2, 3), MaxPool2D(2)], input_shape=(1, 9, 9), fuse=False)
    assert network.plan == network.layers


def test_a_fused_step_says_what_it_is_made_of() -> None:
    network = Network([Conv2D(2, 3), MaxPool2D(2)], input_shape=(1, 9, 9))
    assert repr(network.plan[0]) == "[Conv2D + MaxPool2D]"


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.sampled_from(["same", "valid"]), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    pool=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    batch=st.integers(1, 3),
    channels=st.integers(1, 2),
)
def test_fused_equals_unfused_whatever_the_geometry(size, kernel, stride, padding, pool, batch, channels) -> None:  # type: ignore[no-untyped-def]
    def layers() -> list[Layer]:
        return [Conv2D(2, kernel, stride=stride, padding=padding), LeakyReLU(), MaxPool2D(pool)]

    try:
        fused, plain = both(layers, (channels, *size))
    except ValueError:
        return  # the pooling window does not fit
    assert_same_passes(fused, plain, np.random.default_rng(0).normal(size=(batch, channels, *size)))


def test_a_block_computes_what_the_next_one_looks_at_and_no_more() -> None:
    """11 x 11 outputs are pooled to 5 x 5, so of 13 x 13 inputs the last row and column are never looked at."""
    network = Network([Conv2D(2, 3), MaxPool2D(2), Conv2D(3, 3), MaxPool2D(2)], input_shape=(1, 28, 28))
    first, second = network.plan
    assert isinstance(first, ConvolutionBlock)
    assert isinstance(second, ConvolutionBlock)
    assert (first.wanted, second.wanted) == ((12, 12), None)
    assert first.forward(np.zeros((1, 1, 28, 28))).shape == (1, 2, 12, 12)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(9, 16), st.integers(9, 16)),
    kernels=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=3, max_size=3),
    strides=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2)), min_size=3, max_size=3),
    paddings=st.lists(st.sampled_from(["same", "valid", 1]), min_size=3, max_size=3),
    pools=st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(1, 3))), min_size=3, max_size=3),
)
def test_chains_of_blocks_equal_the_layers_whatever_the_geometry(size, kernels, strides, paddings, pools) -> None:  # type: ignore[no-untyped-def]
    def layers() -> list[Layer]:
        chain: list[Layer] = []
        for kernel, stride, padding, pool in zip(kernels, strides, paddings, pools, strict=True):
            chain += [Conv2D(2, kernel, stride=stride, padding=padding), ReLU()]
            chain += [] if pool is None else [MaxPool2D(pool)]
        return [*chain, Flatten()]

    try:
        fused, plain = both(layers, (2, *size))
    except ValueError:
        return  # a window does not fit
    assert_same_passes(fused, plain, np.random.default_rng(0).normal(size=(2, 2, *size)))


def test_a_block_whose_first_outputs_look_at_padding_alone_still_gets_a_row_and_a_column() -> None:
    """One output of a 1 x 1 kernel with padding 3 sees no pixel; what feeds it must not shrink below one."""

    def layers() -> list[Layer]:
        return [Conv2D(2, 3), ReLU(), Conv2D(2, 1, padding=3, stride=4), ReLU(), Conv2D(2, 1, stride=9)]

    fused, plain = both(layers, (1, 8, 8))
    assert_same_passes(fused, plain, np.random.default_rng(0).normal(size=(2, 1, 8, 8)))


def test_blocks_are_made_unless_told_otherwise() -> None:
    layers: list[Layer] = [Conv2D(2, 3), ReLU()]
    Network(layers, input_shape=(1, 5, 5), seed=0)
    assert [type(step) for step in draw(layers)] == [ConvolutionBlock]
    assert draw(layers, fuse=False) == layers


def test_an_inference_of_a_block_remembers_nothing(rng: np.random.Generator) -> None:
    (block,) = Network([Conv2D(2, 3), ReLU()], input_shape=(1, 5, 5), seed=0).plan
    y = block.forward(rng.normal(size=(2, 1, 5, 5)))
    block.backward(y)
    block.infer(rng.normal(size=(2, 1, 5, 5)))
    with pytest.raises(AssertionError):
        block.backward(y)
