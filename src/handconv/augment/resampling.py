"""Resampling: images read at other places, bilinearly.

    y[n, c, i, j] = sum over pixels (p, q) of max(0, 1 - |v - p|) · max(0, 1 - |u - q|) · x[n, c, p, q]
    (v, u) = centre + M[n] · ((i, j) - centre + d[n, i, j])

Row v and column u, where pixel (i, j) of sample n comes from, lie between four pixels, and each counts the more the
nearer it is. Beyond the border every pixel is ``fill``. An affine map M and a displacement field d, if any, make one
map and one reading, so that images are blurred once however many changes there are.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.augment.base import Images, store

#: How many pixels are read at once: what is computed for them then stays in the first caches, and NumPy gets memory
#: for it from its own store instead of new pages from the system.
_BLOCK = 12_544


class Maps(NamedTuple):
    """Where each pixel of the new images comes from.

    Args:
        matrices: (N, 3, 3), homogeneous, of (row, column, 1) measured from the centre: new places to old ones.
        displacements: (2, H, W, N), float32, in rows and columns, added to the new places first; None for no field.
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
    size = max(1, _BLOCK // (height * width))
    for start in range(0, count, size):
        part = slice(start, start + size)
        rows, columns = _places(maps, part, height, width)
        _read(images[part], rows, columns, fill, result[part])
    return result


def _places(maps: Maps, part: slice, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rows and columns, (H, W, n) each, from which the pixels of some samples come."""
    i = np.arange(height)[:, None, None] - (height - 1) / 2
    j = np.arange(width)[:, None] - (width - 1) / 2
    places = []
    for axis, centre in enumerate([(height - 1) / 2, (width - 1) / 2]):
        by_row, by_column, shift = maps.matrices[part, axis].T  # (n,) each
        place = (by_row * i + (shift + centre)).astype(np.float32) + (by_column * j).astype(np.float32)
        if maps.displacements is not None:
            down, across = maps.displacements[..., part]
            place += by_row.astype(np.float32) * down
            place += by_column.astype(np.float32) * across
        places.append(place)
    return places[0], places[1]


def _read(images: Images, rows: NDArray[np.float32], columns: NDArray[np.float32], fill: float, result: Images) -> None:
    """Read images (n, C, H, W) at rows and columns (H, W, n), which are overwritten."""
    count, channels, height, width = images.shape
    line = width + 3  # a border of one pixel before and two behind, so that every place has four pixels around it
    area = (height + 3) * line
    dtype = np.float32 if images.dtype == np.uint8 else images.dtype
    padded: NDArray[Any] = np.full((count, channels, height + 3, line), fill, dtype)
    padded[:, :, 1:-2, 1:-2] = images

    np.clip(rows, -1, height, out=rows)  # farther away there is nothing but the border's value either
    np.clip(columns, -1, width, out=columns)
    top, left = np.floor(rows), np.floor(columns)
    rows -= top
    columns -= left  # shares of the lower and of the right pixels
    index = top.astype(np.intp)
    index *= line
    index += left.astype(np.intp)
    index += np.arange(count) * (channels * area) + line + 1

    pixels = padded.reshape(-1)
    for channel in range(channels):
        first = channel * area
        upper = _between(pixels[first:], pixels[first + 1 :], index, columns)
        lower = _between(pixels[first + line :], pixels[first + line + 1 :], index, columns)
        lower -= upper
        lower *= rows
        upper += lower
        store(upper, result[:, channel].transpose(1, 2, 0))  # (H, W, n)


def _between(
    left: NDArray[Any], right: NDArray[Any], index: NDArray[np.intp], share: NDArray[np.float32]
) -> NDArray[Any]:
    """Return left + share · (right - left), both read at the indices."""
    result = left.take(index, mode="clip")  # no index is out of range: "clip" spares NumPy the check
    other = right.take(index, mode="clip")
    other -= result
    other *= share
    result += other
    return result
