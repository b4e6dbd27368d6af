"""``handconv report``: one page that needs nothing else."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import _models, main, report

pytest.importorskip("matplotlib")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long and is tested by itself."""
    whole = report._sections
    slow = ("Its neighbourhoods", "What each class looks for")
    monkeypatch.setattr(report, "_sections", lambda *given: [each for each in whole(*given) if each.title not in slow])


@pytest.mark.usefixtures("quick")
def test_the_page_has_all_pictures_and_asks_for_nothing_else(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(model_file), "--out", str(page), "--json"]) == 0
    (told,) = objects(capsys.readouterr().out)
    text = page.read_text("utf-8")
    assert len(told["pictures"]) == text.count("<img") == 11
    assert told["left_out"] == {}
    assert told["bytes"] == page.stat().st_size
    assert "After 3 epochs" in told["pictures"]["The training"]
    assert "over 3 epochs" in told["pictures"]["Weights and gradients over the epochs"]
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', text))
    assert not re.search(r"https?://|<script|<link|\$\w", text)


@pytest.mark.usefixtures("quick")
def test_curves_without_validation_are_not_explained_by_it(model_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(model_file), "--out", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "validation loss far above" not in text
    assert "--validation-split 0.1" in text


def test_a_bar_tells_which_picture_is_drawn(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[object, ...]] = []

    class Line:
        def draw(self, *what: object) -> None:
            drawn.append(what)

        def clear(self) -> None:
            drawn.append(())

    whole = report._sections
    monkeypatch.setattr(report, "_sections", lambda *given: whole(*given)[:2])
    monkeypatch.setattr("handconv.cli._output.live_line", Line)
    assert main(["report", str(model_file), "--out", str(tmp_path / "page.html")]) == 0
    assert ("pictures", 1, 2, "1 of 2", "What is taken for what") in drawn
    assert drawn[-1] == ()


@pytest.mark.usefixtures("quick")
def test_what_does_not_suit_the_model_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
    model.info["dataset"] = "digits"
    model.save(tmp_path / "dense.npz")
    assert main(["report", str(tmp_path / "dense.npz"), "--out", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr().out
    assert "left out: The training." in told
    assert "left out: The filters. This draws filters, and the model has no convolution." in told
    assert "Left out" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.usefixtures("quick")
def test_a_checkpoint_of_another_version_costs_the_picture_that_needs_it(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handconv.training.checkpoint._VERSION", 99)
    assert main(["report", str(model_file), "--out", str(tmp_path / "page.html"), "--json"]) == 0
    (told,) = objects(capsys.readouterr().out)
    assert "After 3 epochs" in told["pictures"]["The training"]
    (left_out,) = told["left_out"].items()
    assert left_out[0] == "Weights and gradients over the epochs"
    assert "this handconv reads 99" in left_out[1]


@pytest.mark.parametrize("named", [None, "digits-1", "dig", "FILE"])
def test_the_curves_are_those_of_the_model_whichever_way_it_is_named(
    named: str | None, model_file: Path, cache_folder: Path
) -> None:
    runs = cache_folder / "runs"
    runs.mkdir(parents=True)
    for kind in ("", ".run"):
        shutil.copy(model_file.with_name(f"digits{kind}.npz"), runs / f"digits-1{kind}.npz")
    checkpoint = _models.checkpoint_of(str(model_file) if named == "FILE" else named, lambda _: True)
    assert checkpoint is not None
    assert len(_models.epochs_of(checkpoint)) == 3
    assert _models.checkpoint_of(None, lambda _: False) is None


@pytest.mark.usefixtures("quick")
def test_names_of_classes_are_text_and_not_markup(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"<i>{label}" for label in range(10))
    dataset = dataclasses.replace(hc.datasets.load("digits"), class_names=names)
    monkeypatch.setattr(report, "load_for_model", lambda *_: dataset)
    assert main(["report", str(model_file), "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;i&gt;" in text
    assert "<i>" not in text


@pytest.mark.usefixtures("quick")
def test_the_page_names_a_data_set_without_its_folder(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataclasses.replace(hc.datasets.load("digits"), name="/home/ada/letters")
    monkeypatch.setattr(report, "load_for_model", lambda *_: dataset)
    assert main(["report", str(model_file), "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>A network for letters</h1>" in text
    assert "/home/ada" not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--row", "360"], "--row must be from 0 to 359, got 360."),
        (["--row", "x"], "--row must be"),
        (["--out", "page.pdf"], "--out must name a file that ends in .html"),
        (["--out", "nowhere/page.html"], "this one does not"),
    ],
)
def test_arguments_that_do_not_fit(
    arguments: list[str],
    told: str,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(model_file), *arguments]) != 0
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
