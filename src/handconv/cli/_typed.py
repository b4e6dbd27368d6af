"""How ``handconv`` is called where the user stands, so that advice names commands that work as they are."""

import re
import shlex
import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAMES = (
    *("train", "play", "predict", "evaluate", "report", "doctor", "summary", "explain", "gradcheck", "export"),
    *("runs", "data", "completion"),
)
_COMMAND = re.compile(rf"(?<![\w/-])handconv (?=(?:{'|'.join(NAMES)}|--help)\b)")

_PIP = re.compile(r"(?<![\w/-])pip install (?=\S)")


def as_typed(text: str) -> str:
    """Put the command that works here into advice such as "handconv runs lists them"."""
    return _PIP.sub(lambda _: f"{how_to_install()} ", _COMMAND.sub(lambda _: f"{how_to_call()} ", text))


@cache
def how_to_call() -> str:
    """``handconv`` if the shell finds that of this environment, else its path, else Python with ``-m``."""
    script = Path(sys.executable).with_name("handconv.exe" if sys.platform == "win32" else "handconv")
    if (found := shutil.which("handconv")) and Path(found).absolute() in (script, Path(sys.argv[0]).absolute()):
        return "handconv"
    if script.exists():
        return shlex.quote(_short(script))
    return f"{_python()} -m handconv"


@cache
def how_to_install() -> str:
    """``pip install`` if the shell finds the pip of this environment, else by its Python; without a pip, uv's."""
    if (found := shutil.which("pip")) and Path(found).absolute().parent == Path(sys.executable).parent:
        return "pip install"
    return f"{_python()} -m pip install" if find_spec("pip") else f"uv pip install --python {_python()}"


def _python() -> str:
    """This Python: by its name if the shell finds it, else by its path."""
    names = (name for name in ("python", "python3") if (found := shutil.which(name)) and _is_this_python(found))
    return next(names, shlex.quote(_short(Path(sys.executable))))


def _is_this_python(found: str) -> bool:
    return Path(found).absolute() == Path(sys.executable)


def _short(path: Path) -> str:
    """The path from the current folder, if it is in it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
