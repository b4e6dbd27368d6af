"""The benchmarks run and say what they measured; no test here asserts a time."""

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import page, referee
from benchmarks.__main__ import SCHEMA, main
from benchmarks.interruption import Interrupted, interruptible, write_whole
from benchmarks.referee import Command, Entry, Result
from benchmarks.rivals.protocol import NETWORKS, Job
from benchmarks.rows import OURS, Bar, Row, rows

from benchmark_helpers import interrupted
from handconv import recipes

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = ["--samples", "128", "--repetitions", "1", "--data-dir", ""]
OFFLINE = {row.name: row for row in rows(1, "")}
RUNNABLE = ["train-128", "numpy-peers", "infer-1", "infer-256", "colour-32x32", "gemm-floor", "import"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, one mode of each library, and nobody that compiles for seconds."""
    monkeypatch.setattr(referee, "PAUSE", 0.0)

    def few(cores: int, data_dir: str) -> list[Row]:
        return [with_few(row) for row in rows(cores, data_dir)]

    monkeypatch.setattr("benchmarks.__main__.rows", few)


def with_few(row: Row) -> Row:
    first = {entry.library: entry for entry in reversed(row.entries) if entry.library != "JAX"}
    return dataclasses.replace(row, entries=tuple(reversed(first.values())))


def result(library: str, *repetitions: float, mode: str = "", samples: int = 10) -> Result:
    return Result(library, mode, samples, repetitions=list(repetitions))


def raced(*entries: Entry | Command) -> list[Result]:
    results: list[Result] = []
    referee.race(entries, Job(), 1, sorted(usable()), results, lambda _: None)
    return results


def row(*bars: Bar, **options: Any) -> Row:
    return Row("some-row", "what", "s", (), bars, Job(batch_size=5), **options)


@pytest.mark.parametrize("name", RUNNABLE)
def test_each_row_runs_and_is_written_down(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    main(["--only", name, "--json", str(file), *TINY])
    record = json.loads(file.read_text("utf-8"))
    assert record["schema"] == SCHEMA
    (written,) = record["rows"]
    assert written["name"] == name
    for contestant in written["contestants"]:
        missing = contestant["status"].startswith("not installed")
        assert missing or contestant["status"] == "ok", contestant
        assert missing == (contestant["figure"] is None)
        expected = {"reference": 53_866, "colour": 1_116_970}[OFFLINE[name].job.network]
        assert contestant["facts"].get("parameters", expected) == expected
    ours = [contestant for contestant in written["contestants"] if contestant["library"] == OURS]
    assert ours[0]["figure"]["middle"] > 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: ")
    assert "processor" in printed


def test_a_row_is_printed_and_kept_when_it_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, seen = tmp_path / "bench.json", []

    def look(entries: Any, job: Any, repetitions: int, cores: Any, results: list[Result], say: Any) -> None:
        kept = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
        seen.append((capsys.readouterr().out.partition(":")[0], [known["name"] for known in kept]))
        results.append(result(OURS, 1.0))

    monkeypatch.setattr("benchmarks.__main__.race", look)
    main(["--only", "infer-1", "--only", "gemm-floor", "--only", "import", "--json", str(file), *TINY])
    assert seen == [("", []), ("infer-1", ["infer-1"]), ("gemm-floor", ["infer-1", "gemm-floor"])]


def test_ctrl_c_keeps_and_reports_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ["--only", "gemm-floor", "--only", "import", "--json", str(file), "--samples", "128", "--data-dir", ""]
    code, printed = interrupted(signal.SIGINT, "import: handconv: 3 of 4", *options, "--repetitions", "4")
    assert code == 130
    floor, importing = json.loads(file.read_text("utf-8"))["rows"]
    assert (floor["complete"], importing["complete"]) == (True, False)
    assert [len(known["repetitions"]) for known in floor["contestants"]] == [4, 4]
    assert [len(known["repetitions"]) for known in importing["contestants"]] == [2, 2]
    assert "  interrupted" in printed
    table = printed.partition("row ")[2]
    assert "gemm-floor" in table
    assert "import" in table


def test_an_interrupted_contestant_is_ended_at_once() -> None:
    racer = referee.Racer(Entry(OURS, "handconv_own"), Job(samples=128))
    with pytest.raises(Interrupted), racer:
        raise Interrupted(signal.SIGINT)
    assert racer._process.returncode == -signal.SIGKILL


def test_only_the_first_signal_interrupts() -> None:
    with interruptible():
        with pytest.raises(Interrupted) as stop:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.status == 143


def test_the_handlers_of_signals_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    write_whole(file, {"rows": [1]})
    with pytest.raises(TypeError):
        write_whole(file, {"rows": object()})
    assert json.loads(file.read_text("utf-8")) == {"rows": [1]}
    assert list(tmp_path.iterdir()) == [file]


def test_a_record_in_a_folder_that_does_not_exist_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "nowhere" / "bench.json"), *TINY])
    assert "expects a file in a folder that exists" in capsys.readouterr().err


def test_the_steps_of_the_ablation_learn_the_same_task() -> None:
    job = Job(samples=64, batch_size=64)
    for contestant, mode in (("steps", "im2col"), ("steps", "by hand"), ("handconv_own", "not fused")):
        with referee.Racer(Entry(mode, contestant, mode, cores=1), job) as racer:
            racer.prepare()
            for turn in range(40):
                racer.run(turn)
        assert racer.result.status == "ok"
        assert racer.result.facts["loss"] < 2


def test_the_rows_are_those_of_the_bar() -> None:
    assert list(OFFLINE) == [
        *("train-128", "train-32", "train-64", "train-256", "train-512", "train-1024", "train-one-core", "numpy-peers"),
        *("infer-1", "infer-256", "colour-32x32", "plus", "colour", "augment-affine", "augment-elastic", "gemm-floor"),
        *("time-to-99", "import", "memory", "ablation"),
    ]


def test_every_rival_is_short_enough_to_check() -> None:
    for file in (REPOSITORY / "benchmarks" / "rivals").glob("*_rival.py"):
        assert len(file.read_text("utf-8").splitlines()) <= 85, file.name


def test_a_figure_is_the_median_with_its_quartiles_in_the_unit_of_the_row() -> None:
    found = page.figure(row(scale=100.0), result("x", 1.0, 2.0, 4.0, 3.0, 5.0))
    assert found == page.Figure("x", "", 30.0, 20.0, 40.0)
    by_step = page.figure(row(each="step"), result("x", 6.0))
    assert by_step is not None
    assert by_step.middle == 3.0


def test_the_quickest_mode_of_a_library_stands_for_it() -> None:
    results = [result("x", 2.0, mode="slow"), result("x", 1.0, mode="quick"), result("y", 0.5), Result("x", "gone", 1)]
    found = page.best(row(each="run"), results, "x")
    assert found is not None
    assert found.mode == "quick"


@pytest.mark.parametrize(
    ("bar", "met", "shown"),
    [
        (Bar("faster", 3.0, "x"), True, "3.00x"),
        (Bar("faster", 3.1, "x"), False, "3.00x"),
        (Bar("faster", 0.0, "x"), None, "3.00x"),
        (Bar("longer", 0.3, "x"), False, "0.33x"),
        (Bar("longer", 0.4, "x"), True, "0.33x"),
        (Bar("share", 0.5, "x"), True, "300%"),
        (Bar("below", 2.0), True, "2 s"),
        (Bar("below", 1.9), False, "2 s"),
        (Bar("faster", 3.0, "nobody"), None, "not measured"),
    ],
)
def test_a_bar_is_met_or_missed(bar: Bar, met: bool | None, shown: str) -> None:
    (verdict,) = page.verdicts(row(bar, each="run"), [result(OURS, 2.0), result("x", 6.0)])
    assert (verdict.met, verdict.shown) == (met, shown)


def test_the_accuracy_is_the_mean_over_the_seeds() -> None:
    ours = result(OURS, 2.0)
    ours.facts["test_accuracy"] = [0.99, 0.992]
    (verdict,) = page.verdicts(row(Bar("accuracy", 0.99), each="run"), [ours])
    assert (verdict.met, verdict.shown) == (True, "99.10%")


def test_the_page_tells_what_failed_and_what_is_missing() -> None:
    gone = Result("x", "mode", 1, status="not installed (No module named 'x')")
    known = row(Bar("faster", 3.0, "x"), each="run"), [result(OURS, 2.0), gone]
    assert "not installed (No module named 'x')" in page.measured(*known)
    assert "not measured" in page.page([known], {"Python": "3"})


def test_a_rival_that_cannot_start_is_an_answer() -> None:
    blocked = (("PYTHONPATH", str(REPOSITORY / "src")), ("PYTHONSAFEPATH", "1"))
    (found,) = raced(Entry("x", "no_such_rival", env=blocked))
    assert found.status.startswith("failed: ")
    assert found.repetitions == []


def test_a_command_that_fails_says_why() -> None:
    (found,) = raced(Command("x", lambda _: [sys.executable, "-c", "import sys; sys.exit('it is broken')"]))
    assert found.status == "failed: it is broken"


def test_time_to_99_gives_the_rival_the_settings_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.rows._unpacked", lambda _: "data.npz")
    _, peer = OFFLINE["time-to-99"].entries
    assert isinstance(peer, Command)
    arguments = peer.arguments(3)[3:]
    settings = dict(zip(arguments[::2], arguments[1::2], strict=True))
    recipe = recipes.load("fast")
    assert (settings["--seed"], settings["--epochs"]) == ("3", str(recipe["epochs"]))
    assert settings["--peak"] == str(recipes.learning_rate(recipe))
    assert settings["--label-smoothing"] == str(recipe["loss"]["label_smoothing"])


def test_a_command_whose_data_is_missing_says_so() -> None:
    def missing(_: int) -> list[str]:
        raise FileNotFoundError("no such folder")

    runner = referee.Runner(Command("x", missing))
    runner.run(0)
    assert runner.result.status == "failed: no such folder"


def test_memory_is_that_of_a_process_and_its_children() -> None:
    child = "import time; x = b'1' * 80_000_000; time.sleep(0.3)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    runner = referee.Runner(Command("x", lambda _: [sys.executable, "-c", program], measure="memory"))
    runner.run(0)
    assert runner.result.repetitions[0] > 80_000_000


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    assert "no row is named nothing" in capsys.readouterr().err


def test_networks_know_how_many_features_their_poolings_leave() -> None:
    assert {name: net.features for name, net in NETWORKS.items()} == {"reference": 400, "colour": 4096}


def test_figures_are_drawn_from_the_record_and_small(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import figures

    file = tmp_path / "bench.json"
    main(["--only", "numpy-peers", "--only", "gemm-floor", "--json", str(file), *TINY])
    figures.main([str(file), str(tmp_path / "figures")])
    drawn = {figure.stem: figure.stat().st_size for figure in (tmp_path / "figures").glob("*.png")}
    assert "layers" in drawn
    assert max(drawn.values()) < 60_000


def test_figures_are_not_drawn_from_a_comparison_with_a_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import figures

    file = tmp_path / "against.json"
    file.write_text('{"comparisons": []}', encoding="utf-8")
    with pytest.raises(SystemExit):
        figures.main([str(file), str(tmp_path / "figures")])
    assert "was written with --against" in capsys.readouterr().err


def usable() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
