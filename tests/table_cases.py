"""Tables as they are written, for the tests of their readers."""

import gzip
import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

needs_pandas = pytest.mark.skipif(
    importlib.util.find_spec("pandas") is None,
    reason="pandas, which reads other forms, is not installed",
)
one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def packed_bytes(data: bytes) -> bytes:
    """Compress to the same bytes at any time: parameters are part of a test's name."""
    return gzip.compress(data, mtime=0)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "images.csv"
    path.write_bytes(content)
    return path


# Six images of 4x4 pixels of three classes, as programs write them.
TABLE = np.column_stack([np.arange(6) % 3, np.random.default_rng(0).integers(0, 256, (6, 16))])


def rows(
    table: NDArray[np.integer] = TABLE, *, delimiter: str = ",", number: str = "{}", labels: list[object] | None = None
) -> str:
    lines = [
        delimiter.join([str(label), *map(number.format, pixels)])
        for label, pixels in zip(labels or table[:, 0].tolist(), table[:, 1:].tolist(), strict=True)
    ]
    return "\n".join(lines) + "\n"


def zipped(content: bytes, *others: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)
        for name in others:
            archive.writestr(name, b"x")
    return file.getvalue()
