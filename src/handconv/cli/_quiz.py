"""The quiz: the user types a row of the test set and sees the image, what the model takes it for, and the truth."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis import answer
from handconv.analysis.attribution import integrated_gradients
from handconv.cli._cards import Card, MapsCard
from handconv.cli._models import class_names
from handconv.cli._output import Output, optional
from handconv.cli._pictures import Drawn, Pictures
from handconv.datasets import Dataset
from handconv.ensemble import Classifier, probabilities
from handconv.layers import Conv2D
from handconv.sequential import Sequential
from handconv.utils.live import is_terminal
from handconv.utils.nearest import nearest

_QUIT = ("quit", "exit", "q")
_HELP = """type
  a number   a row of the test set, {rows}
  next       the row after this one
  random     any row
  wrong      the next row that the model gets wrong
  heat       what in the image speaks for the answer, from now on or no more
  maps       the filters of the first convolution, and what they make of the image
  quit       or exit, or q: leave"""
Heat = Callable[[NDArray[Any], int], NDArray[np.floating]]

_WORDS = ("next", "random", "wrong", "heat", "maps", "help", *_QUIT)
_SHOWN = 10  # classes, filters
_AT_A_TIME = 500  # rows that are looked through for a mistake


class Quiz:
    """A conversation about the rows of a test set.

    Args:
        model: what answers.
        dataset: the test set.
        output: where answers go.
        pictures: what shows images.
    """

    def __init__(self, model: Sequential, dataset: Dataset, output: Output, pictures: Pictures) -> None:
        self._model, self._dataset, self._output, self._pictures = model, dataset, output, pictures
        self._count = len(dataset.x_test)
        self._row: int | None = None
        self._heat = False
        self._generator = np.random.default_rng()
        self._words: dict[str, Callable[[], None]] = {
            "next": lambda: self._show(0 if self._row is None else (self._row + 1) % self._count),
            "random": lambda: self._show(int(self._generator.integers(self._count))),
            "wrong": self._next_mistake,
            "heat": self._switch_heat,
            "maps": self._show_maps,
            "help": lambda: output.reply(_HELP.format(rows=self._rows)),
        }

    @property
    def prompt(self) -> str:
        """What is asked."""
        return f"Row of the test set, {self._rows} (help lists more, quit leaves): "

    @property
    def _rows(self) -> str:
        return f"0 to {self._count - 1}"

    def take(self, line: str) -> None:
        """Do what a line asks for."""
        row = _number(line)
        if (word := self._words.get(line.casefold())) is not None:
            word()
        elif row is None:
            typed = f"{line[:40]!r} is no row number. " if line else ""
            guess = nearest(line.casefold(), _WORDS, " ").strip() if line else ""
            self._output.reply(typed + (guess or f"Type a whole number, {self._rows}, or help, or quit."))
        elif not 0 <= row < self._count:
            self._output.reply(f"There is no row {row}: the test set has rows {self._rows}.")
        else:
            self._show(row)

    def _show(self, row: int) -> None:
        self._row = row
        show_row(
            self._model, self._dataset, row, self._output, self._pictures, heat=self._heat_of if self._heat else None
        )

    def _next_mistake(self) -> None:
        """Show the next row that is answered wrong; after the last row comes the first."""
        first = 0 if self._row is None else self._row + 1
        order = np.roll(np.arange(self._count), -first)
        for start in range(0, self._count, _AT_A_TIME):
            rows = order[start : start + _AT_A_TIME]
            labels = probabilities(self._model, self._dataset.x_test[rows]).argmax(axis=1)
            wrong = rows[labels != self._dataset.y_test[rows]]
            if len(wrong):
                self._show(int(wrong[0]))
                return
        self._output.reply("There is none: the model gets every row right.")

    def _heat_of(self, image: NDArray[Any], label: int) -> NDArray[np.floating]:
        """What in an image speaks for a class: (H, W)."""
        heat: NDArray[np.floating] = integrated_gradients(self._model, image[None], [label])[0].sum(axis=0)
        return heat

    def _switch_heat(self) -> None:
        self._heat = not self._heat
        self._output.reply(f"The heat map is {'on, in the picture' if self._heat else 'off'}.")
        if self._row is not None:
            self._show(self._row)

    def _show_maps(self) -> None:
        row = 0 if self._row is None else self._row
        card = maps_of(self._model, self._dataset, row)
        if card is None:
            self._output.reply("This model has no convolution, and so no filters to look at.")
        else:
            self._row = row
            path = self._pictures.show(card)
            self._output.record({"event": "maps", "row": row, "picture": path})


def quiz(model: Sequential, dataset: Dataset, output: Output, picture: str) -> None:
    """Answer lines until ``quit``, ``exit``, ``q``, the end of the input, or Ctrl-C."""
    pictures = Pictures(picture, output)
    conversation = Quiz(model, dataset, output, pictures)
    ask = _asker(conversation.prompt)
    try:
        while (line := ask()) is not None and line.casefold() not in _QUIT:
            conversation.take(line)
    except KeyboardInterrupt:
        if is_terminal(sys.stdin):
            output.notice("")
    finally:
        pictures.close()


def maps_of(model: Sequential, dataset: Dataset, row: int) -> MapsCard | None:
    """The first convolution at work on a row; None if there is none."""
    name, layer = next(((path, each) for path, each in model.tree() if isinstance(each, Conv2D)), ("", None))
    if layer is None:
        return None
    image = dataset.x_test[row]
    model.forward(image[None])
    assert layer.output is not None
    made = layer.output[0]
    shown = min(8, len(made))
    return MapsCard(
        name=f"{_plain(dataset.name)}-{row}-maps",
        image=image,
        title=f"row {row}: {shown} of {len(made)} filters of layer {name}, and the map of each",
        filters=layer.weights[:shown].mean(axis=1),
        maps=made[:shown],
    )


def show_row(
    model: Classifier,
    dataset: Dataset,
    row: int,
    output: Output,
    pictures: Pictures | None,
    *,
    heat: Heat | None = None,
) -> None:
    """Classify one row of the test set; tell and draw it, with what speaks for the answer if that is asked for."""
    image, truth = dataset.x_test[row], int(dataset.y_test[row])
    found = answer(model, image)
    names, true_name = class_names(model, dataset.class_names), dataset.class_names[truth]
    title = f"row {row}: predicted {names[found.label]}, truth {true_name}"
    best = [(names[label], chance) for label, chance in found.top(2)]
    output.show(f"{title} ({'right' if found.label == truth else 'wrong'})  {shares(tuple(best))}")
    path = None
    if pictures is not None:
        count = len(found.probabilities)
        shown = list(range(count)) if count <= _SHOWN else [label for label, _ in found.top(_SHOWN)]
        card: Drawn = Card(
            name=f"{_plain(dataset.name)}-{row}",
            image=image,
            title=title,
            classes=tuple((names[label], found.probabilities[label]) for label in shown),
            label=shown.index(found.label),
            truth=shown.index(truth) if truth in shown else None,
            heat=None if heat is None else heat(image, found.label),
        )
        path = pictures.show(card)
    output.record(
        {
            "event": "answer",
            "row": row,
            "prediction": names[found.label],
            "truth": true_name,
            "correct": found.label == truth,
            "confidence": found.confidence,
            "top": [{"class": names[label], "probability": chance} for label, chance in found.top()],
        }
        | ({"picture": path} if pictures is not None else {})
    )


def shares(ranking: tuple[tuple[str, float], ...]) -> str:
    """Tell the first of a ranking, and what else it could be.

    Example:
        >>> shares((("7", 0.98), ("9", 0.015), ("1", 0.00001)))
        'confidence 98.00 %, then 9 with 1.50 %, 1 with < 0.01 %'
    """
    (_, best), *others = ranking
    rest = ", ".join(f"{name} with {_percent(chance)}" for name, chance in others)
    return f"confidence {_percent(best)}" + (f", then {rest}" if rest else "")


def _percent(chance: float) -> str:
    return f"{100 * chance:.2f} %" if chance >= 0.0001 else "< 0.01 %"


def _number(line: str) -> int | None:
    """Read a row number, written as people write one."""
    try:
        return int(line) if line.isascii() and "_" not in line and len(line) <= 40 else None
    except ValueError:
        return None


def _asker(prompt: str) -> Callable[[], str | None]:
    """Make the function that asks for the next line and gives None at the end; it prompts terminals only."""
    if not is_terminal(sys.stdin):
        return _next_line

    def prompted() -> str | None:
        try:
            return input(prompt).strip()
        except EOFError:
            print(file=sys.stderr)
            return None

    def prompted_beside() -> str | None:
        print(prompt, end="", file=sys.stderr, flush=True)
        return _next_line()

    if not is_terminal(sys.stdout):
        return prompted_beside
    optional("readline")  # with it, input() knows arrow keys and history
    return prompted


def _next_line() -> str | None:
    line = sys.stdin.readline() if sys.stdin is not None and not sys.stdin.closed else ""
    return line.strip() if line else None


def _plain(name: str) -> str:
    """Make a name fit for a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[-40:].strip("-") or "row"
