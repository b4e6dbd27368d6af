"""``handconv play``: the quiz alone, on a saved model; or a page to draw on."""

import argparse
import os
import sys
import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE
from handconv.cli._models import HELP, open_model, trained_on
from handconv.cli._output import Output
from handconv.cli._pictures import PICTURES
from handconv.cli._quiz import quiz
from handconv.cli._settings import add_settings, one_of, read_settings, setting, switch
from handconv.cli.export import write_page
from handconv.datasets import cache
from handconv.sequential import Sequential
from handconv.serialization.atomic import check_writable


@dataclass(frozen=True)
class PlaySettings(DataSettings):
    """Which data, and how images are shown."""

    picture: str = setting("auto", one_of(*PICTURES), "how images are shown", metavar="|".join(PICTURES))
    web: bool = setting(False, switch, "a page to draw on, in the browser, instead of the quiz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, data, and how images are shown."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)
    add_settings(parser, PlaySettings, title="settings")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Play."""
    settings = read_settings(PlaySettings, arguments)
    model = open_model(arguments.model, output, trained_on(settings.dataset))
    if settings.web:
        _play_in_browser(model, settings, output)
        return DONE
    dataset = load_for_model(settings, model, output)
    quiz(model, dataset, output, settings.picture)
    return DONE


def _play_in_browser(model: Sequential, settings: PlaySettings, output: Output) -> None:
    """Write the page and open it; where there is no browser, say where it is."""
    try:
        page = cache.folder() / "page.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        check_writable(page)
    except OSError:  # there is no home folder, or it cannot be written
        page = Path(tempfile.mkdtemp(), "page.html")
    write_page(model, page, settings, output)
    opened = _open(page)
    output.show(f"{page} is open in the browser." if opened else f"No browser can be opened here. The page is {page}")
    output.record({"event": "page", "file": str(page), "opened": opened})


def _open(page: Path) -> bool:
    """Open a page in a browser with windows; one that draws text in this terminal could not show it."""
    if sys.platform not in ("win32", "darwin") and not any(
        os.environ.get(variable) for variable in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    ):
        return False
    try:
        return webbrowser.open(page.as_uri())
    except webbrowser.Error:
        return False


COMMAND = Command(
    name="play",
    summary="the quiz alone: type a row of the test set, see it and what the model takes it for; or a page to draw on",
    examples="""  handconv play
  handconv play fashion.npz --picture text
  handconv play --web
  echo 122 | handconv play --json""",
    add_arguments=add_arguments,
    run=run,
)
