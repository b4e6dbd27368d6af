"""Make a virtual environment ready, with nothing but Python and its standard library.

    python scripts/environment.py .venv --extra cli --group test

Creates the environment when it is absent, installs the project in it (editable) with the extras and dependency groups
of pyproject.toml, and remembers what it did: a second call with nothing changed returns at once and needs no network.
uv does the work where it is installed, otherwise venv and whatever pip Python brought along; that pip may be older
than 25.1 and know no ``--group``, so the groups are read here.

Three things may be missing, and each is met differently: an optional library (an extra) is left out with a notice;
a registry that cannot be reached leaves an environment that worked before as it was; anything else ends with one line.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this file is what tells the owner of an older Python)
    sys.exit(f"handconv needs Python 3.11 or later, this is {sys.version.split()[0]}. Try: make PYTHON=python3.12 ...")

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Parse the command line and bring the environment up to date."""
    parser = argparse.ArgumentParser(description="Make a virtual environment ready.")
    parser.add_argument("venv", type=Path, help="folder of the environment, made when absent")
    parser.add_argument("--extra", action="append", default=[], help="an extra; what cannot be had of it is left out")
    parser.add_argument("--group", action="append", default=[], help="a dependency group; all of it is needed")
    parser.add_argument("--wish", action="append", default=[], help="a group; what cannot be had of it is left out")
    arguments = parser.parse_args()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    python = arguments.venv.absolute() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = arguments.venv / "-".join([".handconv", *arguments.extra, *arguments.group, *arguments.wish])
    fingerprint = _fingerprint(python)
    if fingerprint and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint:
        return

    if not fingerprint:
        _create(arguments.venv)
    wanted = [line for name in arguments.group for line in _group(project, name)]
    optional = [line for name in arguments.extra for line in _extra(project, name)]
    optional += [line for name in arguments.wish for line in _group(project, name)]
    if _install(python, wanted, optional):
        stamp.write_text(_fingerprint(python), encoding="utf-8")
    elif stamp.exists():
        _say(f"{arguments.venv} could not be refreshed (see above); going on with it as it was.")
    else:
        sys.exit("The environment could not be made: the package registry is needed once (see above).")


def _fingerprint(python: Path) -> str:
    """Everything the environment was made from, or "" where it does not work."""
    if not python.exists():
        return ""
    ask = [str(python), "-c", "import sys; print(sys.version)"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return ""
    version = re.search("(?m)^__version__.*", (ROOT / "src/handconv/__init__.py").read_text("utf-8"))
    parts = [answer.stdout, str(ROOT), version.group() if version else "", (ROOT / "pyproject.toml").read_text("utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _create(venv: Path) -> None:
    """Make an empty environment, in place of a broken one if there is one."""
    _say(f"Making {venv} with Python {sys.version.split()[0]} ...")
    if shutil.which("uv"):
        done = _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(venv))
    else:
        done = _run(sys.executable, "-m", "venv", "--clear", str(venv))
    if not done:
        sys.exit(
            "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv. "
            "Elsewhere install uv, or name another Python: make PYTHON=python3.12 ..."
        )


def _install(python: Path, wanted: list[str], optional: list[str]) -> bool:
    """Install the project and what is wanted; all of the optional libraries, or as many as can be had."""
    project = ["--editable", str(ROOT)]
    names = ", ".join(re.split(r"[<>=~! ]", line)[0] for line in ["numpy", *optional, *wanted])
    _say(f"Installing {names} (once) ...")
    if optional and _installed(python, *project, *wanted, *optional, silent=True):
        return True
    if not _installed(python, *project, *wanted):
        return False
    missing = [line for line in optional if not _installed(python, line, silent=True)]
    if missing:
        _say(f"Not to be had here, going on without: {', '.join(missing)}. What needs them says so when used.")
    return True


def _installed(python: Path, *requirements: str, silent: bool = False) -> bool:
    """Install what is required; say why not where it fails, unless a second try will follow (silent)."""
    if shutil.which("uv"):
        return _run("uv", "pip", "install", "--quiet", "--python", str(python), *requirements, silent=silent)
    pip = [str(python), "-m", "pip"]
    if not _run(*pip, "--version", silent=True):  # an environment that uv made has no pip
        _run(str(python), "-m", "ensurepip", silent=True)
    options = ["-qq", "--no-compile", "--disable-pip-version-check", "--retries", "1"]
    return _run(*pip, "install", *options, *requirements, silent=silent)


def _group(project: dict[str, Any], name: str) -> list[str]:
    """The requirements of a dependency group, with those of the groups it includes."""
    lines = []
    for entry in project["dependency-groups"][name]:
        lines += [entry] if isinstance(entry, str) else _group(project, entry["include-group"])
    return lines


def _extra(project: dict[str, Any], name: str) -> list[str]:
    """The requirements of an extra, with those of the extras it names as ``handconv[one,other]``."""
    lines = []
    for entry in project["project"]["optional-dependencies"][name]:
        own = re.fullmatch(r"handconv\[(.+)\]", entry)
        lines += [line for part in own[1].split(",") for line in _extra(project, part)] if own else [entry]
    return lines


def _run(*command: str, silent: bool = False) -> bool:
    return subprocess.run(command, check=False, capture_output=silent).returncode == 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
