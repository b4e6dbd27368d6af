"""The order of the memory, and the arrays that are kept between calls.

Arrays have the public shape (N, C, H, W) or (N, D); in memory the batch is the *innermost* axis, (H, C, W, N) or
(D, N). A NumPy array carries its strides, so this costs nothing to whoever reads the array, and it makes pooling,
activations and the shifts of a convolution long contiguous runs. ``laid_out`` brings any array into this order (a view
if it already is, a copy otherwise); ``memory_view`` shows the memory as it lies.

A ``Workspace`` hands out the arrays that a computation fills. ``FreshMemory`` allocates each anew: what a layer that is
used alone returns belongs to the caller. ``ReusedMemory`` hands out the same memory at each step: fresh large arrays
would page-fault at each use, which costs more than the arithmetic on them.
"""

import itertools
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.capture import NotingArray, Tape

Prepared = TypeVar("Prepared")


def memory_view(x: NDArray[Any]) -> NDArray[Any]:
    """Show an array of public shape as it lies in memory: (N, C, H, W) -> (H, C, W, N), (N, D) -> (D, N)."""
    if x.ndim == 4:
        return x.transpose(2, 1, 3, 0)
    return x.transpose(*range(1, x.ndim), 0)


def public_view(memory: NDArray[Any]) -> NDArray[Any]:
    """Show memory under its public shape: (H, C, W, N) -> (N, C, H, W), (D, N) -> (N, D)."""
    if memory.ndim == 4:
        return memory.transpose(3, 1, 0, 2)
    return memory.transpose(-1, *range(memory.ndim - 1))


def memory_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in memory of an array of public ``shape``."""
    if len(shape) == 4:
        return shape[2], shape[1], shape[3], shape[0]
    return (*shape[1:], shape[0])


def laid_out(x: NDArray[Any]) -> NDArray[Any]:
    """Return ``x`` with the batch innermost in memory: ``x`` itself if it lies so, else a copy."""
    if x.ndim == 2 and x.flags.f_contiguous:
        return x
    memory = memory_view(x)
    return x if memory.flags.c_contiguous else public_view(np.ascontiguousarray(memory))


def strided(array: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
    """See an array's memory, from a byte of it on, under another shape and other strides."""
    view = np.ndarray(shape, array.dtype, array, offset, strides)
    return array.tape.noted(view) if isinstance(array, NotingArray) and array.tape else view


class Workspace(Protocol):
    """Where the arrays come from that a computation fills; shapes are shapes in memory."""

    def keep(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that stays as it is until the same owner asks for ``name`` again."""

    def scratch(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that anybody may overwrite as soon as the present call returns."""

    def prepared(self, key: Hashable, make: Callable[[], Prepared]) -> Prepared:
        """What ``make`` returned for this key: arrays, and views of them, that are worth laying out once."""

    def noted(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array from elsewhere, such that a recording (``kernels.recording``) notes what is done with it."""

    def call(self, function: Callable[[], object]) -> None:
        """Call a function, such that a recording repeats it: for what is no call of NumPy's."""

    def each_time(self, name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What a function returns, kept under ``name``, such that a recording repeats the call, whatever it does."""


def kept(workspace: Workspace, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
    """A kept array of public ``shape``, the very same object each time where memory is reused."""
    return workspace.prepared(
        (name, shape, np.dtype(dtype)), lambda: public_view(workspace.keep(name, memory_shape(shape), dtype))
    )


class FreshMemory:
    """A workspace that allocates every array anew."""

    def __reduce__(self) -> str:
        """A copy is the same one."""
        return "FRESH"

    def keep(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array."""
        return np.empty(shape, dtype)

    scratch = keep

    def prepared(self, _key: Hashable, make: Callable[[], Prepared]) -> Prepared:
        """What ``make`` returns."""
        return make()

    def noted(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array: nothing is recorded in memory that changes."""
        return array

    def call(self, function: Callable[[], object]) -> None:
        """Call the function."""
        function()

    def each_time(self, _name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What the function returns."""
        return compute()

    def forget(self) -> None:
        """There is nothing to let go of."""

    def section(self) -> "FreshMemory":
        """The same one."""
        return self


FRESH = FreshMemory()


def _fresh() -> FreshMemory:
    return FRESH


class ReusedMemory:
    """A workspace that hands out the same memory again and again.

    Sections share the scratch arrays and keep the others apart, so that each layer of a network has a section.
    """

    def __init__(self, shared: "_Shared | None" = None) -> None:
        self._shared = shared or _Shared()
        self._kept = _Buffers(self._shared.arena)
        self._prepared: dict[Hashable, Any] = {}
        self.tape = self._shared.tape
        self.noted, self.call = self.tape.noted, self.tape.call

    def __reduce__(self) -> tuple[Callable[[], FreshMemory], tuple[()]]:
        """A copy allocates anew: views would not survive it, and nobody reuses its memory unless asked to."""
        return _fresh, ()

    def keep(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of this section, the same one each time."""
        return self.noted(self._kept.take(name, shape, dtype))

    def scratch(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that all sections share."""
        return self.noted(self._shared.scratch.take(name, shape, dtype))

    def prepared(self, key: Hashable, make: Callable[[], Prepared]) -> Prepared:
        """What ``make`` returned when it was asked for this key for the first time."""
        key = key, self.tape.is_recording  # a recording needs arrays that note
        found: Prepared | None = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = make()
        return found

    def each_time(self, name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What the function returned this time, copied to a kept array."""
        with self.tape.paused():
            result = np.asarray(compute())
            copy = kept(self, name, result.shape, result.dtype)
            copy[...] = result
        self.tape.note(lambda: copy.__setitem__(..., compute()))
        return self.noted(copy)

    def forget(self) -> None:
        """Let go of what was prepared; its arrays are freed once nobody else has them."""
        self._prepared.clear()

    def section(self) -> "ReusedMemory":
        """A workspace with kept arrays of its own, the same scratch arrays and the same tape."""
        return ReusedMemory(self._shared)


class _Shared:
    """What the sections of a workspace have in common."""

    def __init__(self) -> None:
        self.arena, self.tape = _Arena(), Tape()
        self.scratch = _Buffers(self.arena)


class _Buffers:
    """Named arrays, each one grown to the largest shape that was asked for under its name."""

    def __init__(self, arena: "_Arena") -> None:
        self._arena = arena
        self._memory: dict[str, NDArray[Any]] = {}
        self._views: dict[tuple[str, tuple[int, ...], DTypeLike], NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        key = (name, shape, dtype)
        view = self._views.get(key)
        if view is None:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            memory = self._memory.get(name)
            if memory is None or memory.nbytes < size:
                memory = self._memory[name] = self._arena.take(size)
                self._views = {key: view for key, view in self._views.items() if key[0] != name}
            view = self._views[key] = memory[:size].view(dtype).reshape(shape)
        return view


_LINE, _PAGE, _HUGE_PAGE, _CHUNK = 64, 4096, 1 << 21, 1 << 23  # bytes: of a cache line, of pages, of a chunk


class _Arena:
    """Where all arrays of a workspace lie: chunks so large that NumPy asks the system for huge pages (Linux).

    Fewer pages are looked up, and neighbours in memory do not drive one another out of the cache: 2 % of a step. Each
    array begins with a cache line, at another place of its page than the array before: vectors do not straddle lines,
    and a load is not held up by a store a multiple of a page away, which the processor takes for the same place: 2 %
    too.
    """

    def __init__(self) -> None:
        self._free: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._lines = itertools.cycle(range(0, _PAGE, 5 * _LINE))

    def take(self, size: int) -> NDArray[np.uint8]:
        """So many bytes that nobody else has."""
        start = self._start()
        if start + size > len(self._free):
            memory = np.empty(max(_CHUNK, size + _PAGE) + _HUGE_PAGE, np.uint8)
            self._free = memory[-memory.ctypes.data % _HUGE_PAGE :]
            start = self._start()
        taken, self._free = self._free[start : start + size], self._free[start + size :]
        return taken

    def _start(self) -> int:
        """The next page of what is free, and some lines of it."""
        return -self._free.ctypes.data % _PAGE + next(self._lines)
