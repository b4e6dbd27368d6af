"""What tests of terminals share: a program on a pseudo-terminal of a given size, answered line by line."""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from cli_helpers import COMMAND, environment

CTRL_C, CTRL_D = b"\x03", b"\x04"

needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX")


def talk(
    arguments: Sequence[object],
    lines: Sequence[bytes] = (),
    *,
    prompt: bytes = b"",
    command: Sequence[str] = COMMAND,
    size: tuple[int, int] = (80, 24),
    **variables: str | None,
) -> tuple[int, str]:
    """Run a program with a terminal on stdin, stdout and stderr.

    Args:
        arguments: of the program.
        lines: what is typed, each when the prompt has come anew.
        prompt: what the program says last before it waits.
        command: the program.
        size: columns and rows of the terminal.
        variables: of the environment.

    Returns:
        The status, and all that was on the screen.
    """
    import fcntl
    import pty
    import struct
    import termios

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's & may have set it off
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # keys such as Ctrl-C reach it

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    plain = {"TERM": "xterm-256color", "NO_COLOR": None, "COLUMNS": None, "LINES": None}
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        env=environment(**(plain | variables)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=prepare,
    )
    os.close(theirs)
    to_type, screen, answered, last, silences = list(lines), b"", 0, b"", 0
    try:
        while silences < 50:
            if not select.select([ours], [], [], 2)[0]:
                silences += 1
                if last in (CTRL_C, CTRL_D):  # pressed between two looks of readline: a person presses it again
                    os.write(ours, last)
                continue
            piece = os.read(ours, 4096)
            if not piece:
                break
            screen += piece
            if to_type and screen.rstrip().endswith(prompt) and screen.count(prompt) > answered:
                answered = screen.count(prompt)
                last = to_type.pop(0)
                os.write(ours, last)
    except OSError:  # what Linux says when the other side has closed
        pass
    try:
        return process.wait(timeout=60), screen.decode()
    finally:
        process.kill()
        os.close(ours)


def seen(screen: str) -> list[str]:
    """The lines that were on a screen, without colours; what was drawn over counts as a line of its own."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen))
