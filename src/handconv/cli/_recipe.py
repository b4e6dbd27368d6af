"""Which recipe a training follows: the named one, then the file's entries, then the options, then each --set."""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from handconv import recipes
from handconv.cli._errors import UsageError
from handconv.losses import CategoricalCrossentropy, SoftmaxCategoricalCrossentropy
from handconv.optimizers.schedules import CosineDecay, OneCycle
from handconv.recipes import Recipe

#: The schedules that have a word of their own on the command line; the learning rate is their highest.
SCHEDULES: dict[str, Callable[[float], object]] = {
    "one-cycle": lambda rate: {"class": OneCycle.__name__, "peak": rate},
    "cosine": lambda rate: {"class": CosineDecay.__name__, "initial": rate},
    "constant": float,
}
#: The entries of a recipe that the --config file may have beside the settings.
TABLES = ("loss", "optimizer", "averaging", "augment", "shard_size")
#: The losses whose targets are class numbers.
_LOSSES = (SoftmaxCategoricalCrossentropy.__name__, CategoricalCrossentropy.__name__)

_PLAIN = ("epochs", "batch_size", "l2", "dropout")


def read_config(path: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings, and the entries of a recipe, of the --config file, if there is one.

    Raises:
        UsageError: if it is no TOML.
        OSError: if it cannot be read.
    """
    found: dict[str, Any] = {}
    with _said_by(""):
        for key, value in ({} if path is None else recipes.read(path)).items():
            name = key.replace("-", "_")
            if name in found:
                raise ValueError(f"{path}: a setting stands once, got {name} in two spellings. Leave {key!r} out.")
            found[name] = value
    tables = {key: found.pop(key) for key in TABLES if key in found}
    return found, tables


def resolve(
    base: Recipe, file: str | None, tables: Recipe, options: Mapping[str, Any], entries: Iterable[str]
) -> Recipe:
    """Bring together what was said, each stage over the one before, and prove it.

    Args:
        base: the recipe that was named, or that of the run that goes on.
        file: the --config file.
        tables: what it says of the recipe.
        options: settings that were given, by name; others are None.
        entries: what was said by --set, ENTRY=VALUE each.

    Raises:
        UsageError: if the recipe cannot be followed.
    """
    recipe = base
    if tables:
        with _said_by(f"{file}: "):
            recipe = recipes.check(recipes.merged(recipe, tables))
    with _said_by(""):
        recipe = recipes.check(_with_options(recipe, options))
    for entry in entries:
        with _said_by(f"--set {entry}: "):
            recipe = recipes.check(recipes.changed(recipe, *_entry(entry)))
    loss = (recipe.get("loss") or {}).get("class", _LOSSES[0])
    if loss not in _LOSSES:
        raise UsageError(f"classes are learnt by the loss {' or '.join(_LOSSES)}, got {loss}. Others are for Python.")
    return recipe


def described_network(name: str) -> str | dict[str, Any]:
    """The entry ``network`` for what --network names: a network of the zoo, or the layers of a TOML file.

    Raises:
        UsageError: if there is neither.
        OSError: if the file cannot be read.
    """
    if not name.endswith(".toml"):
        return name
    with _said_by(""):
        described = dict(recipes.read(name))
    with _said_by(f"{name}: "):
        recipes.check({"network": described})
    return described


def _with_options(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """Let the options win over the recipe."""
    given = {name: value for name, value in options.items() if value is not None}
    if "network" in given:
        described = described_network(given["network"])
        of_the_zoo = () if isinstance(described, str) else recipes.OF_THE_ZOO  # which other layers say themselves
        recipe = {name: value for name, value in recipe.items() if name not in of_the_zoo} | {"network": described}
    recipe = recipes.merged(recipe, {name: given[name] for name in _PLAIN if name in given})
    if "label_smoothing" in given:
        recipe = recipes.merged(recipe, {"loss": {"label_smoothing": given["label_smoothing"]}})
    if "learning_rate" in given:
        recipe = recipes.with_learning_rate(recipe, given["learning_rate"])
    if "schedule" in given:
        rate = SCHEDULES[given["schedule"]](recipes.learning_rate(recipe))
        recipe = recipes.changed(recipe, "optimizer.learning_rate", rate)
    return recipe


def _entry(text: str) -> tuple[str, Any]:
    """Read ENTRY=VALUE; a value is TOML, and what is none is text."""
    entry, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in entry.split(".")):
        raise ValueError("give ENTRY=VALUE, as in optimizer.beta_1=0.95")
    try:
        return entry.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return entry.strip(), value.strip()


@contextmanager
def _said_by(whose: str) -> Iterator[None]:
    """Say where it was said what is wrong."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{whose}{error}") from error
