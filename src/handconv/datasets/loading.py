"""Loading a data set, known by name or the user's own, in one call."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from handconv.datasets import cache
from handconv.datasets.catalog import KNOWN, KnownSet
from handconv.datasets.dataset import Dataset, Split
from handconv.datasets.digits import load_digits_arrays
from handconv.datasets.download import Progress
from handconv.datasets.own import own_dataset
from handconv.datasets.paths import PathLike, user_path
from handconv.datasets.preparation import Preparation
from handconv.datasets.readers.arrays import read_arrays
from handconv.datasets.readers.csv import no_labels, read_table
from handconv.datasets.readers.idx_files import IdxFiles, find_idx_files, read_idx_files
from handconv.datasets.readers.image_folder import find_parts, read_image_folders
from handconv.datasets.readers.parts import divided
from handconv.datasets.readers.table_form import LabelColumn
from handconv.datasets.sources import Report, Search
from handconv.errors import SourceError
from handconv.utils.nearest import nearest
from handconv.utils.warn import warn

NAMES = (*KNOWN, "digits")
"""The data sets that have a name."""

_MANY_FILES, _LARGE_FILE = 3000, 20_000_000

_FOR = {
    "label_column": "for CSV files",
    "size": "for folders of images",
    "colour": "for folders of images",
    "transpose": "for CSV, IDX and .npz files",
}


def load(
    name_or_path: PathLike,
    *,
    source: str = "auto",
    data_dir: PathLike | None = None,
    label_column: LabelColumn = None,
    size: tuple[int, int] | None = None,
    colour: bool = False,
    transpose: bool = False,
    hold_out: bool = True,
    preparation: Preparation | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Dataset:
    """Load a data set by its name, or the user's own: a folder of images, a table, IDX files.

    A named set is taken from the first source that has it (`handconv.datasets.sources` has the order), verified,
    cached, and mapped into memory from then on. Where MNIST cannot be had from anywhere, the embedded digits come in
    its place: look at ``name``, and at ``notices`` for why. The user's own images are divided into training and test
    set by the subfolders or files that are named so; without them one image in five is held out. Their classes are
    those that are there. What is passed over, changed or taken for granted has a line in ``notices``.

    Args:
        name_or_path: "mnist", "fashion-mnist", "digits", a folder with one subfolder of images a class, a table (CSV;
            Excel, Parquet and Feather by pandas), an .npz file with x_train and y_train, an IDX file of images or a
            folder with IDX files; ``~`` is the home folder.
        source: "auto", "kaggle", "mirror" or "offline" (never the network).
        data_dir: look for the named set in this folder and nowhere else.
        label_column: of a CSV file, as for `load_csv`.
        size: height and width to which the images of a folder are scaled; 28x28 if not given.
        colour: keep the colours of a folder's images; else they become grey.
        transpose: exchange rows and columns of the images in CSV, IDX and .npz files, as EMNIST's need it.
        hold_out: without a part to test on, whether one image in five of each class is held out, as for a training; if
            not, all images are to test on, and none to train on.
        preparation: bring the user's own data to this form, that of a model say, where nothing else is said: its size
            and channels for a folder, its scale and whether it is transposed for CSV and IDX files.
        progress: called with (description, bytes so far, bytes in all or None) during downloads.
        report: called with one line for each source as it is tried, and for each thing that has to be said.

    Raises:
        ValueError: if there is no such data set or source, or if an argument is for another kind of data.
        SourceError: if no source can deliver the set; the message has one line for each that was tried.
        DataError: if a file does not hold what it should.
        MissingExtraError: if a library that reads this kind of data is not installed.

    Example:
        >>> digits = load("digits")
        >>> digits.x_train.shape, digits.y_test.shape, digits.source
        ((1437, 1, 28, 28), (360,), 'embedded')
    """
    name = os.fspath(name_or_path)
    given = {
        "label_column": label_column is not None,
        "size": size is not None,
        "colour": colour,
        "transpose": transpose,
    }
    if name == "digits" or name in KNOWN:
        _refuse(given, name, ())
        return _digits(()) if name == "digits" else _load_known(KNOWN[name], source, data_dir, progress, report)
    if preparation is not None and not isinstance(preparation, Preparation):
        raise TypeError(
            f"preparation must be a handconv.datasets.Preparation, that of a model say, got {preparation!r}."
        )
    form = preparation or Preparation(size or (28, 28), channels=3 if colour else 1, transpose=transpose)
    scale, transpose = None if preparation is None else form.scale, transpose or form.transpose
    path, files = _locate_own(name, data_dir)
    make = partial(own_dataset, held_out=hold_out, report=report)
    if report is not None and _takes_long(path):
        report(f"Reading {path}, which is large …")
    if files is not None:
        _refuse(given, "a set of IDX files", ("transpose",))
        name, said = name if path.exists() else str(files.train[0]), _lie(files.train[0], transpose)
        parts = read_idx_files(files)
        return make(name, *parts, transpose=transpose, scale=scale, notices=said)
    if path.is_file() and path.suffix.lower() == ".npz":
        _refuse(given, "an .npz file", ("transpose",))
        return make(name, *read_arrays(path), transpose=transpose, scale=scale)
    if path.is_file():
        _refuse(given, "a CSV file", ("label_column", "transpose"))
        samples = read_table(path, label_column=label_column, scale=scale)
        if samples.labels is None:
            raise no_labels(path)
        said = _lie(path, transpose)
        return make(name, *divided(samples), transpose=transpose, scale=scale, notices=said)
    _refuse(given, "a folder of images", ("size", "colour"))
    train, test, notices = find_parts(path)
    folders = [folder for folder in (train, test) if folder is not None]
    pictures = read_image_folders(folders, size or form.size, colour=colour or form.channels == 3)
    return make(name, *pictures, notices=notices, scale=255)


def _locate_own(name: str, data_dir: PathLike | None) -> tuple[Path, IdxFiles | None]:
    """Find the user's own data by its path, or a set of IDX files by its name in a folder.

    Raises:
        ValueError: if there is none.
    """
    path = user_path(name)
    files = find_idx_files(path)
    if files is None and not path.exists() and data_dir is not None:
        files = find_idx_files(user_path(data_dir), name)
    if files is None and not path.exists():
        remedy = "Fetch it first, and name the file." if "://" in name else "Check its name, or its path."
        raise ValueError(
            f"A data set is {', '.join(NAMES)}, a folder with one subfolder of images a class, a table (CSV, Excel, "
            f"Parquet), an .npz file or IDX files; got {name!r}, which is none of these."
            f"{nearest(name.casefold().replace('_', '-'), NAMES, remedy)}"
        )
    return path, files


def _takes_long(path: Path) -> bool:
    """Whether reading a file or a folder takes so long that one should know what is going on."""
    if path.is_dir():
        return len(tuple(islice(path.rglob("*"), _MANY_FILES))) == _MANY_FILES
    return path.is_file() and path.stat().st_size > _LARGE_FILE


def _lie(path: Path, transpose: bool) -> tuple[str, ...]:
    """Say that EMNIST's images lie on their side, if nobody sets them upright."""
    if transpose or "emnist" not in path.name.casefold():
        return ()
    return ("EMNIST's images lie on their side; --transpose (transpose=True) sets them upright.",)


def _refuse(given: Mapping[str, bool], kind: str, allowed: Collection[str]) -> None:
    """Refuse an argument that is for another kind of data."""
    wrong = [name for name, is_given in given.items() if is_given and name not in allowed]
    if wrong:
        option = wrong[0].replace("_", "-")
        raise ValueError(f"{wrong[0]} (--{option}) is {_FOR[wrong[0]]}, got it for {kind}. Leave it out.")


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
        warn("\n".join(dataset.notices))
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
