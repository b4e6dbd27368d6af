"""The referee: starts the contestants of a row on the same cores, and lets them run in turn.

All contestants of a row are ready before the first one runs; then each runs once, A B C A B C, so that a machine that
becomes slower does so for all. Who waits sleeps. A contestant is a process of ``benchmarks.rivals`` that repeats a job,
or a command that is run anew each time (``Command``). Each runs in a session of its own, so that Ctrl-C reaches the
referee alone, which ends what it started.
"""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from benchmarks.rivals.protocol import Job

ROOT = Path(__file__).resolve().parent.parent
PAUSE = 0.1  # seconds before each turn, in which the threads of the one before go to sleep
SLOW, FEW = 15.0, 3  # whoever needs longer for a repetition, in seconds, is run this often only


@dataclass(frozen=True)
class Tree:
    """What a contestant runs: the folder that holds handconv/, and the one that holds benchmarks/."""

    source: Path
    program: Path


HERE = Tree(ROOT / "src", ROOT)


@dataclass(frozen=True)
class Entry:
    """A contestant: whose it is, and the process that races for it; ``samples`` overrides that of the row's job."""

    library: str
    module: str
    mode: str = ""
    samples: int | None = None
    cores: int | None = None
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Command:
    """A contestant that is a command: ``arguments`` of the repetition's number."""

    library: str
    arguments: Callable[[int], list[str]]
    mode: str = ""
    measure: Literal["seconds", "memory"] = "seconds"


@dataclass
class Result:
    """What a contestant did: the raw repetitions (seconds, or bytes of memory) and what it said about itself."""

    library: str
    mode: str
    samples: int
    status: str = "ok"
    repetitions: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Racer:
    """A contestant's process; used in a ``with`` statement, which ends it."""

    def __init__(self, entry: Entry, job: Job, tree: Tree = HERE) -> None:
        samples = entry.samples or job.samples
        self.job = dataclasses.replace(
            job,
            mode=entry.mode,
            samples=samples,
            batch_size=min(job.batch_size, samples),
            cores=entry.cores or job.cores,
        )
        self.result = Result(entry.library, entry.mode, self.job.samples)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.rivals.{entry.module}"],
            cwd=tree.program,
            env=environment(tree) | dict(entry.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._errors, contextlib.suppress(OSError), self._process:
            if error is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.communicate(timeout=20)
            kill(self._process)

    def prepare(self) -> None:
        """Let it get ready."""
        start = time.perf_counter()
        self._tell(json.dumps(dataclasses.asdict(self.job)))
        facts = self._hear()
        facts.pop("ready", None)
        self.result.facts |= facts
        self.result.facts["ready_seconds"] = time.perf_counter() - start

    def run(self, _: int) -> None:
        """Let it run once."""
        if self.result.status == "ok":
            self._tell("run")
            answer = self._hear()
            if "seconds" in answer:
                self.result.repetitions.append(answer["seconds"])
                self.result.facts["loss"] = answer["loss"]

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": self._last_words()}
        if "missing" in answer:
            self.result.status = f"not installed ({answer['missing']})"
        elif "failed" in answer:
            self.result.status = f"failed: {answer['failed']}"
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        return (self._errors.read().strip().splitlines() or ["it ended without a word"])[-1][:300]


class Runner:
    """A command, run anew each time."""

    def __init__(self, command: Command, tree: Tree = HERE) -> None:
        self.command, self.tree = command, tree
        self.result = Result(command.library, command.mode, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to end."""

    def prepare(self) -> None:
        """Rehearse: afterwards files and bytecode are cached."""
        self.run(0)
        self.result.repetitions.clear()
        self.result.facts.clear()

    def run(self, repetition: int) -> None:
        """Run it once; what it prints last may be a JSON object with an accuracy."""
        if self.result.status != "ok":
            return
        try:
            arguments = self.command.arguments(repetition)
        except OSError as error:
            self.result.status = f"failed: {error}"
            return
        with (
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as errors,
            tempfile.TemporaryDirectory() as cache,  # so that no run is kept among the user's own
        ):
            apart = {"HANDCONV_CACHE": cache} if "--data-dir" in arguments else {}
            start = time.perf_counter()
            process = subprocess.Popen(
                arguments,
                cwd=self.tree.program,
                env=environment(self.tree) | apart,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
            try:
                memory = peak_memory(process) if self.command.measure == "memory" else 0
                code, seconds = process.wait(), time.perf_counter() - start
            finally:
                kill(process)
            out.seek(0)
            errors.seek(0)
            if code:
                self.result.status = f"failed: {(errors.read().strip().splitlines() or ['?'])[-1][:300]}"
                return
            lines = out.read().strip().splitlines()
        self.result.repetitions.append(memory or seconds)
        if lines and lines[-1].startswith("{"):
            answer = json.loads(lines[-1])
            self.result.facts.setdefault("test_accuracy", []).append(answer.get("test_accuracy"))


def contestant(entry: Entry | Command, job: Job, tree: Tree = HERE) -> Racer | Runner:
    """Start a contestant."""
    return Racer(entry, job, tree) if isinstance(entry, Entry) else Runner(entry, tree)


def race(
    entries: tuple[Entry | Command, ...],
    job: Job,
    repetitions: int,
    cores: list[int],
    results: list[Result],
    say: Callable[[str], object],
) -> None:
    """Run all contestants in turn, on these cores; what they do is in ``results`` at once."""
    with on_cores(cores), contextlib.ExitStack() as stack:
        racers: list[Racer | Runner] = []
        for entry in entries:
            say(f"{entry.library} {entry.mode}".strip() + ": getting ready")
            racer = contestant(entry, job)
            stack.push(racer)
            results.append(racer.result)
            racer.prepare()
            racers.append(racer)
        for repetition in range(repetitions):
            for racer in racers:
                done = racer.result.repetitions
                if isinstance(racer, Racer) and len(done) >= FEW and min(done) > SLOW:
                    continue
                say(f"{racer.result.library} {racer.result.mode}".strip() + f": {repetition + 1} of {repetitions}")
                time.sleep(PAUSE)
                racer.run(repetition)


def cores_for(entries: tuple[Entry | Command, ...], job: Job, cores: list[int]) -> list[int]:
    """The cores of a row: a job may want fewer; commands take all."""
    return cores[: job.cores] if any(isinstance(entry, Entry) for entry in entries) else cores


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process that was started in a session of its own, with all that it started; wait until it is gone."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def peak_memory(process: subprocess.Popen[Any]) -> int:
    """The most memory that a process and its children have at one time, in bytes: shared pages counted once (PSS)."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional, _family(process.pid))))
        time.sleep(0.02)
    if not peak:  # no /proc here: the largest of the two, as the system remembers it
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return peak


def _family(process: int) -> Iterator[int]:
    yield process
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _proportional(process: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def environment(tree: Tree = HERE) -> dict[str, str]:
    """The environment of all contestants: the sources on the path, no choice of threads taken from outside.

    Bytecode is cached, as it is on anybody's machine: else every start would compile all that is imported. Nor do they
    measure coverage, which costs time, and would report files of other trees.
    """
    kept = {name: value for name, value in os.environ.items() if not re.search("^COVERAGE_|_NUM_THREADS$", name)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPATH": os.pathsep.join([str(tree.source), str(tree.program)]), "MPLBACKEND": "Agg"}


@contextlib.contextmanager
def on_cores(cores: list[int]) -> Iterator[None]:
    """Let this process, and those that it starts meanwhile, use these cores only (where the system can do so)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
