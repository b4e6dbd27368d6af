"""What is measured is kept: signals that end a run in good order, and files that are whole at any moment."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any


class Interrupted(BaseException):
    """Ctrl-C, or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number  # of the process, as shells have it


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM raise ``Interrupted``; what was measured is then reported without disturbance."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    first = True

    def interrupt(number: int, _: FrameType | None) -> None:
        nonlocal first
        if first:
            first = False
            raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def write_whole(file: Path, record: dict[str, Any]) -> None:
    """Write a JSON file so that there is the old one or the new one at any moment, never a part."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
