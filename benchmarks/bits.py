"""Does this tree compute the same bits as an older commit? ``python -m benchmarks.bits --against COMMIT``.

Both train the same small networks (``fixed_runs``), by the same interpreter on the same machine; the exit status is 0
if all parameters and answers are equal to the last bit, else 1.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import trees
from benchmarks.fixed_runs import RUNS
from benchmarks.interruption import Interrupted, interruptible
from benchmarks.referee import Tree, environment, kill

KINDS = ("parameters", "predict", "infer")


def main(arguments: list[str] | None = None) -> int:
    """Do the runs under both trees; print each when it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bits", description="Compare final bits with a commit.")
    parser.add_argument("--against", metavar="COMMIT", required=True, help="the older commit")
    parser.add_argument("--only", action="append", choices=RUNS, help="this run alone; may be given several times")
    settings = parser.parse_args(arguments)
    try:
        with interruptible(), trees.side_by_side(trees.resolve(settings.against)) as (new, old):
            same = [compare(name, new, old) for name in settings.only or RUNS]
    except Interrupted as stop:
        return stop.status
    except trees.TreeError as error:
        parser.error(str(error))
    return 0 if all(same) else 1


def compare(name: str, new: Tree, old: Tree) -> bool:
    """Do a run under both trees, print what differs, and tell whether nothing does."""
    hashes = []
    for side, tree in (("new", new), ("old", old)):
        found = run(name, tree)
        if isinstance(found, str):
            print(f"{name:22} {side} failed: {found}", flush=True)
            return False
        hashes.append(found)
    ours, theirs = hashes
    told = {kind: "equal" if ours[kind] == theirs[kind] else "DIFFERENT" for kind in KINDS}
    print(f"{name:22} " + "  ".join(f"{kind} {text} ({ours[kind][:8]})" for kind, text in told.items()), flush=True)
    return set(told.values()) == {"equal"}


def run(name: str, tree: Tree) -> dict[str, str] | str:
    """The hashes of a run under a tree, or why there are none."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fixed_runs", name],
        cwd=tree.program,
        env=environment(tree),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            out, errors = process.communicate()
        finally:
            kill(process)
    if process.returncode:
        return _last(errors.splitlines())
    found: dict[str, str] = json.loads(_last(out.splitlines()))
    return found


def _last(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "it ended without a word"


if __name__ == "__main__":
    sys.exit(main())
