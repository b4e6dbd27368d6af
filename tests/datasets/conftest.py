"""A small known data set, a web server, and a world without the user's settings and the network."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_helpers import Arrays, Web, stand_in
from handconv.datasets import catalog
from handconv.datasets.catalog import PARTS, KnownFile, KnownSet
from handconv.datasets.readers import encode_idx


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the test off from the user's settings, the user's cache, and the network behind Kaggle's client."""
    for variable in ("HANDCONV_DATA_DIR", "HANDCONV_MIRRORS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(sys, "path", list(sys.path))
    stand_in(tmp_path, "raise ConnectionError(111, 'Connection refused')")


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    """The arrays of the small set."""
    rng = np.random.default_rng(0)
    shapes = (60, 1, 28, 28), (60,), (12, 1, 28, 28), (12,)
    tops = 256, 10, 256, 10
    return {part: rng.integers(0, top, shape, np.uint8) for part, shape, top in zip(PARTS, shapes, tops, strict=True)}


@pytest.fixture
def tiny(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> KnownSet:
    """A small set, known to the catalog under the name "tiny"."""
    files = {}
    for part, array in arrays.items():
        shape = (len(array), 28, 28) if array.ndim == 4 else array.shape
        files[part] = KnownFile(part, shape, hashlib.sha256(encode_idx(array.reshape(shape))).hexdigest())
    known = KnownSet("tiny", "Tiny", files, (), tuple("0123456789"), "someone/tiny-in-csv", stand_in="digits")
    monkeypatch.setitem(catalog.KNOWN, "tiny", known)  # type: ignore[arg-type]
    return known


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    try:
        if not server.reachable():
            pytest.skip("a web server on this machine cannot be reached: it has no loopback network")
        yield server
    finally:
        server.close()
