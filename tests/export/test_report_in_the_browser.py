"""The page of ``handconv report`` in a browser and on paper; what stands in it is tested with the command line."""

from pathlib import Path

import pytest

import handconv as hc
from handconv.cli import main, report

from .conftest import PHONE, Open, complaints

pytest.importorskip("matplotlib", reason="the report is drawn by matplotlib")


PAPER = {"width": 688, "height": 1017}  # A4 without its margins of 14 mm


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the bundled model, without what takes long to draw."""
    folder = tmp_path_factory.mktemp("report")
    hc.zoo.trained_reference().save(folder / "model.npz")
    whole, slow = report._sections, ("Its neighbourhoods", "What each class looks for")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_sections", lambda *given: [each for each in whole(*given) if each.title not in slow])
        path = folder / "report.html"
        assert main(["report", str(folder / "model.npz"), "--dataset", "digits", "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(device: str, scheme: str, report_page: Path, axe: str, open_page: Open) -> None:
    page = open_page(report_page, color_scheme=scheme, **(PHONE if device == "phone" else {}))
    assert complaints(page, axe) == []


@pytest.mark.parametrize(
    ("scheme", "media", "ground"),
    [
        ("light", "screen", "rgb(255, 255, 255)"),
        ("dark", "screen", "rgb(16, 18, 23)"),
        ("dark", "print", "rgb(255, 255, 255)"),
    ],
)
def test_the_page_is_dark_where_the_screen_is_and_paper_stays_white(
    scheme: str, media: str, ground: str, report_page: Path, open_page: Open
) -> None:
    page = open_page(report_page, color_scheme=scheme)
    page.emulate_media(media=media, color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


@pytest.mark.parametrize("width", [320, 390, 720, 1280])
def test_the_page_is_as_wide_as_the_screen(width: int, report_page: Path, open_page: Open) -> None:
    page = open_page(report_page, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_a_section_fits_half_a_page_and_a_tall_one_a_page(report_page: Path, open_page: Open) -> None:
    page = open_page(report_page, viewport=PAPER)
    page.emulate_media(media="print")
    script = "(which) => [...document.querySelectorAll(which)].map((section) => section.offsetHeight)"
    low, tall = page.evaluate(script, "section:not(:has(.tall))"), page.evaluate(script, "section:has(.tall)")
    assert len(low) > 5
    assert max(low) < PAPER["height"] / 2
    assert len(tall) > 1
    assert max(tall) < PAPER["height"]


def test_on_paper_no_picture_is_less_than_half_its_size(report_page: Path, open_page: Open) -> None:
    page = open_page(report_page, viewport=PAPER)
    page.emulate_media(media="print")
    script = "[...document.images].map((image) => image.offsetWidth / 96 / image.style.getPropertyValue('--inches'))"
    assert min(page.evaluate(script)) > 0.5  # letters of 10 points have 5


def test_the_table_of_layers_has_a_row_each_and_fits_the_paper(report_page: Path, open_page: Open) -> None:
    page = open_page(report_page, viewport=PAPER)
    page.emulate_media(media="print")
    table = page.locator(".layers table")
    assert table.locator("tr").count() == 1 + 1 + 12 + 1  # head, input, layers, sum
    assert table.bounding_box()["width"] <= PAPER["width"]


def test_on_a_phone_each_picture_fits_and_a_touch_enlarges_it(report_page: Path, open_page: Open) -> None:
    page = open_page(report_page, **PHONE)
    assert page.locator(".hint").is_visible()
    wide = "[...document.querySelectorAll('.picture')].filter((each) => each.scrollWidth > each.clientWidth).length"
    assert page.evaluate(wide) == 0
    scale = "(image) => image.offsetWidth / image.style.getPropertyValue('--inches')"
    for place in range(page.locator(".picture").count()):
        page.locator(".picture").nth(place).tap()
        assert page.locator(".picture img").nth(place).evaluate(scale) == pytest.approx(72, rel=0.01)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]


def test_on_a_desktop_no_touch_is_asked_for(report_page: Path, open_page: Open) -> None:
    assert not open_page(report_page, viewport={"width": 1280, "height": 800}).locator(".hint").is_visible()
