"""The dense op equals its page."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from engine_helpers import ByProgram, assert_op_is_page, assert_same_outputs, built, small_weights, with_extremes
from handconv.engine.kernels import gemm
from handconv.engine.layout import public_view
from handconv.engine.ops.dense import DenseOp
from handconv.layers import Dense
from strategies import normal

sizes = st.integers(1, 40)


@given(
    samples=sizes,
    features=sizes,
    units=sizes,
    use_bias=st.booleans(),
    blocked=st.booleans(),
    seed=strategies.seeds,
)
def test_a_dense_op_is_its_page(
    samples: int, features: int, units: int, use_bias: bool, blocked: bool, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if blocked:  # in bands, as on processors with AVX-512
            for name, value in {"_SMALL": 60, "_ROWS": 2, "_COLUMNS": 3}.items():
                patch.setattr(gemm, name, value)
        gemm._bands.cache_clear()
        assert_op_is_page(lambda: [Dense(units, use_bias=use_bias)], (samples, features), [DenseOp], seed)
    gemm._bands.cache_clear()


@pytest.mark.parametrize("seed", range(4))
def test_infinities_and_nan_are_those_of_the_page(seed: int) -> None:
    assert_same_outputs(lambda: [Dense(3)], with_extremes(seed, normal(seed, 4, 5)), small_weights)


def test_an_inference_keeps_nothing_for_a_backward() -> None:
    (op,) = ByProgram(built(lambda: [Dense(3)], (2,))).ops
    x = public_view(np.ones((2, 4)))
    y = op.forward(x, training=True)
    op.forward(x, training=False)
    with pytest.raises(AssertionError):
        op.backward(y, needs_input_grad=True)
