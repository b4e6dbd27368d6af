"""The page of results is made of records, one a run, which nothing runs twice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripts import make_results
from scripts.make_results import ROWS, Record

from handconv import recipes
from handconv.cli import train
from handconv.cli._command import Parser

REAL: dict[str, list[Record]] = {}
for record in make_results.read():
    REAL.setdefault(record["row"], []).append(record)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in (("RECORDS", "r.jsonl"), ("PAGE", "r.md"), ("FIGURES", "figures"), ("MODELS", "models")):
        monkeypatch.setattr(make_results, name, tmp_path / place)


class Told:
    """Stands for handconv: remembers its words, and reports."""

    def __init__(self, accuracy: float = 0.99) -> None:
        self.words: list[list[str]] = []
        self.accuracy = accuracy

    def __call__(self, words: Sequence[str]) -> list[Record]:
        self.words.append(list(words))
        if words[0] == "evaluate":
            return [{"event": "evaluation", "accuracy": self.accuracy, "loss": 0.1}]
        epoch = {"event": "epoch", "accuracy": 0.9}
        result = {"event": "result", "test_accuracy": self.accuracy, "test_loss": 0.1, "epochs": 1}
        return [epoch, {**result, "parameters": 53_866}]


def records() -> list[Any]:
    return [json.loads(line) for line in make_results.RECORDS.read_text("utf-8").splitlines()]


def test_a_run_leaves_one_record() -> None:
    make_results.run("reference-best", 3, Told())
    (record,) = records()
    assert record["row"] == "reference-best"
    assert record["seed"] == 3
    assert record["accuracy"] == 0.99
    assert record["command"] == "handconv train --recipe best --seed 3"
    assert record["training_accuracy"] == [0.9]


def test_what_is_recorded_is_not_run_again() -> None:
    told = Told()
    for seed in (0, 0, 1):
        make_results.run("reference-best", seed, told)
    assert len(told.words) == len(records()) == 2


def test_a_record_of_another_command_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    make_results.run("reference-best", 0, Told())
    monkeypatch.setitem(ROWS, "reference-best", make_results.Row("other", "train --recipe best --epochs 3"))
    assert make_results.read() == []


def test_a_record_of_another_recipe_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    make_results.run("reference-best", 0, Told())
    make_results.run("reference-plain", 0, Told())
    load = recipes.load
    monkeypatch.setattr(recipes, "load", lambda name: load(name) | ({"l2": 0.5} if name == "best" else {}))
    assert [record["row"] for record in make_results.read()] == ["reference-plain"]


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    make_results.MODELS.mkdir()
    make_results._model("plus-best", 0).with_suffix(".run.npz").touch()
    load = recipes.load
    monkeypatch.setattr(recipes, "load", lambda name: load(name) | {"l2": 0.5})
    told = Told()
    make_results.run("plus-best", 0, told)
    assert "--resume" not in told.words[0]


def test_what_was_broken_off_goes_on_from_its_checkpoint() -> None:
    make_results.MODELS.mkdir()
    checkpoint = make_results._model("plus-best", 0).with_suffix(".run.npz")
    checkpoint.touch()
    told = Told()
    make_results.run("plus-best", 0, told)
    assert told.words == [["train", "--resume", str(checkpoint), "--no-play", "--json"]]
    assert records()[0]["wall_seconds"] is None


def test_an_ensemble_is_of_the_models_that_were_trained() -> None:
    with pytest.raises(SystemExit, match="Run plus-best first"):
        make_results.run("plus-ensemble", 0, Told())
    for seed in ROWS["plus-best"].seeds:
        make_results._model("plus-best", seed).touch()
    told = Told()
    make_results.run("plus-ensemble", 0, told)
    ((verb, *models),) = ([word for word in told.words[0] if word == "evaluate" or word.endswith(".npz")],)
    assert verb == "evaluate"
    assert len(models) == 3


def test_the_page_says_which_bars_are_reached() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the figures")
    for seed in ROWS["reference-best"].seeds:
        make_results.run("reference-best", seed, Told(0.996))
    make_results.run("reference-plain", 0, Told(0.98))
    make_results.main(["page"])
    page = make_results.PAGE.read_text("utf-8")
    assert "| reference, `best` | 53,866 | 1 | 99.60 % | 99.60 % … 99.60 % | 5 |" in page
    assert "99.50 %: reached; 10.0 min: kept" in page
    assert "1 of 5" in page
    assert "99.00 %: missed" in page
    for shown in ("results-epochs.png", "results-parameters.png"):
        assert f"figures/{shown}" in page
        assert (make_results.FIGURES / shown).stat().st_size > 0


def test_labels_of_epochs_that_lie_near_one_another_do_not_collide() -> None:
    assert make_results.labels_of([2, 10, 12, 20, 150]) == ["2", "10", "", "20", "150"]


def test_no_name_of_a_published_network_lies_on_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    drawn = make_results.figures.new_figure(8, 4.5)
    monkeypatch.setattr(make_results.figures, "new_figure", lambda *_: drawn)
    real = {name: found for name, found in REAL.items() if found[0]["parameters"] and ROWS[name].dataset == "MNIST"}
    make_results.FIGURES.mkdir()
    make_results._draw_parameters(real)
    (axes,) = drawn.axes
    points = [axes.transData.transform(point) for line in axes.lines for point in line.get_xydata()]
    names = [text.get_window_extent() for text in axes.texts]
    assert len(names) == len(make_results.PUBLISHED)
    assert [point.tolist() for name in names for point in points if name.padded(2).contains(*point)] == []
    assert sum(one.overlaps(other) for one in names for other in names) == len(names)


def test_a_page_without_records_can_be_written() -> None:
    make_results.main(["page"])
    assert "# Results" in make_results.PAGE.read_text("utf-8")


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.models is None])
def test_every_command_is_one_of_handconv(name: str) -> None:
    told = Told()
    make_results.run(name, 0, told)
    parser = train.COMMAND.parser("handconv train")
    assert isinstance(parser, Parser)
    settings, _ = train.read_all(parser.parse_args(told.words[0][1:]))
    assert settings.seed == 0
