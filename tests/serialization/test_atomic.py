"""Files that cannot be written name themselves, and are refused before any work is done."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest

import handconv as hc
from handconv.serialization.atomic import check_writable, write_atomically

FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is of Linux")


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    def write(file: IO[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "model.npz"
    path.write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: '.*model\.npz'"):
        write_atomically(path, write)
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]
    assert path.read_text() == "old"


@needs_full_device
def test_a_log_on_a_full_disk_names_the_file() -> None:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(OSError, match="/dev/full"):
        model.fit(np.eye(4, 3), [0, 1, 0, 1], callbacks=[hc.CSVLogger(FULL)])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody can make files is of Linux")
def test_a_folder_in_which_no_file_can_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"/proc/self/model\.npz"):
        check_writable(Path("/proc/self/model.npz"))
    check_writable(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


class Leaves(hc.Callback):
    """Goes to another folder after the first epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_end(self, run: object, figures: object) -> None:
        os.chdir(self.folder)


@pytest.mark.parametrize("root", [Path(), None], ids=["a relative path", "a whole path"])
def test_the_files_of_a_run_stay_where_it_began(
    root: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    begun.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(begun)
    folder = begun if root is None else root
    files = [hc.Checkpoint(folder / "run.npz"), hc.CSVLogger(folder / "log.csv")]
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    model.fit(np.eye(4, 3), [0, 1, 0, 1], epochs=3, validation_split=0.5, callbacks=[Leaves(elsewhere), *files])
    names = ["log.csv", "run.best.npz", "run.npz", "run.previous.npz"]
    assert sorted(file.name for file in begun.iterdir()) == names
    assert not list(elsewhere.iterdir())
    assert len((begun / "log.csv").read_text("utf-8").splitlines()) == 4


WAYS: dict[str, Callable[[hc.Sequential, Path], object]] = {
    "save": lambda model, path: model.save(path),
    "checkpoint": lambda model, path: model.fit(np.eye(4, 3), [0, 1, 0, 1], callbacks=[hc.Checkpoint(path)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_is_no_place_for_a_file(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "model.npz"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(IsADirectoryError, match=r"cannot have the name of a folder\. Take another: '.*model\.npz'"):
        WAYS[way](model, folder)
    assert (folder / "thesis.txt").read_text() == "precious"
