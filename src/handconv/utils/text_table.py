"""Tables in plain text, and as HTML for notebooks."""

import html
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence

# What is not torn apart at the end of a line: a number and its unit, a command and its options, what pip is to install,
# what stands in quotes.
_TOGETHER = re.compile(
    r"(?:< )?\d[\d.,]* (?:%|s|kB|MB|images/s)(?!\w)"
    r"|(?:\S+ -m )?\S*handconv\"? (?:--)?[a-z]+(?: (?:--?[a-z][\w-]*|\S*[\d./]\S*\w|\S*/(?!\S)|[A-Z][A-Z]+\b|[\w-]+$))*"
    r"|(?:\S+ -m |uv )?pip install (?:--python \S+ )?\S+"
    r"|(?<!\S)'[^'\n]+'(?!\w)"
)
_COLUMN = re.compile(r" *\S+(?: \S+)* {3,}(?=\S)")  # what stands before the text of a list
_SPACE = "\N{NO-BREAK SPACE}"


def format_table(
    rows: Sequence[Sequence[str]], left: Collection[int], room: int | None = None, spare: Sequence[int] = ()
) -> list[str]:
    r"""Align the cells of a table with spaces, a line for each row.

    Args:
        rows: the cells of each row, the head's too.
        left: the columns that begin at the left; the others end at the right.
        room: how long a line may be; without one there is no limit.
        spare: the columns that are left out where they do not fit, the first one first.

    Example:
        >>> rows = [("class", "images"), ("0", "980"), ("1", "1,135")]
        >>> print("\n".join(format_table(rows, left=[0])))
        class  images
        0         980
        1       1,135
        >>> format_table(rows, left=[0], room=8, spare=[1])
        ['class', '0', '1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown, gap = list(range(len(widths))), 2
    for dropped in (None, *spare):
        shown = [column for column in shown if column != dropped]
        gap = next((gap for gap in (2, 1) if room is None or _length(widths, shown, gap) <= room), 0)
        if gap:
            break
    return [
        (" " * (gap or 1))
        .join(row[place].ljust(widths[place]) if place in left else row[place].rjust(widths[place]) for place in shown)
        .rstrip()
        for row in rows
    ]


def _length(widths: Sequence[int], shown: Sequence[int], gap: int) -> int:
    """How long the lines of these columns are."""
    return sum(widths[place] for place in shown) + gap * (len(shown) - 1)


def wrapped(
    text: str, room: int | None, *, paragraphs: bool = False, whole: Callable[[str], Iterable[str]] = lambda _: ()
) -> str:
    r"""Break lines that are too long at words, and begin what follows further to the right.

    A number keeps its unit, and a command its options. A text with a name before it goes on below its beginning.

    Args:
        text: the lines.
        room: how long a line may be; without one there is no limit.
        paragraphs: whether lines that begin at the margin go on at the margin.
        whole: tells what else in a line is not torn apart.

    Example:
        >>> print(wrapped("a short line\n  a line that is long", 12))
        a short line
          a line
            that is
            long
        >>> print(wrapped("size   100.00 % of it", 15))
        size   100.00 %
               of it
    """
    if room is None:
        return text
    return "\n".join(
        _wrapped_line(line, room, 0 if paragraphs and line[:1] != " " else 2, whole) for line in text.split("\n")
    )


def _wrapped_line(line: str, room: int, further: int, whole: Callable[[str], Iterable[str]]) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + further)
    if len(line) <= room or "\x1b" in line or len(indent) > room // 2:  # colours have no length
        return line
    if (before := _COLUMN.match(line)) and before.end() <= room // 2:
        indent = " " * before.end()
    for name in whole(line):
        line = line.replace(name, name.replace(" ", _SPACE))
    most = room - len(indent)
    line = _TOGETHER.sub(lambda found: found[0].replace(" ", _SPACE) if len(found[0]) < most else found[0], line)
    broken = textwrap.fill(line, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return broken.replace(_SPACE, " ")


def html_table(rows: Sequence[Sequence[str]], left: Collection[int], *, head: bool = True) -> str:
    """Make a table of HTML, as notebooks show it.

    Args:
        rows: the cells of each row, the head's too.
        left: the columns that begin at the left; the others end at the right, as notebooks have it.
        head: whether the first row is a head; if not, the first column is one.

    Example:
        >>> html_table([("<0>", "980")], left=[0], head=False)
        '<table><tr><th style="text-align: left">&lt;0&gt;</th><td>980</td></tr></table>'
    """

    def cell(row: int, column: int, text: str) -> str:
        kind = "th" if (row if head else column) == 0 else "td"
        side = ' style="text-align: left"' if column in left else ""
        return f"<{kind}{side}>{html.escape(text)}</{kind}>"

    lines = ("".join(cell(row, column, text) for column, text in enumerate(cells)) for row, cells in enumerate(rows))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
