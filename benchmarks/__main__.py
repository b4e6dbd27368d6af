"""``python -m benchmarks``: run every row, print each when it is measured, and one page in the end."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import against, machine, page, trees
from benchmarks.interruption import Interrupted, interruptible, write_whole
from benchmarks.referee import ROOT, Entry, Result, cores_for, race
from benchmarks.rows import Row, rows

SCHEMA = 1


@dataclass
class Measured:
    """A row and what its contestants did so far."""

    row: Row
    results: list[Result] = field(default_factory=list)
    complete: bool = False


def main(arguments: list[str] | None = None) -> int:
    """Run the rows that were asked for, and print them; the exit status is 130 after Ctrl-C, 143 after SIGTERM."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="handconv and its peers side by side.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this row alone; may be given several times")
    parser.add_argument("--list", action="store_true", help="name the rows, and run nothing")
    parser.add_argument("--against", metavar="COMMIT", help="not the peers, but an older commit of handconv itself")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter repetitions: for a look, not for a figure"
    )
    parser.add_argument("--samples", type=int, help="at most this many samples to a repetition (at least one batch)")
    parser.add_argument("--repetitions", type=int, help="instead of each row's own number")
    parser.add_argument("--cores", type=int, default=min(2, len(usable)), help="how many cores (default: %(default)s)")
    parser.add_argument("--data-dir", default=_mnist(), help="the folder with the four files of MNIST")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the raw repetitions to a file, after each row")
    settings = parser.parse_args(arguments)
    if settings.data_dir:
        settings.data_dir = str(Path(settings.data_dir).resolve())
    if settings.json and not settings.json.absolute().parent.is_dir():
        parser.error(f"--json expects a file in a folder that exists, got {settings.json}")

    cores = usable[: max(1, settings.cores)]
    known = rows(len(cores), settings.data_dir)
    if settings.against:
        wanted = {row.name: dataclasses.replace(row, repetitions=max(against.ROUNDS, row.repetitions)) for row in known}
        known = [wanted[name] for name in against.ROWS]
    if settings.list:
        print("\n".join(f"{row.name:16} {row.what}" for row in known))
        return 0
    unknown = set(settings.only or ()) - {row.name for row in known}
    if unknown:
        parser.error(f"no row is named {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in known)}")
    chosen = [fitted(row, settings) for row in known if not settings.only or row.name in settings.only]

    environment = machine.describe(cores, settings.data_dir)
    keep = partial(_keep, settings.json)
    try:
        with interruptible():
            if settings.against:
                return against.compare(chosen, trees.resolve(settings.against), cores, environment, keep, _say)
            return measure(chosen, cores, environment, keep)
    except Interrupted as stop:
        return stop.status
    except trees.TreeError as error:
        parser.error(str(error))


def fitted(row: Row, settings: argparse.Namespace) -> Row:
    """A row with as many samples and repetitions as were asked for."""
    limit = settings.samples or (2560 if settings.quick else 1 << 40)
    size = 1 if row.job.kind == "latency" else row.job.batch_size
    samples = max(size, min(limit, row.job.samples) // size * size)
    entries = tuple(
        dataclasses.replace(entry, samples=min(entry.samples, samples))
        if isinstance(entry, Entry) and entry.samples
        else entry
        for entry in row.entries
    )
    repetitions = settings.repetitions or (min(2, row.repetitions) if settings.quick else row.repetitions)
    job = dataclasses.replace(row.job, samples=samples, data_dir=settings.data_dir)
    return dataclasses.replace(row, job=job, entries=entries, repetitions=repetitions)


def measure(
    chosen: list[Row], cores: list[int], environment: dict[str, Any], keep: Callable[[dict[str, Any]], object]
) -> int:
    """Let handconv and its peers race; print each row when it is measured, and keep the record; the exit status."""
    measured: list[Measured] = []
    status = 0
    try:
        for row in chosen:
            measured.append(now := Measured(row))
            try:
                here = cores_for(row.entries, row.job, cores)
                race(
                    row.entries,
                    row.job,
                    row.repetitions,
                    here,
                    now.results,
                    lambda text: _say(f"{now.row.name}: {text}"),
                )
                now.complete = True
            finally:
                print(page.measured(row, now.results), "" if now.complete else "  interrupted\n", sep="\n", flush=True)
            keep(record(measured, environment))
    except Interrupted as stop:
        status = stop.status
        keep(record(measured, environment))
    rivals = machine.rivals(result for known in measured for result in known.results)
    print(page.page([(known.row, known.results) for known in measured], environment | rivals))
    return status


def record(measured: list[Measured], environment: dict[str, Any]) -> dict[str, Any]:
    """All of it as plain values: raw repetitions, and what the page made of them."""
    return {
        "environment": environment | machine.rivals(result for known in measured for result in known.results),
        "rows": [
            {
                "name": known.row.name,
                "what": known.row.what,
                "unit": known.row.unit,
                "batch_size": known.row.job.batch_size,
                "complete": known.complete,
                "contestants": [
                    dataclasses.asdict(result)
                    | {"figure": dataclasses.asdict(figure) if (figure := page.figure(known.row, result)) else None}
                    for result in known.results
                ],
                "verdicts": [dataclasses.asdict(verdict) for verdict in page.verdicts(known.row, known.results)],
            }
            for known in measured
        ],
    }


def _keep(file: Path | None, record: dict[str, Any]) -> None:
    if file is not None:
        write_whole(file, {"schema": SCHEMA, **record})


def _mnist() -> str:
    """Where the files of MNIST are, if they are where the tests look for them."""
    folder = Path(os.environ.get("HANDCONV_DATA_DIR") or ROOT.parent / "shared" / "data") / "mnist"
    return str(folder) if folder.is_dir() else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
