"""Where windows slide: sizes and paddings."""

import pytest
from hypothesis import given

import oracles
import strategies
from handconv.geometry import Axis, geometry
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
