"""The narrated step as a page: the same numbers as in the terminal, with the matrices drawn."""

import html
import re
from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import Explanation, Line, Matrices, Matrix, Section, Table, toy
from handconv.export import explanation_html


def page_of(told: Explanation, folder: Path) -> str:
    explanation_html(told, folder / "step.html")
    return (folder / "step.html").read_text("utf-8")


def test_every_line_and_every_cell_of_the_explanation_is_in_the_page(tmp_path: Path) -> None:
    model, x, y, optimizer = toy()
    told = hc.explain(model, x, y, optimizer=optimizer)
    page = html.unescape(page_of(told, tmp_path))
    for section in told:
        assert section.title in page
        for part in section.parts:
            if isinstance(part, Line):
                assert f">{part}</p>" in page
            else:
                tables = [part] if isinstance(part, Table) else list(part.items)
                for cell in (cell for table in tables for row in table.cells for cell in row):
                    assert f">{cell}</t" in page


def test_marked_cells_are_framed(tmp_path: Path) -> None:
    model, x, y, optimizer = toy()
    told = hc.explain(model, x, y, optimizer=optimizer)
    matrices = [
        matrix for section in told for part in section.parts if isinstance(part, Matrices) for matrix in part.items
    ]
    assert page_of(told, tmp_path).count("<td class=marked") == sum(len(matrix.marked) for matrix in matrices) > 20


def test_a_picture_has_a_square_for_every_number_that_is_not_small(tmp_path: Path) -> None:
    values = np.zeros((12, 12))
    values[3, 4:7], values[5, 2] = 1.0, -1.0
    section = Section("start", "a picture", (), "", (Matrices((Matrix("x", values, ((3, 4),)),)),))
    page = page_of(Explanation("A step", (section,)), tmp_path)
    assert re.findall(r'<path class=(\w+) opacity="1" d="([^"]+)"', page) == [
        ("for", "M4 3h3v1h-3z"),
        ("against", "M2 5h1v1h-1z"),
    ]
    assert '<rect class=frame x="4" y="3" width="1" height="1"/>' in page


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    model = hc.Sequential([hc.Dense(2, name="<script>"), hc.Softmax()], input_shape=(3,), seed=0)
    assert "<script" not in page_of(hc.explain(model, np.ones((1, 3)), [0]), tmp_path)


def test_a_page_is_an_html_file(tmp_path: Path) -> None:
    model, x, y, _ = toy()
    with pytest.raises(ValueError, match=r"Pages are written as \.html files"):
        explanation_html(hc.explain(model, x, y), tmp_path / "step.txt")
