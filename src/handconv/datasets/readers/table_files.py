"""Tables that are no text: Parquet and Feather files, and workbooks of spreadsheet programs.

pandas reads them, each with a library of its own; the rows come out as lines of CSV, so that whatever is told of labels
and pixels in text is told of these in the same way.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from handconv.datasets.paths import PathLike, user_path
from handconv.datasets.readers.images import decode_picture
from handconv.errors import DataError, MissingExtraError
from handconv.utils.optional_imports import import_optional

_ROWS = 1000  # that are written out at once
_SIDE = 1000  # pixels of an image's longer side, at most


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: what it is called.
        reader: the function of pandas.
        library: what that needs, as pip and Python call it.
    """

    name: str
    reader: str
    library: tuple[str, str]


_PARQUET = Kind("a Parquet file", "read_parquet", ("pyarrow", "pyarrow"))
_FEATHER = Kind("a Feather file", "read_feather", ("pyarrow", "pyarrow"))
_XLSX = Kind("a workbook of Excel", "read_excel", ("openpyxl", "openpyxl"))
_XLS = Kind("an old workbook of Excel", "read_excel", ("xlrd", "xlrd"))
_ODS = Kind("a workbook of LibreOffice", "read_excel", ("odfpy", "odf"))
_BY_FIRST_BYTES = {b"PAR1": _PARQUET, b"ARROW1": _FEATHER, b"\xd0\xcf\x11\xe0": _XLS}
_BY_MEMBER = {"[Content_Types].xml": _XLSX, "content.xml": _ODS}


def kind_of_table(path: PathLike) -> Kind | None:
    """Tell by its content whether a file is such a table; None if not.

    Raises:
        OSError: if the file cannot be opened.
    """
    with user_path(path).open("rb") as file:
        start = file.read(8)
        if start.startswith(b"PK"):
            try:
                members = zipfile.ZipFile(file).namelist()
            except Exception:  # noqa: BLE001 - on a damaged file, whatever zipfile stumbles over; who reads it says so
                return None
            return next((kind for member, kind in _BY_MEMBER.items() if member in members), None)
    return next((kind for magic, kind in _BY_FIRST_BYTES.items() if start.startswith(magic)), None)


def lines_of_table(path: PathLike, kind: Kind) -> Iterator[str]:
    """Read such a table, and give it as blocks of lines of CSV, its names first if it has some.

    Raises:
        DataError: if the file is damaged, or a workbook has several sheets with values.
        MissingExtraError: if a library that reads it is not installed.
    """
    pandas = import_optional("pandas", extra="cli")
    package, module = kind.library
    try:
        import_optional(module, extra="cli")
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{path} is {kind.name}, which pandas reads with {package}, and that is not installed. Install it with: "
            f"pip install {package}"
        ) from error
    is_workbook = kind.reader == "read_excel"
    how: dict[str, Any] = {}
    if is_workbook:
        how = {"sheet_name": None, "header": None, "keep_default_na": False, "engine": module}
    try:
        found = getattr(pandas, kind.reader)(user_path(path), **how)
    except Exception as error:  # on damaged files: whatever the libraries stumble over
        raise DataError(f"{path} is {kind.name} that cannot be read ({error}). Save it anew, as a CSV file.") from error
    if is_workbook:
        sheets = {name: sheet for name, sheet in found.items() if sheet.size}
        if len(sheets) != 1:
            there = f"{len(sheets)} ({', '.join(map(str, sheets))})" if sheets else "none"
            raise DataError(f"A workbook must have one sheet with values, {path} has {there}. Save that of the images.")
        (found,) = sheets.values()
    elif any(name is not None for name in found.index.names):
        found = found.reset_index()
    for start in range(0, len(found), _ROWS):
        rows = found.iloc[start : start + _ROWS].map(partial(_plain, path))
        yield rows.to_csv(index=False, header=not start and not is_workbook, lineterminator="\n")


def _plain(path: PathLike, value: object) -> object:
    """A value of a cell as a line can have it: all pixels of an image with blanks between them.

    An image is a list, or a file with its bytes, as data sets of Hugging Face have them.
    """
    if isinstance(value, Mapping):
        value = value.get("bytes")
    if isinstance(value, bytes):
        value = decode_picture(value, f"an image in {path}", at_most=_SIDE)
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    return " ".join(str(_plain(path, each)) for each in (value.ravel() if isinstance(value, np.ndarray) else value))
