"""IDX, the file format of MNIST: a header of a few big-endian numbers, then the bytes of one array.

    00 00  08  0N      two zero bytes, the type (08: unsigned byte), the number of axes N
    dd dd dd dd        the length of each axis, N times, most significant byte first
    …                  the values, the last axis fastest

Images are unsigned bytes; labels may have any whole type (09: signed byte, 0B: 2 bytes, 0C: 4 bytes).

References:
    Yann LeCun, Corinna Cortes, Christopher J.C. Burges, The MNIST database of handwritten digits,
    section "File formats for the MNIST database".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.paths import PathLike
from handconv.datasets.readers._files import open_data
from handconv.errors import DataError

_UNSIGNED_BYTE = 0x08
_WHOLE: dict[int, np.dtype[Any]] = {
    code: np.dtype(name) for code, name in ((_UNSIGNED_BYTE, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"))
}
_MAX_AXES = 4
_QMNIST_COLUMNS = 8  # QMNIST keeps the writer and more beside each label


def read_idx(path: PathLike) -> NDArray[np.uint8]:
    """Read one array of unsigned bytes from an IDX file, plain or gzip.

    The header is checked against the size of the file before memory is asked for, so that a damaged or hostile file
    costs nothing.

    Args:
        path: the file; gzip is recognised by its first bytes, not by its name.
    Shapes:
        as the header says: (N, H, W) for images, (N,) for labels.
    Raises:
        DataError: if the file is no IDX file of unsigned bytes, is damaged, too short or too long.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
        >>> write_idx(path, np.array([7, 2, 1], dtype=np.uint8))
        >>> read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    return _read(path, {_UNSIGNED_BYTE: np.dtype(np.uint8)})


def load_idx(images: PathLike, labels: PathLike) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load a pair of IDX files, images and their labels, as pixels and class numbers.

    Args:
        images: the file of the images, ``train-images-idx3-ubyte.gz`` say.
        labels: the file of the labels, ``train-labels-idx1-ubyte.gz`` say; of QMNIST's table the first column counts.
    Shapes:
        files (N, H, W) and (N,) -> images (N, 1, H, W), labels (N,), as they are written
        files (N, H, W, 3) or (N, 3, H, W) and (N,) -> images (N, 3, H, W), labels (N,)
    Raises:
        DataError: if a file is damaged, is of the other kind, or the two do not have the same length.
        OSError: if a file cannot be opened.
    Example:
        >>> import tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> write_idx(folder / "images", np.zeros((2, 28, 28), dtype=np.uint8))
        >>> write_idx(folder / "labels", np.array([3, 4], dtype=np.uint8))
        >>> x, y = load_idx(folder / "images", folder / "labels")
        >>> x.shape, y
        ((2, 1, 28, 28), array([3, 4]))
    """
    pixels, classes = read_idx(images), _read(labels, _WHOLE)
    if pixels.ndim == 4 and pixels.shape[3] == 3:
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))  # (N, 3, H, W)
    elif pixels.ndim == 3:
        pixels = pixels[:, None]  # (N, 1, H, W)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        raise DataError(
            f"An IDX file of images has 3 axes (N, H, W), or a fourth of 3 colours, {images} has shape {pixels.shape}."
        )
    if classes.ndim == 2 and classes.shape[1] == _QMNIST_COLUMNS:
        classes = classes[:, 0]
    if classes.ndim != 1:
        raise DataError(f"An IDX file of labels has 1 axis (N,), {labels} has shape {classes.shape}.")
    if len(pixels) != len(classes):
        raise DataError(f"Every image needs one label: {images} has {len(pixels):,}, {labels} has {len(classes):,}.")
    return pixels, classes.astype(np.int64)


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """Write an array of unsigned bytes as the bytes of an IDX file.

    The same array always gives the same bytes, so that data of any source can be compared by checksum.

    Args:
        array: uint8, 1 to 4 axes, none of them empty, any memory order.
    Raises:
        TypeError: if the array is not uint8.
        ValueError: if it has no axis, more than four, or an empty one.
    Example:
        >>> encode_idx(np.array([[1, 2, 3]], dtype=np.uint8)).hex(" ", -4)
        '00000802 00000001 00000003 010203'
    """
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise TypeError(f"IDX files here hold uint8, got {array.dtype}. Convert with x.astype(np.uint8).")
    if not 1 <= array.ndim <= _MAX_AXES or array.size == 0:
        raise ValueError(f"IDX files hold 1 to {_MAX_AXES} axes, none of them empty, got shape {array.shape}.")
    return struct.pack(f">HBB{array.ndim}I", 0, _UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()


def write_idx(path: PathLike, array: NDArray[np.uint8]) -> None:
    """Write an array of unsigned bytes as an IDX file, gzip if the name ends in ``.gz``.

    Args:
        path: the file; it is overwritten.
        array: as for `encode_idx`.
    """
    data = encode_idx(array)
    with Path(path).open("wb") as file:
        file.write(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)


def _read(path: PathLike, kinds: Mapping[int, np.dtype[Any]]) -> NDArray[Any]:
    """Read the array of a file, if it is of one of these types."""
    with open_data(path) as (stream, size):
        kind, shape = _read_header(stream, path, kinds)
        promised = math.prod(shape)
        if promised * kinds[kind].itemsize > size:
            raise DataError(
                f"{path} promises {promised:,} values of shape {shape} but can hold at most {size:,}. Fetch it again."
            )
        array = np.empty(promised, dtype=kinds[kind])
        received = _fill(stream, array) // array.itemsize
        if received < promised:
            raise DataError(f"{path} is cut off: {promised:,} values promised, {received:,} there. Fetch it again.")
        if stream.read(1):
            raise DataError(f"{path} goes on after the {promised:,} values of its header {shape}. Fetch it again.")
    return array.reshape(shape)


def _read_header(stream: BinaryIO, path: PathLike, kinds: Collection[int]) -> tuple[int, tuple[int, ...]]:
    """Read the header: type and shape."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise DataError(f"{path} is no IDX file: it starts with {head!r}, not with two zero bytes, a type and a rank.")
    kind, axes = head[2], head[3]
    if kind not in kinds:
        wanted = "unsigned bytes (IDX type 0x08)" if len(kinds) == 1 else "whole numbers (IDX types 0x08 to 0x0c)"
        raise DataError(f"{path} must hold {wanted}, it holds type 0x{kind:02x}. Write it anew with such numbers.")
    if not 1 <= axes <= _MAX_AXES:
        raise DataError(f"{path} must have 1 to {_MAX_AXES} axes, its header says {axes}.")
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise DataError(f"{path} is cut off inside its header. Fetch it again.")
    shape: tuple[int, ...] = struct.unpack(f">{axes}I", lengths)
    if 0 in shape:
        raise DataError(f"{path} is empty: its header says shape {shape}.")
    return kind, shape


def _fill(stream: BinaryIO, array: NDArray[Any]) -> int:
    """Fill the array from the stream, in pieces; return how many bytes there were."""
    view = array.view(np.uint8).data
    received = 0
    while received < len(view):
        piece = stream.read(min(1 << 20, len(view) - received))
        if not piece:
            break
        view[received : received + len(piece)] = piece
        received += len(piece)
    return received
