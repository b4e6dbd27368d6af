"""The figures of docs/, drawn from what ``python -m benchmarks --json FILE`` wrote.

python -m benchmarks.figures bench.json docs/figures
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

Rows = dict[str, dict[str, Any]]

PAPER, INK, FAINT = "#fbfaf7", "#24292f", "#d7d4cc"
OURS, RIVAL, FLOOR = "#d1602b", "#6a7f96", "#f0c3a4"


def main(arguments: list[str] | None = None) -> int:
    """Draw every figure whose rows were measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description="Draw the figures.")
    parser.add_argument("json", type=Path, help="what python -m benchmarks --json wrote")
    parser.add_argument("folder", type=Path, help="where the figures go")
    settings = parser.parse_args(arguments)
    record = json.loads(settings.json.read_text("utf-8"))
    if "rows" not in record:
        parser.error(f"the figures show handconv and its peers, and {settings.json} was written with --against")
    rows = {row["name"]: row for row in record["rows"]}
    facts = record["environment"]
    where = f"{facts['processor'].split(', caches')[0]}, {facts['cores'].split(' of')[0]} cores"
    settings.folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams |= {"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    for name, draw in FIGURES.items():
        figure = draw(rows)
        if figure is None:
            print(f"{name}: its rows were not measured")
            continue
        figure.text(0.99, 0.01, f"{where}; make bench", ha="right", va="bottom", fontsize=7, color=RIVAL)
        file = settings.folder / f"{name}.png"
        figure.savefig(file, dpi=100, facecolor=PAPER)
        plt.close(figure)
        print(f"{file}  {file.stat().st_size / 1000:.0f} kB")
    return 0


def peers(rows: Rows) -> Any:
    """Seconds for an epoch, handconv and its peers, each in its quickest mode."""
    found = best(rows, "train-128")
    if not found:
        return None
    found |= {name: figure for name, figure in best(rows, "numpy-peers").items() if name not in found}
    ordered = sorted(found.items(), key=lambda item: item[1]["middle"])
    labels = [f"{library}\n{figure['mode']}".strip() for library, figure in ordered]
    values = [figure["middle"] for _, figure in ordered]
    figure, axes = sheet(
        "An epoch of MNIST: 60,000 images, batch 128 (seconds, less is better)", 1.2 + 0.55 * len(values)
    )
    axes.set_xlim(0, 1.08 * max(values))
    bars(axes, labels, values, [OURS if library == "handconv" else RIVAL for library, _ in ordered])
    return figure


def throughput(rows: Rows) -> Any:
    """Images a second against the batch size, handconv and PyTorch's quickest mode."""
    names = [name for name in rows if re.fullmatch(r"train-\d+", name)]
    measured = [best(rows, name) | {"batch": rows[name]["batch_size"]} for name in names]
    measured = sorted((m for m in measured if {"handconv", "PyTorch"} <= set(m)), key=lambda m: m["batch"])
    if len(measured) < 2:
        return None
    figure, axes = sheet("Training: thousand images a second by batch size (more is better)", 3.4)
    sizes = [m["batch"] for m in measured]
    for library, colour in (("handconv", OURS), ("PyTorch", RIVAL)):
        values = [60 / m[library]["middle"] for m in measured]
        axes.plot(sizes, values, "o-", color=colour, linewidth=2)
        axes.annotate(library, (sizes[-1], values[-1]), (8, 0), textcoords="offset points", color=colour, va="center")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.9)
    axes.set_ylim(0)
    axes.set_xlabel("batch size")
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure


def layers(rows: Rows) -> Any:
    """Where the time of a step goes, and what of it matrix products would need alone."""
    contestants = rows.get("gemm-floor", {"contestants": []})["contestants"]
    profile = next((known["facts"]["profile"] for known in contestants if "profile" in known["facts"]), None)
    if profile is None:
        return None
    lines = [row for row in profile["rows"] if row["seconds"] > 0.005 * profile["seconds"]]
    labels = [f"{row['name']}  {ARROWS[row['direction']]}".strip() for row in lines]
    figure, axes = sheet(
        f"A step of {profile['batch_size']} images on one core, by layer (milliseconds)", 1.2 + 0.24 * len(lines)
    )
    places = range(len(lines))
    axes.barh(places, [1e3 * row["seconds"] for row in lines], color=OURS, height=0.72, label="the step")
    axes.barh(places, [1e3 * row["floor"] for row in lines], color=FLOOR, height=0.3, label="its matrix products alone")
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower right")
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure


def ablation(rows: Rows) -> Any:
    """What each idea of the kernels brought, on a logarithmic scale."""
    found = best(rows, "ablation")
    known = [(text, found[name]["middle"]) for name, text in IDEAS.items() if name in found]
    if not known:
        return None
    figure, axes = sheet("An epoch of MNIST, one idea after another (seconds, logarithmic)", 1.2 + 0.42 * len(known))
    axes.set_xscale("log")
    values = [value for _, value in known]
    bars(axes, [text for text, _ in known], values, [RIVAL] * 2 + [OURS] * (len(known) - 2))
    axes.set_xlim(min(values) / 2, max(values) * 6)
    return figure


IDEAS = {
    "plain loops": "plain loops in Python",
    "im2col": "im2col, (N, C, H, W)",
    "by hand": "handconv by hand: its layers' pages",
    "not fused": "the engine: batch innermost, shards, replay",
    "engine": "+ pooling fused into convolution",
    "handconv": "+ two worker processes",
}
ARROWS = {"forward": "→", "backward": "←", "": ""}
FIGURES: dict[str, Callable[[Rows], Any]] = {
    "peers": peers,
    "throughput": throughput,
    "layers": layers,
    "ablation": ablation,
}


def best(rows: Rows, name: str) -> dict[str, Any]:
    """The quickest figure of each library in a row."""
    found: dict[str, Any] = {}
    for contestant in rows.get(name, {"contestants": []})["contestants"]:
        figure = contestant["figure"]
        known = found.get(contestant["library"])
        if figure and (known is None or figure["middle"] < known["middle"]):
            found[contestant["library"]] = figure
    return found


def sheet(title: str, height: float) -> tuple[Any, Any]:
    """A figure with a title, and axes without a frame."""
    figure, axes = plt.subplots(figsize=(7.2, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(length=0)
    return figure, axes


def bars(axes: Any, labels: list[str], values: list[float], colours: list[str]) -> None:
    """Horizontal bars from the top, each with its figure."""
    axes.barh(range(len(values)), values, color=colours, height=0.68)
    axes.set_yticks(range(len(values)), labels)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.minorticks_off()
    axes.spines["bottom"].set_visible(False)
    for place, value in enumerate(values):
        text = f"{value:.3g}" if value < 1000 else f"{value / 3600:.0f} hours" if value > 7200 else f"{value:,.0f}"
        axes.annotate(text, (value, place), (5, 0), textcoords="offset points", va="center")


if __name__ == "__main__":
    raise SystemExit(main())
