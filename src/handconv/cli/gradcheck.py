"""``handconv gradcheck``: proves each layer's backward pass, and the whole network's, against central differences."""

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv import datasets
from handconv.analysis import GradientReport, GradientRow, gradcheck
from handconv.cli._command import Command
from handconv.cli._errors import DONE, FAILED
from handconv.cli._models import HELP, open_model
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, number, read_settings, setting, whole
from handconv.layers import Sigmoid
from handconv.sequential import Sequential
from handconv.utils.words import counted

_SAMPLES = 2  # inputs: enough for sums over the batch to show, few enough to be quick


@dataclass(frozen=True)
class CheckSettings:
    """How closely to look."""

    samples: int | None = setting(
        None,
        whole(1),
        "entries of each array to check at most, drawn at random (default: all of small arrays, some of large ones)",
        metavar="N",
    )
    tolerance: float = setting(
        1e-7,
        number("above 0 and below 1", lambda value: 0 < value < 1),
        "largest relative error that passes",
        metavar="T",
    )
    seed: int = setting(0, whole(0), "of all that is drawn at random", metavar="N")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and settings."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    add_settings(parser, CheckSettings, title="check")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Check and print the table."""
    settings = read_settings(CheckSettings, arguments)
    model = open_model(arguments.model, output)
    x, y = _batch(model, settings.seed)
    output.notice(f"Checking {counted(len(model.layers), 'layer')} and the network; this takes some seconds.")
    report = gradcheck(model, x, y, tolerance=settings.tolerance, samples=settings.samples, seed=settings.seed)
    output.show(str(report))
    _record(report, output)
    return DONE if report.ok else FAILED


def _batch(model: Sequential, seed: int) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Embedded digits, if the model takes such images, else random inputs; and labels, if it is a classifier."""
    random = np.random.default_rng(seed)
    shape, outputs = model.input_shape or (), model.output_shape
    x: NDArray[Any]
    if shape == (1, 28, 28):
        digits = datasets.load("digits")
        x, y = digits.x_train[:_SAMPLES], digits.y_train[:_SAMPLES]
    else:
        x, y = random.standard_normal((_SAMPLES, *shape)), random.integers(0, 1 << 16, _SAMPLES)
    if isinstance(model.layers[-1], Sigmoid):
        return x, random.integers(0, 2, (_SAMPLES, *outputs))
    return x, y % outputs[0] if len(outputs) == 1 and outputs[0] > 1 else None


def _record(report: GradientReport, output: Output) -> None:
    """Print the report as JSON lines: one a row, and the verdict."""
    for row in report.rows:
        output.record({"event": "gradient", **_plain(row)})
    worst = report.worst
    output.record(
        {
            "event": "gradcheck",
            "ok": report.ok,
            "checked": sum(row.checked for row in report.rows),
            "skipped": sum(row.skipped for row in report.rows),
            "worst": _plain(worst),
        }
    )


def _plain(row: GradientRow) -> dict[str, object]:
    """A row as values that JSON has."""
    worst = None
    if row.worst is not None:
        worst = {
            "index": row.worst.index,
            "analytic": _finite(row.worst.analytic),
            "numeric": _finite(row.worst.numeric),
        }
    return {
        "layer": row.layer,
        "what": row.what,
        "size": row.size,
        "checked": row.checked,
        "skipped": row.skipped,
        "error": _finite(row.error),
        "worst": worst,
        "verdict": row.verdict,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


COMMAND = Command(
    name="gradcheck",
    summary="prove each layer's backward pass against central differences in float64",
    examples="""  handconv gradcheck
  handconv gradcheck model.npz
  handconv gradcheck model.npz --samples 1000 --json""",
    add_arguments=add_arguments,
    run=run,
)
