"""Products of matrices in the forms that OpenBLAS is quick at.

    blocked_matmul           out = left @ right            in bands of rows and of columns
    summed_outer_product    out = sum of left @ rightᵀ    over a stack

OpenBLAS (0.3.31) packs the factors of a product first, which the sizes of this field do not repay. Where the processor
has AVX-512 it multiplies two matrices of up to a million multiply-adds as they lie: 110 instead of 80 to 95 GFLOP/s on
one core (Zen 4). Without AVX-512 it packs those too, and bands would pack the same factor again: a step without them is
3 % quicker there (Zen 3). Of an outer product, the windows of a convolution are better the left factor and its few
filters the right one, 25 to 30 % quicker (Zen 3). Where the result is large, a transposed right factor halves the
speed; turning it round in memory first is then quicker.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.arena import Workspace

_ROWS, _COLUMNS = 8, 32  # of a band, below which the kernels run half empty
_LARGE = 2_000  # numbers of a result from which on the right factor is turned round in memory


def _small(simd: Mapping[str, Sequence[str]]) -> float:
    """Up to how many multiply-adds a product is best left whole, by what NumPy says of the processor."""
    sets = [*simd.get("baseline", ()), *simd.get("found", ())]
    return 1_000_000 if any(name.startswith(("AVX512", "X86_V4")) for name in sets) else math.inf


_BUILD: Any = np.show_config(mode="dicts")
_SMALL = _small(_BUILD.get("SIMD Extensions", {}))


def blocked_matmul(left: FloatArray, right: FloatArray, out: FloatArray) -> FloatArray:
    """Write left @ right, (…, M, K) @ (…, K, N), to ``out``, in equal bands that are small products each."""
    (rows, depth), columns = left.shape[-2:], right.shape[-1]
    across, along = _bands(rows, depth, columns)
    if across == along == 1:
        return np.matmul(left, right, out=out)
    # Views all three: an axis is cut in two.
    left = left.reshape(*left.shape[:-2], across, 1, rows // across, depth)
    right = right.reshape(*right.shape[:-2], 1, depth, along, columns // along).swapaxes(-2, -3)
    banded = out.reshape(*out.shape[:-2], across, rows // across, along, columns // along).swapaxes(-2, -3)
    np.matmul(left, right, out=banded)
    return out


@cache
def _bands(rows: int, depth: int, columns: int) -> tuple[int, int]:
    """The fewest bands of rows and of columns that make small products; (1, 1) if there are none of enough size."""
    cuts = [
        (across, along)
        for across in range(1, rows // _ROWS + 1)
        for along in range(1, columns // _COLUMNS + 1)
        if rows % across == columns % along == 0 and (rows // across) * depth * (columns // along) <= _SMALL
    ]
    return min(cuts, key=lambda cut: cut[0] * cut[1], default=(1, 1))


def summed_outer_product(left: FloatArray, right: FloatArray, workspace: Workspace) -> FloatArray:
    """Sum left @ rightᵀ over the stack, as (right @ leftᵀ)ᵀ: (…, M, N), (…, K, N) -> (M, K)."""
    rows, columns = left.shape[-2], right.shape[-2]
    turned = left.swapaxes(-1, -2)
    products = workspace.scratch("products", (*right.shape[:-1], rows), right.dtype)
    if rows * columns < _LARGE:
        np.matmul(right, turned, out=products)
    else:
        in_memory = workspace.scratch("turned", turned.shape, left.dtype)
        in_memory[...] = turned
        blocked_matmul(right, in_memory, products)
    total: FloatArray = np.add.reduce(products.reshape(-1, columns, rows), axis=0)
    return total.T
