"""Arrays that several processes see: anonymous shared memory, and files that each maps for itself."""

import ctypes
import math
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE = 64  # bytes of a cache line


class SharedArray:
    """Memory that several processes see, and the array in it, which begins with a cache line.

    Shared memory has no name that could be left behind: it is inherited (fork) or handed over as an open file (spawn),
    and the system frees it with the last process. It starts as zeros, and takes room when it is first written to.
    """

    def __init__(self, context: BaseContext, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        size = math.prod(shape) * self.dtype.itemsize
        self._memory: Any = context.RawArray(ctypes.c_byte, size + _LINE)

    @property
    def array(self) -> NDArray[Any]:
        """The array itself, over the shared memory."""
        start = -ctypes.addressof(self._memory) % _LINE  # the same in all processes, as memory is mapped by pages
        return np.frombuffer(memoryview(self._memory), self.dtype, math.prod(self.shape), start).reshape(self.shape)


class MappedArray:
    """An array that lies in a file which is mapped into memory: another process maps it too, and nothing is copied."""

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], dtype: DTypeLike, strides: tuple[int, ...]
    ) -> None:
        self._path, self._offset, self._shape = path, offset, shape
        self._dtype, self._strides = np.dtype(dtype), strides

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self | None:
        """Describe an array by its file; None if it does not lie in one, or only until it is changed."""
        base: Any = array
        while base is not None and not (isinstance(base, np.memmap) and base.filename is not None):
            base = getattr(base, "base", None)
        while base is not None and isinstance(base.base, np.memmap):
            base = base.base  # views of a map know the file too, but not where they begin in it
        if base is None or base.mode == "c" or not array.size:
            return None
        distance = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return cls(Path(base.filename), int(base.offset) + distance, array.shape, array.dtype, array.strides)

    @property
    def array(self) -> NDArray[Any]:
        """The array, over the file as this process maps it."""
        ends = [(size - 1) * stride for size, stride in zip(self._shape, self._strides, strict=True)]
        first, last = sum(end for end in ends if end < 0), sum(end for end in ends if end > 0)
        start = self._offset + first
        memory = np.memmap(self._path, np.uint8, "r", start, (last - first + self._dtype.itemsize,))
        return np.ndarray(self._shape, self._dtype, memory, -first, self._strides)
