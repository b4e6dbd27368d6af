"""IDX files: what is written is read back; whatever else is in a file is a DataError, and quickly."""

import contextlib
import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from handconv.datasets.readers import encode_idx, load_idx, read_idx, write_idx
from handconv.errors import DataError

one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def packed_bytes(data: bytes) -> bytes:
    """Compress to the same bytes at any time: parameters are part of a test's name."""
    return gzip.compress(data, mtime=0)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


@one_file
@given(array=arrays, name=st.sampled_from(["plain", "packed.gz"]))
def test_what_is_written_is_read_back(tmp_path: Path, array: NDArray[np.uint8], name: str) -> None:
    write_idx(tmp_path / name, array)
    np.testing.assert_array_equal(read_idx(tmp_path / name), array)


def test_the_bytes_are_those_of_the_format() -> None:
    assert encode_idx(np.array([[1, 2]], dtype=np.uint8)) == b"\0\0\x08\x02\0\0\0\1\0\0\0\2\1\2"


def test_memory_order_does_not_show_in_the_bytes() -> None:
    assert encode_idx(np.asfortranarray(IMAGES)) == encode_idx(IMAGES)


def test_a_name_in_gz_is_written_as_gzip(tmp_path: Path) -> None:
    write_idx(tmp_path / "x.gz", IMAGES)
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == encode_idx(IMAGES)


def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path, gzip.compress(encode_idx(IMAGES)))
    np.testing.assert_array_equal(read_idx(path), IMAGES)


def test_what_is_read_can_be_changed(tmp_path: Path) -> None:
    assert read_idx(saved(tmp_path, encode_idx(IMAGES))).flags.writeable


def test_load_gives_images_with_a_channel_and_int64_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", IMAGES)
    write_idx(tmp_path / "labels", np.array([1, 0], dtype=np.uint8))
    images, labels = load_idx(tmp_path / "images", tmp_path / "labels")
    assert (images.shape, images.dtype) == ((2, 1, 3, 4), np.uint8)
    assert (labels.tolist(), labels.dtype) == ([1, 0], np.int64)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ((2,), (2,), "images has 3 axes"),
        ((2, 2, 4, 4), (2,), "or a fourth of 3 colours"),
        ((2, 3, 4), (2, 1), "labels has 1 axis"),
        ((2, 3, 4), (3,), "one label"),
    ],
)
def test_load_refuses_files_that_do_not_belong_together(
    tmp_path: Path, images: tuple[int, ...], labels: tuple[int, ...], message: str
) -> None:
    write_idx(tmp_path / "images", np.zeros(images, dtype=np.uint8))
    write_idx(tmp_path / "labels", np.zeros(labels, dtype=np.uint8))
    with pytest.raises(DataError, match=message):
        load_idx(tmp_path / "images", tmp_path / "labels")


@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (2, 3, 4, 5)])
def test_images_with_an_axis_of_colours_keep_them(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.arange(120, dtype=np.uint8).reshape(shape)
    write_idx(tmp_path / "images", pixels)
    write_idx(tmp_path / "labels", np.array([1, 0], dtype=np.uint8))
    images, _ = load_idx(tmp_path / "images", tmp_path / "labels")
    np.testing.assert_array_equal(images, pixels.transpose(0, 3, 1, 2) if shape[-1] == 3 else pixels)


@pytest.mark.parametrize(("kind", "dtype"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4")])
def test_labels_may_have_any_whole_type(tmp_path: Path, kind: int, dtype: str) -> None:
    write_idx(tmp_path / "images", IMAGES)
    content = struct.pack(">HBBI", 0, kind, 1, 2) + np.array([3, 100], dtype).tobytes()
    assert load_idx(tmp_path / "images", saved(tmp_path, content))[1].tolist() == [3, 100]


def test_of_the_labels_of_qmnist_the_first_column_is_the_class(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", IMAGES)
    content = struct.pack(">HBBII", 0, 0x0C, 2, 2, 8) + np.arange(16, dtype=">i4").tobytes()
    assert load_idx(tmp_path / "images", saved(tmp_path, content))[1].tolist() == [0, 8]


def test_labels_that_are_fractions_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", IMAGES)
    content = struct.pack(">HBBI", 0, 0x0D, 1, 2) + np.zeros(2, ">f4").tobytes()
    with pytest.raises(DataError, match=r"must hold whole numbers.*it holds type 0x0d"):
        load_idx(tmp_path / "images", saved(tmp_path, content))


def test_a_file_of_four_byte_numbers_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", IMAGES)
    content = packed_bytes(struct.pack(">HBBI", 0, 0x0C, 1, 2) + np.zeros(2, ">i4").tobytes()[:-1])
    with pytest.raises(DataError, match="cut off: 2 values promised, 1 there"):
        load_idx(tmp_path / "images", saved(tmp_path, content))


def test_only_uint8_is_encoded() -> None:
    with pytest.raises(TypeError, match=r"uint8, got float64.*astype"):
        encode_idx(np.zeros(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 2), (1, 1, 1, 1, 1)])
def test_only_one_to_four_axes_that_are_not_empty_are_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 4 axes"):
        encode_idx(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x08", "no IDX file"),
        (b"<!DOCTYPE html><html>403 Forbidden", "no IDX file"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "unsigned bytes"),
        (b"\0\0\x08\0", "1 to 4 axes"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "1 to 4 axes"),
        (b"\0\0\x08\2\0\0\0\1", "inside its header"),
        (b"\0\0\x08\1\0\0\0\0", "is empty"),
        (encode_idx(IMAGES)[:-1], "cut off"),
        (encode_idx(IMAGES) + b"\0", "goes on after"),
        (packed_bytes(encode_idx(IMAGES) + b"\0"), "goes on after"),
        (packed_bytes(encode_idx(IMAGES)[:-1]), "cut off"),
        (packed_bytes(encode_idx(IMAGES))[:-1], "damaged or cut-off gzip"),
        (packed_bytes(encode_idx(IMAGES))[:-6] + b"\0" * 6, "damaged or cut-off gzip"),
        (b"\x1f\x8b", "damaged or cut-off gzip"),
        (b"\x1f\x8b\xff\xff\xff\xff", "damaged or cut-off gzip"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(100_000, 1_000, 1_000), (2**32 - 1,) * 4])
def test_a_header_that_promises_gigabytes_costs_no_memory(tmp_path: Path, shape: tuple[int, ...], packed: bool) -> None:
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(10_000_000)
    path = saved(tmp_path, gzip.compress(content, 1, mtime=0) if packed else content)
    del content
    tracemalloc.start()
    with pytest.raises(DataError, match="promises"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path, gzip.compress(encode_idx(IMAGES) + bytes(50_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on after"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "missing")


def test_a_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=tmp_path.name):
        read_idx(tmp_path)


@one_file
@given(length=st.integers(0, 500), packed=st.booleans())
def test_a_file_cut_off_anywhere_is_a_data_error(tmp_path: Path, length: int, packed: bool) -> None:
    content = encode_idx(IMAGES)
    content = gzip.compress(content, mtime=0) if packed else content
    with pytest.raises(DataError):
        read_idx(saved(tmp_path, content[: length % len(content)]))


@one_file
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7), packed=st.booleans())
def test_a_flipped_bit_is_a_data_error_or_a_changed_value(
    tmp_path: Path, position: int, bit: int, packed: bool
) -> None:
    content = bytearray(gzip.compress(encode_idx(IMAGES)) if packed else encode_idx(IMAGES))
    content[position % len(content)] ^= 1 << bit
    with contextlib.suppress(DataError):
        assert read_idx(saved(tmp_path, bytes(content))).size == IMAGES.size


@one_file
@given(content=st.binary(max_size=200), start=st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b\x08", b"\x1f\x8b"]))
def test_any_bytes_are_an_array_or_a_data_error(tmp_path: Path, content: bytes, start: bytes) -> None:
    with contextlib.suppress(DataError):
        assert read_idx(saved(tmp_path, start + content)).dtype == np.uint8


def test_the_real_test_set_is_read_and_encoded_back_to_the_published_checksums(data_dir: Path) -> None:
    images = read_idx(data_dir / "mnist" / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(data_dir / "mnist" / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert [hashlib.sha256(encode_idx(array)).hexdigest() for array in (images, labels)] == [
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ]
