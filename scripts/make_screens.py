"""Take pictures of the screen for the README: a terminal of 80x24 characters, and the window of the quiz.

python -m scripts.make_screens    # writes into docs/figures/

It needs pyte, Pillow, matplotlib, Tk, Xvfb and the font DejaVu Sans Mono. Lines are typed into a real shell, in which
"handconv" must be a command. It needs MNIST, which is downloaded unless HANDCONV_DATA_DIR names its folder.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scripts.make_pictures import save

from handconv.utils.optional_imports import import_optional

COLUMNS, ROWS = 80, 24
GROUND, INK = "#16181d", "#d8dee9"
MARGIN = 14  # pixels around the characters
FONTS = {bold: f"DejaVuSansMono{'-Bold' * bold}.ttf" for bold in (False, True)}
FONT_SIZE = 20
BLOCKS = {"█": (0, 1), "▀": (0, 0.5), "▄": (0.5, 1)}  # where in its cell one begins and ends: without seams
SHELL, QUIZ = "$ ", "leaves): "  # the prompts
MOST_SECONDS = 300


class Terminal:
    """A shell in a terminal, and what is on its screen.

    Args:
        variables: of its environment.
    """

    def __init__(self, **variables: str) -> None:
        pyte: Any = import_optional("pyte", extra="notebook")
        self.screen: Any = pyte.Screen(COLUMNS, ROWS)
        self._stream: Any = pyte.ByteStream(self.screen)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        settings = os.environ | {"PS1": SHELL, "TERM": "xterm-256color", "PATH": path} | variables
        process, self._keyboard = pty.fork()
        if process == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], settings)
        fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._wait_for(SHELL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._keyboard)  # the shell ends, and with it what runs in it

    def type(self, line: str, prompt: str) -> None:
        """Type a line, and wait until a prompt comes."""
        os.write(self._keyboard, f"{line}\n".encode())
        self._wait_for(prompt)

    def _wait_for(self, prompt: str) -> None:
        """Show what is said until nothing more follows a prompt."""
        end = time.monotonic() + MOST_SECONDS
        while time.monotonic() < end:
            if select.select([self._keyboard], [], [], 1)[0]:
                self._stream.feed(os.read(self._keyboard, 4096))
            elif self.screen.display[self.screen.cursor.y][: self.screen.cursor.x].endswith(prompt):
                return
        sys.exit(f"No {prompt!r} came in {MOST_SECONDS} s. The screen:\n" + "\n".join(self.screen.display))

    def picture(self) -> Image.Image:
        """Draw the characters in their colours, and the cursor."""
        fonts = {bold: ImageFont.truetype(name, FONT_SIZE) for bold, name in FONTS.items()}
        width, height = round(fonts[False].getlength("0")), sum(fonts[False].getmetrics())
        size = (COLUMNS * width + 2 * MARGIN, ROWS * height + 2 * MARGIN)
        drawn = Image.new("RGB", size, GROUND)
        pen = ImageDraw.Draw(drawn)
        for row in range(ROWS):
            for column in range(COLUMNS):
                cell = self.screen.buffer[row][column]
                ink, ground = _colour(cell.fg, INK), _colour(cell.bg, GROUND)
                if (row, column) == (self.screen.cursor.y, self.screen.cursor.x):
                    ground = INK
                x, y = MARGIN + column * width, MARGIN + row * height
                pen.rectangle((x, y, x + width - 1, y + height - 1), ground)
                if cell.data in BLOCKS:
                    start, end = (y + round(share * height) for share in BLOCKS[cell.data])
                    pen.rectangle((x, start, x + width - 1, end - 1), ink)
                else:
                    pen.text((x, y), cell.data, ink, fonts[cell.bold])
        return drawn


def _colour(name: str, usual: str) -> str:
    """A colour of pyte's as Pillow names it."""
    return usual if name == "default" else f"#{name}" if len(name) == 6 else name


class VirtualScreen:
    """A screen that nobody sees: Xvfb, which keeps it in a file."""

    def __init__(self, folder: Path) -> None:
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-fbdir", str(folder)]
        self._file = folder / "Xvfb_screen0"
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._server.stdout is not None
        self.name = f":{self._server.stdout.readline().strip()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()

    def picture(self) -> Image.Image:
        """What is on the screen, without the black beside it.

        References:
            X Window Dump file format, XWDFile.h of the X.Org distribution: 25 numbers, the colours, the pixels.
        """
        dump = self._file.read_bytes()
        head = struct.unpack(">25I", dump[:100])
        start, width, height, line, colours = head[0], head[4], head[5], head[12], head[19]
        pixels = np.frombuffer(dump, np.uint8, line * height, start + 12 * colours).reshape(height, -1, 4)
        screen = Image.fromarray(pixels[:, :width, 2::-1].copy())  # stored as blue, green, red and nothing
        return screen.crop(screen.getbbox())


def main() -> None:
    """Type, look, and write the pictures."""
    with tempfile.TemporaryDirectory(prefix="handconv-") as folder:
        os.chdir(folder)
        os.environ["HANDCONV_CACHE"] = "handconv"  # no run but the bundled model, and a short path to be seen
        with VirtualScreen(Path(folder)) as screen, Terminal(DISPLAY=screen.name, MPLBACKEND="tkagg") as terminal:
            for line in ("handconv play", "heat", "716"):
                terminal.type(line, QUIZ)
            save(screen.picture(), "window.png")
        with Terminal(DISPLAY="", WAYLAND_DISPLAY="") as terminal:
            for line in ("handconv train --recipe fast -q", "122"):
                terminal.type(line, QUIZ)
            save(terminal.picture(), "terminal.png")


if __name__ == "__main__":
    main()
