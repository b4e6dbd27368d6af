"""Pages in a real browser: Debian's chromium, driven by Playwright."""

import base64
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; the test skips where it or Playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def digits_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the bundled model, with a dozen of the embedded digits."""
    path = tmp_path_factory.mktemp("pages") / "digits.html"
    digits = hc.datasets.load("digits")
    hc.export_html(hc.zoo.trained_reference(), path, digits.x_test, digits.y_test)
    return path


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, digits_page: Path) -> Iterator[Open]:
    """Opens a page, without a network; errors in it, and requests for anything but itself, fail the test."""
    contexts, wrong = [], []

    def open_one(path: Path = digits_page, **options: Any) -> Any:
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(open_page: Open) -> Any:
    """The page of the bundled model."""
    return open_page()


@pytest.fixture
def open_model(open_page: Open, tmp_path: Path) -> Open:
    """Opens the page of a model."""

    def open_one(model: hc.Sequential, images: Any = None, labels: Any = None, **options: Any) -> Any:
        path = tmp_path / "page.html"
        hc.export_html(model, path, images, labels)
        return open_page(path, **options)

    return open_one


def computed(page: Any, images: np.ndarray) -> list[list[float]]:
    """The probabilities that the page computes for images (N, C, H, W) of float32."""
    script = """([base64, size]) => {
        const numbers = new Float32Array(bytesOf(base64).buffer), answers = [];
        for (let start = 0; start < numbers.length; start += size) {
            const found = forward(network, numbers.subarray(start, start + size));
            answers.push([...probabilitiesOf(network, found[found.length - 1])]);
        }
        return answers;
    }"""
    return page.evaluate(script, [base64.b64encode(images.astype("<f4")).decode(), images[0].size])


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from the npm registry; the test skips where that cannot be reached."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("npm, which brings axe-core, is not installed")
    command = [npm, "pack", "axe-core@4", "--silent", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    if done.returncode:
        pytest.skip(f"axe-core cannot be had from the npm registry: {done.stderr.strip()[-100:]}")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        source = archive.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


def complaints(page: Any, axe: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong with a page: the rules, and the elements that break them."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]
