"""Where windows slide: sizes, paddings, the windows themselves."""

import numpy as np
import pytest
from hypothesis import given

import oracles
import strategies
from handconv.geometry import Axis, geometry, pad_images, window_slices, windows_of
from helpers import geometry_of


@given(strategies.convolutions())
def test_outputs_and_padding_are_those_of_the_oracle(case: strategies.Geometry) -> None:
    found = geometry_of(case)
    assert found.outputs == oracles.output_size((case.shape[2], case.shape[3]), case.window, case.stride, case.pads)
    assert ((found.rows.before, found.rows.after), (found.columns.before, found.columns.after)) == case.pads
    assert found.has_padding == any(case.pads[0] + case.pads[1])


@given(strategies.convolutions())
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(case: strategies.Geometry) -> None:
    height, width = case.shape[2:]
    found = geometry(height, width, case.window, case.stride, "same")
    assert found.outputs == (-(-height // case.stride[0]), -(-width // case.stride[1]))


def test_windows_overlap_where_they_are_longer_than_the_stride() -> None:
    assert [Axis(8, window, stride=2).overlaps for window in (1, 2, 3)] == [False, False, True]


def test_padded_is_the_size_with_both_paddings() -> None:
    assert Axis(5, 3, before=1, after=2).padded == 8


def test_both_stay_as_they_are() -> None:
    with pytest.raises(AttributeError):
        Axis(5, 3).size = 6  # type: ignore[misc]
    with pytest.raises(AttributeError):
        geometry(5, 5, (3, 3), (1, 1), "same").rows = Axis(6, 3)  # type: ignore[misc]


def test_a_window_steps_by_one_over_no_padding_unless_told_otherwise() -> None:
    assert Axis(5, 3) == Axis(5, 3, stride=1, before=0, after=0)


@given(strategies.convolutions(), strategies.seeds)
def test_padding_surrounds_the_images_with_the_fill_and_inside_is_the_rest(
    case: strategies.Geometry, seed: int
) -> None:
    x, found = strategies.normal(seed, *case.shape), geometry_of(case)
    padded = pad_images(x, found, 7.0)
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), (0, 0), *case.pads), constant_values=7))
    np.testing.assert_array_equal(padded[found.inside], x)
    assert padded.shape[2:] == (found.rows.padded, found.columns.padded)


def test_without_padding_the_images_are_given_back() -> None:
    x = np.ones((1, 1, 3, 3))
    assert pad_images(x, geometry(3, 3, (2, 2), (1, 1), 0), 0.0) is x


def test_padding_keeps_the_type_of_the_numbers() -> None:
    x = np.ones((1, 1, 3, 3), np.float32)
    assert pad_images(x, geometry(3, 3, (2, 2), (1, 1), 1), -np.inf).dtype == np.float32


@given(strategies.convolutions(), strategies.seeds)
def test_the_windows_are_the_cells_that_the_oracle_names(case: strategies.Geometry, seed: int) -> None:
    x, found = strategies.normal(seed, *case.shape), geometry_of(case)
    windows = windows_of(pad_images(x, found, 0.0), found)
    assert windows.shape == (*case.shape[:2], *case.window, *found.outputs)
    expected = np.zeros(windows.shape)
    for i, j, u, v, h, w in oracles.window_cells(case.shape[2:], case.window, case.stride, case.pads):
        expected[:, :, u, v, i, j] = x[:, :, h, w]
    np.testing.assert_array_equal(windows, expected)


@given(strategies.convolutions(), strategies.seeds)
def test_the_slices_of_an_offset_are_that_cell_of_all_windows(case: strategies.Geometry, seed: int) -> None:
    x, found = strategies.normal(seed, *case.shape), geometry_of(case)
    padded = pad_images(x, found, 0.0)
    windows, slices = windows_of(padded, found), list(window_slices(found))
    assert [offset for offset, _ in slices] == list(np.ndindex(*case.window))
    for (u, v), window in slices:
        np.testing.assert_array_equal(padded[window], windows[:, :, u, v])


def test_windows_are_views() -> None:
    x = np.zeros((1, 1, 4, 4))
    assert np.shares_memory(windows_of(x, geometry(4, 4, (2, 2), (1, 1), 0)), x)


@given(strategies.convolutions())
def test_so_many_outputs_look_at_so_many_of_the_padded_inputs(case: strategies.Geometry) -> None:
    rows = geometry_of(case).rows
    assert rows.inputs_of(rows.outputs) <= rows.padded < rows.inputs_of(rows.outputs + 1)
    assert rows.inputs_of(1) == rows.window


def test_cut_is_the_same_window_over_a_smaller_image() -> None:
    whole = geometry(7, 9, (3, 2), (2, 1), 1)
    assert whole.cut(5, 4) == geometry(5, 4, (3, 2), (2, 1), 1)


@pytest.mark.parametrize("padding", [0, (0, 1), "same"])
def test_dilation_spreads_a_window_over_more_cells(padding: object) -> None:
    x = strategies.normal(0, 2, 3, 9, 8)
    spread = geometry(9, 8, (3, 2), (2, 1), padding, (2, 3))  # type: ignore[arg-type]
    dense = geometry(9, 8, (5, 4), (2, 1), padding)  # type: ignore[arg-type]
    assert spread.outputs == dense.outputs
    padded = pad_images(x, spread, 0.0)
    np.testing.assert_array_equal(windows_of(padded, spread), windows_of(padded, dense)[:, :, ::2, ::3])
    for (u, v), window in window_slices(spread):
        np.testing.assert_array_equal(padded[window], windows_of(padded, spread)[:, :, u, v])
