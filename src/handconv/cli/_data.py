"""Getting a data set for a command: its options, its progress, its notices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from handconv import datasets
from handconv.cli._errors import UsageError
from handconv.cli._models import class_names, known_dataset
from handconv.cli._output import Output
from handconv.cli._progress import DownloadProgress
from handconv.cli._settings import one_of, setting, text
from handconv.datasets import Dataset
from handconv.datasets.catalog import KNOWN
from handconv.errors import DataError, SourceError
from handconv.sequential import Sequential

_OTHER = " Name another --dataset, or train a model on this one."


@dataclass(frozen=True)
class DataSettings:
    """Which data, and where from."""

    dataset: str | None = setting(
        None,
        text,
        f"{', '.join(datasets.NAMES)}, a folder with one subfolder of images a class, or a CSV file "
        "(default: what the model was trained on)",
        metavar="NAME|PATH",
    )
    source: str = setting(
        "auto",
        one_of(*datasets.SOURCES),
        "where a named data set comes from: auto tries the cache, Kaggle, the mirrors; offline never the network",
        metavar="|".join(datasets.SOURCES),
    )
    data_dir: str | None = setting(None, text, "take the named data set from this folder", metavar="DIR")


def load_dataset(settings: DataSettings, name: str, output: Output) -> Dataset:
    """Load a data set, telling what is tried and how far a download has come."""
    if settings.data_dir is not None and name not in KNOWN:
        output.notice(f"--data-dir is for {' and '.join(KNOWN)}; {name} is not taken from it.")
    return _tell(partial(datasets.load, name, source=settings.source, data_dir=settings.data_dir), output)


def load_for_model(settings: DataSettings, model: Sequential, output: Output) -> Dataset:
    """Load the data set that was asked for, else the one that the model was trained on.

    Raises:
        UsageError: if the model cannot be used on it.
    """
    dataset = load_dataset(settings, settings.dataset or known_dataset(model), output)
    images, wanted = dataset.x_test.shape[1:], model.input_shape
    if images != wanted:
        raise UsageError(f"the model takes images of shape {wanted}, those of {dataset.name} have {images}.{_OTHER}")
    known, present = len(class_names(model)), int(dataset.y_test.max()) + 1
    if present > known:
        raise UsageError(f"the model tells {known} classes apart, {dataset.name} has {present}.{_OTHER}")
    return dataset


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
