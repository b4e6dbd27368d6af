"""Tables: drawn by rich on a terminal, plain aligned text everywhere else."""

from collections.abc import Sequence

from handconv.cli._output import Output, optional


def show_table(
    output: Output, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> None:
    """Print a table; the first ``left`` columns are text, the others numbers."""
    if output.json:
        return
    tables, consoles = (
        (optional(f"rich.{name}") for name in ("table", "console")) if output.on_terminal else (None, None)
    )
    if tables is None or consoles is None:
        output.show(plain_table(title, head, rows, left=left))
        return
    table = tables.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = consoles.Console(highlight=False, markup=False, soft_wrap=True)
    console.print(title, style="bold")
    console.print(table)
    output.show()


def plain_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Align a table with spaces.

    Example:
        >>> print(plain_table("digits", ("class", "images"), [("0", "980"), ("1", "1,135")]))
        digits
        class  images
        0         980
        1       1,135
        <BLANKLINE>
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join([title, *lines, ""])
