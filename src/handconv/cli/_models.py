"""Which model a command works with: the file that was named, the one that was trained last, or the bundled one."""

from pathlib import Path
from typing import Any

import numpy as np

from handconv.cli._output import Output
from handconv.datasets import cache
from handconv.errors import HandconvError, ModelFileError
from handconv.sequential import Sequential, load
from handconv.training import Checkpoint
from handconv.training.checkpoint import read, sibling
from handconv.zoo import trained_reference_network

HELP = "a saved model, FILE.npz (default: the one that was trained last, else the bundled one, trained on MNIST)"


def last_model() -> Path:
    """Where the model is kept that was trained last."""
    return cache.folder() / "last-model.npz"


def open_model(path: str | None) -> Sequential:
    """Load a model.

    Raises:
        OSError, ModelFileError, ValueError: as ``handconv.load``.
    """
    last = last_model()
    source = path if path is not None else last if last.exists() else None
    model = trained_reference_network() if source is None else load(source)
    for name, values in model.named_parameters().items():
        if not np.isfinite(values).all():
            raise ModelFileError(
                f"{source}: this network is dead: {name} hold NaN or infinity, so it has no answers. "
                "Train it anew, with a smaller learning rate."
            )
    return model


def keep_model(model: Sequential, save: str | None, output: Output) -> str | None:
    """Save a freshly trained model, in any case as the last one; give the path that the user should know."""
    last = last_model()
    kept: str | None = None
    try:
        last.parent.mkdir(parents=True, exist_ok=True)
        model.save(last)
        kept = str(last)
    except (OSError, HandconvError) as error:
        output.notice(f"The model could not be kept as {last}: {_why(error)}")
    if save is None:
        return kept
    model.save(save)
    return save


def checkpoints(resume: str | None, save: str | None, output: Output) -> list[Checkpoint]:
    """Save the run while it goes on: in the checkpoint it came from, beside the model's file, or as the last run."""
    path = Path(resume) if resume else sibling(Path(save), "run") if save else cache.folder() / "last-run.npz"
    if resume is None and save is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            output.notice(f"The run cannot be saved as {path}: {_why(error)}")
            return []
    return [Checkpoint(path)]


def saved_settings(path: str) -> dict[str, Any]:
    """The settings with which the run of a checkpoint was started.

    Raises:
        OSError, ModelFileError: if there is no checkpoint of the command line.
    """
    _, description = read(path)
    info = description.get("info")
    settings = info.get("settings") if isinstance(info, dict) else None
    if not isinstance(settings, dict):
        raise ModelFileError(
            f"{path} is no checkpoint of handconv train. Resume it in Python, with fit(…, resume=path)."
        )
    return settings


def known_dataset(model: Sequential) -> str:
    """The data set that a model was trained on, as far as it knows."""
    return str(model.info.get("dataset") or "mnist")


def class_names(model: Sequential, fallback: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of the classes that a model tells apart."""
    names = model.info.get("class_names") or fallback
    count = max(2, model.output_shape[0] if model.output_shape else 0)
    return (*map(str, names), *map(str, range(len(names), count)))


def _why(error: Exception) -> str:
    """Say why the cache took no file, and what to do."""
    reason = getattr(error, "strerror", None) or str(error).rstrip(".")
    return f"{reason}. Set HANDCONV_CACHE to a folder that can be written."
