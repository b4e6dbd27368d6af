"""What docs/recipes.md shows can be followed."""

import re
import tomllib
from pathlib import Path

import pytest

from handconv import recipes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text("utf-8")
EXAMPLES = [tomllib.loads(block) for block in re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: next(iter(example)))
def test_its_examples_can_be_followed(example: recipes.Recipe) -> None:
    recipe = {"network": example} if "layers" in example else example
    assert recipes.check(recipe) == recipe
    if "layers" in example:
        assert recipes.network(recipe, classes=10, input_shape=(1, 28, 28)).output_shape == (10,)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_it_names_every_recipe(name: str) -> None:
    assert f"--recipe {name}" in PAGE or f"recipe `{name}`" in PAGE
