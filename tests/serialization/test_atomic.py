"""Files that cannot be written name themselves, and are refused before any work is done."""

import errno
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
