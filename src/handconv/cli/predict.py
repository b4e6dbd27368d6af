"""``handconv predict``: classify the user's own image files, or rows of the test set."""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis import answer
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, FAILED, UsageError, sentence
from handconv.cli._models import (
    HELP,
    add_views,
    class_names,
    is_model_name,
    open_models,
    tells_digits,
    trained_on,
    worse_than_bundled,
)
from handconv.cli._output import Output
from handconv.cli._pictures import ReadingCard, Seen, Shower, write_png
from handconv.cli._progress import CountProgress
from handconv.cli._quiz import shares, show_row
from handconv.cli._settings import add_settings, read_settings, whole
from handconv.cli._table_answers import add_table_arguments, predict_table, table_of
from handconv.datasets.paths import is_system_name
from handconv.datasets.readers.idx_files import is_idx_name
from handconv.datasets.readers.images import decode_picture
from handconv.datasets.readers.prepared import is_readable_name
from handconv.datasets.readers.samples import listed
from handconv.ensemble import Classifier
from handconv.errors import DataError, ModelFileError
from handconv.reading import Digit, DigitReader, input_form, prepare, reads_digits
from handconv.reading.segmentation import LARGEST
from handconv.utils.live import is_terminal

_STDIN = "-"
# Settings that say nothing of a picture; the first two do of a table.
_FOR_ROWS = ("dataset", "label_column", "source", "data_dir", "size", "colour", "transpose")
_MOST_DOUBTED = 0.5  # a smaller probability of the best class is a guess

Answer = tuple[str, dict[str, Any], ReadingCard]
"""A line of text, what --json says, and what --show draws."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and images in one list, as they are typed; or rows."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="[MODEL…] IMAGE",
        help=f"{HELP}, or several, then image files or folders of them; - reads one from standard input",
    )
    add_views(parser)
    add_table_arguments(parser)
    parser.add_argument("--row", action="append", metavar="N", help="a row of the test set instead; may be repeated")
    parser.add_argument("--one", action="store_true", help="each picture has one digit: several are no answer")
    parser.add_argument("--show", action="store_true", help="show the picture, what the network saw, and all classes")
    parser.add_argument("--save-picture", metavar="FILE", help="write the same as a PNG file (of one picture)")
    add_settings(parser, DataSettings, title="data for --row")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Classify."""
    settings = read_settings(DataSettings, arguments)
    models = [file for file in arguments.files if is_model_name(file)]
    images = [image for file in arguments.files if file not in models for image in _images_of(file, output)]
    if sets := [image for image in images if is_idx_name(image)]:
        file = shlex.quote(sets[0])
        raise UsageError(
            f"predict reads pictures, and {sets[0]} is a data set (IDX). All of it: handconv evaluate "
            f"--dataset {file}; one of its images: handconv predict --dataset {file} --row 0"
        )
    if bool(images) == bool(arguments.row):
        raise UsageError("predict needs image files or --row N (one of the two): handconv predict my-seven.png")
    if arguments.save_picture is not None and len(images) != 1:
        raise UsageError(f"--save-picture writes what is seen of one picture, got {len(images)}.")
    if arguments.save_picture is not None and not arguments.save_picture.lower().endswith(".png"):
        raise UsageError(f"--save-picture must name a file that ends in .png, got {arguments.save_picture!r}.")
    rows = [_row(text) for text in arguments.row or ()]
    table = table_of(images, arguments)
    _check_options(arguments, settings, images, table)
    fits = tells_digits if images and table is None else trained_on(settings.dataset)
    model = open_models(models, arguments.tta, output, fits)
    if table is not None:
        return predict_table(model, table, settings.label_column, arguments, output)
    if images:
        if not models and (better := worse_than_bundled(model)):
            dashes = "-- " if images[0].startswith("-") and images[0] != _STDIN else ""
            output.notice(f"{better} {dashes}{shlex.quote(images[0])}")
        return _predict_files(model, images, arguments, output)
    dataset = load_for_model(settings, model, output)
    for row in rows:
        if row >= len(dataset.x_test):
            raise UsageError(f"--row must be from 0 to {len(dataset.x_test) - 1}, got {row}.")
    for row in rows:
        show_row(model, dataset, row, output, None)
    return DONE


def _check_options(
    arguments: argparse.Namespace, settings: DataSettings, images: Sequence[str], table: str | None
) -> None:
    """Refuse options that say nothing of what is looked at."""
    for name in ("one", "show", "save_picture"):
        if not images and getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for image files, got --row. The quiz shows rows: handconv play")
    for name in _FOR_ROWS if table is None else _FOR_ROWS[2:]:
        if images and getattr(settings, name) != getattr(DataSettings, name):
            option = f"--{name.replace('_', '-')} is for --row{' or a table' if name in _FOR_ROWS[:2] else ''}"
            raise UsageError(f"{option}, got {images[0]}. A model is named before it: handconv predict MODEL IMAGE")


def _images_of(file: str, output: Output) -> list[str]:
    """The file that was named, or the images in a folder, by their names; tell what is passed over."""
    folder = Path(file)
    if "://" in file and not folder.exists():
        fetched = f"curl -sL {shlex.quote(file)} | handconv predict -"
        raise UsageError(f"predict reads files, got the address {file}. Fetch it: {fetched}")
    if not folder.is_dir():
        return [file]
    files = [entry for entry in sorted(folder.iterdir()) if entry.is_file() and not is_system_name(entry.name)]
    found = [str(entry) for entry in files if is_readable_name(entry)]
    if not found:
        raise DataError(f"There is no image in the folder {file} itself. Name one that has some, or files.")
    if others := [entry.name for entry in files if not is_readable_name(entry)]:
        output.notice(f"Passed over in {file}, as their names are not those of images: {listed(others)}.")
    return found


def _row(text: str) -> int:
    try:
        row: int = whole(0)(text)
    except ValueError as rule:
        raise UsageError(f"--row must be {rule}, got {text!r}.") from None
    return row


def _predict_files(model: Classifier, files: Sequence[str], arguments: argparse.Namespace, output: Output) -> int:
    """Classify files one after the other; what cannot be read gets a line, and the others are done."""
    find = _digits_of(model, one=arguments.one) if reads_digits(model) else _class_of(model, output)
    failures = 0
    with ExitStack() as stack:
        shower = stack.enter_context(Shower(output)) if arguments.show else None
        for path, content in _read(files, stack.enter_context(CountProgress(output, len(files)))):
            name = "standard input" if path == _STDIN else path
            try:
                if isinstance(content, OSError):
                    raise content
                text, record, card = find(path, decode_picture(content, name, at_most=LARGEST))
            except (DataError, OSError) as error:
                failures += 1
                output.complain(sentence(error))
                output.record({"event": "error", "file": path, "error": sentence(error)})
                continue
            output.show(f"{name if path == _STDIN else Path(path)}: {text}")
            output.record({"event": "answer", "file": path} | record)
            if shower is not None:
                shower.show(card)
            if arguments.save_picture is not None:
                write_png(Path(arguments.save_picture), card)
                output.notice(f"picture: {arguments.save_picture}")
    return FAILED if failures else DONE


def _read(files: Sequence[str], progress: CountProgress) -> Iterator[tuple[str, bytes | OSError]]:
    """Read one file after the other, so that memory holds one of them."""
    for number, path in enumerate(files):
        progress(number)
        if path == _STDIN:
            if is_terminal(sys.stdin):
                raise UsageError("predict - reads an image from standard input: handconv predict - < my-seven.png")
            yield path, sys.stdin.buffer.read()
            continue
        try:
            yield path, Path(path).read_bytes()
        except OSError as error:
            yield path, error


def _digits_of(model: Classifier, *, one: bool) -> Callable[[str, NDArray[np.uint8]], Answer]:
    """Make the function that reads the digits of a picture."""
    reader, names = DigitReader(model), class_names(model)

    def ranking(digit: Digit) -> tuple[tuple[str, float], ...]:
        order = np.argsort(-np.array(digit.probabilities), kind="stable")
        return tuple((names[label], digit.probabilities[label]) for label in order.tolist())

    def read(path: str, picture: NDArray[np.uint8]) -> Answer:
        reading = reader.read(picture, one=one)
        first = ranking(reading.digits[0])[:3] if reading.digits else ()
        if reading.verdict == "several digits":
            text = f"several digits ({len(reading.digits)}), and --one allows one"
        elif not reading.text:
            text = reading.verdict
        elif len(reading.digits) > 1:
            each = ", ".join(f"{100 * digit.confidence:.2f} %" for digit in reading.digits)
            doubted = [place for place, digit in enumerate(reading.digits, 1) if digit.verdict == "unsure"]
            text = f"{reading.text}  {_doubt(reading.verdict, doubted)}{len(reading.digits)} digits, confidence {each}"
        else:
            text = f"{reading.text}  {_doubt(reading.verdict)}{shares(first)}"
        if reading.text and reading.others:
            text += f"; beside {reading.others} that {'is' if reading.others == 1 else 'are'} nothing like a digit"
        record = {
            "prediction": reading.text or None,
            "confidence": reading.confidence,
            "verdict": reading.verdict,
            "others": reading.others,
            "top": _top(first) if len(reading.digits) == 1 else [],
            "size": [reading.picture.shape[1], reading.picture.shape[0]],
            "digits": [
                {
                    "prediction": names[digit.label],
                    "confidence": digit.confidence,
                    "verdict": digit.verdict,
                    "box": list(digit.box),
                    "top": _top(ranking(digit)[:3]),
                }
                for digit in reading.digits
            ],
        }
        seen = tuple(
            Seen(digit.image[None], digit.box, tuple(zip(names, digit.probabilities, strict=True)), digit.label)
            for digit in reading.digits
        )
        return text, record, ReadingCard(_title(path, text), reading.picture, seen)

    return read


def _class_of(model: Classifier, output: Output) -> Callable[[str, NDArray[np.uint8]], Answer]:
    """Make the function that classifies a picture as a whole, by a model of anything but digits."""
    shape, names, form = model.input_shape or (), class_names(model), input_form(model)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ModelFileError(f"Images are read as (1, H, W) or (3, H, W); this model takes samples of shape {shape}.")

    def classify(path: str, picture: NDArray[np.uint8]) -> Answer:
        image, remark = prepare(picture, form, (shape[1], shape[2]), colour=shape[0] == 3)
        if remark:
            output.notice(f"{path}: {remark}.")
        found = answer(model, image)
        ranking = tuple((names[label], chance) for label, chance in found.top())
        verdict = "class" if found.confidence >= _MOST_DOUBTED else "unsure"
        text = f"{ranking[0][0]}  {_doubt(verdict)}{shares(ranking)}"
        record = {
            "prediction": ranking[0][0],
            "confidence": found.confidence,
            "verdict": verdict,
            "top": _top(ranking),
        }
        box = (0, 0, picture.shape[1], picture.shape[0])
        all_classes = tuple(zip(names, found.probabilities, strict=True))
        seen = Seen(image, box, all_classes, found.label)
        return text, record, ReadingCard(_title(path, text), picture, (seen,))

    return classify


def _doubt(verdict: str, digits: Sequence[int] = ()) -> str:
    """Say that the answer is a guess, and of which digits it is, counted from 1."""
    if verdict != "unsure":
        return ""
    which = f" of digit{'s' * (len(digits) > 1)} {', '.join(map(str, digits))}" if digits else ""
    return f"unsure{which}: "


def _title(path: str, text: str) -> str:
    return f"{Path(path).name}: {text.partition(',')[0]}"


def _top(ranking: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"class": name, "probability": chance} for name, chance in ranking]


COMMAND = Command(
    name="predict",
    summary="read the digits of image files (PNG, JPEG, …, any size, dark on light or light on dark)",
    examples="""  handconv predict my-seven.png scan.jpg
  handconv predict my-seven.png --show
  handconv predict model.npz my-seven.png --json
  handconv predict a.npz b.npz c.npz my-seven.png --tta 8
  handconv predict --one -- -7.png
  curl -s "$ADDRESS" | handconv predict -
  handconv predict --row 122 --row 123
  handconv predict model.npz test.csv --output answers.csv     the images of a table, one a line, without labels
  handconv predict test.csv --output submission.csv --submission

with --json, one object for each file:
  event        "answer", or "error" with the field error instead of the others
  file         as it was named
  prediction   the digits, from left to right, lines from top to bottom; or the class; null if there is no answer
  confidence   the probability of the prediction, of several digits the smallest; calibrated for the bundled model
  verdict      "digit", "digits", "class"; "unsure": a guess; "several digits" (--one), "nothing like a digit": none
  top          the most probable classes with their probabilities, of one digit
  others       how many marks of the size of a digit are nothing like one; where there are any, it is "unsure"
  size         width and height of the picture as it was looked at: upright, no side longer than 1024
  digits       of each digit: prediction, confidence, verdict, top, and box: left, top, right, bottom in it""",
    add_arguments=add_arguments,
    run=run,
)
