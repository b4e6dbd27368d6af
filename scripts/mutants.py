"""Mutation testing: small mistakes are put into the code one by one, and the tests must notice each.

    python scripts/mutants.py losses optimizers         by the names in TARGETS, each with the tests that answer for it
    python scripts/mutants.py layers --part 2/4         a quarter of the mutants, to take it in pieces
    python scripts/mutants.py layers --again FILE       only the survivors of an earlier run, whose output FILE is

A mutant changes one operator, comparison, constant, condition or sign, leaves out one statement, one keyword or one
side of "x += y". Texts, annotations, what stands in a raise statement, defaults of arguments that a function does not
read, and the strict of a zip, which asserts, are left alone. Each mutant is run in a process of its own, forked from
one in which NumPy and pytest are loaded, and lives in memory only: the files stay as they are. The tests in files named
as the changed one come first. Survivors are listed by file and line; the status is 0 if the share of those noticed
reaches --goal.
"""

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
_OF_NETWORKS = tuple(f"tests/test_network{part}.py" for part in ("", "_own_layers", "_ownership", "_sharing"))
#: What is mutated, and the tests that must notice.
TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "losses": (("losses",), ("tests/losses", "tests/test_numerics.py")),
    "optimizers": (("optimizers",), ("tests/optimizers", "tests/test_numerics.py")),
    "layers": (
        ("layers",),
        ("tests/layers", "tests/test_numerics.py", "tests/semantics/test_kept_views.py", *_OF_NETWORKS),
    ),
    "kernels": (
        ("engine/kernels", "engine/layout.py", "engine/arena.py"),
        ("tests/engine/kernels", "tests/engine/ops", "tests/engine/test_arena.py", "tests/engine/test_layout.py"),
    ),
    "ops": (
        ("engine/ops", "engine/lower.py", "engine/program.py", "engine/capture.py", "engine/inference.py"),
        (
            "tests/engine/ops",
            "tests/engine/test_capture.py",
            "tests/engine/test_inference.py",
            "tests/engine/test_lower.py",
            "tests/engine/test_program.py",
        ),
    ),
    "network": (("network.py", "layer_list.py"), (*_OF_NETWORKS, "tests/engine/test_inference.py")),
    "augment": (("augment",), ("tests/augment",)),
    "metrics": (("metrics.py",), ("tests/test_metrics.py",)),
    "sequential": (
        ("sequential.py",),
        ("tests/test_sequential.py", "tests/test_summary.py", "tests/training/test_loop.py", "tests/serialization"),
    ),
    "training": (
        (
            "training/step.py",
            "training/checks.py",
            "training/divergence.py",
            "training/statistics.py",
            "samples.py",
            "evaluation.py",
            "objective.py",
        ),
        (
            "tests/training/test_step.py",
            "tests/training/test_step_programs.py",
            "tests/training/test_loop.py",
            "tests/training/test_checks.py",
            "tests/training/test_divergence.py",
            "tests/training/test_averaging.py",
            "tests/training/test_shared_weights.py",
            "tests/training/test_undeclared.py",
            "tests/test_samples.py",
            "tests/test_sample_checks.py",
            "tests/test_evaluation.py",
            "tests/test_objective.py",
            "tests/semantics/test_own_losses.py",
            "tests/semantics/test_own_parts.py",
            "tests/semantics/test_held_layers.py",
            "tests/semantics/test_carried_state.py",
        ),
    ),
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Div,
    ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.BitXor: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip
MEMORY = 8_000_000_000  # bytes that a mutant may take


@dataclass(frozen=True)
class Mutant:
    """One changed file: where, how, and the whole of it."""

    path: Path
    line: int
    change: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.change}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    original = ast.parse(path.read_text("utf-8"))
    alone = set(map(id, _left_alone(original)))
    for place, node in enumerate(ast.walk(original)):
        for choice in range(0 if id(node) in alone else len(list(_ways(original, node)))):
            tree = copy.deepcopy(original)
            old = next(other for at, other in enumerate(ast.walk(tree)) if at == place)
            new = list(_ways(tree, old))[choice]
            change = f"{ast.unparse(old).splitlines()[0]}  ->  "
            if new is not None:
                ast.fix_missing_locations(ast.copy_location(new, old))
                change += ast.unparse(new).splitlines()[0]
            _replace(tree, old, new)
            yield Mutant(path, getattr(node, "lineno", 0), change, tree)


def _left_alone(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes in annotations, raise and import statements, types for checkers, texts and unread defaults."""
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            parts = [node.returns, *node.decorator_list, *_unread_defaults(node)]
        elif isinstance(node, ast.keyword):
            parts = [node.value] if node.arg == "strict" else []
        elif (
            isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr)
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
            or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "vectors"))
        ):
            parts = [node]
        for part in parts:
            yield from ast.walk(part) if part is not None else ()


def _unread_defaults(function: ast.FunctionDef) -> list[ast.expr]:
    """The defaults of arguments that a function does not read: it has them for others that have the same method."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    read = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    return [value for name, value in zip(names[::-1], function.args.defaults[::-1], strict=False) if name not in read]


def _ways(tree: ast.Module, node: ast.AST) -> Iterator[ast.AST | None]:
    """What may stand in a node's place; None to leave it out."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
        swapped = copy.deepcopy(node)
        swapped.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
        yield swapped
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            swapped_compare = copy.deepcopy(node)
            swapped_compare.ops[place] = SWAPS[type(operator)]()  # type: ignore[call-overload]
            yield swapped_compare
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand
    if isinstance(node, ast.If | ast.IfExp | ast.While) and isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
        negated = copy.deepcopy(node)
        negated.test = ast.UnaryOp(ast.Not(), negated.test)
        yield negated
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant) and node not in tree.body:
        yield ast.Assign(node.targets, ast.Constant(None))
    if isinstance(node, ast.keyword) and node.arg not in (None, "strict") and not _is_default_axis(node, tree):
        yield None


def _is_default_axis(keyword: ast.keyword, tree: ast.Module) -> bool:
    """Whether it is the axis=0 of a ufunc's reduce, which has that for its default."""
    if keyword.arg != "axis" or ast.unparse(keyword.value) != "0":
        return False
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and keyword in node.keywords)
    return any(isinstance(call.func, ast.Attribute) and call.func.attr == "reduce" for call in calls)


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST | None) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(entry is old for entry in value):
                value[:] = [new if entry is old else entry for entry in value if entry is not old or new is not None]


class _Finder(importlib.abc.MetaPathFinder):
    """Imports the mutant in place of its file."""

    def __init__(self, mutant: Mutant) -> None:
        relative = mutant.path.relative_to(SOURCES).with_suffix("")
        self._package = relative.name == "__init__"
        self._name = ".".join(relative.parent.parts if self._package else relative.parts)
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        code = compile(self._mutant.tree, self._mutant.path, "exec")

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code

        return importlib.util.spec_from_file_location(
            fullname, self._mutant.path, loader=Loader(fullname, str(self._mutant.path)),
            submodule_search_locations=[str(self._mutant.path.parent)] if self._package else None,
        )  # fmt: skip


class _NearestFirst:
    """Runs the tests of a file's namesake before all others."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = f"test_{mutant.path.stem}"

    def pytest_collection_modifyitems(self, items: "list[pytest.Item]") -> None:
        items.sort(key=lambda item: item.path.stem != self._name)


def start(mutant: Mutant | None, tests: Sequence[str], limit: float) -> int:
    """Run the tests on a mutant in a new process; its number."""
    process = os.fork()
    if process:
        return process
    import pytest

    with contextlib.suppress(BaseException):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, limit)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nearest = []
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(mutant))
            nearest = [_NearestFirst(mutant)]
        options = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-o",
            "addopts=",
            "--hypothesis-profile=mutants",
        ]
        status = pytest.main([*options, "--assert=plain", "--import-mode=importlib", *tests], nearest)
        os._exit(0 if status == 0 else 1)
    os._exit(1)


def survivors(mutants: Sequence[Mutant], tests: Sequence[str], limit: float, jobs: int) -> Iterator[Mutant]:
    """The mutants that the tests do not notice, as they are found."""
    running: dict[int, Mutant] = {}
    waiting = list(reversed(mutants))
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[start(mutant, tests, limit)] = mutant
        process, status = os.wait()
        survivor = running.pop(process)
        if status == 0:
            yield survivor


def main() -> int:
    """Run the targets that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", choices=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--file", help="only files whose name contains this")
    parser.add_argument("--part", default="1/1", help="K/N: only the K-th of N parts")
    parser.add_argument("--again", type=Path, help="output of an earlier run: only its survivors")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--goal", type=float, default=95.0, help="per cent of mutants to be noticed")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(SOURCES), str(ROOT / "tests")]
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(SOURCES)}
    for module in ("numpy", "numpy.testing", "pytest", "hypothesis"):
        importlib.import_module(module)
    part, parts = map(int, arguments.part.split("/"))
    total = left = 0
    for name in arguments.targets:
        places, tests = TARGETS[name]
        files = [file for place in places for file in _files(SOURCES / "handconv" / place)]
        mutants = [mutant for file in files if (arguments.file or "") in file.name for mutant in mutants_of(file)]
        mutants = mutants[part - 1 :: parts]
        if arguments.again:
            survived = {_without_line(line) for line in arguments.again.read_text("utf-8").splitlines()}
            mutants = [mutant for mutant in mutants if _without_line(str(mutant)) in survived]
        began = time.perf_counter()
        if os.waitpid(start(None, tests, 600), 0)[1]:
            parser.exit(1, f"{name}: the tests fail without any mutant: {' '.join(tests)}\n")
        limit = 5 + 10 * (time.perf_counter() - began)
        alive = 0
        for alive, mutant in enumerate(survivors(mutants, tests, limit, arguments.jobs), 1):  # noqa: B007
            print(mutant, flush=True)
        total, left = total + len(mutants), left + alive
        print(f"{name}: {len(mutants) - alive} of {len(mutants)} mutants noticed", flush=True)
    score = 100 * (total - left) / max(total, 1)
    print(f"together: {score:.1f} %")
    return int(score < arguments.goal)


def _without_line(text: str) -> str:
    """A mutant's text without the line, which other changes may have moved."""
    return re.sub(r":\d+:", ":", text, count=1).strip()


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


if __name__ == "__main__":
    sys.exit(main())
