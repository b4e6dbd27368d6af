"""How a model's images were prepared, and pictures brought to the same form."""

import numpy as np
import pytest

import handconv as hc
from handconv.datasets.readers.mnist_form import is_framed
from handconv.reading import InputForm, input_form, prepare, reads_digits
from picture_cases import BOX, SHAPE, ink, mixed


def model(**info: object) -> hc.Sequential:
    network = hc.zoo.reference()
    network.info = info
    return network


@pytest.mark.parametrize(
    ("kept", "form"),
    [
        ({"polarity": "light on dark", "fit": "centre"}, InputForm("dark", framed=True)),
        ({"polarity": "dark on light", "fit": "pad"}, InputForm("light", framed=False)),
        ({"polarity": "mixed", "fit": "stretch"}, InputForm("mixed", framed=False)),
    ],
)
def test_a_model_says_how_its_images_were_prepared(kept: dict[str, str], form: InputForm) -> None:
    assert input_form(model(preparation=kept)) == form


@pytest.mark.parametrize(
    ("dataset", "form"),
    [
        ("mnist", InputForm("dark", framed=True)),
        ("fashion-mnist", InputForm("dark", framed=False)),
        ("/tmp/pictures", InputForm("mixed", framed=False)),
    ],
)
def test_known_data_sets_have_a_known_form(dataset: str, form: InputForm) -> None:
    assert input_form(model(dataset=dataset)) == form


def test_an_info_that_makes_no_sense_is_passed_over() -> None:
    assert input_form(model(preparation={"polarity": "green"})) == InputForm("mixed", framed=False)


NAMES = list("0123456789")
CENTRED, PADDED = ({"polarity": "light on dark", "fit": fit} for fit in ("centre", "pad"))


@pytest.mark.parametrize(
    ("info", "reads"),
    [
        ({}, True),
        ({"dataset": "mnist", "class_names": NAMES}, True),
        (
            {
                "dataset": "train.csv",
                "class_names": NAMES,
                "preparation": {"polarity": "light on dark", "fit": "centre"},
            },
            True,
        ),
        (
            {"dataset": "train.csv", "class_names": NAMES, "preparation": PADDED},
            False,
        ),
        (
            {
                "dataset": "letters.csv",
                "class_names": list("ABC"),
                "preparation": {"polarity": "light on dark", "fit": "centre"},
            },
            False,
        ),
        ({"dataset": "fashion-mnist", "class_names": ["Shirt"]}, False),
    ],
)
def test_which_models_read_digits(info: dict[str, object], reads: bool) -> None:
    assert reads_digits(model(**info)) is reads


def test_a_picture_on_white_becomes_one_on_black() -> None:
    pixels = mixed(250.0, ink(3, (280, 280), (40, 40, 200))).astype(np.uint8)
    image, remark = prepare(pixels, InputForm("dark"), (28, 28))
    assert image.shape == (1, 28, 28)
    assert np.median(image[0, 0]) < 10
    assert "negative" in remark


def test_a_picture_of_the_right_ground_stays(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 60, (28, 28), dtype=np.uint8)
    image, remark = prepare(pixels, InputForm("dark"), (28, 28))
    np.testing.assert_array_equal(image[0], pixels)
    assert remark == ""


def test_a_ground_that_is_neither_is_remarked_upon() -> None:
    _, remark = prepare(np.full((30, 30), 110, np.uint8), InputForm("dark"), (28, 28))
    assert "the answer may be wrong" in remark


def test_the_aspect_ratio_is_kept() -> None:
    pixels = np.zeros((20, 60), np.uint8)
    pixels[5:15, 25:35] = 255
    image, _ = prepare(pixels, InputForm("mixed"), (30, 30))
    inked = image[0] > 127
    assert inked.any(axis=0).sum() == inked.any(axis=1).sum()


def test_a_clean_picture_is_framed_for_a_model_of_framed_images() -> None:
    pixels = mixed(235.0, ink(4, SHAPE, BOX)).astype(np.uint8)
    image, remark = prepare(pixels, InputForm("dark", framed=True), (28, 28))
    assert is_framed(image[0])
    assert remark == ""


def test_colours_are_kept_for_a_model_that_knows_them() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:] = (200, 100, 30)
    image, remark = prepare(picture, InputForm("dark"), (8, 8), colour=True)
    np.testing.assert_array_equal(image, np.broadcast_to(np.array([200, 100, 30])[:, None, None], (3, 8, 8)))
    assert "on dark ground, which this is not" in remark


def test_a_grey_picture_has_three_equal_colours() -> None:
    image, _ = prepare(np.full((9, 9), 70, np.uint8), InputForm(), (8, 8), colour=True)
    np.testing.assert_array_equal(image, np.full((3, 8, 8), 70))
