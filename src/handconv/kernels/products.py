"""Products of matrices that are too large for OpenBLAS's quick path and too small to repay the slow one."""

import numpy as np

from handconv.kernels.memory import FloatArray

_SMALL = 1_000_000  # multiply-adds up to which OpenBLAS multiplies matrices as they lie, without packing them first
_BAND = 16  # rows, below which its kernels run half empty


def banded_matmul(left: FloatArray, right: FloatArray, out: FloatArray) -> FloatArray:
    """Write left @ right, (M, K) @ (K, N), to ``out``, by equal bands of rows that are small products each.

    Worth a fifth of the time at the sizes of a dense layer; where there are no such bands, one product it is.
    """
    (rows, depth), columns = left.shape, right.shape[1]
    bands = -(-rows * depth * columns // _SMALL)
    while bands > 1 and rows % bands and rows // bands > _BAND:
        bands += 1
    if bands > 1 and rows % bands == 0 and rows // bands >= _BAND:
        shape = bands, rows // bands
        np.matmul(left.reshape(*shape, depth), right, out=out.reshape(*shape, columns))
    else:
        np.matmul(left, right, out=out)
    return out
