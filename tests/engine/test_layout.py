"""The order of the memory: the batch innermost, the values as they were."""

import numpy as np
import pytest

from handconv.engine.capture import Capture, CapturedArray
from handconv.engine.layout import memory_shape, memory_view, public_view, strided

SHAPES = [(4,), (4, 3), (4, 3, 2), (4, 3, 5, 2), (4, 3, 5, 2, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_has_the_batch_innermost_and_public_view_undoes_it(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    memory = memory_view(x)
    assert memory.shape == memory_shape(shape)
    assert memory.shape[-1] == shape[0]
    assert np.shares_memory(memory, x)
    np.testing.assert_array_equal(public_view(memory), x)


def test_images_lie_as_height_channels_width_batch() -> None:
    assert memory_shape((4, 3, 5, 2)) == (5, 3, 2, 4)


def test_a_strided_view_shows_the_same_memory_from_a_byte_on() -> None:
    x = np.arange(12.0)
    view = strided(x, 8, (3, 2), (16, 8))
    assert np.shares_memory(view, x)
    assert view.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert type(view) is np.ndarray


def test_a_strided_view_of_a_tracked_array_is_tracked_by_the_same_capture() -> None:
    capture = Capture()
    with capture.recording() as calls:
        view = strided(capture.track(np.zeros(4)), 0, (2,), (16,))
        view += 1
    assert isinstance(view, CapturedArray)
    assert len(calls) == 1
    assert type(strided(np.zeros(4).view(CapturedArray), 0, (2,), (16,))) is np.ndarray
