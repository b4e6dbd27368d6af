"""CSV files of images in the form that Kaggle made usual: one image a line, its label first, then its pixels.

    label,1x1,1x2,…,28x28
    5,0,0,…,0

The header may be missing; the image is square; every value is a whole number from 0 to 255.

A file is read in blocks of whole lines, so that memory is bounded and a header or a byte order mark is only looked for
at the start. NumPy reads a block of plain numbers; where it balks, the block is gone through line by line, which either
accepts it after all (quotes) or names the line and the column of the mistake.
"""

import io
import math
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers._files import MAX_DECOMPRESSED, PathLike, open_data
from handconv.errors import DataError

_BLOCK = 1 << 20
# Room for the longest line that makes sense: an image of 1000 x 1000.
_MAX_LINE = 1 << 22
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_csv(path: PathLike, *, label_column: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    r"""Load the images and labels of a CSV file, plain or gzip.

    Each line is one image: a label and H·H pixels, whole numbers from 0 to 255 with commas between them. A header line,
    blank lines, spaces around numbers, Windows line ends and a byte order mark are accepted; anything else is an error
    that names the line.

    Args:
        path: the file; gzip is recognised by its first bytes, not by its name.
        label_column: where the label stands, counted from 0; -1 is the last column.
    Shapes:
        N lines of 1 + H·H numbers -> images (N, 1, H, H), labels (N,)
    Raises:
        DataError: if a line has the wrong number of columns or a value that is no whole number from 0 to 255, if the
            pixels are no square, or if there are no images.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "tiny.csv")
        >>> _ = path.write_text("label,1x1,1x2,2x1,2x2\n7,0,255,128,0\n")
        >>> images, labels = read_csv(path)
        >>> images, labels
        (array([[[[  0, 255],
                 [128,   0]]]], dtype=uint8), array([7]))
    """
    with open_data(path) as (stream, _):
        table = _read_table(stream, path, label_column)
    side = math.isqrt(table.shape[1] - 1)
    labels = table[:, label_column].astype(np.int64)
    images = np.delete(table, label_column, axis=1).reshape(-1, 1, side, side)  # (N, 1, H, H)
    return images, labels


# The name for users, beside load_idx.
load_csv = read_csv


def _read_table(stream: BinaryIO, path: PathLike, label_column: int) -> NDArray[np.uint8]:
    """Read all numbers of the file: (N, columns)."""
    tables: list[NDArray[np.uint8]] = []
    columns = values = 0
    line_number = 1  # of the first line of the block
    for block in _blocks(stream, path):
        images = block
        if not columns and block.strip():
            columns = _count_columns(block, path, label_column)
            images = _without_header(block, label_column)
            line_number += block.count(b"\n") - images.count(b"\n")
        table = _parse_block(images, columns)
        if table is None:
            table = _parse_lines(images, columns, path, line_number)
        tables.append(table)
        line_number += images.count(b"\n")
        values += table.size
        if values > MAX_DECOMPRESSED:
            raise DataError(f"{path} has more than {MAX_DECOMPRESSED:,} values. Split it.")
    if not values:
        raise DataError(f"{path} has no images: there is no line of numbers in it.")
    return np.concatenate([table for table in tables if table.size])


def _blocks(stream: BinaryIO, path: PathLike) -> Iterator[bytes]:
    """Cut the file into blocks of whole lines, each line ended by one newline."""
    rest = stream.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
    while piece := stream.read(_BLOCK):
        lines, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield rest + lines + newline
            rest = tail
        else:
            rest += tail
            if len(rest) > _MAX_LINE:
                raise DataError(f"{path} is no CSV file of images: a line is longer than {_MAX_LINE:,} bytes.")
    if rest:
        yield rest + b"\n"


def _count_columns(block: bytes, path: PathLike, label_column: int) -> int:
    """Count the columns of the first line that is not blank, and check that they are a label and a square image."""
    line = block.lstrip().partition(b"\n")[0]
    columns = line.count(b",") + 1
    if columns < 2 or math.isqrt(columns - 1) ** 2 != columns - 1:
        raise DataError(
            "A CSV file of images has a label and a square number of pixels in each line, 1 + 28·28 = 785 columns say; "
            f"{path} has {columns:,} column{'s' * (columns > 1)}, its first line is {_excerpt(line)}."
        )
    if not -columns <= label_column < columns:
        raise ValueError(f"label_column must be one of the {columns:,} columns of {path}, got {label_column}.")
    return columns


def _without_header(block: bytes, label_column: int) -> bytes:
    """Drop the first line that is not blank, and what is before it, if a name stands in the place of the label."""
    line, _, rest = block.lstrip().partition(b"\n")
    name = _bare(line.split(b",")[label_column])
    return rest if name[:1].isalpha() or name[:1] == b"_" else block


def _parse_block(block: bytes, columns: int) -> NDArray[np.uint8] | None:
    """Parse lines of plain numbers fast: (lines that are not blank, columns); None if that fails."""
    try:
        with warnings.catch_warnings(action="error"):  # NumPy only warns of 1.5 where it wants a whole number
            table = np.loadtxt(
                io.BytesIO(block), dtype=np.uint8, delimiter=",", comments=None, encoding="latin1", ndmin=2
            )
    except (ValueError, Warning):
        return None
    return table if table.shape[1] == columns else None


def _parse_lines(block: bytes, columns: int, path: PathLike, line_number: int) -> NDArray[np.uint8]:
    """Parse line by line, or say what is wrong where: (lines that are not blank, columns)."""
    rows = bytearray()
    for number, line in enumerate(block.split(b"\n"), line_number):
        if not line.strip():
            continue
        fields = [_bare(field) for field in line.split(b",")]
        if len(fields) != columns:
            raise DataError(f"{path}, line {number:,}: expected {columns:,} columns as before, got {len(fields):,}.")
        for column, field in enumerate(fields, 1):
            if not field.isdigit() or len(field.lstrip(b"0")) > 3 or int(field) > 255:
                raise DataError(
                    f"{path}, line {number:,}, column {column:,}: "
                    f"expected a whole number from 0 to 255, got {_excerpt(field)}."
                )
            rows.append(int(field))
    return np.frombuffer(rows, dtype=np.uint8).reshape(-1, max(columns, 1))


def _bare(field: bytes) -> bytes:
    """Take the spaces and quotes off a field."""
    return field.strip().strip(b'"').strip()


def _excerpt(text: bytes) -> str:
    """Show text of a file in an error message, on one line and not too long."""
    shown = text.decode("utf-8", errors="replace")
    return repr(shown if len(shown) <= 40 else shown[:40] + "…")
