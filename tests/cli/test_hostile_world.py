"""Damaged files and a full disk, from the command line: one line, a status of 1 or 2, never a traceback."""

import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import handconv as hc
from cli_helpers import COMMAND, environment
from handconv.cli import main
from test_hostile_files import KINDS, damaged, damaged_within

COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "model": lambda path: ["summary", str(path)],
    "png": lambda path: ["predict", str(path)],
    "checkpoint": lambda path: ["train", "--resume", str(path), "--no-play"],
    "csv": lambda path: ["train", "--dataset", str(path), "--epochs", "1", "--no-play"],
    "toml": lambda path: ["train", "--config", str(path), "--dataset", str(path.parent / "missing")],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_damaged_file_is_one_line(
    kind: str,
    cache_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    name, build, _ = KINDS[kind]
    sound, path, chance = build(tmp_path), tmp_path / name, random.Random(kind)
    for _ in range(10 * pytestconfig.getoption("fuzz_rounds")):
        within = name.endswith(".npz") and chance.random() < 0.5
        path.write_bytes((damaged_within if within else damaged)(sound, chance))
        status = main(COMMANDS[kind](path))
        shown = capsys.readouterr()
        assert status in (0, 1, 2)
        assert "Traceback" not in shown.out + shown.err
        assert "should not have happened" not in shown.err
        if status:
            assert shown.err.splitlines()[-1].startswith("handconv: ")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_is_full_keeps_the_old_model(tmp_path: Path, cache_folder: Path) -> None:
    path = tmp_path / "model.npz"
    hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0).save(path)
    before, world = path.read_bytes(), environment(HANDCONV_CACHE=str(cache_folder))
    done = subprocess.run(
        [*COMMAND, "train", "--dataset", "digits", "--epochs", "1", "--no-play", "--save", str(path)],
        capture_output=True, text=True, env={k: v for k, v in world.items() if not k.startswith("COVERAGE_PROCESS")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("handconv: ")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["model.npz"]
