"""``handconv explain``: one training step with its real numbers, in the terminal and as a page."""

import argparse
from pathlib import Path

import numpy as np

from handconv.analysis import Explanation, toy
from handconv.analysis import explain as narrate
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, UsageError
from handconv.cli._models import HELP, loss_of, open_model, trained_on
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, read_settings, whole
from handconv.export import explanation_html

Unit = tuple[int | str, tuple[int, ...]]

_UNIT = "--unit must be LAYER:INDEX, as in 0:3,10,12"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, row, unit and page."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    parser.add_argument("--row", metavar="N", help="the row of the test set to take the step on (default: 0)")
    parser.add_argument("--toy", action="store_true", help="a 4x4 image and one filter instead: small enough for paper")
    parser.add_argument(
        "--unit",
        metavar="LAYER:INDEX",
        help="the unit to begin at, as in 0:3,10,12 (layer 0, channel 3, row 10, column 12; default: the true class)",
    )
    parser.add_argument("--html", metavar="OUT.html", help="write it as one page, with the matrices drawn")
    add_settings(parser, DataSettings, title="data for --row")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Explain."""
    settings = read_settings(DataSettings, arguments)
    if arguments.toy and (arguments.model is not None or arguments.row is not None or settings != DataSettings()):
        raise UsageError("--toy brings its own network, image and weights; give neither a model nor a row with it.")
    if arguments.html is not None and Path(arguments.html).suffix != ".html":
        raise UsageError(f"--html writes a file whose name ends in .html, got {arguments.html!r}.")
    unit = None if arguments.unit is None else _unit(arguments.unit)
    told = _toy(unit) if arguments.toy else _step(arguments, settings, unit, output)
    if arguments.html is not None:
        explanation_html(told, arguments.html)
        size = Path(arguments.html).stat().st_size
        output.show(f"{arguments.html}: the step as one page, {size / 1000:,.0f} kB")
        output.record({"event": "page", "file": arguments.html, "bytes": size})
        return DONE
    output.show(str(told))
    for section in told:
        output.record(
            {
                "event": "section",
                "phase": section.phase,
                "title": section.title,
                "formula": section.formula,
                "shapes": section.shapes,
                "numbers": section.numbers,
            }
        )
    return DONE


def _toy(unit: Unit | None) -> Explanation:
    model, x, y, optimizer = toy()
    try:
        return narrate(model, x, y, unit=unit, optimizer=optimizer)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _step(arguments: argparse.Namespace, settings: DataSettings, unit: Unit | None, output: Output) -> Explanation:
    """The step on a row of the test set, with its neighbours if the network learns only from several at once."""
    try:
        row: int = whole(0)("0" if arguments.row is None else arguments.row)
    except ValueError as rule:
        raise UsageError(f"--row must be {rule}, got {arguments.row!r}.") from None
    model = open_model(arguments.model, output, trained_on(settings.dataset))
    dataset = load_for_model(settings, model, output)
    count = len(dataset.x_test)
    if row >= count:
        raise UsageError(f"--row must be from 0 to {count - 1}, got {row}.")
    samples = max(layer.min_samples for _, layer in model.tree())
    rows = (row + np.arange(min(samples, count))) % count
    return narrate(model, dataset.x_test[rows], dataset.y_test[rows], unit=unit, loss=loss_of(model))


def _unit(text: str) -> Unit:
    """Read LAYER:INDEX; layers may have names."""
    layer, colon, index = text.rpartition(":")
    numbers = index.split(",")
    if not colon or not layer or not all(number.strip().isdecimal() for number in numbers):
        raise UsageError(f"{_UNIT}, got {text!r}.")
    return layer, tuple(map(int, numbers))


COMMAND = Command(
    name="explain",
    summary="one training step in real numbers: each formula, each gradient, each part of Adam",
    examples="""  handconv explain --toy
  handconv explain --row 122 --html step.html
  handconv explain model.npz --row 3 --unit 0:1,15,19""",
    add_arguments=add_arguments,
    run=run,
)
