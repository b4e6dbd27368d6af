"""The form of MNIST: size, place, width of strokes; and which pictures are clean."""

import numpy as np
import pytest
from numpy.typing import NDArray

from handconv.datasets.readers.mnist_form import frame, is_framed
from handconv.reading.framing import read_clean, read_framed, stroke_width, to_mnist_form
from picture_cases import BOX, SHAPE, ink, mixed


def amount(digit: int, pen: float = 0.13) -> NDArray[np.uint8]:
    return (255 * ink(digit, (240, 240), (20, 20, 200), pen)).astype(np.uint8)


def picture(digit: int = 5) -> NDArray[np.uint8]:
    return mixed(235.0, ink(digit, SHAPE, BOX)).astype(np.uint8)


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("pen", [0.01, 0.05, 0.13, 0.3])
def test_whatever_the_pen_strokes_get_the_width_of_mnists(digit: int, pen: float) -> None:
    image = to_mnist_form(amount(digit, pen))
    assert is_framed(image)
    assert 1.3 <= stroke_width(np.kron(image, np.ones((4, 4), np.uint8))) / 4 <= 5.2


def test_strokes_of_mnists_width_are_left_as_they_are() -> None:
    bar = np.full((200, 30), 255, np.uint8)
    assert np.count_nonzero(to_mnist_form(bar)[14]) == 3


@pytest.mark.parametrize("mode", ["light on dark", "dark on light"])
def test_an_image_in_the_form_of_mnist_is_taken_as_it_is(mode: str) -> None:
    image = frame(np.full((20, 4), 255, np.uint8))
    found = read_framed(image if mode == "light on dark" else 255 - image)
    assert found is not None
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("shift", [5, -5])
def test_a_digit_that_is_not_in_the_middle_is_not_framed(shift: int) -> None:
    assert read_framed(np.roll(frame(np.full((20, 4), 255, np.uint8)), shift, axis=1)) is None


def test_a_clean_picture_gives_the_ink_and_its_box() -> None:
    found = read_clean(picture(1))
    assert found is not None
    ink_found, (left, top, right, bottom) = found
    assert ink_found.shape == (bottom - top, right - left)
    assert ink_found.max() == 255
    assert np.abs(np.array([left, top, right, bottom]) - (160, 107, 205, 333)).max() <= 3


@pytest.mark.parametrize(
    "what", ["uneven light", "two digits", "a frame", "a sheet on black", "dark and light ink", "blank", "pale"]
)
def test_what_is_not_clean_is_left_to_the_segmentation(what: str) -> None:
    pixels = picture()
    match what:
        case "uneven light":
            pixels = (pixels * np.linspace(1, 0.6, SHAPE[1])).astype(np.uint8)
        case "two digits":
            pixels = np.hstack([pixels, pixels])
        case "a frame":
            pixels[30:34, 30:-30] = pixels[-34:-30, 30:-30] = pixels[30:-30, 30:34] = pixels[30:-30, -34:-30] = 40
        case "a sheet on black":
            pixels = np.pad(pixels, 20)
        case "dark and light ink":
            pixels[200:210, 300:310] = 255
        case "blank":
            pixels[:] = 235
        case "pale":
            pixels = (200 + pixels // 20).astype(np.uint8)
    assert read_clean(pixels) is None
