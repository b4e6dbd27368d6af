"""A line that is drawn again and again: what is written to a terminal, and when."""

import io
from typing import Any

import pytest

from handconv.utils import live
from handconv.utils.live import NotebookLine, TerminalLine, columns, fitted


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the last entry has it."""
    times = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: times[-1])
    monkeypatch.setenv("COLUMNS", "40")
    return times


def test_what_is_over_at_once_shows_nothing(clock: list[float]) -> None:
    line = TerminalLine(terminal := Terminal())
    line.draw("files", 1, 2)
    line.clear()
    assert terminal.getvalue() == ""


def test_it_is_drawn_over_and_taken_away(clock: list[float]) -> None:
    line = TerminalLine(terminal := Terminal())
    for done in (1, 2):
        clock.append(done)
        line.draw("files", done, 2, f"{done} of 2" + " files" * (2 - done))
    line.clear()
    _, first, second, blank, end = terminal.getvalue().split("\r")
    assert first == f"files {'━' * 10}{'─' * 10} 1 of 2 files"
    assert second == f"files {'━' * 24} 2 of 2".ljust(len(first))
    assert blank == " " * len(second.rstrip())
    assert end == ""


def test_it_is_drawn_ten_times_a_second_at_most(clock: list[float]) -> None:
    line = TerminalLine(terminal := Terminal())
    for done in range(100):
        clock.append(done / 100)
        line.draw("files", done, 100)
    assert terminal.getvalue().count("\r") <= 10


def test_where_the_end_is_not_known_there_is_no_bar(clock: list[float]) -> None:
    line = TerminalLine(terminal := Terminal())
    clock.append(1)
    line.draw("file", 7, None, "7 kB")
    assert terminal.getvalue() == "\rfile 7 kB"


def test_a_terminal_without_the_characters_gets_others(clock: list[float]) -> None:
    terminal = Terminal()
    terminal.encoding = "ascii"
    clock.append(1)
    line = TerminalLine(terminal)
    clock.append(2)
    line.draw("file", 1, 2)
    assert terminal.getvalue() == f"\rfile {'#' * 12}{'.' * 12}"


def test_a_terminal_that_has_gone_away_stops_nothing(clock: list[float]) -> None:
    line = TerminalLine(terminal := Terminal())
    clock.append(1)
    terminal.close()
    line.draw("file", 1, 2)


@pytest.mark.parametrize("room", [1, 5, 12, 20, 79])
def test_a_line_never_takes_more_than_its_room(room: int) -> None:
    assert len(fitted("epoch 1/2", 0.3, ["loss 0.1234", "accuracy 1.00 %"], room)) <= room


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO(), None])
def test_who_says_how_long_a_line_is_is_believed(clock: list[float], stream: io.StringIO | None) -> None:
    assert columns(stream) == 40


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_a_line_in_a_file_or_pipe_has_eighty_characters(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert columns(stream) == 80


def test_a_notebook_breaks_lines_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    assert columns(io.StringIO()) is None


def test_a_notebook_keeps_one_place_for_it(clock: list[float]) -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, content: Any, *, raw: bool) -> None:
            shown.append(content)

    def display(content: Any, *, raw: bool, display_id: bool) -> Handle:
        shown.append(content)
        return Handle()

    line = NotebookLine(display)
    line.clear()
    for done in (1, 2):
        clock.append(done)
        line.draw("<files>", done, 4)
    line.clear()
    assert [content["text/html"] for content in shown] == [
        '<progress value="0.2500"></progress> <code>&lt;files&gt;</code>',
        '<progress value="0.5000"></progress> <code>&lt;files&gt;</code>',
        "",
    ]
