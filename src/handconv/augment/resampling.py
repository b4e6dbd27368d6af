"""Resampling: images read at other places, bilinearly.

    y[n, c, i, j] = sum over pixels (p, q) of max(0, 1 - |v - p|) · max(0, 1 - |u - q|) · x[n, c, p, q]
    (v, u) = centre + M[n] · ((i, j) - centre + d[n, i, j])

Row v and column u, where pixel (i, j) of sample n comes from, lie between four pixels, and each counts the more the
nearer it is. Beyond the border every pixel is ``fill``. An affine map M and a displacement field d, if any, make one
map and one reading, so that images are blurred once however many changes there are.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.augment.base import Images, store

#: How many pixels are read at once; for a shard of digits, one block.
_BLOCK = 50_176
_EXACT = 1 << 24  # whole numbers up to here are exact in float32, which is twice as quick to reckon with as intp
_kept: dict[Any, "_Reader"] = {}  # the last block's, for the next images like these: fresh memory costs as much again


class Maps(NamedTuple):
    """Where each pixel of the new images comes from.

    Args:
        matrices: (N, 3, 3), homogeneous, of (row, column, 1) measured from the centre: new places to old ones.
        displacements: (2, N, H, W), float32, in rows and columns, added to the new places first; None for no field.
    """

    matrices: NDArray[np.float64]
    displacements: NDArray[np.float32] | None = None

    def after(self, first: "Maps") -> "Maps":
        """Return the maps of doing ``first``, which must have no field, and then this."""
        # A pixel of the last images is looked up in the ones between, and from there in the old ones.
        return Maps(first.matrices @ self.matrices, self.displacements)


def resample(images: Images, maps: Maps, fill: float) -> Images:
    """Return images read along maps.

    Args:
        images: (N, C, H, W).
        maps: where each pixel comes from.
        fill: the value of all that is beyond the border.
    """
    result = np.empty_like(images)
    count, _, height, width = images.shape
    centre, grid = _places(height, width)
    matrices = maps.matrices[:, :2].swapaxes(0, 1).copy()  # (2, N, 3)
    matrices[..., 2] += centre
    matrices = matrices.astype(np.float32)
    size = max(1, min(count, _BLOCK // (height * width)))
    kind = (size, *images.shape[1:]), images.dtype, fill
    reader = _kept.pop(kind, None) or _Reader(*kind)  # no other thread has it meanwhile
    for start in range(0, count, size):
        part = slice(start, start + size)
        places, spare = reader.places[:, : count - start], reader.corners[:, : count - start]
        np.einsum("ank,kp->anp", matrices[:, part], grid, out=places)
        if maps.displacements is not None:
            for direction, distances in enumerate(maps.displacements.reshape(2, count, -1)[:, part]):
                places += np.multiply(matrices[:, part, direction, None], distances, out=spare)
        reader.read(images[part], result[part])
    _kept.clear()
    if size * height * width <= _BLOCK:
        _kept[kind] = reader
    return result


@functools.lru_cache(maxsize=8)
def _places(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The centre of an image (2, 1), and its pixels (row, column, 1) measured from there (3, H·W)."""
    centre = np.array([[(height - 1) / 2], [(width - 1) / 2]])
    i, j = np.mgrid[:height, :width].reshape(2, -1) - centre
    grid = np.stack([i, j, np.ones(i.shape)]).astype(np.float32)
    grid.flags.writeable = False
    return centre, grid


class _Reader:
    """Reads blocks of images, in memory that is taken once.

    Args:
        shape: of a block, (n, C, H, W).
        dtype: of the images.
        fill: the value of all that is beyond the border.

    Attributes:
        places: rows and columns that the next block is read at, (2, n, H·W); overwritten.
        corners: spare memory of the same shape.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], fill: float) -> None:
        count, channels, height, width = shape
        floats = np.float32 if dtype == np.uint8 else dtype
        # A border of one pixel before and two behind, so that every place has four pixels around it.
        self._padded: NDArray[Any] = np.full((count, channels, height + 3, width + 3), fill, floats)
        self.places, self.corners = np.empty((2, 2, count, height * width), np.float32)
        self._steps: NDArray[Any] = np.empty(self._padded.size - 1, floats)  # from each pixel to the one on its right
        self._index = np.empty((count, height * width), np.intp)
        self._pixels: NDArray[Any] = np.empty((4, count, height * width), floats)
        self._ends = np.array([height, width], np.float32)[:, None, None]
        firsts = np.arange(count)[:, None] * self._padded[0].size + width + 4  # where each image begins
        exact = np.float32 if self._padded.size < _EXACT else np.float64
        self._firsts = np.repeat(firsts, height * width, axis=1).astype(exact)

    def read(self, images: Images, result: Images) -> None:
        """Read images (n, C, H, W), at most as many as a block has, at the places."""
        count, channels, height, width = images.shape
        line, area = width + 3, (height + 3) * (width + 3)
        self._padded[:count, :, 1:-2, 1:-2] = images
        places, corners, index = self.places[:, :count], self.corners[:, :count], self._index[:count]

        np.clip(places, -1, self._ends, out=places)  # beyond, there is nothing but the border's value either
        np.floor(places, out=corners)
        places -= corners
        below, right = places  # shares of the lower and of the right pixels
        top, left = corners.astype(self._firsts.dtype, copy=False)
        top *= line
        top += left
        top += self._firsts[:count]
        index[...] = top

        memory = self._padded.reshape(-1)
        np.subtract(memory[1:], memory[:-1], out=self._steps)
        sources = (memory, 0), (memory, line), (self._steps, 0), (self._steps, line)
        for channel in range(channels):
            pixels, first = self._pixels[:, :count], channel * area
            for read, (source, corner) in zip(pixels, sources, strict=True):
                # No index is out of range: "clip" spares NumPy the check, and a buffer.
                source[first + corner :].take(index, out=read, mode="clip")
            (upper, lower), steps = pixels[:2], pixels[2:]
            steps *= right
            pixels[:2] += steps
            lower -= upper
            lower *= below
            upper += lower
            store(upper.reshape(count, height, width), result[:, channel])
