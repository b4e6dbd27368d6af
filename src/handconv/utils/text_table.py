"""Tables in plain text, and as HTML for notebooks."""

import html
from collections.abc import Collection, Sequence


def format_table(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    r"""Align the cells of a table with spaces, a line for each row.

    Args:
        rows: the cells of each row, the head's too.
        left: the columns that begin at the left; the others end at the right.

    Example:
        >>> print("\n".join(format_table([("class", "images"), ("0", "980"), ("1", "1,135")], left=[0])))
        class  images
        0         980
        1       1,135
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(rows: Sequence[Sequence[str]], left: Collection[int], *, head: bool = True) -> str:
    """Make a table of HTML, as notebooks show it.

    Args:
        rows: the cells of each row, the head's too.
        left: the columns that begin at the left; the others end at the right.
        head: whether the first row is a head; if not, the first column is one.

    Example:
        >>> html_table([("class", "images"), ("<0>", "980")], left=[0])
        '<table><tr><th>class</th><th>images</th></tr><tr><td align="left">&lt;0&gt;</td><td>980</td></tr></table>'
    """

    def cell(row: int, column: int, text: str) -> str:
        kind = "th" if (row if head else column) == 0 else "td"
        side = ' align="left"' if kind == "td" and column in left else ""
        return f"<{kind}{side}>{html.escape(text)}</{kind}>"

    lines = ("".join(cell(row, column, text) for column, text in enumerate(cells)) for row, cells in enumerate(rows))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
