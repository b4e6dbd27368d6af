"""Inputs become floats with the batch innermost, as ``Network.forward`` makes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handconv.engine.arena import Arena
from handconv.engine.capture import replay, untracked
from handconv.engine.layout import memory_view
from handconv.engine.ops.inputs import InputOp
from handconv.layers import Flatten
from handconv.network import Network

RECEIVED = [np.uint8, np.int8, np.int64, np.bool_, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("received", RECEIVED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(shape=st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple), seed=st.integers(0, 99))
def test_samples_are_brought_to_floats_as_by_hand(
    received: type, dtype: type, shape: tuple[int, ...], seed: int
) -> None:
    memory, network = Arena(), Network([Flatten()], input_shape=shape[1:], dtype=dtype)
    op = InputOp(shape, received, dtype, memory.scope())
    batches = [np.random.default_rng(seed + k).uniform(0, 256, shape).astype(received) for k in range(2)]
    op.source[...] = memory_view(batches[0])
    with memory.capture.recording() as calls:
        x = op.forward()
    for batch in batches:
        op.source[...] = memory_view(batch)
        replay(calls)
        assert x.dtype == dtype
        np.testing.assert_array_equal(untracked(x).reshape(len(batch), -1), network.forward(batch))
    assert memory_view(x).flags.c_contiguous


def test_pixels_are_divided_by_255_and_other_numbers_stay() -> None:
    for received, expected in ((np.uint8, 1.0), (np.int16, 255.0)):
        op = InputOp((1, 1), received, np.float32, Arena())
        op.source[...] = 255
        assert op.forward().tolist() == [[expected]]
