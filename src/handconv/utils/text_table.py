"""Tables in plain text."""

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
