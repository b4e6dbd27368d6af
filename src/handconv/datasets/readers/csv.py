"""Tables of images, as programs write them: one image a line, its class and its pixels.

    label,1x1,1x2,…,28x28
    5,0,0,…,0

A file is read in blocks of whole lines, so that memory is bounded. Its first line tells the form: what stands between
the values, whether it is a header, where the class is. Blocks of MNIST's own plain form, whole numbers from 0 to 255
with commas, are read by NumPy; all others (fractions, semicolons, texts, quotes) by pandas. What cannot be read is
named with its line and column. Files that are no text (Parquet, workbooks) become lines first (``table_files``).
"""

from __future__ import annotations

import csv
import io
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.paths import PathLike
from handconv.datasets.readers._files import MAX_DECOMPRESSED, open_data
from handconv.datasets.readers.parts import all_parts
from handconv.datasets.readers.pixels import Pixels, as_images, to_bytes
from handconv.datasets.readers.samples import Samples, is_whole, listed, number_classes
from handconv.datasets.readers.table_files import kind_of_table, lines_of_table
from handconv.datasets.readers.table_form import Form, LabelColumn, cut_fields, excerpt, tell_form
from handconv.datasets.readers.table_layout import plain_blocks
from handconv.errors import DataError, MissingExtraError
from handconv.utils.optional_imports import import_optional
from handconv.utils.warn import warn
from handconv.utils.words import counted

_BLOCK = 1 << 20
_STANDARDISED = 10  # no standardised pixel is farther from 0
_LARGEST_LABEL = 1e15
_MEND = "Mend this line, or leave it out."
# What stands for a missing label among numbers; among texts it may be the name of a class.
_MISSING = ("na", "n/a", "<na>", "#n/a", "?", "-", "missing", "unknown")
_CONTROLS = frozenset(range(32)) - set(b"\t\n\r\f")
# Files that are taken for tables, by their first bytes.
_OTHERS = {
    b"MATLAB": "a file of MATLAB",
    b"SQLite": "a data base of SQLite",
    b"%PDF": "a PDF file",
    b"\x93NUMPY": "an array of NumPy",
    b"\xfd7zXZ": "packed with xz",
    b"BZh": "packed with bzip2",
    b"\x1f\x8b": "packed with gzip twice",
    b"7z\xbc\xaf": "packed with 7-Zip",
    b"Rar!": "packed with RAR",
    b"\x89PNG": "an image",
    b"\xff\xd8": "an image",
    b"\x89HDF": "an HDF5 file",
    b"\x80": "a pickle of Python",
    b"\0\0\x08": "an IDX file; their names tell what they hold, train-images-idx3-ubyte and train-labels-idx1-ubyte",
}
# Also the rows that a spreadsheet program writes where cells were emptied: delimiters alone.
_BLANK_LINE = re.compile(r"^[ \t,;|]+$", re.MULTILINE)
# Room for the longest line that makes sense: an image of 1000 x 1000.
_MAX_LINE = 1 << 22


@dataclass(frozen=True)
class _Block:
    """Lines of a file: pixels (n, P), classes as numbers or as texts; ids and parts, if there are any."""

    pixels: Pixels
    labels: list[str] | NDArray[np.int64]
    ids: list[str]
    parts: list[str]


def load_csv(path: PathLike, *, label_column: LabelColumn = None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    r"""Load the images and labels of a table: CSV, also with semicolons or tabs, plain, gzip or zip, in any encoding.

    Each line is one image: its label and H·H pixels from 0 to 255 (or 3·H·H: red, green and blue of each pixel, or all
    reds, all greens, all blues). A header is told from a row; its names put the pixels into order, and a column of it
    that is named label, class, target, y or digit holds the labels, else the first one does, or the last columns do,
    one for each class. All pixels of an image may stand in one column, with spaces. Fractions from 0 to 1 are stretched
    to 0 to 255, with a warning, as for whatever else is changed.

    Args:
        path: the file; compression is recognised by its first bytes, not by its name.
        label_column: where the label stands, counted from 0 (-1 is the last column), "first", "last", or a name.
    Shapes:
        N lines of 1 + H·H numbers -> images (N, 1, H, H), labels (N,): whole numbers as they are written; where there
        are texts, the places of the labels in their sorted order (`handconv.datasets.load` gives the names too)
    Raises:
        DataError: if a line has the wrong number of columns, a pixel that is no number from 0 to 255 or no label, if
            the pixels are no square, or if there are no images or no labels.
        MissingExtraError: if the file is not in MNIST's plain form and pandas is not installed.
        ValueError: if there is no such label column.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "tiny.csv")
        >>> _ = path.write_text("label,1x1,1x2,2x1,2x2\n7,0,255,128,0\n")
        >>> images, labels = load_csv(path)
        >>> images, labels
        (array([[[[  0, 255],
                 [128,   0]]]], dtype=uint8), array([7]))
    """
    samples = read_table(path, label_column=label_column)
    if samples.labels is None:
        raise no_labels(path)
    for notice in (*samples.notices, *all_parts(samples)):
        warn(notice)
    if all(map(is_whole, samples.class_names)):
        return samples.images, np.array([int(name) for name in samples.class_names])[samples.labels]
    return samples.images, samples.labels


def no_labels(path: PathLike) -> DataError:
    """The error for a table without labels where labels are needed."""
    return DataError(
        f"{path} has no labels, only pixels. Name their column with label_column (--label-column), or have the images "
        "classified: handconv predict FILE.csv --output answers.csv"
    )


def read_table(path: PathLike, *, label_column: LabelColumn = None, scale: float | None = None) -> Samples:
    """Read a table of images as `load_csv` does, also one without labels, and tell what was done to it.

    Args:
        path: as for `load_csv`.
        label_column: as for `load_csv`.
        scale: the value that becomes 255, but for fractions that go to 1; found by itself if not given.

    Shapes:
        images (N, C, H, H), labels (N,) or None
    Raises:
        DataError, MissingExtraError, ValueError, OSError: as for `load_csv`.
    """
    try:
        form, blocks = _read(path, label_column, scale, "utf-8")
        notices = form.notices
    except UnicodeDecodeError:
        form, blocks = _read(path, label_column, scale, "cp1252")
        notices = (*form.notices, f"{path} is not written in UTF-8; it is read as Windows-1252.")
    pixels, scale, changes = to_bytes([block.pixels for block in blocks], scale)
    labels = [block.labels for block in blocks]
    numbers, names = (None, ()) if form.label is None else number_classes(_joined(labels))
    mixed = []
    strangers = [name for name in names if not is_whole(name)]
    if numbers is not None and len(strangers) == 1 < len(names) and strangers[0].casefold() in _MISSING:
        row = int(numbers.tolist().index(names.index(strangers[0])))
        raise DataError(
            f"{path}: the label of image {row + 1:,} is missing, it is {strangers[0]!r} among numbers. Give it one, or "
            "leave the line out."
        )
    if 0 < sum(map(is_whole, names)) < len(names):
        mixed.append(f"The labels are numbers and texts, {len(names)} classes: {listed(names)}.")
    images, order = as_images(pixels)
    return Samples(
        images=images,
        labels=numbers,
        class_names=names,
        notices=(*notices, *changes, *order, *mixed),
        scale=scale,
        ids=tuple(each for block in blocks for each in block.ids),
        ids_name=form.ids_name,
        parts=tuple(each for block in blocks for each in block.parts),
        parts_name=form.part_name,
    )


def _read(path: PathLike, label_column: LabelColumn, scale: float | None, encoding: str) -> tuple[Form, list[_Block]]:
    """Read the form and all blocks of a file."""
    form: Form | None = None
    found: list[_Block] = []
    values, line_number = 0, 1  # of the first line of the block
    layout: list[str] = []  # what there is to say of it
    with _text_of(path, encoding) as text:
        for block in plain_blocks(text, path, label_column, layout):
            images = block
            if form is None and block.strip():
                form, images = tell_form(block, path, label_column)
                line_number += block.count("\n") - images.count("\n")
            if form is not None and images.strip():
                found.append(_parse(images, form, path, line_number, scale or 255))
                values += found[-1].pixels.size
            line_number += images.count("\n")
            if values > MAX_DECOMPRESSED:
                raise DataError(f"{path} has more than {MAX_DECOMPRESSED:,} values. Split it.")
    if form is None or not values:
        raise DataError(f"{path} has no images: there is no line of numbers in it.")
    return replace(form, notices=(*layout, *form.notices)), found


@contextmanager
def _text_of(path: PathLike, encoding: str) -> Iterator[Iterator[str]]:
    """Open a table, and give blocks of its lines.

    Raises:
        DataError: if it is none.
    """
    if (table := kind_of_table(path)) is not None:
        yield lines_of_table(path, table)
        return
    with open_data(path) as (stream, _):
        start = stream.peek(64)[:64]
        encoding = _wide_encoding(start) or encoding
        kind = next((f", but {name}" for magic, name in _OTHERS.items() if start.startswith(magic)), "")
        has_controls = not encoding.startswith(("utf-16", "utf-32")) and _CONTROLS.intersection(start)
        if stream.peek(512)[257:262] == b"ustar":
            kind = ", but packed with tar"
        if kind or has_controls:
            raise DataError(f"{path} is no table in plain text{kind}. {_remedy_of_kind(kind, path)}")
        with io.TextIOWrapper(stream, encoding=encoding, errors="strict" if encoding == "utf-8" else "replace") as text:
            yield _blocks(text, path)


def _remedy_of_kind(kind: str, path: PathLike) -> str:
    """What to do with a file of another kind."""
    if "packed" in kind:
        return "Unpack it."
    if kind == ", but an image":
        return f"To read it: handconv predict {shlex.quote(str(path))}"
    if any(each in kind for each in ("NumPy", "pickle", "MATLAB", "HDF5")):
        return "Save its images and labels by np.savez('data.npz', x_train=…, y_train=…), or as a CSV file."
    return "Save it as a CSV file."


def _wide_encoding(start: bytes) -> str | None:
    """Recognise UTF-16, UTF-32 and UTF-8 by their byte order mark, and UTF-16 without one by its zero bytes."""
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if start.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    even, odd = start[::2], start[1::2]
    if len(start) >= 8 and not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if len(start) >= 8 and not any(even) and all(odd) else None


def _blocks(text: io.TextIOWrapper, path: PathLike) -> Iterator[str]:
    """Cut the file into blocks of whole lines, each line ended by one newline (Windows' and old Macs' ends too)."""
    rest = ""
    while piece := text.read(_BLOCK):
        lines, newline, tail = piece.rpartition("\n")
        if newline:
            yield rest + lines + newline
            rest = tail
        else:
            rest += tail
            if len(rest) > _MAX_LINE:
                raise DataError(f"{path} is no CSV file of images: a line is longer than {_MAX_LINE:,} characters.")
    if rest:
        yield rest + "\n"


def _parse(block: str, form: Form, path: PathLike, line_number: int, top: float) -> _Block:
    """Parse lines, those of the plain form fast, all others by pandas; or say what is wrong where."""
    plain = _parse_plain(block, form)
    if plain is None:
        parsed = _parse_by_pandas(block, form, path, line_number, top)
    else:
        labels = plain[:, form.label] if form.label is not None else plain[:, 0]
        ids = [] if form.ids is None else list(map(str, plain[:, form.ids].tolist()))
        parsed = _Block(np.ascontiguousarray(plain[:, form.pixels]), labels.astype(np.int64), ids, [])
    if parsed is None or not parsed.pixels.max(initial=0) <= top:
        raise _complaint(block, form, path, line_number, top)
    return parsed


def _parse_plain(block: str, form: Form) -> NDArray[np.uint8] | None:
    """Parse lines of whole numbers from 0 to 255 with commas: (lines that are not blank, columns); None if others."""
    if form.delimiter != "," or form.part is not None:
        return None
    try:
        with warnings.catch_warnings(action="error"):  # NumPy only warns of 1.5 where it wants a whole number
            lines = io.StringIO(_BLANK_LINE.sub("", block))
            table = np.loadtxt(lines, dtype=np.uint8, delimiter=",", comments=None, ndmin=2)
    except (ValueError, Warning):
        return None
    return table if table.shape[1] == form.columns else None


def _parse_by_pandas(block: str, form: Form, path: PathLike, line_number: int, top: float) -> _Block | None:
    """Parse lines of any table; None if a line has too many columns, or a value is missing or out of range."""
    try:
        pandas = import_optional("pandas", extra="cli")
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{path}, line {line_number:,} or later, is not in MNIST's plain form (a label and H·H pixels, whole "
            f"numbers from 0 to 255, with commas); other tables are read by pandas. {error}"
        ) from error
    lines = _BLANK_LINE.sub("", block)
    try:
        with warnings.catch_warnings(action="ignore"):
            frame = pandas.read_csv(
                io.StringIO(lines),
                header=None,
                names=range(form.columns + 1),  # the last one catches what is too much
                index_col=False,
                sep=r"\s+" if form.delimiter == " " else form.delimiter,
                decimal=form.decimal,
                skipinitialspace=True,
                keep_default_na=False,  # a class may be called NA
                dtype={column: str for column in (form.label, form.ids, form.part) if column is not None},
            )
            columns = frame[list(form.pixels)].apply(pandas.to_numeric, errors="coerce")
            values = columns.to_numpy(dtype=np.float64)
    except (ValueError, OverflowError):  # also pandas.errors.ParserError
        return None
    labels = [] if form.label is None else frame[form.label].fillna("").str.strip().tolist()
    labels = [_plain_label(label, form.decimal) for label in labels]
    too_much = frame[form.columns].dropna().astype(str).str.strip().any()
    if not ((values >= 0) & (values <= top)).all() or "" in labels or too_much:
        return None
    whole = (values == values.round()).all() and top >= 255
    ids, parts = (
        [] if column is None else frame[column].fillna("").str.strip().tolist() for column in (form.ids, form.part)
    )
    return _Block(values.astype(np.uint8 if whole else np.float32), labels, ids, parts)


def _plain_label(label: str, decimal: str = ".") -> str:
    """Write a whole number plainly, whichever program wrote it: "07", "7.0", "7,0", "7e+00"; "" if it is missing."""
    if label.casefold() in ("nan", "null", "none"):
        return ""
    try:
        number = float(label.replace(decimal, "."))
    except ValueError:
        return label
    return str(int(number)) if abs(number) < _LARGEST_LABEL and number.is_integer() and "_" not in label else label


def _complaint(block: str, form: Form, path: PathLike, first: int, top: float) -> DataError:
    """Find the first line that cannot be read, and say why."""
    for number, line in enumerate(block.split("\n"), first):
        if not line.strip(" \t,;|"):
            continue
        try:
            fields = cut_fields(line, form.delimiter)
        except csv.Error as error:
            return DataError(f"{path}, line {number:,}: {error}.")
        here = f"{path}, line {number:,}"
        if len(fields) != form.columns:
            return DataError(
                f"{here}: expected {counted(form.columns, 'column')} as before, got {len(fields):,}. {_MEND}"
            )
        for column in form.pixels:
            if not _in_range(fields[column].replace(form.decimal, "."), top):
                rule = f"a number from 0 to {top:g}" + (" (the scale that was asked for)" if top != 255 else "")
                remedy = _remedy(fields[column].replace(form.decimal, "."))
                return DataError(
                    f"{here}, column {column + 1:,}: expected {rule}, got {excerpt(fields[column])}. {remedy}"
                )
        if form.label is not None and not _plain_label(fields[form.label], form.decimal):
            return DataError(
                f"{here}, column {form.label + 1:,}: this image has no label. Give it one, or leave it out."
            )
    return DataError(
        f"{path} is no table of images: lines {first:,} and after it cannot be read (are there stray quotes?)."
    )


def _remedy(field: str) -> str:
    """What to do about a field that is no pixel."""
    if _in_range(field, sys.float_info.max):
        return "Divide the pixels."
    if _in_range(field.removeprefix("-"), _STANDARDISED):
        return "Are the pixels standardised? Bring them back to 0 to 255."
    return _MEND


def _in_range(field: str, top: float) -> bool:
    try:
        return "_" not in field and 0 <= float(field) <= top
    except ValueError:
        return False


def _joined(labels: Sequence[list[str] | NDArray[np.int64]]) -> list[str] | NDArray[np.int64]:
    """Join the labels of all blocks: numbers if they are in the plain form everywhere, else texts."""
    if all(isinstance(block, np.ndarray) for block in labels):
        return np.concatenate(labels)
    return [
        label for block in labels for label in (map(str, block.tolist()) if isinstance(block, np.ndarray) else block)
    ]
