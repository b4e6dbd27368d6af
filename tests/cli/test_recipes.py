"""``handconv train`` follows a recipe: named, from a file, changed by options and entries, kept with the run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main

QUICK = ("train", "--dataset", "digits", "--epochs", "1", "--validation-split", "0.8", "--no-play", "--json")
NETWORK = """
[[layers]]
class = "Flatten"
[[layers]]
class = "Dense"
units = 10
[[layers]]
class = "Softmax"
"""


def trained(folder: Path, *arguments: str) -> hc.Sequential:
    """The model that a quick training gives."""
    file = folder / "model.npz"
    assert main([*QUICK, *arguments, "--save", str(file)]) == 0
    return hc.load(file)


def recipe_of(folder: Path, *arguments: str) -> Any:
    return trained(folder, *arguments).info["recipe"]


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    file = tmp_path / "net.toml"
    file.write_text(NETWORK)
    return file


def test_a_named_recipe_is_kept_with_the_run(cache_folder: Path, tmp_path: Path) -> None:
    assert recipe_of(tmp_path, "--recipe", "fast") == {**hc.recipes.load("fast"), "epochs": 1}


def test_best_trains_with_averages_and_augmentation(cache_folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "--recipe", "best")
    assert recipe["averaging"]["class"] == "ExponentialAverage"
    assert [step["class"] for step in recipe["augment"]] == ["Affine", "Elastic"]


def test_options_win_over_the_recipe(cache_folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        *(tmp_path, "--recipe", "best", "--learning-rate", "0.02", "--schedule", "cosine", "--batch-size", "32"),
        *("--l2", "0.1", "--dropout", "0.7", "--label-smoothing", "0.2"),
    )
    assert recipe["optimizer"]["learning_rate"] == {"class": "CosineDecay", "initial": 0.02}
    assert (recipe["batch_size"], recipe["l2"], recipe["dropout"]) == (32, 0.1, 0.7)
    assert recipe["loss"]["label_smoothing"] == 0.2


def test_entries_win_over_options(cache_folder: Path, tmp_path: Path) -> None:
    entries = ("--set", "optimizer.beta1=0.95", "--set", "batch_size=16", "--set", "optimizer.class=AdamW")
    recipe = recipe_of(tmp_path, "--batch-size", "32", *entries)
    assert recipe["optimizer"]["beta_1"] == 0.95
    assert recipe["optimizer"]["class"] == "AdamW"
    assert recipe["batch_size"] == 16


def test_the_file_gives_tables_beside_settings(cache_folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('recipe = "plain"\nbatch_size = 64\n[optimizer]\nbeta-1 = 0.8\n[[augment]]\nclass = "Elastic"\n')
    recipe = recipe_of(tmp_path, "--config", str(config))
    rate = {"class": "InverseTimeDecay", "initial": 0.003, "decay": 1e-3}
    assert recipe["optimizer"] == {"class": "Adam", "learning_rate": rate, "beta_1": 0.8}
    assert recipe["augment"] == [{"class": "Elastic"}]
    assert recipe["batch_size"] == 64


def test_the_recipe_decides_what_is_computed(cache_folder: Path, tmp_path: Path) -> None:
    plain, again, shifted = (
        trained(tmp_path, *entries).parameters.copy()
        for entries in ([], [], ["--set", 'augment=[{class="Shift",pixels=2}]'])
    )
    assert np.array_equal(plain, again)
    assert not np.array_equal(plain, shifted)


def test_the_zoo_can_be_trained(cache_folder: Path, tmp_path: Path) -> None:
    assert trained(tmp_path, "--network", "plus").parameters.size == hc.zoo.plus().parameters.size


def test_a_file_describes_the_network(cache_folder: Path, tmp_path: Path, network_file: Path) -> None:
    model = trained(tmp_path, "--network", str(network_file))
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", "Dense", "Softmax"]
    assert model.info["recipe"]["network"]["layers"][1] == {"class": "Dense", "units": 10}
    assert not {"l2", "dropout"} & model.info["recipe"].keys()


def test_runs_show_lists_the_entries_as_set_takes_them(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--recipe", "best", "--set", "augment.0.rotate=7"]) == 0
    run = Path(objects(capsys.readouterr().out)[-1]["saved"]).stem
    assert main(["runs", "show", run]) == 0
    shown = capsys.readouterr().out
    for line in ('optimizer.class = "AdamW"', "augment.0.rotate = 7", "averaging.decay = 0.999", "epochs = 1"):
        assert f"  {line}\n" in shown


def test_a_run_goes_on_with_the_entries_that_it_was_started_with(
    cache_folder: Path, tmp_path: Path, network_file: Path
) -> None:
    entries = ("--network", str(network_file), "--set", "optimizer.beta_1=0.8", "--label-smoothing", "0.3")
    started = trained(tmp_path, *entries).info["recipe"]
    network_file.unlink()
    assert main(["train", "--resume", str(tmp_path / "model.run.npz"), "--epochs", "1", "--no-play", "--json"]) == 0
    assert hc.load(tmp_path / "model.npz").info["recipe"] == started


def test_a_run_does_not_go_on_with_another_network(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path)
    assert main(["train", "--resume", str(tmp_path / "model.run.npz"), "--network", "plus"]) == 2
    assert "goes on with the network it was started with, got --network plus." in capsys.readouterr().err


@pytest.mark.parametrize(("started", "other"), [("--engine", "--no-engine"), ("--no-engine", "--engine")])
def test_a_run_does_not_go_on_with_another_engine(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], started: str, other: str
) -> None:
    trained(tmp_path, started)
    assert main(["train", "--resume", str(tmp_path / "model.run.npz"), other]) == 2
    assert f"the run was started with {started} and goes on with it." in capsys.readouterr().err


def test_settings_can_be_chosen_without_the_test_images(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(hc.Sequential, "evaluate")
    model = trained(tmp_path, "--no-test")
    epoch, result = objects(capsys.readouterr().out)
    assert 0 <= epoch["val_accuracy"] <= 1
    assert result["test_accuracy"] is None
    assert "test_accuracy" not in model.info


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "bset"], "--recipe must be one of standard, fast, plain, best, got 'bset'"),
        (["--set", "epochs"], "--set epochs: give ENTRY=VALUE, as in optimizer.beta_1=0.95"),
        (["--set", "=3"], "--set =3: give ENTRY=VALUE"),
        (["--set", "epoch=3"], "--set epoch=3: There is no entry 'epoch' in a recipe. Did you mean epochs?"),
        (["--set", "loss.class=MeanSquaredError"], "classes are learnt by the loss SoftmaxCategoricalCrossentropy or"),
        (["--set", "seed=3"], "--set changes entries of the recipe; seed is an option, --seed."),
        (["--set", "epochs=many"], "--set epochs=many: epochs must be a whole number of at least 1, got 'many'"),
        (["--set", "optimizer.beta=1"], "Adam has no argument 'beta'. Did you mean beta_2?"),
        (["--set", "optimizer.beta_1=1"], "Adam: beta_1 must be a number of at least 0 and below 1, got 1"),
        (["--set", "averaging.decay=0.9"], "averaging needs a class"),
        (["--network", "pluss"], "There is no network 'pluss'. Did you mean plus?"),
        (["--config", "missing.toml"], "missing.toml: No such file or directory."),
        (["--network", "missing.toml"], "missing.toml: No such file or directory."),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *arguments]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--config", "[optimizer]\nbetta_1 = 0.9", "Adam has no argument 'betta_1'. Did you mean beta_1?"),
        ("--config", '[optimizer]\nclass = "Adan"', "optimizer has no class 'Adan'. Did you mean Adam?"),
        ("--config", "augment = 3", "augment must be a table with a class"),
        ("--network", "layers = 3", "A network is described by its layers"),
        ("--network", "epochs = 3", "got epochs too"),
        ("--network", "layers", "is no TOML file"),
    ],
)
def test_a_wrong_file_is_named(
    option: str, content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    assert main(["train", option, str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mine.toml" in line
    assert words in line


def test_a_network_that_does_not_fit_the_data_says_so(
    cache_folder: Path, network_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network_file.write_text(NETWORK.replace("10", "26"))
    assert main([*QUICK, "--network", str(network_file)]) == 1
    assert "for each of the 10 classes, got 26. Give the last Dense units = 10." in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--l2", "--dropout"])
def test_what_is_for_the_zoo_is_refused_for_layers_of_ones_own(
    option: str, network_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--network", str(network_file), option, "0.1"]) == 2
    assert f"{option[2:]} is for the networks of the zoo, got layers too" in capsys.readouterr().err
