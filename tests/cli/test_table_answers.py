"""``handconv predict FILE.csv``: the images of a table, and the answers as another table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main

DIGITS = hc.datasets.load("digits")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twenty digits of the test set, without labels, under a header, as Kaggle has them."""
    path = tmp_path / "test.csv"
    header = ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(path, DIGITS.x_test[:20].reshape(20, -1), fmt="%d", delimiter=",", header=header, comments="")
    return path


@pytest.fixture
def expected(model_file: Path) -> list[str]:
    return [str(label) for label in hc.load(model_file).predict(DIGITS.x_test[:20]).argmax(axis=1)]


def test_each_line_gets_an_answer(
    model_file: Path, table: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model_file), str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [f"row {row}: {each}" for row, each in enumerate(expected)]
    assert "confidence" in lines[0]


def test_json_has_an_object_a_line(
    model_file: Path, table: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model_file), str(table), "--json"]) == 0
    answers = objects(capsys.readouterr().out)
    assert [(each["row"], each["prediction"]) for each in answers] == list(enumerate(expected))
    assert answers[0]["top"][0] == {"class": expected[0], "probability": answers[0]["confidence"]}


def test_the_answers_are_written_as_a_table(
    model_file: Path, table: Path, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "answers.csv"
    assert main(["predict", str(model_file), str(table), "--output", str(target)]) == 0
    assert capsys.readouterr().out == f"20 answers are in {target}\n"
    rows = list(csv.DictReader(target.read_text("utf-8").splitlines()))
    assert list(rows[0]) == ["row", "prediction", "confidence"]
    assert [(int(row["row"]), row["prediction"]) for row in rows] == list(enumerate(expected))
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)


def test_a_submission_has_the_form_that_kaggle_wants(
    model_file: Path, table: Path, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "submission.csv"
    assert main(["predict", str(model_file), str(table), "--output", str(target), "--submission", "--json"]) == 0
    assert target.read_bytes().startswith(b"ImageId,Label\n1,")
    rows = list(csv.DictReader(target.read_text("utf-8").splitlines()))
    assert [(int(row["ImageId"]), row["Label"]) for row in rows] == list(enumerate(expected, 1))
    assert objects(capsys.readouterr().out) == [
        {"event": "answers", "file": str(table), "images": 20, "output": str(target)}
    ]


@pytest.mark.parametrize(("numbers", "name"), [(range(7, 27), "id"), ([f"{k:03}.png" for k in range(20)], "ImageId")])
def test_the_ids_of_a_table_are_those_of_its_answers(
    model_file: Path, table: Path, expected: list[str], tmp_path: Path, numbers: Sequence[object], name: str
) -> None:
    header, *lines = table.read_text("utf-8").splitlines()
    numbered = [f"{name},{header}", *(f"{number},{line}" for number, line in zip(numbers, lines, strict=True))]
    (tmp_path / "numbered.csv").write_text("\n".join(numbered))
    for options, names in ((["--submission"], [name, "Label"]), ([], [name, "prediction", "confidence"])):
        target = tmp_path / "answers.csv"
        assert (
            main(["predict", str(model_file), str(tmp_path / "numbered.csv"), "--output", str(target), *options]) == 0
        )
        rows = list(csv.DictReader(target.read_text("utf-8").splitlines()))
        assert list(rows[0]) == names
        assert [(row[name], row[names[1]]) for row in rows] == list(zip(map(str, numbers), expected, strict=True))


def test_labels_are_not_looked_at_and_that_is_said(
    model_file: Path, tmp_path: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.csv"
    columns = np.column_stack([np.arange(20) % 10, DIGITS.x_test[:20].reshape(20, -1)])
    np.savetxt(path, columns, fmt="%d", delimiter=",")
    assert main(["predict", str(model_file), str(path)]) == 0
    output = capsys.readouterr()
    compare = f"handconv evaluate {model_file} --dataset {path} compares"
    assert f"The labels in {path} are not looked at; {compare}" in output.err
    assert len(output.out.splitlines()) == 20


def test_images_of_another_size_are_refused(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.csv").write_text("1,2,3,4\n")
    assert main(["predict", str(model_file), str(tmp_path / "small.csv")]) == 1
    assert "must hold images of shape (1, 28, 28), as the model takes them, got (1, 2, 2)" in capsys.readouterr().err


def test_a_model_of_something_else_is_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(784,), seed=0).save(tmp_path / "flat.npz")
    assert main(["predict", str(tmp_path / "flat.npz"), str(table)]) == 1
    assert "this model takes samples of shape (784,)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv", "b.csv"], "predict takes one table, or image files, got a.csv, b.csv."),
        (["a.csv", "b.png"], "predict takes one table, or image files, got a.csv, b.png."),
        (["b.png", "--output", "x.csv"], "--output is for a table: handconv predict FILE.csv --output answers.csv"),
        (["b.png", "--submission"], "--submission is for a table"),
        (["a.csv", "--submission"], "--submission needs a file: --output submission.csv"),
        (["a.csv", "--output", "nowhere/x.csv"], "is in nowhere, which is no folder"),
        (["a.csv", "--output", ""], "'.' is a folder"),
        (["a.csv", "--output", "."], "is a folder"),
        (["a.csv", "--output", "a.csv"], "is the table itself"),
    ],
)
def test_wrong_usage_is_told_before_the_work(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("not read")
    assert main(["predict", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_text() == "not read"


@pytest.mark.parametrize("option", ["--one", "--show"])
def test_options_for_pictures_are_refused(table: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(table), option]) == 2
    assert f"{option} is for image files, got the table {table}." in capsys.readouterr().err
