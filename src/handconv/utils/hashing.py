"""Numbers that tell rows of an array apart, found at the speed of memory: is anything changed, is anything there twice?

    h(row) = sum over k of  f[k] · (w[k] xor (w[k] >> 32))   modulo 2^64

w are the row's words of 64 bits, f odd numbers drawn at random with a fixed seed. Folding a word's upper half into its
lower one lets changes of upper bits alone count as much as all others. Two rows that differ have the same number with a
probability of about 2^-32. It is no cryptographic hash: such rows can be made on purpose.

References:
    D. Lemire and O. Kaser, Strongly universal string hashing is fast, The Computer Journal, 2014, section 2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = 8  # bytes
_TOGETHER = 1 << 18  # bytes whose folded words stay in the cache


def row_hashes(x: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash each row of an array by its bytes.

    Args:
        x: an array (N, …) of numbers.
    Shapes:
        (N, …) -> (N,)

    Example:
        >>> hashes = row_hashes(np.array([[1, 2, 3], [3, 2, 1], [1, 2, 3]]))
        >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
        (True, False)
    """
    size = x[:1].nbytes
    factors = np.random.default_rng(0).integers(1 << 63, size=-(-size // _WORD), dtype=np.uint64) * 2 + 1
    hashes = np.zeros(len(x), np.uint64)
    step = max(1, _TOGETHER // max(1, size))
    for start in range(0, len(x) if size else 0, step):
        rows = np.ascontiguousarray(x[start : start + step])
        numbers = rows.reshape(len(rows), -1).view(np.uint8)
        if size % _WORD:
            numbers = np.pad(numbers, ((0, 0), (0, -size % _WORD)))
        words = numbers.view(np.uint64)
        hashes[start : start + step] = (words ^ (words >> 32)) @ factors
    return hashes
