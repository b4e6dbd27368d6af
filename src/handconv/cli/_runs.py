"""The runs that were kept: each trained model under a name of its own, with its checkpoint beside it.

<cache folder>/runs/mnist-2026-11-28-0457.npz          the model
mnist-2026-11-28-0457.run.npz      the checkpoint from which its training goes on
"""

import atexit
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from handconv.datasets import cache
from handconv.errors import ModelFileError
from handconv.serialization import npz
from handconv.training.checkpoint import sibling


class Kept(NamedTuple):
    """One run: its name, the file of its model, and what the model knows of itself."""

    name: str
    path: Path
    info: Mapping[str, Any]
    parameters: int

    @property
    def network(self) -> str:
        """The name of the network, of one that a file described "own"; of a model without a recipe its size."""
        recipe = self.info.get("recipe")
        if not isinstance(recipe, Mapping):
            return f"{self.parameters:,} parameters"
        described = recipe.get("network", "reference")
        return described if isinstance(described, str) else "own"

    @property
    def checkpoint(self) -> Path:
        """The file from which its training goes on; where the model was saved elsewhere, it lies beside that file."""
        beside, settings = sibling(self.path, "run"), self.info.get("settings")
        saved = settings.get("save") if isinstance(settings, Mapping) else None
        return sibling(Path(saved), "run") if isinstance(saved, str) and not beside.exists() else beside

    @property
    def files(self) -> list[Path]:
        """All files of the run."""
        beside = [sibling(self.path, kind) for kind in ("run", "run.previous", "run.best")]
        return [file for file in (self.path, *beside) if file.exists()]


def folder() -> Path:
    """Where runs are kept.

    Raises:
        OSError: if the user has no home folder.
    """
    return cache.folder() / "runs"


def kept_runs() -> list[Kept]:
    """All runs that can be read, the newest first; none where there is no folder for them."""
    runs = [run for run, problem in _runs() if not problem]
    return sorted(runs, key=lambda run: (str(run.info.get("trained_at") or ""), run.name), reverse=True)


def damaged_runs() -> list[tuple[Kept, str]]:
    """The runs that cannot be read, and why."""
    return [(run, problem) for run, problem in _runs() if problem]


def _runs() -> Iterator[tuple[Kept, str]]:
    """Each run, and what is wrong with its file; "" where nothing is."""
    try:
        files = sorted(folder().glob("*.npz"))
    except OSError:
        return
    for file in files:
        if re.search(r"\.(run|previous|best)$", file.stem):
            continue
        info: object = {}
        problem = ""
        try:
            info = npz.metadata(file).get("info")
        except (OSError, ModelFileError) as error:
            problem = str(error)
        yield Kept(file.stem, file, info if isinstance(info, dict) else {}, _parameters(info)), problem


def find_run(name: str) -> Kept | None:
    """The run of this name, or the only one whose name begins so."""
    runs = kept_runs()
    exact = [run for run in runs if run.name == name]
    beginning = [run for run in runs if run.name.startswith(name)]
    return exact[0] if exact else beginning[0] if len(beginning) == 1 else None


def named(checkpoint: str) -> str:
    """What is to be typed for a checkpoint: the name of the run whose it is, else the file."""
    path = Path(checkpoint)
    try:
        return path.stem.removesuffix(".run") if path.parent == folder() else checkpoint
    except OSError:
        return checkpoint


def new_name(dataset: str) -> str:
    """A name for a new run that no other has: of its data set and the time."""
    what = re.sub(r"[^\w-]+", "-", Path(dataset).resolve().stem.lower()).strip("-")[:40] or "run"
    base = f"{what}-{datetime.now(UTC).astimezone():%Y-%m-%d-%H%M}"
    taken, name, number = {run.name for run in kept_runs()}, base, 2
    while name in taken or (folder() / f"{name}.run.npz").exists() or _mark(name).exists():
        name, number = f"{base}-{number}", number + 1
    return name


def begun_name(dataset: str) -> str:
    """A new name that no training has which begins at the same moment: a file marks it until this one ends.

    Raises:
        OSError: if nothing can be written where runs are kept.
    """
    while True:
        name = new_name(dataset)
        with suppress(FileExistsError):
            begin(name, again=False)
            return name


def begin(name: str, *, again: bool = True) -> None:
    """Mark a run as one that this process trains, until it ends.

    Raises:
        FileExistsError: if it was marked before, and is not to go on.
        OSError: if nothing can be written where runs are kept.
    """
    mark, own = _mark(name), os.getpid()
    with mark.open("w" if again else "x") as file:
        file.write(str(own))

    def end() -> None:
        if os.getpid() == own:  # and not a process that was forked
            with suppress(OSError):
                mark.unlink(missing_ok=True)

    atexit.register(end)


def trained_by(name: str) -> int | None:
    """The number of another process that trains a run at this moment; None if there is none."""
    try:
        other = int(_mark(name).read_text())
    except (OSError, ValueError):
        return None
    if other == os.getpid() or sys.platform == "win32":  # where a process cannot be asked without ending it
        return None
    try:
        os.kill(other, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return other


def _mark(name: str) -> Path:
    return folder() / f".{name}.begun"


def age(info: Mapping[str, Any]) -> str:
    """How long ago a model was trained, in words; "" where it does not know.

    Example:
        >>> age({"trained_at": datetime.now(UTC).isoformat()})
        'just now'
    """
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(str(info["trained_at"]))).total_seconds()
    except (KeyError, ValueError, TypeError):
        return ""
    if seconds < 60:
        return "just now"
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return ""


def described(info: Mapping[str, Any], *, when: bool = True) -> str:
    """What a model is, in a few words: its data set, how many of the test images it got right, and when.

    Example:
        >>> described({"dataset": "fashion-mnist", "test_accuracy": 0.889})
        'Fashion-MNIST, 88.9 %'
    """
    dataset = str(info.get("dataset") or "")
    titles = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "digits": "the embedded digits"}
    parts = [titles.get(dataset, dataset) or "trained on data that it does not name"]
    accuracy = info.get("test_accuracy")
    if isinstance(accuracy, int | float):
        parts.append(f"{100 * accuracy:.1f} %")
    if when and (told := age(info)):
        parts.append(told)
    return ", ".join(parts)


def _parameters(info: object) -> int:
    count = info.get("parameters") if isinstance(info, dict) else None
    return count if isinstance(count, int) else 0
