"""A convolution with its rectifier and its pooling as one op equals the pages one after the other."""

from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import strategies
from engine_helpers import (
    ByProgram,
    Make,
    assert_close_passes,
    assert_op_is_page,
    assert_same_outputs,
    built,
    by_hand,
    small_weights,
    with_extremes,
)
from handconv.engine.kernels import conv_lowering
from handconv.engine.layout import public_view
from handconv.engine.ops.conv_block import ConvBlockOp
from handconv.layers import Conv2D, Dense, Flatten, Layer, LeakyReLU, MaxPool2D, ReLU
from strategies import Geometry, normal

RECTIFIERS: dict[str, Callable[[], list[Layer]]] = {
    "no rectifier": list,
    "ReLU": lambda: [ReLU()],
    "LeakyReLU(0)": lambda: [LeakyReLU(0.0)],
    "LeakyReLU(0.25)": lambda: [LeakyReLU(0.25)],
    "LeakyReLU(1)": lambda: [LeakyReLU(1.0)],
}
windows = st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3))


def chain(case: Geometry, rectifier: str, window: tuple[int, int] | None, *, use_bias: bool) -> list[Layer]:
    """A convolution and what follows it."""
    convolution = Conv2D(case.filters, case.window, stride=case.stride, padding=case.padding, use_bias=use_bias)
    return [convolution, *RECTIFIERS[rectifier](), *([] if window is None else [MaxPool2D(window)])]


def fits(make: Callable[[], list[Layer]], shape: tuple[int, ...]) -> bool:
    """Whether no window is larger than its image."""
    try:
        built(make, shape)
    except ValueError:
        return False
    return True


FUSED: dict[str, tuple[Make, tuple[int, ...]]] = {
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


@pytest.mark.parametrize("tile", [conv_lowering.TILE, 3000, 1], ids=["one tile", "few tiles", "a tile a row"])
@pytest.mark.parametrize(("make", "shape"), FUSED.values(), ids=FUSED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_batches_of_several_sizes_in_turn_are_those_of_the_pages(
    make: Make, shape: tuple[int, ...], tile: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv_lowering, "TILE", tile)
    pages, run = built(make, shape, dtype, normal), ByProgram(built(make, shape, dtype, normal), dtype)
    assert "Conv2D + " in repr(run.ops[0])
    for seed, count in enumerate((4, 1, 6, 4, 1)):
        x, dy = normal(seed, count, *shape, dtype=dtype), normal(seed + 9, count, *pages[-1].output_shape, dtype=dtype)
        assert_close_passes(run(x, dy), by_hand(pages, x, dy), 1e-11 if dtype is np.float64 else 1e-4)


@given(
    case=strategies.convolutions(),
    rectifier=st.sampled_from(list(RECTIFIERS)),
    window=windows,
    use_bias=st.booleans(),
    tile=st.sampled_from([conv_lowering.TILE, 3000, 1]),
    seed=strategies.seeds,
)
def test_a_block_is_its_pages(
    case: Geometry, rectifier: str, window: tuple[int, int] | None, use_bias: bool, tile: int, seed: int
) -> None:
    def make() -> list[Layer]:
        return chain(case, rectifier, window, use_bias=use_bias)

    assume(fits(make, case.shape[1:]))
    with mock.patch.object(conv_lowering, "TILE", tile):
        assert_op_is_page(make, case.shape, [ConvBlockOp], seed)


@given(
    case=strategies.convolutions(largest=12),
    kernels=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=2),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid", 1]),
    first_window=windows,
    window=windows,
    rectifier=st.sampled_from(list(RECTIFIERS)),
    seed=strategies.seeds,
)
def test_a_chain_of_blocks_that_compute_only_what_is_read_is_its_pages(
    case: Geometry,
    kernels: list[tuple[int, int]],
    stride: int,
    padding: int | str,
    first_window: tuple[int, int] | None,
    window: tuple[int, int] | None,
    rectifier: str,
    seed: int,
) -> None:
    def make() -> list[Layer]:
        layers = chain(case, rectifier, first_window, use_bias=True)
        for kernel in kernels:
            layers += [Conv2D(2, kernel, stride=stride, padding=padding), ReLU()]
            layers += [] if window is None else [MaxPool2D(window)]
        return layers

    assume(fits(make, case.shape[1:]))
    assert_op_is_page(make, case.shape, [ConvBlockOp] * (1 + len(kernels)), seed)


@pytest.mark.parametrize("stride", [1, 2])
def test_rows_and_columns_that_the_next_block_does_not_read_are_not_computed(stride: int) -> None:
    """Of 13 x 13 a 3 x 3 kernel makes 11 x 11, of which 10 x 10 are pooled: the last row and column are not read.

    With stride 2 it makes 6 x 6, which are all pooled.
    """

    def make() -> list[Layer]:
        return [Conv2D(2, 3), MaxPool2D(2), Conv2D(3, 3, stride=stride), LeakyReLU(0.5), MaxPool2D(2), Conv2D(1, 2)]

    run = ByProgram(built(make, (1, 28, 28)))
    first, second, third = run.ops
    assert isinstance(first, ConvBlockOp)
    assert isinstance(second, ConvBlockOp)
    assert isinstance(third, ConvBlockOp)
    crop = {1: (12, 12), 2: (13, 13)}[stride]
    assert (first.output_crop, third.output_crop) == (crop, None)
    assert first.forward(public_view(np.zeros((28, 1, 28, 4))), training=False).shape == (4, 2, *crop)
    assert_op_is_page(make, (4, 1, 28, 28), [ConvBlockOp] * 3)


def test_a_block_whose_first_outputs_read_padding_alone_still_gets_a_row_and_a_column() -> None:
    """One output of a 1 x 1 kernel with padding 3 reads no pixel; what feeds it must not shrink below one."""

    def make() -> list[Layer]:
        return [Conv2D(2, 3), ReLU(), Conv2D(2, 1, padding=3, stride=4), ReLU(), Conv2D(2, 1, stride=9)]

    assert_op_is_page(make, (2, 1, 8, 8), [ConvBlockOp] * 3)


@pytest.mark.parametrize("rectifier", RECTIFIERS)
@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_infinities_and_nan_are_those_of_the_pages(rectifier: str, window: tuple[int, int] | None, seed: int) -> None:
    case = Geometry((2, 2, 7, 8), 3, (3, 2), (1, 1), 1)
    x = with_extremes(seed, normal(seed, *case.shape), 4)
    assert_same_outputs(lambda: chain(case, rectifier, window, use_bias=True), x, small_weights)


@pytest.mark.parametrize("rectifier", ["ReLU", "LeakyReLU(0)"])
@pytest.mark.parametrize("window", [None, (2, 2)])
def test_an_infinite_score_stays_infinite(rectifier: str, window: tuple[int, int] | None) -> None:
    layers = built(
        lambda: chain(Geometry((1, 1, 4, 4), 2, (1, 1), (1, 1), 0), rectifier, window, use_bias=True), (1, 4, 4)
    )
    layers[0].arrays["weights"][...] = 1
    layers[0].arrays["biases"][...] = np.inf, -np.inf
    y = ByProgram(layers)(np.ones((1, 1, 4, 4)), training=False).y
    assert (y[:, 0] == np.inf).all()
    assert (y[:, 1] == 0).all()


@pytest.mark.parametrize("rectifier", RECTIFIERS)
def test_ties_give_the_gradient_to_the_first_cell_as_the_pages_do(rectifier: str) -> None:
    """On MNIST's blank border every window is a tie; and ReLU makes ties of all that is negative."""

    def make() -> list[Layer]:
        return chain(Geometry((2, 1, 8, 8), 2, (3, 3), (1, 1), 0), rectifier, (2, 2), use_bias=True)

    pages, fast = (built(make, (1, 8, 8), values=small_weights) for _ in range(2))
    x = np.zeros((2, 1, 8, 8))
    x[1, 0, 3:5, 3:5] = 1
    dy = normal(0, 2, 2, 3, 3)
    expected, received = by_hand(pages, x, dy), ByProgram(fast)(x, dy)
    np.testing.assert_array_equal(received.y, expected.y)
    assert_close_passes(received, expected, 1e-12)


def test_without_fusion_the_convolution_alone_is_a_block() -> None:
    def make() -> list[Layer]:
        return [Conv2D(2, 3), ReLU(), MaxPool2D(2)]

    run = ByProgram(built(make, (1, 6, 6)), fuse=False)
    assert [repr(op) for op in run.ops] == ["Conv2D", "ReLU", "MaxPool2D"]
    x, dy = normal(0, 2, 1, 6, 6), normal(1, 2, 2, 2, 2)
    assert_close_passes(run(x, dy), by_hand(built(make, (1, 6, 6)), x, dy), 1e-12)


def test_an_inference_keeps_nothing_for_a_backward() -> None:
    run = ByProgram(built(lambda: [Conv2D(2, 3), ReLU()], (1, 5, 5)))
    (op,) = run.ops
    x = public_view(normal(0, 5, 1, 5, 2))
    y = op.forward(x, training=True)
    op.backward(y, needs_input_grad=True)
    op.forward(x, training=False)
    with pytest.raises(AssertionError):
        op.backward(y, needs_input_grad=True)
