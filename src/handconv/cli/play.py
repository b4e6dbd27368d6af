"""``handconv play``: the quiz alone, on a saved model."""

import argparse
from dataclasses import dataclass

from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE
from handconv.cli._models import HELP, open_model
from handconv.cli._output import Output
from handconv.cli._pictures import PICTURES
from handconv.cli._quiz import quiz
from handconv.cli._settings import add_settings, one_of, read_settings, setting


@dataclass(frozen=True)
class PlaySettings(DataSettings):
    """Which data, and how images are shown."""

    picture: str = setting("auto", one_of(*PICTURES), "how images are shown", metavar="|".join(PICTURES))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, data, and how images are shown."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    add_settings(parser, PlaySettings, title="settings")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Play."""
    settings = read_settings(PlaySettings, arguments)
    model = open_model(arguments.model)
    dataset = load_for_model(settings, model, output)
    quiz(model, dataset, output, settings.picture)
    return DONE


COMMAND = Command(
    name="play",
    summary="the quiz alone: type a row of the test set, see the image and what the model takes it for",
    examples="""  handconv play
  handconv play fashion.npz --picture text
  echo 122 | handconv play --json""",
    add_arguments=add_arguments,
    run=run,
)
