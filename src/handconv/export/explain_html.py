"""A narrated training step as one HTML file: its matrices drawn, in colours for what is positive and what is negative.

The file is ``explanation/page.html`` with the sections put in place. It has no script and sends no request.
"""

import html
import itertools
import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np

from handconv.analysis import Explanation, Line, Matrices, Matrix, Section, Table
from handconv.analysis.explain.explanation import INDEX, pieces
from handconv.serialization.atomic import write_text_atomically

_FIT = 4  # columns of numbers that fit on a phone; more can be scrolled
_HEADS = {
    "start": "What goes in",
    "forward": "Forward: from the input to the scores",
    "loss": "How wrong is it?",
    "backward": "Backward: from the loss to every weight",
    "update": "The update: each weight takes its step",
    "end": "What the step was worth",
}


def explanation_html(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write a narrated training step as one page.

    Every matrix is drawn: small ones with their numbers, great ones as pictures in which the window and the unit that
    the text speaks of are framed.

    Args:
        explanation: what ``handconv.explain`` returned.
        path: the file's name, ending in .html.

    Raises:
        TypeError: if it is no explanation.
        ValueError: if the name does not end in .html.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile, pathlib, handconv as hc
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "step.html"
        >>> model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 2, 2), seed=0)
        >>> explanation_html(hc.explain(model, np.ones((1, 1, 2, 2)), [0]), path)
        >>> path.read_text("utf-8").startswith("<!doctype html>")
        True
    """
    if not isinstance(explanation, Explanation):
        raise TypeError(f"explanation_html writes what handconv.explain returned, got {explanation!r}.")
    if Path(path).suffix != ".html":
        raise ValueError(f"Pages are written as .html files, got the name {os.fspath(path)!r}. Let it end in .html.")
    template = (resources.files("handconv.export") / "explanation" / "page.html").read_text("utf-8")
    pieces = {
        "title": html.escape(explanation.title),
        "contents": _contents(explanation),
        "sections": _body(explanation),
    }
    write_text_atomically(Path(path), re.sub(r"\{\{(\w+)\}\}", lambda mark: pieces[mark[1]], template))


def _phases(explanation: Explanation) -> Iterator[tuple[str, list[tuple[int, Section]]]]:
    """The heading of each phase, with its sections and their numbers."""
    for phase, sections in itertools.groupby(enumerate(explanation), key=lambda numbered: numbered[1].phase):
        yield html.escape(_HEADS[phase]), list(sections)


def _contents(explanation: Explanation) -> str:
    """Links to all sections, phase by phase."""
    items = []
    for heading, sections in _phases(explanation):
        items.append(f"<li class=phase>{heading}</li>")
        items += [f'<li><a href="#s{number}">{html.escape(each.title)}</a></li>' for number, each in sections]
    return f"<ol>{''.join(items)}</ol>"


def _body(explanation: Explanation) -> str:
    parts = []
    for heading, sections in _phases(explanation):
        parts.append(f"<h2>{heading}</h2>")
        parts += [_section(section, number) for number, section in sections]
    return "\n".join(parts)


def _section(section: Section, number: int) -> str:
    rows = [(" " * 8).join(f"<span>{_text(piece)}</span>" for piece in pieces(row)) for row in section.formula]
    return "\n".join(
        [
            f'<section id="s{number}"><h3>{html.escape(section.title)}</h3>',
            "<pre class=formula>{}</pre>".format("\n".join(rows)) if rows else "",
            f"<p class=shapes>shapes: {html.escape(section.shapes)}</p>" if section.shapes else "",
            *(_part(part) for part in section.parts),
            "</section>",
        ]
    )


def _text(text: str) -> str:
    """Text in which an index, as in x[c, i + u, j + v], is not broken over two lines."""
    return INDEX.sub(r"<span class=index>\g<0></span>", html.escape(text))


def _part(part: Line | Table | Matrices) -> str:
    if isinstance(part, Line):
        kind = "equation" if " = " in part.template else "words"
        return f"<p class={kind}>{_text(str(part))}</p>"
    if isinstance(part, Table):
        head = "".join(f"<th scope=col>{html.escape(cell)}</th>" if cell else "<td></td>" for cell in part.head)
        rows = "".join(
            f"<tr><th scope=row>{_text(first)}</th>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
            for first, *rest in part.cells
        )
        table = f"<table class=terms><thead><tr>{head}</thead><tbody>{rows}</tbody></table>"
        return f"<div class=wide tabindex=0>{table}</div>"
    drawn = []
    for place, matrix in enumerate(part.items):
        drawn.append(_numbers(matrix) if matrix.written_out else _picture(matrix))
        if place < len(part.signs):
            sign = {"->": "→"}.get(part.signs[place], part.signs[place])
            drawn.append(f"<span class=sign>{html.escape(sign)}</span>")
    return f"<div class=matrices>{''.join(drawn)}</div>"


def _share(matrix: Matrix) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """How strong the colour of each cell is, from -1 to 1."""
    values = np.where(np.isfinite(matrix.values), matrix.values, 0).astype(np.float64)
    greatest = np.abs(values).max(initial=0)
    return values / greatest if greatest else values


def _numbers(matrix: Matrix) -> str:
    """A table whose cells are coloured by their numbers."""
    shares, rows = _share(matrix), []
    for i, row in enumerate(matrix.cells):
        cells_of_row = []
        for j, cell in enumerate(row):
            colour = "for" if shares[i, j] > 0 else "against"
            strength = round(abs(float(shares[i, j])) * 55)
            marked = " class=marked" if (i, j) in matrix.marked else ""
            cells_of_row.append(
                f'<td{marked} style="background:color-mix(in srgb,var(--{colour}) {strength}%,var(--card))">{cell}</td>'
            )
        rows.append(f"<tr>{''.join(cells_of_row)}</tr>")
    caption = f"<figcaption>{html.escape(matrix.name)}</figcaption>"
    table = f"<table class=matrix>{''.join(rows)}</table>"
    if shares.shape[1] > _FIT:
        table = f"<div class=wide tabindex=0>{table}</div>"
    return f"<figure>{caption}{table}</figure>"


def _picture(matrix: Matrix) -> str:
    """A picture with a square for each number that is not zero, and a frame around what is marked."""
    shares = _share(matrix)
    height, width = shares.shape
    squares = [
        f'<path class={name} opacity="{step / 8:g}" d="{path}"/>'
        for name, sign in (("for", 1), ("against", -1))
        for step in range(1, 9)
        if (path := _squares(np.ceil(sign * shares * 8 - 0.5) == step))
    ]
    frame = ""
    if matrix.marked:
        rows, columns = zip(*matrix.marked, strict=True)
        top, left = min(rows), min(columns)
        size = f'width="{max(columns) - left + 1}" height="{max(rows) - top + 1}"'
        frame = f'<rect class=frame x="{left}" y="{top}" {size}/>'
    caption = f"{matrix.name}: {height} × {width}"
    low, high = float(matrix.values.min()), float(matrix.values.max())
    return (
        f"<figure class=picture><figcaption>{html.escape(caption)}</figcaption>"
        f'<svg viewBox="-.5 -.5 {width + 1} {height + 1}" role=img aria-label="{html.escape(caption)}">'
        f'<rect class=paper width="{width}" height="{height}"/>{"".join(squares)}{frame}</svg>'
        f"<p class=range>{low:.3g} to {high:.3g}</p></figure>"
    )


def _squares(where: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> str:
    """The outline of these cells, run by run along the rows."""
    path = []
    for i, row in enumerate(where):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
        path += [f"M{start} {i}h{stop - start}v1h{start - stop}z" for start, stop in edges.reshape(-1, 2)]
    return "".join(path)
