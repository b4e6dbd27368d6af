"""The networks of the zoo are what their pages say, and the engine computes all of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.engine import lower
from handconv.layers import Layer

MODERN = [hc.zoo.plus, hc.zoo.colour]
ALL = [hc.zoo.reference, *MODERN]


def test_layers_shapes_and_parameters() -> None:
    rows = hc.zoo.reference().summary().rows
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
    network = hc.zoo.reference(classes=3, input_shape=(1, 20, 20), l2=0.5, dropout=0.1, seed=1)
    assert network.output_shape == (3,)
    assert network.layers[7].l2 == 0.5  # type: ignore[attr-defined]
    assert network.layers[9].rate == 0.1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("network", "least"), [(hc.zoo.reference, 10), (hc.zoo.plus, 8), (hc.zoo.colour, 8)])
def test_images_that_are_too_small_are_refused(network: Callable[..., hc.Sequential], least: int) -> None:
    network(input_shape=(1, least, least))
    rule = rf"images \(C, H, W\) of at least {least}x{least} pixels, got \(1, 12, {least - 1}\)\. Enlarge them"
    with pytest.raises(ValueError, match=rule):
        network(input_shape=(1, 12, least - 1))


@pytest.mark.parametrize("network", ALL)
@pytest.mark.parametrize(("shape", "message"), [(28, "input_shape must be"), ((784,), "expects images")])
def test_what_is_no_image_is_refused(network: Callable[..., hc.Sequential], shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(input_shape=shape)


@pytest.mark.parametrize("network", ALL)
@pytest.mark.parametrize("classes", [1, 0, 2.5, True])
def test_at_least_two_classes_are_told_apart(network: Callable[..., hc.Sequential], classes: Any) -> None:
    with pytest.raises(ValueError, match=f"at least two classes apart, got {classes!r}"):
        network(classes=classes)


@pytest.mark.parametrize("network", ALL)
def test_the_engine_trains_and_answers_with_fast_ops_alone(
    network: Callable[..., hc.Sequential], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(layer: Layer, _: object) -> None:
        raise AssertionError(f"{layer.label} runs its own Python code")

    monkeypatch.setattr(lower, "PythonOp", refuse)
    model = network()
    x = np.random.default_rng(0).random((8, *(model.input_shape or ())), np.float32)
    model.fit(x, np.arange(8), batch_size=8)
    assert model.predict(x).shape == (8, 10)


@pytest.mark.parametrize("network", MODERN)
def test_the_table_of_its_page_is_true(network: Callable[..., hc.Sequential]) -> None:
    model = network()
    told = re.findall(r"^ +\S.*?  +\(N, ([\d, ]+)\) *([\d,]*)$", network.__doc__ or "", re.MULTILINE)
    shapes = list(dict.fromkeys(tuple(map(int, shape.split(", "))) for shape, _ in told))
    after_pooling = [row.output_shape for row in model.summary().rows if not row.layer.startswith("Conv2D(")]
    assert shapes == list(dict.fromkeys(after_pooling))
    assert sum(int(number.replace(",", "")) for _, number in told if number) == model.parameters.size


def test_plus_keeps_below_400_000_parameters() -> None:
    assert hc.zoo.plus().parameters.size <= 400_000


@pytest.mark.parametrize("network", MODERN)
def test_penalty_and_dropout_reach_the_layers(network: Callable[..., hc.Sequential]) -> None:
    layers = [layer for outer in network(l2=0.5, dropout=0.1, classes=3).layers for _, layer in outer.tree()]
    assert {layer.l2 for layer in layers if isinstance(layer, hc.Conv2D)} == {0.5}
    assert [layer.rate for layer in layers if isinstance(layer, hc.Dropout)] == [0.1]


def test_plus_learns() -> None:
    digits = hc.datasets.load("digits")
    few = slice(400)
    optimizer = hc.AdamW(3e-3)
    history = hc.zoo.plus().fit(digits.x_train[few], digits.y_train[few], epochs=4, batch_size=32, optimizer=optimizer)
    assert history["accuracy"][-1] > 0.9


def test_the_bundled_model_reads_digits(data_dir: Path) -> None:
    digits = hc.datasets.load("mnist", data_dir=data_dir)
    model = hc.zoo.trained_reference()
    assert model.evaluate(digits.x_test, digits.y_test)["accuracy"] == pytest.approx(
        model.info["test_accuracy"], abs=1e-3
    )
    assert model.info["test_accuracy"] > 0.99


def test_it_may_run_its_own_pages() -> None:
    assert [network(engine=engine).engine for network in ALL for engine in (True, False)] == [True, False] * 3
