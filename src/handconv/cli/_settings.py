"""Settings as frozen dataclasses: from each field come the option, the key in the --config file and the check of both.

A field is declared once, with its default, its help and a reader. ``learning_rate`` is then ``--learning-rate`` on the
command line and ``learning_rate`` (or ``learning-rate``) in the file; the command line wins over the file, the file
over the default.
"""

import argparse
import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from handconv.cli._errors import UsageError
from handconv.utils.nearest import nearest

Reader = Callable[[object], Any]
"""Turns what was typed, or a value of the file, into a setting; a ValueError says what it has to be."""

Settings = TypeVar("Settings")


def setting(
    default: Any, read: Reader, help_text: str, *, metavar: str | None = None, alone: object | None = None
) -> Any:
    """Declare a field of a settings class.

    Args:
        default: its value where nothing says otherwise.
        read: the reader.
        help_text: what it is.
        metavar: what stands for the value in the help.
        alone: the value of the option where it stands alone; without one, it needs a value.
    """
    about = {"read": read, "help": help_text, "metavar": metavar, "alone": alone}
    return dataclasses.field(default=default, metadata=about)


def text(value: object) -> str:
    """Read any text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def column(value: object) -> str:
    """Read the name of a column, or its place."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def one_of(*choices: str) -> Reader:
    """Read one of these words."""

    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return read


def whole(least: int) -> Reader:
    """Read a whole number of at least ``least``."""

    def read(value: object) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(f"a whole number of at least {least}")
        return number

    return read


def number(rule: str, holds: Callable[[float], bool]) -> Reader:
    """Read a finite number for which a rule holds."""

    def read(value: object) -> float:
        try:
            result = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            result = math.nan
        if not (math.isfinite(result) and holds(result)):
            raise ValueError(f"a number {rule}")
        return result

    return read


def workers(value: object) -> int | str:
    """Read a number of processes, or auto."""
    try:
        return "auto" if value == "auto" else int(whole(1)(value))
    except ValueError:
        raise ValueError("auto or a whole number of at least 1") from None


def switch(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def add_settings(parser: argparse.ArgumentParser, settings: type[Any], *, title: str) -> None:
    """Give a parser one option for each field."""
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(settings):
        flag, about = f"--{field.name.replace('_', '-')}", field.metadata
        text = about["help"].replace("%", "%%")  # argparse formats it
        if about["read"] is switch:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            shown = "" if field.default is None else f" (default: {field.default})"
            alone = {} if about["alone"] is None else {"nargs": "?", "const": about["alone"]}
            group.add_argument(flag, default=argparse.SUPPRESS, metavar=about["metavar"], help=text + shown, **alone)


def read_settings(settings: type[Settings], arguments: argparse.Namespace) -> Settings:
    """Make the settings from the defaults, then the command line.

    Args:
        settings: the class to make.
        arguments: the command line.

    Raises:
        UsageError: if a value is not what it has to be.
    """
    return settings(**given_settings(settings, arguments))


def given_settings(
    settings: type[Any],
    arguments: argparse.Namespace,
    config: Mapping[str, object] | None = None,
    file: str = "",
    beside: Collection[str] = (),
) -> dict[str, Any]:
    """The settings that a file and the command line give, by name; the command line wins.

    Args:
        settings: the class that they are for.
        arguments: the command line.
        config: what stands in the file.
        file: its name.
        beside: what else may stand in it.

    Raises:
        UsageError: if a value is not what it has to be, or the file has an unknown key.
    """
    values = check_settings(settings, config or {}, file, beside=beside)
    for name, field in _fields(settings).items():
        if hasattr(arguments, name):
            values[name] = _read(field.metadata["read"], getattr(arguments, name), f"--{name.replace('_', '-')}")
    return values


def check_settings(
    settings: type[Any],
    values: Mapping[str, object],
    file: str,
    remedy: str | None = None,
    beside: Collection[str] = (),
) -> dict[str, Any]:
    """Read the values that a file gives by name; what a field has as its default is always right.

    Args:
        settings: the class that they are for.
        values: by name.
        file: where they come from.
        remedy: what to do about a setting that there is not; a guess if not given.
        beside: what else may be meant.

    Raises:
        UsageError: if a value is not what it has to be, or there is no such setting.
    """
    fields, checked = _fields(settings), {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in fields:
            raise UsageError(f"{file}: there is no setting {key!r}.{remedy or nearest(name, (*fields, *beside))}")
        is_default = value is None and fields[name].default is None
        checked[name] = None if is_default else _read(fields[name].metadata["read"], value, f"{file}: {key}")
    return checked


def _fields(settings: type[Any]) -> dict[str, "dataclasses.Field[Any]"]:
    return {field.name: field for field in dataclasses.fields(settings)}


def _read(reader: Reader, value: object, what: str) -> Any:
    try:
        return reader(value)
    except ValueError as rule:
        raise UsageError(f"{what} must be {rule}, got {value!r}.") from None
