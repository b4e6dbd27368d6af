"""A residual layer adds what its layers compute to what came in, or to the projection of it."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Conv2D, Dense, Dropout, Flatten, Layer, ReLU, Residual
from helpers import assert_close
from strategies import normal


def projected() -> Residual:
    layers = [Conv2D(4, 3, stride=2, padding=1), ReLU(), Conv2D(4, 3, padding=1)]
    return Residual(layers, Conv2D(4, 1, stride=2, use_bias=False))


def test_the_inputs_are_added_and_the_gradients_of_both_ways_too() -> None:
    dense = Dense(3)
    block, x, dy = Residual([dense, ReLU()]), normal(0, 5, 3), normal(1, 5, 3)
    y = block.forward(x)
    inner = np.maximum(x @ dense.weights + dense.biases, 0)
    assert_close(y, inner + x)
    assert_close(block.backward(dy), (dy * (inner > 0)) @ dense.weights.T + dy)
    assert_close(dense.dweights, x.T @ (dy * (inner > 0)))


def test_a_projection_brings_the_inputs_to_the_shape() -> None:
    block, x = projected(), normal(0, 2, 3, 6, 6)
    y = block.forward(x)
    assert y.shape == (2, 4, 3, 3)
    aside, within = block.projection, block.layers
    assert aside is not None
    apart = x
    for layer in within:
        apart = layer.forward(apart)
    assert_close(y, apart + aside.forward(x))


@pytest.mark.parametrize("make", [projected, lambda: Residual([Conv2D(3, 3, padding=1), Dropout(0.3)])])
def test_its_gradients_are_those_of_differences(make: Any) -> None:
    report = hc.gradcheck(make(), normal(0, 2, 3, 4, 4))
    assert report.ok, str(report)


def test_its_arrays_are_named_by_place_the_projections_too() -> None:
    network = hc.Sequential([projected(), Flatten(), Dense(2), hc.Softmax()], input_shape=(3, 6, 6), seed=0)
    assert list(network.named_parameters())[:5] == [
        "0.layers.0.weights", "0.layers.0.biases", "0.layers.2.weights", "0.layers.2.biases", "0.projection.weights"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual([]), r"Residual needs a list of layers, got \[\]"),
        (lambda: Residual(Dense(3)), r"Residual needs a list of layers, got Dense\(3\)"),  # type: ignore[arg-type]
        (lambda: Residual(["relu"]), r"Residual needs a list of layers, got \['relu'\]"),  # type: ignore[list-item]
        (lambda: Residual([ReLU()], 3), r"and the projection 3\."),  # type: ignore[arg-type]
        (lambda: Residual([Dense(2)]).build((3,)), r"its layers give \(2,\), and the way past them \(3,\)\. Keep the"),
        (lambda: Residual([Dense(2)], Dense(4)).build((3,)), r"the way past them \(4,\)\. Let the projection match\."),
    ],
)
def test_arguments_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_within_train_as_layers_of_the_network_do() -> None:
    """The same network, with the first layer once in a residual layer that adds nothing else."""

    class Zero(Layer):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            return 0 * inputs

        def backward(self, dvalues: Any) -> Any:
            return 0 * dvalues

    x, y, ends = normal(0, 12, 4), np.arange(12) % 3, []
    for first in (Dense(4), Residual([Dense(4)], Zero())):
        model = hc.Sequential([first, hc.Tanh(), Dense(3), hc.Softmax()], input_shape=(4,), seed=0, dtype="float64")
        model.fit(x, y, epochs=3, batch_size=5)
        ends.append(model.parameters.copy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-9, atol=1e-12)
