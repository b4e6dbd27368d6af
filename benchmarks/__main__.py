"""``python -m benchmarks``: run every row, print one page."""

import argparse
import dataclasses
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.referee import ROOT, Entry, Result, race
from benchmarks.rows import Row, rows

SCHEMA = 1


def main(arguments: list[str] | None = None) -> int:
    """Run the rows that were asked for, and print the page."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="handconv and its peers side by side.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this row alone; may be given several times")
    parser.add_argument("--list", action="store_true", help="name the rows, and run nothing")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter repetitions: for a look, not for a figure"
    )
    parser.add_argument("--samples", type=int, help="at most this many samples to a repetition (at least one batch)")
    parser.add_argument("--repetitions", type=int, help="instead of each row's own number")
    parser.add_argument("--cores", type=int, default=min(2, len(usable)), help="how many cores (default: %(default)s)")
    parser.add_argument("--data-dir", default=_mnist(), help="the folder with the four files of MNIST")
    parser.add_argument("--json", metavar="FILE", help="write the raw repetitions to a file")
    settings = parser.parse_args(arguments)

    cores = usable[: max(1, settings.cores)]
    known = rows(len(cores), settings.data_dir)
    if settings.list:
        print("\n".join(f"{row.name:16} {row.what}" for row in known))
        return 0
    unknown = set(settings.only or ()) - {row.name for row in known}
    if unknown:
        parser.error(f"no row is named {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in known)}")
    chosen = [fitted(row, settings) for row in known if not settings.only or row.name in settings.only]

    before, measured = machine.load(), []
    for row in chosen:
        jobs = any(isinstance(entry, Entry) for entry in row.entries)
        here = cores[: row.job.cores] if jobs else cores
        measured.append((row, race(row.entries, row.job, row.repetitions, here, partial(_say, row.name))))
    everyone = [result for _, results in measured for result in results]
    environment = machine.describe(cores, everyone, settings.data_dir) | {"load before": before}
    print(page.page(measured, environment))
    if settings.json:
        Path(settings.json).write_text(json.dumps(record(measured, environment), indent=1), encoding="utf-8")
    return 0


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


def record(measured: list[tuple[Row, list[Result]]], environment: dict[str, Any]) -> dict[str, Any]:
    """All of it as plain values: raw repetitions, and what the page made of them."""
    return {
        "schema": SCHEMA,
        "environment": environment,
        "rows": [
            {
                "name": row.name,
                "what": row.what,
                "unit": row.unit,
                "batch_size": row.job.batch_size,
                "contestants": [
                    dataclasses.asdict(result)
                    | {"figure": dataclasses.asdict(known) if (known := page.figure(row, result)) else None}
                    for result in results
                ],
                "verdicts": [dataclasses.asdict(verdict) for verdict in page.verdicts(row, results)],
            }
            for row, results in measured
        ],
    }


def _mnist() -> str:
    """Where the files of MNIST are, if they are where the tests look for them."""
    folder = Path(os.environ.get("HANDCONV_DATA_DIR") or ROOT.parent / "shared" / "data") / "mnist"
    return str(folder) if folder.is_dir() else ""


def _say(row: str, text: str) -> None:
    print(f"{row}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
