"""What samples, targets and weights are refused, and which are remarked upon."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.samples import (
    checked_inputs,
    checked_weights,
    remark_on_targets,
)


class TestCheckedInputs:
    def test_arrays_are_handed_on_not_copied(self) -> None:
        x = np.zeros((3, 2), np.uint8)
        assert checked_inputs(x, (2,)) is x

    def test_lists_become_arrays(self) -> None:
        assert checked_inputs([[1.0, 2.0]]).shape == (1, 2)

    @pytest.mark.parametrize("x", [[["a", "b"]], np.array([[None]]), np.zeros((2, 2), complex)])
    def test_what_is_no_number_is_an_error(self, x: Any) -> None:
        with pytest.raises(TypeError, match=r"x must hold numbers, got an array of .*astype\('float32'\)"):
            checked_inputs(x)

    @pytest.mark.parametrize("x", [1.0, [1.0, 2.0]])
    def test_a_single_sample_is_an_error(self, x: Any) -> None:
        with pytest.raises(ValueError, match=r"x must be a batch of samples \(N, …\).*Use x\[None\]"):
            checked_inputs(x)

    def test_the_wrong_shape_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"x must have shape \(N, 1, 28, 28\), got \(5, 28, 28\)\."):
            checked_inputs(np.zeros((5, 28, 28)), (1, 28, 28))

    def test_channels_last_is_recognised(self) -> None:
        with pytest.raises(ValueError, match=r"Channels last\? Use x\.transpose\(0, 3, 1, 2\)"):
            checked_inputs(np.zeros((5, 28, 28, 1)), (1, 28, 28))

    def test_no_sample_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"test data must hold at least one sample, got shape \(0, 3\)"):
            checked_inputs(np.zeros((0, 3)), (3,), name="test data")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", [0, 4095, 4096, 9999])
    def test_one_number_that_is_not_finite_is_an_error(self, bad: float, place: int) -> None:
        x = np.zeros((10_000, 1), np.float32)
        x[place] = bad
        with pytest.raises(ValueError, match=r"x must be finite, got NaN or infinity.*nan_to_num"):
            checked_inputs(x)


def test_no_check_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_inputs(np.full((3, 2), np.finfo(np.float32).max, np.float32))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 4, 4), 127, np.int8), r"x holds images from 127 to 127 as int8; .* Use x / 127"),
        (np.full((2, 1, 4, 4), 200, np.uint8).view(np.int8), r"x looks like pixels that were .* Use x.view\('uint8'\)"),
        (np.full((2, 1, 4, 4), 70_000, np.uint32), r"x holds images from 70000 to 70000 as uint32"),
        (np.full((2, 1, 4, 4), 99.5, np.float32), r"x holds images from 99.5 to 99.5 as float32"),
        (np.full((2, 1, 4, 4), -300.0), r"x holds images from -300 to -300 as float64; .* Use x / 300"),
    ],
)
def test_images_on_another_scale_are_warned_of(images: NDArray[Any], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        checked_inputs(images)


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, np.float32])
def test_images_near_the_scale_of_0_to_1_are_not_warned_of(dtype: type[np.generic]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_inputs(np.array([-1, 0, 1, 5]).astype(dtype).clip(0, 5).reshape(1, 1, 2, 2))


def test_pixels_that_are_not_uint8_are_warned_of() -> None:
    images = np.full((2, 1, 4, 4), 200, np.int64)
    with pytest.warns(UserWarning, match=r"x looks like pixels from 0 to 255 as int64; .* Use x.astype\('uint8'\)"):
        checked_inputs(images)
    checked_inputs(images.astype(np.uint8))
    checked_inputs(images / 255)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 4, 4), 200.0), r"pixels from 0 to 255 as float64; .* Use x.astype\('uint8'\), or x / 255"),
        (np.full((2, 1, 4, 4), 60_000, np.uint16), r"pixels from 0 to 65535 as uint16; .* Use x / 65535"),
        (np.full((2, 49), 200, np.int32), r"pixels from 0 to 255 as int32"),
        (np.full((2, 64), 128), r"pixels from 0 to 255"),
        (np.repeat([[200.0]] * 4 + [[0.5]], 64, axis=1), r"pixels from 0 to 255"),  # four samples tell
        (np.full((2, 64), 255), r"pixels from 0 to 255"),
        (np.full((2, 64), 256), r"pixels from 0 to 65535"),
        (np.full((2, 64), 65535), r"pixels from 0 to 65535"),
        (np.eye(64) * 200, r"pixels from 0 to 255"),
        (np.full((2, 1, 4, 4), 65536), r"holds images from 65536 to 65536"),
        (np.full((2, 1, 4, 4), 300.5), r"holds images from 300\.5 to 300\.5"),
        (np.full((2, 1, 4, 4), 20.5), r"holds images from 20\.5 to 20\.5"),
        (np.eye(8, dtype=np.int8).reshape(1, 1, 8, 8) * 127, r"holds images from 0 to 127 as int8"),
        (np.full((64, 1, 4, 4), 31, np.uint8), r"uint8 from 0 to 31, "),
        (np.eye(64, 8, dtype=np.uint8), r"uint8 from 0 to 1, .* Use x.astype\('float32'\)\."),
        (np.full((64, 1, 4, 4), 1, np.uint8), r"uint8 from 0 to 1, .* Use x.astype\('float32'\)\."),
        (np.full((64, 1, 4, 4), 16, np.uint8), r"uint8 from 0 to 16, .* Use x.astype\('float32'\) / 16"),
    ],
)
def test_pixels_of_another_scale_are_warned_of(images: Any, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        checked_inputs(images)


@pytest.mark.parametrize(
    "x",
    [
        np.full((2, 64), 200.5), np.full((2, 48), 200), np.full((2, 64), 1, np.uint8), np.full((2, 1, 4, 4), -12.0),
        np.full((2, 1, 4, 4), 20.0), np.full((2, 1, 4, 4), -20.0), np.full((2, 64), 127), np.full((2, 64), -200),
        np.full((64, 1, 4, 4), 32, np.uint8), np.full((63, 1, 4, 4), 1, np.uint8), np.zeros((64, 1, 4, 4), np.uint8),
        np.repeat(np.array([0, 32], np.uint8), 64)[:, None, None, None],
        np.stack([np.zeros((1, 4, 4), np.uint8)] * 300 + [np.full((1, 4, 4), 255, np.uint8)]), np.zeros((2, 0)),
    ],
)  # fmt: skip
def test_numbers_that_may_be_meant_so_are_not_remarked_upon(x: Any) -> None:
    assert checked_inputs(x) is x


_PIXELS = np.full((2, 1, 4, 4), 2, np.uint8)


@pytest.mark.parametrize("y", [_PIXELS, _PIXELS[:, 0]])
def test_images_of_pixels_as_targets_are_remarked_upon(y: Any) -> None:
    with pytest.warns(UserWarning, match="y holds images of uint8 up to 2, which are taken as they are, while x is"):
        remark_on_targets(_PIXELS, y)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (_PIXELS, _PIXELS[:, 0, 0]),  # rows may be counts
        (_PIXELS, _PIXELS // 2),  # masks of 0 and 1
        (_PIXELS, _PIXELS / 255),
        (_PIXELS / 255, _PIXELS),
        (_PIXELS.astype(int), _PIXELS.astype(int)),
    ],
)
def test_other_targets_are_not_remarked_upon(x: Any, y: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remark_on_targets(x, y)


def test_a_sample_alone_is_told() -> None:
    with pytest.raises(ValueError, match=r"A single sample\? Use x\[None\]"):
        checked_inputs(np.zeros((1, 8, 8)), (1, 8, 8))


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_numbers_beyond_the_networks_range_are_an_error(value: float) -> None:
    x, message = np.array([[0.0, value]]), f"the range of float32, got {value:g}. Scale it, or use dtype='float64'"
    with pytest.raises(ValueError, match=re.escape(message)):
        checked_inputs(x, dtype=np.float32)
    assert checked_inputs(x, dtype=np.float64) is x


def test_samples_of_different_shapes_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"x must be one array of samples of the same shape .* Resize them first"):
        checked_inputs([np.zeros((2, 2)), np.zeros((3, 2))])


def test_masked_values_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"x has 1 masked \(missing\) value. Fill it first"):
        checked_inputs(np.ma.array([[1.0, 2.0]], mask=[[False, True]]))
    assert checked_inputs(np.ma.array([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("outputs", "known"),
    [
        (3, "0, 1, 2."), (12, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11."), (13, "0 to 12."), (20, "0 to 19."),
        (1, "0, 1."),  # a single output says yes or no
    ],
)  # fmt: skip
def test_class_weights_name_classes_that_there_are(outputs: int, known: str) -> None:
    with pytest.raises(ValueError, match=f"names class 99, which there is not; the classes are {re.escape(known)}"):
        checked_weights(2, np.array([0, 1]), None, {99: 2.0}, outputs)
    checked_weights(2, np.array([0, 1]), None, {outputs - 1: 2.0}, outputs)


@pytest.mark.parametrize(
    ("sample_weights", "class_weights"),
    [(None, {0: 0.0, 1: 0.0}), ([0.0, 0.0], None), ([1.0, 0.0], {0: 0.0})],
)
def test_weights_that_leave_every_sample_out_are_refused(sample_weights: Any, class_weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weights are 0 for every sample, .* nothing to learn from"):
        checked_weights(2, np.array([0, 1]), sample_weights, class_weights)


def test_class_weights_need_classes() -> None:
    with pytest.raises(ValueError, match=r"class_weights need targets that name classes. Use sample_weights"):
        checked_weights(2, np.array([0.5, 1.5]), None, {0: 2.0})


def test_without_outputs_the_classes_are_two_and_those_of_the_targets() -> None:
    with pytest.raises(ValueError, match=r"names class 2, which there is not; the classes are 0, 1\."):
        checked_weights(2, np.array([0, 1]), None, {2: 2.0})
    checked_weights(2, np.array([0, 2]), None, {2: 2.0})


class TestImagesAsTargets:
    def network(self) -> hc.Sequential:
        return hc.Sequential([hc.Conv2D(1, 3, padding=1)], input_shape=(1, 6, 6), seed=0)

    def test_as_pixels_beside_pixels_are_remarked_upon(self) -> None:
        images = np.full((8, 1, 6, 6), 200, np.uint8)
        with pytest.warns(
            UserWarning, match=r"y holds images of uint8 up to 200, .* while x is divided by 255\. Use y /"
        ):
            self.network().evaluate(images, images, loss=hc.MeanSquaredError())

    def test_on_the_scale_of_the_inputs_are_not(self) -> None:
        images = np.full((8, 1, 6, 6), 200, np.uint8)
        self.network().evaluate(images, images / 255, loss=hc.MeanSquaredError())
        self.network().evaluate(images / 255, (images > 100).astype(np.uint8), loss=hc.MeanSquaredError())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: "x.npy", "str"),
        (lambda: {"x": [1.0]}, "dict"),
        (lambda: (row for row in np.eye(2)), "generator"),
        (lambda: None, "NoneType"),
    ],
)
def test_what_is_no_array_is_refused_by_what_it_is(make: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"x must be an array of samples \(N, …\), got {kind}\. Make an array of it"):
        checked_inputs(make())
