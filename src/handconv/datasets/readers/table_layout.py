"""Two layouts of tables that are brought to one value in a column before they are read.

The pixels of an image in one column, as FER2013 has them, and a label as one column for each class (one-hot):

    emotion,pixels,Usage               1x1,1x2,2x1,2x2,label_0,label_1
    0,70 80 82 72,Training             70,80,82,72,0,1

Both are told from the first lines, and only where these leave no doubt.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from handconv.datasets.paths import PathLike
from handconv.datasets.readers.table_form import LABEL_NAMES, LabelColumn, cut_fields, excerpt, square_side
from handconv.errors import DataError

_PIXELS = re.compile(r"\[?\s*\d+(?:\.\d+)?(?:[\s,;]+\d+(?:\.\d+)?){3,}\s*\]?")  # four numbers, and more
_MARKS = re.compile(r"[\s,;\[\]]+")
_ROWS = 200  # that are looked at
_ENOUGH_ROWS = 20  # to tell a label in many columns where no names help

Rewrite = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Layout:
    """How the lines of a table become lines with one value in a column.

    Args:
        delimiter: what stands between two values.
        row: does that to the fields of a row.
        header: does it to those of the header; None if there is none.
        notices: what was done.
    """

    delimiter: str
    row: Rewrite
    header: Rewrite | None
    notices: tuple[str, ...]


def plain_blocks(blocks: Iterable[str], path: PathLike, label_column: LabelColumn, notices: list[str]) -> Iterator[str]:
    """Bring blocks of whole lines to one value in a column, with as many lines; note what was done.

    Raises:
        DataError: if a row does not have the layout of the first ones.
    """
    layout, is_first, number = None, True, 1
    for block in blocks:
        if is_first and block.strip():
            layout = _tell_layout(block, path, label_column)
            notices += layout.notices if layout is not None else ()
        if layout is None:
            yield block
        else:
            yield "".join(_rewritten(block, layout, path, number, has_header=is_first and layout.header is not None))
        is_first = is_first and not block.strip()
        number += block.count("\n")


def _rewritten(block: str, layout: Layout, path: PathLike, number: int, *, has_header: bool) -> Iterator[str]:
    """Bring the lines of a block to one value in a column."""
    for place, line in enumerate(block.split("\n")[:-1], number):
        if not line.strip(" \t,;|") or (has_header and line.startswith("#")):
            yield f"{line}\n"
            continue
        change = layout.header if has_header and layout.header is not None else layout.row
        has_header = False
        try:
            fields = change(cut_fields(line, layout.delimiter))
        except IndexError as error:
            raise DataError(
                f"{path}, line {place:,}: there are fewer columns than before. Mend this line, or leave it out."
            ) from error
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path}, line {place:,}: {error}. Mend this line, or leave it out.") from error
        written = io.StringIO()
        csv.writer(written, delimiter=layout.delimiter, lineterminator="\n").writerow(fields)
        yield written.getvalue()


def _tell_layout(block: str, path: PathLike, label_column: LabelColumn) -> Layout | None:
    """Tell from its first block whether a table has one of the layouts; None if each value has its column."""
    lines = [line for line in islice(io.StringIO(block), _ROWS) if line.strip() and not line.startswith("#")]
    delimiter = next((mark for mark in "\t;|," if mark in lines[0]), None) if lines else None
    if delimiter is None:
        return None
    try:
        rows = [cut_fields(line, delimiter) for line in lines]
    except csv.Error:
        return None
    rows = [row for row in rows if len(row) == len(rows[0])]
    return _packed(rows, delimiter, path) or (None if label_column is not None else _one_hot(rows, delimiter))


def _packed(rows: Sequence[Sequence[str]], delimiter: str, path: PathLike) -> Layout | None:
    """Tell whether one column holds all pixels of an image."""
    first = rows[min(1, len(rows) - 1)]  # below a header
    packed = [column for column, field in enumerate(first) if _PIXELS.fullmatch(field)]
    if not packed:
        return None
    if len(packed) > 1:
        raise DataError(
            f"An image stands in one column or in one for each pixel; {path} has several in {len(packed)} columns. "
            "Leave one of them."
        )
    place, count = packed[0], len(_numbers(first[packed[0]]))
    has_header = not _PIXELS.fullmatch(rows[0][place])

    def row(fields: list[str]) -> list[str]:
        if len(pixels := _numbers(fields[place])) != count:
            raise ValueError(f"expected {count:,} pixels as before, got {len(pixels):,}, {excerpt(fields[place])}")
        return [*fields[:place], *pixels, *fields[place + 1 :]]

    def header(fields: list[str]) -> list[str]:
        return [*fields[:place], *(f"pixel{number}" for number in range(count)), *fields[place + 1 :]]

    name = repr(rows[0][place]) if has_header else str(place + 1)
    notices = (f"The pixels are taken from the column {name}, {count:,} in each row.",)
    return Layout(delimiter, row, header if has_header else None, notices)


def _numbers(field: str) -> list[str]:
    return [number for number in _MARKS.split(field) if number]


def _one_hot(rows: Sequence[Sequence[str]], delimiter: str) -> Layout | None:
    """Tell whether the label is a column for each class, of which one holds a 1."""
    has_header = bool(rows[1:]) and not all(map(_is_number, rows[0]))
    names, body = (rows[0], rows[1:]) if has_header else (None, rows)
    places = _named_classes(names) if names is not None else _last_classes(body)
    if not places or not all(_hot(row, places) is not None for row in body):
        return None
    if len({_hot(row, places) for row in body}) < 2:
        return None
    classes = [str(number) for number in range(len(places))] if names is None else _ends([names[i] for i in places])

    def without(fields: Sequence[str]) -> list[str]:
        return [field for column, field in enumerate(fields) if column not in chosen]

    def row(fields: list[str]) -> list[str]:
        hot = _hot(fields, places)
        if hot is None:
            ones = [fields[place] for place in places]
            raise ValueError(f"expected a single 1 in the columns of the label, got {excerpt(', '.join(ones))}")
        return [classes[hot], *without(fields)]

    chosen = set(places)
    first, last = (f"{places[0] + 1}", f"{places[-1] + 1}") if names is None else (names[places[0]], names[places[-1]])
    return Layout(
        delimiter,
        row,
        (lambda fields: ["label", *without(fields)]) if names is not None else None,
        (f"The labels are taken from {len(places)} columns, {first} to {last}, one for each class.",),
    )


def _named_classes(names: Sequence[str]) -> list[int]:
    """The columns whose names begin with that of a label, beside a square number of others."""
    pattern = re.compile(rf"(?:{'|'.join((*LABEL_NAMES, 'one_?hot'))})[ _.:-]?[^ _.:-].*", re.IGNORECASE)
    places = [column for column, name in enumerate(names) if pattern.fullmatch(name)]
    rest = len(names) - len(places)
    is_image = any(square_side(rest - fewer) is not None for fewer in range(2))
    exact = any(name.casefold() in LABEL_NAMES for name in names)
    return places if len(places) > 1 and is_image and not exact else []


def _last_classes(rows: Sequence[Sequence[str]]) -> list[int]:
    """The last columns, if they are all that keeps the others from being an image, and there is one way to see it."""
    count = len(rows[0])
    if len(rows) < _ENOUGH_ROWS or any(square_side(count - fewer) is not None for fewer in range(3)):
        return []
    found = []
    for size in range(2, count):
        places = list(range(count - size, count))
        if square_side(count - size) is not None and all(_hot(row, places) is not None for row in rows):
            found.append(places)
    return found[0] if len(found) == 1 else []


def _hot(fields: Sequence[str], places: Sequence[int]) -> int | None:
    """Which of these columns holds a 1, if all others hold a 0."""
    values = [fields[place] for place in places]
    ones = [number for number, value in enumerate(values) if value in ("1", "1.0")]
    return ones[0] if len(ones) == 1 and sum(value in ("0", "0.0") for value in values) == len(values) - 1 else None


def _ends(names: Sequence[str]) -> list[str]:
    """The names without what they all begin with.

    Example:
        >>> _ends(["label_0", "label_1", "label_10"])
        ['0', '1', '10']
    """
    stem = re.match(rf"(?:{'|'.join((*LABEL_NAMES, 'one_?hot'))})[ _.:-]?", names[0], re.IGNORECASE)
    start = stem[0] if stem and all(name.startswith(stem[0]) for name in names) else ""
    return [name[len(start) :] for name in names]


def _is_number(field: str) -> bool:
    try:
        float(field or "nan")
    except ValueError:
        return False
    return True
