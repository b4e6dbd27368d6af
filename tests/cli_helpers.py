"""What the tests of the command line share: running it as users do, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent.parent / "src"
COMMAND = (sys.executable, "-m", "handconv")


def environment(**variables: str | None) -> dict[str, str]:
    """The environment of this process with the sources on the path, without a screen, and some variables changed."""
    changes = {"PYTHONPATH": str(SOURCES), "PYTHONIOENCODING": "utf-8", "DISPLAY": None, "WAYLAND_DISPLAY": None}
    merged = os.environ | changes | variables
    return {name: value for name, value in merged.items() if value is not None}


def handconv(
    *arguments: object, stdin: str | bytes = b"", cwd: Path | None = None, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    """Run ``handconv`` with these arguments and this input; nothing may ever look like a crash."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(**variables),
        timeout=120,
    )
    result = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    if "--debug" not in arguments:
        assert "Traceback" not in result.stderr + result.stdout
    return result


def objects(lines: str | Iterable[str]) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in (lines.splitlines() if isinstance(lines, str) else lines)]
