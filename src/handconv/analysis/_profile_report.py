"""The profile of a training step as a table: where its time goes, and the share of the arithmetic floor."""

import html
import sys
from dataclasses import dataclass

from handconv.utils.live import columns
from handconv.utils.text_table import format_table, html_table, wrapped
from handconv.utils.words import counted


@dataclass(frozen=True)
class ProfileRow:
    """One line of a profile.

    Attributes:
        name: of the layer, or of what else a step does.
        direction: "forward" or "backward", if it has one.
        seconds: the time a step.
        floor: the time that its matrix products need alone.
        multiply_adds: how many of them these products are.
    """

    name: str
    direction: str
    seconds: float
    floor: float
    multiply_adds: int


_HEAD = ("step", "direction", "ms", "share", "GEMM alone, ms", "GFLOP/s")
_LEFT = range(2)


@dataclass(frozen=True, repr=False)
class Profile:
    """The time of a training step; ``str`` draws the table.

    Attributes:
        batch_size: samples in the step.
        seconds: the time of the step.
        rows: where it went, the last row what is left.
    """

    batch_size: int
    seconds: float
    rows: tuple[ProfileRow, ...]

    @property
    def floor(self) -> float:
        """Seconds of all matrix products of a step, alone."""
        return sum(row.floor for row in self.rows)

    @property
    def share(self) -> float:
        """The share of the step's time that its matrix products would need alone."""
        return self.floor / self.seconds

    def _table(self) -> list[tuple[str, ...]]:
        whole = ProfileRow("in all", "", self.seconds, self.floor, sum(row.multiply_adds for row in self.rows))
        return [_HEAD, *(_cells(row, self.seconds) for row in (*self.rows, whole))]

    @property
    def conclusion(self) -> str:
        """The time in a sentence."""
        return (
            f"one process, batches of {self.batch_size}: {1e6 * self.seconds / self.batch_size:.1f} microseconds "
            f"a sample, {100 * self.share:.0f} % of them the arithmetic floor"
        )

    def __str__(self) -> str:
        room = columns(sys.stdout)
        text = format_table(self._table(), _LEFT, room, spare=(5, 4))
        rule = "-" * max(map(len, text))
        return wrapped("\n".join([text[0], rule, *text[1:-1], rule, text[-1], "", self.conclusion]), room)

    def __repr__(self) -> str:
        return f"<profile of a step in {counted(len(self.rows), 'part')}; {self.conclusion}>"

    def _repr_html_(self) -> str:
        """The table, in a notebook."""
        return html_table(self._table(), _LEFT) + f"<p>{html.escape(self.conclusion)}</p>"


def _cells(row: ProfileRow, total: float) -> tuple[str, ...]:
    floor = (f"{1e3 * row.floor:.3f}", f"{2e-9 * row.multiply_adds / row.floor:.0f}") if row.floor else ("", "")
    return row.name, row.direction, f"{1e3 * row.seconds:.3f}", f"{100 * row.seconds / total:.0f} %", *floor
