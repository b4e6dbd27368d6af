"""Things that are described by their arguments alone: frozen dataclasses that become plain values and come back."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from handconv.utils.validation import check_number

T = TypeVar("T")


class Configured:
    """The parent of frozen dataclasses whose arguments can be saved as plain values."""

    def config(self) -> dict[str, object]:
        """Return name and arguments as plain values, from which ``from_config`` makes the same thing."""
        if not dataclasses.is_dataclass(self):
            raise TypeError(f"{type(self).__name__} must be a dataclass to be described: @dataclass(frozen=True).")
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"name": type(self).__name__} | {name: _plain(value) for name, value in values.items()}

    def _check(self, name: str, fits: Callable[[float], bool], rule: str) -> None:
        """Check the argument of this name, and make it a plain float."""
        object.__setattr__(self, name, check_number(f"{type(self).__name__}: {name}", getattr(self, name), fits, rule))


def from_config(config: Mapping[str, Any], kinds: Mapping[str, type[T]], what: str) -> T:
    """Make the thing that ``config()`` described, and those that its arguments are made of.

    Args:
        config: the name and the arguments.
        kinds: the classes, by name.
        what: what they are, to begin a sentence with: "A schedule".

    Raises:
        ValueError, TypeError: if it names none of them.
    """
    name = checked(config, what).get("name")
    if not isinstance(name, str) or name not in kinds:
        raise ValueError(f"{what} must be one of {', '.join(kinds)}; got {name!r}.")

    def made(value: Any) -> Any:
        if isinstance(value, Mapping):
            return from_config(value, kinds, what)
        return [made(each) for each in value] if isinstance(value, list | tuple) else value

    return kinds[name](**{key: made(value) for key, value in config.items() if key != "name"})


def checked(config: object, what: str) -> Mapping[str, Any]:
    """Check that a config is a mapping, and return it.

    Args:
        config: what was given.
        what: what it is to describe, to begin a sentence with.

    Raises:
        TypeError: if it is no mapping.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"{what} is made of what its config() returned, got {config!r}.")
    return config


def _plain(value: object) -> object:
    if isinstance(value, Configured):
        return value.config()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
