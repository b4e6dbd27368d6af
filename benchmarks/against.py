"""This tree against an older commit of itself: ``make bench ARGS="--against COMMIT"``.

A round runs the new tree, the old one, and the old one again: old again / old is the control, a ratio that is 1 but for
the noise of the machine. The rounds take the six orders of the three in turn, so that nobody always comes first or
always follows the same. A turn is a new process that warms up first: where its memory happens to lie is drawn anew each
time, and is no property of a tree.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks import page, referee
from benchmarks.interruption import Interrupted
from benchmarks.paired import TOLERANCE, Ratio, ratio, verdict
from benchmarks.referee import Command, Entry, Racer, Result, Tree, contestant, cores_for, on_cores
from benchmarks.rivals.protocol import Job
from benchmarks.rows import OURS, Row
from benchmarks.trees import side_by_side

ROWS = (
    *("train-128", "train-32", "train-1024", "train-one-core", "infer-1", "infer-256"),
    *("colour-32x32", "import", "memory"),
)
ROUNDS = 15  # at least, unless a number is asked for
TURN = 1.0  # seconds that a turn lasts at least: so many passes, of which the median counts
NEW, OLD, AGAIN = SIDES = ("new", "old", "old again")
ORDERS = (
    *((NEW, OLD, AGAIN), (AGAIN, OLD, NEW), (OLD, AGAIN, NEW)),
    *((NEW, AGAIN, OLD), (AGAIN, NEW, OLD), (OLD, NEW, AGAIN)),
)
COLUMNS = (
    (30, "row"),
    (10, NEW),
    (10, OLD),
    (10, AGAIN),
    (18, "unit"),
    (22, "new / old"),
    (22, "old again / old"),
    (7, "rounds"),
)


class Failed(Exception):
    """A side that cannot do what is measured."""


@dataclass
class Comparison:
    """What one way to do a row took in each round, by side, in the order of their turns."""

    row: Row
    entry: Entry | Command
    rounds: list[dict[str, float]] = field(default_factory=list)
    status: str = "interrupted"

    @property
    def name(self) -> str:
        """The row's name, and the mode."""
        return f"{self.row.name} {self.entry.mode}".strip()

    def side(self, side: str) -> list[float]:
        """The rounds of one side, in seconds or bytes."""
        return [times[side] for times in self.rounds]

    def ratio(self, side: str) -> Ratio:
        """How a side compares with the old tree."""
        return ratio(self.side(side), self.side(OLD))

    def middle(self, side: str) -> float:
        """The median of a side in the unit of the row."""
        found = page.figure(self.row, Result(OURS, "", self.row.job.samples, repetitions=self.side(side)))
        assert found is not None
        return found.middle

    @property
    def verdict(self) -> str:
        """Whether the new tree is slower, or needs more memory."""
        return verdict(self.ratio(NEW), "larger" if self.row.name == "memory" else "slower")

    def __str__(self) -> str:
        if not self.rounds:
            return f"{self.name:30} {self.status}"
        medians = [f"{self.middle(side):.4g}" for side in SIDES]
        ratios = [str(self.ratio(side)) for side in (NEW, AGAIN)]
        cells = (self.name, *medians, self.row.unit, *ratios, str(len(self.rounds)))
        return f"{aligned(cells)} {self.verdict}{'' if self.status == 'ok' else f', {self.status}'}"

    def record(self) -> dict[str, Any]:
        """All of it as plain values."""
        found: dict[str, Any] = {
            "name": self.row.name,
            "mode": self.entry.mode,
            "what": self.row.what,
            "unit": self.row.unit,
            "status": self.status,
            "rounds": self.rounds,
        }
        if self.rounds:
            found["medians"] = {side: self.middle(side) for side in SIDES}
            found["new / old"] = dataclasses.asdict(self.ratio(NEW))
            found["old again / old"] = dataclasses.asdict(self.ratio(AGAIN))
            found["verdict"] = self.verdict
        return found


def aligned(cells: tuple[str, ...]) -> str:
    """A line of the table, whose widths are fixed, as a row is printed when it is measured."""
    return " ".join(
        f"{cell:>{width}}" if width == 10 else f"{cell:{width}}"
        for cell, (width, _) in zip(cells, COLUMNS, strict=True)
    ).rstrip()


def compare(
    rows: list[Row],
    commit: str,
    cores: list[int],
    environment: dict[str, Any],
    keep: Callable[[dict[str, Any]], object],
    say: Callable[[str], object],
) -> int:
    """Measure every row under both trees; print each when it is measured, and keep the record; the exit status."""
    comparisons: list[Comparison] = []
    environment = environment | {"against": commit}
    status = 0
    record = functools.partial(_record, comparisons, environment)
    try:
        with side_by_side(commit) as (new, old):
            trees = {NEW: new, OLD: old, AGAIN: old}
            print(aligned(tuple(title for _, title in COLUMNS)), flush=True)
            for row in rows:
                for entry in own(row):
                    comparisons.append(comparison := Comparison(row, entry))
                    try:
                        with on_cores(cores_for((entry,), row.job, cores)):
                            measure(comparison, trees, say)
                    finally:
                        print(comparison, flush=True)
                    keep(record())
    except Interrupted as stop:
        status = stop.status
        keep(record())
    print("\n".join(["", *page.described(environment), *_HOW]))
    return status


def measure(comparison: Comparison, trees: dict[str, Tree], say: Callable[[str], object]) -> None:
    """Do all rounds; the one before them, after which files and bytecode are cached, does not count."""
    row, rounds, side = comparison.row, comparison.row.repetitions, NEW
    try:
        for number in range(rounds + 1):
            times: dict[str, float] = {}
            for side in ORDERS[number % len(ORDERS)]:
                say(f"{comparison.name}: {side}, " + (f"{number} of {rounds}" if number else "rehearsal"))
                times[side] = turn(comparison.entry, row.job, trees[side])
            if number:
                comparison.rounds.append(times)
        comparison.status = "ok"
    except Failed as failure:
        comparison.status = f"{side} {failure}"


def turn(entry: Entry | Command, job: Job, tree: Tree) -> float:
    """What a contestant takes under a tree, in seconds or bytes.

    Raises:
        Failed: if it does not run.
    """
    with contestant(entry, job, tree) as racer:
        passes = racer.result.repetitions
        if isinstance(racer, Racer):
            racer.prepare()
        started = time.perf_counter()
        while not passes or (isinstance(racer, Racer) and time.perf_counter() - started < TURN):
            time.sleep(referee.PAUSE)
            racer.run(0)
            if racer.result.status != "ok":
                raise Failed(racer.result.status)
        return statistics.median(passes)


def own(row: Row) -> list[Entry | Command]:
    """The ways of a row in which handconv itself runs."""
    return [entry for entry in row.entries if entry.library == OURS]


def _record(comparisons: list[Comparison], environment: dict[str, Any]) -> dict[str, Any]:
    return {"environment": environment, "comparisons": [comparison.record() for comparison in comparisons]}


_HOW = (
    "How",
    "  new, old, old again: medians. Ratios: the median of the ratios within a round, and its 95 % interval.",
    f"  slower: the whole interval lies above {TOLERANCE}; not slower: none of it does. The last ratio is the control.",
)
