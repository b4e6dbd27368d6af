"""Lines that are too long: where they may be broken, and where not."""

import pytest

from handconv.utils.text_table import wrapped


@pytest.mark.parametrize(
    "kept",
    [
        *("100.00 %", "< 0.01 %", "1,234.5 images/s", "'my runs/a b.npz'"),
        *("handconv runs", "handconv predict FILE.csv --output answers.csv", "python -m handconv play a.npz"),
        *("handconv train --resume mnist-2026-11-28-0457", "handconv train --save /tmp/a.npz"),
    ],
)
@pytest.mark.parametrize("before", range(20, 60, 3))
def test_what_belongs_together_stays_in_a_line(kept: str, before: int) -> None:
    assert kept in wrapped(f"{'a' * before} {kept} and what follows it here", 60)


def test_the_value_that_ends_a_command_stays_with_it() -> None:
    text = "There is no such command. To train on it: handconv train --dataset mnist"
    assert wrapped(text, 64).splitlines()[1] == "  handconv train --dataset mnist"


def test_a_command_that_no_line_takes_is_broken() -> None:
    command = f"handconv play {'a' * 20}.npz --dataset {'b' * 20}/"
    assert wrapped(f"To see them: {command}", 52).splitlines() == [
        f"To see them: handconv play {'a' * 20}.npz",
        f"  --dataset {'b' * 20}/",
    ]


def test_a_path_is_never_broken() -> None:
    path = "/a-folder/" * 9
    assert path in wrapped(f"The model is in {path} and nowhere else", 40).split()


def test_an_apostrophe_is_no_quote() -> None:
    lines = wrapped("EMNIST's images lie on the users' side", 20).splitlines()
    assert lines == ["EMNIST's images lie", "  on the users' side"]


def test_what_else_is_whole_is_never_broken() -> None:
    assert "a b c" in wrapped("It is in a b c and nowhere else", 12, whole=lambda _: ["a b c"])


def test_what_has_a_name_before_it_goes_on_below_its_beginning() -> None:
    assert wrapped("  top        the most probable classes", 30).splitlines() == [
        "  top        the most probable",
        "             classes",
    ]


def test_a_break_changes_nothing_but_blanks() -> None:
    text = "accuracy 99.18 %, then handconv play model.npz shows them all"
    assert wrapped(text, 20).split() == text.split()
