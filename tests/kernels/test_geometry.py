"""Where windows slide: sizes, paddings, and the pairing of outputs with the inputs they see."""

from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.kernels.geometry import Axis, geometry
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


def test_windows_overlap_where_a_window_is_longer_than_the_stride_in_either_direction() -> None:
    assert geometry(8, 8, (2, 3), (2, 2), (0, 0)).overlaps
    assert geometry(8, 8, (3, 2), (2, 2), (0, 0)).overlaps
    assert not geometry(8, 8, (2, 2), (2, 3), (0, 0)).overlaps


def test_padded_is_the_size_with_both_paddings() -> None:
    assert Axis(5, 3, before=1, after=2).padded == 8


@given(strategies.convolutions(), st.integers(1, 3), st.data())
def test_overlap_pairs_each_output_of_a_phase_with_the_input_it_sees(
    case: strategies.Geometry, phases: int, data: st.DataObject
) -> None:
    axis = geometry_of(case).rows
    count = axis.outputs // phases
    u, phase = data.draw(st.integers(0, axis.window - 1)), data.draw(st.integers(0, phases - 1))
    expected = [
        (k, h) for k in range(count) if 0 <= (h := (phase + k * phases) * axis.stride + u - axis.before) < axis.size
    ]
    outputs, inputs = axis.overlap(u, count, phase=phase, phases=phases)
    assert list(zip(range(count)[outputs], range(axis.size)[inputs], strict=True)) == expected
