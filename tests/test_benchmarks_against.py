"""This tree against an older commit: the order of turns, the intervals, what is kept; no test here asserts a time."""

import json
import math
import shutil
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from benchmarks import against, bits, paired, trees
from benchmarks.__main__ import main
from benchmarks.against import AGAIN, NEW, OLD, ORDERS, SIDES, Comparison, Failed
from benchmarks.paired import Ratio
from benchmarks.referee import HERE, Command, Entry, Tree
from benchmarks.rivals.protocol import Job
from benchmarks.rows import OURS, Row, rows

from benchmark_helpers import interrupted

TREES = {side: Tree(Path(side), Path()) for side in SIDES}
KNOWN = {row.name: row for row in rows(1, "")}
TINY = ["--samples", "128", "--data-dir", "", "--cores", "1"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, one pass to a turn."""
    monkeypatch.setattr("benchmarks.referee.PAUSE", 0.0)
    monkeypatch.setattr(against, "TURN", 0.0)


@pytest.fixture
def commit() -> str:
    """This commit; the test skips where there is no repository."""
    try:
        return trees.resolve("HEAD")
    except trees.TreeError:
        pytest.skip("a commit to compare with is only in a git repository")


def comparison(*rounds: tuple[float, float, float], name: str = "some-row") -> Comparison:
    row = Row(name, "what", "s", (), (), Job(), each="run", repetitions=len(rounds))
    return Comparison(
        row, Entry(OURS, "handconv_own", "m"), [dict(zip(SIDES, times, strict=True)) for times in rounds], "ok"
    )


def test_every_side_takes_every_place_equally_often() -> None:
    for place in range(3):
        assert sorted(order[place] for order in ORDERS) == sorted(SIDES * 2)


def test_every_side_follows_every_other_equally_often() -> None:
    followed = [pair for order in ORDERS for pair in pairwise(order)]
    assert {followed.count((a, b)) for a in SIDES for b in SIDES if a != b} == {2}


def test_a_round_runs_all_sides_before_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def turn(entry: object, job: object, tree: Tree) -> float:
        turns.append(str(tree.source))
        return float(len(turns))

    monkeypatch.setattr(against, "turn", turn)
    sides = {NEW: Tree(Path("n"), Path()), OLD: Tree(Path("o"), Path()), AGAIN: Tree(Path("o"), Path())}
    found = comparison()
    found.row = Row("some-row", "what", "s", (), (), repetitions=2)
    against.measure(found, sides, lambda _: None)
    assert [tuple(times) for times in found.rounds] == [ORDERS[1], ORDERS[2]]
    assert [list(times.values()) for times in found.rounds] == [[4, 5, 6], [7, 8, 9]]  # the rehearsal does not count
    assert "".join(turns[3:6]) == "oon"


def test_a_round_that_is_not_whole_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([1.0] * 8)

    def turn(*_: object) -> float:
        try:
            return next(answers)
        except StopIteration:
            raise Failed("failed: out of memory") from None

    monkeypatch.setattr(against, "turn", turn)
    found = comparison()
    found.row = Row("some-row", "what", "s", (), (), repetitions=5)
    against.measure(found, TREES, lambda _: None)
    assert len(found.rounds) == 1
    assert found.status == f"{ORDERS[2][2]} failed: out of memory"
    assert found.status in str(found)


@pytest.mark.parametrize(
    ("count", "places"),
    [(6, (1, 6)), (7, (1, 7)), (8, (1, 8)), (9, (2, 8)), (15, (4, 12)), (20, (6, 15)), (51, (19, 33))],
)
def test_the_interval_lies_between_the_order_statistics_of_the_tables(count: int, places: tuple[int, int]) -> None:
    values = [float(value) for value in range(count, 0, -1)]
    assert paired.interval(values) == places


@pytest.mark.parametrize("count", [*range(6, 40), 51, 101])
def test_the_interval_is_the_narrowest_that_holds_the_median_in_95_cases_of_100(count: int) -> None:
    found = paired.interval(range(1, count + 1))
    assert found is not None
    k = int(found[0])

    def misses(below: int) -> float:
        return 2 * sum(math.comb(count, i) for i in range(below)) / 2**count

    assert misses(k) <= 0.05 < misses(k + 1)


def test_too_few_rounds_have_no_interval_and_no_verdict() -> None:
    found = comparison(*[(2.0, 1.0, 1.0)] * 5)
    assert found.ratio(NEW) == Ratio(2.0, None, None)
    assert found.verdict == "too few rounds"


def test_ratios_are_taken_within_a_round() -> None:
    found = comparison(*((scale * 1.1, scale, scale * 0.5) for scale in (1.0, 7.0, 3.0, 100.0, 2.0, 5.0, 11.0)))
    assert found.ratio(NEW).median == pytest.approx(1.1)
    assert found.ratio(NEW).low == pytest.approx(1.1)
    assert found.ratio(AGAIN).high == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(1.031, 1.2, "slower"), (1.03, 1.2, "unclear"), (0.9, 1.031, "unclear"), (1.01, 1.03, "not slower")],
)
def test_slower_is_said_only_where_the_whole_interval_lies_above(low: float, high: float, told: str) -> None:
    assert paired.verdict(Ratio((low + high) / 2, low, high)) == told


def test_more_memory_is_not_called_slower() -> None:
    assert comparison(*[(2.0, 1.0, 1.0)] * 7, name="memory").verdict == "larger"


def test_a_line_shows_medians_ratios_with_intervals_rounds_and_verdict() -> None:
    rounds = [(2.0 + place / 10, 1.0, 1.0) for place in range(7)]
    line = " ".join(str(comparison(*rounds)).split())
    assert line == "some-row m 2.3 1 1 s 2.300 [2.000, 2.600] 1.000 [1.000, 1.000] 7 slower"


def test_what_was_interrupted_before_its_first_round_is_kept_and_told() -> None:
    found = comparison()
    found.status = "interrupted"
    assert (found.record()["status"], found.record()["rounds"]) == ("interrupted", [])
    assert str(found).split() == ["some-row", "m", "interrupted"]


def test_the_rows_are_measured_as_they_are_defined_for_peers() -> None:
    modes = {name: [entry.mode for entry in against.own(KNOWN[name])] for name in against.ROWS}
    assert modes.pop("infer-1") == ["predict", "infer"]
    assert modes.pop("infer-256") == ["predict", "infer", "predict, shared out"]
    assert set(map(tuple, modes.values())) == {("",)}


def test_the_rows_against_a_commit_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list", "--against", "anything"])
    assert tuple(line.split()[0] for line in capsys.readouterr().out.splitlines()) == against.ROWS


def test_a_row_of_the_peers_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--against", "HEAD", "--only", "time-to-99"])
    assert "no row is named time-to-99" in capsys.readouterr().err


def test_an_unknown_commit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--against", "no-such-commit", "--only", "import", *TINY])
    assert "got 'no-such-commit'" in capsys.readouterr().err


def test_a_comparison_is_printed_and_kept(commit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "against.json"
    options = ["--only", "train-one-core", "--only", "infer-1", "--only", "import", "--repetitions", "1", *TINY]
    assert main(["--against", commit, "--json", str(file), *options]) == 0
    record = json.loads(file.read_text("utf-8"))
    assert record["environment"]["against"] == commit
    found = record["comparisons"]
    assert [(known["name"], known["mode"]) for known in found] == [
        *(("train-one-core", ""), ("infer-1", "predict"), ("infer-1", "infer"), ("import", ""))
    ]
    for known in found:
        assert known["status"] == "ok"
        assert len(known["rounds"]) == 1
        assert min(known["medians"].values()) > 0
    printed = capsys.readouterr().out
    assert "infer-1 predict" in printed
    assert commit in printed


def test_sigterm_keeps_the_rounds_and_removes_the_trees(
    commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, temporary = tmp_path / "against.json", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    options = ["--against", commit, "--only", "import", "--json", str(file), *TINY]
    code, printed = interrupted(signal.SIGTERM, f"import: {ORDERS[3][1]}, 3 of 51", *options)
    assert code == 143
    (known,) = json.loads(file.read_text("utf-8"))["comparisons"]
    assert (known["status"], len(known["rounds"])) == ("interrupted", 2)
    assert "too few rounds, interrupted" in printed
    assert list(temporary.iterdir()) == []


def test_a_side_that_does_not_run_is_told() -> None:
    entry = Entry(OURS, "handconv_own", env=(("PYTHONPATH", "/nowhere"), ("PYTHONSAFEPATH", "1")))
    with pytest.raises(Failed, match="No module named"):
        against.turn(entry, Job(samples=128), HERE)


def test_a_turn_of_a_command_runs_it_once(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    against.turn(Command(OURS, lambda _: [sys.executable, "-c", program]), Job(), HERE)
    assert (tmp_path / "runs").read_text() == "x"


def test_the_trees_hold_what_is_written_here_and_what_was_committed(commit: str) -> None:
    with trees.side_by_side(commit) as (new, old):
        for file in HERE.source.rglob("*.py"):
            assert (new.source / file.relative_to(HERE.source)).read_bytes() == file.read_bytes()
        assert (old.source / "handconv" / "__init__.py").exists()
        assert new.source != old.source
        kept = old.source.parent.parent
    assert not kept.exists()


def test_a_tree_that_imports_another_handconv_is_refused(commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "environment", lambda _: {"PYTHONPATH": str(HERE.source)})
    with pytest.raises(trees.TreeError, match="must import its own handconv"), trees.side_by_side(commit):
        raise AssertionError("it was not refused")


def test_the_same_tree_computes_the_same_bits(commit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with trees.side_by_side(commit) as (new, _):
        assert all(bits.compare(name, new, new) for name in bits.RUNS)
    assert capsys.readouterr().out.count("equal") == 3 * len(bits.RUNS)


def test_a_tree_that_computes_other_bits_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Tree(tmp_path / "src", HERE.program)
    shutil.copytree(HERE.source, other.source, ignore=shutil.ignore_patterns("__pycache__"))
    with (other.source / "handconv" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n_Plain = Sequential\nSequential = lambda layers, seed, **rest: _Plain(layers, seed=seed + 1, **rest)\n"
        )
    assert not bits.compare("reference, 1 worker", other, HERE)
    assert capsys.readouterr().out.count("DIFFERENT") == 3


def test_a_tree_that_cannot_do_a_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "handconv"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('it is broken')", encoding="utf-8")
    assert not bits.compare("dense", HERE, Tree(tmp_path, HERE.program))
    assert "old failed: ImportError: it is broken" in capsys.readouterr().out


def test_bits_against_a_commit_say_so_by_their_exit_status(commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {"dense": True, "geometries": False}
    monkeypatch.setattr(bits, "compare", lambda name, *_: known[name])
    assert bits.main(["--against", commit, "--only", "dense"]) == 0
    assert bits.main(["--against", commit, "--only", "dense", "--only", "geometries"]) == 1
