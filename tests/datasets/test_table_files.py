"""Parquet files, Feather files and workbooks hold the images and labels that a CSV file holds."""

import importlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handconv.cli import main
from handconv.datasets.readers.csv import read_table
from handconv.errors import DataError, MissingExtraError
from table_cases import TABLE, needs_pandas

pytestmark = needs_pandas
PIXELS = TABLE[:, 1:]


def frame() -> Any:
    """The table of the tests as pandas holds it."""
    pandas = importlib.import_module("pandas")
    return pandas.DataFrame(TABLE, columns=["label", *(f"pixel{place}" for place in range(16))])


def check(path: Path) -> None:
    """Check that a file holds the table."""
    samples = read_table(path)
    np.testing.assert_array_equal(samples.images.reshape(6, 16), PIXELS)
    assert samples.labels is not None
    assert [samples.class_names[label] for label in samples.labels] == ["0", "1", "2", "0", "1", "2"]


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels.reshape(4, 4).astype(np.uint8)).save(target, format="png")
    return target.getvalue()


class TestColumns:
    """Files that pandas reads with pyarrow."""

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("pyarrow")

    @pytest.mark.parametrize("ending", ["parquet", "feather"])
    def test_a_file_is_read(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"t.{ending}"
        getattr(frame(), f"to_{ending}")(path)
        check(path)

    def test_labels_may_be_the_index(self, tmp_path: Path) -> None:
        frame().set_index("label").to_parquet(tmp_path / "t.parquet")
        check(tmp_path / "t.parquet")

    @pytest.mark.parametrize(
        "of_row",
        [list, lambda row: row.reshape(4, 4).tolist(), lambda row: {"bytes": png(row), "path": None}, png],
    )
    def test_an_image_may_stand_in_one_cell(self, tmp_path: Path, of_row: Any) -> None:
        pandas = importlib.import_module("pandas")
        cells = pandas.DataFrame({"image": [of_row(row) for row in PIXELS], "label": TABLE[:, 0]})
        cells.to_parquet(tmp_path / "t.parquet")
        check(tmp_path / "t.parquet")

    def test_a_file_that_is_cut_off_is_named(self, tmp_path: Path) -> None:
        frame().to_parquet(tmp_path / "t.parquet")
        content = (tmp_path / "t.parquet").read_bytes()
        (tmp_path / "t.parquet").write_bytes(content[:900])
        with pytest.raises(DataError, match=r"t\.parquet is a Parquet file that cannot be read"):
            read_table(tmp_path / "t.parquet")


class TestWorkbooks:
    """Files that pandas reads with openpyxl."""

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("openpyxl")

    @pytest.mark.parametrize("header", [True, False])
    def test_a_sheet_is_read_with_and_without_a_header(self, tmp_path: Path, header: bool) -> None:
        frame().to_excel(tmp_path / "t.xlsx", index=False, header=header)
        check(tmp_path / "t.xlsx")

    def test_a_class_may_be_called_na(self, tmp_path: Path) -> None:
        named = frame()
        named["label"] = named["label"].map({0: "NA", 1: "cat", 2: "dog"})
        named.to_excel(tmp_path / "t.xlsx", index=False)
        assert read_table(tmp_path / "t.xlsx").class_names == ("NA", "cat", "dog")

    def test_of_several_sheets_none_is_chosen(self, tmp_path: Path) -> None:
        pandas = importlib.import_module("pandas")
        with pandas.ExcelWriter(tmp_path / "t.xlsx") as book:
            for name in ("train", "test"):
                frame().to_excel(book, sheet_name=name, index=False)
        with pytest.raises(DataError, match=r"must have one sheet with values, .* has 2 \(train, test\)\. Save that"):
            read_table(tmp_path / "t.xlsx")


def workbook(member: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(member, "")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "module", "package"),
    [
        (b"PAR1" + bytes(60), "pyarrow", "pyarrow"),
        (b"ARROW1" + bytes(60), "pyarrow", "pyarrow"),
        (workbook("[Content_Types].xml"), "openpyxl", "openpyxl"),
        (workbook("content.xml"), "odf", "odfpy"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "xlrd", "xlrd"),
    ],
)
def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(MissingExtraError, match=rf"which pandas reads with {package}, .* pip install {package}$"):
        read_table(tmp_path / "t")


def test_a_workbook_whose_sheets_are_empty_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = importlib.import_module("pandas")
    monkeypatch.setitem(sys.modules, "openpyxl", pandas)
    monkeypatch.setattr(pandas, "read_excel", lambda *_, **__: {"Sheet1": pandas.DataFrame()})
    (tmp_path / "t.xlsx").write_bytes(workbook("[Content_Types].xml"))
    with pytest.raises(DataError, match=r"one sheet with values, .* has none"):
        read_table(tmp_path / "t.xlsx")


def test_predict_takes_a_workbook_for_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = importlib.import_module("pandas")
    monkeypatch.setitem(sys.modules, "openpyxl", pandas)
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path / "cache"))
    sheet = pandas.DataFrame(np.zeros((2, 784), int))
    monkeypatch.setattr(pandas, "read_excel", lambda *_, **__: {"Sheet1": sheet, "Sheet2": pandas.DataFrame()})
    (tmp_path / "t.xlsx").write_bytes(workbook("[Content_Types].xml"))
    assert main(["predict", str(tmp_path / "t.xlsx")]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["row 0", "row 1"]
