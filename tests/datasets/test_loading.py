"""Loading by name, from a folder of images, from a CSV file; and what stands in when nothing can be had."""

from pathlib import Path

import numpy as np
import pytest

from data_helpers import Arrays, write_csv_files, write_idx_files
from handconv import datasets
from handconv.datasets import cache, catalog, fetch, load, load_digits, load_fashion_mnist, load_mnist
from handconv.datasets.catalog import KnownSet
from handconv.datasets.dataset import hold_out
from handconv.errors import DataError, SourceError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mirror refuses the connection (Kaggle's stand-in does already)."""
    monkeypatch.setenv("HANDCONV_MIRRORS", "http://127.0.0.1:9")


def test_mnist_is_read_from_a_folder_as_floats_ready_to_train_on(data_dir: Path) -> None:
    (x_train, y_train), (x_test, y_test) = load_mnist(data_dir=data_dir)
    assert (x_train.shape, x_test.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (x_train.dtype, y_train.dtype) == (np.float32, np.int64)
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert y_test[:5].tolist() == [7, 2, 1, 0, 4]


def test_fashion_mnist_is_read_from_a_folder(data_dir: Path) -> None:
    (x_train, y_train), (_, y_test) = load_fashion_mnist(data_dir=data_dir)
    assert (len(x_train), len(y_test)) == (60_000, 10_000)
    assert load("fashion-mnist", source="offline").class_names[y_train[0]] == "Ankle boot"


def test_one_set_is_not_taken_for_the_other(data_dir: Path) -> None:
    with pytest.raises(DataError, match="not the official data"):
        load("fashion-mnist", data_dir=data_dir / "mnist")


def test_the_digits_are_always_there() -> None:
    (x_train, y_train), (x_test, y_test) = load_digits()
    assert x_train.shape == (1437, 1, 28, 28)
    assert x_train.dtype == np.float32
    assert len(y_train) + len(y_test) == 1797
    dataset = load("digits")
    assert (dataset.name, dataset.source, dataset.class_names) == ("digits", "embedded", tuple("0123456789"))
    np.testing.assert_array_equal(dataset.x_test / np.float32(255), x_test)


@pytest.mark.parametrize("source", ["auto", "offline"])
def test_the_digits_stand_in_for_mnist_and_say_why(no_network: None, source: str) -> None:
    reported: list[str] = []
    dataset = load("mnist", source=source, report=reported.append)
    assert dataset.name == "digits"
    assert dataset.notices[-1].startswith("MNIST could not be had; the embedded digits")
    assert dataset.notices == tuple(reported)
    assert len(dataset.notices) == (4 if source == "auto" else 2)


def test_load_mnist_warns_when_it_gives_digits(no_network: None) -> None:
    with pytest.warns(UserWarning, match="MNIST could not be had"):
        (x_train, _), _ = load_mnist(source="offline")
    assert len(x_train) == 1437


@pytest.mark.parametrize("source", ["kaggle", "mirror"])
def test_nothing_stands_in_for_a_source_that_was_asked_for(no_network: None, source: str) -> None:
    with pytest.raises(SourceError, match="MNIST could not be had"):
        load("mnist", source=source)


def test_nothing_stands_in_for_a_folder_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not hold MNIST"):
        load("mnist", data_dir=tmp_path)


def test_nothing_stands_in_for_clothing(no_network: None) -> None:
    with pytest.raises(SourceError, match="Fashion-MNIST could not be had"):
        load("fashion-mnist")


def test_fetch_puts_a_set_into_the_cache(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    dataset = fetch("tiny", data_dir=write_idx_files(tmp_path / "data", tiny, arrays))
    assert dataset.name == "tiny"
    assert [entry.name for entry in cache.entries()] == ["tiny"]


def test_fetch_has_no_stand_in(no_network: None) -> None:
    with pytest.raises(SourceError, match="MNIST could not be had"):
        fetch("mnist", source="offline")


def test_fetch_needs_a_cache_that_can_be_written(
    tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="not cached"):
        fetch("tiny", data_dir=write_idx_files(tmp_path / "data", tiny, arrays))


def test_only_known_sets_are_fetched() -> None:
    with pytest.raises(ValueError, match="mnist, fashion-mnist, got 'digits'"):
        fetch("digits")


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mnist, fashion-mnist, digits, a folder .* got 'cifar', which is none"):
        load("cifar")


def test_a_csv_file_is_divided_by_class(tiny: KnownSet, arrays: Arrays, tmp_path: Path) -> None:
    path = write_csv_files(tmp_path, tiny, arrays) / "tiny_train.csv"
    dataset = load(path)
    assert (dataset.name, dataset.source) == (str(path), f"file {path}")
    assert len(dataset.y_train) + len(dataset.y_test) == 60
    assert dataset.x_train.shape[1:] == (1, 28, 28)
    assert dataset.class_names == tuple("0123456789")


def write_image(path: Path, value: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads and writes image files")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(np.full((28, 28), value, dtype=np.uint8)).save(path)


def test_a_folder_of_images_is_divided_by_class(tmp_path: Path) -> None:
    for index in range(5):
        write_image(tmp_path / "images" / "cat" / f"{index}.png", 10 + index)
        write_image(tmp_path / "images" / "dog" / f"{index}.png", 20 + index)
    dataset = load(tmp_path / "images")
    assert dataset.class_names == ("cat", "dog")
    assert dataset.x_train[:, 0, 0, 0].tolist() == [10, 12, 13, 14, 20, 22, 23, 24]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [11, 21]
    assert dataset.y_test.tolist() == [0, 1]


def test_the_folders_train_and_test_are_respected(tmp_path: Path) -> None:
    for half, value in (("train", 10), ("test", 20)):
        for name in ("cat", "dog"):
            write_image(tmp_path / half / name / "1.png", value)
    dataset = load(str(tmp_path))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.x_train[:, 0, 0, 0].tolist() == [10, 10]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [20, 20]


def test_a_class_of_the_test_part_must_be_one_of_the_training_part(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "cat" / "1.png", 1)
    write_image(tmp_path / "test" / "dog" / "1.png", 1)
    with pytest.raises(DataError, match="must be one of the training part, cat; got dog too"):
        load(tmp_path)


def test_the_test_part_may_lack_a_class(tmp_path: Path) -> None:
    for name in ("train/ant", "train/bee", "train/cat", "test/cat"):
        write_image(tmp_path / name / "1.png", 1)
    dataset = load(tmp_path)
    assert dataset.class_names == ("ant", "bee", "cat")
    assert dataset.y_test.tolist() == [2]


def test_every_class_keeps_something_to_learn_from() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2], dtype=np.int64)
    train, test = hold_out(labels)
    assert sorted([*train, *test]) == list(range(13))
    assert np.bincount(labels[test], minlength=3).tolist() == [2, 1, 0]


def test_one_sample_a_class_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="needs two samples of a class; got 2 of 2 classes"):
        hold_out(np.array([0, 1]))


def test_the_public_names_are_there() -> None:
    assert datasets.NAMES == ("mnist", "fashion-mnist", "digits")
    assert catalog.MNIST.stand_in in datasets.NAMES
