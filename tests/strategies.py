"""Hypothesis strategies: geometries, memory orders and values that fast paths get wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from handconv.engine.kernels.conv_lowering import TILE

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
PaddingArgument = int | Pair | str

MEMORY_ORDERS = ("C", "Fortran", "batch innermost", "channels last", "reversed", "every other")


def in_memory_order(values: NDArray[Any], order: str) -> NDArray[Any]:
    """The same shape and values, lying in memory in the given way."""
    axes = range(values.ndim)
    if order == "C":
        return np.array(values, order="C")
    if order == "Fortran":
        return np.array(values, order="F")
    if order == "batch innermost":  # shape (N, C, H, W) lies as (H, C, W, N), shape (N, D) as (D, N)
        return _lying_as(values, (2, 1, 3, 0) if values.ndim == 4 else (*axes[1:], 0))
    if order == "channels last":  # shape (N, C, H, W) lies as (N, H, W, C)
        return _lying_as(values, (0, *axes[2:], 1) if values.ndim > 1 else (0,))
    backwards = (slice(None, None, -1),) * values.ndim
    if order == "reversed":  # every stride negative
        return np.array(values[backwards], order="C")[backwards]
    spaced = np.full([2 * size for size in values.shape], 77, dtype=values.dtype)  # 77: what must never be read
    every_other = (slice(None, None, 2),) * values.ndim
    spaced[every_other] = values
    return spaced[every_other]


def _lying_as(values: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return np.array(values.transpose(axes), order="C").transpose(np.argsort(axes))


memory_orders = st.sampled_from(MEMORY_ORDERS)
seeds = st.integers(0, 2**16)
#: Bytes of a tile: everything in one, or every row by itself.
tiles = st.sampled_from([TILE, 1])


def normal(seed: int, *shape: int, dtype: Any = np.float64) -> NDArray[Any]:
    """Normal values in C order, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tied(seed: int, *shape: int, dtype: Any = np.float64) -> NDArray[Any]:
    """Small whole numbers of which many are equal and some zero, as on MNIST's blank border."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)


@st.composite
def labels(draw: st.DrawFn, samples: int, classes: int) -> NDArray[np.int64]:
    """Class numbers (N,)."""
    return np.array(draw(st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples)), dtype=np.int64)


def resolve_padding(padding: PaddingArgument, size: Pair, window: Pair, stride: Pair) -> Padding:
    """((top, bottom), (left, right)) of a padding as the user writes it.

    "same" means ceil(size / stride) positions, the padding split evenly and the odd one after (Keras' convention).
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [max((-(-size[a] // stride[a]) - 1) * stride[a] + window[a] - size[a], 0) for a in range(2)]
        return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)
    assert not isinstance(padding, str)
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return (rows, rows), (columns, columns)


@dataclass(frozen=True)
class Geometry:
    """One convolution or pooling: the input, the window, and how it moves."""

    shape: tuple[int, int, int, int]
    filters: int
    window: Pair
    stride: Pair
    padding: PaddingArgument

    @property
    def pads(self) -> Padding:
        """The padding in numbers, ((top, bottom), (left, right))."""
        return resolve_padding(self.padding, (self.shape[2], self.shape[3]), self.window, self.stride)

    @property
    def weights_shape(self) -> tuple[int, int, int, int]:
        """(F, C, KH, KW)."""
        return (self.filters, self.shape[1], *self.window)


@st.composite
def convolutions(draw: st.DrawFn, *, largest: int = 7) -> Geometry:
    """Batch 1 and more, odd sizes, windows of any form, strides beyond the window, every way to write a padding."""
    window = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    padding: PaddingArgument = draw(
        st.just(0)
        | st.sampled_from(("valid", "same"))
        | st.integers(0, 3)
        | st.tuples(st.integers(0, 3), st.integers(0, 3))
    )
    numbers = (0, 0) if isinstance(padding, str) else (padding, padding) if isinstance(padding, int) else padding
    smallest = [1 if padding == "same" else max(1, window[axis] - 2 * numbers[axis]) for axis in range(2)]
    height, width = (draw(st.integers(low, max(low, largest))) for low in smallest)
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 3)), height, width
    return Geometry(shape, draw(st.integers(1, 3)), window, stride, padding)


@st.composite
def poolings(draw: st.DrawFn, *, largest: int = 8) -> Geometry:
    """Windows that overlap, touch or leave gaps, sizes they do not divide, padding up to half a window."""
    window = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.one_of(st.just(window), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    pair = draw(st.integers(0, window[0] // 2)), draw(st.integers(0, window[1] // 2))
    padding: PaddingArgument = draw(st.just(0) | st.just(min(pair)) | st.just(pair))
    numbers = (padding, padding) if isinstance(padding, int) else pair
    height, width = (draw(st.integers(max(1, window[axis] - 2 * numbers[axis]), largest)) for axis in range(2))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 3)), height, width
    return Geometry(shape, shape[1], window, stride, padding)
