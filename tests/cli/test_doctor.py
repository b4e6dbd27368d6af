"""``handconv doctor``: silent on a healthy model, and a finding with its remedy on a sick one."""

from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main


@pytest.fixture
def sick_file(model_file: Path, tmp_path: Path) -> Path:
    """The trained model with its classes in another order: each label is taken for the one below it."""
    model = hc.load(model_file)
    last = model.layers[-2]
    last.set_parameters(weights=np.roll(last.weights, -1, axis=-1), biases=np.roll(last.biases, -1))
    model.save(tmp_path / "sick.npz")
    return tmp_path / "sick.npz"


def test_of_a_healthy_model_one_line_is_said(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(model_file)]) == 0
    assert capsys.readouterr().out == "Nothing found.\n"


def test_a_sick_model_gets_its_finding_and_the_remedy(sick_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(sick_file)]) == 1
    text = capsys.readouterr().out
    assert text.startswith("shifted labels (severe)\n")
    assert "Remedy: Number the classes as in the training: (y - 1) % 10" in text


@pytest.mark.filterwarnings("ignore:The loss has exploded")
def test_a_training_is_judged_by_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "overshot.npz")
    settings = ["--dataset", "digits", "--epochs", "2", "--learning-rate", "0.3", "--no-play", "--save", path]
    assert main(["train", *settings, "-q"]) == 0
    capsys.readouterr()
    assert main(["doctor", path]) == 1
    assert "learning rate too high (severe)" in capsys.readouterr().out


def test_a_training_is_judged_by_the_loss_it_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "smoothed.npz")
    settings = ["--dataset", "digits", "--epochs", "6", "--label-smoothing", "0.9", "--no-play", "--save", path]
    assert main(["train", *settings, "-q"]) == 0
    capsys.readouterr()
    assert main(["doctor", path]) == 0, capsys.readouterr().out


def test_programs_get_the_findings_as_json(sick_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(sick_file), "--json"]) == 1
    (diagnosis,) = objects(capsys.readouterr().out)
    assert (diagnosis["event"], diagnosis["dataset"]) == ("diagnosis", "digits")
    assert {(each["name"], each["severity"]) for each in diagnosis["findings"]} == {("shifted labels", "severe")}
    assert all(each["evidence"] and each["remedy"] for each in diagnosis["findings"])


def test_a_data_set_of_other_classes_is_refused(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(model_file), "--dataset", "nowhere/"]) != 0
    assert len(capsys.readouterr().err.splitlines()) <= 2
