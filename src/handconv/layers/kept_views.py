"""Attributes that are views of declared arrays, as after ``self.kernel = self.weights.reshape(…)``.

The declared arrays of a layer are views into flat vectors. In a copy, in a worker process, and after a network is
built, these vectors lie elsewhere. Views that a layer keeps must be moved along, or it would compute with numbers that
are not trained.
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
    """A layer, as far as this file needs to know it."""

    arrays: dict[str, FloatArray]


class KeptView(NamedTuple):
    """A view of a declared array, kept as an attribute or in a list or dict: ``self.params = {"W": self.W}``.

    Attributes:
        keeper: the index of the layer that keeps the view.
        path: the name of the attribute and, within a list or dict, the keys that lead to the view.
        owner: the index of the layer that has declared the array.
        array: the name of the array.
        start, shape, strides: of the view, in elements of the array.
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
    """Find the attributes of layers that are views of arrays which one of them has declared."""
    extents = sorted(
        (*byte_bounds(array), owner, name) for owner, layer in enumerate(layers) for name, array in layer.arrays.items()
    )
    found = []
    for keeper, layer in enumerate(layers):
        for path, value in _views_in({name: value for name, value in vars(layer).items() if name != "arrays"}):
            first, end = byte_bounds(value)
            place = bisect.bisect_right(extents, first, key=itemgetter(0)) - 1
            if place < 0 or extents[place][1] < end:
                continue
            low, _, owner, name = extents[place]
            array, size = layers[owner].arrays[name], value.itemsize
            if value.dtype == array.dtype:
                start = (value.__array_interface__["data"][0] - low) // size
                strides = tuple(step // size for step in value.strides)
                found.append(KeptView(keeper, path, owner, name, start, value.shape, strides))
    return found


def _views_in(entries: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], NDArray[Any]]]:
    """The arrays in lists and dicts that are views, with their paths."""
    if not isinstance(entries, dict | list):
        return
    for key, value in entries.items() if isinstance(entries, dict) else enumerate(entries):
        if not isinstance(value, np.ndarray):
            yield from _views_in(value, (*path, key))
        elif value.base is not None:
            yield (*path, key), value


def restore_views(layers: Sequence[HasArrays], kept: Sequence[KeptView]) -> None:
    """Make the kept views again, of the arrays as they lie now."""
    for view in kept:
        arrays = layers[view.owner].arrays
        if view.array in arrays:
            *keys, last = view.path
            container: Any = vars(layers[view.keeper])
            for key in keys:
                container = container[key]
            container[last] = view.of(arrays[view.array])
