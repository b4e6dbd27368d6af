"""``export_html``: which models get a page, what it holds, and what is said where there is none."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

DIGITS = hc.datasets.load("digits")


def small(*layers: hc.Layer, input_shape: tuple[int, ...] = (1, 6, 6)) -> hc.Sequential:
    return hc.Sequential(list(layers) or [hc.Flatten(), hc.Dense(3), hc.Softmax()], input_shape=input_shape, seed=0)


def described(path: Path) -> dict[str, Any]:
    """The model in a page."""
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_of_the_reference_network_is_below_700_kb(tmp_path: Path) -> None:
    hc.export_html(hc.zoo.trained_reference(), tmp_path / "page.html", DIGITS.x_test, DIGITS.y_test)
    assert (tmp_path / "page.html").stat().st_size < 700_000


def test_nothing_is_left_of_the_template(tmp_path: Path) -> None:
    hc.export_html(small(), tmp_path / "page.html")
    assert re.findall(r"\{\{[\w.]+\}\}", (tmp_path / "page.html").read_text("utf-8")) == []


def test_the_page_names_a_data_set_without_its_folder(tmp_path: Path) -> None:
    model = small()
    model.info = {"dataset": "/home/ada/letters"}
    hc.export_html(model, tmp_path / "page.html")
    assert described(tmp_path / "page.html")["dataset"] == "letters"


def test_a_dozen_images_travel_along_one_of_each_class_first(tmp_path: Path) -> None:
    hc.export_html(hc.zoo.trained_reference(), tmp_path / "page.html", DIGITS.x_test, DIGITS.y_test)
    truths = [image["truth"] for image in described(tmp_path / "page.html")["images"]]
    assert len(truths) == 12
    assert truths[:10] == list(range(10))


@pytest.mark.parametrize(
    ("images", "paper", "ink"),
    [
        (None, 0, 1),
        (DIGITS.x_test, 0, 1),
        (255 - DIGITS.x_test, 1, 0),
        (DIGITS.x_test.astype(np.float32), 0, 255),
        ((DIGITS.x_test / 255 - 0.25) / 0.5, -0.5, 1.5),
        ((0.25 - DIGITS.x_test / 255) / 0.5, 0.5, -1.5),
        (np.full((3, 1, 28, 28), 0.7), 0, 1),
    ],
)
@pytest.mark.filterwarnings("ignore:images looks like pixels from 0 to 255")
def test_paper_is_what_the_edges_of_the_images_are(images: Any, paper: float, ink: float, tmp_path: Path) -> None:
    hc.export_html(small(input_shape=(1, 28, 28)), tmp_path / "page.html", images)
    page = described(tmp_path / "page.html")
    assert (page["paper"], page["ink"]) == pytest.approx((paper, ink))


@pytest.mark.parametrize(
    ("preparation", "is_framed", "paper"),
    [
        (None, False, 0),
        ({"size": [28, 28], "fit": "centre", "polarity": "light on dark"}, True, 0),
        ({"size": [28, 28], "fit": "centre", "polarity": "dark on light"}, True, 1),
        ({"size": [28, 28], "fit": "pad", "polarity": "mixed"}, False, 0),
    ],
)
def test_strokes_become_such_images_as_the_model_was_trained_on(
    preparation: dict[str, Any] | None, is_framed: bool, paper: int, tmp_path: Path
) -> None:
    model = small(input_shape=(1, 28, 28))
    model.info = {"dataset": "/home/ada/train.csv", "preparation": preparation}
    hc.export_html(model, tmp_path / "page.html")
    page = described(tmp_path / "page.html")
    assert (page["isFramed"], page["paper"], page["ink"]) == (is_framed, paper, 1 - paper)


@pytest.mark.parametrize(
    ("classes", "names", "title"),
    [
        (10, [], "Draw a digit, watch the network think"),
        (10, list("ABCDEFGHIJ"), "Draw, and watch the network think"),
        (26, [], "Draw, and watch the network think"),
    ],
)
def test_a_digit_is_asked_for_where_the_classes_are_the_digits(
    classes: int, names: list[str], title: str, tmp_path: Path
) -> None:
    model = small(hc.Flatten(), hc.Dense(classes), hc.Softmax())
    model.info = {"class_names": names}
    hc.export_html(model, tmp_path / "page.html")
    assert f"<h1>{title}</h1>" in (tmp_path / "page.html").read_text("utf-8")


def test_images_without_labels_are_the_first_dozen(tmp_path: Path) -> None:
    hc.export_html(small(), tmp_path / "page.html", np.zeros((20, 1, 6, 6)))
    assert [image["truth"] for image in described(tmp_path / "page.html")["images"]] == [None] * 12


def test_no_name_breaks_out_of_the_data(tmp_path: Path) -> None:
    model = small()
    model.info = {"class_names": ["</script><script>alert(1)</script>", "<!--", "{{page.js}}"]}
    hc.export_html(model, tmp_path / "page.html")
    assert described(tmp_path / "page.html")["classes"] == model.info["class_names"]
    assert (tmp_path / "page.html").read_text("utf-8").count("<script") == 2


class Square(hc.Layer):
    """A layer of a user's own."""


class Wide(hc.Conv2D):
    """A convolution that may compute anything."""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (hc.Sequential([hc.Dense(3)], input_shape=(36,), seed=0), r"networks for images.* this one takes \(36,\)"),
        (hc.Sequential([hc.Flatten(), hc.Dense(3)]), "needs parameters: give input_shape"),
        (small(Square(), hc.Flatten(), hc.Dense(3)), "cannot compute the layer Square.*; it knows Conv2D, MaxPool2D"),
        (small(Wide(2, 3), hc.Flatten(), hc.Dense(3)), "cannot compute the layer Wide"),
        (small(hc.Residual([hc.Residual([Square()])]), hc.Flatten(), hc.Dense(3)), "cannot compute the layer Square"),
        (small(hc.Conv2D(2, 3)), r"classifier gives one vector.* this model gives \(2, 4, 4\)"),
        (small(hc.Flatten(), hc.Dense(1)), "classifier gives a number for each class, this model gives 1"),
        (small(hc.Flatten(), hc.Dense(4), hc.Sigmoid()), "ends in Sigmoid with 4 outputs, which say yes or no each"),
        (small(input_shape=(1, 600, 600)), r"images .* of up to 512x512"),
        (small(input_shape=(3, 6, 6)), r"square grey images; this one takes samples of shape \(3, 6, 6\)\. Give"),
        (small(input_shape=(1, 6, 8)), r"square grey images; this one takes samples of shape \(1, 6, 8\)\. Give"),
    ],
)  # fmt: skip
def test_a_model_without_a_page_is_refused_in_one_sentence(model: hc.Sequential, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        hc.export_html(model, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_huge_model_is_refused(tmp_path: Path) -> None:
    model = small(hc.Flatten(), hc.Dense(1000), hc.Dense(10_000), hc.Dense(2))
    with pytest.raises(ValueError, match=r"at most 10,000,000 of them, this model has 10,0\d\d,\d\d\d"):
        hc.export_html(model, tmp_path / "page.html")


def test_a_dead_model_is_refused(tmp_path: Path) -> None:
    model = small()
    model.parameters[5] = np.nan
    with pytest.raises(hc.ModelFileError, match=r"dead: 1\.weights hold NaN"):
        hc.export_html(model, tmp_path / "page.html")


def test_a_model_with_dead_statistics_is_refused(tmp_path: Path) -> None:
    model = small(hc.BatchNorm(), hc.Flatten(), hc.Dense(3))
    model.buffers[1] = np.inf
    with pytest.raises(hc.ModelFileError, match=r"dead: 0\.running_var hold NaN or infinity"):
        hc.export_html(model, tmp_path / "page.html")


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.zeros((2, 1, 6, 7)), None, r"images must have shape \(N, 1, 6, 6\), got \(2, 1, 6, 7\)"),
        (np.zeros((0, 1, 6, 6)), None, "images must hold at least one sample"),
        (np.full((2, 1, 6, 6), np.nan), None, "images must be finite"),
        (np.full((2, 1, 6, 6), 1e39), None, "images .* float32"),
        (None, [0, 1], "labels are the classes of images: give images"),
        (np.zeros((2, 1, 6, 6)), [0], r"labels must be 2 class numbers from 0 to 2, .* got int64 of shape \(1,\)"),
        (np.zeros((2, 1, 6, 6)), [0, 3], "labels must be 2 class numbers from 0 to 2"),
        (np.zeros((2, 1, 6, 6)), [0.0, 1.0], "labels must be 2 class numbers"),
    ],
)
def test_images_that_are_not_the_models_are_refused(images: Any, labels: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        hc.export_html(small(), tmp_path / "page.html", images, labels)


def test_images_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="images must hold numbers"):
        hc.export_html(small(), tmp_path / "page.html", np.full((2, 1, 6, 6), "a"))


def test_a_page_is_a_html_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Let it end in"):
        hc.export_html(small(), tmp_path / "page.pdf")


def test_a_page_is_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"writes a handconv\.Sequential, got 3"):
        hc.export_html(3, tmp_path / "page.html")  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        hc.export_html(small(), tmp_path / "nowhere" / "page.html")
