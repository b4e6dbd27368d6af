"""How a table of images is written, told from its first lines: delimiter, header, the columns of label and pixels.

A first line is a header if one of its fields names the label, if most of them are no numbers, or if they are the
numbers 0, 1, 2, …; a row of pixels is none of these, whatever stands in the place of its label.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from handconv.datasets.paths import PathLike
from handconv.datasets.readers.samples import is_whole, listed
from handconv.errors import DataError

LABEL_NAMES = ("label", "class", "target", "y", "digit")
"""The names by which a header tells the column of the classes, in upper or lower case."""

LabelColumn = int | str | None
"""A place counted from 0 (-1 is the last), a name in the header, "first", "last", or None: found by itself."""

_INDEX_NAMES = ("", "id", "index", "imageid", "image_id", "unnamed: 0")
_LOOKED_AT = 1 << 17  # characters in which a decimal comma is looked for
_RUN = 10  # a first line of at least so many numbers 0, 1, 2, … is a header
_LEAST_COLOURED = 8  # rows of the smallest colour image: a few columns more are more likely a mistake


@dataclass(frozen=True)
class Form:
    """How a table is written.

    Args:
        delimiter: what stands between two values.
        decimal: the decimal point, or comma.
        columns: how many there are.
        label: the column of the classes; None if there is none.
        pixels: the columns of the pixels.
        notices: what was taken for granted.
    """

    delimiter: str
    decimal: str
    columns: int
    label: int | None
    pixels: tuple[int, ...]
    notices: tuple[str, ...]


def tell_form(block: str, path: PathLike, label_column: LabelColumn) -> tuple[Form, str]:
    """Tell how a table is written from its first block; give what follows the header, too."""
    delimiter, rest = None, block
    while True:
        line, _, after = rest.partition("\n")
        if line.casefold().startswith("sep=") and len(line.strip()) == 5:  # how Excel is told
            delimiter = line.strip()[4]
        elif (line.strip() and not line.startswith("#")) or not after:
            break
        rest = after
    if line.lstrip().startswith("<"):
        raise DataError(f"{path} is a web page and no table: its first line is {excerpt(line)}. Fetch it again.")
    delimiter = delimiter or next((mark for mark in "\t;," if mark in line), " " if " " in line.strip() else ",")
    decimal = "," if delimiter != "," and re.search(r"\d,\d", rest[:_LOOKED_AT]) else "."
    try:
        names = cut_fields(line, delimiter)
    except csv.Error as error:
        raise DataError(f"{path} is no table of images: its first line is {excerpt(line)} ({error}).") from error
    is_header = _is_header(names, decimal, has_more=bool(after.strip()))
    header = tuple(names) if is_header else None
    label, pixels, notices = _columns(names, header, path, label_column, line)
    form = Form(delimiter, decimal, len(names), label, pixels, tuple(notices))
    return form, after if is_header else rest


def cut_fields(line: str, delimiter: str) -> list[str]:
    """Cut a line into its fields; a delimiter at its end begins no other field."""
    if delimiter == " ":
        return line.split()
    fields = [field.strip() for field in next(csv.reader([line.strip("\r\n ")], delimiter=delimiter), [""])]
    return fields[:-1] if len(fields) > 1 and not fields[-1] else fields


def _is_header(fields: Sequence[str], decimal: str, *, has_more: bool) -> bool:
    """Whether a first line has names: one that tells the label, mostly no numbers, or numbers in a row."""
    named = [field for field in fields if field.casefold() in LABEL_NAMES]
    others = [field for field in fields if field and field not in named]
    if any(len(name) > 1 for name in named):  # a letter may be the label of an image
        return True
    if sum(not _is_number(field, decimal) for field in fields) > len(fields) / 2:
        return True
    start = next((start for start in ("0", "1") if others[:1] == [start]), None)
    run = start is not None and others == [str(i) for i in range(int(start), int(start) + len(others))]
    return (run or _is_mangled(others)) and (bool(named) or len(others) >= _RUN) and has_more


def _is_mangled(fields: Sequence[str]) -> bool:
    """Whether these are names that pandas told apart: 0, 0.1, 0.2, …, as it read a row of pixels for a header once."""
    seen: set[str] = set()
    for field in fields:
        name, _, copy = field.partition(".")
        if field in seen or (copy and (not is_whole(copy) or int(copy) < 1 or name not in seen)):
            return False
        seen.add(field)
    return any("." in field for field in fields)


def _is_number(field: str, decimal: str) -> bool:
    """Whether a field could be a value: a number, or a missing one."""
    try:
        float(field.replace(decimal, ".") or "nan")
    except ValueError:
        return False
    return True


def _columns(
    fields: Sequence[str], header: Sequence[str] | None, path: PathLike, label_column: LabelColumn, line: str
) -> tuple[int | None, tuple[int, ...], list[str]]:
    """Find the column of the label, and those of the pixels; tell what was taken for granted."""
    count, notices = len(fields), []
    label = _label_by_name(header, path) if label_column is None else _named(label_column, header, count, path)
    rest = [column for column in range(count) if column != label]
    numbered = header is not None and all(_is_number(name, ".") for name in header)
    indexed = header is not None and header[0].casefold() in _INDEX_NAMES and label != 0
    fits = [square_side(len(rest) - fewer) is not None for fewer in range(3)]
    if indexed and not fits[0] and (fits[1] or (label is None and fits[2])):
        rest = rest[1:]
        notices.append(f"The first column, {fields[0]!r}, numbers the rows; it is left out.")
    if label is None and square_side(len(rest)) is None:
        label, rest = rest[0], rest[1:]
        if header is not None and not numbered:
            notices.append(
                f"No column is named {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}; the labels are taken from the "
                f"column {header[label]!r}. Another one: --label-column NAME."
            )
    elif label and header is not None and label_column is None:
        notices.append(f"The labels are taken from the column {header[label]!r}.")
    if count < 2 or square_side(len(rest)) is None:
        raise DataError(
            "A table of images has a label and a square number of pixels in each line, 1 + 28·28 = 785 columns say; "
            f"{path} has {count:,} column{'s' * (count > 1)}, its first line is {excerpt(line)}."
        )
    if numbered:
        notices.append(f"The first line, {', '.join(fields[:4])}, …, is taken for a header.")
    return label, tuple(rest), notices


def _label_by_name(header: Sequence[str] | None, path: PathLike) -> int | None:
    """The column whose name tells that it is the label."""
    named = [column for column, name in enumerate(header or ()) if name.casefold() in LABEL_NAMES]
    if len(named) > 1:
        assert header is not None
        raise DataError(
            f"{path} has {len(named)} columns that could be the label, {listed([header[i] for i in named])}. "
            "Name one with label_column (--label-column)."
        )
    return named[0] if named else None


def _named(column: int | str, header: Sequence[str] | None, count: int, path: PathLike) -> int:
    """The place of a column that the user named."""
    names = [name.casefold() for name in header or ()]
    place: int | None = None
    if isinstance(column, str):
        wanted = column.strip()
        if wanted.casefold() in names:
            return names.index(wanted.casefold())
        place = {"first": 0, "last": -1}.get(wanted.casefold(), int(wanted) if is_whole(wanted) else None)
    else:
        place = int(column)
    if place is None or not -count <= place < count:
        there = f"named {listed(header)}, or " if header else ""
        raise ValueError(
            f"label_column must be one of the {count:,} columns of {path}, {there}from 0 to {count - 1}, or -1 for the "
            f"last; got {column!r}."
        )
    return place % count


def square_side(pixels: int) -> tuple[int, int] | None:
    """Channels and side of a square image of so many values; None if there is none."""
    for channels, least in ((1, 1), (3, _LEAST_COLOURED)):
        side = math.isqrt(max(pixels, 0) // channels)
        if side >= least and channels * side * side == pixels:
            return channels, side
    return None


def excerpt(text: str) -> str:
    """Show text of a file in an error message, on one line and not too long."""
    return repr(text if len(text) <= 40 else text[:40] + "…")
