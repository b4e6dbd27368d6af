"""The narrated step as a page: the same numbers as in the terminal, with the matrices drawn."""

import html
import re
from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import Explanation, Line, Matrices, Matrix, Section, Table, toy
from handconv.export import explanation_html

from .conftest import PHONE, Open, complaints


@pytest.fixture(scope="module")
def toy_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the toy."""
    model, x, y, optimizer = toy()
    path = tmp_path_factory.mktemp("steps") / "toy.html"
    explanation_html(hc.explain(model, x, y, optimizer=optimizer), path)
    return path


@pytest.fixture(scope="module")
def digit_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a step of the bundled model, with pictures of its maps."""
    path, digits = tmp_path_factory.mktemp("steps") / "digit.html", hc.datasets.load("digits")
    explanation_html(hc.explain(hc.zoo.trained_reference(), digits.x_test[:1], digits.y_test[:1]), path)
    return path


@pytest.fixture(scope="module")
def residual_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a step of the network of the zoo whose layers have the longest names."""
    path, digits = tmp_path_factory.mktemp("steps") / "residual.html", hc.datasets.load("digits")
    explanation_html(hc.explain(hc.zoo.plus(), digits.x_test[:2], digits.y_test[:2]), path)
    return path


def page_of(told: Explanation, folder: Path) -> str:
    explanation_html(told, folder / "step.html")
    return (folder / "step.html").read_text("utf-8")


def test_every_line_and_every_cell_of_the_explanation_is_in_the_page(tmp_path: Path) -> None:
    model, x, y, optimizer = toy()
    told = hc.explain(model, x, y, optimizer=optimizer)
    page = html.unescape(re.sub("</?span[^>]*>", "", page_of(told, tmp_path)))
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


# In the browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("which", ["toy_page", "digit_page"])
def test_axe_finds_nothing(
    which: str, device: str, scheme: str, axe: str, open_page: Open, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(which)
    page = open_page(path, color_scheme=scheme, **(PHONE if device == "phone" else {}))
    assert complaints(page, axe) == []


@pytest.mark.parametrize("width", [320, 390, 720, 1024, 1280, 1920])
def test_no_width_makes_the_page_scroll_sideways(width: int, digit_page: Path, open_page: Open) -> None:
    page = open_page(digit_page, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_path_through_residual_layers_is_seen_with_its_units_and_shapes(
    width: int, residual_page: Path, open_page: Open
) -> None:
    page = open_page(residual_page, viewport={"width": width, "height": 800})
    table = page.locator("#s0 .wide")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert "Residual of 5 layers" in table.inner_text()


def test_an_index_is_not_broken_over_two_lines(residual_page: Path, open_page: Open) -> None:
    page = open_page(residual_page, viewport={"width": 320, "height": 800})
    heights = page.locator(".index").evaluate_all("all => all.map((index) => index.getClientRects().length)")
    assert len(heights) > 100
    assert set(heights) == {1}


def test_equations_that_stand_side_by_side_are_not_broken_where_they_fit_one_below_the_other(
    residual_page: Path, open_page: Open
) -> None:
    page = open_page(residual_page, viewport={"width": 480, "height": 800})
    rows = page.locator("#s2 .formula span").evaluate_all("all => all.map((piece) => piece.offsetTop)")
    assert len(rows) == len(set(rows)) == 2


def test_the_contents_lead_to_every_station(toy_page: Path, open_page: Open) -> None:
    page = open_page(toy_page, viewport={"width": 1280, "height": 800})
    targets = page.locator("nav a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert targets == [f"#{section}" for section in page.locator("section").evaluate_all("all => all.map((s) => s.id)")]
    page.get_by_role("link", name="layer 2, MaxPool2D(2, stride=2)").last.click()
    box = page.locator("section:has-text('dx = dy for the cell that won')").bounding_box()
    assert 0 <= box["y"] < 800


def test_the_theme_is_that_of_the_system(toy_page: Path, open_page: Open) -> None:
    script = "getComputedStyle(document.body).backgroundColor"
    assert open_page(toy_page, color_scheme="dark").evaluate(script) == "rgb(16, 18, 23)"
    assert open_page(toy_page, color_scheme="light").evaluate(script) == "rgb(245, 243, 238)"


def test_what_is_printed_is_light(toy_page: Path, open_page: Open) -> None:
    page = open_page(toy_page, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 243, 238)"


def test_the_colours_of_a_matrix_are_printed(toy_page: Path, open_page: Open) -> None:
    page = open_page(toy_page)
    page.emulate_media(media="print")
    assert page.locator(".matrix td").first.evaluate("td => getComputedStyle(td).printColorAdjust") == "exact"


@pytest.mark.parametrize("width", [320, 390])
def test_a_class_of_the_loss_is_not_broken_over_lines(width: int, digit_page: Path, open_page: Open) -> None:
    page = open_page(digit_page, viewport={"width": width, "height": 800})
    rows = page.get_by_role("rowheader", name=re.compile("^k = "))
    heights = rows.evaluate_all("all => all.map((row) => row.offsetHeight)")
    assert len(heights) == 10
    assert max(heights) < 30


def test_what_is_no_explanation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"explanation_html writes what handconv\.explain returned, got 'text'\."):
        explanation_html("text", tmp_path / "step.html")  # type: ignore[arg-type]
