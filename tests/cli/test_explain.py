"""``handconv explain``."""

import re
import shlex
from pathlib import Path

import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main


def test_the_toy_needs_no_data_and_tells_the_whole_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--toy"]) == 0
    told = capsys.readouterr().out
    phases = re.findall(r"^-- (\w+):", told, re.MULTILINE)
    assert list(dict.fromkeys(phases)) == ["start", "forward", "loss", "backward", "update", "end"]
    assert "z[0, 1, 0] = 0 + 1 + 0 - 0.5 + 1 + 0 + 0 + 1 + 0 + 0.5 (the bias) = 3" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_row_of_the_test_set_is_the_sample(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--row", "3", "--dataset", "digits"]) == 0
    truth = hc.datasets.load("digits").y_test[3]
    assert f"The truth is class {truth}." in capsys.readouterr().out


def test_the_loss_is_the_one_that_the_model_was_trained_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "smoothed.npz")
    settings = ["--dataset", "digits", "--epochs", "1", "--label-smoothing", "0.3", "--no-play", "--save", path]
    assert main(["train", *settings, "-q"]) == 0
    assert main(["explain", path]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "The loss is SoftmaxCategoricalCrossentropy(label_smoothing=0.3); this is the first step of Adam(" in told


def test_the_unit_that_is_asked_for_is_told_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--toy", "--unit", "0:0,0,1"]) == 0
    assert "Unit z[0, 0, 1]: filter 0 at row 0, column 1." in capsys.readouterr().out


def test_programs_get_every_section_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--toy", "--json"]) == 0
    sections = objects(capsys.readouterr().out)
    assert {section["event"] for section in sections} == {"section"}
    assert sections[1]["numbers"]["z[0]"] == [[2.5, -1.0], [3.0, -1.5]]


def test_a_page_has_every_section_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    page = tmp_path / "toy.html"
    assert main(["explain", "--toy", "--html", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text.count("<section") == 5 + 1 + 5 + 2 + 2
    assert "{{" not in text
    assert re.findall(r"https?:|<script|<link|src=", text) == []


def test_great_matrices_are_pictures_with_a_frame(cache_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "step.html"
    assert main(["explain", "--dataset", "digits", "--html", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text.count("<svg") > 10
    assert "class=frame" in text
    assert page.stat().st_size < 300_000


def test_a_network_with_batch_normalisation_learns_from_several_rows(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(10), hc.BatchNorm(), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
    model.save(tmp_path / "model.npz")
    assert main(["explain", str(tmp_path / "model.npz"), "--row", "1796", "--dataset", "digits"]) == 2
    assert main(["explain", str(tmp_path / "model.npz"), "--row", "7", "--dataset", "digits"]) == 0
    assert "a batch of 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("--row 99999 --dataset digits", 2, "--row must be from 0 to"),
        ("--row x", 2, "--row must be a whole number of at least 0, got 'x'"),
        ("--row '' --dataset digits", 2, "--row must be a whole number of at least 0, got ''"),
        ("--toy --html ''", 2, "ends in .html, got ''"),
        ("--toy ''", 2, "--toy brings its own network"),
        ("--toy --row 1", 2, "--toy brings its own network"),
        ("--toy --unit 0", 2, "--unit must be LAYER:INDEX, as in 0:3,10,12, got '0'"),
        ("--toy --unit 0:a", 2, "--unit must be LAYER:INDEX"),
        ("--toy --unit 0:0,9,9", 2, "there is no unit 0,9,9"),
        ("--toy --unit 9:0", 2, "There is no layer '9'"),
        ("--toy --html page.pdf", 2, "ends in .html, got 'page.pdf'"),
        ("--toy --html nowhere/page.html", 1, "nowhere"),
        ("nowhere.npz", 1, "nowhere.npz: No such file"),
        ("weightless.npz --dataset digits", 1, "this network has none"),
    ],
)
def test_a_mistake_gets_one_line(
    line: str,
    status: int,
    words: str,
    tmp_path: Path,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    hc.Sequential([hc.Flatten(), hc.Softmax()], input_shape=(1, 28, 28)).save("weightless.npz")
    assert main(["explain", *shlex.split(line)]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
