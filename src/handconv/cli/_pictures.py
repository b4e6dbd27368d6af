"""Showing an image: in a window of matplotlib where there is a screen, else drawn in text, with a PNG beside it."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handconv.cli._errors import sentence
from handconv.cli._output import Output, optional
from handconv.datasets import cache
from handconv.serialization.atomic import write_atomically
from handconv.utils.live import is_terminal
from handconv.utils.optional_imports import import_optional

PICTURES = ("auto", "window", "text")

RAMP = " .:-=+*#%@"
_BLOCKS = " ▀▄█"  # nothing, the upper half, the lower half, both
_FRAME = tuple("┌─┐│└─┘")
_INK = 100  # grey from which a pixel is drawn as a block
_ENLARGED = 8
GAP = "  "
"""What stands between two drawings in text."""

_LEAST_BAR, _BAR = 6, 30  # characters of a bar in text that stands for certainty
_MOST_ROWS = 8  # digits of one picture that are drawn


class Drawn(Protocol):
    """What can be shown in a window, in text, and as a file."""

    @property
    def name(self) -> str:
        """Of the file."""

    def text(self, output: Output) -> str:
        """As lines of text."""

    def draw(self, figure: Any) -> None:
        """Into a figure of matplotlib."""

    def png(self) -> bytes:
        """As a PNG file, without matplotlib."""


@dataclass(frozen=True)
class Seen:
    """What a network saw of a picture, and what it makes of it.

    Args:
        image: uint8 (C, H, W).
        box: where it is in the picture: left, top, right, bottom.
        classes: names and probabilities of all classes, in their order.
        label: the class that it was taken for.
    """

    image: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    classes: tuple[tuple[str, float], ...]
    label: int


@dataclass(frozen=True)
class ReadingCard:
    """A picture of the user's and what was found in it.

    Args:
        title: the answer.
        picture: uint8 (H, W) or (H, W, 3).
        seen: what was found.
    """

    title: str
    picture: NDArray[np.uint8]
    seen: tuple[Seen, ...]


class Pictures:
    """Shows cards, one after the other.

    Args:
        how: "window", "text", or "auto": a window if a person sits at this screen.
        output: where text goes.
    """

    def __init__(self, how: str, output: Output) -> None:
        self._output = output
        self._window: Window | None = None
        if how == "window" or (how == "auto" and _at_a_screen()):
            try:
                self._window = Window()
            except Exception as error:  # noqa: BLE001 - each toolkit fails in its own way
                output.notice(f"No window can be opened ({' '.join(str(error).split())}); the images come as text.")

    def show(self, card: Drawn) -> str | None:
        """Show a card; give the path of its PNG if it was written."""
        if self._window is not None:
            try:
                self._window.show(card.draw)
            except Exception as error:  # noqa: BLE001 - the screen may be gone by now
                self._window = None
                self._output.notice(f"The window is gone ({' '.join(str(error).split())}); the images come as text.")
            else:
                return None
        self._output.show(card.text(self._output))
        path = self._write(card)
        if path:
            self._output.show(f"picture: {path}")
        return path

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            with suppress(Exception):
                self._window.close()

    def _write(self, card: Drawn) -> str | None:
        """Write the PNG: as in the window with matplotlib, else the bare image."""
        try:
            path = cache.folder() / "pictures" / f"{card.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            figures = optional("matplotlib.figure")
            if figures is None:
                write_atomically(path, lambda file: file.writelines([card.png()]))
            else:
                figure = figures.Figure(figsize=(7.4, 3.5), layout="constrained")
                card.draw(figure)
                write_figure(figure, path)
        except OSError as error:
            self._output.notice(f"The picture could not be written: {sentence(error)}")
            return None
        return str(path)


class Shower:
    """Shows what was read in pictures: in a window that stays open until it is closed, or in text."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._window: Window | None = None
        if _at_a_screen():
            try:
                self._window = Window()
            except Exception as error:  # noqa: BLE001 - each toolkit fails in its own way
                output.notice(f"No window can be opened ({' '.join(str(error).split())}); the images come as text.")

    def show(self, card: ReadingCard) -> None:
        """Show a picture, what was seen of it, and the probabilities."""
        if self._window is not None:
            self._window.show(lambda figure: draw_reading(figure, card), wait=True)
            return
        for seen in card.seen:
            self._output.show(with_bars(seen.image, seen.classes, self._output))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._window is not None:
            with suppress(Exception):
                self._window.close()


class Window:
    """One window of matplotlib, used again for each card; it stays alive while the next line is typed.

    Raises:
        RuntimeError, ImportError, …: if there is no matplotlib, or no toolkit that opens windows.
    """

    def __init__(self) -> None:
        matplotlib: Any = import_optional("matplotlib", extra="plot")
        matplotlib.rcParams["figure.raise_window"] = False  # the keyboard stays with the prompt
        self._pyplot: Any = import_optional("matplotlib.pyplot", extra="plot")
        backends: Any = import_optional("matplotlib.backends", extra="plot")
        backend = self._pyplot.get_backend()
        interactive = backends.backend_registry.list_builtin(backends.BackendFilter.INTERACTIVE)
        if backend.lower() not in map(str.lower, interactive):
            raise RuntimeError(
                f"matplotlib found no toolkit and draws with {backend}; PyQt6 is one that pip can install"
            )
        if backend.lower().startswith("qt"):
            _check_qt()
        self._figure: Any = None

    def show(self, draw_on: Callable[[Any], None], *, wait: bool = False) -> None:
        """Let a function draw into the window, opening it if the user has closed it; or wait until it is closed."""
        pyplot = self._pyplot
        if self._figure is None or not pyplot.fignum_exists(self._figure.number):
            self._figure = pyplot.figure("handconv", figsize=(7.4, 3.5), layout="constrained")
            _leave_the_keyboard(self._figure.canvas.manager)
            self._figure.show()
        self._figure.clear()
        draw_on(self._figure)
        self._figure.canvas.draw()
        self._figure.canvas.flush_events()
        if wait:
            pyplot.show(block=True)

    def close(self) -> None:
        """Close it."""
        self._pyplot.close("all")


def _check_qt() -> None:
    """Let a child start Qt, which ends the process that it is in where a library of the system is missing."""
    start = "from matplotlib.backends.qt_compat import QtWidgets; QtWidgets.QApplication([])"
    child = subprocess.run([sys.executable, "-P", "-c", start], capture_output=True, text=True, check=False)
    if child.returncode:
        reason = next((line.partition("qt.qpa.plugin: ")[2] or line for line in child.stderr.splitlines() if line), "")
        raise RuntimeError(f"Qt does not start: {reason.rstrip('.') or 'it says nothing'}")


def _leave_the_keyboard(manager: Any) -> None:
    """Let a window come up without the keyboard, which the prompt has; each toolkit is told in its own way."""
    window: Any = getattr(manager, "window", None)
    if hasattr(window, "wm_focusmodel"):  # Tk
        window.wm_focusmodel("active")
    elif hasattr(window, "setAttribute"):  # Qt
        bindings: Any = import_optional("matplotlib.backends.qt_compat", extra="plot")
        window.setAttribute(bindings.QtCore.Qt.WidgetAttribute.WA_ShowWithoutActivating)
    elif hasattr(window, "set_focus_on_map"):  # GTK 3
        window.set_focus_on_map(False)


def draw_reading(figure: Any, card: ReadingCard) -> None:
    """Draw a picture with the boxes of what was found, and beside it what the network saw, and a bar for each class."""
    patches = import_optional("matplotlib.patches", extra="plot")
    figure.suptitle(card.title)
    rows = card.seen[:_MOST_ROWS]
    figure.set_size_inches(9, 3.6 if len(rows) < 2 else 1 + 1.9 * len(rows))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.6))
    original = left.subplots()
    original.imshow(card.picture, cmap="gray", vmin=0, vmax=255)
    original.set_title("the picture", fontsize="medium")
    original.set_axis_off()
    original.set_anchor("N")
    for seen in rows:
        x0, y0, x1, y1 = seen.box
        original.add_patch(patches.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="tab:orange", linewidth=2))
    if not rows:
        return
    for (image, chart), seen in zip(
        right.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.3)), rows, strict=True
    ):
        names, chances = zip(*seen.classes, strict=True)
        image.imshow(np.moveaxis(seen.image, 0, 2).squeeze(), cmap="gray", vmin=0, vmax=255)
        image.set_axis_off()
        drawn = chart.barh(range(len(names)), chances, color="lightgray")
        drawn[seen.label].set_color("tab:orange")
        chart.set_yticks(range(len(names)), names, fontsize="small")
        chart.set_xlim(0, 1)
        chart.invert_yaxis()
        chart.spines[["top", "right"]].set_visible(False)
        if seen is rows[0]:
            image.set_title("what the network saw", fontsize="medium")
            chart.set_title("probability", fontsize="medium")


def write_png(path: Path, card: ReadingCard) -> None:
    """Write what ``draw_reading`` draws as a PNG file.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        OSError: if the file cannot be written.
    """
    figure = import_optional("matplotlib.figure", extra="plot").Figure(layout="constrained")
    draw_reading(figure, card)
    write_figure(figure, path)


def write_figure(figure: Any, path: Path, dots: int = 100) -> None:
    """Write a figure of matplotlib as a PNG file, which is whole or not there; an error names it."""
    write_atomically(path, lambda file: figure.savefig(file, dpi=dots, format="png"))


def bars(classes: tuple[tuple[str, float], ...], bar: str, size: int = _BAR) -> list[str]:
    r"""Draw probabilities as bars of text.

    Example:
        >>> print("\n".join(bars((("0", 0.1), ("1", 0.9)), "#")))
        0 ###                             10.00 %
        1 ###########################     90.00 %
    """
    wide = max(len(name) for name, _ in classes)
    return [f"{name:>{wide}} {bar * round(size * chance):{size}} {100 * chance:6.2f} %" for name, chance in classes]


def with_bars(image: NDArray[np.uint8], classes: tuple[tuple[str, float], ...], output: Output) -> str:
    """Draw an image in text, and the bars of the classes beside it if there is room."""
    picture = in_text(image, output).splitlines()
    room = (output.room or 80) - image.shape[2] - 2 - len(GAP)
    beside = room - max(len(name) for name, _ in classes) - 11  # of the percentages
    size = min(beside if beside >= _LEAST_BAR else _BAR, _BAR)
    table = bars(classes, "█" if output.can_print("█") else "#", size)
    if beside < _LEAST_BAR or len(table) > len(picture):
        return "\n".join([*picture, *table])
    above = (len(picture) - len(table)) // 2
    lines = [*picture[:above], *(f"{line}{GAP}{bar}" for line, bar in zip(picture[above:], table, strict=False))]
    return "\n".join([*lines, *picture[len(lines) :]])


def in_text(image: NDArray[np.uint8], output: Output) -> str:
    """Draw an image with what the output can print."""
    return draw(image, colours=output.colours, blocks=output.can_print("".join((_BLOCKS, *_FRAME))))


def draw(image: NDArray[np.uint8], *, colours: bool = False, blocks: bool = True) -> str:
    r"""Draw an image in text: two pixels a character with colours or blocks, else two characters a pixel.

    With colours the greys are true whatever the terminal's background is; without, the ink has the text's colour, in a
    frame.

    Example:
        >>> print(draw(np.array([[[255, 0], [0, 255]]], np.uint8)))
        ┌──┐
        │▀▄│
        └──┘
        >>> print(draw(np.array([[[255, 0], [0, 255]]], np.uint8), blocks=False))
        +----+
        |@@  |
        |  @@|
        +----+
    """
    grey = image.mean(axis=0)  # (H, W)
    if not blocks:
        shades = (grey * (len(RAMP) - 1) / 255).round().astype(int)
        return _framed(["".join(RAMP[shade] * 2 for shade in line) for line in shades], tuple("+-+|+-+"))
    grey = np.pad(grey, ((0, len(grey) % 2), (0, 0)))
    pairs = zip(grey[::2], grey[1::2], strict=True)
    if colours:
        return "\n".join("".join(map(_coloured, upper, lower)) + "\x1b[0m" for upper, lower in pairs)
    return _framed(["".join(map(_block, upper, lower)) for upper, lower in pairs], _FRAME)


def _block(upper: float, lower: float) -> str:
    """Two pixels as one character."""
    return _BLOCKS[(upper > _INK) + 2 * (lower > _INK)]


def _framed(lines: list[str], frame: tuple[str, ...]) -> str:
    """Put lines of one length into a frame."""
    left, top, right, side, below_left, bottom, below_right = frame
    width = len(lines[0])
    body = [f"{side}{line}{side}" for line in lines]
    return "\n".join([left + top * width + right, *body, below_left + bottom * width + below_right])


def _coloured(upper: float, lower: float) -> str:
    """The same in the 24 greys of terminals with 256 colours; a copy of it as plain text still shows the digit."""
    block = _block(upper, lower)
    if block in " █":
        upper = lower = (upper + lower) / 2
    ink, ground = (upper, lower) if block == "▀" else (lower, upper)
    front, back = (232 + round(grey * 23 / 255) for grey in (ink, ground))
    return f"\x1b[38;5;{front};48;5;{back}m{block}"


def png(image: NDArray[np.uint8]) -> bytes:
    """Encode the first channel of an image as a grey PNG file, enlarged eight times.

    References:
        Portable Network Graphics (PNG) Specification, W3C, 2003, sections 5 and 11.
    """
    grey = np.kron(image[0], np.ones((_ENLARGED, _ENLARGED), np.uint8))
    height, width = grey.shape
    lines = np.pad(grey, ((0, 0), (1, 0)))  # each line begins with its filter, 0 for none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _at_a_screen() -> bool:
    """Whether a person sits at a terminal on a screen that can open windows."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        return False
    if sys.platform == "win32":
        return True
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
