"""Tables whose pixels stand in one column, or whose label is a column for each class."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handconv.datasets.readers.csv import read_table
from handconv.datasets.readers.samples import Samples
from handconv.datasets.readers.table_layout import plain_blocks
from handconv.errors import DataError

pytest.importorskip("pandas", reason="pandas is not installed")

IMAGES = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2) * 10
LABELS = [0, 2, 1, 2, 0, 1]
PIXELS = [" ".join(map(str, image.ravel())) for image in IMAGES]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def read(table: Path, *lines: str, label_column: str | None = None) -> Samples:
    table.write_text("\n".join(lines) + "\n")
    return read_table(table, label_column=label_column)


def one_hot(size: int = 3) -> list[str]:
    return [
        ",".join([*PIXELS[row].split(), *(str(int(label == place)) for place in range(size))])
        for row, label in enumerate(LABELS)
    ]


def labels_of(samples: Samples) -> NDArray[np.int64]:
    assert samples.labels is not None
    return np.array([int(name) for name in samples.class_names])[samples.labels]


FER = [
    "emotion,pixels,Usage",
    *(f"{label},{pixels},Training" for label, pixels in zip(LABELS, PIXELS, strict=True)),
]


def test_pixels_in_one_column_are_an_image(table: Path) -> None:
    np.testing.assert_array_equal(read(table, *FER).images, IMAGES)


def test_what_is_no_part_of_the_set_is_the_label(table: Path) -> None:
    np.testing.assert_array_equal(labels_of(read(table, *FER)), LABELS)


def test_where_pixels_and_labels_were_found_is_said(table: Path) -> None:
    notices = " ".join(read(table, *FER).notices)
    assert "'pixels', 4 in each row" in notices
    assert "'emotion'" in notices


@pytest.mark.parametrize("field", ["[0 10 20 30]", '"[0, 10, 20, 30]"', '"0,10,20,30"', "0  10 20 30 "])
def test_lists_may_have_commas_and_brackets(table: Path, field: str) -> None:
    samples = read(table, "label,image", f"5,{field}", f"6,{field}")
    np.testing.assert_array_equal(samples.images[0], IMAGES[0])


def test_without_a_header_the_label_comes_first(table: Path) -> None:
    samples = read(table, *(f"{label},{pixels}" for label, pixels in zip(LABELS, PIXELS, strict=True)))
    np.testing.assert_array_equal(labels_of(samples), LABELS)


def test_pixels_alone_are_images_without_labels(table: Path) -> None:
    assert read(table, "id,pixels", *(f"{100 + row},{pixels}" for row, pixels in enumerate(PIXELS))).labels is None


def test_a_row_with_too_few_pixels_is_named(table: Path) -> None:
    with pytest.raises(DataError, match="line 8: expected 4 pixels as before, got 3"):
        read(table, *FER, "1,10 20 30,Training")


def test_several_images_in_a_row_are_refused(table: Path) -> None:
    with pytest.raises(DataError, match="in 2 columns"):
        read(table, "label,left,right", "1,1 2 3 4,1 2 3 4")


def test_a_column_for_each_class_is_a_label(table: Path) -> None:
    samples = read(table, "p0,p1,p2,p3,label_0,label_1,label_2", *one_hot())
    np.testing.assert_array_equal(labels_of(samples), LABELS)
    np.testing.assert_array_equal(samples.images, IMAGES)


def test_the_classes_have_the_names_of_their_columns(table: Path) -> None:
    samples = read(table, "p0,p1,p2,p3,class_cat,class_dog,class_eel", *one_hot())
    assert samples.class_names == ("cat", "dog", "eel")


def test_the_last_columns_are_a_label_without_a_header_too(table: Path) -> None:
    samples = read(table, *one_hot() * 4)
    np.testing.assert_array_equal(labels_of(samples), LABELS * 4)


def test_few_rows_without_a_header_are_refused(table: Path) -> None:
    with pytest.raises(DataError, match="a square number of pixels"):
        read(table, *one_hot())


def test_two_classes_at_once_are_refused(table: Path) -> None:
    with pytest.raises(DataError, match="--label-column"):
        read(table, "p0,p1,p2,p3,label_0,label_1,label_2", *one_hot(), "1,2,3,4,1,0,1")


def test_a_later_row_of_two_classes_is_named(table: Path) -> None:
    with pytest.raises(DataError, match="line 302: expected a single 1 in the columns of the label, got '1, 0, 1'"):
        read(table, "p0,p1,p2,p3,label_0,label_1,label_2", *one_hot() * 50, "1,2,3,4,1,0,1")


def test_a_label_column_that_is_named_is_taken(table: Path) -> None:
    samples = read(table, "p0,p1,p2,p3,label_0", *(f"1,2,3,4,{row % 2}" for row in range(4)), label_column="label_0")
    np.testing.assert_array_equal(labels_of(samples), [0, 1, 0, 1])


@given(st.lists(st.lists(st.integers(0, 255), min_size=5, max_size=5), min_size=1, max_size=30))
def test_other_tables_stay_as_they_are(rows: list[list[int]]) -> None:
    block = "".join(",".join(map(str, row)) + "\n" for row in rows)
    assert list(plain_blocks([block], "a.csv", None, [])) == [block]


def test_a_row_without_the_column_of_the_pixels_is_named(table: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: there are fewer columns than before\. Mend this line"):
        read(table, "label,pixels", f"0,{PIXELS[0]}", "1")
