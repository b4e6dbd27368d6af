"""A folder of images, one subfolder a class, becomes a data set."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from handconv.datasets.digits import load_digits_arrays
from handconv.datasets.readers import load_image_folder
from handconv.datasets.readers.image_folder import find_parts, read_image_folders
from handconv.datasets.readers.samples import Samples
from handconv.errors import DataError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
else:
    Image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow, which is not installed")
    ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="image files are read by Pillow, which is not installed")


def read_image_folder(path: Path, size: tuple[int, int] = (28, 28), *, colour: bool = False) -> Samples:
    """Read a set of one part."""
    (samples,) = read_image_folders((path,), size, colour=colour)
    return samples


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


def test_hidden_files_are_passed_over_in_silence(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / "readme.txt").write_text("two animals")
    (folder / "ant" / "._0.png").write_bytes(b"\0")
    assert len(load_image_folder(folder)[0]) == 5


def test_a_folder_without_subfolders_is_a_data_error(sevens: Path) -> None:
    with pytest.raises(DataError, match="no subfolders"):
        load_image_folder(sevens / "7")


@pytest.mark.parametrize(
    "extra", ["__MACOSX/cat/._0.png", "__MACOSX/cat/0.png", ".ipynb_checkpoints/0.png", "@eaDir/x.txt", ".git/config"]
)
@pytest.mark.parametrize("place", [".", "cat", "cat/more"])
def test_what_systems_put_between_the_files_is_passed_over_in_silence(folder: Path, place: str, extra: str) -> None:
    path = folder / place / extra
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    samples = read_image_folder(folder)
    assert (samples.class_names, len(samples.images)) == (("ant", "cat"), 5)
    assert not any("passed over" in notice or "no classes" in notice for notice in samples.notices)


def test_files_that_are_no_images_are_counted_by_their_endings(folder: Path) -> None:
    for name in ("ant/a.heic", "ant/b.HEIC", "cat/notes.txt", "cat/README"):
        (folder / name).write_bytes(b"x")
    line = f"4 files in {folder} are passed over: 2 .heic, 1 .txt, 1 without an ending."
    assert line in read_image_folder(folder).notices
    with pytest.warns(UserWarning, match="4 files in .* are passed over: 2 .heic"):
        load_image_folder(folder)


def test_images_beside_the_classes_are_counted(folder: Path) -> None:
    for name in ("0.png", "1.jpg", ".2.png"):
        Image.new("L", (28, 28)).save(folder / name)
    (folder / "readme.txt").touch()
    samples = read_image_folder(folder)
    assert len(samples.images) == 5
    assert "Images beside the folders of the classes are passed over: 2 of them." in samples.notices


def test_a_link_to_a_folder_above_is_not_followed(folder: Path) -> None:
    (folder / "ant" / "all").symlink_to(folder, target_is_directory=True)
    (folder / "ant" / "itself").symlink_to(folder / "ant", target_is_directory=True)
    assert len(read_image_folder(folder).images) == 5


def test_a_class_without_images_is_no_class_and_that_is_said(folder: Path) -> None:
    (folder / "bee").mkdir()
    samples = read_image_folder(folder)
    assert samples.class_names == ("ant", "cat")
    assert "Folders without images are no classes: bee." in samples.notices


def test_classes_without_any_image_are_a_data_error(sevens: Path) -> None:
    (sevens / "7" / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"none that can be read. 1 file in .* is passed over: 1 \.heic"):
        load_image_folder(sevens)


def test_a_broken_image_is_passed_over_and_named(folder: Path) -> None:
    (folder / "ant" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    samples = read_image_folder(folder)
    assert len(samples.images) == 5
    (line,) = [notice for notice in samples.notices if "passed over" in notice]
    assert "1 damaged or of no kind that is read (the first: " in line
    assert "broken.png" in line


def test_a_link_to_nowhere_is_passed_over_and_named(folder: Path) -> None:
    (folder / "cat" / "dead.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match=r"1 file .* passed over.*dead\.png"):
        assert len(load_image_folder(folder)[0]) == 5


@pytest.mark.parametrize("name", ["a.jfif", "a.JFIF", "a.tif", "a.TIFF", "a.webp", "a.bmp", "a.gif", "b/c/a.png"])
def test_every_usual_kind_of_image_is_read_at_any_depth(sevens: Path, name: str) -> None:
    path = sevens / "7" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jfif": "JPEG"}.get(path.suffix.lower())
    Image.new("L", (28, 28), 77).save(path, format=kind)
    samples = read_image_folder(sevens)
    assert samples.images.reshape(-1).tolist() == [77] * 784
    assert samples.notices == ()


class TestForm:
    """One size, one or three channels, proportions kept; what is changed is said."""

    def test_proportions_are_kept_and_the_ground_is_continued(self, sevens: Path) -> None:
        picture = np.full((20, 40), 200, np.uint8)
        picture[5:15, 10:30] = 0
        Image.fromarray(picture).save(sevens / "7" / "a.png")
        samples = read_image_folder(sevens, (40, 40))
        np.testing.assert_array_equal(samples.images[0, 0], np.pad(picture, ((10, 10), (0, 0)), constant_values=200))
        line = "Images of 20x40 pixels are scaled to 40x40; where the proportions are others, the ground is continued"
        assert samples.notices == (f"{line} (another size: --size).",)

    def test_stretching_does_not_keep_them(self, sevens: Path) -> None:
        picture = np.zeros((20, 40), np.uint8)
        picture[:, 20:] = 255
        Image.fromarray(picture).save(sevens / "7" / "a.png")
        images, _, _ = load_image_folder(sevens, (20, 20), fit="stretch")
        assert images[0, 0, 3].tolist() == [0] * 9 + images[0, 0, 3, 9:11].tolist() + [255] * 9

    def test_a_fit_of_another_name_is_a_value_error(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="fit must be pad or stretch, got 'crop'"):
            load_image_folder(folder, fit="crop")

    def test_colours_are_kept_if_that_is_wanted(self, sevens: Path) -> None:
        Image.new("RGB", (28, 28), (250, 100, 10)).save(sevens / "7" / "a.png")
        samples = read_image_folder(sevens, colour=True)
        assert samples.images.shape == (1, 3, 28, 28)
        assert samples.images[0, :, 5, 5].tolist() == [250, 100, 10]
        assert samples.notices == ()

    def test_colours_become_grey_if_not_and_that_is_said(self, sevens: Path) -> None:
        Image.new("RGB", (28, 28), (250, 100, 10)).save(sevens / "7" / "a.png")
        Image.new("RGB", (28, 28), (90, 90, 90)).save(sevens / "7" / "b.png")
        samples = read_image_folder(sevens)
        assert samples.images[:, 0, 5, 5].tolist() == [135, 90]
        assert samples.notices == ("1 of 2 images are coloured and become grey (--colour keeps colours).",)

    def test_grey_images_have_three_equal_channels_among_coloured_ones(self, sevens: Path) -> None:
        Image.new("L", (28, 28), 90).save(sevens / "7" / "a.png")
        assert read_image_folder(sevens, colour=True).images[0, :, 3, 3].tolist() == [90, 90, 90]


class TestParts:
    """Training and test images are found by the names of their folders."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "root"

    @staticmethod
    def fill(root: Path, *parts: str) -> None:
        for part in parts:
            for name in ("ant", "bee"):
                (root / part / name).mkdir(parents=True)
                Image.new("L", (28, 28)).save(root / part / name / "1.png")

    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("train", "test"),
            ("training", "testing"),
            ("Train", "Test"),
            ("TRAIN", "TEST"),
            ("train", "val"),
            ("train", "valid"),
            ("train", "validation"),
            ("training", "test"),
        ],
    )
    def test_usual_names_are_found(self, root: Path, train: str, test: str) -> None:
        self.fill(root, train, test)
        found, other, notices = find_parts(root)
        assert (found, other) == (root / train, root / test)
        assert len(notices) == test.startswith("val")

    @pytest.mark.parametrize(
        ("train", "test"),
        [("training_set", "test_set"), ("train_images", "test_images"), ("trainset", "dev"), ("Train-1", "test1")],
    )
    def test_names_that_say_more_are_parts_too(self, root: Path, train: str, test: str) -> None:
        self.fill(root, train, test)
        assert find_parts(root)[:2] == (root / train, root / test)

    def test_a_part_within_a_folder_of_its_name_is_found(self, root: Path) -> None:
        self.fill(root, "seg_train/seg_train", "seg_test/seg_test", "seg_pred/seg_pred")
        train, test, notices = find_parts(root)
        assert (train, test) == (root / "seg_train" / "seg_train", root / "seg_test" / "seg_test")
        assert notices == ["Used neither to train on nor to test on: seg_pred/."]

    @pytest.mark.parametrize("parts", [("train", "test1"), ("train", "val", "test")])
    def test_parts_whose_images_are_not_in_classes_are_a_data_error(self, root: Path, parts: tuple[str, ...]) -> None:
        for part in parts:
            (root / part).mkdir(parents=True)
            Image.new("L", (9, 9)).save(root / part / "cat.0.png")
        with pytest.raises(DataError, match="Each part of a data set has one subfolder a class"):
            find_parts(root)

    def test_folders_without_images_do_not_hide_the_set(self, root: Path) -> None:
        self.fill(root, "images")
        (root / "annotations").mkdir()
        (root / "annotations" / "0.txt").touch()
        assert find_parts(root)[0] == root / "images"

    def test_a_third_part_is_left_out_and_that_is_said(self, root: Path) -> None:
        self.fill(root, "train", "valid", "test")
        assert find_parts(root) == (
            root / "train",
            root / "test",
            ["Used neither to train on nor to test on: valid/."],
        )

    def test_parts_to_test_on_alone_are_a_data_error(self, root: Path) -> None:
        self.fill(root, "val", "test")
        with pytest.raises(DataError, match=r"images to train on, in a folder train/ say; .* has test/, val/ alone"):
            find_parts(root)

    def test_a_training_part_alone_is_the_whole_set(self, root: Path) -> None:
        self.fill(root, "train")
        assert find_parts(root) == (root / "train", None, [])

    def test_a_folder_around_the_set_is_entered_and_that_is_said(self, root: Path) -> None:
        self.fill(root, "mnist_png/training", "mnist_png/testing")
        (root / "__MACOSX").mkdir()
        train, test, notices = find_parts(root)
        assert (train, test) == (root / "mnist_png" / "training", root / "mnist_png" / "testing")
        assert notices == [f"The data set is taken from {root / 'mnist_png'}, the only folder with images there."]

    def test_a_folder_around_the_classes_is_entered_too(self, root: Path) -> None:
        self.fill(root, "images")
        assert find_parts(root)[:2] == (root / "images", None)

    def test_classes_may_have_the_names_of_parts(self, root: Path) -> None:
        for name in ("car", "train"):
            (root / name).mkdir(parents=True)
            Image.new("L", (28, 28)).save(root / name / "1.png")
        assert find_parts(root) == (root, None, [])

    def test_one_class_alone_is_no_folder_around_a_set(self, sevens: Path) -> None:
        Image.new("L", (28, 28)).save(sevens / "7" / "1.png")
        assert find_parts(sevens) == (sevens, None, [])

    def test_one_class_with_nested_images_is_no_folder_around_a_set(self, sevens: Path) -> None:
        Image.new("L", (28, 28)).save(sevens / "7" / "1.png")
        (sevens / "7" / "more").mkdir()
        Image.new("L", (28, 28)).save(sevens / "7" / "more" / "1.png")
        assert find_parts(sevens) == (sevens, None, [])


def test_a_file_instead_of_a_folder_is_an_os_error(folder: Path) -> None:
    with pytest.raises(NotADirectoryError):
        load_image_folder(folder / "cat" / "0.png")


def test_a_size_below_one_is_a_value_error(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"at least 1, got \(0, 28\)"):
        load_image_folder(folder, size=(0, 28))


def test_a_folder_of_images_alone_is_no_set_and_what_to_do_is_said(folder: Path) -> None:
    with pytest.raises(
        DataError, match=rf"has no subfolders\. Name the folder around it.*handconv predict {folder}/cat"
    ):
        load_image_folder(folder / "cat")


def test_what_cannot_be_opened_is_named_in_words(folder: Path) -> None:
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere.png")
    samples = read_image_folder(folder)
    assert any(f"(the first: {folder}/cat/gone.png: No such file or directory)." in line for line in samples.notices)


def test_classes_named_by_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "cat", "0"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("L", (28, 28), 9).save(tmp_path / "set" / name / "a.png")
    assert load_image_folder(tmp_path / "set")[2] == ("0", "9", "10", "cat")


def test_that_only_the_first_of_several_pages_is_read_is_said(sevens: Path) -> None:
    pages = [Image.new("L", (28, 28), grey) for grey in (10, 200)]
    pages[0].save(sevens / "7" / "0.tif", save_all=True, append_images=pages[1:])
    pages[0].save(sevens / "7" / "1.png")
    samples = read_image_folder(sevens)
    assert samples.images.max() == 10
    assert samples.notices == ("1 of 2 images have several pages or pictures; the first one of each is read.",)


def test_parts_within_the_classes_are_told_to_be_none(tmp_path: Path) -> None:
    for name in ("cat/train", "cat/test", "dog/train", "dog/test"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("L", (28, 28)).save(tmp_path / name / "0.png")
    root, test, notices = find_parts(tmp_path)
    assert (root, test) == (tmp_path, None)
    (notice,) = notices
    assert notice.startswith("Within the classes, test/, train/ are no parts of the set, their images are taken togeth")


def test_lists_of_the_parts_are_told_not_to_be_looked_at(folder: Path) -> None:
    for name in ("train.txt", "test_list.csv", "README.md", "notes.txt"):
        (folder / name).write_text("cat/0.png\n")
    assert find_parts(folder)[2] == [
        "test_list.csv, train.txt are not looked at: the parts of a set are folders, train/ and test/."
    ]
