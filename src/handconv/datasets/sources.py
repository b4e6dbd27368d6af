"""Where a data set is taken from, and in which order the sources are asked.

    source       asked in this order
    "auto"       the folder in HANDCONV_DATA_DIR, the cache, Kaggle, the mirrors, and for MNIST the embedded digits
    "kaggle"     the cache, Kaggle
    "mirror"     the cache, the mirrors
    "offline"    the folder in HANDCONV_DATA_DIR, the cache, and for MNIST the embedded digits; never the network

A folder given as an argument is the only source then: who names a folder wants that folder. Whatever the source, the
arrays are verified against the checksums of the catalog, put into the cache, and mapped into memory from there.
"""

import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets import cache, folder, kaggle, mirrors
from handconv.datasets.catalog import Arrays, KnownSet
from handconv.datasets.dataset import OF_MNIST, Dataset
from handconv.datasets.download import Patience, Progress, reason
from handconv.datasets.paths import user_path
from handconv.errors import DataError, HandconvError, SourceError

Report = Callable[[str], object]
"""Told one line for each source as it is tried."""

SOURCES = ("auto", "kaggle", "mirror", "offline")
DATA_DIR_VARIABLE = "HANDCONV_DATA_DIR"

_REMEDY = f"Connect to a network, or give a folder with its files (data_dir=, --data-dir or {DATA_DIR_VARIABLE})."

_Found = tuple[Arrays, str]
"""The arrays and the source that they came from."""


class Search:
    """One search for a known data set: asks one source after the other and writes down what became of each.

    Args:
        known: the set.
        patience: the time limits of the network.
        progress: told the bytes of downloads.
        report: told the line of each source that was tried.
    """

    def __init__(
        self,
        known: KnownSet,
        *,
        patience: Patience | None = None,
        progress: Progress | None = None,
        report: Report | None = None,
    ) -> None:
        self.known = known
        self.notices: list[str] = []
        self._patience = patience or Patience()
        self._progress = progress
        self._report = report

    def run(self, source: str = "auto", data_dir: str | os.PathLike[str] | None = None) -> Dataset:
        """Find the set.

        Args:
            source: one of `SOURCES`.
            data_dir: the only folder to look into, if given.

        Raises:
            ValueError: if the source is unknown, or contradicts ``data_dir``.
            SourceError: if no source has the set; the message has one line for each that was tried.
            DataError: if the files in ``data_dir`` are damaged.
        """
        if source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}.")
        if data_dir is not None:
            if source not in ("auto", "offline"):
                raise ValueError(f"A data_dir is a source of its own, got source={source!r} too. Leave one out.")
            try:
                return self._dataset(*self._from_folder(user_path(data_dir)))
            except DataError as error:
                text, path = str(error).rstrip("."), shlex.quote(os.fspath(data_dir))
                raise DataError(f"{text}. Load data of your own by its path: --dataset {path}") from error
            except HandconvError:
                raise
            except OSError as error:
                raise SourceError(f"{error.filename or data_dir} cannot be read: {reason(error)}.") from error
        for name, ask in self._steps(source):
            try:
                arrays, origin = ask()
            except (HandconvError, OSError) as error:
                self._note(f"{name}: {error if isinstance(error, HandconvError) else reason(error)}")
            else:
                return self._dataset(arrays, origin)
        raise SourceError("\n".join([f"{self.known.title} could not be had. What was tried:", *self.notices, _REMEDY]))

    def _steps(self, source: str) -> Iterator[tuple[str, Callable[[], _Found]]]:
        """Name the sources in their order, each with the function that asks it."""
        local = os.environ.get(DATA_DIR_VARIABLE)
        if local and source in ("auto", "offline"):
            yield DATA_DIR_VARIABLE, partial(self._from_folder, Path(local).expanduser())
        yield "cache", self._from_cache
        if source in ("auto", "kaggle"):
            yield "Kaggle", self._from_kaggle
        if source in ("auto", "mirror"):
            arrays: dict[str, NDArray[np.uint8]] = {}
            for address in mirrors.addresses(self.known):
                yield f"mirror {address}", partial(self._from_mirror, address, arrays)

    def _from_folder(self, path: Path, origin: str | None = None) -> _Found:
        located = folder.locate(self.known, path)
        origin = origin or f"folder {path}"
        stamps = folder.stamps(located)
        try:
            if cached := cache.open_arrays(self.known, stamps):
                return cached[0], origin
        except (HandconvError, OSError):
            pass  # a damaged or unreadable cache does not matter where the files themselves are at hand
        return self._keep(folder.read(self.known, located), origin, stamps)

    def _from_cache(self) -> _Found:
        cached = cache.open_arrays(self.known)
        if cached is None:
            raise SourceError(f"{self.known.title} is not in {cache.folder()} yet")
        return cached[0], "cache"

    def _from_kaggle(self) -> _Found:
        handle = self.known.kaggle_handle
        if handle is None:
            raise SourceError(f"{self.known.title} is not taken from there")
        path = kaggle.download_folder(handle, patience=self._patience, progress=self._progress)
        return self._from_folder(path, "kaggle")

    def _from_mirror(self, address: str, arrays: dict[str, NDArray[np.uint8]]) -> _Found:
        mirrors.fetch(self.known, address, arrays, patience=self._patience, progress=self._progress)
        return self._keep(arrays, f"mirror {address}", ())

    def _keep(self, arrays: Arrays, origin: str, stamps: cache.Stamps) -> _Found:
        """Put arrays into the cache and open them there; if that is not possible, go on with what is in memory."""
        try:
            cache.store(self.known, arrays, origin, stamps)
            cached = cache.open_arrays(self.known)
        except (HandconvError, OSError) as error:
            self._note(f"not cached: {reason(error)}. Set {cache.FOLDER_VARIABLE} to a folder that can be written.")
            cached = None
        return (cached[0] if cached else arrays), origin

    def _dataset(self, arrays: Arrays, origin: str) -> Dataset:
        self._note(f"{self.known.title} from {origin}")
        return Dataset(
            name=self.known.name,
            source=origin,
            x_train=arrays["x_train"],
            y_train=arrays["y_train"].astype(np.int64),
            x_test=arrays["x_test"],
            y_test=arrays["y_test"].astype(np.int64),
            class_names=self.known.class_names,
            notices=tuple(self.notices),
            preparation=replace(OF_MNIST, fit=self.known.fit),
        )

    def _note(self, line: str) -> None:
        self.notices.append(line)
        if self._report is not None:
            self._report(line)
