"""Tables as programs write them: header, labels and pixels are found, and what is told of them is true."""

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handconv.datasets.readers import csv, load_csv
from handconv.datasets.readers.csv import read_table
from handconv.datasets.readers.samples import Samples
from handconv.errors import DataError, MissingExtraError
from table_cases import TABLE, needs_pandas, one_file, packed_bytes, rows, saved, zipped


@needs_pandas
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(rows(number="{}.0").encode(), id="floats"),
        pytest.param(rows(number="{:.18e}", labels=[f"{i % 3:.18e}" for i in range(6)]).encode(), id="savetxt"),
        pytest.param(rows(delimiter=";").encode(), id="semicolons"),
        pytest.param(rows(delimiter=";", number="{},0").encode(), id="decimal commas"),
        pytest.param(rows(delimiter="\t").encode(), id="tabs"),
        pytest.param(rows(delimiter=" ").encode(), id="blanks"),
        pytest.param(rows().encode("utf-16"), id="UTF-16"),
        pytest.param(rows(delimiter="\t").encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(rows().encode("utf-8-sig"), id="byte order mark"),
        pytest.param(rows().replace("\n", "\r").encode(), id="old Mac line ends"),
        pytest.param(("# my digits\n\n" + rows()).encode(), id="a comment first"),
        pytest.param(("sep=;\n" + rows(delimiter=";")).encode(), id="Excel's sep"),
        pytest.param(rows().replace("\n", " \n").encode(), id="blank at the end"),
        pytest.param(rows().replace("\n", ",\n").encode(), id="comma at the end"),
        pytest.param(("label," + ",".join(map(str, range(16))) + ",\n" + rows()).encode(), id="comma after the header"),
        pytest.param(rows().replace(",", '","').replace("\n", '"\n"').join('""')[:-2].encode(), id="quotes"),
        pytest.param(zipped(rows().encode()), id="zip"),
        pytest.param(zipped(rows().encode(), "__MACOSX/._train.csv", ".DS_Store"), id="zip of a Mac"),
        pytest.param(zipped(rows(delimiter=";").encode("utf-16")), id="zip of UTF-16"),
        pytest.param(packed_bytes(rows(number="{}.0").encode()), id="gzip of floats"),
    ],
)
def test_every_usual_way_of_writing_a_table_is_read(tmp_path: Path, content: bytes) -> None:
    samples = read_table(saved(tmp_path, content))
    assert samples.labels is not None
    assert (samples.class_names, samples.labels.tolist()) == (("0", "1", "2"), [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(samples.images.reshape(6, 16), TABLE[:, 1:])
    assert samples.notices == ()


class TestHeader:
    """A header is told from a row."""

    @pytest.mark.parametrize("side", [4, 14, 28])
    @pytest.mark.parametrize("first", [0, 1])
    def test_the_numbers_that_pandas_writes_are_a_header(self, tmp_path: Path, side: int, first: int) -> None:
        table = np.column_stack([np.arange(6) % 3, np.full((6, side * side), 7)])
        header = ",".join(map(str, range(first, side * side + 1 + first))) + "\n"
        samples = read_table(saved(tmp_path, (header + rows(table)).encode()))
        assert len(samples.images) == 6
        assert [notice.endswith("is taken for a header.") for notice in samples.notices] == [True]

    def test_names_that_pandas_told_apart_are_a_header(self, tmp_path: Path) -> None:
        header = ",".join(["0", *(f"0.{copy}" for copy in range(1, 10)), "7", "7.1", *map(str, range(100, 105))]) + "\n"
        samples = read_table(saved(tmp_path, (header + rows()).encode()))
        assert len(samples.images) == 6
        assert samples.notices == ("The first line, 0, 0.1, 0.2, 0.3, …, is taken for a header.",)

    @needs_pandas
    @pytest.mark.parametrize("place", [0, -1])
    def test_a_first_image_of_the_letter_y_is_no_header(self, tmp_path: Path, place: int) -> None:
        lines = [line.split(",") for line in rows(labels=list("YZYZYZ")).splitlines()]
        text = "".join(",".join([*line[1:], line[0]] if place else line) + "\n" for line in lines)
        samples = read_table(saved(tmp_path, text.encode()), label_column=place)
        assert (samples.class_names, len(samples.images)) == (("Y", "Z"), 6)

    def test_y_among_numbers_in_a_row_is_a_name(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"0,1,2,3,y\n9,8,7,6,5\n"))
        assert (samples.class_names, samples.images.ravel().tolist()) == (("5",), [9, 8, 7, 6])

    @needs_pandas
    def test_fractions_are_no_such_names(self, tmp_path: Path) -> None:
        first = ",".join(["0", *(f"0.{copy}" for copy in (1, 2, 2, 3)), *["0.5"] * 12]) + "\n"
        samples = read_table(saved(tmp_path, (first + rows(number="{}.0")).encode()))
        assert len(samples.images) == 7

    def test_few_numbers_in_a_row_are_an_image(self, tmp_path: Path) -> None:
        assert load_csv(saved(tmp_path, b"0,1,2,3,4\n1,2,3,4,5\n"))[1].tolist() == [0, 1]

    @needs_pandas
    def test_a_first_image_without_a_label_is_no_header(self, tmp_path: Path) -> None:
        path = saved(tmp_path, rows(labels=["nan", 1, 2, 0, 1, 2]).encode())
        with pytest.raises(DataError, match="line 1, column 1: this image has no label"):
            load_csv(path)

    @needs_pandas
    @pytest.mark.parametrize("label", ["", "nan", "NaN", "null", "None"])
    def test_an_image_without_a_label_is_named(self, tmp_path: Path, label: str) -> None:
        path = saved(tmp_path, rows(labels=["a", "b", label, "a", "b", "a"]).encode())
        with pytest.raises(DataError, match="line 3, column 1: this image has no label"):
            load_csv(path)

    @needs_pandas
    def test_a_first_image_with_a_letter_for_a_label_is_no_header(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, rows(labels=["O", 1, 2, 0, 1, 2]).encode()))
        assert samples.class_names == ("0", "1", "2", "O")
        assert samples.labels is not None
        assert samples.labels.tolist() == [3, 1, 2, 0, 1, 2]
        assert samples.notices == ("The labels are numbers and texts, 4 classes: 0, 1, 2, O.",)


class TestLabels:
    """The column of the labels is found by its name; classes are those that are there."""

    @pytest.mark.parametrize("name", ["label", "Class", "TARGET", "y", "digit"])
    @pytest.mark.parametrize("place", [0, 2, 4])
    def test_its_name_tells_the_column(self, tmp_path: Path, name: str, place: int) -> None:
        header, values = ["a", "b", "c", "d"], ["1", "2", "3", "4"]
        header.insert(place, name)
        values.insert(place, "9")
        samples = read_table(saved(tmp_path, f"{','.join(header)}\n{','.join(values)}\n".encode()))
        assert (samples.class_names, samples.images.ravel().tolist()) == (("9",), [1, 2, 3, 4])
        assert samples.notices == (() if place == 0 else (f"The labels are taken from the column {name!r}.",))

    @pytest.mark.parametrize("column", ["kind", "KIND", "last", "-1", "4", 4, -1])
    def test_the_user_names_the_column(self, tmp_path: Path, column: int | str) -> None:
        samples = read_table(saved(tmp_path, b"a,b,c,d,kind\n1,2,3,4,9\n"), label_column=column)
        assert (samples.class_names, samples.images.ravel().tolist()) == (("9",), [1, 2, 3, 4])

    @pytest.mark.parametrize("column", ["colour", "5", -6])
    def test_a_column_that_is_not_there_is_a_value_error(self, tmp_path: Path, column: int | str) -> None:
        with pytest.raises(ValueError, match="named a, b, c, d, kind, or from 0 to 4, or -1 for the last; got"):
            load_csv(saved(tmp_path, b"a,b,c,d,kind\n1,2,3,4,9\n"), label_column=column)

    def test_two_columns_that_could_be_it_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"2 columns that could be the label, label, class\. Name one"):
            load_csv(saved(tmp_path, b"label,class,a,b,c,d\n1,2,3,4,9,9\n"))

    def test_without_a_name_the_first_is_taken_and_that_is_said(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"kind,a,b,c,d\n9,1,2,3,4\n"))
        assert samples.class_names == ("9",)
        assert "the labels are taken from the column 'kind'" in samples.notices[0]

    @pytest.mark.parametrize("name", ["", "id", "ImageId", "Unnamed: 0"])
    def test_a_column_that_numbers_the_rows_is_left_out(self, tmp_path: Path, name: str) -> None:
        samples = read_table(saved(tmp_path, f"{name},label,a,b,c,d\n0,9,1,2,3,4\n1,8,1,2,3,4\n".encode()))
        assert (samples.class_names, samples.images[0].ravel().tolist()) == (("8", "9"), [1, 2, 3, 4])
        assert f"The first column, {name!r}, numbers the rows; it is left out." in samples.notices

    @needs_pandas
    @pytest.mark.parametrize(
        ("labels", "names"),
        [
            (["A", "B", "C"] * 2, ("A", "B", "C")),
            ([" ant ", "bee", "ant"] * 2, ("ant", "bee")),
            (["Käse", "käse"] * 3, ("Käse", "käse")),
            ([300, 1, 2] * 2, ("1", "2", "300")),
            ([5, 7] * 3, ("5", "7")),
            ([10, 9, 1] * 2, ("1", "9", "10")),
            (["07", "7.0", "8"] * 2, ("7", "8")),
            ([-1, 1] * 3, ("-1", "1")),
            ([3] * 6, ("3",)),
            (["NA", "GB"] * 3, ("GB", "NA")),
            (["1_0", "inf"] * 3, ("1_0", "inf")),
            (["0.5", "7"] * 3, ("7", "0.5")),
        ],
    )
    def test_the_classes_are_those_that_are_there(
        self, tmp_path: Path, labels: list[object], names: tuple[str, ...]
    ) -> None:
        samples = read_table(saved(tmp_path, rows(labels=labels).encode()))
        assert samples.class_names == names
        assert samples.labels is not None
        assert set(samples.labels.tolist()) == set(range(len(names)))

    def test_numbers_stay_as_they_are_written(self, tmp_path: Path) -> None:
        assert load_csv(saved(tmp_path, rows(labels=[5, 7, 5, 7, 5, 7]).encode()))[1].tolist() == [5, 7] * 3

    @pytest.mark.parametrize("header", ["a,b,c,d\n", ""])
    def test_a_table_without_labels_has_none(self, tmp_path: Path, header: str) -> None:
        path = saved(tmp_path, (header + "1,2,3,4\n5,6,7,8\n").encode())
        samples = read_table(path)
        assert (samples.labels, samples.class_names, samples.images.shape) == (None, (), (2, 1, 2, 2))
        with pytest.raises(DataError, match=r"has no labels, only pixels.*handconv predict"):
            load_csv(path)


class TestPixels:
    """Pixels in other ranges are stretched, and that is said."""

    @needs_pandas
    def test_fractions_from_0_to_1(self, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="from 0 to 1, are stretched to 0 to 255"):
            images, _ = load_csv(saved(tmp_path, b"1,0,0.2,0.5,1\n"))
        assert images.ravel().tolist() == [0, 51, 128, 255]

    @needs_pandas
    def test_fractions_up_to_255_are_rounded(self, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="fractions; they are rounded"):
            images, _ = load_csv(saved(tmp_path, b"1,0,0.2,99.6,255\n"))
        assert images.ravel().tolist() == [0, 0, 100, 255]

    @needs_pandas
    def test_fractions_may_begin_in_a_later_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv, "_BLOCK", 10)
        samples = read_table(saved(tmp_path, b"1,0,1,1,1\n" * 5 + b"1,0,0.2,0.4,1\n"))
        assert samples.images[[0, 5]].reshape(2, 4).tolist() == [[0, 255, 255, 255], [0, 51, 102, 255]]
        assert samples.scale == 1

    def test_a_scale_that_is_given_is_the_one_that_counts(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"1,0,4,8,12\n"), scale=16)
        assert samples.images.ravel().tolist() == [0, 64, 128, 191]
        assert samples.scale == 16

    @needs_pandas
    def test_fractions_go_to_1_whatever_those_of_the_model_went_to(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"1,0,0.2,0.5,1\n"), scale=255)
        assert samples.images.ravel().tolist() == [0, 51, 128, 255]
        assert samples.scale == 1
        assert "The pixels, from 0 to 1, are stretched to 0 to 255." in samples.notices

    def test_more_than_the_scale_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"line 2, column 3: expected a number from 0 to 16 .*, got '17'"):
            read_table(saved(tmp_path, b"1,0,4,8,12\n1,0,17,3,4\n"), scale=16)

    def test_three_values_a_pixel_are_colours(self, tmp_path: Path) -> None:
        pixels = np.arange(192) % 256
        samples = read_table(saved(tmp_path, f"label,{','.join('p' * 192)}\n1,{','.join(map(str, pixels))}\n".encode()))
        assert samples.images.shape == (1, 3, 8, 8)
        assert samples.images[0, :, 0, 1].tolist() == [3, 4, 5]


def test_text_that_is_not_utf_8_is_read_as_windows_writes_it(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    samples = read_table(saved(tmp_path, rows(labels=["süß", "salzig"] * 3).encode("cp1252")))
    assert samples.class_names == ("salzig", "süß")
    assert "is not written in UTF-8" in samples.notices[0]


@pytest.mark.parametrize("content", [rows(delimiter=";"), rows(number="{}.0"), rows(labels=list("ABCABC"))])
def test_without_pandas_other_forms_name_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"line 1 or later, is not in MNIST's plain form.*handconv\[cli\]"):
        load_csv(saved(tmp_path, content.encode()))


def test_the_plain_form_needs_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    images, labels = load_csv(saved(tmp_path, ("label," + ",".join(["pixel"] * 16) + "\n" + rows()).encode()))
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(images.reshape(6, 16), TABLE[:, 1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(b"1,2\n", "test.csv"), r"must hold one file, .* holds 2 \(train.csv, test.csv\). Unpack it"),
        (zipped(rows().encode())[:-30], "damaged or cut-off zip"),
        (b"PK\x03\x04 nothing of the kind", "damaged or cut-off zip"),
    ],
)
def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        load_csv(path)
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@one_file
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_zip_file_with_a_flipped_bit_is_a_data_error_or_other_pixels(tmp_path: Path, position: int, bit: int) -> None:
    damaged = bytearray(zipped(b"label,a,b,c,d\n1,20,255,0,7\n2,0,0,0,0\n"))
    damaged[position % len(damaged)] ^= 1 << bit
    with contextlib.suppress(DataError):
        assert load_csv(saved(tmp_path, bytes(damaged)))[0].dtype == np.uint8


class TestColumnsByTheirNames:
    """Pixels have names that differ by their numbers; what is called otherwise is the label, or is left out."""

    HEADER = ",".join(f"pixel{place}" for place in range(4))

    def read(self, folder: Path, text: str, column: int | str | None = None) -> Samples:
        return read_table(saved(folder, text.encode()), label_column=column)

    @pytest.mark.parametrize("name", ["labels", "category", "étiquette", "class_name"])
    def test_a_last_column_of_another_name_has_the_labels(self, tmp_path: Path, name: str) -> None:
        samples = self.read(tmp_path, f"{self.HEADER},{name}\n1,2,3,4,9\n1,2,3,4,8\n")
        assert samples.class_names == ("8", "9")
        assert samples.images[0].ravel().tolist() == [1, 2, 3, 4]
        assert f"the labels are taken from the column {name!r}" in samples.notices[0]

    def test_other_columns_are_left_out(self, tmp_path: Path) -> None:
        samples = self.read(tmp_path, f"file,label,{self.HEADER},usage\na.png,7,1,2,3,4,train\n")
        assert (samples.class_names, samples.images.ravel().tolist()) == (("7",), [1, 2, 3, 4])
        assert samples.notices[0] == "Columns that are neither label nor pixels are left out: 'file'."

    def test_a_column_that_the_user_names_has_the_labels_among_others(self, tmp_path: Path) -> None:
        samples = self.read(tmp_path, f"file,kind,{self.HEADER}\na.png,7,1,2,3,4\n", "kind")
        assert (samples.class_names, samples.images.ravel().tolist()) == (("7",), [1, 2, 3, 4])

    def test_two_columns_that_may_be_the_label_are_asked_about(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"2 columns beside the pixels, a, b, .*--label-column"):
            self.read(tmp_path, f"a,b,{self.HEADER}\n7,8,1,2,3,4\n")

    def test_a_number_of_the_row_is_no_label(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, f"id,{self.HEADER}\n0,1,2,3,4\n1,1,2,3,4\n").labels is None


class TestLabelsWithoutHeader:
    """Without a header the labels stand first, unless they can only stand last."""

    def test_texts_in_the_last_column_are_the_labels(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"1,2,3,4,cat\n5,6,7,8,dog\n"))
        assert samples.class_names == ("cat", "dog")
        assert samples.notices == ("The labels are taken from the last column. Another one: --label-column first.",)

    def test_numbers_above_255_in_the_last_column_are_the_labels(self, tmp_path: Path) -> None:
        assert read_table(saved(tmp_path, b"1,2,3,4,300\n5,6,7,8,301\n")).class_names == ("300", "301")

    @pytest.mark.parametrize("step", [0, 5])
    def test_a_first_column_of_pixels_is_no_label(self, tmp_path: Path, step: int) -> None:
        lines = "".join(f"{step * row},2,3,4,{row % 3}\n" for row in range(40))
        assert read_table(saved(tmp_path, lines.encode())).class_names == ("0", "1", "2")

    def test_a_single_class_in_the_first_column_stays_one(self, tmp_path: Path) -> None:
        lines = "".join(f"7,2,3,4,{row % 3}\n" for row in range(40))
        assert read_table(saved(tmp_path, lines.encode())).class_names == ("7",)

    def test_a_first_column_that_counts_the_rows_is_left_out(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b"0,7,1,2,3,4\n1,8,5,6,7,8\n"))
        assert samples.class_names == ("7", "8")
        assert samples.notices == ("The first column numbers the rows; it is left out.",)


class TestMoreWaysOfWriting:
    """Programs write tables in more ways, and other files are called CSV."""

    @pytest.mark.parametrize("missing", ["NA", "N/A", "<NA>", "?"])
    @needs_pandas
    def test_a_missing_label_among_numbers_is_no_class(self, tmp_path: Path, missing: str) -> None:
        with pytest.raises(DataError, match="label of image 2 is missing"):
            read_table(saved(tmp_path, f"label,a1,a2,a3,a4\n7,1,2,3,4\n{missing},1,2,3,4\n".encode()))

    @needs_pandas
    def test_na_among_texts_is_a_class(self, tmp_path: Path) -> None:
        assert read_table(saved(tmp_path, b"NA,1,2,3,4\nEU,1,2,3,4\n")).class_names == ("EU", "NA")

    @needs_pandas
    def test_decimal_commas_in_quotes_are_read(self, tmp_path: Path) -> None:
        samples = read_table(saved(tmp_path, b'7,"0,0","1,0","0,4","0,2"\n'))
        assert samples.images.ravel().tolist() == [0, 255, 102, 51]

    @needs_pandas
    def test_bars_between_values_are_read(self, tmp_path: Path) -> None:
        assert read_table(saved(tmp_path, b"7|1|2|3|4\n")).images.ravel().tolist() == [1, 2, 3, 4]

    def test_rows_of_delimiters_alone_are_passed_over(self, tmp_path: Path) -> None:
        assert len(read_table(saved(tmp_path, b"7,1,2,3,4\n,,,,\n,,,,\n")).images) == 1

    def test_utf_32_is_read(self, tmp_path: Path) -> None:
        assert len(read_table(saved(tmp_path, "7,1,2,3,4\n".encode("utf-32"))).images) == 1

    def test_a_title_above_the_table_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"begins with the line 'My digits', .* Take it out\."):
            read_table(saved(tmp_path, b"My digits\nlabel,1,2,3,4\n7,1,2,3,4\n"))

    @pytest.mark.parametrize(
        ("start", "kind"),
        [(b"\x80\x05", "a pickle"), (b"BZh9", "packed with bzip2"), (b"\0\0\x08\x03", "an IDX file")],
    )
    def test_another_kind_of_file_is_named(self, tmp_path: Path, start: bytes, kind: str) -> None:
        with pytest.raises(DataError, match=rf"no table in plain text, but {kind}.*(?:Save|Unpack|To read)"):
            read_table(saved(tmp_path, start + bytes(60)))

    @pytest.mark.parametrize("column", [True, 1.0])
    def test_a_place_is_a_whole_number(self, tmp_path: Path, column: int) -> None:
        with pytest.raises(ValueError, match="label_column must be one of the 5 columns"):
            load_csv(saved(tmp_path, b"7,1,2,3,4\n"), label_column=column)

    def test_a_pixel_above_the_range_is_to_be_divided(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"got '65535'\. Divide the pixels\."):
            load_csv(saved(tmp_path, b"7,1,2,3,65535\n"))


def test_few_rows_with_paper_in_front_and_numbers_at_the_end_are_told_to_leave_doubt(tmp_path: Path) -> None:
    rows = [f"0,0,200,0,{label}" for label in (7, 3, 3)]
    (tmp_path / "few.csv").write_text("\n".join(rows))
    assert any("--label-column last" in notice for notice in read_table(tmp_path / "few.csv").notices)


class TestOrderOfPixels:
    """Names of pixels that tell an order put them into it."""

    PIXELS = tuple(range(10, 26))  # of an image of 4 x 4

    def read(self, folder: Path, names: Sequence[str], pixels: Sequence[object]) -> Samples:
        lines = [",".join(["label", *names]), *(",".join(map(str, [label, *pixels])) for label in (7, 8))]
        return read_table(saved(folder, ("\n".join(lines) + "\n").encode()))

    @pytest.mark.parametrize(
        "name",
        ["pixel{n}", "pix.{m}", "{i}x{j}", "p_{i}_{j}", "r{i}c{j}", "x{j}_y{i}", "col{j}row{i}"],
    )
    @pytest.mark.parametrize("order", ["alphabet", "columns", "any"])
    def test_names_are_sorted_by_their_numbers(self, name: str, order: str, tmp_path: Path) -> None:
        names = [name.format(n=n, m=n + 1, i=n // 4 + 1, j=n % 4 + 1) for n in range(16)]
        places = {
            "alphabet": sorted(range(16), key=names.__getitem__),
            "columns": np.arange(16).reshape(4, 4).T.ravel().tolist(),
            "any": np.random.default_rng(0).permutation(16).tolist(),
        }[order]
        samples = self.read(tmp_path, [names[place] for place in places], [self.PIXELS[place] for place in places])
        assert samples.images[0].ravel().tolist() == list(self.PIXELS)
        told = "are put in that of their names: " + ", ".join(names[:3])
        assert any(told in notice for notice in samples.notices) is (places != list(range(16)))

    @pytest.mark.parametrize(
        "names", [[f"pixel{n * n}" for n in range(15, -1, -1)], [*[f"pixel{n}" for n in range(15)], "pixel3"]]
    )
    def test_names_that_tell_no_order_leave_it(self, names: list[str], tmp_path: Path) -> None:
        assert self.read(tmp_path, names, self.PIXELS).images[0].ravel().tolist() == list(self.PIXELS)

    @pytest.mark.parametrize("words", ["rgb", ("red", "green", "blue")])
    def test_colours_are_found_by_their_names(self, words: Sequence[str], tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (3, 64))
        names = [f"{colour}{n}" for colour in words for n in range(64)]
        images = self.read(tmp_path, names, pixels.ravel().tolist()).images
        np.testing.assert_array_equal(images[0], pixels.reshape(3, 8, 8))


@pytest.mark.parametrize("planes", [True, False])
def test_colours_are_taken_in_the_order_in_which_images_are_even(planes: bool, tmp_path: Path) -> None:
    ramp = np.arange(0, 256, 16)  # from the left to the right, from above, and across, in different colours
    image = np.stack([ramp[None] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None], (ramp[:, None] + ramp) // 2])
    row = (image if planes else image.transpose(1, 2, 0)).ravel().tolist()
    lines = "".join(",".join(map(str, [label, *row])) + "\n" for label in (7, 8))
    samples = read_table(saved(tmp_path, lines.encode()))
    np.testing.assert_array_equal(samples.images, [image, image])
    told = "all reds, then all greens" if planes else "red, green and blue of one pixel after the other"
    assert any(told in notice for notice in samples.notices)


def test_a_table_of_file_names_is_no_table_of_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has the names of files\. Put each file into a folder .* its class"):
        read_table(saved(tmp_path, b"filename,label\n0001.png,cat\n0002.JPG,dog\n"))


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.csv.bz2", b"BZh91AY" + bytes(9), "packed with bzip2. Unpack it."),
        ("a.tar", b"a.csv".ljust(257, b"\0") + b"ustar\0" + bytes(300), "packed with tar. Unpack it."),
        ("7.png", b"\x89PNG\r\n\x1a\n" + bytes(9), "an image. To read it: handconv predict"),
        ("digits.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a file of MATLAB. Save its images and labels by"),
        ("data_batch_1", b"\x80\x02}" + bytes(9), "a pickle of Python. Save its images and labels by np.savez("),
    ],
)
def test_what_is_to_be_done_with_another_file_depends_on_its_kind(
    name: str, content: bytes, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(remedy)):
        read_table(tmp_path / name)


@needs_pandas
def test_standardised_pixels_are_to_be_brought_back(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got '-0\.42'\. Are the pixels standardised\? Bring them back to 0 to 255\."):
        read_table(saved(tmp_path, b"7,0.5,-0.42,1.5,2\n"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"% digits\n@relation digits\n@attribute a numeric\n", "an ARFF file"),
        (b'[{"label": 7, "image": [1, 2, 3, 4]}]', "a JSON file"),
        (b'{"label": 7, "image": [1, 2, 3, 4]}\n', "a JSON file"),
        (b"7 1:20 2:255 4:7\n", "a LibSVM file"),
        (b"%PDF-1.4\n%\n", "a PDF file"),
        (b"SQLite format 3\0" + bytes(100), "a data base of SQLite"),
    ],
)
def test_files_of_other_kinds_are_called_by_their_names(content: bytes, kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{kind}.*Save it as a CSV file\."):
        read_table(saved(tmp_path, content))


def test_a_column_of_texts_between_pixels_has_the_labels(tmp_path: Path) -> None:
    samples = read_table(saved(tmp_path, b"1,2,cat,3,4\n5,6,dog,7,8\n"))
    assert samples.class_names == ("cat", "dog")
    assert samples.images.reshape(2, 4).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert samples.notices == ("The labels are taken from column 3. Another one: --label-column first.",)


def test_an_infinite_pixel_is_not_to_be_divided(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got 'inf'\. Mend this line, or leave it out\."):
        load_csv(saved(tmp_path, b"7,1,inf,3,4\n"))


def test_a_row_of_another_length_is_to_be_mended(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected 5 columns as before, got 2\. Mend this line, or leave it out\."):
        load_csv(saved(tmp_path, b"7,1,2,3,4\n7,1\n"))
