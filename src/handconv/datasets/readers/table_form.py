"""How a table of images is written, told from its first lines: delimiter, header, the columns of label and pixels.

A first line is a header if one of its fields names the label, if most of them are no numbers, or if they are the
numbers 0, 1, 2, …; a row of pixels is none of these, whatever stands in the place of its label. In a header the pixels
have names that differ by their numbers, pixel0, pixel1, …: what has another name is the label, or is left out.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from handconv.datasets.paths import PathLike
from handconv.datasets.readers.parts import part_of
from handconv.datasets.readers.samples import is_whole, listed
from handconv.errors import DataError

LABEL_NAMES = ("label", "class", "target", "y", "digit")
"""The names by which a header tells the column of the classes, in upper or lower case."""

LabelColumn = int | str | None
"""A place counted from 0 (-1 is the last), a name in the header, "first", "last", or None: found by itself."""

_PART_NAMES = ("usage", "split", "set", "subset", "part", "partition", "fold")  # columns that tell the parts of a set
_INDEX_NAMES = ("", "id", "index", "imageid", "image_id", "unnamed: 0")
# Other texts, by how their first line begins.
_OTHERS = {
    "a web page": r"\s*<",
    "a JSON file": r"\s*(?:\{|\[(?!\s*[\d.]+[\s,;]))",
    "an ARFF file": r"\s*(?:%|@relation)",
    "a LibSVM file": r"\S+(?: +\d+:\S+)+\s*$",
}
_LOOKED_AT = 1 << 17  # characters in which a decimal comma is looked for
_ROWS = 200  # that are looked at to tell labels from pixels where there is no header
_ENOUGH_ROWS = 20
_LARGEST_CLASS = 100  # a greater number is hardly a label where there are few rows
_RUN = 10  # a first line of at least so many numbers 0, 1, 2, … is a header
_IMAGE_NAME = re.compile(r"\.(?:png|jpe?g|jfif|bmp|gif|tiff?|webp)$", re.IGNORECASE)
_COLOURS_OF_A_PIXEL = 3
_COLOUR = re.compile(r"(?<![a-z])(?:r|g|b|red|green|blue)(?![a-z])")
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
        ids: the column that numbers or names the rows; None if there is none.
        ids_name: its name, if there is a header.
        part: the column that tells what an image is for, training or test; None if there is none.
        part_name: its name, or its place.
        notices: what was taken for granted.
    """

    delimiter: str
    decimal: str
    columns: int
    label: int | None
    pixels: tuple[int, ...]
    ids: int | None
    ids_name: str
    part: int | None
    part_name: str
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
    others = [kind for kind, pattern in _OTHERS.items() if re.match(pattern, line, re.IGNORECASE)]
    for kind in others:
        remedy = "Fetch it again." if kind == "a web page" else "Save it as a CSV file."
        raise DataError(f"{path} is {kind} and no table: its first line is {excerpt(line)}. {remedy}")
    if not re.search(r"[\t;|,]", line) and re.search(r"[\t;|,]", after.partition("\n")[0]):
        raise DataError(
            f"{path} begins with the line {excerpt(line)}, which is neither names nor numbers as those after it. Take "
            "it out."
        )
    delimiter = delimiter or next((mark for mark in "\t;|," if mark in line), " " if " " in line.strip() else ",")
    comma = r'"\d+,\d+"' if delimiter == "," else r"\d,\d"
    decimal = "," if re.search(comma, rest[:_LOOKED_AT]) else "."
    try:
        names = cut_fields(line, delimiter)
    except csv.Error as error:
        raise DataError(f"{path} is no table of images: its first line is {excerpt(line)} ({error}).") from error
    is_header = _is_header(names, decimal, has_more=bool(after.strip()))
    header = tuple(names) if is_header else None
    rows = [row for row in _rows(after, delimiter) if len(row) == len(names)]
    rows = rows if is_header else [names, *rows]
    label = _label_by_name(header, path) if label_column is None else _named(label_column, header, len(names), path)
    part = _part_column(header, rows, label)
    kept = [column for column in range(len(names)) if column != part]
    label, pixels, left_out, notices = _columns(
        [names[column] for column in kept],
        None if header is None else [header[column] for column in kept],
        [[row[column] for column in kept] for row in rows],
        path,
        None if label is None else kept.index(label),
        label_column is None,
        line,
    )
    pixels = [kept[column] for column in pixels]
    if header is not None and (ordered := _in_order(header, pixels)) != pixels:
        first = ", ".join(header[column] for column in ordered[:3])
        notices.append(f"The pixels stand in another order; they are put in that of their names: {first}, …")
        pixels = ordered
    if label == 0 and label_column is None and header is None and _is_doubtful(rows):
        notices.append(
            "The labels are taken from the first column; so few rows do not tell. Others: --label-column last."
        )
    numbering = [column for column in left_out if header is None or header[kept[column]].casefold() in _INDEX_NAMES]
    ids = numbering[0] if numbering else None
    ids_name = "" if ids is None or header is None else header[kept[ids]]
    form = Form(
        delimiter,
        decimal,
        len(names),
        None if label is None else kept[label],
        tuple(pixels),
        None if ids is None else kept[ids],
        ids_name,
        part,
        "" if part is None else f"column {part + 1}" if header is None else f"column {header[part]!r}",
        tuple(notices),
    )
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


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows that can be cut, to see what stands in a column."""
    try:
        return [cut_fields(line, delimiter) for line in islice(io.StringIO(text), _ROWS) if line.strip()]
    except csv.Error:
        return []


def _columns(
    fields: Sequence[str],
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    path: PathLike,
    label: int | None,
    is_sought: bool,
    line: str,
) -> tuple[int | None, list[int], list[int], list[str]]:
    """Find the column of the label, those of the pixels, and those of neither; tell what was taken for granted."""
    count, notices = len(fields), []
    by_name = None if header is None else _pixels_by_name(header, label)
    rest = [column for column in range(count) if column != label] if by_name is None else by_name
    numbered = header is not None and all(_is_number(name, ".") for name in header)
    if by_name is not None and header is not None:
        label, left_out = _beside(header, by_name, label, path)
    else:
        indexed = label != 0 and (header[0].casefold() in _INDEX_NAMES if header is not None else _counts(rows))
        fits = [square_side(len(rest) - fewer) is not None for fewer in range(3)]
        if header is None and label is None and fits[1]:
            indexed = False  # labels that count
        left_out = rest[:1] if indexed and not fits[0] and (fits[1] or (label is None and fits[2])) else []
        rest = rest[len(left_out) :]
        if label is None and square_side(len(rest)) is None:
            label = _unnamed_label(rows, rest) if header is None else rest[0]
            rest = [column for column in rest if column != label]
    if left_out == [0] and (header is None or header[0].casefold() in _INDEX_NAMES):
        first = f"The first column, {fields[0]!r}," if header is not None else "The first column"
        notices.append(f"{first} numbers the rows; it is left out.")
    elif left_out:
        names = listed([repr(fields[column]) for column in left_out])
        notices.append(f"Columns that are neither label nor pixels are left out: {names}.")
    if label is not None and is_sought and header is not None and not numbered:
        if header[label].casefold() not in LABEL_NAMES:
            notices.append(
                f"No column is named {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}; the labels are taken from the "
                f"column {header[label]!r}. Another one: --label-column NAME."
            )
        elif label:
            notices.append(f"The labels are taken from the column {header[label]!r}.")
    elif is_sought and header is None and label is not None and label > len(left_out):
        place = "the last column" if label == count - 1 else f"column {label + 1}"
        notices.append(f"The labels are taken from {place}. Another one: --label-column first.")
    names_files = any(_IMAGE_NAME.search(row[column]) for row in rows[:1] for column in rest)
    if count < 2 or square_side(len(rest)) is None or names_files:
        raise _no_image(names_files, count, line, path)
    if numbered:
        notices.append(f"The first line, {', '.join(fields[:4])}, …, is taken for a header.")
    return label, rest, left_out, notices


def _no_image(names_files: bool, count: int, line: str, path: PathLike) -> DataError:
    """The error for rows that are no images."""
    if names_files:
        return DataError(
            f"A table of images has their pixels; {path} has the names of files. Put each file into a folder that has "
            "the name of its class, and give the folder around these."
        )
    return DataError(
        "A table of images has a label and a square number of pixels in each line, 1 + 28·28 = 785 columns say; "
        f"{path} has {count:,} column{'s' * (count > 1)}, its first line is {excerpt(line)}."
    )


def _part_column(header: Sequence[str] | None, rows: Sequence[Sequence[str]], label: int | None) -> int | None:
    """The column that tells training from test images: by its name, or as all its words do."""
    width = len(rows[0]) if rows else 0
    named = [column for column, name in enumerate(header or ()) if name.casefold() in _PART_NAMES]
    worded = [column for column in range(width) if part_of(rows[0][column])]
    worded = [column for column in worded if all(part_of(row[column]) for row in rows)]
    return next((column for column in (*worded, *named) if column != label), None)


def _pixels_by_name(header: Sequence[str], label: int | None) -> list[int] | None:
    """The columns whose names differ by their numbers only, if there are as many as an image has pixels."""
    stems = [_COLOUR.sub("", re.sub(r"\d+", "", name.casefold())) for name in header]
    counts = Counter(stem for column, stem in enumerate(stems) if column != label).most_common(2)
    stem, most = counts[0] if counts else ("", 0)
    if most < 2 or (len(counts) > 1 and counts[1][1] == most) or square_side(most) is None:
        return None
    return [column for column, name in enumerate(stems) if name == stem and column != label]


def _in_order(header: Sequence[str], pixels: Sequence[int]) -> list[int]:
    """Put the columns of pixels into the order that the numbers in their names tell, if they tell one.

    These count the pixels, or they are row and column (column and row after x and y), and perhaps the colour, which may
    be a word too.
    """
    places = [_place(header[column]) for column in pixels]
    if len(set(map(len, places))) != 1:
        return list(pixels)
    axes = [sorted(set(axis)) for axis in zip(*places, strict=True)]
    used = [number for number, axis in enumerate(axes) if len(axis) > 1]
    if len(used) > 1 and re.search(r"x\D*\d+\D*y\D*\d|col\D*\d+\D*row\D*\d", header[pixels[0]].casefold()):
        used[:2] = used[1::-1]
    if len(used) > 1:
        used.sort(key=lambda number: len(axes[number]) == _COLOURS_OF_A_PIXEL)  # the colour changes first
    count = math.prod(len(axes[number]) for number in used)
    follow = all(axes[number][-1] - axes[number][0] < len(axes[number]) for number in used)
    keys = [tuple(place[number] for number in used) for place in places]
    if not follow or not count == len(set(keys)) == len(pixels):
        return list(pixels)
    return [column for _, column in sorted(zip(keys, pixels, strict=True))]


def _place(name: str) -> tuple[int, ...]:
    """The numbers in a name, and the colour: 0 red, 1 green, 2 blue; -1 if it names none."""
    colour = _COLOUR.search(re.sub(r"\d+", " ", name.casefold()))
    return (*map(int, re.findall(r"\d+", name)), -1 if colour is None else "rgb".index(colour[0][0]))


def _beside(
    header: Sequence[str], pixels: Sequence[int], label: int | None, path: PathLike
) -> tuple[int | None, list[int]]:
    """The column of the label among those that are no pixels, and the columns that are left out."""
    others = [column for column in range(len(header)) if column != label and column not in set(pixels)]
    if label is None:
        names = [column for column in others if header[column].casefold() not in _INDEX_NAMES]
        if len(names) > 1:
            raise DataError(
                f"{path} has {len(names)} columns beside the pixels, {listed([header[column] for column in names])}, "
                "and none of them is named label. Name that of the labels with label_column (--label-column)."
            )
        label = names[0] if names else None
    return label, [column for column in others if column != label]


def _counts(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column counts the rows, from 0 or from 1."""
    column = [row[0] for row in rows]
    return len(column) > 1 and any(
        column == [str(number) for number in range(start, start + len(column))] for start in (0, 1)
    )


def _unnamed_label(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> int:
    """The column of the labels where no header tells: the only one of texts, the last, or the first."""
    texts = [column for column in columns if not any(_is_number(row[column].replace(",", "."), ".") for row in rows)]
    if len(texts) == 1 < len(rows):
        return texts[0]
    return columns[-1] if _is_last_label(rows, columns[0]) else columns[0]


def _is_last_label(rows: Sequence[Sequence[str]], first: int) -> bool:
    """Whether the last column can hold the labels, and the first one cannot, where no header tells.

    A text, or a number above 255, is no pixel. What is 0 or 255 in every row, or has another value in most of them, is
    no label, if the last column has a few numbers that come again.
    """
    front, back = {row[first] for row in rows}, {row[-1] for row in rows}
    if not any(map(_is_pixel, back)):
        return all(map(_is_pixel, front)) and not (len(back) == 1 and all(map(is_whole, back)))
    is_pixels = front <= {"0", "255"} if len(front) == 1 else len(front) > len(rows) / 2
    is_labels = 1 < len(back) <= len(rows) / 4 and all(map(is_whole, back)) and back != {"0", "255"}
    return len(rows) >= _ENOUGH_ROWS and is_pixels and is_labels


def _is_doubtful(rows: Sequence[Sequence[str]]) -> bool:
    """Whether few rows look as if the labels stood last: numbers there, and in front nothing but paper, or grey."""
    front, back = {row[0] for row in rows}, {row[-1] for row in rows}
    is_paper = front <= {"0", "255"} or any(is_whole(value) and int(value) > _LARGEST_CLASS for value in front)
    return len(rows) < _ENOUGH_ROWS and is_paper and len(back) > 1 and all(map(is_whole, back)) and back != {"0", "255"}


def _is_pixel(field: str) -> bool:
    """Whether a field may be the value of a pixel."""
    try:
        return 0 <= float(field.replace(",", ".")) <= 255
    except ValueError:
        return False


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
    elif not isinstance(column, bool | float):
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
