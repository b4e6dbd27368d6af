"""The cache: whole or not there, mapped into memory, and honest about damage."""

import errno
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_helpers import HASTE, Arrays, Handler, Web, serve, write_idx_files
from handconv.datasets import cache
from handconv.datasets.catalog import KnownSet
from handconv.datasets.sources import Search
from handconv.errors import DataError

Damage = "cut", "grow", "header"


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        del data[-100:]
    elif how == "grow":
        data += b"\0"
    elif how == "header":
        data[data.index(b"(60")] = ord("9")
    else:
        data[-1] ^= 1
    path.write_bytes(data)


def test_what_was_stored_is_mapped_from_the_disk_and_read_only(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    found = cache.open_arrays(tiny)
    assert found is not None
    assert found[1] == "a test"
    for part, array in found[0].items():
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, arrays[part])


def test_the_files_are_ordinary_npy_files(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    loaded = np.load(cache.folder() / "tiny" / "x_test.npy", allow_pickle=False)
    np.testing.assert_array_equal(loaded, arrays["x_test"])


def test_what_was_never_stored_is_not_there(tiny: KnownSet) -> None:
    assert cache.open_arrays(tiny) is None
    assert cache.entries() == ()
    assert cache.remove("tiny") == 0


@pytest.mark.parametrize("how", Damage)
def test_a_damaged_file_is_noticed(tiny: KnownSet, arrays: Arrays, how: str) -> None:
    cache.store(tiny, arrays, "a test")
    damage(cache.folder() / "tiny" / "x_train.npy", how)
    with pytest.raises(DataError, match=r"x_train\.npy is damaged"):
        cache.open_arrays(tiny)
    assert not cache.entries()[0].complete


@pytest.mark.parametrize("how", [*Damage, "delete"])
def test_a_damaged_set_is_fetched_again(tiny: KnownSet, arrays: Arrays, web: Web, how: str) -> None:
    cache.store(tiny, arrays, "a test")
    path = cache.folder() / "tiny" / "x_train.npy"
    if how == "delete":
        path.unlink()
    else:
        damage(path, how)
    tiny = replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),))
    dataset = Search(tiny, patience=HASTE).run("mirror")
    assert dataset.source.startswith("mirror")
    assert dataset.notices[0].startswith("cache: ")
    assert cache.verify("tiny") == ()
    assert Search(tiny).run("offline").source == "cache"


def test_verify_finds_one_flipped_bit_and_a_missing_file(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    assert cache.verify("tiny") == ()
    damage(cache.folder() / "tiny" / "x_train.npy", "flip")
    (cache.folder() / "tiny" / "y_test.npy").unlink()
    flipped, missing = cache.verify("tiny")
    assert "x_train.npy: not the official data" in flipped
    assert missing.endswith("y_test.npy: No such file or directory")


def test_storing_again_mends_what_verify_finds(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    damage(cache.folder() / "tiny" / "x_train.npy", "flip")
    cache.store(tiny, arrays, "a test")
    assert cache.verify("tiny") == ()


def test_entries_tell_name_size_and_source(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    (entry,) = cache.entries()
    assert (entry.name, entry.path, entry.source, entry.complete) == ("tiny", cache.folder() / "tiny", "a test", True)
    assert entry.size > sum(array.nbytes for array in arrays.values())


def test_an_origin_that_cannot_be_read_costs_only_the_name_of_the_source(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    (cache.folder() / "tiny" / "origin.json").write_text('{"sou')
    assert cache.entries()[0].source == "unknown"
    assert cache.open_arrays(tiny) is not None


def test_remove_takes_everything_away(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    size = cache.entries()[0].size
    assert cache.remove("tiny") == size
    assert list(cache.folder().iterdir()) == []


@pytest.mark.parametrize("name", ["../tiny", "digits", ""])
def test_only_known_names_are_removed_or_verified(name: str) -> None:
    for function in (cache.remove, cache.verify):
        with pytest.raises(ValueError, match="The cache holds mnist"):
            function(name)


def test_a_full_disk_leaves_nothing_behind(tiny: KnownSet, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def fill_up(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(OSError, match="No space left"):
        cache.store(tiny, arrays, "a test")
    assert list(cache.folder().iterdir()) == []


def test_a_full_disk_costs_only_the_cache(
    tiny: KnownSet, arrays: Arrays, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    dataset = Search(replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),)), patience=HASTE).run("mirror")
    np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
    assert any(line.startswith("not cached: No space left on device.") for line in dataset.notices)


def test_a_cache_that_cannot_be_written_costs_only_the_cache(
    tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path / "file" / "cache"))
    dataset = Search(tiny).run(data_dir=write_idx_files(tmp_path / "data", tiny, arrays))
    np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
    assert dataset.notices[0].startswith("not cached: Not a directory. Set HANDCONV_CACHE")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_cache_for_several_users_is_written_for_all_of_them(tiny: KnownSet, arrays: Arrays) -> None:
    before = os.umask(0o022)
    try:
        cache.store(tiny, arrays, "a test")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (cache.folder() / "tiny").iterdir()} == {0o644}


def test_what_killed_runs_left_is_swept_away_when_it_is_old(tiny: KnownSet, arrays: Arrays) -> None:
    cache.store(tiny, arrays, "a test")
    old, young = (cache.folder() / "tiny" / f"x_train.npy{age}.unfinished" for age in ("old", "young"))
    old.touch()
    os.utime(old, (0, 0))
    young.touch()
    cache.store(tiny, arrays, "a test")
    assert not old.exists()
    assert young.exists()


FILL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from data_helpers import HASTE
from handconv.datasets.catalog import KnownFile, KnownSet
from handconv.datasets.sources import Search
known = eval(sys.argv[2])
dataset = Search(known, patience=HASTE).run("mirror")
print(dataset.source, int(dataset.x_train.sum()))
"""


def test_two_processes_fill_one_cache_at_the_same_time(tiny: KnownSet, arrays: Arrays, web: Web) -> None:
    both = threading.Barrier(2)

    def together(handler: Handler, data: bytes) -> None:
        both.wait(timeout=20)
        serve(handler, data)

    tiny = replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),))
    web.behaviours["/good/x_train.gz"].extend([together, together])
    recipe = f"KnownSet('tiny', 'Tiny', {tiny.files!r}, {tiny.mirrors!r}, ())"
    command = [sys.executable, "-c", FILL, str(Path(__file__).parent.parent), recipe]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    expected = f"{tiny.mirrors[0]} {int(arrays['x_train'].sum())}"
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == [f"mirror {expected}"] * 2
    assert cache.verify("tiny") == ()
    assert {path.name for path in (cache.folder() / "tiny").iterdir()} == {
        "origin.json",
        *(f"{part}.npy" for part in tiny.files),
    }


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/handconv"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/handconv"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/handconv"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "home/Library/Caches/handconv"),
        ("win32", {}, "home/AppData/Local/handconv/Cache"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/handconv/Cache"),
        ("win32", {"HANDCONV_CACHE": "/own"}, "/own"),
        ("linux", {"HANDCONV_CACHE": "~/own"}, "home/own"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(
    platform: str, variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HANDCONV_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home"), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache.folder() == tmp_path / expected


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HANDCONV_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="Set HANDCONV_CACHE"):
        cache.folder()
