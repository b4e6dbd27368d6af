"""Getting a data set for a command: its options, its progress, its notices."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from handconv import datasets
from handconv.cli._errors import UsageError
from handconv.cli._models import class_names, known_dataset
from handconv.cli._output import Output
from handconv.cli._progress import DownloadProgress
from handconv.cli._settings import column, one_of, setting, switch, text
from handconv.datasets import Dataset, Preparation
from handconv.datasets.catalog import KNOWN
from handconv.datasets.paths import user_path
from handconv.datasets.preparation import POLARITIES
from handconv.datasets.readers.samples import is_whole, listed
from handconv.ensemble import Classifier
from handconv.errors import DataError, ModelFileError, SourceError

_OTHER = " Name another --dataset, or train a model on this one."


def read_size(value: object) -> str:
    """Read a size in pixels, 32 or 24x32 (height and width)."""
    sides = str(value).lower().split("x") if isinstance(value, str | int) and not isinstance(value, bool) else []
    if len(sides) not in (1, 2) or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise ValueError("a number of pixels, or HEIGHTxWIDTH")
    return "x".join(str(int(side)) for side in sides * (3 - len(sides)))


@dataclass(frozen=True)
class DataSettings:
    """Which data, and where from."""

    dataset: str | None = setting(
        None,
        text,
        f"{', '.join(datasets.NAMES)}, a folder with one subfolder of images a class, a table (CSV, Excel, Parquet), "
        "an .npz file or IDX files (default: what the model was trained on)",
        metavar="NAME|PATH",
    )
    source: str = setting(
        "auto",
        one_of(*datasets.SOURCES),
        "where a named data set comes from: auto tries the cache, Kaggle, the mirrors; offline never the network",
        metavar="|".join(datasets.SOURCES),
    )
    data_dir: str | None = setting(None, text, "take the named data set from this folder", metavar="DIR")
    label_column: str | None = setting(
        None,
        column,
        "the labels of a CSV file: a name in its header, first, last, or a place counted from 0 (default: the column "
        "named label, class, target, y or digit, else the first)",
        metavar="COLUMN",
    )
    size: str | None = setting(
        None, read_size, "scale the images of a folder to this size (default: 28x28, or the model's)", metavar="HxW"
    )
    colour: bool = setting(False, switch, "keep the colours of the images in a folder")
    transpose: bool = setting(False, switch, "set images of CSV and IDX files upright that lie on their side (EMNIST)")


def load_dataset(
    settings: DataSettings, name: str, output: Output, preparation: Preparation | None = None, *, hold_out: bool = True
) -> Dataset:
    """Load a data set, telling what is tried and how far a download has come."""
    given = {"data-dir": settings.data_dir is not None, "source": settings.source != "auto"}
    for option in (option for option, is_given in given.items() if is_given and name not in KNOWN):
        if name == "digits" or user_path(name).exists():
            output.notice(f"--{option} is for {' and '.join(KNOWN)}; {name} is not taken from it.")
    if name in datasets.NAMES and user_path(name).exists():
        output.notice(f"{name} is the known data set; what has that name here is called ./{name}")
    get = partial(
        datasets.load,
        name,
        source=settings.source,
        data_dir=settings.data_dir,
        label_column=settings.label_column,
        size=None if settings.size is None else _sides(settings.size),
        colour=settings.colour,
        transpose=settings.transpose,
        hold_out=hold_out,
        preparation=preparation,
    )
    return _tell(get, output)


def load_for_model(settings: DataSettings, model: Classifier, output: Output, *, training_too: bool = False) -> Dataset:
    """Load the data set that was asked for, else the one that the model was trained on, in the form that it had then.

    Its classes are numbered as those of the model. Of data that the model was not trained on, and that has no part to
    test on, all images are to test on, unless images to train on are needed too.

    Raises:
        UsageError: if the model cannot be used on it.
    """
    if settings.dataset is None and not model.info.get("dataset"):
        raise UsageError("it is not known what this model was trained on. Name the data: --dataset NAME|PATH")
    trained_on = known_dataset(model)
    name = settings.dataset or trained_on
    before = model.info.get("settings")
    if settings.dataset is None and Path(name).is_absolute() and not Path(name).exists():
        raise UsageError(f"the model was trained on {name}, which is no longer there. Name the data: --dataset PATH")
    is_known = trained_on in (name, str(user_path(name).resolve()))
    if is_known and settings.label_column is None and isinstance(before, dict):
        settings = replace(settings, label_column=before.get("label_column"))
    dataset = load_dataset(settings, name, output, preparation_of(model), hold_out=is_known or training_too)
    if is_known and model.info.get("data_mark", mark := data_mark(dataset)) != mark:
        output.notice(f"{name} has changed since the training: the model may have seen some of the images to test on.")
    images, wanted = dataset.x_test.shape[1:], model.input_shape
    if images != wanted:
        raise UsageError(f"the model takes images of shape {wanted}, those of {dataset.name} have {images}.{_OTHER}")
    if dataset.name not in datasets.NAMES and is_negative(model, dataset.preparation.polarity, output):
        dataset = replace(dataset, x_train=255 - dataset.x_train, x_test=255 - dataset.x_test)
    return _numbered_as(model, dataset, output)


def is_negative(model: Classifier, polarity: str, output: Output) -> bool:
    """Whether grey images are to be turned into their negatives for a model; says so."""
    form = preparation_of(model)
    if form is None or form.channels != 1 or {form.polarity, polarity} != set(POLARITIES[:2]):
        return False
    output.notice(
        f"The images are {polarity}; they are turned into negatives, as the model knows images {form.polarity}."
    )
    return True


def data_mark(dataset: Dataset) -> str:
    """What tells later whether images and labels to train on are still the same; "" for a named set, which stays."""
    if dataset.name in datasets.NAMES:
        return ""
    digest = hashlib.sha256(dataset.x_train.tobytes())
    digest.update(dataset.y_train.tobytes())
    return digest.hexdigest()[:16]


def preparation_of(model: Classifier) -> Preparation | None:
    """How the images were prepared that a model was trained on; its input shape, where it does not know more."""
    kept = model.info.get("preparation")
    if isinstance(kept, dict):
        try:
            return Preparation.from_dict(kept)
        except ValueError as error:
            raise ModelFileError(f"What the model keeps of its images is damaged: {error} Train it anew.") from error
    shape = model.input_shape or ()
    if len(shape) != 3 or shape[0] not in (1, 3):
        return None
    channels, height, width = shape
    return Preparation((height, width), channels=channels)


def _sides(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


def _numbered_as(model: Classifier, dataset: Dataset, output: Output) -> Dataset:
    """Number the classes of a data set as the model does that has the same names for them."""
    names, given = class_names(model), dataset.class_names
    if given == names[: len(given)]:
        return replace(dataset, class_names=names)
    places = {_plain(name): place for place, name in enumerate(names)}
    unknown = [name for name in given if _plain(name) not in places]
    own = dataset.name not in datasets.NAMES
    if not unknown:
        place = [places[_plain(name)] for name in given]
    elif own and all(name.isdigit() and int(name) < len(names) for name in given):
        place = [int(name) for name in given]
        output.notice(f"The labels are numbers; they are taken for the places of the classes {listed(names)}.")
    elif len(given) <= len(names) and not model.info.get("class_names"):
        place = list(range(len(given)))
        output.notice(f"The model has no names for its classes; they are taken for {listed(given)}.")
        names = (*given, *names[len(given) :])
    else:
        raise UsageError(
            f"the model tells {len(names)} classes apart, {listed(names)}; {dataset.name} has {listed(unknown)} "
            f"too.{_OTHER}"
        )
    number = np.array(place, dtype=np.int64)
    return replace(dataset, y_train=number[dataset.y_train], y_test=number[dataset.y_test], class_names=names)


def _plain(name: str) -> str:
    """The name of a class that is a number, without zeros before it."""
    return str(int(name)) if is_whole(name) else name


def fetch_dataset(name: str, source: str, data_dir: str | None, output: Output) -> Dataset:
    """Get a named data set into the cache, telling the same."""
    return _tell(partial(datasets.fetch, name, source=source, data_dir=data_dir), output)


def _tell(get: Callable[..., Dataset], output: Output) -> Dataset:
    """Run what gets a data set; errors do not repeat what was told before."""
    told: list[str] = []
    with DownloadProgress(output) as progress:

        def report(line: str) -> None:
            told.append(line)
            progress.close()
            output.notice(line)

        try:
            return get(progress=progress, report=report)
        except SourceError as error:
            rest = " ".join(line for line in str(error).splitlines() if line not in told)
            raise SourceError(rest.replace(" What was tried:", "")) from error
        except DataError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error
