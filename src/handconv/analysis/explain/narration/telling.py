"""What all narrations are made of: a line with its numbers, a sum with its terms, planes side by side."""

import inspect
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Line, Matrices, Table, plane
from handconv.analysis.explain.path import Index, Passage

_MOST_TERMS = 10

Parts = list[Line | Table | Matrices]


class Told(NamedTuple):
    """Formulas, and the numbers for them."""

    formula: tuple[str, ...]
    parts: Parts


def at(name: str, index: Index) -> str:
    """Write a name with its index.

    Example:
        >>> at("y", (0, 2))
        'y[0, 2]'
    """
    return f"{name}[{', '.join(map(str, index))}]"


def line(template: str, **numbers: Any) -> Line:
    """A line whose numbers are Python's."""
    return Line(template, {name: float(value) for name, value in numbers.items()})


class Term(NamedTuple):
    """One product of a sum."""

    name: str
    first: float
    second: float
    product: float


def sum_of(
    head: tuple[str, str, str], terms: list[Term], total: tuple[str, float], extra: tuple[tuple[str, float], ...] = ()
) -> Table:
    """The greatest terms of a sum one by one, the others together, and the total."""
    greatest = sorted(terms, key=lambda term: -abs(term.product))
    shown = set(map(id, terms if len(terms) <= _MOST_TERMS else greatest[: _MOST_TERMS - 1]))
    rows: list[tuple[str | float, ...]] = [
        (term.name, float(term.first), float(term.second), float(term.product)) for term in terms if id(term) in shown
    ]
    rest = [term.product for term in terms if id(term) not in shown]
    if rest:
        together = "all 0" if not np.any(rest) else "together"
        rows.append((f"{len(rest):,} more, {together}", "", "", float(np.sum(rest, dtype=np.float64))))
    rows += [(name, "", "", float(value)) for name, value in extra]
    return Table((*head, "product"), (*rows, (f"= {total[0]}", "", "", float(total[1]))))


def several(passage: Passage) -> bool:
    """Whether the batch has more than one sample, which the indices then name."""
    return len(passage.x) > 1


def pictures(passage: Passage, names: tuple[str, str], values: tuple[NDArray[Any], NDArray[Any]]) -> Matrices:
    """The planes of images that a unit and its source lie in, as they went through the layer."""
    layer, (source, unit) = passage.layer, (passage.source, passage.unit)
    marked = [source[1:]]
    if hasattr(layer, "geometry"):
        rows, columns = layer.geometry
        cells = [passage.cell(unit[1:], (u, v)) for u, v in np.ndindex(rows.window, columns.window)]
        marked = [(h, w) for h, w in cells if 0 <= h < rows.size and 0 <= w < columns.size]
    return Matrices(
        (
            plane(f"{names[0]}[{source[0]}]", values[0][source[0]], *marked),
            plane(f"{names[1]}[{unit[0]}]", values[1][unit[0]], unit[1:]),
        ),
        ("->",),
    )


def maths(kind: type) -> tuple[str, ...]:
    """The formulas of a layer or a loss, as its own docstring has them; none if it has none."""
    found = re.search(r"^Maths:\n((?: .*\n|\n)+)", inspect.cleandoc(vars(kind).get("__doc__") or ""), re.MULTILINE)
    pieces = [re.split(r" {3,}", text.strip()) for text in (found[1] if found else "").splitlines()]
    kept = ["        ".join(piece for piece in row if "this file" not in piece) for row in pieces]
    return tuple(text for text in kept if text)


def shown_classes(count: int, chosen: int, chances: NDArray[Any], most: int = 12) -> list[int]:
    """Which classes a table has: all of a dozen, else the most probable and the chosen one."""
    if count <= most:
        return list(range(count))
    return sorted({chosen, *np.argsort(-chances)[: most - 1].tolist()})
