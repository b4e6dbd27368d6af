"""The row form is the convolution, split by pooling phase or not, whatever the memory held before."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.kernels.convolution import (
    RowForm,
    as_matrix,
    as_weights,
    expand,
    input_gradient,
    place_rows,
    weight_gradient,
    windows_of,
    zero_rows,
)
from handconv.kernels.memory import memory_shape, memory_view, public_view
from helpers import PoisonedMemory, assert_close, geometry_of
from oracles import Array
from strategies import Geometry, normal


def row_form(case: Geometry, phases: tuple[int, int]) -> RowForm:
    form = RowForm(geometry_of(case), phases)
    assume(min(form.outputs) >= 1)
    return form


def by_phase(y: Array, form: RowForm) -> Array:
    """(N, F, OH, OW) -> (pw, ph, OH/ph, F, OW/pw·N), literally."""
    (ph, pw), (rows, columns) = form.phases, form.outputs
    result = np.zeros((pw, ph, rows, y.shape[1], columns, y.shape[0]))
    for b, a, i, f, j, n in np.ndindex(*result.shape):
        result[b, a, i, f, j, n] = y[n, f, i * ph + a, j * pw + b]
    return result.reshape(*result.shape[:4], -1)


phases = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(strategies.convolutions(), phases, strategies.seeds)
def test_forward(case: Geometry, phases: tuple[int, int], seed: int) -> None:
    form, memory = row_form(case, phases), PoisonedMemory()
    x, weights = normal(seed, *case.shape), normal(seed + 1, *case.weights_shape)
    windows = windows_of(expand(np.ascontiguousarray(memory_view(x)), form, memory), form)
    z = as_matrix(weights) @ windows
    y = oracles.conv2d_forward(x, weights, np.zeros(case.filters), case.stride, case.pads)
    assert_close(z, by_phase(y, form))


@given(strategies.convolutions(), phases, strategies.seeds)
def test_backward(case: Geometry, phases: tuple[int, int], seed: int) -> None:
    form, memory = row_form(case, phases), PoisonedMemory()
    x, weights = normal(seed, *case.shape), normal(seed + 1, *case.weights_shape)
    dy = np.zeros((case.shape[0], case.filters, *form.geometry.outputs))  # zero where pooling drops the output
    kept = form.outputs[0] * phases[0], form.outputs[1] * phases[1]
    dy[:, :, : kept[0], : kept[1]] = normal(seed + 2, *dy.shape[:2], *kept)
    expected_dx, expected_dweights, _ = oracles.conv2d_backward(x, weights, dy, case.stride, case.pads)

    dz = by_phase(dy, form)
    dweights = np.empty_like(weights)
    windows = windows_of(expand(np.ascontiguousarray(memory_view(x)), form, memory), form)
    as_weights(weight_gradient(dz, windows, memory), dweights)
    padded = zero_rows(form, case.filters, case.shape[0], dz.dtype, memory)
    for row in range(dz.shape[2]):
        place_rows(dz[:, :, row : row + 1], row, form, padded)
    dx = input_gradient(padded, weights, form, memory_shape(case.shape), memory)
    assert_close(dweights, expected_dweights)
    assert_close(public_view(dx), expected_dx)
