"""The batch normalisation's op equals its page, in training and out of it, alone and folded into a convolution."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_helpers import ByProgram, assert_close_passes, built, by_hand, with_extremes
from handconv.engine.layout import memory_view, public_view
from handconv.engine.ops.conv_block import ConvBlockOp
from handconv.engine.ops.norm import BatchNormOp
from handconv.engine.program import Program
from handconv.layers import BatchNorm, Conv2D, Layer, LeakyReLU, MaxPool2D
from helpers import assert_close
from strategies import normal, seeds

RUNNING = ("running_mean", "running_var")
SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 4)) | st.tuples(
    st.integers(2, 5), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)
)


def with_statistics(make: Callable[[], Sequence[Layer]], shape: tuple[int, ...], dtype: Any) -> list[Layer]:
    """Build layers whose parameters are any numbers, and whose running variances are positive."""
    layers = built(make, shape, dtype, normal)
    for layer in layers:
        if isinstance(layer, BatchNorm):
            layer.running_var = np.abs(layer.running_var) + 0.5
    return layers


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-3)])
@given(shape=SHAPES, momentum=st.sampled_from([0.0, 0.5, 0.9]), epsilon=st.sampled_from([1e-3, 1.0]), seed=seeds)
def test_the_op_is_its_page_and_keeps_the_same_running_statistics(
    dtype: Any, tolerance: float, shape: tuple[int, ...], momentum: float, epsilon: float, seed: int
) -> None:
    def make() -> list[Layer]:
        return [BatchNorm(momentum=momentum, epsilon=epsilon)]

    (page,), (layer,) = with_statistics(make, shape[1:], dtype), with_statistics(make, shape[1:], dtype)
    run = ByProgram([layer], dtype)
    assert [type(op) for op in run.ops] == [BatchNormOp]
    for step, needs_input_grad in enumerate((True, False, True)):
        x, dy = (normal(seed + 2 * step + k, *shape, dtype=dtype) for k in range(2))
        received = run(x, dy, needs_input_grad=needs_input_grad)
        assert_close_passes(received, by_hand([page], x, dy), tolerance)
        for name in RUNNING:
            assert_close(layer.arrays[name], page.arrays[name], tolerance)
    kept = {name: layer.arrays[name].copy() for name in RUNNING}
    assert_close(run(x, training=False).y, by_hand([page], x, training=False).y, tolerance)
    for name in RUNNING:
        np.testing.assert_array_equal(layer.arrays[name], kept[name])


def test_a_shard_of_one_number_a_channel_has_its_own_variance() -> None:
    """There is no unbiased variance of one number; a page refuses the shard, an op that is asked stays finite."""
    (layer,) = with_statistics(lambda: [BatchNorm(momentum=0.5)], (2,), np.float64)
    before = layer.running_var.copy()
    ByProgram([layer])(np.ones((1, 2)))
    np.testing.assert_allclose(layer.running_var, before / 2)


@pytest.mark.parametrize("seed", range(4))
def test_infinities_and_nan_are_those_of_the_page(seed: int) -> None:
    x = with_extremes(seed, normal(seed, 4, 3, 3, 2), 3)
    (page,), (layer,) = (with_statistics(lambda: [BatchNorm()], x.shape[1:], np.float64) for _ in range(2))
    run = ByProgram([layer])
    with np.errstate(invalid="ignore"):
        for training in (False, True):
            assert_close(run(x, training=training).y, by_hand([page], x, training=training).y, 1e-10)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("after", [0, 1, 2])
@given(side=st.integers(4, 9), filters=st.integers(1, 4), count=st.integers(1, 4), seed=seeds)
def test_out_of_training_it_is_folded_into_the_convolution_before_it(
    use_bias: bool, after: int, side: int, filters: int, count: int, seed: int
) -> None:
    def make() -> list[Layer]:
        rest = [LeakyReLU(0.1), MaxPool2D(2)][:after]
        return [Conv2D(filters, 3, use_bias=use_bias), BatchNorm(epsilon=0.1), *rest]

    layers = with_statistics(make, (2, side, side), np.float64)
    program = Program(layers, np.float64)
    assert [type(op) for op in program.ops] == [ConvBlockOp]
    x = public_view(memory_view(normal(seed, count, 2, side, side)).copy())
    expected = by_hand(layers, x, training=False).y
    assert_close(np.asarray(program.forward(x, training=False)), expected, 1e-10)
    layers[1].running_mean = layers[1].running_mean + 1.0  # what is folded is looked up anew each time
    changed = by_hand(layers, x, training=False).y
    assert_close(np.asarray(program.forward(x, training=False)), changed, 1e-10)
    assert np.abs(changed - expected).max() > 0


def test_in_training_it_is_not_folded() -> None:
    layers = built(lambda: [Conv2D(2, 3), BatchNorm()], (1, 5, 5))
    assert [type(op) for op in ByProgram(layers).ops] == [ConvBlockOp, BatchNormOp]
