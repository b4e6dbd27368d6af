"""``handconv doctor``: what is wrong with a model or with the data that it is used on, or nothing."""

import argparse
from dataclasses import asdict

from handconv.analysis import doctor
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, FAILED
from handconv.cli._models import HELP, checkpoint_of, epochs_of, loss_of, open_model, trained_on
from handconv.cli._output import Output
from handconv.cli._settings import add_settings, read_settings
from handconv.training import History


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    add_settings(parser, DataSettings, title="data")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Examine the model and its training on the training and the test images, and print what was found."""
    settings = read_settings(DataSettings, arguments)
    fits = trained_on(settings.dataset)
    model = open_model(arguments.model, output, fits)
    dataset = load_for_model(settings, model, output, training_too=True)
    history = History()
    checkpoint = checkpoint_of(arguments.model, fits)
    if checkpoint is not None and settings.dataset in (None, model.info.get("dataset")):
        for figures in epochs_of(checkpoint):
            history.append(figures)
    samples = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    diagnosis = doctor(model, *samples, history if history.epochs else None, loss=loss_of(model))
    output.show(str(diagnosis))
    output.record(
        {
            "event": "diagnosis",
            "dataset": dataset.name,
            "source": dataset.source,
            "findings": [asdict(finding) for finding in diagnosis.findings],
        }
    )
    return DONE if diagnosis.healthy else FAILED


COMMAND = Command(
    name="doctor",
    summary="what is wrong with a model or its data, with evidence and remedy: dead units, labels, gradients, leaks",
    examples="""  handconv doctor
  handconv doctor fashion.npz
  handconv doctor model.npz --dataset my-images/       is this data of the kind that the model knows?

The status is 0 if nothing was found, else 1.""",
    add_arguments=add_arguments,
    run=run,
)
