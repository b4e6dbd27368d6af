"""``handconv train``, and ``handconv`` alone: get the data, train the reference network, test it, then the quiz."""

import argparse
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from handconv import __version__, recipes
from handconv.analysis.doctor import findings
from handconv.analysis.histograms import Histograms
from handconv.analysis.profile import profile_step
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, data_mark, load_dataset
from handconv.cli._errors import DONE, UsageError
from handconv.cli._memory import MemoryWatch, check_training_fits
from handconv.cli._models import begin_run, checkpoint_to_resume, keep_model, resumed, saved_info, trained_before
from handconv.cli._output import Output
from handconv.cli._pictures import PICTURES
from handconv.cli._progress import TrainingProgress
from handconv.cli._quiz import quiz
from handconv.cli._recipe import SCHEDULES, TABLES, read_config, resolve
from handconv.cli._runs import named
from handconv.cli._settings import (
    add_settings,
    check_settings,
    given_settings,
    number,
    one_of,
    setting,
    switch,
    text,
    whole,
    workers,
)
from handconv.datasets import NAMES, Dataset
from handconv.datasets.paths import user_path
from handconv.errors import DataError
from handconv.parallel.cpu import worker_count
from handconv.recipes import Recipe
from handconv.sequential import Sequential
from handconv.serialization.atomic import check_writable
from handconv.training import Callback, CSVLogger, EarlyStopping
from handconv.utils.words import counted

_EPOCHS, _EPOCHS_OF_FEW, _FEW = 5, 30, 10_000
_PATIENCE = 5


@dataclass(frozen=True)
class TrainSettings(DataSettings):
    """All choices of a training run; each is an option and a key of the --config file."""

    dataset: str = setting(
        "mnist",
        text,
        f"{', '.join(NAMES)}, a folder with one subfolder of images a class, a table (CSV, Excel, Parquet), an .npz "
        "file or IDX files",
        metavar="NAME|PATH",
    )
    recipe: str = setting(
        "standard",
        one_of(*recipes.NAMES),
        "what is trained how; the options below, --config and --set change it",
        metavar="|".join(recipes.NAMES),
    )
    network: str | None = setting(
        None,
        text,
        "a network of the zoo, or a file that lists layers (default: the recipe's, else reference)",
        metavar="reference|plus|colour|FILE.toml",
    )
    epochs: int | None = setting(
        None,
        whole(1),
        f"passes over the training images (default: the recipe's, else {_EPOCHS}; {_EPOCHS_OF_FEW} if there are fewer "
        f"than {_FEW:,})",
        metavar="N",
    )
    batch_size: int | None = setting(None, whole(1), "images to each step of the optimizer", metavar="N")
    learning_rate: float | None = setting(
        None,
        number("above 0", lambda rate: rate > 0),
        "step size of the optimizer, the highest of its schedule",
        metavar="RATE",
    )
    schedule: str | None = setting(
        None, one_of(*SCHEDULES), "how the learning rate changes while training", metavar="|".join(SCHEDULES)
    )
    l2: float | None = setting(None, number("of at least 0", lambda l2: l2 >= 0), "L2 penalty", metavar="L2")
    dropout: float | None = setting(
        None,
        number("of at least 0 and below 1", lambda share: 0 <= share < 1),
        "share of the hidden units silenced in training",
        metavar="SHARE",
    )
    label_smoothing: float | None = setting(
        None,
        number("of at least 0 and below 1", lambda share: 0 <= share < 1),
        "share of the truth that is spread over all classes in training",
        metavar="SHARE",
    )
    validation_split: float = setting(
        0.0,
        number("of at least 0 and below 1", lambda share: 0 <= share < 1),
        "share of the training images held back, to measure each epoch on",
        metavar="SHARE",
    )
    early_stopping: int | None = setting(
        None,
        whole(1),
        f"end when the validation loss has not become better for so many epochs, with the best ones' weights "
        f"(without a number: {_PATIENCE})",
        metavar="EPOCHS",
        alone=_PATIENCE,
    )
    csv_log: str | None = setting(None, text, "write a row of figures an epoch to this file", metavar="FILE.csv")
    test: bool = setting(
        True, switch, "measure the trained model on the test images; with --no-test nobody looks at them"
    )
    workers: int | str = setting(
        "auto", workers, "processes that share the work; any number gives the same weights", metavar="auto|N"
    )
    engine: bool = setting(
        True, switch, "layers run as fast ops; with --no-engine their own pages of code do, as they stand (slower)"
    )
    seed: int = setting(0, whole(0), "of everything random: the same seed gives the same weights", metavar="N")
    save: str | None = setting(
        None, text, "save the trained model to this file, and checkpoints beside it, FILE.run.npz", metavar="FILE.npz"
    )
    play: bool | None = setting(None, switch, "ask for rows of the test set afterwards (default: yes, not with --json)")
    picture: str = setting("auto", one_of(*PICTURES), "how the quiz shows images", metavar="|".join(PICTURES))


_ONLY_OPTIONS = {field.name for field in fields(TrainSettings)} - {"epochs", "batch_size", "l2", "dropout", "network"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting, and the file that can hold them."""
    add_settings(parser, TrainSettings, title="settings")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run, or from a checkpoint, with the settings it was started with (default: the last one)",
    )
    parser.add_argument("--profile", action="store_true", help="tell where the time of a step goes, layer by layer")
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        help="read settings, and tables of a recipe, from a file: epochs = 3; options win",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ENTRY=VALUE",
        help="change one entry of the recipe, as handconv runs show lists them: optimizer.beta_1=0.95; may be repeated",
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Train, test, save, play."""
    settings, recipe = read_all(arguments)
    _check_save(settings.save)
    if settings.early_stopping is not None and not settings.validation_split:
        raise UsageError(
            "--early-stopping watches the validation loss, and no images are held back to measure it on. "
            "Give --validation-split 0.1 too."
        )
    if arguments.resume is not None:
        output.notice(resumed(arguments.resume, settings.dataset))
    dataset = load_dataset(settings, settings.dataset, output)
    if len(dataset.class_names) < 2:
        raise DataError(
            f"A classifier needs images of at least two classes, all of {dataset.name} are of "
            f"{dataset.class_names[0]!r}. Add images of another class. If the labels of a CSV file stand in another "
            "column: --label-column last"
        )
    height, width = dataset.x_train.shape[2:]
    output.notice(
        f"{dataset.name}: {counted(len(dataset.x_train), 'image')} to train on, {len(dataset.x_test):,} to test on, "
        f"{height}x{width} pixels"
    )
    recipe = {"epochs": _EPOCHS_OF_FEW if len(dataset.x_train) < _FEW else _EPOCHS} | dict(recipe)
    model = recipes.network(
        recipe,
        classes=len(dataset.class_names),
        input_shape=dataset.x_train.shape[1:],
        seed=settings.seed,
        engine=settings.engine,
    )
    _train(model, dataset, settings, recipe, arguments.resume, output)
    if arguments.profile:
        profile = profile_step(model, dataset.x_train, dataset.y_train, batch_size=recipe.get("batch_size", 128))
        output.show(str(profile))
        output.record({"event": "profile"} | asdict(profile))
    if settings.play if settings.play is not None else settings.test and not output.json:
        quiz(model, dataset, output, settings.picture)
    return DONE


def read_all(arguments: argparse.Namespace) -> tuple[TrainSettings, Recipe]:
    """The settings and the recipe: of the run that goes on, or as they were asked for."""
    config, tables = read_config(arguments.config)
    given = given_settings(TrainSettings, arguments, config, str(arguments.config), TABLES)
    names = [entry.partition("=")[0].strip().replace("-", "_") for entry in arguments.set]
    if meant := [name for name in names if name in _ONLY_OPTIONS]:
        raise UsageError(
            f"--set changes entries of the recipe; {meant[0]} is an option, --{meant[0].replace('_', '-')}."
        )
    settings: Mapping[str, Any] = {}
    base: Recipe = recipes.load(given.get("recipe", "standard"))
    if arguments.resume is not None:
        arguments.resume = checkpoint_to_resume(arguments.resume)
        settings, base = _as_it_was_started(arguments.resume, given)
    return TrainSettings(**{**settings, **given}), resolve(base, arguments.config, tables, given, arguments.set)


def _as_it_was_started(path: str, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], Recipe]:
    """The settings and the recipe that the run of a checkpoint was started with."""
    remedy = " Resume with the handconv that wrote it."
    info = saved_info(path)
    settings = check_settings(TrainSettings, info["settings"], path, remedy)
    started = settings.get("recipe", "standard")
    if given.get("recipe", started) != started:
        raise UsageError(f"the run was started with --recipe {started} and goes on with it, got {given['recipe']}.")
    if given.get("network", settings.get("network")) != settings.get("network"):
        raise UsageError(f"the run goes on with the network it was started with, got --network {given['network']}.")
    if given.get("engine", settings.get("engine", True)) != settings.get("engine", True):
        started = "--engine" if settings.get("engine", True) else "--no-engine"
        raise UsageError(f"the run was started with {started} and goes on with it. Leave the other out.")
    try:
        return settings, recipes.check(info.get("recipe"))  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}{remedy}") from error


def _train(
    model: Sequential,
    dataset: Dataset,
    settings: TrainSettings,
    recipe: Recipe,
    resume: str | None,
    output: Output,
) -> None:
    """Train, test and save the model, and tell how it went."""
    output.notice(
        f"network: {counted(model.parameters.size, 'parameter')}, "
        f"{counted(len(dataset.class_names), 'class', 'classes')}, "
        f"seed {settings.seed}"
    )
    known = dataset.name if dataset.name in NAMES else _anywhere(dataset.name)
    places = {name: _anywhere(getattr(settings, name)) for name in ("data_dir", "save", "csv_log")}
    if settings.dataset not in NAMES:
        places["dataset"] = known
    model.info = {
        "dataset": known,
        "data_mark": data_mark(dataset),
        "class_names": list(dataset.class_names),
        "preparation": dataset.preparation.as_dict(),
        "handconv": __version__,
        "settings": asdict(settings) | places,
        "recipe": recipe,
    }
    workers = worker_count(settings.workers)
    batch = min(recipe.get("batch_size", 128), len(dataset.x_train))
    check_training_fits(model, batch, recipe.get("shard_size"), workers)
    run_name, checkpoints = begin_run(dataset.name, resume, settings.save, output)
    start, memory = time.perf_counter(), MemoryWatch()
    how = recipes.fit_arguments(recipe)
    progress = TrainingProgress(output)
    history = model.fit(
        dataset.x_train,
        dataset.y_train,
        **how,
        validation_split=settings.validation_split,
        workers=workers,
        callbacks=[progress, memory, Histograms(), *_watching(settings), *checkpoints],
        resume=resume,
    )
    seconds = time.perf_counter() - start
    took = f"; trained in {seconds:.1f} s" if progress.epochs else ""
    before = None if progress.epochs else trained_before(run_name, settings.save)
    if resume is not None and not progress.epochs and len(history["loss"]) == how["epochs"]:
        output.notice(
            f"The run has {counted(how['epochs'], 'epoch')} already: nothing is left to train. To train on: "
            f"handconv train --resume {shlex.quote(named(resume))} --epochs {2 * how['epochs']}"
        )
    if settings.early_stopping is not None:
        best = int(np.argmin(history["val_loss"]))
        output.notice(f"The validation loss was least after epoch {best + 1}; the model has the weights of that epoch.")
    scores: Mapping[str, float] = {}
    if settings.test:
        scores = model.evaluate(dataset.x_test, dataset.y_test, workers=workers)
        model.info["test_accuracy"] = scores["accuracy"]
        output.show(
            f"test loss {scores['loss']:.4f}  test accuracy {100 * scores['accuracy']:.2f} %  "
            f"({counted(len(dataset.x_test), 'image')}{took})"
        )
    saved = keep_model(model, run_name, settings.save, output, before)
    if saved:
        output.notice(f"The model is in {saved}" + (f" (run {run_name})" if run_name else ""))
    x_test, y_test = (dataset.x_test, dataset.y_test) if settings.test else (None, None)
    for finding in findings(model, dataset.x_train, dataset.y_train, x_test, y_test, history, loss=how.get("loss")):
        output.notice(str(finding))
    output.record(
        {
            "event": "result",
            "dataset": dataset.name,
            "source": dataset.source,
            "test_loss": scores.get("loss"),
            "test_accuracy": scores.get("accuracy"),
            "epochs": how["epochs"],
            "parameters": model.parameters.size,
            "seconds": seconds,
            "seed": settings.seed,
            "workers": progress.workers,
            "saved": saved,
            "peak_memory_mb": memory.peak_mb(),
        }
    )


def _watching(settings: TrainSettings) -> list[Callback]:
    """What else watches the training."""
    watching: list[Callback] = []
    if settings.early_stopping is not None:
        watching.append(EarlyStopping(patience=settings.early_stopping))
    if settings.csv_log is not None:
        watching.append(CSVLogger(user_path(settings.csv_log)))
    return watching


def _anywhere(path: str | None) -> str | None:
    """A path that means the same in any folder."""
    return None if path is None else str(user_path(path).resolve())


def _check_save(path: str | None) -> None:
    """Refuse before the training what could not be saved after it."""
    if path is None:
        return
    target = Path(path)
    if target.suffix != ".npz":
        raise UsageError(f"--save must be a file name that ends in .npz, got {path!r}.")
    what = "is a folder" if target.is_dir() else ""
    try:
        check_writable(target)
    except FileNotFoundError:
        what = f"is in {target.parent}, which is no folder"
    except OSError as error:
        what = f"is in {target.parent}, which cannot be written ({error.strerror})"
    if what:
        raise UsageError(f"--save must be a file in a folder that exists, but {path!r} {what}.")


COMMAND = Command(
    name="train",
    summary="train a network, test it, then ask for rows of the test set (the quiz)",
    examples="""  handconv train --epochs 1
  handconv train --dataset fashion-mnist --save fashion.npz --no-play
  handconv train --dataset my-images/ --validation-split 0.1      my-images/cat/1.png, my-images/dog/1.png, …
  handconv train --recipe best --network plus --set augment.0.rotate=5
  handconv train --validation-split 0.1 --no-test      to choose settings
  handconv train --resume digits.run.npz
  handconv train --config run.toml --json --no-play > run.jsonl""",
    add_arguments=add_arguments,
    run=run,
)
