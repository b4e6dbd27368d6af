"""Measure how long the page of a model computes while one draws: ink, network, heat map, and the drawing of all of it.

    python scripts/measure_page.py [MODEL.npz]          # needs Playwright and chromium

A stroke is drawn point by point; for each point the times are taken in the page, in milliseconds.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import handconv as hc
from handconv.utils.optional_imports import import_optional

_STROKE = """() => {
    const steps = { ink: [], network: [], pictures: [] };
    const timed = (name, work) => {
        const start = performance.now();
        const made = work();
        steps[name].push(performance.now() - start);
        return made;
    };
    const points = Array.from({ length: 300 }, (_, k) => [0.5 + 0.3 * Math.sin(k / 24), 0.15 + 0.7 * (k / 300)]);
    for (let k = 2; k < points.length; k++) {
        drawing = { image: null, strokes: [{ width: 0.075, points: points.slice(0, k) }] };
        const image = timed("ink", pixelsOf);
        timed("network", () => {
            activations = forward(network, image);
            probabilities = probabilitiesOf(network, activations[activations.length - 1]);
        });
        timed("pictures", paint);
    }
    return steps;
}"""


def main() -> None:
    """Export, open, draw, and print the medians."""
    model = hc.load(sys.argv[1]) if len(sys.argv) > 1 else hc.zoo.trained_reference()
    playwright: Any = import_optional("playwright.sync_api", extra="browser")
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as engines:
        path = Path(folder) / "page.html"
        hc.export_html(model, path)
        page = engines.chromium.launch(executable_path=shutil.which("chromium")).new_page()
        page.goto(path.as_uri())
        page.evaluate(_STROKE)  # the first stroke is compiled
        steps = page.evaluate(_STROKE)
        total = np.sum(list(steps.values()), axis=0)
        for name, times in (*steps.items(), ("a point of a stroke, in all", total)):
            print(f"{name:28}  median {np.median(times):6.2f} ms   worst of 100 {np.quantile(times, 0.99):6.2f} ms")


if __name__ == "__main__":
    main()
