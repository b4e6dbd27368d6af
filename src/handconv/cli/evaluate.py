"""``handconv evaluate``: how good a model is on a test set, class by class, and its worst mistakes."""

import argparse
from dataclasses import asdict

from handconv.analysis import Report, report
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE
from handconv.cli._models import HELP, class_names, open_model
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, read_settings
from handconv.cli._tables import show_table

_SHORT = 5  # letters of a class name that may head a column of the confusion matrix


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    add_settings(parser, DataSettings, title="data")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Examine the model and print the report."""
    settings = read_settings(DataSettings, arguments)
    model = open_model(arguments.model)
    dataset = load_for_model(settings, model, output)
    names = class_names(model, dataset.class_names)
    result = report(model, dataset.x_test, dataset.y_test, names)
    _show(result, names, len(dataset.x_test), output)
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


def _show(result: Report, names: tuple[str, ...], images: int, output: Output) -> None:
    """Print the report for people."""
    short = max(map(len, names)) <= _SHORT
    none = "·" if output.can_print("·") else "."
    output.show(f"loss {result.loss:.4f}  accuracy {_percent(result.accuracy)}  ({images:,} images)\n")
    show_table(
        output,
        "Classes (precision: of its answers, how many are right; recall: of its images, how many are found)",
        ("class", "precision", "recall", "images"),
        [(each.name, _percent(each.precision), _percent(each.recall), f"{each.samples:,}") for each in result.classes],
    )
    show_table(
        output,
        "Confusion (a row for each true class, a column for each answer)",
        ("", *(names if short else map(str, range(len(names))))),
        [
            (name if short else f"{label} {name}", *(f"{count:,}" if count else none for count in line))
            for label, (name, line) in enumerate(zip(names, result.confusion.tolist(), strict=True))
        ],
    )
    if result.mistakes:
        show_table(
            output,
            "The worst mistakes (look at one with handconv play)",
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


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


COMMAND = Command(
    name="evaluate",
    summary="loss, accuracy, precision and recall of each class, the confusion matrix and the worst mistakes",
    examples="""  handconv evaluate
  handconv evaluate fashion.npz
  handconv evaluate model.npz --dataset digits --json""",
    add_arguments=add_arguments,
    run=run,
)
