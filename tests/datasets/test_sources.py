"""Which source is asked when, what is said of each, and that failures leave nothing behind."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_helpers import (
    HASTE,
    Arrays,
    Behaviour,
    Web,
    cut_off,
    html_page,
    silence,
    stall,
    stand_in,
    status,
    write_csv_files,
    write_idx_files,
    wrong_bytes,
)
from handconv.datasets import Dataset, cache
from handconv.datasets.catalog import FASHION_MNIST, MNIST, PARTS, KnownSet
from handconv.datasets.folder import locate
from handconv.datasets.sources import Search
from handconv.errors import DataError, SourceError


def search(known: KnownSet, source: str = "auto", **options: object) -> Dataset:
    return Search(known, patience=HASTE).run(source, **options)  # type: ignore[arg-type]


def left_in_the_cache() -> list[Path]:
    return [path for path in cache.folder().rglob("*") if path.is_file()]


class TestLocalFolders:
    @pytest.mark.parametrize("suffix", ["", ".gz"])
    @pytest.mark.parametrize("subfolder", ["", "tiny"])
    def test_idx_files_are_found(
        self, tiny: KnownSet, arrays: Arrays, tmp_path: Path, suffix: str, subfolder: str
    ) -> None:
        write_idx_files(tmp_path / "data" / subfolder, tiny, arrays, suffix)
        dataset = search(tiny, data_dir=tmp_path / "data")
        assert dataset.source == f"folder {tmp_path / 'data'}"
        assert isinstance(dataset.x_train, np.memmap)
        assert dataset.y_train.dtype == np.int64
        np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
        np.testing.assert_array_equal(dataset.y_test, arrays["y_test"])

    @pytest.mark.parametrize(
        "place", ["", "mnist", "raw", "MNIST/raw", "MNIST"], ids=lambda place: place.replace("/", " ") or "itself"
    )
    @pytest.mark.parametrize("spelling", ["-idx", ".idx"])
    def test_the_names_and_folders_that_programs_make_are_looked_for(
        self, data_dir: Path, tmp_path: Path, place: str, spelling: str
    ) -> None:
        folder = tmp_path / "data" / place
        folder.mkdir(parents=True)
        for file in (data_dir / "mnist").glob("*.gz"):
            name = file.name.replace("-idx", spelling)
            (folder / name).symlink_to(file)
        located = locate(MNIST, tmp_path / "data")
        assert {part: path.parent for part, path in located.items()} == dict.fromkeys(PARTS, folder)

    def test_the_folder_of_torchvision_is_that_of_the_right_set(self, tmp_path: Path) -> None:
        for title in ("MNIST", "FashionMNIST"):
            (tmp_path / title / "raw").mkdir(parents=True)
            for file in MNIST.files.values():
                (tmp_path / title / "raw" / file.name).touch()
        for known, title in ((MNIST, "MNIST"), (FASHION_MNIST, "FashionMNIST")):
            assert locate(known, tmp_path)["x_train"].parent == tmp_path / title / "raw"

    def test_files_that_are_not_the_official_ones_may_be_data_of_ones_own(
        self, tiny: KnownSet, arrays: Arrays, tmp_path: Path
    ) -> None:
        folder = write_idx_files(tmp_path / "data", tiny, arrays | {"y_test": 1 - arrays["y_test"] // 9})
        with pytest.raises(
            DataError, match=rf"not the official data.* by its path: --dataset {re.escape(str(folder))}"
        ):
            search(tiny, data_dir=folder)

    def test_the_second_time_they_come_from_the_cache(self, tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        search(tiny, data_dir=folder)
        marked = np.load(cache.folder() / "tiny" / "x_test.npy", mmap_mode="r+")
        marked[0, 0, 0, 0] ^= 1
        assert (search(tiny, data_dir=folder).x_test != arrays["x_test"]).sum() == 1

    def test_files_that_changed_are_read_again(self, tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        search(tiny, data_dir=folder)
        (folder / "y_test.gz").write_bytes(b"something else")
        with pytest.raises(DataError, match=r"y_test\.gz"):
            search(tiny, data_dir=folder)

    def test_a_damaged_cache_does_not_matter(self, tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        search(tiny, data_dir=folder)
        (cache.folder() / "tiny" / "x_test.npy").write_bytes(b"cut")
        np.testing.assert_array_equal(search(tiny, data_dir=folder).x_test, arrays["x_test"])

    def test_a_folder_that_is_named_is_the_only_source(self, tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
        cache.store(tiny, arrays, "a test")
        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        (folder / "y_test.gz").unlink()
        for source in ("auto", "offline"):
            with pytest.raises(SourceError, match=r"does not hold Tiny: there must be .*y_test\[\.gz\], or tiny_train"):
                search(tiny, source, data_dir=folder)

    def test_a_folder_that_is_none_is_an_error(self, tiny: KnownSet, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is no folder"):
            search(tiny, data_dir=tmp_path / "nowhere")

    def test_a_folder_contradicts_a_source_in_the_network(self, tiny: KnownSet, tmp_path: Path) -> None:
        for source in ("kaggle", "mirror"):
            with pytest.raises(ValueError, match="Leave one out"):
                search(tiny, source, data_dir=tmp_path)

    def test_oversized_files_are_not_read(self, tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        with (folder / "x_test.gz").open("r+b") as file:
            file.truncate(10**12)
        with pytest.raises(DataError, match=r"expected at most 10,5.. bytes, got 1,000,000,000,000"):
            search(tiny, data_dir=folder)

    def test_a_file_that_cannot_be_read_is_named(
        self, tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        folder = write_idx_files(tmp_path / "data", tiny, arrays)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(SourceError, match=r"x_train\.gz cannot be read: Permission denied"):
            search(tiny, data_dir=folder)

    def test_the_folder_of_the_variable_comes_first(
        self, tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.store(tiny, arrays, "a test")
        monkeypatch.setenv("HANDCONV_DATA_DIR", str(write_idx_files(tmp_path / "data", tiny, arrays)))
        assert search(tiny).source.startswith("folder")
        assert search(tiny, "offline").source.startswith("folder")
        assert search(tiny, "mirror").source == "cache"

    def test_the_folder_of_the_variable_may_lack_the_set(
        self, tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.store(tiny, arrays, "a test")
        monkeypatch.setenv("HANDCONV_DATA_DIR", str(tmp_path))
        dataset = search(tiny)
        assert dataset.source == "cache"
        assert dataset.notices[0].startswith(f"HANDCONV_DATA_DIR: {tmp_path} does not hold Tiny")


class TestMirrors:
    def test_the_first_good_one_is_used_and_cached(self, tiny: KnownSet, arrays: Arrays, web: Web) -> None:
        tiny = replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),))
        dataset = search(tiny, "mirror")
        assert dataset.source == f"mirror {web.address}/good/"
        assert isinstance(dataset.x_train, np.memmap)
        np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
        assert len(web.requests) == 4
        assert search(tiny, "mirror").source == "cache"
        assert len(web.requests) == 4

    @pytest.mark.parametrize(
        ("trouble", "line"),
        [
            (status(403), "x_test.gz: HTTP 403 Forbidden"),
            (status(500), "x_test.gz: HTTP 500"),
            (html_page, "x_test.gz: an HTML page instead"),
            (wrong_bytes, "x_test.gz: not the official data, expected SHA-256"),
            (cut_off, "x_test.gz: cut off after"),
            (stall, "x_test.gz: stalled after"),
            (silence, "x_test.gz: no answer within"),
        ],
    )
    def test_trouble_with_one_leads_to_the_next_and_leaves_nothing(
        self, tiny: KnownSet, arrays: Arrays, web: Web, trouble: Behaviour, line: str
    ) -> None:
        bad, good = (web.hold(tiny, arrays, name) for name in ("bad", "good"))
        patience = replace(HASTE, connect=0.3, stall=0.3, attempts=2)
        for mirrors in ((bad,), (bad, good)):
            web.requests.clear()
            web.behaviours["/bad/x_test.gz"].extend([trouble] * 2)
            attempt = Search(replace(tiny, mirrors=mirrors), patience=patience)
            if len(mirrors) == 1:
                with pytest.raises(SourceError, match=line):
                    attempt.run("mirror")
                assert left_in_the_cache() == []
            else:
                dataset = attempt.run("mirror")
                assert dataset.notices[1].startswith(f"mirror {bad}: {line}")
                assert dataset.source == f"mirror {good}"
                np.testing.assert_array_equal(dataset.x_test, arrays["x_test"])
                assert [path for path, _ in web.requests if path.startswith("/good/")] == [
                    "/good/x_test.gz",
                    "/good/y_test.gz",
                ]
            web.behaviours.clear()

    def test_own_mirrors_replace_the_public_ones(
        self, tiny: KnownSet, arrays: Arrays, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web.hold(tiny, arrays, "data/tiny")
        monkeypatch.setenv("HANDCONV_MIRRORS", f"{web.address}/nothing  {web.address}/data/")
        dataset = search(replace(tiny, mirrors=("http://public.invalid/",)), "mirror")
        assert dataset.source == f"mirror {web.address}/data/tiny/"
        assert dataset.notices[1] == f"mirror {web.address}/nothing/tiny/: x_train.gz: HTTP 404 Not Found"

    def test_the_official_files_over_http(self, web: Web, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for path in (data_dir / "mnist").glob("*.gz"):
            web.files[f"/mnist/{path.name}"] = path.read_bytes()
        web.behaviours["/mnist/train-images-idx3-ubyte.gz"].append(cut_off)
        monkeypatch.setenv("HANDCONV_MIRRORS", web.address)
        dataset = search(MNIST, "mirror")
        assert dataset.source == f"mirror {web.address}/mnist/"
        assert dataset.y_test[122] == 7
        assert len(web.requests) == 5
        assert cache.verify("mnist") == ()


class TestOrder:
    def test_auto_asks_the_cache_then_kaggle_then_the_mirrors(
        self, tiny: KnownSet, arrays: Arrays, web: Web, tmp_path: Path
    ) -> None:
        tiny = replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),))
        first = search(tiny)
        assert [line.partition(":")[0] for line in first.notices[:2]] == ["cache", "Kaggle"]
        assert first.notices[2] == f"Tiny from mirror {web.address}/good/"
        assert search(tiny).notices == ("Tiny from cache",)
        shutil.rmtree(cache.folder())
        stand_in(tmp_path, f"return {str(write_csv_files(tmp_path / 'kaggle', tiny, arrays))!r}")
        assert search(tiny).source == "kaggle"
        assert len(web.requests) == 4

    def test_offline_never_touches_the_network(self, tiny: KnownSet, arrays: Arrays, web: Web, tmp_path: Path) -> None:
        stand_in(tmp_path, f"return {str(write_csv_files(tmp_path / 'kaggle', tiny, arrays))!r}")
        with pytest.raises(SourceError, match=r"Tiny is not in .* yet"):
            search(replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),)), "offline")
        assert web.requests == []

    def test_when_all_fail_the_error_has_a_line_for_each(self, tiny: KnownSet) -> None:
        with pytest.raises(SourceError) as caught:
            search(replace(tiny, mirrors=("http://127.0.0.1:9/a/", "ftp://b/")))
        lines = str(caught.value).splitlines()
        assert lines[0] == "Tiny could not be had. What was tried:"
        assert [line.partition(":")[0] for line in lines[1:5]] == ["cache", "Kaggle", "mirror http", "mirror ftp"]
        assert "data_dir" in lines[-1]

    def test_each_line_is_reported_as_it_happens(self, tiny: KnownSet, arrays: Arrays, web: Web) -> None:
        reported: list[str] = []
        tiny = replace(tiny, mirrors=(web.hold(tiny, arrays, "good"),))
        dataset = Search(tiny, patience=HASTE, report=reported.append).run()
        assert tuple(reported) == dataset.notices

    def test_an_unknown_source_is_an_error(self, tiny: KnownSet) -> None:
        with pytest.raises(ValueError, match="source must be one of auto, kaggle, mirror, offline, got 'internet'"):
            search(tiny, "internet")
