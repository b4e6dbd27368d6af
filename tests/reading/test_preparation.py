"""How a model's images were prepared, and pictures brought to the same form."""

import numpy as np
import pytest

import handconv as hc
from handconv.datasets.readers.mnist_form import is_framed
from handconv.reading import InputForm, describe_inputs, input_form, prepare, reads_digits
from picture_cases import BOX, SHAPE, ink, mixed

DIGITS = hc.datasets.load("digits")


def model(**info: object) -> hc.Sequential:
    network = hc.reference_network()
    network.info = info
    return network


def test_digits_are_light_on_dark_and_framed() -> None:
    assert describe_inputs(DIGITS.x_train) == InputForm("dark", framed=True)


def test_negatives_are_on_a_light_ground() -> None:
    assert describe_inputs(255 - DIGITS.x_train) == InputForm("light", framed=False)


def test_photographs_have_a_mixed_ground(rng: np.random.Generator) -> None:
    assert describe_inputs(rng.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)) == InputForm("mixed", framed=False)


def test_the_form_survives_in_the_info_of_a_model() -> None:
    form = describe_inputs(DIGITS.x_train)
    assert input_form(model(inputs=form.info())) == form


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
    assert input_form(model(inputs={"ground": "green"})) == InputForm("mixed", framed=False)


NAMES = list("0123456789")


@pytest.mark.parametrize(
    ("info", "reads"),
    [
        ({}, True),
        ({"dataset": "mnist", "class_names": NAMES}, True),
        ({"dataset": "train.csv", "class_names": NAMES, "inputs": {"ground": "dark", "framed": True}}, True),
        ({"dataset": "train.csv", "class_names": NAMES, "inputs": {"ground": "dark", "framed": False}}, False),
        ({"dataset": "letters.csv", "class_names": list("ABC"), "inputs": {"ground": "dark", "framed": True}}, False),
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
