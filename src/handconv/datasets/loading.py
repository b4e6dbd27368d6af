"""Loading a data set, known by name or the user's own, in one call."""

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets import cache
from handconv.datasets.catalog import KNOWN, KnownSet
from handconv.datasets.dataset import Dataset, Split, hold_out
from handconv.datasets.digits import load_digits_arrays
from handconv.datasets.download import Progress
from handconv.datasets.readers.csv import load_csv
from handconv.datasets.readers.images import load_image_folder
from handconv.datasets.sources import Report, Search
from handconv.errors import DataError, SourceError

PathLike = str | os.PathLike[str]

NAMES = (*KNOWN, "digits")
"""The data sets that have a name."""


def load(
    name_or_path: PathLike,
    *,
    source: str = "auto",
    data_dir: PathLike | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Dataset:
    """Load a data set by its name, or the user's own images from a folder or a CSV file.

    A named set is taken from the first source that has it (`handconv.datasets.sources` has the order), verified,
    cached, and mapped into memory from then on. Where MNIST cannot be had from anywhere, the embedded digits come in
    its place: look at ``name``, and at ``notices`` for why. The user's own images are divided into training and test
    set by the subfolders ``train`` and ``test`` of the folder; without them one image in five is held out.

    Args:
        name_or_path: "mnist", "fashion-mnist", "digits", a folder with one subfolder of images a class, or a CSV file.
        source: "auto", "kaggle", "mirror" or "offline" (never the network).
        data_dir: look for the named set in this folder and nowhere else.
        progress: called with (description, bytes so far, bytes in all or None) during downloads.
        report: called with one line for each source as it is tried.

    Raises:
        ValueError: if there is no such data set or source.
        SourceError: if no source can deliver the set; the message has one line for each that was tried.
        DataError: if a file does not hold what it should.

    Example:
        >>> digits = load("digits")
        >>> digits.x_train.shape, digits.y_test.shape, digits.source
        ((1437, 1, 28, 28), (360,), 'embedded')
    """
    name = os.fspath(name_or_path)
    if name == "digits":
        return _digits(())
    if name in KNOWN:
        return _load_known(KNOWN[name], source, data_dir, progress, report)
    path = Path(name)
    if path.is_dir():
        return _load_folder(path)
    if path.is_file():
        return _divide(name, f"file {path}", *load_csv(path))
    raise ValueError(
        f"A data set is {', '.join(NAMES)}, a folder with one subfolder of images a class, or a CSV file; "
        f"got {name!r}, which is none of these."
    )


def fetch(
    name: str,
    *,
    source: str = "auto",
    data_dir: PathLike | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Dataset:
    """Get a named set into the cache; as `load`, but nothing ever stands in for it.

    Args:
        name: of the data set.
        source: as for `load`.
        data_dir: as for `load`.
        progress: as for `load`.
        report: as for `load`.

    Raises:
        ValueError: if there is no such data set or source.
        SourceError: if no source can deliver the set, or if the cache cannot be written.
    """
    if name not in KNOWN:
        raise ValueError(f"The data sets that can be fetched are {', '.join(KNOWN)}, got {name!r}.")
    dataset = Search(KNOWN[name], progress=progress, report=report).run(source, data_dir)
    if cache.open_arrays(KNOWN[name]) is None:
        raise SourceError("\n".join([*dataset.notices, f"{dataset.name} could not be put into {cache.folder()}."]))
    return dataset


def load_mnist(*, source: str = "auto", data_dir: PathLike | None = None, progress: Progress | None = None) -> Split:
    """Load MNIST: 60,000 handwritten digits to train on and 10,000 to test with.

    Where it cannot be had from anywhere, the 1,797 embedded digits come in its place, with a ``UserWarning``.

    Args:
        source: as for `load`.
        data_dir: as for `load`.
        progress: as for `load`.

    Shapes:
        ((x_train, y_train), (x_test, y_test)): images float32 (N, 1, 28, 28) from 0 to 1, labels int64 (N,)

    Raises:
        ValueError, SourceError, DataError: as for `load`.

    Example:
        (x_train, y_train), (x_test, y_test) = load_mnist()

    References:
        Yann LeCun, Corinna Cortes, Christopher J.C. Burges, The MNIST database of handwritten digits, 1998.
    """
    dataset = load("mnist", source=source, data_dir=data_dir, progress=progress)
    if dataset.name != "mnist":
        warnings.warn("\n".join(dataset.notices), stacklevel=2)
    return dataset.scaled()


def load_fashion_mnist(
    *, source: str = "auto", data_dir: PathLike | None = None, progress: Progress | None = None
) -> Split:
    """Load Fashion-MNIST: articles of clothing in ten classes, in the sizes of MNIST.

    Args:
        source: as for `load`; Kaggle does not have it in the official order.
        data_dir: as for `load`.
        progress: as for `load`.

    Shapes:
        ((x_train, y_train), (x_test, y_test)): images float32 (N, 1, 28, 28) from 0 to 1, labels int64 (N,)

    Raises:
        ValueError, SourceError, DataError: as for `load`.

    References:
        Han Xiao, Kashif Rasul, Roland Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms, 2017, arXiv:1708.07747.
    """
    return load("fashion-mnist", source=source, data_dir=data_dir, progress=progress).scaled()


def load_digits() -> Split:
    """Load the embedded set: 1,797 handwritten digits, 8x8 enlarged to 28x28; it needs no network and no disk.

    Shapes:
        ((x_train, y_train), (x_test, y_test)): images float32 (N, 1, 28, 28) from 0 to 1, labels int64 (N,)

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_digits()
        >>> x_train.shape, x_train.dtype, len(y_test)
        ((1437, 1, 28, 28), dtype('float32'), 360)
    """
    return _digits(()).scaled()


def _load_known(
    known: KnownSet, source: str, data_dir: PathLike | None, progress: Progress | None, report: Report | None
) -> Dataset:
    search = Search(known, progress=progress, report=report)
    try:
        return search.run(source, data_dir)
    except SourceError:
        if known.stand_in is None or data_dir is not None or source not in ("auto", "offline"):
            raise
    notice = f"{known.title} could not be had; the embedded digits (1,797 real ones, 8x8 enlarged) take its place"
    if report is not None:
        report(notice)
    return _digits((*search.notices, notice))


def _digits(notices: tuple[str, ...]) -> Dataset:
    return Dataset("digits", "embedded", *load_digits_arrays(), tuple("0123456789"), notices)


def _load_folder(path: Path) -> Dataset:
    """Load a folder of images, divided as its subfolders train and test say if it has them."""
    name, source = str(path), f"folder {path}"
    train, test = path / "train", path / "test"
    if not (train.is_dir() and test.is_dir()):
        images, labels, class_names = load_image_folder(path)
        return _divide(name, source, images, labels, class_names)
    x_train, y_train, class_names = load_image_folder(train)
    x_test, y_test, test_names = load_image_folder(test)
    if test_names != class_names:
        raise DataError(
            f"{train} and {test} must have the same classes, got {', '.join(class_names)} and {', '.join(test_names)}. "
            f"Rename or add subfolders."
        )
    return Dataset(name, source, x_train, y_train, x_test, y_test, class_names)


def _divide(
    name: str,
    source: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    """Hold out a test set."""
    train, test = hold_out(labels)
    names = class_names or tuple(map(str, range(int(labels.max()) + 1)))
    return Dataset(name, source, images[train], labels[train], images[test], labels[test], names)
