"""The reference network is the one of the README, layer by layer."""

from pathlib import Path
from typing import Any

import pytest

import handconv as hc


def test_layers_shapes_and_parameters() -> None:
    rows = hc.reference_network().summary().rows
    table = [(row.layer.partition("(")[0], row.output_shape, row.parameters) for row in rows]
    assert table == [
        ("Conv2D", (8, 26, 26), 80),
        ("LeakyReLU", (8, 26, 26), 0),
        ("MaxPool2D", (8, 13, 13), 0),
        ("Conv2D", (16, 11, 11), 1_168),
        ("LeakyReLU", (16, 11, 11), 0),
        ("MaxPool2D", (16, 5, 5), 0),
        ("Flatten", (400,), 0),
        ("Dense", (128,), 51_328),
        ("LeakyReLU", (128,), 0),
        ("Dropout", (128,), 0),
        ("Dense", (10,), 1_290),
        ("Softmax", (10,), 0),
    ]


def test_its_choices_reach_the_layers() -> None:
    network = hc.reference_network(classes=3, input_shape=(1, 20, 20), l2=0.5, dropout=0.1, seed=1)
    assert network.output_shape == (3,)
    assert network.layers[7].l2 == 0.5  # type: ignore[attr-defined]
    assert network.layers[9].rate == 0.1  # type: ignore[attr-defined]


def test_images_that_are_too_small_are_refused() -> None:
    hc.reference_network(input_shape=(1, 10, 10))
    with pytest.raises(ValueError, match=r"images of at least 10x10 pixels, got \(1, 12, 9\)\. Enlarge them"):
        hc.reference_network(input_shape=(1, 12, 9))


@pytest.mark.parametrize(("shape", "message"), [(28, "input_shape must be"), ((784,), "expects images")])
def test_what_is_no_image_is_refused(shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hc.reference_network(input_shape=shape)


@pytest.mark.parametrize("classes", [1, 0, 2.5, True])
def test_at_least_two_classes_are_told_apart(classes: Any) -> None:
    with pytest.raises(ValueError, match=f"at least two classes apart, got {classes!r}"):
        hc.reference_network(classes=classes)


def test_the_bundled_model_reads_digits(data_dir: Path) -> None:
    digits = hc.datasets.load("mnist", data_dir=data_dir)
    model = hc.trained_reference_network()
    assert model.evaluate(digits.x_test, digits.y_test)["accuracy"] == pytest.approx(
        model.info["test_accuracy"], abs=1e-3
    )
    assert model.info["test_accuracy"] > 0.99


def test_it_may_run_its_own_pages() -> None:
    assert [hc.reference_network(engine=engine).engine for engine in (True, False)] == [True, False]
