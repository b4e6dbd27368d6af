"""``handconv evaluate``: the report, for people and for programs."""

from pathlib import Path

import pytest

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main


def test_the_report_has_all_its_parts(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(model_file)]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("loss", "accuracy", "precision", "recall", "Confusion", "worst mistakes"))


def test_the_figures_are_those_of_the_library(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(model_file), "--json"]) == 0
    (report,) = objects(capsys.readouterr().out)
    digits = hc.datasets.load("digits")
    scores = hc.load(model_file).evaluate(digits.x_test, digits.y_test)
    assert report["loss"] == pytest.approx(scores["loss"])
    assert report["accuracy"] == pytest.approx(scores["accuracy"])
    assert report["dataset"] == "digits"
    assert sum(map(sum, report["confusion"])) == report["images"] == 360
    assert len(report["classes"]) == 10
    worst = report["mistakes"][0]
    assert worst["truth"] == str(digits.y_test[worst["row"]]) != worst["answer"]


def test_long_class_names_do_not_head_columns(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hc.load(model_file)
    model.info["class_names"] = ["a long name", *"123456789"]
    model.save(tmp_path / "named.npz")
    assert main(["evaluate", str(tmp_path / "named.npz")]) == 0
    assert "0 a long name" in capsys.readouterr().out


def test_a_terminal_without_the_middle_dot_gets_a_full_stop(model_file: Path) -> None:
    done = handconv("evaluate", model_file, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "?" not in done.stdout
    assert "  ." in done.stdout
