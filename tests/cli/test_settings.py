"""Settings: one declaration for the option, the key in the file, and the check."""

import argparse
from dataclasses import dataclass

import pytest

from handconv.cli._errors import UsageError
from handconv.cli._settings import add_settings, column, number, one_of, read_settings, setting, switch, text, whole


@dataclass(frozen=True)
class Settings:
    some_word: str = setting("red", one_of("red", "green"), "a colour")
    count: int = setting(3, whole(2), "how many")
    share: float = setting(0.5, number("above 0", lambda value: value > 0), "how much")
    wanted: bool = setting(False, switch, "whether")
    name: str | None = setting(None, text, "who")


def read(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings(parser, Settings, title="settings")
    return read_settings(Settings, parser.parse_args(arguments))


def test_defaults() -> None:
    assert read() == Settings()


def test_options_have_hyphens_and_switches_a_no() -> None:
    assert read("--some-word", "green", "--count", "7", "--share", "1e-3", "--wanted") == Settings(
        "green", 7, 0.001, True
    )
    assert read("--wanted", "--no-wanted").wanted is False


@pytest.mark.parametrize(
    "arguments",
    [
        ("--some-word", "blue"),
        ("--count", "1"),
        ("--count", "2.5"),
        ("--share", "0"),
        ("--share", "inf"),
        ("--share", "half"),
        ("--name", ""),
    ],
)
def test_what_breaks_its_rule_is_named_with_it(arguments: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=rf"^{arguments[0]} must be .*, got '{arguments[1]}'\.$"):
        read(*arguments)


def test_a_column_in_a_file_may_be_a_whole_number() -> None:
    assert (column(3), column("last")) == ("3", "last")
