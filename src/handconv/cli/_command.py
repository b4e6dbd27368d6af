"""What a command is, and the parser that they all use."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from handconv.cli._errors import UsageError
from handconv.cli._output import Output


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Complain."""
        raise UsageError(f"{message} ({self.prog} --help shows what there is)")


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
