"""The residual layer's op equals its page: both ways forward, both ways back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_helpers import ByProgram, assert_op_is_page, assert_same_outputs, built, with_extremes
from handconv.engine.ops.dense import DenseOp
from handconv.engine.ops.residual import ResidualOp
from handconv.layers import Conv2D, Dense, Layer, LeakyReLU, Residual, Tanh
from strategies import normal, seeds


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    filters=st.integers(1, 4),
    projected=st.booleans(),
    twice=st.booleans(),
    seed=seeds,
)
def test_of_images_of_any_size(shape: tuple[int, ...], filters: int, projected: bool, twice: bool, seed: int) -> None:
    filters = filters if projected else shape[1]

    def block() -> Layer:
        body: list[Layer] = [Conv2D(filters, 3, padding=1), LeakyReLU(0.5)]
        if twice:
            body.append(Residual([Conv2D(filters, 1)]))
        return Residual(body, projection=Conv2D(filters, 1) if projected else None)

    assert_op_is_page(lambda: [block()], shape, [ResidualOp], seed)


@given(count=st.integers(1, 5), size=st.integers(1, 6), seed=seeds)
def test_between_layers_with_parameters(count: int, size: int, seed: int) -> None:
    def make() -> list[Layer]:
        return [Dense(size), Residual([Dense(3), Dense(size)]), Dense(2)]

    assert_op_is_page(make, (count, 4), [DenseOp, ResidualOp, DenseOp], seed)


@pytest.mark.parametrize("layer", [Residual, Tanh])
def test_its_layers_have_ops_of_their_own_only_with_the_engine(layer: Any) -> None:
    make = (lambda: [Residual([Dense(3)])]) if layer is Residual else (lambda: [Tanh()])
    assert type(ByProgram(built(make, (3,)), engine=False).ops[0]).__name__ == "PythonOp"
    assert type(ByProgram(built(make, (3,))).ops[0]).__name__ != "PythonOp"


@pytest.mark.parametrize("seed", range(3))
def test_infinities_and_nan_are_those_of_the_page(seed: int) -> None:
    assert_same_outputs(lambda: [Residual([LeakyReLU(0.5)])], with_extremes(seed, normal(seed, 2, 2, 3, 3), 4))
