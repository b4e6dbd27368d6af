"""A data set in memory: training and test images with their labels, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.preparation import Preparation
from handconv.datasets.readers.samples import listed
from handconv.errors import DataError
from handconv.utils.text_table import html_table
from handconv.utils.words import counted

Split = tuple[tuple[NDArray[np.float32], NDArray[np.int64]], tuple[NDArray[np.float32], NDArray[np.int64]]]
"""((x_train, y_train), (x_test, y_test)), images float32 (N, C, H, W) from 0 to 1."""

TEST_SHARE = 5  # one sample in five

OF_MNIST = Preparation((28, 28), polarity="light on dark", fit="centre")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test images as pixels, the names of the classes, and how the data was found.

    Args:
        name: "mnist", "fashion-mnist", "digits", or the path that was loaded.
        source: where the arrays came from: "kaggle", "mirror https://…", "folder …", "file …", "cache", "embedded".
        x_train: uint8 (N, C, H, W); read-only, and possibly a view of a file, if it comes from the cache.
        y_train: int64 (N,).
        x_test: as x_train.
        y_test: as y_train.
        class_names: the names of the classes 0, 1, 2, …
        notices: one line for each source that was tried, in order, and for each thing that had to be said.
        preparation: how the images were brought to their form.
    """

    name: str
    source: str
    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]
    notices: tuple[str, ...] = ()
    preparation: Preparation = OF_MNIST

    def __repr__(self) -> str:
        return f"<{'; '.join(f'{key}: {value}' for key, value in self._facts())}>"

    def _repr_html_(self) -> str:
        """Show it as a table, in a notebook."""
        return html_table(self._facts(), left=range(2), head=False)

    def _facts(self) -> tuple[tuple[str, str], ...]:
        """What one wants to know of it at a glance."""
        channels, height, width = self.x_train.shape[1:]
        return (
            ("data set", f"{self.name}, from {self.source}"),
            ("images", f"{len(self.x_train):,} to train on, {len(self.x_test):,} to test on"),
            ("form", f"{height}x{width} pixels, {'grey' if channels == 1 else 'colour'}, {self.preparation.polarity}"),
            ("classes", f"{len(self.class_names)}: {listed(self.class_names)}"),
        )

    def scaled(self) -> Split:
        """Give both parts with the pixels divided by 255: ((x_train, y_train), (x_test, y_test))."""
        return (scale(self.x_train), self.y_train), (scale(self.x_test), self.y_test)


def scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Divide pixels by 255.

    Example:
        >>> scale(np.array([0, 51, 255], dtype=np.uint8))
        array([0. , 0.2, 1. ], dtype=float32)
    """
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def hold_out(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the samples of a test set where the data has none of its own: indices for training, indices for the test.

    Of each class the second sample and every fifth after it are held out, so that the choice is stratified, is the same
    on every machine, and leaves every class something to learn from.

    Raises:
        DataError: if no class has two samples.

    Example:
        >>> train, test = hold_out(np.array([0, 0, 0, 1, 1, 0]))
        >>> train, test
        (array([0, 2, 3, 5]), array([1, 4]))
    """
    by_class = np.argsort(labels, kind="stable")
    ordered = labels[by_class]
    place_in_class = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    held_out = place_in_class % TEST_SHARE == 1
    if not held_out.any():
        raise DataError(
            f"A test set is held out from the data, which needs two samples of a class; "
            f"got {len(labels)} of {counted(len(np.unique(labels)), 'class', 'classes')}. "
            "Add images, or give train/ and test/ folders. In a table, do the labels stand in another column "
            "(--label-column)?"
        )
    return np.sort(by_class[~held_out]), np.sort(by_class[held_out])
