"""What is written to arrays that are handed in; the values themselves are tested with the layers."""

from collections.abc import Callable

import numpy as np
import pytest

from handconv.arrays import FloatArray
from handconv.engine.kernels import elementwise

X = np.array([-1.5, 0.0, 2.0])
DY = np.array([0.5, -3.0, 7.0])


@pytest.mark.parametrize(
    "function",
    [
        lambda out: elementwise.leaky_relu(X, 0.1, out, np.empty(3)),
        lambda out: elementwise.leaky_relu_gradient(DY, X > 0, 0.1, out),
        lambda out: elementwise.sigmoid(X, out),
        lambda out: elementwise.sigmoid_gradient(DY, X, out),
        lambda out: elementwise.tanh(X, out),
        lambda out: elementwise.tanh_gradient(DY, X, out),
    ],
    ids=["leaky_relu", "leaky_relu_gradient", "sigmoid", "sigmoid_gradient", "tanh", "tanh_gradient"],
)
def test_the_result_is_what_was_handed_in(function: Callable[[FloatArray], FloatArray]) -> None:
    out = np.full(3, np.nan)
    assert function(out) is out
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(X, [-1.5, 0.0, 2.0])
    np.testing.assert_array_equal(DY, [0.5, -3.0, 7.0])
