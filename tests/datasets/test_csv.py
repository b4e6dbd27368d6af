"""CSV files of images: every usual way of writing one is read; every mistake is named with its line."""

import contextlib
import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from handconv.datasets.readers import csv, load_csv
from handconv.errors import DataError, MissingExtraError
from table_cases import needs_pandas, one_file, packed_bytes, saved

tables = st.tuples(st.integers(1, 5), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.uint8, (shape[0], 1 + shape[1] ** 2))
)


def written(table: NDArray[np.uint8], end: str = "\n") -> bytes:
    return "".join(",".join(map(str, row)) + end for row in table.tolist()).encode()


@one_file
@pytest.mark.filterwarnings("ignore:The labels are taken from the first column")
@given(table=tables, header=st.booleans(), end=st.sampled_from(["\n", "\r\n"]), packed=st.booleans())
def test_what_is_written_is_read_back(
    tmp_path: Path, table: NDArray[np.uint8], header: bool, end: str, packed: bool
) -> None:
    names = ",".join(["label", *(f"pixel{i}" for i in range(table.shape[1] - 1))]) + end
    content = names.encode() * header + written(table, end)
    images, labels = load_csv(saved(tmp_path, gzip.compress(content) if packed else content))
    np.testing.assert_array_equal(images.reshape(len(table), -1), table[:, 1:])
    np.testing.assert_array_equal(labels, table[:, 0])


def test_images_are_square_uint8_with_one_channel_and_labels_are_int64(tmp_path: Path) -> None:
    images, labels = load_csv(saved(tmp_path, b"7" + b",9" * 784 + b"\n"))
    assert (images.shape, images.dtype, labels.dtype) == ((1, 1, 28, 28), np.uint8, np.int64)


@pytest.mark.parametrize(
    "content",
    [
        b"3,0,1,2,255",
        b"3,0,1,2,255\n",
        b"3,0,1,2,255\r\n",
        b"\n\n3,0,1,2,255\n\n \n",
        b"\xef\xbb\xbf3,0,1,2,255\n",
        b"\xef\xbb\xbflabel,1x1,1x2,2x1,2x2\n3,0,1,2,255\n",
        b"label,0,1,2,3\n3,0,1,2,255\n",
        b'"label","0","1","2","3"\n3,0,1,2,255\n',
        pytest.param(b'"3","0","1","2","255"\n', marks=needs_pandas),
        b" 3, 0, 1 ,2,255 \n",
        b"3,000,001,2,255\n",
    ],
)
def test_every_usual_way_of_writing_a_line_is_read(tmp_path: Path, content: bytes) -> None:
    images, labels = load_csv(saved(tmp_path, content))
    assert (images.tolist(), labels.tolist()) == ([[[[0, 1], [2, 255]]]], [3])


@pytest.mark.parametrize(
    ("label_column", "label", "pixels"), [(0, 1, [2, 3, 4, 5]), (-1, 5, [1, 2, 3, 4]), (1, 2, [1, 3, 4, 5])]
)
def test_the_label_may_stand_in_any_column(tmp_path: Path, label_column: int, label: int, pixels: list[int]) -> None:
    images, labels = load_csv(saved(tmp_path, b"1,2,3,4,5\n"), label_column=label_column)
    assert (labels.tolist(), images.ravel().tolist()) == ([label], pixels)


def test_a_label_column_that_is_not_there_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of the 5 columns"):
        load_csv(saved(tmp_path, b"1,2,3,4,5\n"), label_column=5)


@needs_pandas
@pytest.mark.parametrize("value", [b"256", b"-1", b"x", b"", b"nan", b"inf", b"0x10", b"9" * 5000, b"1 2", b"1_0"])
def test_a_value_that_is_no_number_from_0_to_255_is_named_with_its_line_and_column(
    tmp_path: Path, value: bytes
) -> None:
    path = saved(tmp_path, b"label,a,b,c,d\r\n1,2,3,4,5\r\n\r\n1,2," + value + b",4,5\r\n")
    with pytest.raises(DataError, match="line 4, column 3: expected a number from 0 to 255") as caught:
        load_csv(path)
    assert len(str(caught.value)) < 300


@needs_pandas
@pytest.mark.parametrize(
    ("line", "received"), [(b"1,2,3,4", 4), (b"1,2,3,4,5,6", 6), (b"1,2,3,4,5,6,7", 7), (b"1;2;3", 1)]
)
def test_a_line_with_another_number_of_columns_is_named(tmp_path: Path, line: bytes, received: int) -> None:
    with pytest.raises(DataError, match=f"line 3: expected 5 columns as before, got {received}"):
        load_csv(saved(tmp_path, b"1,2,3,4,5\n1,2,3,4,5\n" + line + b"\n1,2,3,4,5\n"))


@needs_pandas
def test_the_line_is_right_in_a_later_block_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 64)
    with pytest.raises(DataError, match="line 102, column 2"):
        load_csv(saved(tmp_path, b"label,a\n" + b"1,2\n" * 100 + b"1,x\n"))


def test_blocks_are_joined_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 7)
    table = np.arange(250, dtype=np.uint8).reshape(50, 5)
    images, _ = load_csv(saved(tmp_path, b"\xef\xbb\xbf\r\n" + written(table, "\r\n")))
    np.testing.assert_array_equal(images.reshape(50, 4), table[:, 1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no images"),
        (b"\n\n\n", "no images"),
        (b"label,1x1,1x2,2x1,2x2\n", "no images"),
        (b"5\n", "has 1 column,"),
        (b"1,2,3\n", "square number of pixels.*has 3 columns"),
        (b"<!DOCTYPE html>\n<html>403</html>", "DOCTYPE"),
        (b"\0" * 5_000_000, "no table in plain text"),
        (packed_bytes(b"1,2,3,4,5\n")[:-3], "damaged or cut-off gzip"),
    ],
)
def test_a_file_that_holds_no_images_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        load_csv(path)
    assert str(path) in str(caught.value)


def test_a_line_without_an_end_costs_little_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, gzip.compress(b"1," * 50_000_000, 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="longer than"):
        load_csv(path)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_a_file_with_more_values_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "MAX_DECOMPRESSED", 100)
    with pytest.raises(DataError, match="more than 100 values"):
        load_csv(saved(tmp_path, gzip.compress(b"1,2,3,4,5\n" * 26)))


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_csv(tmp_path / "missing.csv")


@needs_pandas
@pytest.mark.filterwarnings("ignore::UserWarning")  # what is taken for granted is said
@one_file
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7), packed=st.booleans())
def test_a_flipped_bit_is_a_data_error_or_other_pixels(tmp_path: Path, position: int, bit: int, packed: bool) -> None:
    content = b"label,a,b,c,d\n1,20,255,0,7\n2,0,0,0,0\n"
    damaged = bytearray(gzip.compress(content) if packed else content)
    damaged[position % len(damaged)] ^= 1 << bit
    with contextlib.suppress(DataError):
        assert load_csv(saved(tmp_path, bytes(damaged)))[0].dtype == np.uint8


@needs_pandas
@pytest.mark.filterwarnings("ignore::UserWarning")  # what is taken for granted is said
@one_file
@given(content=st.text('0123456789,,,\n\n\r" .-+exlabel\0é', max_size=60))
def test_any_text_is_images_or_a_data_error(tmp_path: Path, content: str) -> None:
    try:
        images, labels = load_csv(saved(tmp_path, content.encode()))
        assert len(images) == len(labels) > 0
    except DataError:
        pass


@needs_pandas
@pytest.mark.filterwarnings("ignore::UserWarning")  # what is taken for granted is said
@one_file
@given(content=st.binary(max_size=200))
def test_any_bytes_are_images_or_a_data_error(tmp_path: Path, content: bytes) -> None:
    with contextlib.suppress(DataError, MissingExtraError):  # the second for a workbook
        assert load_csv(saved(tmp_path, content))[0].dtype == np.uint8
