"""What a command is, and the parser that they all use."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from handconv import __version__
from handconv.cli._errors import UsageError
from handconv.cli._output import Output
from handconv.utils.text_table import wrapped

# Stands before what follows two dashes while argparse reads it: nothing that is typed begins so.
_PLAIN = "\0"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def read(self, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Read options and other words in any order, what follows two dashes as no options; and what is unknown.

        (argparse's own intermixed parsing takes the two dashes away too early.)
        """
        end = list(words).index("--") if "--" in words else len(words)
        marked = [*words[:end], *(_PLAIN + word for word in words[end + 1 :])]
        values, unknown = self.parse_known_intermixed_args(marked)
        for name, value in vars(values).items():
            setattr(values, name, _unmarked(value))
        return values, [word.removeprefix(_PLAIN) for word in unknown]

    def error(self, message: str) -> NoReturn:
        """Complain."""
        raise UsageError(f"{message} ({self.prog} --help shows what there is)")


def _unmarked(value: object) -> object:
    """Take the mark away again."""
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    return value.removeprefix(_PLAIN) if isinstance(value, str) else value


class _Wrapped(argparse.RawDescriptionHelpFormatter):
    """Help whose lines stay as they are if they fit, and are broken at words if not."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return wrapped(super()._fill_text(text, width, indent), width, paragraphs=True)


@dataclass(frozen=True)
class Command:
    """One command of ``handconv``.

    Args:
        name: the word that is typed.
        summary: what it does, for the list of all commands.
        examples: command lines with a remark, for its help.
        add_arguments: gives the parser its arguments.
        run: does the work and returns the exit status.
    """

    name: str
    summary: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Output], int]

    def parser(self, prog: str) -> Parser:
        """Make its parser."""
        parser = Parser(
            prog=prog,
            description=self.summary[0].upper() + self.summary[1:] + ".",
            epilog=f"examples:\n{self.examples}",
            formatter_class=_Wrapped,
            allow_abbrev=False,
        )
        self.add_to(parser)
        return parser

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Give a parser the command's arguments, and those that all commands have."""
        self.add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="results as JSON, one object a line")
        parser.add_argument("-q", "--quiet", action="store_true", help="results alone, no notices and no progress")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        parser.add_argument("-V", "--version", action="version", version=f"handconv {__version__}")
