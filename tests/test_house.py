"""The house: what holds for the package as a whole, whoever wrote the room."""

import ast
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import handconv

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = sorted((REPOSITORY / "src" / "handconv").rglob("*.py"))
PACKAGES = ["handconv"] + [
    found.name
    for found in pkgutil.walk_packages(handconv.__path__, "handconv.")
    if found.ispkg and not any(part.startswith("_") for part in found.name.split("."))
]
README_BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text("utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def public_names(module: ModuleType) -> set[str]:
    """What a package defines, or re-exports in the explicit form ``from … import name as name``."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    names: set[str] = set()
    later = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]  # if TYPE_CHECKING
    for node in [*tree.body, *later]:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"handconv", ""}:
            names |= {alias.name for alias in node.names if alias.asname == alias.name}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_importing_handconv_loads_numpy_and_the_standard_library_alone() -> None:
    program = "import sys; before = set(sys.modules); import handconv; print(*sorted(set(sys.modules) - before))"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY / "src", capture_output=True, text=True, check=True
    )
    loaded = {module.partition(".")[0] for module in answer.stdout.split()}
    assert "numpy" in loaded
    pythons_own = {*sys.stdlib_module_names, "cython_runtime"}  # the last is made by numpy.random
    assert {name for name in loaded - {"handconv", "numpy"} if not name.startswith("_cython_")} <= pythons_own


@pytest.mark.parametrize("package", PACKAGES)
def test_all_names_exactly_what_a_package_offers(package: str) -> None:
    module = importlib.import_module(package)
    if not hasattr(module, "__all__"):
        assert public_names(module) == set(), f"{package} offers names and has no __all__"
        return
    listed = list(module.__all__)
    assert len(listed) == len(set(listed))
    assert [name for name in listed if not hasattr(module, name)] == []
    assert set(listed) - {"__version__"} == public_names(module)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_opens_by_saying_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("name", sorted(getattr(handconv, "__all__", [])))
def test_every_public_thing_has_a_docstring(name: str) -> None:
    if name != "__version__":
        assert (getattr(handconv, name).__doc__ or "").strip()


@pytest.mark.parametrize("package", [name for name in PACKAGES if name not in ("handconv.cli", "handconv.nnfs")])
def test_every_argument_of_what_is_public_is_explained(package: str) -> None:
    module = importlib.import_module(package)
    for name in public_names(module):
        thing = getattr(module, name)
        if inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, Exception)):
            explained = re.findall(r"^ +(\w+(?:, \w+)*):", thing.__doc__ or "", re.MULTILINE)
            missing = set(inspect.signature(thing).parameters) - set(", ".join(explained).split(", "))
            assert missing <= {"args", "kwargs"}, f"{package}.{name}: {missing}"


def test_the_installed_version_is_that_of_the_source() -> None:
    try:
        installed = importlib.metadata.version("handconv")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("handconv runs from its sources here; it is not installed")
    assert handconv.__version__ == installed


def test_the_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling, which builds the wheel, is missing")
    (built,) = wheel.WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"])
    carried = {name for name in zipfile.ZipFile(built).namelist() if name.startswith("handconv/")}
    sources = REPOSITORY / "src"
    files = {str(path.relative_to(sources).as_posix()) for path in (sources / "handconv").rglob("*") if path.is_file()}
    assert carried == {name for name in files if "__pycache__" not in name}
    assert {"handconv/export/page/network.js", "handconv/reference-mnist.npz"} <= carried


def test_the_repository_carries_its_papers() -> None:
    for paper in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE"):
        assert (REPOSITORY / paper).is_file(), paper


@pytest.mark.parametrize("block", README_BLOCKS, ids=lambda block: block.strip().splitlines()[-1])
def test_the_python_in_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)

    def few(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.random((count, 1, 28, 28), dtype=np.float32), np.arange(count) % 10

    monkeypatch.setattr(handconv.datasets, "load_mnist", lambda: (few(100), few(10)))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
