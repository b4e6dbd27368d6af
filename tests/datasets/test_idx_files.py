"""Sets of IDX files are found by their names, as programs spell them."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from handconv.datasets import load
from handconv.datasets.readers import write_idx
from handconv.datasets.readers.idx_files import find_idx_files
from handconv.errors import DataError

RNG = np.random.default_rng(0)


def write_set(folder: Path, images: str, labels: str, values: list[int], start: int = 0) -> None:
    """Write a pair of files; each image has its place in its first pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (len(values), 10, 12)).astype(np.uint8)
    pixels[:, 0, 0] = np.arange(start, start + len(values))
    write_idx(folder / images, pixels)
    write_idx(folder / labels, np.array(values, np.uint8))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz"),
        ("TRAIN-IMAGES-IDX3-UBYTE", "TRAIN-LABELS-IDX1-UBYTE"),
        ("images-idx3-ubyte", "labels-idx1-ubyte"),
        ("mine-images.idx3", "mine-labels.idx1"),
        ("train_images_idx3_ubyte", "train_labels_idx1_ubyte"),
    ],
)
@pytest.mark.parametrize("by", ["folder", "images", "labels"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_set_is_found_by_any_of_its_files(tmp_path: Path, images: str, labels: str, by: str) -> None:
    write_set(tmp_path, images, labels, [1, 2, 26] * 5)
    dataset = load({"folder": tmp_path, "images": tmp_path / images, "labels": tmp_path / labels}[by])
    assert dataset.class_names == ("1", "2", "26")
    assert (len(dataset.y_train), len(dataset.y_test), dataset.x_train.shape[1:]) == (12, 3, (1, 10, 12))
    assert dataset.preparation.size == (10, 12)


@pytest.mark.parametrize("test", ["t10k", "test", "val"])
def test_its_test_part_is_used(tmp_path: Path, test: str) -> None:
    write_set(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [5, 7, 9])
    write_set(tmp_path, f"{test}-images-idx3-ubyte", f"{test}-labels-idx1-ubyte", [9, 5], start=100)
    dataset = load(tmp_path)
    assert dataset.x_train[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [100, 101]
    assert (dataset.y_train.tolist(), dataset.y_test.tolist()) == ([0, 1, 2], [2, 0])


def test_a_third_part_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_set(tmp_path, f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte", [0, 1])
    assert "The part 'val' is used neither to train on nor to test on." in load(tmp_path).notices


def test_a_test_part_alone_is_the_set_and_that_is_said(tmp_path: Path) -> None:
    write_set(tmp_path, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", [0, 1] * 5)
    assert "There is no part to train on; 't10k' is taken for the whole set." in load(tmp_path).notices


@pytest.mark.parametrize("place", ["", "raw", "gzip", "EMNIST/raw"])
def test_the_folders_of_archives_and_of_torchvision_are_looked_into(tmp_path: Path, place: str) -> None:
    write_set(tmp_path / place, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1] * 5)
    assert len(load(tmp_path).y_train) == 8


def test_the_table_of_qmnist_is_read(tmp_path: Path) -> None:
    write_set(tmp_path, "qmnist-train-images-idx3-ubyte", "unused", [0] * 4)
    table = np.arange(32).reshape(4, 8) % 16
    content = struct.pack(">HBBII", 0, 0x0C, 2, 4, 8) + table.astype(">i4").tobytes()
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(content, mtime=0))
    dataset = load(tmp_path / "qmnist-train-images-idx3-ubyte")
    assert (dataset.class_names, len(dataset.y_train), len(dataset.y_test)) == (("0", "8"), 2, 2)


def test_several_sets_in_a_folder_are_listed(tmp_path: Path) -> None:
    for name in ("emnist-letters", "emnist-digits"):
        write_set(tmp_path, f"{name}-train-images-idx3-ubyte", f"{name}-train-labels-idx1-ubyte", [0, 1] * 2)
    with pytest.raises(DataError, match="holds 2 sets of IDX files, emnist-digits, emnist-letters"):
        load(tmp_path)
    assert load(tmp_path / "emnist-digits-train-images-idx3-ubyte").class_names == ("0", "1")


def test_a_set_may_be_named_and_its_folder_given(tmp_path: Path) -> None:
    for name, values in (("emnist-letters", [1, 2]), ("emnist-digits", [0, 1])):
        write_set(tmp_path, f"{name}-train-images-idx3-ubyte", f"{name}-train-labels-idx1-ubyte", values * 2)
    dataset = load("emnist-letters", data_dir=tmp_path, transpose=True)
    assert dataset.class_names == ("1", "2")
    assert dataset.name == str(tmp_path / "emnist-letters-train-images-idx3-ubyte")
    with pytest.raises(ValueError, match="got 'kuzushiji', which is none of these"):
        load("kuzushiji", data_dir=tmp_path)


def test_images_without_labels_are_named(tmp_path: Path) -> None:
    write_set(tmp_path, "train-images-idx3-ubyte", "something-else", [0])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte have no labels beside them"):
        load(tmp_path)


def test_labels_without_images_are_named(tmp_path: Path) -> None:
    write_set(tmp_path, "something-else", "train-labels-idx1-ubyte", [0])
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte in .* have no images beside them"):
        load(tmp_path / "train-labels-idx1-ubyte")


def test_a_folder_of_something_else_holds_none(tmp_path: Path) -> None:
    (tmp_path / "images.txt").touch()
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    assert find_idx_files(tmp_path) is None


class TestEmnist:
    """EMNIST's images lie on their side, and files beside them name its classes."""

    @pytest.fixture
    def emnist(self, tmp_path: Path) -> Path:
        names = (f"emnist-letters-train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
        write_set(tmp_path, *names, [1, 2] * 5)
        return tmp_path

    def test_transposing_them_is_suggested(self, emnist: Path) -> None:
        hint = "EMNIST's images lie on their side; --transpose (transpose=True) sets them upright."
        assert hint in load(emnist).notices
        assert hint not in load(emnist, transpose=True).notices

    def test_transposed_they_have_rows_for_columns(self, emnist: Path) -> None:
        before, after = load(emnist), load(emnist, transpose=True)
        np.testing.assert_array_equal(after.x_train, before.x_train.swapaxes(2, 3))
        np.testing.assert_array_equal(after.x_test, before.x_test.swapaxes(2, 3))
        assert (before.preparation.transpose, after.preparation.transpose) == (False, True)
        assert after.preparation.size == (12, 10)

    def test_its_mapping_names_the_classes(self, emnist: Path) -> None:
        (emnist / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
        dataset = load(emnist)
        assert dataset.class_names == ("A", "B")
        assert any(re.search("mapping.txt gives them: A, B", notice) for notice in dataset.notices)

    @pytest.mark.parametrize("content", ["1 65\n", "A B\n1\n", "1 99999999999\n", "é"])
    def test_a_mapping_that_does_not_fit_is_not_used(self, emnist: Path, content: str) -> None:
        (emnist / "emnist-letters-mapping.txt").write_text(content, encoding="utf-8")
        assert load(emnist).class_names == ("1", "2")


def test_labels_alone_lack_their_images(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 1], np.uint8))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte in .* have no images beside them"):
        find_idx_files(tmp_path)
