"""``handconv predict``: classify the user's own image files, or rows of the test set."""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.analysis import answer
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, FAILED, UsageError, sentence
from handconv.cli._models import HELP, class_names, known_dataset, open_model, tells_digits, trained_on
from handconv.cli._output import Output
from handconv.cli._quiz import shares, show_row
from handconv.cli._settings import add_settings, read_settings, whole
from handconv.cli._table_answers import add_table_arguments, predict_table, table_of
from handconv.datasets.readers.images import read_digit_image, read_image
from handconv.errors import DataError, ModelFileError
from handconv.sequential import Sequential


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and images in one list, as they are typed; or rows."""
    parser.add_argument("files", nargs="*", metavar="[MODEL] IMAGE", help=f"{HELP}, then image files of one digit each")
    add_table_arguments(parser)
    parser.add_argument("--row", action="append", metavar="N", help="a row of the test set instead; may be repeated")
    add_settings(parser, DataSettings, title="data for --row")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Classify."""
    settings = read_settings(DataSettings, arguments)
    models = [file for file in arguments.files if file.endswith(".npz")]
    images = [file for file in arguments.files if not file.endswith(".npz")]
    if len(models) > 1:
        raise UsageError(f"predict works with one model, got {', '.join(models)}.")
    if bool(images) == bool(arguments.row):
        raise UsageError("predict needs image files or --row N (one of the two): handconv predict my-seven.png")
    rows = [_row(text) for text in arguments.row or ()]
    table = table_of(images, arguments)
    fits = tells_digits if images and table is None else trained_on(settings.dataset)
    model = open_model(models[0] if models else None, output, fits)
    if table is not None:
        return predict_table(model, table, settings.label_column, arguments, output)
    if images:
        return FAILED if [_predict(model, path, output) for path in images].count(False) else DONE
    dataset = load_for_model(settings, model, output)
    for row in rows:
        if row >= len(dataset.x_test):
            raise UsageError(f"--row must be from 0 to {len(dataset.x_test) - 1}, got {row}.")
    for row in rows:
        show_row(model, dataset, row, output, None)
    return DONE


def _row(text: str) -> int:
    try:
        row: int = whole(0)(text)
    except ValueError as rule:
        raise UsageError(f"--row must be {rule}, got {text!r}.") from None
    return row


def _read(model: Sequential, path: str) -> NDArray[np.uint8]:
    """Bring an image to what the model was trained on: digits as MNIST has them, anything else just scaled."""
    shape = model.input_shape or ()
    if len(shape) != 3 or shape[0] != 1:
        raise ModelFileError(f"Images are read in grey, as (1, H, W); this model takes samples of shape {shape}.")
    if known_dataset(model) in ("mnist", "digits") and shape == (1, 28, 28):
        return read_digit_image(path)
    return read_image(path, (shape[1], shape[2]))


def _predict(model: Sequential, path: str, output: Output) -> bool:
    """Classify one file and print the answer; say in one line why not, if it cannot be read."""
    try:
        image = _read(model, path)
    except (DataError, OSError) as error:
        why = sentence(error)
        output.notice(f"handconv: {why}")
        output.record({"event": "error", "file": path, "error": why})
        return False
    found = answer(model, image)
    names = class_names(model)
    ranking = [(names[label], chance) for label, chance in found.top()]
    output.show(f"{Path(path)}: {ranking[0][0]}  {shares(tuple(ranking))}")
    output.record(
        {
            "event": "answer",
            "file": path,
            "prediction": ranking[0][0],
            "confidence": found.confidence,
            "top": [{"class": name, "probability": chance} for name, chance in ranking],
        }
    )
    return True


COMMAND = Command(
    name="predict",
    summary="classify image files of one digit each (PNG, JPEG, any size, dark on light or light on dark)",
    examples="""  handconv predict my-seven.png scan.jpg
  handconv predict model.npz my-seven.png --json
  handconv predict --row 122 --row 123
  handconv predict model.npz test.csv --output answers.csv     the images of a table, one a line, without labels
  handconv predict test.csv --output submission.csv --submission""",
    add_arguments=add_arguments,
    run=run,
)
