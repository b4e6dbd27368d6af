"""The command line: parses and prints, and leaves everything else to the library.

One file a command, which is imported when it is asked for; what they share is in the files that begin with an
underscore. ``handconv`` without a command is the main job, ``handconv train``.
"""

import importlib
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from handconv import __version__
from handconv.cli._command import Command, Parser
from handconv.cli._errors import UsageError, guarded
from handconv.cli._output import Output, forgive_characters, open_closed_streams
from handconv.utils.nearest import nearest
from handconv.utils.text_table import wrapped

__all__ = ["main"]

#: The commands, in the order of the overview; each is the module of its name.
_COMMANDS = (
    *("train", "play", "predict", "evaluate", "report", "doctor", "summary", "explain", "gradcheck", "export"),
    *("runs", "data", "completion"),
)

_OVERVIEW = """usage: handconv [OPTIONS]
       handconv COMMAND [OPTIONS]

A convolutional neural network, written out by hand in NumPy. Without a command, the main job: get MNIST, train the \
reference network, then the quiz.

commands:
{commands}

Without a command, the options are those of train (handconv train --help). Each command has -h, --help with examples; \
-q, --quiet for results alone; --json for programs; --debug to see where an error came from; -V, --version.

examples:
  handconv                                 train on MNIST, then the quiz
  handconv --epochs 1 --data-dir ~/mnist   shorter, with data that is there
  handconv predict my-seven.png            what is this digit?
  handconv completion                      let the shell complete commands
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process if not given.

    Returns:
        The exit status: 0 done, 1 the work failed, 2 the arguments were wrong, 130 interrupted, 141 nobody reads the
        output, 143 ended by SIGTERM.
    """
    open_closed_streams()
    forgive_characters()
    arguments = sys.argv[1:] if argv is None else list(argv)
    return guarded(lambda: _run(arguments), debug="--debug" in arguments)


def _command_of(name: str) -> Command:
    """The command of a name."""
    command: Command = importlib.import_module(f"handconv.cli.{name}").COMMAND
    return command


def _run(arguments: list[str]) -> int:
    """Find the command, read its arguments, do it."""
    while arguments and arguments[0] == "--debug":
        arguments = arguments[1:]
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
    if arguments and arguments[0] in ("-h", "--help", "help"):
        room = shutil.get_terminal_size().columns
        commands = "\n".join(
            textwrap.fill(command.summary, room, initial_indent=f"  {command.name:10} ", subsequent_indent=" " * 13)
            for command in map(_command_of, _COMMANDS)
        )
        print(wrapped(_OVERVIEW.format(commands=commands), room, paragraphs=True), end="")
        return 0
    if arguments and arguments[0] in ("-V", "--version"):
        print(f"handconv {__version__}")
        return 0
    if not arguments or arguments[0].startswith("-"):
        command, prog = _command_of("train"), "handconv"
    elif arguments[0] in _COMMANDS:
        command, prog = _command_of(arguments[0]), f"handconv {arguments[0]}"
        arguments = arguments[1:]
    else:
        word = arguments[0]
        said = _meant(word) or nearest(word, _COMMANDS, "handconv --help lists all.").strip()
        raise UsageError(f"there is no command {word!r}. {said}")
    parser = command.parser(prog)
    if command.name == "completion":
        parser.set_defaults(commands=tuple(map(_command_of, _COMMANDS)))
    values, unknown = parser.read(arguments)
    if unknown:
        raise UsageError(_not_known(unknown, parser))
    return command.run(values, Output(json_lines=values.json, quiet=values.quiet))


def _meant(word: str) -> str:
    """What could have been meant by a word that is no command: what there is to be done with such a thing."""
    path, quoted = Path(word), shlex.quote(word)
    if word in importlib.import_module("handconv.datasets").NAMES or path.is_dir():
        return f"To train on it: handconv train --dataset {quoted}"
    if path.is_file():
        return f"To use it: handconv {'play' if path.suffix == '.npz' else 'predict'} {quoted}"
    return ""


def _not_known(unknown: list[str], parser: Parser) -> str:
    """Say what is wrong with words that a parser left over."""
    late = [word for word in unknown if word in _COMMANDS]
    if late and parser.prog == "handconv":
        return f"the command comes first: handconv {late[0]}, then its options."
    word = unknown[0].partition("=")[0]
    what = "option" if word.startswith("-") else "argument"
    options = [option for action in parser._actions for option in action.option_strings]
    if what == "argument" and "--dataset" in options and unknown == [word]:
        return f"{parser.prog} has no argument {word!r}. Data is named by an option: --dataset {shlex.quote(word)}"
    if what == "option" and Path(unknown[0]).is_file():
        return f"{parser.prog} has no option {word!r}. The file of that name: ./{unknown[0]}"
    for option in options:
        if word.lstrip("-") == "".join(part[0] for part in option.split("-") if part) and len(word) > 2:
            return f"{parser.prog} has no {what} {word!r}. Did you mean {option}?"
    return f"{parser.prog} has no {what} {word!r}.{nearest(word, options, f'See {parser.prog} --help.')}"
