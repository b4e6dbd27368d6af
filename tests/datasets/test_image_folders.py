"""A folder of images, one subfolder a class, becomes a data set."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from handconv.datasets.digits import load_digits_arrays
from handconv.datasets.readers import load_image_folder
from handconv.errors import DataError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
else:
    Image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow, which is not installed")
    ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="image files are read by Pillow, which is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of two classes: three black images in "cat", two white ones in "ant"."""
    names = {"cat/0.png": 0, "cat/1.jpg": 0, "cat/2.PNG": 0, "ant/a.jpeg": 255, "ant/b.png": 255}
    for name, grey in names.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (grey,) * 3).save(path)
    return tmp_path / "set"


@pytest.fixture
def sevens(tmp_path: Path) -> Path:
    """A data set of one class that has no images yet."""
    (tmp_path / "set" / "7").mkdir(parents=True)
    return tmp_path / "set"


def test_subfolders_in_the_order_of_their_names_are_the_classes(folder: Path) -> None:
    images, labels, names = load_image_folder(folder)
    assert names == ("ant", "cat")
    assert labels.tolist() == [0, 0, 1, 1, 1]
    assert images[:, 0, 14, 14].tolist() == [255, 255, 0, 0, 0]


def test_images_of_a_folder_are_grey_uint8_of_one_size(folder: Path) -> None:
    images, labels, _ = load_image_folder(folder, size=(20, 24))
    assert (images.shape, images.dtype, labels.dtype) == ((5, 1, 20, 24), np.uint8, np.int64)


def test_images_of_the_right_size_are_not_changed(sevens: Path) -> None:
    digit = load_digits_arrays()[2][0]
    Image.fromarray(digit[0]).save(sevens / "7" / "a.png")
    np.testing.assert_array_equal(load_image_folder(sevens)[0], digit[None])


def test_16_bit_images_keep_their_brightness(sevens: Path) -> None:
    Image.fromarray(np.full((28, 28), 128 * 257, dtype=np.uint16)).save(sevens / "7" / "a.png")
    assert load_image_folder(sevens)[0].max() == 128


def test_hidden_files_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / "readme.txt").write_text("two animals")
    (folder / "ant" / "Thumbs.db").write_bytes(b"\0")
    (folder / "ant" / "._0.png").write_bytes(b"\0")
    assert len(load_image_folder(folder)[0]) == 5


def test_a_folder_without_subfolders_is_a_data_error(sevens: Path) -> None:
    with pytest.raises(DataError, match="no subfolders"):
        load_image_folder(sevens / "7")


def test_a_class_without_images_is_a_data_error(folder: Path) -> None:
    (folder / "bee").mkdir()
    with pytest.raises(DataError, match="bee has none"):
        load_image_folder(folder)


def test_a_broken_image_in_a_folder_is_named(folder: Path) -> None:
    (folder / "ant" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"broken\.png"):
        load_image_folder(folder)


def test_a_file_instead_of_a_folder_is_an_os_error(folder: Path) -> None:
    with pytest.raises(NotADirectoryError):
        load_image_folder(folder / "cat" / "0.png")


def test_a_size_below_one_is_a_value_error(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"at least 1, got \(0, 28\)"):
        load_image_folder(folder, size=(0, 28))
