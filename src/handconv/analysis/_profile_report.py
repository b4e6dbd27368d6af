"""The profile of a training step as a table: where its time goes, and the share of the arithmetic floor."""

from dataclasses import dataclass

from handconv.utils.text_table import format_table


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


@dataclass(frozen=True)
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

    def __str__(self) -> str:
        head = ("step", "direction", "ms", "share", "GEMM alone, ms", "GFLOP/s")
        body = [_cells(row, self.seconds) for row in self.rows]
        whole = ProfileRow("in all", "", self.seconds, self.floor, sum(row.multiply_adds for row in self.rows))
        lines = [head, *body, _cells(whole, self.seconds)]
        text = format_table(lines, left=range(2))
        rule = "-" * max(map(len, text))
        close = (
            f"one process, batches of {self.batch_size}: {1e6 * self.seconds / self.batch_size:.1f} microseconds "
            f"a sample, {100 * self.share:.0f} % of them the arithmetic floor"
        )
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1], "", close])


def _cells(row: ProfileRow, total: float) -> tuple[str, ...]:
    floor = (f"{1e3 * row.floor:.3f}", f"{2e-9 * row.multiply_adds / row.floor:.0f}") if row.floor else ("", "")
    return row.name, row.direction, f"{1e3 * row.seconds:.3f}", f"{100 * row.seconds / total:.0f} %", *floor
