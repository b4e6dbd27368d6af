"""Loading by name, from a folder of images, from a CSV file; and what stands in when nothing can be had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_helpers import Arrays, write_csv_files, write_idx_files
from handconv import datasets
from handconv.datasets import (
    Preparation,
    cache,
    catalog,
    fetch,
    load,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    loading,
)
from handconv.datasets.catalog import KnownSet
from handconv.datasets.dataset import hold_out
from handconv.datasets.readers import write_idx
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


def test_a_data_set_is_shown_at_a_glance() -> None:
    digits = load("digits")
    assert repr(digits) == (
        "<data set: digits, from embedded; images: 1,437 to train on, 360 to test on; "
        "form: 28x28 pixels, grey, light on dark; classes: 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9>"
    )


def test_in_a_notebook_it_is_a_table_in_which_names_do_no_harm() -> None:
    html = replace(load("digits"), class_names=("<b>", "&"))._repr_html_()
    assert html.startswith('<table><tr><th style="text-align: left">data set</th>')
    assert '<td style="text-align: left">digits, from embedded</td>' in html
    assert '<td style="text-align: left">2: &lt;b&gt;, &amp;</td>' in html


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


def write_csv(path: Path, images: list[list[int]], labels: list[object], header: str = "") -> Path:
    path.write_text(
        header + "".join(f"{label},{','.join(map(str, image))}\n" for image, label in zip(images, labels, strict=True))
    )
    return path


def test_the_classes_of_a_csv_file_are_those_that_are_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [[200, 0, 0, i] for i in range(10)], [5, 7] * 5)
    dataset = load(path)
    assert dataset.class_names == ("5", "7")
    assert dataset.y_train.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert dataset.y_test.tolist() == [0, 1]


@pytest.mark.parametrize("top", [1, 15, 16])
def test_few_shades_are_stretched_and_that_is_said(tmp_path: Path, top: int) -> None:
    dataset = load(write_csv(tmp_path / "a.csv", [[0, 0, 1, top]] * 4, [0, 1] * 2))
    assert dataset.x_train[0].ravel().tolist() == [0, 0, round(255 / top), 255]
    assert f"The pixels go from 0 to {top}; they are stretched to 0 to 255." in dataset.notices
    assert dataset.preparation.scale == top


def test_other_dark_images_stay_as_they_are_and_that_is_said(tmp_path: Path) -> None:
    dataset = load(write_csv(tmp_path / "a.csv", [[0, 0, 1, 40]] * 4, [0, 1] * 2))
    assert dataset.x_train[0].ravel().tolist() == [0, 0, 1, 40]
    assert "The images are dark: their brightest pixel is 40 of 255." in dataset.notices


def test_data_is_brought_to_the_form_of_other_data(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [[0, 8, 1, 16]] * 4, [0, 1] * 2)
    as_it_was = load(path, preparation=Preparation((2, 2)))
    assert as_it_was.x_train[0].ravel().tolist() == [0, 8, 1, 16]
    turned = load(path, preparation=Preparation((2, 2), scale=16, transpose=True))
    assert turned.x_train[0].ravel().tolist() == [0, 16, 128, 255]
    with pytest.raises(DataError, match="expected a number from 0 to 15"):
        load(path, preparation=Preparation((2, 2), scale=15))


def test_an_address_is_to_be_fetched_first() -> None:
    with pytest.raises(ValueError, match=r"got 'https://example\.org/set\.npz'.* Fetch it first, and name the file\."):
        load("https://example.org/set.npz")


def test_idx_files_that_go_beyond_the_scale_of_other_data_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "images-idx3-ubyte", np.full((4, 2, 2), 17, np.uint8))
    write_idx(tmp_path / "labels-idx1-ubyte", np.array([0, 1, 0, 1], np.uint8))
    with pytest.raises(DataError, match="pixels must go from 0 to 16, as those before, got 17"):
        load(tmp_path, preparation=Preparation((2, 2), scale=16))


def test_a_csv_file_without_labels_cannot_be_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("p0,p1,p2,p3\n" + "1,2,3,4\n" * 5)
    with pytest.raises(DataError, match=r"has no labels, only pixels.*handconv predict FILE\.csv --output"):
        load(path)


def test_one_class_is_loaded_and_that_is_said(tmp_path: Path) -> None:
    dataset = load(write_csv(tmp_path / "a.csv", [[0, 9, 1, 99]] * 4, [3] * 4))
    assert (dataset.class_names, len(dataset.y_test)) == (("3",), 1)
    assert "There is only one class, '3'." in dataset.notices


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            ("True", "true", "No"),
            ["The classes True, true differ in capitals alone. If they are one, write their names alike."],
        ),
        (("A", "a", "B"), []),
        (
            ("cat", "dog", "doG", "Dog"),
            ["The classes Dog, doG, dog differ in capitals alone. If they are one, write their names alike."],
        ),
    ],
)
def test_classes_whose_names_differ_in_capitals_alone_are_remarked_upon(
    labels: tuple[str, ...], said: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,p0,p1,p2,p3\n" + "".join(f"{label},0,9,1,99\n" * 5 for label in labels))
    dataset = load(path)
    assert len(dataset.class_names) == len(labels)
    assert [line for line in dataset.notices if "capitals" in line] == said


def test_whatever_is_said_is_reported_as_it_stands_in_the_notices(tmp_path: Path) -> None:
    reported: list[str] = []
    dataset = load(write_csv(tmp_path / "a.csv", [[0, 9, 1, 99]] * 4, [3] * 4), report=reported.append)
    assert tuple(reported) == dataset.notices
    assert reported[-1] == "One image in 5 of each class is held out to test on: 1 of them."


def test_what_takes_long_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_LARGE_FILE", 10)
    monkeypatch.setattr(loading, "_MANY_FILES", 2)
    path = write_csv(tmp_path / "a.csv", [[0, 9, 1, 99]] * 4, [3] * 4)
    for name in ("images/ant/1.png", "images/ant/2.png"):
        write_image(tmp_path / name, 200)
    for data in (path, tmp_path / "images"):
        reported: list[str] = []
        load(data, report=reported.append)
        assert reported[0] == f"Reading {data}, which is large …"


VALUES = {"label_column": "x", "size": (8, 8), "colour": True, "transpose": True}
FIT = {"digits": (), "csv": ("label_column", "transpose"), "idx": ("transpose",), "folder": ("size", "colour")}


@pytest.mark.parametrize(
    ("kind", "argument"), [(kind, name) for kind, fit in FIT.items() for name in VALUES if name not in fit]
)
def test_an_argument_for_another_kind_of_data_is_refused(tmp_path: Path, kind: str, argument: str) -> None:
    (tmp_path / "classes" / "7").mkdir(parents=True)
    write_idx(tmp_path / "images-idx3-ubyte", np.full((4, 2, 2), 17, np.uint8))
    write_idx(tmp_path / "labels-idx1-ubyte", np.array([0, 1, 0, 1], np.uint8))
    csv = write_csv(tmp_path / "a.csv", [[0, 9, 1, 99]] * 4, [3] * 4)
    path = {"csv": csv, "idx": tmp_path, "folder": tmp_path / "classes", "digits": "digits"}[kind]
    with pytest.raises(ValueError, match=rf"^{argument} \(--{argument.replace('_', '-')}\) is for .*Leave it out"):
        load(path, **{argument: VALUES[argument]})  # type: ignore[arg-type]


def test_the_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_csv(tmp_path / "a.csv", [[0, 9, 1, 99]] * 4, [3] * 4)
    assert len(load("~/a.csv").y_train) == 3


def test_the_tilde_is_the_home_folder_of_data_dir_too(
    tiny: KnownSet, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_idx_files(tmp_path / "data", tiny, arrays)
    assert load("tiny", data_dir="~/data").name == "tiny"
    monkeypatch.setenv("HANDCONV_DATA_DIR", "~/data")
    assert load("tiny", source="offline").source.startswith("folder")


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


def test_what_was_changed_is_said_once_for_both_parts(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads and writes image files")
    root = tmp_path / "set"
    for part, side in (("train", 20), ("test", 40)):
        for name in ("ant", "bee"):
            (root / part / name).mkdir(parents=True)
            image.new("RGB", (side, side), (250, 250, 0)).save(root / part / name / "1.png")
            (root / part / name / "1.txt").touch()
    assert load(root).notices == (
        f"2 files in {root / 'train'} are passed over: 2 .txt.",
        "Images of 20x20 to 40x40 pixels are scaled to 28x28 (another size: --size).",
        "4 of 4 images are coloured and become grey (--colour keeps colours).",
        f"2 files in {root / 'test'} are passed over: 2 .txt.",
    )


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
    with pytest.raises(DataError, match=r"needs two samples of a class; got 2 of 2 classes.*\(--label-column\)"):
        hold_out(np.array([0, 1]))


def test_the_public_names_are_there() -> None:
    assert datasets.NAMES == ("mnist", "fashion-mnist", "digits")
    assert catalog.MNIST.stand_in in datasets.NAMES
