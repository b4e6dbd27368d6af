"""Products of matrices in the forms that OpenBLAS is quick at.

    banded_matmul           out = left @ right            in bands of rows
    summed_outer_product    out = sum of left @ rightᵀ    over a stack

OpenBLAS (0.3.31, AVX-512) multiplies two matrices of up to a million multiply-adds as they lie, and packs larger ones
first, which the sizes of this field do not repay: 64 to 90 instead of 110 GFLOP/s on one core. The product with a
transposed right factor runs at half its speed where the result is large; turning round the smaller factor first is then
quicker.
"""

from functools import cache

import numpy as np

from handconv.kernels.memory import FloatArray

_SMALL = 1_000_000  # multiply-adds of a product that is not packed
_BAND = 8  # rows, below which the kernels run half empty
_LARGE = 2_000  # numbers of a result from which on the right factor should not be a transposed one


def banded_matmul(left: FloatArray, right: FloatArray, out: FloatArray) -> FloatArray:
    """Write left @ right, (…, M, K) @ (…, K, N), to ``out``, in equal bands of rows that are small products each."""
    *stack, rows, depth = left.shape
    count = _bands(rows, depth, right.shape[-1])
    if count == 1:
        np.matmul(left, right, out=out)
    else:
        np.matmul(
            left.reshape(*stack, count, rows // count, depth),
            right[..., None, :, :],
            out=out.reshape(*out.shape[:-2], count, rows // count, out.shape[-1]),  # a view: one axis becomes two
        )
    return out


@cache
def _bands(rows: int, depth: int, columns: int) -> int:
    """The fewest bands that make small products; 1 if there are none of enough rows."""
    counts = (count for count in range(1, rows // _BAND + 1) if rows % count == 0)
    return next((count for count in counts if rows // count * depth * columns <= _SMALL), 1)


def summed_outer_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Sum left @ rightᵀ over the stack: (…, M, N), (…, K, N) -> (M, K)."""
    rows, columns = left.shape[-2], right.shape[-2]
    if rows * columns < _LARGE:
        products: FloatArray = np.matmul(left, right.swapaxes(-1, -2))
        total: FloatArray = np.add.reduce(products.reshape(-1, rows, columns), axis=0)
        return total
    products = np.empty((*right.shape[:-1], rows), right.dtype)
    banded_matmul(right, np.ascontiguousarray(left.swapaxes(-1, -2)), products)
    total = np.add.reduce(products.reshape(-1, columns, rows), axis=0)
    return total.T
