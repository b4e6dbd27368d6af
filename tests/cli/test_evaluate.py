"""``handconv evaluate``: the report, for people and for programs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
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


def write_table(path: Path, classes: int, samples: int = 3, names: Callable[[int], object] = int) -> Path:
    """Write a table of 10x10 images, those of a class all alike."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (classes, 100))
    lines = [[names(label), *images[label].tolist()] for label in range(classes) for _ in range(samples)]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    return path


@pytest.fixture
def trained(tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """Make a model of so many classes, hardly trained."""

    def train(classes: int, names: Callable[[int], object] = int) -> Path:
        table, model = write_table(tmp_path / "data.csv", classes, names=names), tmp_path / "model.npz"
        assert main(["train", "--dataset", str(table), "--epochs", "1", "--no-play", "--save", str(model)]) == 0
        capsys.readouterr()
        return model

    return train


@pytest.mark.parametrize("classes", [47, 250])
@pytest.mark.usefixtures("usual_lines")
def test_many_classes_make_a_readable_page(
    trained: Callable[..., Path], classes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(trained(classes))
    assert main(["evaluate", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 50
    assert max(len(line) for line in lines if model not in line) <= 80  # a path is not broken
    text = "\n".join(lines)
    assert f"The 10 of {classes} classes of which the smallest share is found" in text
    assert "The most frequent confusions" in text
    assert "All classes and the whole confusion matrix: --full" in text


def test_all_of_it_is_there_if_that_is_wanted(trained: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained(47)), "--full"]) == 0
    text = capsys.readouterr().out
    assert "Confusion (a row for each true class, a column for each answer)" in text
    assert len(text.splitlines()) > 2 * 47
    assert "--full" not in text


@pytest.mark.usefixtures("usual_lines")
def test_the_most_frequent_confusions_are_those_of_the_matrix(
    trained: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(47)
    assert main(["evaluate", str(model), "--json"]) == 0
    (report,) = objects(capsys.readouterr().out)
    confusion = np.array(report["confusion"])
    np.fill_diagonal(confusion, 0)
    most = confusion.max()
    truth, answer = np.argwhere(confusion == most)[0]
    share = 100 * most / sum(report["confusion"][truth])
    assert main(["evaluate", str(model)]) == 0
    lines = iter(capsys.readouterr().out.splitlines())
    assert any("most frequent confusions" in line for line in lines)
    assert next(lines).split() == ["truth", "answer", "images", "share"]
    assert next(lines).split() == [str(truth), str(answer), str(most), f"{share:.2f}", "%"]


@pytest.mark.usefixtures("usual_lines")
def test_ten_classes_fit_a_page_whole(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(model_file)]) == 0
    text = capsys.readouterr().out
    assert "Confusion (" in text
    assert "--full" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_classes_without_images_are_named_and_have_no_figures(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = hc.datasets.load("digits")
    chosen = np.flatnonzero(np.isin(digits.y_train, (5, 7)))[:20]
    table = np.column_stack([digits.y_train[chosen], digits.x_train[chosen].reshape(20, -1)])
    np.savetxt(tmp_path / "two.csv", table, fmt="%d", delimiter=",")
    assert main(["evaluate", str(model_file), "--dataset", str(tmp_path / "two.csv")]) == 0
    text = capsys.readouterr().out
    assert "Classes without images here: 0, 1, 2, 3, 4, 6, 8, 9" in text
    head = next(place for place, line in enumerate(text.splitlines()) if line.startswith("class  precision"))
    assert [line.split()[:1] for line in text.splitlines()[head + 1 : head + 4]] == [["5"], ["7"], []]


def test_long_class_names_do_not_head_columns(trained: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas", reason="tables with text are read by pandas, which is not installed")
    assert main(["evaluate", str(trained(3, names=lambda label: f"a long name {label}"))]) == 0
    assert "0 a long name" in capsys.readouterr().out


def test_a_terminal_without_the_middle_dot_gets_a_full_stop(model_file: Path) -> None:
    done = handconv("evaluate", model_file, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "?" not in done.stdout
    assert "  ." in done.stdout


def test_the_advice_names_the_model_that_was_evaluated(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(model_file)]) == 0
    assert f"handconv play {model_file}, then a row" in capsys.readouterr().out
