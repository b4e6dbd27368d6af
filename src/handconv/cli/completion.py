"""``handconv completion``: lets the shell complete commands and options; without a shell's name, says how."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handconv.cli._command import Command, Parser
from handconv.cli._errors import DONE, UsageError
from handconv.cli._output import Output
from handconv.cli._typed import how_to_call
from handconv.utils.nearest import nearest
from handconv.utils.optional_imports import import_optional

_SHELLS = {
    "bash": ("~/.bashrc", 'eval "$({command} completion bash)"'),
    "zsh": ("~/.zshrc, after compinit", 'eval "$({command} completion zsh)"'),
    "tcsh": ("~/.tcshrc", "{command} completion tcsh > ~/.handconv.tcsh; source ~/.handconv.tcsh"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", nargs="?", metavar="SHELL", help=", ".join(_SHELLS))


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print the script, or say how to use it."""
    shell: str | None = arguments.shell
    if shell is None:
        used = Path(os.environ.get("SHELL", "")).name
        for name in (used,) if used in _SHELLS else _SHELLS:
            place, line = _SHELLS[name]
            output.show(f"For {name}, put this line into {place}:\n  {line.format(command=how_to_call())}")
        return DONE
    if shell not in _SHELLS:
        raise UsageError(f"completion knows no shell {shell!r}.{nearest(shell, _SHELLS)}")
    shtab: Any = import_optional("shtab", extra="cli")
    print(shtab.complete(_whole(arguments.commands, shtab.FILE), shell=shell))
    return DONE


def _whole(commands: Sequence[Command], file: object) -> argparse.ArgumentParser:
    """One parser of all commands, which is never asked to read anything."""
    whole = commands[0].parser("handconv")  # without a command, the options are those of the first
    places = whole.add_subparsers(parser_class=Parser)
    for command in commands:
        command.add_to(places.add_parser(command.name, help=command.summary, allow_abbrev=False))
    for parser in (whole, *places.choices.values()):
        for action in parser._actions:
            words = action.metavar if isinstance(action.metavar, str) else ""
            if action.choices is None and "|" in words and words.islower():
                action.choices = words.split("|")
            elif any(part in words for part in ("FILE", "PATH", "DIR", "MODEL")):
                action.complete = file  # type: ignore[attr-defined]
    return whole


COMMAND = Command(
    name="completion",
    summary="let the shell complete commands and options with the Tab key",
    examples="""  handconv completion                   how to set it up
  eval "$(handconv completion bash)"    for this shell alone""",
    add_arguments=add_arguments,
    run=run,
)
