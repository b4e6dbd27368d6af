"""A recipe as data: read from TOML, merged with another, changed entry by entry, and shown.

epochs = 10
dropout = 0.3

[optimizer]                       a table with a class becomes an object of that class, its other entries being
class = "Adam"                    the arguments; tables may stand within tables
learning_rate = { class = "OneCycle", peak = 0.01 }

[[augment]]                       a list of tables becomes several objects, one after the other
class = "Shift"
pixels = 2
"""

import codecs
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from handconv.utils.nearest import nearest
from handconv.utils.validation import POSITIVE, check_number

Recipe = Mapping[str, Any]
"""Entries by name: plain values, tables and lists of them, as TOML has them."""

#: The recipes of the package.
NAMES = ("standard", "fast", "plain", "best")

#: What a schedule calls its highest rate.
_RATES = ("rate", "initial", "peak")


def load(name: str) -> Recipe:
    """Read a recipe of this package by its name.

    Args:
        name: one of ``NAMES``.

    Raises:
        ValueError: if there is no such recipe.

    Example:
        >>> load("plain")["optimizer"]["learning_rate"]
        {'class': 'InverseTimeDecay', 'initial': 0.003, 'decay': 0.001}
    """
    if name not in NAMES:
        raise ValueError(f"There is no recipe {name!r}.{nearest(str(name), NAMES)} read(path) reads your own.")
    return tomllib.loads(files("handconv.recipes").joinpath(f"{name}.toml").read_text("utf-8"))


def read(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe, or the description of a network, from a TOML file of your own.

    Args:
        path: the file, in UTF-8, or in UTF-16 as Windows' shell writes it.

    Raises:
        ValueError: if it is no TOML.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.toml"
        >>> _ = path.write_text('optimizer.class = "Lion"')
        >>> read(path)
        {'optimizer': {'class': 'Lion'}}
    """
    content = Path(path).read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return tomllib.loads(content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{os.fspath(path)} is no TOML file: {error}. A line is, for example: epochs = 5") from error


def merged(recipe: Recipe, changes: Recipe) -> Recipe:
    """Return a recipe with the entries of another one in place of its own.

    Tables are merged entry by entry, unless the other one names another class: then it stands alone.

    Args:
        recipe: stays as it is.
        changes: what comes in its place.

    Example:
        >>> merged({"optimizer": {"class": "Adam", "beta_1": 0.9}}, {"optimizer": {"beta_1": 0.95}})
        {'optimizer': {'class': 'Adam', 'beta_1': 0.95}}
        >>> merged({"optimizer": {"class": "Adam", "beta_1": 0.9}}, {"optimizer": {"class": "SGD"}})
        {'optimizer': {'class': 'SGD'}}
    """
    result = dict(checked_table(recipe))
    for given, value in checked_table(changes).items():
        name = own_name(given, result)
        before = result.get(name)
        same = (
            isinstance(before, Mapping)
            and isinstance(value, Mapping)
            and value
            and value.get("class", before.get("class")) == before.get("class")
        )
        result[name] = merged(before, value) if same else value  # type: ignore[arg-type]
    return result


def checked_table(recipe: object) -> Recipe:
    """Return what is a mapping from names.

    Args:
        recipe: what was given.

    Raises:
        TypeError: if it is no such mapping.
    """
    if not isinstance(recipe, Mapping) or not all(isinstance(name, str) for name in recipe):
        raise TypeError(f"A recipe has entries by name, as load(name) gives it, got {recipe!r}.")
    return recipe


def changed(recipe: Recipe, entry: str, value: object) -> Recipe:
    """Return a recipe with one entry changed, or added.

    Args:
        recipe: stays as it is.
        entry: where it stands: names, and places in lists counted from 0, with dots between.
        value: a plain value, a table, or a list of tables.

    Raises:
        ValueError: if there is no such place.

    Example:
        >>> recipe = {"augment": [{"class": "Shift", "pixels": 2}]}
        >>> changed(recipe, "augment.0.pixels", 3)
        {'augment': [{'class': 'Shift', 'pixels': 3}]}
    """
    if not isinstance(entry, str):
        raise TypeError(f"An entry is named by text, as in optimizer.beta_1, got {entry!r}.")
    if not all(entry.split(".")):
        raise ValueError(f"An entry is names with a dot between each two, as in optimizer.beta_1, got {entry!r}.")
    first, _, rest = entry.partition(".")
    checked_table(recipe)
    return merged(recipe, {first: _changed(recipe.get(own_name(first, recipe)), rest, value, first)})


def _changed(inside: object, entry: str, value: object, path: str) -> object:
    """What stands at a path, with one entry within it changed."""
    if not entry:
        return value
    first, _, rest = entry.partition(".")
    within = f"{path}.{first}"
    if isinstance(inside, list):
        if not first.isdecimal() or int(first) >= len(inside):
            raise ValueError(
                f"{path} has {len(inside)} tables, counted from 0, and none at {first!r}. "
                f"The whole list can be given: {path}=[{{class = …}}]."
            )
        place = int(first)
        return [*inside[:place], _changed(inside[place], rest, value, within), *inside[place + 1 :]]
    if inside is not None and not isinstance(inside, Mapping):
        raise ValueError(f"{path} is {inside!r} and has nothing within it; give it as a whole: {path}=…")
    table = inside or {}
    return merged(table, {first: _changed(table.get(own_name(first, table)), rest, value, within)})


def own_name(given: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The known name that was meant: hyphens and underscores make no difference; the given one if there is none.

    Args:
        given: as it was typed.
        known: the names.

    Example:
        >>> own_name("beta1", ["beta_1", "beta_2"]), own_name("batch-size", ["batch_size"]), own_name("x", [])
        ('beta_1', 'batch_size', 'x')
    """
    return next((name for name in known if _plain(name) == _plain(given)), given)


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name)


def learning_rate(recipe: Recipe) -> float:
    """The learning rate of a recipe: the highest of its schedule.

    Args:
        recipe: with an optimizer that has a learning rate.

    Raises:
        ValueError: if there is none.

    Example:
        >>> learning_rate(load("fast"))
        0.015
    """
    return _rate(_optimizer(recipe).get("learning_rate"))


def _rate(described: Any) -> float:
    if isinstance(described, Mapping):
        name = next((name for name in ("schedule", *_RATES) if name in described), None)
        return _rate(None if name is None else described[name])
    if not isinstance(described, int | float) or isinstance(described, bool):
        raise ValueError(f"optimizer.learning_rate must be a number or a schedule with a rate, got {described!r}.")
    return float(described)


def with_learning_rate(recipe: Recipe, rate: float) -> Recipe:
    """Return a recipe with another learning rate; a schedule stays, and has this as its highest rate.

    Args:
        recipe: stays as it is.
        rate: the new one, above 0.

    Raises:
        ValueError: if the rate is not a number above 0.

    Example:
        >>> with_learning_rate({"optimizer": {"learning_rate": {"class": "OneCycle", "peak": 0.1}}}, 0.2)
        {'optimizer': {'learning_rate': {'class': 'OneCycle', 'peak': 0.2}}}
    """
    rate = check_number("learning_rate", rate, *POSITIVE)
    return merged(recipe, {"optimizer": {"learning_rate": _with_rate(_optimizer(recipe).get("learning_rate"), rate)}})


def _with_rate(described: Any, rate: float) -> Any:
    if not isinstance(described, Mapping):
        return rate
    if "schedule" in described:
        return {**described, "schedule": _with_rate(described["schedule"], rate)}
    name = next((name for name in _RATES if name in described), None)
    return rate if name is None else {**described, name: rate}


def _optimizer(recipe: Recipe) -> Mapping[str, Any]:
    optimizer = checked_table(recipe).get("optimizer")
    return optimizer if isinstance(optimizer, Mapping) else {}


def entries(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """Walk through all plain values, each with the entry that ``changed`` knows it by.

    Args:
        recipe: the recipe.

    Example:
        >>> list(entries({"epochs": 3, "augment": [{"class": "Shift", "pixels": 2}]}))
        [('epochs', 3), ('augment.0.class', 'Shift'), ('augment.0.pixels', 2)]
    """
    for name, value in checked_table(recipe).items():
        yield from _entries(name, value)


def _entries(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _entries(f"{path}.{name}", inside)
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for place, inside in enumerate(value):
            yield from _entries(f"{path}.{place}", inside)
    else:
        yield path, value
