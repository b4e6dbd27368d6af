"""``handconv evaluate``: how good a model is on a test set, class by class, and its worst mistakes."""

import argparse
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from handconv.analysis import Report, report
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE
from handconv.cli._models import HELP, add_views, open_models, trained_on
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, read_settings
from handconv.cli._tables import plain_table, show_table
from handconv.datasets.readers.samples import listed
from handconv.utils.words import counted

_SHORT = 5  # letters of a class name that may head a column of the confusion matrix
_PAGE = 10  # rows of a table that is cut short
_WIDTH = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{HELP}; of several, the mean of their answers")
    add_views(parser)
    parser.add_argument(
        "--full", action="store_true", help="all classes and the whole confusion matrix, however many there are"
    )
    add_settings(parser, DataSettings, title="data")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Examine the model and print the report."""
    settings = read_settings(DataSettings, arguments)
    model = open_models(arguments.models, arguments.tta, output, trained_on(settings.dataset))
    dataset = load_for_model(settings, model, output)
    names = dataset.class_names
    result = report(model, dataset.x_test, dataset.y_test, names, workers="auto")
    _show(result, names, len(dataset.x_test), output, full=arguments.full)
    if result.mistakes:
        data = [] if settings.dataset is None else ["--dataset", settings.dataset]
        named = "".join(f" {shlex.quote(word)}" for word in (*arguments.models[:1], *data))
        output.show(f"The quiz shows them: handconv play{named}, then a row.")
    output.record(
        {
            "event": "evaluation",
            "dataset": dataset.name,
            "source": dataset.source,
            "images": len(dataset.x_test),
            "loss": result.loss,
            "accuracy": result.accuracy,
            "classes": [asdict(each) for each in result.classes],
            "confusion": result.confusion.tolist(),
            "mistakes": [
                asdict(each) | {"truth": names[each.truth], "answer": names[each.answer]} for each in result.mistakes
            ],
        }
    )
    return DONE


def _show(result: Report, names: tuple[str, ...], images: int, output: Output, *, full: bool) -> None:
    """Print the report for people: whole where it fits a page, else the worst of it."""
    output.show(f"loss {result.loss:.4f}  accuracy {_percent(result.accuracy)}  ({counted(images, 'image')})\n")
    title, head, rows = _matrix(result, names, output)
    width = max(map(len, plain_table(title, head, rows).splitlines()))
    is_page = full or width <= max(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    _show_classes(result, output, full=is_page)
    if is_page:
        show_table(output, title, head, rows)
    else:
        _show_confusions(result, names, output)
        output.show("All classes and the whole confusion matrix: --full\n")
    if result.mistakes:
        show_table(
            output,
            "The worst mistakes",
            ("row", "truth", "answer", "confidence", "of the truth"),
            [
                (
                    str(each.row),
                    names[each.truth],
                    names[each.answer],
                    _percent(each.confidence),
                    _percent(each.truth_probability),
                )
                for each in result.mistakes
            ],
            left=0,
        )


def _show_classes(result: Report, output: Output, *, full: bool) -> None:
    """Print the figures of all classes, or of those of which the smallest share is found."""
    classes = [each for each in result.classes if each.samples]
    title = "Classes"
    if not full and len(classes) > _PAGE:
        classes = sorted(classes, key=lambda each: each.recall)[:_PAGE]
        title = f"The {len(classes)} of {len(result.classes)} classes of which the smallest share is found"
    output.show("precision: its answers that are right; recall: its images that are found\n")
    show_table(
        output,
        title,
        ("class", "precision", "recall", "images"),
        [(each.name, _percent(each.precision), _percent(each.recall), f"{each.samples:,}") for each in classes],
    )
    absent = [each.name for each in result.classes if not each.samples]
    if absent:
        output.show(f"Classes without images here: {listed(absent)}\n")


def _matrix(result: Report, names: Sequence[str], output: Output) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """The confusion matrix as a table: title, head, rows."""
    short = max(map(len, names)) <= _SHORT
    none = "·" if output.can_print("·") else "."
    head = ("", *(names if short else map(str, range(len(names)))))
    rows = [
        (name if short else f"{label} {name}", *(f"{count:,}" if count else none for count in line))
        for label, (name, line) in enumerate(zip(names, result.confusion.tolist(), strict=True))
    ]
    return "Confusion (a row for each true class, a column for each answer)", head, rows


def _show_confusions(result: Report, names: Sequence[str], output: Output) -> None:
    """Print the pairs of classes that are taken for one another most often."""
    wrong = result.confusion * (1 - np.eye(len(names), dtype=np.int64))
    most = [divmod(int(place), len(names)) for place in np.argsort(-wrong, axis=None, kind="stable")[:_PAGE]]
    rows = [
        (
            names[truth],
            names[answer],
            f"{wrong[truth, answer]:,}",
            _percent(wrong[truth, answer] / result.confusion[truth].sum()),
        )
        for truth, answer in most
        if wrong[truth, answer]
    ]
    if rows:
        title = "The most frequent confusions (share: of the images of the true class)"
        show_table(output, title, ("truth", "answer", "images", "share"), rows, left=2)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


COMMAND = Command(
    name="evaluate",
    summary="loss, accuracy, precision and recall of each class, the confusion matrix and the worst mistakes",
    examples="""  handconv evaluate
  handconv evaluate fashion.npz
  handconv evaluate a.npz b.npz c.npz --tta 8       several models together, each looking at 8 views of an image
  handconv evaluate letters.npz --full
  handconv evaluate model.npz --dataset digits --json""",
    add_arguments=add_arguments,
    run=run,
)
