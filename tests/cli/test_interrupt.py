"""Ctrl-C before the command line has begun, and signals to it and its workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import handconv

SOURCES = Path(handconv.__file__).parents[1]


def run_interrupted(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python where NumPy is a module that is interrupted."""
    (folder / "numpy.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join((str(folder), str(SOURCES)))
    return subprocess.run(
        [sys.executable, *words], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("as_module", [True, False])
def test_ctrl_c_during_the_first_imports_is_one_line(tmp_path: Path, as_module: bool) -> None:
    script = tmp_path / "bin" / "handconv"
    script.parent.mkdir()
    script.write_text("from handconv.cli import main\nmain()\n")
    done = run_interrupted(tmp_path, *(["-m", "handconv"] if as_module else [str(script)]), "--help")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_a_program_that_uses_the_library_keeps_its_traceback(tmp_path: Path) -> None:
    assert "Traceback" in run_interrupted(tmp_path, "-c", "import handconv").stderr


@pytest.mark.skipif(os.name == "nt", reason="groups of processes and their signals are those of POSIX")
@pytest.mark.parametrize("epochs", range(1, 6))
def test_a_signal_to_the_whole_group_is_one_to_the_command(epochs: int, tmp_path: Path) -> None:
    words = ["train", "--dataset", "digits", "--epochs", "1000", "--workers", "2", "--no-play", "--json", "--save"]
    process = subprocess.Popen(
        [sys.executable, "-m", "handconv", *words, str(tmp_path / "run.npz")],
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for _ in range(epochs):
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate()
    assert (process.returncode, "--resume" in errors) == (143, True), errors
