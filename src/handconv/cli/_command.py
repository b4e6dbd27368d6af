"""What a command is, and the parser that they all use."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from handconv.cli._errors import UsageError
from handconv.cli._output import Output

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
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="results as JSON, one object a line")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return parser
