"""By one rule a recipe becomes objects, and what cannot become one is refused with rule, value and remedy."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import recipes

LAYERS = [{"class": "Flatten"}, {"class": "Dense", "units": 3}, {"class": "Softmax"}]


@pytest.mark.parametrize("name", recipes.NAMES)
def test_the_recipes_of_the_package_can_be_followed(name: str) -> None:
    assert recipes.check(recipes.load(name)) == recipes.load(name)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_the_recipes_of_the_package_train(name: str) -> None:
    recipe = {**recipes.load(name), "epochs": 1}
    model = recipes.network(recipe, classes=3, input_shape=(1, 12, 12))
    x = np.random.default_rng(0).random((6, 1, 12, 12), np.float32)
    assert len(model.fit(x, np.arange(6) % 3, **recipes.fit_arguments(recipe))["loss"]) == 1


def test_tables_within_tables_become_objects() -> None:
    schedule = {"class": "LinearWarmup", "schedule": {"class": "CosineDecay", "initial": 0.1}, "warmup": 0.2}
    recipe = {"optimizer": {"class": "AdamW", "learning_rate": schedule, "clip_norm": 1.0}}
    optimizer = recipes.fit_arguments(recipe)["optimizer"]
    assert isinstance(optimizer, hc.AdamW)
    assert optimizer.clip_norm == 1.0
    assert optimizer.learning_rate == hc.schedules.LinearWarmup(hc.schedules.CosineDecay(0.1), 0.2)


def test_a_list_of_augmentations_is_composed() -> None:
    tables = [{"class": "Shift", "pixels": 2}, {"class": "HorizontalFlip"}]
    composed = recipes.fit_arguments({"augment": tables})["augment"]
    assert composed == hc.augment.Compose([hc.augment.Shift(2), hc.augment.HorizontalFlip()])
    assert recipes.fit_arguments({"augment": tables[:1]})["augment"] == hc.augment.Shift(2)


def test_what_is_empty_is_left_out() -> None:
    assert recipes.fit_arguments({"augment": [], "averaging": {}}) == {}


def test_names_come_back_as_python_has_them() -> None:
    checked = recipes.check({"shard-size": 8, "optimizer": {"class": "Adam", "beta1": 0.9, "learning-rate": 0.1}})
    assert checked == {"shard_size": 8, "optimizer": {"class": "Adam", "beta_1": 0.9, "learning_rate": 0.1}}


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"epoch": 3}, r"There is no entry 'epoch' in a recipe\. Did you mean epochs\?"),
        ({"nonsense": 3}, "There are: epochs, batch_size,"),
        ({"epochs": "x"}, "epochs must be a whole number of at least 1, got 'x'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"shard_size": 1.5}, "shard_size must be a whole number"),
        ({"l2": -1}, "l2 must be a number of at least 0, got -1"),
        ({"dropout": 1}, "dropout must be a number of at least 0 and below 1, got 1"),
        ({"optimizer": "Adam"}, "optimizer must be a table with a class, one of Adagrad, Adam, .*; got 'Adam'"),
        ({"optimizer": {"learning_rate": 1}}, r"optimizer needs a class\. There are: Adagrad, Adam"),
        ({"optimizer": {"class": "Adan"}}, r"optimizer has no class 'Adan'\. Did you mean Adam\?"),
        ({"optimizer": {"class": 3}}, "optimizer has no class 3"),
        ({"optimizer": {"class": "Optimizer"}}, "optimizer has no class 'Optimizer'"),
        ({"optimizer": {"class": "SGD", "momentom": 0.9}}, r"SGD has no argument 'momentom'\. Did you mean momentum\?"),
        ({"optimizer": {"class": "SGD", "momentum": 2}}, "optimizer: SGD: momentum must be a number .* got 2"),
        ({"optimizer": {"class": "SGD", "nesterov": 1}}, "SGD: nesterov must be true or false, got 1"),
        ({"optimizer": {"class": "Adam", "beta_1": {"class": "Adam"}}}, "optimizer.beta_1 must be a plain value"),
        ({"optimizer": {"class": "Adam", "learning_rate": "x"}}, "Adam: learning_rate must be a number above 0"),
        (
            {"optimizer": {"class": "Adam", "learning_rate": {"class": "OneCycle"}}},
            r"optimizer\.learning_rate: OneCycle needs peak\. Give optimizer\.learning_rate\.peak",
        ),
        ({"optimizer": {"class": "Adam", "learning_rate": {"class": "Shift"}}}, "learning_rate has no class 'Shift'"),
        ({"loss": {"class": "MeanSquaredErorr"}}, "Did you mean MeanSquaredError"),
        ({"averaging": {"decay": 0.9}}, "averaging needs a class"),
        ({"augment": [{"class": "Shift"}]}, r"augment\.0: Shift needs pixels"),
        ({"augment": [{"class": "Shift", "pixels": -1}]}, r"augment\.0: Shift: pixels must be a number of at least 0"),
        ({"augment": 3}, "augment must be a table with a class"),
        ({"network": "pluss"}, r"There is no network 'pluss'\. Did you mean plus\?"),
        ({"network": 3}, "There is no network 3"),
        ({"network": {}}, "A network is described by its layers"),
        ({"network": {"layers": []}}, "A network is described by its layers"),
        ({"network": {"layers": LAYERS, "depth": 3}}, "got depth too"),
        ({"network": {"layers": [{"class": "Densee"}]}}, r"layers\.0 has no class 'Densee'\. Did you mean Dense\?"),
        ({"network": {"layers": ["Flatten", {"class": "Softmax"}]}}, r"layers\.0 must be a table with a class"),
        ({"network": {"layers": [{"class": "Dense", "unit": 3}]}}, "Dense has no argument 'unit'. Did you mean units"),
    ],
)
def test_what_cannot_be_followed_is_refused(recipe: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipes.check(recipe)


def test_the_networks_of_the_zoo_get_penalty_and_dropout() -> None:
    model = recipes.network({"network": "reference", "l2": 0.5, "dropout": 0.2}, classes=3, input_shape=(1, 28, 28))
    assert model.layers[7].l2 == 0.5  # type: ignore[attr-defined]
    assert model.layers[9].rate == 0.2  # type: ignore[attr-defined]
    assert model.output_shape == (3,)


def test_layers_within_layers_are_made() -> None:
    inner = [{"class": "Conv2D", "filters": 4, "kernel_size": 3, "padding": 1}]
    residual = {"class": "Residual", "layers": inner, "projection": {"class": "Conv2D", "filters": 4, "kernel_size": 1}}
    model = recipes.network({"network": {"layers": [residual, *LAYERS]}}, classes=3, input_shape=(1, 8, 8))
    assert isinstance(model.layers[0], hc.Residual)
    assert model.layers[0].output_shape == (4, 8, 8)


def test_layers_that_do_not_fit_the_images_are_refused() -> None:
    layers = [{"class": "Conv2D", "filters": 4, "kernel_size": 9}, *LAYERS]
    with pytest.raises(ValueError, match=r"do not fit images of shape \(1, 8, 8\): .*kernel \(9, 9\) does not fit"):
        recipes.network({"network": {"layers": layers}}, classes=3, input_shape=(1, 8, 8))


def test_layers_that_tell_other_classes_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"for each of the 26 classes, got 3\. Give the last Dense units = 26"):
        recipes.network({"network": {"layers": LAYERS}}, classes=26, input_shape=(1, 8, 8))


def test_an_entry_in_two_spellings_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^A recipe has each entry once, got batch_size in two spellings\. Leave"):
        recipes.check({"batch-size": 32, "batch_size": 64})


@pytest.mark.parametrize("place", ["optimizer", "loss", "averaging"])
def test_one_object_is_not_described_by_a_list(place: str) -> None:
    with pytest.raises(ValueError, match=rf"^{place} must be a table with a class, one of .*; got \[.*\]\.$"):
        recipes.check({place: [{"class": "Adam"}]})


def test_a_list_of_tables_is_no_plain_value() -> None:
    with pytest.raises(ValueError, match=r"optimizer\.beta_1 must be a plain value, got the table \[\{'a': 1\}\]\."):
        recipes.check({"optimizer": {"class": "Adam", "beta_1": [{"a": 1}]}})
