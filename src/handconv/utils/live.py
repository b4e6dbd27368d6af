"""One line with a bar, which is drawn again and again while work goes on: in a terminal, or in a notebook.

Nothing of it is ever written to a pipe or a file.
"""

import html
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

_EVERY = 0.1  # seconds between two drawings
_LEAST_BAR, _WIDEST_BAR = 4, 24  # characters
_USUAL = 80  # characters of a line where no terminal tells
_BARS = ("━", "─"), ("#", ".")


class Live(ABC):
    """A line that shows how far something has come, until it is cleared."""

    def __init__(self) -> None:
        self._drawn_at = time.monotonic()  # what is quicker than one drawing shows nothing

    def draw(self, what: str, done: int, total: int | None, *figures: str) -> None:
        """Draw the line, at most ten times a second.

        Args:
            what: what goes on.
            done: how much of it is done.
            total: of how much; None if nobody knows.
            figures: what else there is to tell, the most important first; the last are left out where it is narrow.
        """
        now = time.monotonic()
        if now - self._drawn_at >= _EVERY:
            self._drawn_at = now
            self._draw(what, min(1.0, done / max(total, 1)) if total is not None else None, figures)

    @abstractmethod
    def _draw(self, what: str, share: float | None, figures: Sequence[str]) -> None:
        """Draw the line now."""

    @abstractmethod
    def clear(self) -> None:
        """Take the line away."""


class TerminalLine(Live):
    """Draws on a terminal, over what it has drawn before."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream, self._length = stream, 0

    def _draw(self, what: str, share: float | None, figures: Sequence[str]) -> None:
        line = fitted(what, share, figures, (columns(self._stream) or _USUAL) - 1, bar=self._bar())
        self._write(f"\r{line.ljust(self._length)}")
        self._length = len(line)

    def clear(self) -> None:
        """Take the line away, and go back to its beginning."""
        if self._length:
            self._write(f"\r{' ' * self._length}\r")
            self._length = 0

    def _bar(self) -> tuple[str, str]:
        """The characters of a bar that the terminal has."""
        try:
            "".join(_BARS[0]).encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return _BARS[1]
        return _BARS[0]

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a terminal that has gone away stops nothing
            self._stream.write(text)
            self._stream.flush()


class NotebookLine(Live):
    """Draws in the output of a notebook's cell."""

    def __init__(self, display: Any) -> None:
        super().__init__()
        self._display, self._handle = display, None

    def _draw(self, what: str, share: float | None, figures: Sequence[str]) -> None:
        text = "  ".join([what, *figures])
        value = "" if share is None else f' value="{share:.4f}"'
        page = f"<progress{value}></progress> <code>{html.escape(text)}</code>"
        self._show({"text/html": page, "text/plain": text})

    def clear(self) -> None:
        """Leave nothing to be seen; the place is used again."""
        if self._handle is not None:
            self._show({"text/html": "", "text/plain": ""})

    def _show(self, content: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def live_line() -> Live | None:
    """A line to draw on: in the notebook that this runs in, else on stderr if that is a terminal; None elsewhere."""
    if in_notebook():
        return NotebookLine(sys.modules["IPython.display"].display)
    can_redraw = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
    return TerminalLine(sys.stderr) if can_redraw else None


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is there, open, and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def columns(stream: TextIO | None) -> int | None:
    """How many characters a line takes: COLUMNS, or those of the terminal; 80 in a file or pipe.

    None in a notebook, which breaks lines itself.
    """
    if in_notebook():
        return None
    with suppress(ValueError):
        if (told := int(os.environ.get("COLUMNS", ""))) > 0:
            return told
    if stream is None or not is_terminal(stream):
        return _USUAL
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def fitted(what: str, share: float | None, figures: Sequence[str], room: int, bar: tuple[str, str] = _BARS[1]) -> str:
    """Make a line of a bar and as many figures as there is room for; the last are the first to go.

    Example:
        >>> fitted("epoch 1/2", 0.5, ["loss 0.1234", "0:07 left"], 60)
        'epoch 1/2 ############............ loss 0.1234  0:07 left'
        >>> fitted("epoch 1/2", 0.5, ["loss 0.1234", "0:07 left"], 30)
        'epoch 1/2 ####.... loss 0.1234'
    """
    least = 0 if share is None else max(_LEAST_BAR, room // 8) + 1  # else the last figure comes and goes
    shown = list(figures)
    while len(text := "  ".join(shown)) > room - len(what) - 1 - least and len(shown) > 1:
        shown.pop()
    if share is not None:
        size = min(max(room - len(what) - len(text) - 2, _LEAST_BAR), _WIDEST_BAR)
        full = round(size * share)
        what = f"{what} {bar[0] * full}{bar[1] * (size - full)}"
    return f"{what} {text}".rstrip()[:room]


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours as well.

    Example:
        >>> clock(75), clock(3700)
        ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
