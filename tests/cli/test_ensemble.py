"""``handconv evaluate`` and ``predict`` with several models, and with several views of each image."""

from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main


@pytest.fixture
def second(model_file: Path, tmp_path: Path) -> Path:
    """Another model of the same digits: the first one, somewhat disturbed."""
    model = hc.load(model_file)
    model.parameters[...] += 0.05 * np.random.default_rng(0).standard_normal(model.parameters.size, np.float32)
    model.save(tmp_path / "second.npz")
    return tmp_path / "second.npz"


def test_several_models_are_evaluated_together(
    model_file: Path, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = hc.datasets.load("digits")
    assert main(["evaluate", str(model_file), str(second), "--tta", "3", "--json"]) == 0
    (result,) = objects(capsys.readouterr().out)
    expected = hc.Ensemble([hc.load(model_file), hc.load(second)], views=3).evaluate(digits.x_test, digits.y_test)
    assert result["accuracy"] == expected["accuracy"]
    assert result["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_each_model_is_named(model_file: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(model_file), str(second)]) == 0
    error = capsys.readouterr().err
    assert f"{model_file}: the embedded digits" in error
    assert f"{second}: the embedded digits" in error


def test_rows_are_answered_together(model_file: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model_file), str(second), "--row", "3", "--tta", "2", "--json"]) == 0
    (answer,) = objects(capsys.readouterr().out)
    image = hc.datasets.load("digits").x_test[3:4]
    chances = hc.Ensemble([hc.load(model_file), hc.load(second)], views=2).predict(image)
    assert answer["confidence"] == pytest.approx(float(chances.max()), rel=1e-5)


def test_files_are_answered_together(
    model_file: Path, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow writes and reads the picture")
    digits = hc.datasets.load("digits")
    image.fromarray(digits.x_test[3, 0]).save(tmp_path / "digit.png")
    assert main(["predict", str(model_file), str(second), str(tmp_path / "digit.png"), "--json"]) == 0
    (answer,) = objects(capsys.readouterr().out)
    assert answer["prediction"] == str(digits.y_test[3])


def test_models_of_other_classes_are_refused(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = hc.zoo.reference(classes=5)
    other.save(tmp_path / "five.npz")
    assert main(["evaluate", str(model_file), str(tmp_path / "five.npz")]) == 2
    assert "must have the same classes: the first has 10, number 2 has 5." in capsys.readouterr().err


@pytest.mark.parametrize("views", ["0", "many", "1.5"])
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_views_are_a_whole_number(
    command: str, views: str, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ["--row", "1"] if command == "predict" else []
    assert main([command, str(model_file), "--tta", views, *row]) == 2
    assert f"--tta must be a whole number of at least 1, got '{views}'." in capsys.readouterr().err
