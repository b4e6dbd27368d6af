"""The data sets that are known by name: where they are found and how each of their files is recognised.

A data set is four arrays, and whichever source an array came from, it must be the official one: its bytes in IDX form
must have the checksum written here.
"""

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers import encode_idx
from handconv.errors import DataError

Arrays = Mapping[str, NDArray[np.uint8]]
"""The four arrays of a set under the names of `PARTS`: images (N, 1, H, W) and labels (N,)."""

PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class KnownFile:
    """One array of a known data set.

    Args:
        name: the name of its IDX file, without ``.gz``.
        shape: (N, H, W) for images, (N,) for labels.
        sha256: the checksum of the decompressed IDX file.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header_size(self) -> int:
        """Bytes before the values in the IDX file."""
        return 4 + 4 * len(self.shape)

    @property
    def idx_size(self) -> int:
        """Bytes of the decompressed IDX file."""
        return self.header_size + math.prod(self.shape)

    @property
    def max_download(self) -> int:
        """More bytes than a gzip of this file can have: no source is read any further."""
        return self.idx_size + self.idx_size // 100 + 1024

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The shape as the package uses it: images get their channel axis."""
        return (self.shape[0], 1, *self.shape[1:]) if len(self.shape) == 3 else self.shape

    def check(self, array: NDArray[np.uint8], origin: str) -> None:
        """Refuse an array, images (N, 1, H, W) or labels (N,), that is not the official one.

        Raises:
            DataError: if the shape or the checksum differs; the message begins with ``origin``.
        """
        if array.shape != self.array_shape:
            raise DataError(f"{origin}: expected an array of shape {self.array_shape}, got {array.shape}")
        self._check_sum(encode_idx(array.reshape(self.shape)), origin)

    def decode(self, data: bytes, origin: str) -> NDArray[np.uint8]:
        """Read the bytes of the IDX file, plain or gzip, into images (N, 1, H, W) or labels (N,).

        Never decompresses more than the size that the catalog gives, and looks at nothing before the checksum is right.

        Raises:
            DataError: if these are not the official bytes; the message begins with ``origin``.
        """
        if data.startswith(b"\x1f\x8b"):
            try:
                data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(self.idx_size + 1)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(f"{origin}: damaged or cut-off gzip file ({error})") from error
        elif data.lstrip()[:1] == b"<":
            raise DataError(f"{origin}: an HTML page instead of the file {self.name}")
        if len(data) != self.idx_size:
            received = f"{len(data):,}" if len(data) < self.idx_size else "more"
            raise DataError(f"{origin}: expected {self.idx_size:,} decompressed bytes, got {received}")
        self._check_sum(data, origin)
        return np.frombuffer(data, dtype=np.uint8, offset=self.header_size).reshape(self.array_shape)

    def _check_sum(self, data: bytes, origin: str) -> None:
        received = hashlib.sha256(data).hexdigest()
        if received != self.sha256:
            raise DataError(
                f"{origin}: not the official data, expected SHA-256 {self.sha256[:12]}…, got {received[:12]}…"
            )


@dataclass(frozen=True)
class KnownSet:
    """A data set known by name.

    Args:
        name: what users type.
        title: what users read.
        files: the four arrays, under the names of `PARTS`.
        mirrors: addresses of folders that hold the IDX files, gzipped, in the order in which they are asked.
        class_names: the names of the classes 0, 1, 2, …
        kaggle_handle: the same data on Kaggle in CSV form; None if it is not there in the official order.
        stand_in: the embedded set that replaces this one where no source can be reached; None for none.
        fit: how its images lie in their frame, as in `Preparation`.
    """

    name: str
    title: str
    files: Mapping[str, KnownFile] = field(repr=False)
    mirrors: tuple[str, ...]
    class_names: tuple[str, ...]
    kaggle_handle: str | None = None
    stand_in: str | None = None
    fit: str = "centre"

    @property
    def csv_names(self) -> tuple[str, str]:
        """The file names of the CSV form, as on Kaggle: training set, test set."""
        return f"{self.name}_train.csv", f"{self.name}_test.csv"


def _official_files(sums: tuple[str, str, str, str]) -> dict[str, KnownFile]:
    """The four files that MNIST and all sets made in its image have; the checksums are in the order of `PARTS`."""
    names = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
    shapes = (60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)
    return {part: KnownFile(*file) for part, file in zip(PARTS, zip(names, shapes, sums, strict=True), strict=True)}


MNIST = KnownSet(
    name="mnist",
    title="MNIST",
    files=_official_files(
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        )
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    class_names=tuple("0123456789"),
    kaggle_handle="oddrationale/mnist-in-csv",
    stand_in="digits",
)

FASHION_MNIST = KnownSet(
    name="fashion-mnist",
    title="Fashion-MNIST",
    files=_official_files(
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        )
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    fit="pad",
)

KNOWN: Mapping[str, KnownSet] = {known.name: known for known in (MNIST, FASHION_MNIST)}


def title_of(name: str) -> str:
    """What a page that is passed on calls a data set: of a path its last part alone.

    Example:
        >>> title_of("fashion-mnist"), title_of("/home/ada/letters/")
        ('Fashion-MNIST', 'letters')
    """
    return KNOWN[name].title if name in KNOWN else PurePath(name).name or name
