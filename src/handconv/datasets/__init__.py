"""Data sets: MNIST and its like from wherever they can be had, the user's own images, and a set that is always there.

`load` gives any of them as pixels with names and provenance; `load_mnist`, `load_fashion_mnist` and `load_digits` give
arrays ready to train on. `handconv.datasets.cache` lists, verifies and removes what was downloaded.
"""

from handconv.datasets.dataset import Dataset as Dataset
from handconv.datasets.loading import NAMES as NAMES
from handconv.datasets.loading import fetch as fetch
from handconv.datasets.loading import load as load
from handconv.datasets.loading import load_digits as load_digits
from handconv.datasets.loading import load_fashion_mnist as load_fashion_mnist
from handconv.datasets.loading import load_mnist as load_mnist
from handconv.datasets.preparation import Preparation as Preparation
from handconv.datasets.readers import load_csv as load_csv
from handconv.datasets.readers import load_idx as load_idx
from handconv.datasets.readers import load_image_folder as load_image_folder
from handconv.datasets.sources import SOURCES as SOURCES

__all__ = [
    "NAMES",
    "SOURCES",
    "Dataset",
    "Preparation",
    "fetch",
    "load",
    "load_csv",
    "load_digits",
    "load_fashion_mnist",
    "load_idx",
    "load_image_folder",
    "load_mnist",
]
