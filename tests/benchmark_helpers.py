"""What the tests of the benchmarks share: a real process that a real signal reaches."""

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def interrupted(number: signal.Signals, moment: str, *options: str) -> tuple[int, str]:
    """Run the benchmarks in a process, send it a signal when it says that it has come to a moment; what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith(moment))
        process.send_signal(number)
        out, _ = process.communicate()
    return process.returncode, out
