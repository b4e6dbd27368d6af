"""Where output goes: results to stdout, for people or as JSON lines; notices and progress to stderr."""

import codecs
import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from handconv.cli._typed import as_typed
from handconv.errors import MissingExtraError
from handconv.utils.live import Live, columns, is_terminal, live_line
from handconv.utils.optional_imports import import_optional
from handconv.utils.text_table import wrapped

_PLAINLY = "handconv.plainly"
# What stands for the characters of formulas and sentences where an encoding lacks them; "?" for all others.
_INSTEAD = {"…": "...", "·": "*", "×": "x", "²": "^2", "³": "^3", "ᵀ": "^T", "─": "-", "│": "|"}
_MOST_WORDS = 12  # of a path with blanks


class Output:
    """The two streams of one command.

    Args:
        json_lines: whether results are JSON objects, one a line, and not text for people.
        quiet: whether there are results alone, without notices and progress.
    """

    def __init__(self, *, json_lines: bool = False, quiet: bool = False) -> None:
        self.json, self.quiet = json_lines, quiet

    def show(self, text: str = "") -> None:
        """Print a result for people; with --json, nothing."""
        if not self.json:
            say(text, sys.stdout)

    def record(self, values: Mapping[str, Any]) -> None:
        """Print a result as one JSON object; without --json, nothing."""
        if self.json:
            print(json.dumps(values, allow_nan=False), flush=True)

    def reply(self, text: str) -> None:
        """Answer in a conversation: where its results are, or to stderr if those are for a program."""
        say(text, sys.stderr if self.json else sys.stdout)

    def complain(self, text: str) -> None:
        """Tell what went wrong with a part of the work, also with --quiet."""
        say(f"handconv: {text}", sys.stderr)

    def notice(self, text: str) -> None:
        """Tell what is going on; with --quiet, nothing."""
        if not self.quiet:
            say(text, sys.stderr)

    @property
    def on_terminal(self) -> bool:
        """Whether results go to a terminal."""
        return is_terminal(sys.stdout)

    @property
    def room(self) -> int | None:
        """How many characters a line of results takes; None where there is no limit."""
        return columns(sys.stdout)

    def live_line(self) -> Live | None:
        """A line to draw progress on, where people can see one."""
        return None if self.json or self.quiet else live_line()

    @property
    def colours(self) -> bool:
        """Whether results may be coloured."""
        wanted = self.on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return wanted and (sys.platform != "win32" or "WT_SESSION" in os.environ)

    def can_print(self, text: str) -> bool:
        """Whether the encoding of stdout has all these characters."""
        try:
            text.encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True


def say(text: str, stream: TextIO) -> None:
    """Print text for people: broken at words, but not within paths, with commands as they can be typed here."""
    print(wrapped(as_typed(text), columns(stream), whole=_paths), file=stream, flush=True)


def _paths(line: str) -> list[str]:
    """The names of files and folders in a line that have blanks in them, the longest first.

    What is there, or in a folder that is, tells them from other words.
    """
    words = line.split(" ")
    found = [
        name
        for first in range(len(words))
        for last in range(first + 2, min(first + _MOST_WORDS, len(words)) + 1)
        if _is_path(name := " ".join(words[first:last]).strip("(,.:;)"))
    ]
    return sorted(found, key=len, reverse=True)


def _is_path(name: str) -> bool:
    """Whether a text with blanks is the path of a file, or could be that of one in a folder whose name has them."""
    path = Path(name)
    with suppress(OSError, ValueError):  # it is too long, or has a zero in it
        return path.exists() or (" " not in path.name and " " in str(path.parent) and path.parent.is_dir())
    return False


def optional(module: str) -> ModuleType | None:
    """Import a library of the extra "cli" if it is installed."""
    try:
        return import_optional(module, extra="cli")
    except MissingExtraError:
        return None


def open_closed_streams() -> None:
    """Put standard streams that are closed on the null device: printing is no error, and no file gets their numbers."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open as long as the process runs
            setattr(sys, name, null)


def forgive_characters() -> None:
    """Let no character of a file name, a class name or a typed line break the output or the input."""
    codecs.register_error(_PLAINLY, _plainly)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, _PLAINLY), (sys.stderr, _PLAINLY)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that an encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(each, "?") for each in lacking), error.end
