"""``handconv export``: a model in a form that others can use: one page to draw on, or a file of NumPy's."""

import argparse
from pathlib import Path

from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, UsageError
from handconv.cli._models import HELP, open_model
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, one_of, read_settings
from handconv.errors import SourceError
from handconv.export import export_html
from handconv.sequential import Sequential

#: What can be written, by the ending of its file.
_FORMS = {"html": "one page to see the network at work, in any browser", "npz": "layers and weights, for handconv"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, file and form."""
    parser.add_argument("files", nargs="+", metavar="[MODEL] OUT", help=f"{HELP}, then the file to write")
    parser.add_argument(
        "--to",
        required=True,
        metavar="|".join(_FORMS),
        help="; ".join(map(": ".join, _FORMS.items())),
    )
    add_settings(parser, DataSettings, title="test images that travel along with a page")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Export."""
    settings = read_settings(DataSettings, arguments)
    try:
        form = one_of(*_FORMS)(arguments.to)
    except ValueError as rule:
        raise UsageError(f"--to must be {rule}, got {arguments.to!r}.") from None
    *models, target = arguments.files
    if len(models) > 1:
        raise UsageError(f"export works with one model and writes one file, got {', '.join(arguments.files)}.")
    if Path(target).suffix != f".{form}":
        raise UsageError(f"--to {form} writes a file whose name ends in .{form}, got {target!r}.")
    model = open_model(models[0] if models else None, output)
    if form == "html":
        write_page(model, target, settings, output)
    else:
        model.save(target)
    size = Path(target).stat().st_size
    output.show(f"{target}: {_FORMS[form]}, {size / 1000:,.0f} kB")
    output.record({"event": "export", "to": form, "file": target, "bytes": size, "info": model.info})
    return DONE


def write_page(model: Sequential, path: str | Path, settings: DataSettings, output: Output) -> None:
    """Write the page for a model, with images of the data set that was asked for or that it was trained on, if any."""
    dataset = None
    if settings.dataset or model.info.get("dataset"):
        try:
            dataset = load_for_model(settings, model, output)
        except (SourceError, UsageError) as error:
            if settings.dataset:
                raise
            output.notice(f"The page goes without test images: {error}")
    if dataset is None:
        export_html(model, path)
        return
    if not model.info.get("dataset"):  # trained in Python, it may know neither its classes nor their images
        form = dataset.preparation.as_dict()
        model.info = {"class_names": list(dataset.class_names), "preparation": form} | model.info
    export_html(model, path, dataset.x_test, dataset.y_test)


COMMAND = Command(
    name="export",
    summary="a model as one HTML page to draw on, or as a file of NumPy's",
    examples="""  handconv export --to html digits.html
  handconv export fashion.npz --to html fashion.html --data-dir ~/data
  handconv export --to npz copy.npz""",
    add_arguments=add_arguments,
    run=run,
)
