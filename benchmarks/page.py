"""From raw repetitions to figures, verdicts and what is printed: each row when it is measured, then one table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.referee import Result
from benchmarks.rows import OURS, Bar, Row
from handconv.utils.text_table import format_table


@dataclass(frozen=True)
class Figure:
    """A contestant's figure in the unit of its row: the middle, and the quartiles of its repetitions."""

    library: str
    mode: str
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """One bar of a row: the rival it was measured against, the value, and whether it is met (None: not measured)."""

    row: str
    rival: str
    value: float | None
    bar: str
    shown: str
    met: bool | None


def figure(row: Row, result: Result) -> Figure | None:
    """The figure of one contestant, if it ran."""
    if not result.repetitions:
        return None
    divisor = {"run": 1, "sample": result.samples, "step": max(1, result.samples // row.job.batch_size)}[row.each]
    values = sorted(seconds / divisor * row.scale for seconds in result.repetitions)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Figure(result.library, result.mode, statistics.fmean(values) if row.mean else middle, low, high)


def best(row: Row, results: Sequence[Result], library: str) -> Figure | None:
    """The quickest mode of a library."""
    figures = [figure(row, result) for result in results if result.library == library]
    return min((known for known in figures if known), key=lambda known: known.middle, default=None)


def verdicts(row: Row, results: Sequence[Result]) -> list[Verdict]:
    """Hold a row's figures against its bars."""
    return [_verdict(row, results, bar) for bar in row.bars]


def _verdict(row: Row, results: Sequence[Result], bar: Bar) -> Verdict:
    ours, rival = best(row, results, OURS), best(row, results, bar.rival) if bar.rival else None
    name = (f"{bar.rival} {rival.mode}" if rival else bar.rival).strip()
    against = f" {bar.rival}" if bar.rival else ""
    if bar.kind == "accuracy":
        value = _accuracy(results, OURS)
        text, shown = f"accuracy >= {bar.limit:.1%}", "" if value is None else f"{value:.2%}"
        met = None if value is None else value >= bar.limit
    elif ours is None or (bar.rival and rival is None):
        return Verdict(row.name, name, None, f"{bar.limit:g}x{against}", "not measured", None)
    elif bar.kind == "below":
        value, text = ours.middle, f"<= {bar.limit:g} {row.unit}"
        shown, met = f"{value:.3g} {row.unit}", value <= bar.limit
    elif bar.kind == "longer":
        assert rival is not None
        value, text = ours.middle / rival.middle, f"<= {bar.limit:g}x{against}"
        shown, met = f"{value:.2f}x", value <= bar.limit
    else:
        assert rival is not None
        value = rival.middle / ours.middle
        percent = bar.kind == "share"
        text = f">= {bar.limit:.0%}" if percent else f">= {bar.limit:g}x{against}" if bar.limit else "shown beside"
        shown = f"{value:.0%}" if percent else f"{value:.2f}x"
        met = value >= bar.limit if bar.limit else None
    return Verdict(row.name, name, value, text, shown, met)


def _accuracy(results: Sequence[Result], library: str) -> float | None:
    found = [result.facts.get("test_accuracy") for result in results if result.library == library]
    known = [value for values in found if values for value in values if value is not None]
    return statistics.fmean(known) if known else None


def measured(row: Row, results: Sequence[Result]) -> str:
    """What one row has shown: all contestants, and how handconv fares against each bar."""
    lines = [f"{row.name}: {row.what} [{row.unit}; medians, repetitions in brackets]", *_contestants(row, results)]
    for verdict in verdicts(row, results):
        against = f" against {verdict.rival}" if verdict.rival else ""
        lines.append(f"  handconv{against}: {verdict.shown} ({verdict.bar})  {_MET[verdict.met]}".rstrip())
    return "\n".join([*lines, f"  {row.note}"] if row.note else lines)


def page(rows: Sequence[tuple[Row, Sequence[Result]]], environment: dict[str, Any]) -> str:
    """All rows in one table, and where the figures come from."""
    head = ("row", "handconv", "quartiles", "against", "its figure", "ratio", "bar", "")
    lines: list[tuple[str, ...]] = []
    for row, results in rows:
        ours = best(row, results, OURS)
        own = (f"{ours.middle:.3g} {row.unit}", f"{ours.low:.3g} - {ours.high:.3g}") if ours else ("not measured", "")
        for place, verdict in enumerate(verdicts(row, results)):
            rival = best(row, results, row.bars[place].rival)
            lines.append(
                (
                    row.name if place == 0 else "",
                    *(own if place == 0 else ("", "")),
                    verdict.rival,
                    f"{rival.middle:.3g}" if rival else "",
                    verdict.shown,
                    verdict.bar,
                    _MET[verdict.met],
                )
            )
    return "\n".join([table(head, lines), "", *described(environment)])


def described(environment: dict[str, Any]) -> list[str]:
    """The environment, a line for each fact."""
    return ["Environment", *(f"  {name}: {value}" for name, value in environment.items())]


_MET = {True: "met", False: "MISSED", None: ""}


def _contestants(row: Row, results: Sequence[Result]) -> list[str]:
    lines = []
    for result in results:
        name = f"  {result.library} {result.mode}".rstrip()
        known = figure(row, result)
        text = f"{known.middle:.4g}  ({len(result.repetitions)})" if known else ""
        text += "" if result.status == "ok" else f"  {result.status}"
        first = result.facts.get("first_step_seconds")
        text += f"  first step, compiling included: {first:.1f} s" if first else ""
        accuracy = _accuracy([result], result.library)
        text += f"  mean test accuracy {accuracy:.2%}" if accuracy is not None else ""
        lines.append(f"{name:34} {text}")
    return lines


def table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    """Columns under a head."""
    text = format_table((head, *lines), left=range(len(head)))
    return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])
