"""Data sets in .npz files, by the names of their arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.datasets.readers.arrays import read_arrays
from handconv.errors import DataError

IMAGES = np.arange(4 * 5 * 5, dtype=np.uint8).reshape(4, 5, 5) * 2
LABELS = np.array([3, 7, 7, 3])


def saved(folder: Path, **arrays: NDArray[Any]) -> Path:
    path = folder / "set.npz"
    np.savez(path, **arrays)
    return path


def test_the_parts_of_keras_are_read(tmp_path: Path) -> None:
    dataset = hc.datasets.load(saved(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:1], y_test=LABELS[:1]))
    np.testing.assert_array_equal(dataset.x_train, IMAGES[:, None])
    np.testing.assert_array_equal(dataset.x_test, IMAGES[:1, None])
    assert (dataset.y_train.tolist(), dataset.y_test.tolist()) == ([0, 1, 1, 0], [0])
    assert dataset.class_names == ("3", "7")


def test_those_of_medmnist_too_and_what_is_left_is_said(tmp_path: Path) -> None:
    parts = {f"{part}_images": IMAGES for part in ("train", "val", "test")}
    parts |= {f"{part}_labels": LABELS[:, None] for part in ("train", "val", "test")}
    dataset = hc.datasets.load(saved(tmp_path, **parts))
    assert (len(dataset.x_train), len(dataset.x_test)) == (4, 4)
    assert "The part 'val' is used neither to train on nor to test on." in dataset.notices


@pytest.mark.parametrize(
    ("images", "labels"), [("X", "y"), ("data", "target"), ("images", "labels"), ("trainX", "trainY")]
)
def test_without_a_test_part_one_is_held_out(images: str, labels: str, tmp_path: Path) -> None:
    dataset = hc.datasets.load(saved(tmp_path, **{images: IMAGES, labels: LABELS, "epochs": np.array(3)}))
    assert (len(dataset.x_train), len(dataset.x_test)) == (2, 2)


COLOURED = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (IMAGES.reshape(4, 25), IMAGES[:, None]),
        (IMAGES[..., None], IMAGES[:, None]),
        (IMAGES.reshape(4, 25, 1), IMAGES[:, None]),
        (IMAGES.reshape(4, 1, 25), IMAGES[:, None]),
        (IMAGES[:, None].astype(np.int64), IMAGES[:, None]),
        (IMAGES.astype(np.float32) / 255, IMAGES[:, None]),
        (IMAGES.astype(np.float64), IMAGES[:, None]),
        (COLOURED, COLOURED.transpose(0, 3, 1, 2)),
        (COLOURED.transpose(0, 3, 1, 2), COLOURED.transpose(0, 3, 1, 2)),
    ],
)
def test_images_may_have_any_usual_form(given: NDArray[Any], expected: NDArray[np.uint8], tmp_path: Path) -> None:
    samples, _ = read_arrays(saved(tmp_path, x=given, y=LABELS))
    np.testing.assert_array_equal(samples.images, expected)


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (LABELS.astype(np.float32), ("3", "7"), [0, 1, 1, 0]),
        (np.eye(3)[[2, 0, 1, 2]], ("0", "1", "2"), [2, 0, 1, 2]),
        (np.array(["eel", "cat", "cat", "eel"]), ("cat", "eel"), [1, 0, 0, 1]),
        (np.array([True, False, False, True]), ("0", "1"), [1, 0, 0, 1]),
    ],
)
def test_labels_may_have_any_usual_form(
    labels: NDArray[Any], names: tuple[str, ...], numbers: list[int], tmp_path: Path
) -> None:
    samples, _ = read_arrays(saved(tmp_path, x=IMAGES, y=labels))
    assert samples.class_names == names
    assert samples.labels is not None
    assert samples.labels.tolist() == numbers


def test_arrays_with_other_words_in_their_names_do_not_take_the_place_of_the_images(tmp_path: Path) -> None:
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:1], "y_test": LABELS[:1]}
    others = {"x_train_negative": 255 - IMAGES, "label_names": np.array(["three", "seven"])}
    dataset = hc.datasets.load(saved(tmp_path, **arrays, **others))
    np.testing.assert_array_equal(dataset.x_train, IMAGES[:, None])
    assert dataset.class_names == ("3", "7")
    assert dataset.notices == (
        "Arrays that are neither the images nor the labels are passed over: x_train_negative, label_names.",
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": IMAGES, "images": IMAGES, "y": LABELS}, "2 arrays that could be the images of the set, data, images"),
        ({"x_tr": IMAGES, "x_te": IMAGES, "y_tr": LABELS}, "could be the images of the set, x_tr, x_te. Keep one"),
        ({"x_train": IMAGES, "fine_labels_train": LABELS, "coarse_labels_train": LABELS}, "the labels of train, fine_"),
        ({"weights": IMAGES, "biases": LABELS}, "it has weights, biases. If it is a model: handconv play"),
        ({"x_train": IMAGES}, "must have arrays of images and of their labels"),
        ({"x": IMAGES.astype(float) - 100, "y": LABELS}, "pixels must go from 0 to 1 or to 255, got -100"),
        ({"x": IMAGES.astype(float) * np.nan, "y": LABELS}, "got nan to nan"),
        ({"x": IMAGES[:, :3], "y": LABELS[:2]}, r"for each of 4 images, got an array of int64 of shape \(2,\)"),
        ({"x": IMAGES, "y": LABELS + 0.5}, "a whole number or a text"),
        ({"x": IMAGES.reshape(4, 5, 5, 1, 1), "y": LABELS}, r"must have a shape .* got \(4, 5, 5, 1, 1\)"),
        ({"x": np.array(["a"] * 4), "y": LABELS}, "images must be numbers"),
        ({"x": np.array([None] * 4), "y": LABELS}, "an array of Python objects"),
    ],
)
def test_what_is_no_data_set_is_refused(arrays: dict[str, NDArray[Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_arrays(saved(tmp_path, **arrays))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, x=IMAGES, y=LABELS)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="is a damaged file"):
        read_arrays(path)


def test_a_class_of_the_test_part_alone_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:1], y_test=np.array([9]))
    with pytest.raises(DataError, match=r"must be one of the training part, 3, 7; got 9 too\."):
        hc.datasets.load(path)


def test_objects_of_python_are_called_so(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=IMAGES.astype(object), y_train=LABELS)
    with pytest.raises(DataError, match=r"has an array of Python objects, and pickles are never read\. Save numbers"):
        read_arrays(path)
