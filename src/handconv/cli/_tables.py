"""Tables: text aligned with spaces; where a line is short, columns that matter least are left out."""

from collections.abc import Sequence

from handconv.cli._output import Output
from handconv.utils.text_table import format_table, wrapped


def show_table(
    output: Output,
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    spare: Sequence[int] = (),
) -> None:
    """Print a table.

    Args:
        output: where.
        title: a line above it.
        head: the names of the columns.
        rows: the cells.
        left: the first columns that are text; the others are numbers.
        spare: the columns that a narrow terminal does without, the first one first.
    """
    top, *lines = [wrapped(title, output.room), *format_table((head, *rows), range(left), output.room, spare)]
    if output.colours:
        top, lines[0] = (f"\x1b[1m{line}\x1b[0m" for line in (top, lines[0]))
    output.show("\n".join([top, *lines, ""]))


def plain_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Align a table with spaces.

    Example:
        >>> print(plain_table("digits", ("class", "images"), [("0", "980"), ("1", "1,135")]))
        digits
        class  images
        0         980
        1       1,135
    """
    return "\n".join([title, *format_table((head, *rows), left=range(left))])
