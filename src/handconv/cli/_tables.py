"""Tables: text aligned with spaces, never cut, so that they can be read in any width and by any program."""

from collections.abc import Sequence

from handconv.cli._output import Output
from handconv.utils.text_table import format_table


def show_table(
    output: Output, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> None:
    """Print a table; the first ``left`` columns are text, the others numbers."""
    lines = plain_table(title, head, rows, left=left).splitlines()
    if output.colours:
        lines[:2] = (f"\x1b[1m{line}\x1b[0m" for line in lines[:2])
    output.show("\n".join([*lines, ""]))


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
