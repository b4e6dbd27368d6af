"""Take the pictures of the product that the README shows: the page to draw on, a step in numbers, a report.

python scripts/make_pictures.py          # needs Playwright, chromium and matplotlib; writes into docs/figures/

All three are of the bundled model and the embedded digits, so that they come out alike anywhere.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import handconv as hc
from handconv.cli import main as handconv
from handconv.utils.optional_imports import import_optional

TARGET = Path(__file__).resolve().parent.parent / "docs" / "figures"
WIDTH = 1280
MOST = 150_000  # bytes of a picture
_SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def take(page: Any, name: str, first: str, last: str) -> None:
    """Take a picture of the page from the top of one element to the end of another."""
    page.evaluate(_SETTLED)
    top, bottom = (page.locator(each).first.bounding_box() for each in (first, last))
    height = bottom["y"] + bottom["height"] - top["y"] + 24
    left, width = max(0, top["x"] - 20), min(WIDTH, top["width"] + 40)
    path = TARGET / name
    page.screenshot(
        path=str(path), full_page=True, clip={"x": left, "y": max(0, top["y"] - 12), "width": width, "height": height}
    )
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    if path.stat().st_size > MOST:
        sys.exit(f"{name} has more than {MOST / 1000:.0f} kB. Show less of the page.")


def main() -> None:
    """Write the pages, open them, take the pictures."""
    playwright: Any = import_optional("playwright.sync_api", extra="browser")
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as engines:
        os.environ["HANDCONV_CACHE"] = folder  # no run but the bundled model
        drawing, step, report = (Path(folder) / f"{name}.html" for name in ("drawing", "step", "report"))
        digits = hc.datasets.load("digits")
        hc.export_html(hc.trained_reference_network(), drawing, digits.x_test, digits.y_test)
        for line in (["explain", "--toy", "--html", str(step)], ["report", "--dataset", "digits", "--out", str(report)]):
            if handconv(line):
                sys.exit(1)
        browser = engines.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": 860}, color_scheme="light")
        page.goto(drawing.as_uri())
        page.evaluate("look(4, 2 * 121 + 5 * 11 + 5, true)")
        page.wait_for_timeout(500)  # the heat map is computed meanwhile
        page.screenshot(path=str(TARGET / "page-light.png"))
        print(f"{TARGET / 'page-light.png'}: {(TARGET / 'page-light.png').stat().st_size / 1000:.0f} kB")
        page.goto(step.as_uri())
        take(page, "explain.png", "#s1", "#s3")
        page.goto(report.as_uri())
        page.wait_for_load_state()
        speaks = "section:has(h2:text('What speaks'))"
        take(page, "report.png", speaks, speaks)
        browser.close()


if __name__ == "__main__":
    main()
