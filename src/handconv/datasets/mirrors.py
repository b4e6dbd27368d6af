"""Known data sets from their mirrors: web folders that hold the four IDX files, gzipped."""

import os

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.catalog import KnownSet
from handconv.datasets.download import Patience, Progress, download
from handconv.errors import SourceError

VARIABLE = "HANDCONV_MIRRORS"


def addresses(known: KnownSet) -> tuple[str, ...]:
    """The mirrors to ask for a set, each ending in a slash.

    Who sits behind a firewall can set HANDCONV_MIRRORS to the addresses of web folders of their own, separated by
    spaces; they replace the public ones. Each must have one subfolder a set: with ``HANDCONV_MIRRORS=http://nas/data``
    the training images of MNIST are read from ``http://nas/data/mnist/train-images-idx3-ubyte.gz``.
    """
    own = os.environ.get(VARIABLE, "").split()
    return tuple(f"{base.rstrip('/')}/{known.name}/" for base in own) or known.mirrors


def fetch(
    known: KnownSet,
    mirror: str,
    arrays: dict[str, NDArray[np.uint8]],
    *,
    patience: Patience,
    progress: Progress | None = None,
) -> None:
    """Add to ``arrays`` what is still missing in it; files that were verified before the mirror failed stay in it.

    Raises:
        SourceError: if a file cannot be had; the message begins with its name.
        DataError: if a file is not the official one; likewise.
    """
    for part, file in known.files.items():
        if part in arrays:
            continue
        name = f"{file.name}.gz"
        try:
            data = download(mirror + name, max_bytes=file.max_download, patience=patience, progress=progress)
        except SourceError as error:
            raise SourceError(f"{name}: {error}") from error
        arrays[part] = file.decode(data, name)
