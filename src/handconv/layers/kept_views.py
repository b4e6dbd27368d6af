"""Attributes that look into declared arrays: ``self.kernel = self.weights.reshape(…)``, kept for later.

The arrays of a layer are views into vectors, and lie elsewhere in a copy, in a worker process, and after a network is
built. What a layer keeps of them must look there too, or it would compute with numbers that nobody trains any more.
"""

import bisect
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from handconv.arrays import FloatArray, Shape

VIEWS = "views of declared arrays"  # in the state of a copy: no attribute has such a name


class HasArrays(Protocol):
    """A layer, as far as it matters here."""

    arrays: dict[str, FloatArray]


class KeptView(NamedTuple):
    """An attribute that looks into a declared array, or an entry of a list or dict: ``self.params = {"W": self.W}``.

    Attributes:
        keeper: the number of the layer whose attribute it is.
        path: the name of the attribute and, of an entry, where that is in it.
        owner: the number of the layer that has declared the array.
        array: its name.
        start, shape, strides: of the view, counted in numbers of the array.
    """

    keeper: int
    path: tuple[Any, ...]
    owner: int
    array: str
    start: int
    shape: Shape
    strides: tuple[int, ...]

    def of(self, array: FloatArray) -> FloatArray:
        """The same part of an array that lies elsewhere, perhaps in another dtype."""
        size = array.itemsize
        return np.ndarray(
            self.shape, array.dtype, array.data, self.start * size, tuple(step * size for step in self.strides)
        )


def kept_views(layers: Sequence[HasArrays]) -> list[KeptView]:
    """Find the attributes of layers that look into arrays which one of them has declared."""
    lying = sorted(
        (*byte_bounds(array), owner, name) for owner, layer in enumerate(layers) for name, array in layer.arrays.items()
    )
    found = []
    for keeper, layer in enumerate(layers):
        for path, value in _views_in({name: value for name, value in vars(layer).items() if name != "arrays"}):
            first, end = byte_bounds(value)
            place = bisect.bisect_right(lying, first, key=itemgetter(0)) - 1
            if place < 0 or lying[place][1] < end:
                continue
            low, _, owner, name = lying[place]
            array, size = layers[owner].arrays[name], value.itemsize
            if value.dtype == array.dtype:
                start = (value.__array_interface__["data"][0] - low) // size
                strides = tuple(step // size for step in value.strides)
                found.append(KeptView(keeper, path, owner, name, start, value.shape, strides))
    return found


def _views_in(entries: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], NDArray[Any]]]:
    """The arrays in lists and dicts whose memory is that of others, with their paths."""
    if not isinstance(entries, dict | list):
        return
    for key, value in entries.items() if isinstance(entries, dict) else enumerate(entries):
        if not isinstance(value, np.ndarray):
            yield from _views_in(value, (*path, key))
        elif value.base is not None:
            yield (*path, key), value


def look_again(layers: Sequence[HasArrays], kept: Sequence[KeptView]) -> None:
    """Let attributes look into the arrays where these lie now."""
    for view in kept:
        arrays = layers[view.owner].arrays
        if view.array in arrays:
            *way, last = view.path
            place: Any = vars(layers[view.keeper])
            for key in way:
                place = place[key]
            place[last] = view.of(arrays[view.array])
