"""How official files are told from all others."""

import gzip

import numpy as np
import pytest

from data_helpers import Arrays
from handconv.datasets.catalog import KNOWN, KnownSet
from handconv.datasets.readers import encode_idx
from handconv.errors import DataError


def official(known: KnownSet, arrays: Arrays) -> bytes:
    file = known.files["x_test"]
    return encode_idx(arrays["x_test"].reshape(file.shape))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_official_bytes_are_decoded_plain_or_gzip(tiny: KnownSet, arrays: Arrays, pack: type[bytes]) -> None:
    decoded = tiny.files["x_test"].decode(pack(official(tiny, arrays)), "here")
    np.testing.assert_array_equal(decoded, arrays["x_test"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: b"", "got 0"),
        (lambda data: data[:-1], "expected 9,424 decompressed bytes, got 9,423"),
        (lambda data: data + b"x", "got more"),
        (lambda data: gzip.compress(data + bytes(10**7)), "got more"),
        (lambda data: gzip.compress(data)[:-20], "damaged or cut-off gzip"),
        (lambda data: gzip.compress(data)[:50] + b"\xff" * 50, "damaged or cut-off gzip"),
        (lambda _: b"\x1f\x8b nothing of the kind", "damaged or cut-off gzip"),
        (lambda data: b"\n <!DOCTYPE html>" + data, "an HTML page instead of the file x_test"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "not the official data"),
    ],
)
def test_everything_else_is_refused(tiny: KnownSet, arrays: Arrays, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=f"^here: .*{message}"):
        tiny.files["x_test"].decode(damage(official(tiny, arrays)), "here")


def test_arrays_of_another_shape_are_refused(tiny: KnownSet, arrays: Arrays) -> None:
    with pytest.raises(DataError, match=r"here: expected an array of shape \(12, 1, 28, 28\), got \(11, 1, 28, 28\)"):
        tiny.files["x_test"].check(arrays["x_test"][:11], "here")


@pytest.mark.parametrize("known", KNOWN.values(), ids=str)
def test_the_catalog_is_complete(known: KnownSet) -> None:
    assert len(known.class_names) == 10
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in known.mirrors)
    assert sum(file.idx_size for file in known.files.values()) == 54_950_048
    assert len({file.sha256 for file in known.files.values()}) == 4
