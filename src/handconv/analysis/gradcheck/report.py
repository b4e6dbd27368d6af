"""What a gradient check found, as rows and as a table."""

import html
import sys
from dataclasses import dataclass

from handconv.utils.live import columns
from handconv.utils.text_table import format_table, html_table, wrapped
from handconv.utils.words import counted


@dataclass(frozen=True)
class GradientEntry:
    """One entry of an array, and its gradient found in two ways.

    Attributes:
        index: where in the array it is.
        analytic: its gradient from ``backward``.
        numeric: its gradient from differences.
    """

    index: tuple[int, ...]
    analytic: float
    numeric: float


@dataclass(frozen=True)
class GradientRow:
    """The check of one array: a layer's parameters or inputs, or the same of the whole network.

    Attributes:
        layer: place (or name) and class of the layer, "network", or the class of the loss.
        what: "inputs", or the name of the parameters.
        size: how many entries the array has.
        checked: how many were compared.
        skipped: how many of those that were tried lie at a kink, also after the test point was moved.
        error: the largest relative error.
        worst: the entry that has it; None if nothing was compared.
        tolerance: the largest error that passes.
    """

    layer: str
    what: str
    size: int
    checked: int
    skipped: int
    error: float
    worst: GradientEntry | None
    tolerance: float

    @property
    def verdict(self) -> str:
        """One of "ok", "FAILED", and "unproved" where nothing could be compared."""
        if self.worst is None:
            return "unproved"
        return "ok" if self.error <= self.tolerance else "FAILED"


_HEAD = ("layer", "gradient of", "checked", "skipped", "largest error", "at", "verdict")
_LEFT = (0, 1, 5, 6)


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The result of ``gradcheck``; ``str`` of it is a table.

    Attributes:
        rows: one for each array, layer by layer, then those of the whole network.
    """

    rows: tuple[GradientRow, ...]

    @property
    def ok(self) -> bool:
        """Whether every row is."""
        return all(row.verdict == "ok" for row in self.rows)

    @property
    def worst(self) -> GradientRow:
        """The row that has the largest error; of those that failed, one of a single layer, if there is any.

        A mistake in a layer shows in the network too, and wherever the engine's program differs from the layers' pages.
        """
        return max(
            self.rows,
            key=lambda row: (row.verdict != "ok", row.layer not in _WHOLES, row.layer != "program", row.error),
        )

    def __str__(self) -> str:
        room = columns(sys.stdout)
        lines = format_table([_HEAD, *map(_cells, self.rows)], _LEFT, room, spare=(5, 3, 2))
        return wrapped("\n".join([*lines, "", self.conclusion]), room)

    def __repr__(self) -> str:
        return f"<gradients of {counted(len(self.rows), 'array')}. {self.conclusion}>"

    def _repr_html_(self) -> str:
        """The table, in a notebook."""
        return html_table([_HEAD, *map(_cells, self.rows)], _LEFT) + f"<p>{html.escape(self.conclusion)}</p>"

    @property
    def conclusion(self) -> str:
        """The verdict in a sentence."""
        by_differences = [row for row in self.rows if row.layer != "program"]
        checked, skipped = (sum(getattr(row, name) for row in by_differences) for name in ("checked", "skipped"))
        if self.ok:
            return (
                f"All gradients are right: {counted(checked, 'entry', 'entries')} checked, {skipped:,} skipped at "
                f"kinks; the largest relative error is {self.worst.error:.1e}, at most {self.worst.tolerance:.0e} is "
                "allowed."
            )
        row = self.worst
        if row.layer == "program" and row.worst is not None:
            return (
                "The pages of the layers are right, and the engine's program differs from them: its gradient with "
                f"respect to the {row.what} is {row.worst.analytic:.9g} at {_place(row.worst)}, that of the pages "
                f"{row.worst.numeric:.9g}. Train with engine=False until its ops are mended."
            )
        if row.worst is None:
            return f"Not proved: the {row.what} of {row.layer} have no entry away from kinks and steps. Try another x."
        return (
            f"{row.layer}: the gradient with respect to the {row.what} is wrong at {_place(row.worst)}: backward says "
            f"{row.worst.analytic:.9g}, differences say {row.worst.numeric:.9g} (relative error {row.error:.1e}, "
            f"at most {row.tolerance:.0e} is allowed)."
        )


_WHOLES = ("network", "program")


def _cells(row: GradientRow) -> tuple[str, ...]:
    tried = row.checked + row.skipped
    checked = f"{row.checked:,}" + (f" of {row.size:,}" if tried < row.size else "")
    error, place = ("-", "-") if row.worst is None else (f"{row.error:.1e}", _place(row.worst))
    return row.layer, row.what, checked, f"{row.skipped:,}", error, place, row.verdict


def _place(entry: GradientEntry) -> str:
    return f"[{', '.join(map(str, entry.index))}]"
