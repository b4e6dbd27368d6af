"""Runs that are killed at any moment, by SIGKILL, again and again: each goes on from what it left, to the same bits.

``--kill-rounds 50`` kills fifty times in each case.
"""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import environment

# Each epoch is saved twice, after its first step and at its end: many of the blows fall while a file is written.
RUN = """
import json, sys
import numpy as np
import handconv as hc
from handconv.training.checkpoint import sibling

path, workers = sys.argv[1], int(sys.argv[2])
if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 1, 8, 8)).astype(np.float32), np.arange(150) % 3
    hidden = [hc.Conv2D(4, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dropout(0.3)]
    model = hc.Sequential([*hidden, hc.Dense(3), hc.Softmax()], input_shape=(1, 8, 8), seed=0)
    saved = hc.Checkpoint(path, every=1e-9)
    history = model.fit(
        x, y, epochs=30, batch_size=40, optimizer=hc.Adam(0.01), validation_split=0.2, workers=workers,
        callbacks=[saved], resume=path if saved.path.exists() or sibling(saved.path, "previous").exists() else None,
    )
    for epoch in history.epochs:
        del epoch["train_seconds"], epoch["images_per_second"]
    weights = [m.parameters.tobytes().hex() for m in (model, hc.load(sibling(saved.path, "best")))]
    print(json.dumps({"history": history.epochs, "weights": weights}))
"""
LONG = 60.0  # seconds after which something hangs


def start(path: Path, workers: int) -> subprocess.Popen[str]:
    """Start, or go on with, the run whose checkpoint is ``path``."""
    command = [sys.executable, "-c", RUN, str(path), str(workers)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())


def ended(process: subprocess.Popen[str], within: float) -> bool:
    """Whether a process ends by itself within some seconds."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def result(process: subprocess.Popen[str]) -> Any:
    """What a run that came to its end has printed."""
    output, errors = process.communicate(timeout=LONG)
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The result of a run that nobody disturbed."""
    return result(start(tmp_path_factory.mktemp("whole") / "run.npz", 1))


@pytest.mark.parametrize("crew", [(1,), (2,), (1, 2)], ids=["1", "2", "1-and-2"])
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(
    crew: tuple[int, ...], whole: Any, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    path, moments, rounds = tmp_path / "run.npz", random.Random(len(crew) + crew[-1]), 0
    while rounds < pytestconfig.getoption("kill_rounds"):
        process = start(path, crew[rounds % len(crew)])
        if ended(process, moments.uniform(0.2, 1.2)):
            assert result(process) == whole
            for file in tmp_path.iterdir():  # and from the beginning again
                file.unlink()
            continue
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=LONG)  # the end of its output is the end of its workers
        rounds += 1
    assert result(start(path, crew[0])) == whole
    left = {file.name for file in tmp_path.iterdir() if not file.name.startswith(".run.")}
    assert left == {"run.npz", "run.previous.npz", "run.best.npz"}
