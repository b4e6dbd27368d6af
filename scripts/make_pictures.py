"""Take the pictures of the product that the README shows: the page to draw on, a step in numbers, a report.

python scripts/make_pictures.py          # needs Playwright, chromium, matplotlib and Pillow; writes into docs/figures/

All three are of the bundled model and the embedded digits, so that they come out alike anywhere.
"""

import io
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
_SECTION = "section:has(h2:text('What speaks'))"
_HEATED = """() => {
    const canvas = document.getElementById("why");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((_, k) => k % 4 === 0 && data[k] - data[k + 2] > 60);
}"""


def keep(page: Any, name: str, first: str | None = None, last: str | None = None) -> None:
    """Take a picture of what is on the screen, or from the top of one element to the end of another."""
    path, clip = TARGET / name, {}
    if first is not None:
        top, bottom = (page.locator(each).bounding_box() for each in (first, last))
        x, y = max(0, top["x"] - 20), max(0, top["y"] - 12)
        height = bottom["y"] + bottom["height"] + 12 - y
        clip = {"full_page": True, "clip": {"x": x, "y": y, "width": top["width"] + 40, "height": height}}
    image: Any = import_optional("PIL.Image", extra="cli")
    shot = image.open(io.BytesIO(page.screenshot(**clip))).convert("RGB")
    shot.quantize(256, dither=image.Dither.NONE).save(path, optimize=True)  # a third of the bytes, and alike to the eye
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB")
    if size > MOST:
        sys.exit(f"{name} has more than {MOST / 1000:.0f} kB. Show less of the page.")


def main() -> None:
    """Write the pages, open them, take the pictures."""
    playwright: Any = import_optional("playwright.sync_api", extra="browser")
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as engines:
        os.environ["HANDCONV_CACHE"] = folder  # no run but the bundled model
        drawing, step, report = (Path(folder) / f"{name}.html" for name in ("drawing", "step", "report"))
        digits = hc.datasets.load("digits")
        hc.export_html(hc.zoo.trained_reference(), drawing, digits.x_test, digits.y_test)
        lines = [["explain", "--toy", "--html", str(step)], ["report", "--dataset", "digits", "--out", str(report)]]
        for line in lines:
            if status := handconv(line):
                sys.exit(status)
        browser = engines.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": 780}, color_scheme="light")
        page.goto(drawing.as_uri())
        page.evaluate("look(4, 2 * 121 + 5 * 11 + 5, true)")
        page.wait_for_function(_HEATED)
        keep(page, "page-light.png")
        page.goto(step.as_uri())
        keep(page, "explain.png", "#s1", "#s3")
        page.goto(report.as_uri())
        keep(page, "report.png", _SECTION, _SECTION)
        browser.close()


if __name__ == "__main__":
    main()
