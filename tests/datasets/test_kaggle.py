"""Kaggle's client, played by a stand-in, runs in a process of its own; from it we get a folder or one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_helpers import HASTE, Arrays, stand_in, write_csv_files, write_idx_files
from handconv.datasets import cache, kaggle, load
from handconv.datasets.catalog import MNIST, KnownSet
from handconv.datasets.sources import Search
from handconv.errors import SourceError


def fails(message: str, **patience: float) -> None:
    with pytest.raises(SourceError, match=message):
        kaggle.download_folder("someone/tiny-in-csv", patience=replace(HASTE, **patience))  # type: ignore[arg-type]


def test_the_set_is_read_from_the_csv_files_verified_and_cached(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    stand_in(tmp_path, f"return {str(write_csv_files(tmp_path / 'kaggle', tiny, arrays))!r}")
    dataset = Search(tiny, patience=HASTE).run("kaggle")
    assert dataset.source == "kaggle"
    assert isinstance(dataset.x_train, np.memmap)
    np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
    np.testing.assert_array_equal(dataset.y_test, arrays["y_test"])
    stand_in(tmp_path, "raise AssertionError('asked twice')")
    assert Search(tiny, patience=HASTE).run("kaggle").source == "cache"


def test_the_client_is_asked_for_the_handle(tmp_path: Path) -> None:
    stand_in(tmp_path, "return handle")
    assert kaggle.download_folder("someone/tiny-in-csv", patience=HASTE) == Path("someone/tiny-in-csv")


def test_notices_go_to_stderr_and_the_bar_to_progress(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = r"""
    print("Downloading to /somewhere...")
    for bar in ("  0%|          | 0.00/14.6M [00:00<?, ?B/s]", " 50%|#####     | 7.30M/14.6M [00:01<00:01, 7MB/s]"):
        sys.stderr.write("\r" + bar)
    sys.stderr.write("\n")
    print("Extracting files...")
    return "folder"
    """
    told: list[tuple[str, int, int | None]] = []
    stand_in(tmp_path, body.strip())
    kaggle.download_folder("a/b", patience=HASTE, progress=lambda *step: told.append(step))
    assert told == [("a/b", 0, int(14.6 * 2**20)), ("a/b", int(7.3 * 2**20), int(14.6 * 2**20))]
    assert capfd.readouterr() == ("", "Downloading to /somewhere...\nExtracting files...\n")


def test_an_error_becomes_one_line(tmp_path: Path) -> None:
    stand_in(tmp_path, "raise ValueError('bad\\n   credentials')")
    fails("^ValueError: bad credentials$")


def test_a_chain_of_network_errors_is_told_by_its_root(tmp_path: Path) -> None:
    body = """
    import socket
    try:
        raise socket.gaierror(-2, "Name or service not known")
    except OSError as error:
        raise RuntimeError("Max retries exceeded with url: …") from error
    """
    stand_in(tmp_path, body.strip())
    fails("^the server's name cannot be resolved")


def test_a_client_that_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    stand_in(tmp_path, "pass", head="raise ImportError('no module')")
    fails(r'needs kagglehub, which is not installed.*pip install "handconv\[kaggle\]"')


def test_a_client_that_hangs_is_ended(tmp_path: Path) -> None:
    stand_in(tmp_path, "import threading; threading.Event().wait()")
    fails("no sign of life from Kaggle's client within 0.1 s", kaggle_start=0.1)


def test_a_client_that_falls_silent_is_ended(tmp_path: Path) -> None:
    stand_in(tmp_path, "import threading; print('Downloading'); threading.Event().wait()")
    fails("no sign of life from Kaggle's client within 0.1 s", kaggle_stall=0.1)


def test_a_client_that_leaves_says_so(tmp_path: Path) -> None:
    stand_in(tmp_path, "sys.exit(3)")
    fails("ended without a word")


def test_without_a_python_to_start_it_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kaggle.sys, "executable", str(tmp_path / "no-python"))
    fails("cannot be started")


def test_other_data_under_the_same_names_is_refused(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    other = {**arrays, "y_test": (arrays["y_test"] + 1) % 10}
    stand_in(tmp_path, f"return {str(write_csv_files(tmp_path / 'kaggle', tiny, other))!r}")
    with pytest.raises(SourceError, match=r"Kaggle: .*tiny_test\.csv: not the official data"):
        Search(tiny, patience=HASTE).run("kaggle")
    assert cache.entries() == ()


def test_a_broken_csv_file_is_refused(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    folder = write_csv_files(tmp_path / "kaggle", tiny, arrays)
    with (folder / "tiny_train.csv").open("ab") as file:
        file.write(b"7,1,2,3\n")
    stand_in(tmp_path, f"return {str(folder)!r}")
    with pytest.raises(SourceError, match=r"tiny_train\.csv, line 62: expected 785 columns"):
        Search(tiny, patience=HASTE).run("kaggle")
    assert cache.entries() == ()


def test_a_folder_without_the_files_is_refused(tiny: KnownSet, tmp_path: Path) -> None:
    stand_in(tmp_path, f"return {str(tmp_path)!r}")
    with pytest.raises(SourceError, match="does not hold Tiny"):
        Search(tiny, patience=HASTE).run("kaggle")


def test_a_set_that_kaggle_does_not_have_is_not_asked_for(tiny: KnownSet) -> None:
    with pytest.raises(SourceError, match="Kaggle: Tiny is not taken from there"):
        Search(replace(tiny, kaggle_handle=None)).run("kaggle")


def test_mnist_from_kaggle_is_mnist_from_idx(data_dir: Path, tmp_path: Path) -> None:
    by_idx = load("mnist", data_dir=data_dir)
    parts = {part: getattr(by_idx, part).astype(np.uint8) for part in MNIST.files}
    cache.remove("mnist")
    stand_in(tmp_path, f"return {str(write_csv_files(tmp_path / 'kaggle', MNIST, parts))!r}")
    by_csv = load("mnist", source="kaggle")
    assert by_csv.source == "kaggle"
    for part in MNIST.files:
        np.testing.assert_array_equal(getattr(by_csv, part), getattr(by_idx, part))


def test_the_csv_form_of_a_local_folder_is_read_too(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    dataset = Search(tiny).run(data_dir=write_csv_files(tmp_path / "data" / "tiny", tiny, arrays).parent)
    np.testing.assert_array_equal(dataset.x_test, arrays["x_test"])


def test_idx_files_are_preferred_to_csv_files(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    folder = write_idx_files(write_csv_files(tmp_path / "data", tiny, arrays), tiny, arrays)
    (folder / "tiny_train.csv").write_text("nothing of the kind")
    np.testing.assert_array_equal(Search(tiny).run(data_dir=folder).x_test, arrays["x_test"])
