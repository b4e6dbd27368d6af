"""How images were prepared is told from them, and kept in plain values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handconv.datasets import Preparation, load
from handconv.datasets.preparation import FITS, POLARITIES, measure

preparations = st.builds(
    Preparation,
    size=st.tuples(st.integers(1, 1000), st.integers(1, 1000)),
    channels=st.sampled_from([1, 3]),
    polarity=st.sampled_from(POLARITIES),
    fit=st.sampled_from(FITS),
    scale=st.sampled_from([255, 1, 15, 16, 0.5]),
    transpose=st.booleans(),
)


@given(preparations)
def test_it_comes_back_from_json(preparation: Preparation) -> None:
    assert Preparation.from_dict(json.loads(json.dumps(preparation.as_dict()))) == preparation


def test_its_shape_is_that_of_an_image() -> None:
    assert Preparation((20, 30), channels=3).shape == (3, 20, 30)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "has a size and at most"),
        ({"size": 28}, "has a size and at most"),
        ({"size": [28, 28], "flavour": "sweet"}, "at most channels, fit, polarity, scale, transpose"),
        ({"size": [28]}, r"size must be a height and a width of at least 1, got \(28,\)"),
        ({"size": [28, 0]}, "size must be"),
        ({"size": [28, 2.5]}, "size must be"),
        ({"size": [28, True]}, "size must be"),
        ({"size": [28, 28], "channels": 2}, r"channels must be 1 \(grey\) or 3 \(colour\), got 2"),
        ({"size": [28, 28], "channels": True}, "channels must be"),
        ({"size": [28, 28], "polarity": "dark"}, "polarity must be one of light on dark, dark on light, mixed, got"),
        ({"size": [28, 28], "fit": "crop"}, "fit must be one of centre, pad, stretch, got 'crop'"),
        ({"size": [28, 28], "fit": ["pad"]}, "fit must be"),
        ({"size": [28, 28], "scale": 0}, "scale must be a number above 0 and at most 65535, got 0"),
        ({"size": [28, 28], "scale": float("nan")}, "scale must be"),
        ({"size": [28, 28], "scale": "255"}, "scale must be"),
        ({"size": [28, 28], "transpose": 1}, "transpose must be True or False, got 1"),
    ],
)
def test_values_of_a_damaged_file_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preparation.from_dict(values)


def framed(value: int, ground: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Bars of 20x8 in the middle of 28x28."""
    images = np.full((10, 1, 28, 28), ground, np.uint8)
    images[:, :, 4:24, 10:18] = value
    return images


def test_the_ground_tells_light_from_dark() -> None:
    assert measure(framed(255, 0))[0] == "light on dark"
    assert measure(framed(20, 230))[0] == "dark on light"
    assert measure(np.repeat(framed(20, 230), 3, axis=1))[0] == "dark on light"


def test_photographs_have_no_rule() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 3, 20, 20), np.uint8)
    assert measure(noise) == ("mixed", "pad")
    assert measure(np.concatenate([framed(255, 0), framed(0, 255)])) == ("mixed", "pad")
    assert measure(np.full((4, 1, 28, 28), 7, np.uint8)) == ("mixed", "pad")


def test_one_in_ten_may_break_the_rule() -> None:
    images = framed(255, 0)
    images[3] = 255 - images[3]
    assert measure(images) == ("light on dark", "centre")


def test_images_are_centred_if_their_ink_is_in_the_middle_of_28x28() -> None:
    assert measure(framed(255, 0))[1] == "centre"
    assert measure(np.roll(framed(255, 0), 4, axis=3))[1] == "pad"
    assert measure(framed(255, 0)[..., 1:-1])[1] == "pad"
    wide = np.zeros((5, 1, 28, 28), np.uint8)
    wide[:, :, 2:26, 10:18] = 255
    assert measure(wide)[1] == "pad"


def test_the_embedded_digits_are_centred() -> None:
    digits = load("digits")
    assert digits.preparation == Preparation((28, 28), polarity="light on dark", fit="centre")
    assert measure(digits.x_train) == ("light on dark", "centre")


@pytest.mark.parametrize(("name", "fit"), [("mnist", "centre"), ("fashion-mnist", "pad")])
def test_what_is_known_of_the_real_sets_is_what_their_images_tell(name: str, fit: str, data_dir: Path) -> None:
    dataset = load(name, data_dir=data_dir)
    assert (dataset.preparation.polarity, dataset.preparation.fit) == ("light on dark", fit)
    assert measure(dataset.x_train) == ("light on dark", fit)
    assert measure(255 - dataset.x_test) == ("dark on light", fit)
