"""Which model a command works with: the file or run that was named, the last fitting run, or the bundled one."""

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handconv import recipes
from handconv.cli._errors import UsageError
from handconv.cli._output import Output
from handconv.cli._runs import Kept, begin, begun_name, described, find_run, folder, kept_runs, trained_by
from handconv.cli._settings import whole
from handconv.datasets import NAMES
from handconv.ensemble import Classifier, Ensemble
from handconv.errors import HandconvError, ModelFileError
from handconv.losses import Loss
from handconv.sequential import Sequential, load
from handconv.serialization import npz
from handconv.training import Checkpoint
from handconv.training.checkpoint import read, sibling
from handconv.utils.validation import broken
from handconv.zoo import trained_reference

#: The name of the model that comes with handconv.
BUNDLED = "bundled"
HELP = f"a saved model, FILE.npz, the name of a run, or {BUNDLED} (default: the last fitting run, else {BUNDLED})"

Fits = Callable[[Mapping[str, Any]], bool]
_DIGITS = tuple(map(str, range(10)))


def open_model(path: str | None, output: Output, fits: Fits = lambda _: True) -> Sequential:
    """Load a model, and say in one line which it is.

    Args:
        path: the file or the run that was named, if any.
        output: where the line goes.
        fits: tells of a run by its info whether it is one of those to choose from; where none is, the bundled model is.

    Raises:
        OSError, ModelFileError, ValueError: as ``handconv.load``.
    """
    run = chosen_run(path, fits)
    if run is not None:
        model, name = load(run.path), f"run {run.name}"
    elif path not in (None, BUNDLED):
        model, name = load(path), path
    else:
        model, name = trained_reference(), "the bundled model"
    if parameter := broken(model.named_parameters()):
        raise ModelFileError(
            f"{name}: this network is dead: {parameter} hold NaN or infinity, so it has no answers. "
            "Train it anew, with a smaller learning rate."
        )
    output.notice(f"{name}: {described(model.info)}")
    return model


def add_views(parser: argparse.ArgumentParser) -> None:
    """How many views of each image the model looks at."""
    parser.add_argument(
        "--tta",
        metavar="N",
        default=1,
        help="look at N views of each image, slightly moved, and take the mean (test-time augmentation; default: 1)",
    )


def open_models(paths: Sequence[str], tta: object, output: Output, fits: Fits = lambda _: True) -> Classifier:
    """Load a model, or several that answer together.

    Args:
        paths: the files or runs that were named, if any.
        tta: what was said by --tta.
        output: where a line for each goes.
        fits: as for ``open_model``.

    Raises:
        UsageError: if the models do not answer the same question, or --tta is no number of views.
        OSError, ModelFileError, ValueError: as ``handconv.load``.
    """
    try:
        views: int = whole(1)(tta)
    except ValueError as rule:
        raise UsageError(f"--tta must be {rule}, got {tta!r}.") from None
    models = [open_model(path, output, fits) for path in paths] or [open_model(None, output, fits)]
    if len(models) == 1 and views == 1:
        return models[0]
    try:
        return Ensemble(models, views)
    except ValueError as error:
        raise UsageError(str(error)) from error


def chosen_run(named: str | None, fits: Fits = lambda _: True) -> Kept | None:
    """The run that was named, or the last fitting one; None where that is a file, or the bundled model.

    Raises:
        UsageError: if what was named is neither.
    """
    if named is None:
        return next((run for run in kept_runs() if fits(run.info)), None)
    if named == BUNDLED or named.endswith(".npz"):
        return None
    if named in NAMES or Path(named).exists():
        raise UsageError(
            f"a model is a file FILE.npz or a run, which handconv runs lists, got {named!r}. Data has an option: "
            f"--dataset {shlex.quote(named)}"
        )
    run = find_run(named)
    if run is None:
        raise UsageError(f"there is no run and no file {named!r}; handconv runs lists the runs.")
    return run


def checkpoint_of(named: str | None, fits: Fits) -> Path | None:
    """The checkpoint of the training: what the model is, or what lies beside it."""
    run = chosen_run(named, fits)
    files = [run.checkpoint] if run is not None else [Path(named), sibling(Path(named), "run")] if named else []
    return next((file for file in files if file.exists() and epochs_of(file)), None)


def epochs_of(checkpoint: Path) -> Sequence[Mapping[str, float]]:
    """The figures of each epoch."""
    state = npz.metadata(checkpoint).get("run")
    found = state.get("history") if isinstance(state, dict) else None
    return [
        {name: float("nan") if value is None else float(value) for name, value in figures.items()}
        for figures in (found if isinstance(found, list) else [])
    ]


def loss_of(model: Sequential) -> Loss | None:
    """The loss that the model's recipe names, with its smoothing; None, for the default, if there is none."""
    recipe = model.info.get("recipe")
    table = recipe.get("loss") if isinstance(recipe, dict) else None
    return recipes.fit_arguments({"loss": table}).get("loss") if table else None


def is_model_name(text: str) -> bool:
    """Whether a word names a model: a .npz file, or a run and nothing that is in the current folder."""
    is_plain = re.fullmatch(r"[\w-]+", text) is not None and not Path(text).exists()
    return text.endswith(".npz") or (is_plain and (text == BUNDLED or find_run(text) is not None))


def worse_than_bundled(model: Classifier) -> str:
    """Say that the bundled model knows better, where it does."""
    own, other = model.info.get("test_accuracy"), trained_reference().info
    if not isinstance(own, int | float) or own >= float(other["test_accuracy"]):
        return ""
    return f"the bundled model ({described(other)}) may know better; it is named so: handconv predict {BUNDLED}"


def trained_on(dataset: str | None) -> Fits:
    """A test for runs: whether they were trained on this data set; any will do where none is named."""
    wanted = None if dataset is None else {dataset, str(Path(dataset).expanduser().resolve())}
    return lambda info: wanted is None or str(info.get("dataset")) in wanted


def tells_digits(info: Mapping[str, Any]) -> bool:
    """A test for runs: whether their classes are the ten digits."""
    names = info.get("class_names")
    return tuple(map(str, names)) == _DIGITS if isinstance(names, list | tuple) else info.get("dataset") == "mnist"


def keep_model(
    model: Sequential, run: str | None, save: str | None, output: Output, trained_at: str | None = None
) -> str | None:
    """Save a trained model as a run, and where it was asked for; give the path that the user should know."""
    model.info |= {
        "trained_at": trained_at or datetime.now(UTC).isoformat(timespec="microseconds"),
        "parameters": model.parameters.size,
    }
    kept: str | None = None
    if run is not None:
        try:
            path = folder() / f"{run}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            model.save(path)
            kept = str(path)
        except (OSError, HandconvError) as error:
            output.notice(f"The model could not be kept as a run: {_why(error)}")
    if save is None:
        return kept
    model.save(save)
    return save


def begin_run(
    dataset: str, resume: str | None, save: str | None, output: Output
) -> tuple[str | None, list[Checkpoint]]:
    """Name a run, and say where its checkpoints go: to the one it came from, beside the model's file, or to the run."""
    name: str | None = None
    try:
        folder().mkdir(parents=True, exist_ok=True)
        name = begun_name(dataset)
    except OSError as error:
        output.notice(f"The run cannot be kept: {_why(error)}")
    if resume is not None:
        path = Path(resume)
        if path.parent == _folder_or_none() and path.stem.endswith(".run"):
            name = _run_of(path)  # the same run goes on
            with suppress(OSError):
                begin(name)
        return name, [Checkpoint(path)]
    if save is not None:
        return name, [Checkpoint(sibling(Path(save), "run"))]
    return name, [] if name is None else [Checkpoint(folder() / f"{name}.run.npz")]


def checkpoint_to_resume(named: str) -> str:
    """The checkpoint file of what was named: a file, a run, or "" for the last run that can go on.

    Raises:
        UsageError: if there is none.
    """
    if named and (Path(named).exists() or named.endswith(".npz")):
        return _free(named)
    if named:
        run = find_run(named)
        path = None if run is None else run.checkpoint
        begun = _folder_or_none()
        if path is None and begun is not None:
            path = begun / f"{named}.run.npz"
        if path is None or not path.exists():
            raise UsageError(f"there is no checkpoint {named!r}; handconv runs lists what there is.")
        return _free(str(path))
    begun = _folder_or_none()
    files = {*(begun.glob("*.run.npz") if begun is not None else ()), *(run.checkpoint for run in kept_runs())}
    files = {file for file in files if file.exists()}
    found = sorted((file for file in files if trained_by(_run_of(file)) is None), key=lambda file: file.stat().st_mtime)
    if not found:
        raise UsageError("there is no run to go on from; --resume RUN names a checkpoint.")
    return str(found[-1])


def resumed(checkpoint: str, dataset: str) -> str:
    """Which training goes on, in a line as the one of ``open_model``."""
    file = Path(checkpoint)
    name = f"run {_run_of(file)}" if file.parent == _folder_or_none() else checkpoint
    return f"{name}: {described({'dataset': dataset})}, goes on"


def trained_before(run: str | None, save: str | None) -> str | None:
    """When a run of which nothing was left to train was trained, as far as its model tells."""
    for file in ([folder() / f"{run}.npz"] if run is not None else []) + ([Path(save)] if save is not None else []):
        with suppress(OSError, ModelFileError):
            info = npz.metadata(file).get("info")
            if isinstance(info, dict) and isinstance(info.get("trained_at"), str):
                return str(info["trained_at"])
    return None


def _free(path: str) -> str:
    """Refuse the checkpoint of a run that another process trains at this moment."""
    file = Path(path)
    other = trained_by(_run_of(file)) if file.parent == _folder_or_none() else None
    if other is not None:
        raise UsageError(f"the run {_run_of(file)} is being trained, by process {other}. Wait for its end, or end it.")
    return path


def _run_of(checkpoint: Path) -> str:
    return checkpoint.stem.removesuffix(".run")


def saved_info(path: str) -> dict[str, Any]:
    """What the command line noted in a checkpoint: the settings with which the run was started, and the recipe.

    Raises:
        OSError, ModelFileError: if there is no checkpoint of the command line.
    """
    _, description = read(path)
    info = description.get("info")
    if not isinstance(info, dict) or not isinstance(info.get("settings"), dict):
        raise ModelFileError(
            f"{path} is no checkpoint of handconv train. Resume it in Python, with fit(…, resume=path)."
        )
    return info


def known_dataset(model: Classifier) -> str:
    """The data set that a model was trained on, as far as it knows."""
    return str(model.info.get("dataset") or "mnist")


def class_names(model: Classifier, fallback: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of the classes that a model tells apart."""
    names = model.info.get("class_names") or fallback
    count = max(2, model.output_shape[0] if model.output_shape else 0)
    return (*map(str, names), *map(str, range(len(names), count)))


def _folder_or_none() -> Path | None:
    try:
        return folder()
    except OSError:
        return None


def _why(error: Exception) -> str:
    """Say why the cache took no file, and what to do."""
    reason = getattr(error, "strerror", None) or str(error).rstrip(".")
    return f"{reason}. Set HANDCONV_CACHE to a folder that can be written."
