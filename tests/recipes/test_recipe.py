"""A recipe is data: read, merged, changed and shown."""

from pathlib import Path
from typing import Any

import pytest

from handconv import recipes

ADAM = {"optimizer": {"class": "Adam", "beta_1": 0.8, "learning_rate": {"class": "OneCycle", "peak": 0.1}}}


def test_a_recipe_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"There is no recipe 'bset'\. Did you mean best\?"):
        recipes.load("bset")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_is_read_as_editors_of_all_systems_write_it(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(f"epochs = 3  # für{end}{end}[loss]{end}label_smoothing = 0.1{end}".encode(encoding))
    assert recipes.read(path) == {"epochs": 3, "loss": {"label_smoothing": 0.1}}


def test_a_file_that_is_no_toml_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3\nepochs\n")
    with pytest.raises(ValueError, match=r"mine\.toml is no TOML file: .* line 2.*A line is, for example: epochs = 5"):
        recipes.read(path)


def test_a_file_that_is_missing_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        recipes.read(tmp_path / "mine.toml")


def test_tables_of_one_class_are_merged() -> None:
    merged = recipes.merged(ADAM, {"optimizer": {"beta_2": 0.9}})
    assert merged["optimizer"] == {**ADAM["optimizer"], "beta_2": 0.9}


def test_a_table_of_another_class_stands_alone() -> None:
    assert recipes.merged(ADAM, {"optimizer": {"class": "SGD"}})["optimizer"] == {"class": "SGD"}


def test_merging_changes_neither() -> None:
    before = {"optimizer": dict(ADAM["optimizer"])}
    recipes.merged(ADAM, {"optimizer": {"beta_1": 0.5}})
    assert before == ADAM


@pytest.mark.parametrize(
    ("entry", "value", "expected"),
    [
        ("epochs", 7, {**ADAM, "epochs": 7}),
        ("optimizer.beta1", 0.95, {"optimizer": {**ADAM["optimizer"], "beta_1": 0.95}}),
        ("optimizer.class", "AdamW", {"optimizer": {**ADAM["optimizer"], "class": "AdamW"}}),
        ("optimizer.learning-rate.peak", 0.2, recipes.with_learning_rate(ADAM, 0.2)),
        ("averaging.class", "StochasticAverage", {**ADAM, "averaging": {"class": "StochasticAverage"}}),
    ],
)
def test_one_entry_changes(entry: str, value: Any, expected: Any) -> None:
    assert recipes.changed(ADAM, entry, value) == expected


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("augment.1.pixels", "augment has 1 tables, counted from 0, and none at '1'"),
        ("augment.x.pixels", "none at 'x'"),
        ("epochs.more", "epochs is 3 and has nothing within it"),
    ],
)
def test_a_place_that_there_is_not_is_refused(entry: str, words: str) -> None:
    recipe = {"epochs": 3, "augment": [{"class": "Shift", "pixels": 2}]}
    with pytest.raises(ValueError, match=words):
        recipes.changed(recipe, entry, 1)


@pytest.mark.parametrize(
    ("described", "rate"),
    [
        (0.5, 0.5),
        ({"class": "Constant", "rate": 0.3}, 0.3),
        ({"class": "LinearWarmup", "schedule": {"class": "CosineDecay", "initial": 0.2}}, 0.2),
    ],
)
def test_the_learning_rate_is_the_highest_of_its_schedule(described: Any, rate: float) -> None:
    recipe = {"optimizer": {"class": "SGD", "learning_rate": described}}
    assert recipes.learning_rate(recipe) == rate
    assert recipes.learning_rate(recipes.with_learning_rate(recipe, 0.7)) == 0.7


def test_another_learning_rate_leaves_the_schedule() -> None:
    changed = recipes.with_learning_rate(recipes.load("best"), 0.5)["optimizer"]["learning_rate"]
    assert changed["class"] == "LinearWarmup"
    assert changed["schedule"]["class"] == "CosineDecay"


@pytest.mark.parametrize("recipe", [{}, {"optimizer": {"class": "SGD"}}, {"optimizer": {"learning_rate": {}}}])
def test_a_recipe_without_a_learning_rate_says_so(recipe: Any) -> None:
    with pytest.raises(ValueError, match="learning_rate must be a number or a schedule with a rate"):
        recipes.learning_rate(recipe)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_entry_that_is_listed_can_be_changed(name: str) -> None:
    recipe = recipes.load(name)
    for entry, value in recipes.entries(recipe):
        assert recipes.changed(recipe, entry, value) == recipe


@pytest.mark.parametrize("wrong", [3, ["epochs"], {3: 4}, None])
def test_what_is_no_recipe_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="A recipe has entries by name"):
        recipes.merged(wrong, {})
    with pytest.raises(TypeError, match="An entry is named by text"):
        recipes.changed({}, wrong, 3)


@pytest.mark.parametrize("entry", ["", "optimizer..beta_1", "optimizer.", ".epochs"])
def test_an_entry_without_a_name_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="An entry is names with a dot between each two"):
        recipes.changed({"optimizer": {"beta_1": 0.9}}, entry, 1)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), "fast"])
def test_a_new_learning_rate_is_above_zero(rate: object) -> None:
    with pytest.raises(ValueError, match=r"learning_rate must be a number above 0, got"):
        recipes.with_learning_rate(recipes.load("fast"), rate)  # type: ignore[arg-type]
