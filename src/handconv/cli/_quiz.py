"""The quiz: the user types a row of the test set and sees the image, what the model takes it for, and the truth."""

import sys
from collections.abc import Callable

from handconv.analysis import answer
from handconv.cli._models import class_names
from handconv.cli._output import Output, optional
from handconv.cli._pictures import Card, Pictures
from handconv.datasets import Dataset
from handconv.ensemble import Classifier
from handconv.sequential import Sequential
from handconv.utils.live import is_terminal

_QUIT = ("quit", "q")


def quiz(model: Sequential, dataset: Dataset, output: Output, picture: str) -> None:
    """Answer rows until ``quit``, ``q``, the end of the input, or Ctrl-C."""
    last = len(dataset.x_test) - 1
    ask = _asker(f"Row of the test set, 0 to {last} (quit leaves): ")
    pictures = Pictures(picture, output)
    try:
        while (line := ask()) is not None and line.casefold() not in _QUIT:
            row = _row(line)
            if row is None:
                typed = f"{line[:40]!r} is no row number. " if line else ""
                output.reply(f"{typed}Type a whole number from 0 to {last}, or quit.")
            elif not 0 <= row <= last:
                output.reply(f"There is no row {row}: the test set has rows 0 to {last}. Type one of them, or quit.")
            else:
                show_row(model, dataset, row, output, pictures)
    except KeyboardInterrupt:
        if is_terminal(sys.stdin):
            output.notice("")
    finally:
        pictures.close()


def show_row(model: Classifier, dataset: Dataset, row: int, output: Output, pictures: Pictures | None) -> None:
    """Classify one row of the test set; tell and draw it."""
    image, truth = dataset.x_test[row], int(dataset.y_test[row])
    found = answer(model, image)
    names, true_name = class_names(model, dataset.class_names), dataset.class_names[truth]
    card = Card(
        name=f"{_plain(dataset.name)}-{row}",
        image=image,
        title=f"row {row}: predicted {names[found.label]}, truth {true_name}",
        right=found.label == truth,
        ranking=tuple((names[label], chance) for label, chance in found.top(10)),
    )
    verdict = "right" if card.right else "wrong"
    output.show(f"{card.title} ({verdict})  {shares(card.ranking[:2])}")
    path = pictures.show(card) if pictures is not None else None
    output.record(
        {
            "event": "answer",
            "row": row,
            "prediction": names[found.label],
            "truth": true_name,
            "correct": card.right,
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


def _row(line: str) -> int | None:
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
