"""This tree and an older commit of it, side by side in a temporary folder."""

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import said
from benchmarks.referee import ROOT, Tree, environment


class TreeError(Exception):
    """A tree that cannot be compared."""


def resolve(commit: str) -> str:
    """The full name of a commit.

    Raises:
        TreeError: if there is none of this name.
    """
    found = said("git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if not found:
        raise TreeError(f"--against expects a commit of the repository in {ROOT}, got {commit!r}. Name one of git log.")
    return found


@contextlib.contextmanager
def side_by_side(commit: str) -> Iterator[tuple[Tree, Tree]]:
    """The sources of this tree, uncommitted changes included, and those of a commit; both run these benchmarks.

    All of it is copied, so that whoever changes a file meanwhile changes nothing that is measured.

    Raises:
        TreeError: if the commit has no sources, or a tree does not import its own.
    """
    with tempfile.TemporaryDirectory(prefix="handconv-against-") as folder:
        root = Path(folder).resolve()
        program = root / "program"
        new, old = (Tree(root / name / "src", program) for name in ("new", "old"))
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "benchmarks", program / "benchmarks", ignore=compiled)
        shutil.copytree(ROOT / "src", new.source, ignore=compiled)
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", "--format=zip", commit, "src"], capture_output=True, check=False
        )
        if archive.returncode:
            raise TreeError(f"The commit must have its sources in src/: {archive.stderr.decode().strip()}")
        with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
            files.extractall(old.source.parent)
        for tree in (new, old):
            _check(tree)
        yield new, old


def _check(tree: Tree) -> None:
    program = "import handconv; print(handconv.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree.program,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=False,
    )
    if not Path(done.stdout.strip()).is_relative_to(tree.source):
        found = done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]
        raise TreeError(f"A tree must import its own handconv, from {tree.source}, got {found!r}.")
