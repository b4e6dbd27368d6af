"""An explanation: sections of formulas, shapes and numbers, and how they look in a terminal of 80 columns.

A section is made of three kinds of parts: a ``Line`` of words and numbers, a ``Table``, and ``Matrices`` that stand
side by side. Numbers are kept as they are and rounded where they are shown.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = tuple[int, ...]

_WIDTH = 78
_NO_BREAK = "\xa0"
#: What is read as one word: x[c, i + u, j + v].
INDEX = re.compile(r"\w+\[[\w ,·+-]+\]")
_SHADES = " .:-=+*%@"
_MOST_CELLS = 81  # of a matrix that is written out in numbers


def rounded(value: float, digits: int = 4) -> str:
    """Write a number with four significant digits.

    Example:
        >>> rounded(0.5), rounded(-0.0), rounded(1 / 3), rounded(53866.0), rounded(0.0000123456)
        ('0.5', '0', '0.3333', '53866', '1.235e-05')
    """
    number = float(value)
    if number.is_integer() and abs(number) < 1e9:
        return str(int(number))
    return f"{number:.{digits}g}"


@dataclass(frozen=True)
class Line:
    """A sentence or an equation with its numbers.

    Args:
        template: the text; a name in braces stands for a number.
        numbers: the numbers by name.
    """

    template: str
    numbers: dict[str, float]

    def __str__(self) -> str:
        def shown(mark: re.Match[str]) -> str:
            before, value = mark[1], rounded(self.numbers[mark[2]])
            if not value.startswith("-") or not before:
                return before + value
            return f"- {value[1:]}" if before == "+ " else f"{before}({value})"

        return re.sub(r"(· |- |\+ |)\{(\w+)\}", shown, self.template)


@dataclass(frozen=True)
class Table:
    """Rows of names and numbers under a head.

    Args:
        head: the names of the columns.
        rows: the cells; the last row of a sum is its total.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]

    @property
    def cells(self) -> list[list[str]]:
        """The cells as they are shown."""
        return [[cell if isinstance(cell, str) else rounded(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers in rows and columns, some of which are marked.

    Args:
        name: what they are.
        values: (rows, columns).
        marked: the cells that the text speaks of.
    """

    name: str
    values: NDArray[Any]
    marked: tuple[tuple[int, int], ...] = ()

    @property
    def written_out(self) -> bool:
        """Whether its numbers are shown, and not a picture of them."""
        return self.values.size <= _MOST_CELLS and self.values.shape[1] <= 9

    @property
    def cells(self) -> list[list[str]]:
        """The numbers as they are shown, so rounded that the greatest has three digits."""
        greatest = float(np.abs(self.values[np.isfinite(self.values)]).max(initial=0))
        short = [[rounded(value, 3) for value in row] for row in self.values]
        decimals = 2 - math.floor(math.log10(greatest)) if greatest else 0
        if decimals > 5 or all(len(cell.lstrip("-")) <= 4 for row in short for cell in row):
            return short
        digits = max(3, decimals) if greatest < 10 else max(0, decimals)  # a small step of a weight is to be seen
        return [[f"{value:.{digits}f}" if value else "0" for value in row] for row in self.values]


@dataclass(frozen=True, eq=False)
class Matrices:
    """Matrices side by side.

    Args:
        items: the matrices.
        signs: what stands between them, one less than there are matrices.
    """

    items: tuple[Matrix, ...]
    signs: tuple[str, ...] = ()

    @property
    def written_out(self) -> bool:
        """Whether all numbers are shown."""
        return all(matrix.written_out for matrix in self.items)


@dataclass(frozen=True, eq=False)
class Section:
    """One station of the step.

    Args:
        phase: "forward", "loss", "backward" or "update"; "start" and "end" frame them.
        title: what is computed.
        formula: its equations.
        shapes: of what goes in and comes out.
        parts: the numbers.
    """

    phase: str
    title: str
    formula: tuple[str, ...]
    shapes: str
    parts: tuple[Line | Table | Matrices, ...]

    @property
    def numbers(self) -> dict[str, Any]:
        """All numbers by name, for programs; what is told of a second number of the same name is ``name_2``."""
        found: dict[str, Any] = {}

        def add(name: str, value: object) -> None:
            key, count = name, 1
            while key in found and found[key] != value:
                count += 1
                key = f"{name}_{count}"
            found[key] = value

        for part in self.parts:
            if isinstance(part, Line):
                for name, number in part.numbers.items():
                    add(name, float(number))
            elif isinstance(part, Table):
                add(part.head[0] or "terms", [dict(zip(part.head, row, strict=True)) for row in part.rows])
            else:
                for matrix in part.items:
                    add(matrix.name, matrix.values.tolist())
        return found

    def __str__(self) -> str:
        rule = f"-- {_cut(f'{self.phase}: {self.title}', _WIDTH - 6)} "
        lines = [rule + "-" * max(2, _WIDTH - len(rule))]
        lines += [
            row
            for formula in self.formula
            for piece in (pieces(formula) if len(formula) + 4 > _WIDTH else [formula])
            for row in _wrapped(piece, "    ")
        ]
        lines += [*_wrapped(f"shapes: {self.shapes}", "    "), ""] if self.shapes else []
        for part in self.parts:
            if isinstance(part, Line):
                lines += _wrapped(str(part), "  ")
            else:
                shown = _table(part) if isinstance(part, Table) else _matrices(part)
                lines += ["", *(f"    {line}".rstrip() for line in shown), ""] if shown else []
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip()


@dataclass(frozen=True, eq=False)
class Explanation:
    """One training step, narrated.

    Args:
        title: of the whole.
        sections: the stations of the step, in order.
    """

    title: str
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return "\n\n".join([self.title, *map(str, self.sections)])

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)


def pieces(formula: str) -> list[str]:
    """The equations that stand side by side in a line of formulas."""
    return re.split(" {3,}", formula)


def _wrapped(text: str, indent: str) -> list[str]:
    kept = INDEX.sub(lambda index: index[0].replace(" ", _NO_BREAK), text)
    rows = textwrap.wrap(
        kept, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
    return [row.replace(_NO_BREAK, " ") for row in rows] or [""]


def _table(table: Table) -> list[str]:
    rows = [list(table.head), *table.cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > _WIDTH - 4:  # long names of layers are cut
        longest = widths.index(max(widths))
        widths[longest] -= 1
    return [
        "  ".join(
            _cut(cell, width).ljust(width) if place == 0 else _cut(cell, width).rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _matrices(part: Matrices) -> list[str]:
    """Side by side if that fits, else one below the other; a great matrix in shades, several of them not at all."""
    fits = part.written_out and all(len(_written(each, roomy=False)[0]) <= _WIDTH - 4 for each in part.items)
    if not fits:
        return _shaded(part.items[0]) if len(part.items) == 1 and part.items[0].values.shape[1] * 2 < _WIDTH - 4 else []
    blocks = [_written(matrix, roomy=True) for matrix in part.items]
    signs = [*(f" {sign} " for sign in part.signs), *["   "] * len(blocks)][: len(blocks) - 1]
    height = max(len(block) for block in blocks)
    room = _WIDTH - 4 - sum(map(len, signs))
    if sum(len(block[0]) for block in blocks) > room:
        blocks = [_written(matrix, roomy=False) for matrix in part.items]
    if sum(len(block[0]) for block in blocks) > room:
        return [line for block in blocks for line in [*block, ""]][:-1]
    blocks = [[*block, *[" " * len(block[0])] * (height - len(block))] for block in blocks]
    middle = 1 + (height - 1) // 2
    lines = []
    for row in range(height):
        pieces = [blocks[0][row]]
        for sign, block in zip(signs, blocks[1:], strict=True):
            pieces += [sign if row == middle else " " * len(sign), block[row]]
        lines.append("".join(pieces))
    return lines


def _written(matrix: Matrix, *, roomy: bool) -> list[str]:
    """A name, and the numbers below it; marked ones stand in brackets."""
    shown = matrix.cells
    width = max(len(cell) for row in shown for cell in row)
    between = {(False, False): " ", (False, True): "[", (True, False): "]", (True, True): "|"}
    if roomy:
        between = {pair: f" {edge}" if edge == "[" else f"{edge} " for pair, edge in between.items()}
    lines = []
    for i, row in enumerate(shown):
        marks = [False, *((i, j) in matrix.marked for j in range(len(row))), False]
        edges = [between[pair] for pair in itertools.pairwise(marks)]
        cells_of_row = "".join(f"{edge}{cell.rjust(width)}" for edge, cell in zip(edges, row, strict=False))
        lines.append(cells_of_row + edges[-1])
    full = max(len(matrix.name), len(lines[0]))
    return [matrix.name.ljust(full), *(line.ljust(full) for line in lines)]


def _shaded(matrix: Matrix) -> list[str]:
    """A picture of shades, two characters a cell; marked cells begin with a bracket."""
    values = matrix.values.astype(float)
    low, high = values.min(), values.max()
    steps = ((values - low) / (high - low or 1) * (len(_SHADES) - 1)).round().astype(int)
    lines = [
        "".join(("[" if (i, j) in matrix.marked else _SHADES[step]) + _SHADES[step] for j, step in enumerate(row))
        for i, row in enumerate(steps)
    ]
    return [matrix.name, *(f"|{line}|" for line in lines)]


def plane(name: str, values: NDArray[Any], *marked: Index) -> Matrix:
    """A matrix of a plane (H, W), or of a vector as one row."""
    array = np.array(values)
    if array.ndim == 1:
        array, marked = array[None], tuple((0, *index) for index in marked)
    return Matrix(name, array, tuple((int(index[0]), int(index[1])) for index in marked))
