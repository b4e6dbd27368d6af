"""The row form is the convolution, split by pooling phase or not, whatever the memory held before."""

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.engine.kernels import conv_lowering
from handconv.engine.kernels.conv_lowering import (
    TILE,
    InputGradient,
    RowForm,
    as_matrix,
    as_weights,
    expand,
    tiles,
    windows_of,
)
from handconv.engine.layout import memory_view, public_view
from handconv.geometry import geometry as sliding
from helpers import PoisonedMemory, assert_close, geometry_of
from oracles import Array
from strategies import Geometry, normal


def row_form(case: Geometry, phases: tuple[int, int]) -> RowForm:
    form = RowForm(geometry_of(case), phases)
    assume(min(form.pooled) >= 1)
    return form


def by_phase(y: Array, form: RowForm) -> Array:
    """(N, F, OH, OW) -> (pw, OH, F, OW/pw·N), literally."""
    (_, pw), (_, columns) = form.phases, form.pooled
    result = np.zeros((pw, form.rows, y.shape[1], columns, y.shape[0]))
    for b, i, f, j, n in np.ndindex(*result.shape):
        result[b, i, f, j, n] = y[n, f, i, j * pw + b]
    return result.reshape(*result.shape[:3], -1)


phases = st.tuples(st.integers(1, 3), st.integers(1, 3))


def windows(x: Array, case: Geometry, form: RowForm) -> Array:
    memory, (_, kernel_width) = PoisonedMemory(), case.window
    lines = form.phases[1], form.input_rows, kernel_width, case.shape[1]
    expanded = memory.array("expanded", (*lines, form.pooled[1], case.shape[0]), x.dtype)
    expand(np.ascontiguousarray(memory_view(x)), form, expanded, memory)
    return windows_of(expanded, form)


@given(strategies.convolutions(), phases, strategies.seeds)
def test_forward(case: Geometry, phases: tuple[int, int], seed: int) -> None:
    form = row_form(case, phases)
    x, weights = normal(seed, *case.shape), normal(seed + 1, *case.weights_shape)
    z = as_matrix(weights, PoisonedMemory()) @ windows(x, case, form)
    y = oracles.conv2d_forward(x, weights, np.zeros(case.filters), case.stride, case.pads)
    assert_close(z, by_phase(y, form))


@given(strategies.convolutions(), phases, strategies.tiles, strategies.seeds)
def test_backward(case: Geometry, phases: tuple[int, int], tile: int, seed: int) -> None:
    with mock.patch.object(conv_lowering, "TILE", tile):
        go_back(case, phases, seed)


class MemoryOfMany(PoisonedMemory):
    """A workspace whose scratch arrays others use as well."""

    def __init__(self) -> None:
        self.lent: list[Array] = []

    def scratch(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        self.lent.append(self.array(name, shape, dtype))
        return self.lent[-1]

    def overwrite(self) -> None:
        for array in self.lent:
            array[...] = np.nan


def go_back(case: Geometry, phases: tuple[int, int], seed: int) -> None:
    form = row_form(case, phases)
    x, weights = normal(seed, *case.shape), normal(seed + 1, *case.weights_shape)
    dz = np.empty((phases[1], form.rows, case.filters, form.pooled[1] * case.shape[0]))
    memory = MemoryOfMany()
    back = InputGradient(form, weights.shape, dz, case.shape[0], memory)
    for again in range(2):  # the second time in memory that others have used since
        dy = np.zeros((case.shape[0], case.filters, *form.geometry.outputs))  # zero where pooling drops the output
        kept = form.rows, form.pooled[1] * phases[1]
        dy[:, :, : kept[0], : kept[1]] = normal(seed + 2 + again, *dy.shape[:2], *kept)
        expected_dx, expected_dweights, _ = oracles.conv2d_backward(x, weights, dy, case.stride, case.pads)

        dz[...] = by_phase(dy, form)
        dweights = np.empty_like(weights)
        as_weights((dz @ windows(x, case, form).swapaxes(-1, -2)).sum(axis=(0, 1)), dweights)
        dx = np.full_like(np.ascontiguousarray(memory_view(x)), np.nan)
        back.compute(weights, dx)
        memory.overwrite()
        assert_close(dweights, expected_dweights)
        assert_close(public_view(dx), expected_dx)


def test_tiles_are_few_equal_pieces_of_at_most_so_many_bytes() -> None:
    assert list(tiles(5, TILE // 5)) == [slice(0, 5)]
    assert list(tiles(5, TILE // 4)) == [slice(0, 2), slice(2, 5)]
    assert list(tiles(2, 2 * TILE)) == [slice(0, 1), slice(1, 2)]  # a row is the least
    assert list(tiles(1, 2 * TILE)) == [slice(0, 1)]
    assert list(tiles(5, 0)) == [slice(0, 5)]
    assert list(tiles(0, 10)) == [slice(0, 0)]


def test_without_pooling_there_is_one_phase_and_all_inputs_are_required() -> None:
    form = RowForm(sliding(10, 8, (3, 3), (1, 1), (0, 0)))
    assert (form.phases, form.pooled, form.rows, form.input_rows, form.required_input) == (
        (1, 1),
        (8, 6),
        8,
        10,
        (10, 8),
    )


def test_padding_is_no_part_of_the_required_input() -> None:
    form = RowForm(sliding(10, 8, (3, 3), (1, 1), (1, 1)), output_crop=(2, 4))
    assert (form.input_rows, form.required_input) == (4, (3, 5))
    of_padding_alone = RowForm(sliding(10, 8, (1, 1), (1, 1), (3, 3)), output_crop=(2, 2))
    assert of_padding_alone.required_input == (1, 1)
    assert RowForm(sliding(10, 8, (3, 3), (1, 1), (1, 1))).required_input == (10, 8)


def test_a_row_form_stays_as_it_is() -> None:
    form = RowForm(sliding(10, 8, (3, 3), (1, 1), (0, 0)))
    with pytest.raises(AttributeError):
        form.phases = (2, 2)  # type: ignore[misc]
