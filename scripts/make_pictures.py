"""Take pictures of pages for the README: the page to draw on, a step in numbers, a report, a notebook.

python scripts/make_pictures.py    # writes into docs/figures/

It needs Playwright with chromium, nbclient with ipykernel, nbconvert, matplotlib and Pillow. All pictures are of the
bundled model or the embedded digits, so that they come out alike anywhere; make_screens.py takes those of the screen.
"""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import handconv as hc
from handconv.cli import main as handconv
from handconv.utils.optional_imports import import_optional

DOCS = Path(__file__).resolve().parent.parent / "docs"
TARGET, NOTEBOOK = DOCS / "figures", DOCS / "learn" / "first-steps.ipynb"
TOOLS = ("nbclient", "nbconvert", "nbformat")
WIDTH = 1280
MOST = 150_000  # bytes of a picture
_SECTION = "section:has(h2:text('What speaks'))"
_HEATED = """() => {
    const canvas = document.getElementById("why");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((_, k) => k % 4 === 0 && data[k] - data[k + 2] > 60);
}"""


def take(page: Any, name: str, first: str | None = None, last: str | None = None) -> None:
    """Take a picture of what is on the screen, or from the top of one element to the end of another."""
    clip = {}
    if first is not None:
        top, bottom = (page.locator(each).bounding_box() for each in (first, last))
        x, y = max(0, top["x"] - 20), max(0, top["y"] - 12)
        height = bottom["y"] + bottom["height"] + 12 - y
        clip = {"full_page": True, "clip": {"x": x, "y": y, "width": top["width"] + 40, "height": height}}
    save(Image.open(io.BytesIO(page.screenshot(**clip))), name)


def save(picture: Image.Image, name: str) -> None:
    """Write a picture in 256 colours: a third of the bytes, and alike to the eye."""
    path = TARGET / name
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB")
    if size > MOST:
        sys.exit(f"{name} has more than {MOST / 1000:.0f} kB. Show less of it.")


def execute(notebook: Path, page: Path) -> None:
    """Run all cells of a notebook, and write it with what they show as a page."""
    nbclient, nbconvert, nbformat = (import_optional(name, extra="notebook") for name in TOOLS)
    cells = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(cells, resources={"metadata": {"path": str(page.parent)}}).execute()
    page.write_text(nbconvert.HTMLExporter().from_notebook_node(cells)[0], "utf-8")


def look_at(browser: Any, drawing: Path, step: Path, report: Path, notebook: Path) -> None:
    """Open the pages and take the pictures."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 780}, color_scheme="light")
    page.goto(drawing.as_uri())
    page.evaluate("look(4, 2 * 121 + 5 * 11 + 5, true)")
    page.wait_for_function(_HEATED)
    take(page, "page-light.png")
    page.goto(step.as_uri())
    take(page, "explain.png", "#s1", "#s3")
    page.goto(report.as_uri())
    take(page, "report.png", _SECTION, _SECTION)
    page.set_viewport_size({"width": 940, "height": 780})
    page.goto(notebook.as_uri())
    take(page, "notebook.png", "[id='cell-id=about-training']", "[id='cell-id=plot'] img")


def main() -> None:
    """Write the pages, open them, take the pictures."""
    playwright: Any = import_optional("playwright.sync_api", extra="browser")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HANDCONV_CACHE"] = folder  # no run but the bundled model
        pages = [Path(folder) / f"{name}.html" for name in ("drawing", "step", "report", "notebook")]
        drawing, step, report, notebook = pages
        execute(NOTEBOOK, notebook)
        digits = hc.datasets.load("digits")
        hc.export_html(hc.zoo.trained_reference(), drawing, digits.x_test, digits.y_test)
        lines = [["explain", "--toy", "--html", str(step)], ["report", "--dataset", "digits", "--out", str(report)]]
        for line in lines:
            if status := handconv(line):
                sys.exit(status)
        with playwright.sync_playwright() as engines:
            browser = engines.chromium.launch(executable_path=shutil.which("chromium"))
            look_at(browser, *pages)
            browser.close()


if __name__ == "__main__":
    main()
