"""The memory of a program: arrays that are kept from run to run, and scratch memory that all ops share.

Fresh large arrays would page-fault at each use, which costs more than the arithmetic on them, so every array of a
program is made once. Each op has a *scope* of its own for what must last from its forward pass to its backward pass;
*scratch* arrays may be overwritten as soon as the present call returns, and all scopes share them. What is handed out
is tracked, so that the calls on it can be captured (``engine.capture``).
"""

import itertools
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.capture import Capture
from handconv.engine.layout import memory_shape, public_view

Made = TypeVar("Made")


class Workspace(Protocol):
    """Where the arrays come from that a kernel fills; shapes are shapes in memory."""

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that stays as it is until the same owner asks for ``name`` again."""

    def scratch(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that may be overwritten as soon as the present call returns."""

    def constant(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array that is declared to be the same in every run."""


class Scope:
    """One owner's part of a program's memory: its own kept arrays, the same scratch arrays and the same capture."""

    def __init__(self, shared: "_Shared") -> None:
        self._shared, self._kept = shared, _Buffers(shared.arena)
        self._made: dict[Hashable, Any] = {}
        self.capture = shared.capture
        self.track, self.constant, self.host_call = self.capture.track, self.capture.constant, self.capture.host_call

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of this scope, the same one each time."""
        return self.track(self._kept.take(name, shape, dtype))

    def public_array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
        """An array of this scope by its public shape."""
        return public_view(self.array(name, memory_shape(shape), dtype))

    def scratch(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that all scopes share."""
        return self.track(self._shared.scratch.take(name, shape, dtype))

    def cached(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` returned for this key when it was asked for the first time: views that take long to lay out."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def computed(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, compute: Callable[[], Any]) -> FloatArray:
        """What a function of any kind returns, called now and at every replay, copied to a kept array."""
        target = self.public_array(name, shape, dtype)
        plain = np.asarray(target).view(np.ndarray)
        self.host_call(lambda: plain.__setitem__(..., compute()))
        return target

    def scope(self) -> "Scope":
        """A scope for another owner."""
        return Scope(self._shared)


class Arena(Scope):
    """The memory of one program."""

    def __init__(self) -> None:
        super().__init__(_Shared())


class _Shared:
    """What the scopes of an arena have in common."""

    def __init__(self) -> None:
        self.arena, self.capture = _Memory(), Capture()
        self.scratch = _Buffers(self.arena)


class _Buffers:
    """Named arrays, each one grown to the largest shape that was asked for under its name."""

    def __init__(self, arena: "_Memory") -> None:
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


class _Memory:
    """Where all arrays of an arena lie: chunks so large that NumPy asks the system for huge pages (Linux).

    Fewer pages are looked up, and neighbours in memory do not drive one another out of the cache: 2 % of a step. Each
    array begins with a cache line, at another place of its page than the array before: vectors do not straddle lines,
    and a load is not held up by a store a multiple of a page away, which the processor takes for the same place: 2 %
    too.
    """

    def __init__(self) -> None:
        self._free: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._lines = itertools.cycle(range(0, _PAGE, 5 * _LINE))

    def take(self, size: int) -> NDArray[np.uint8]:
        """So many bytes that were not handed out before."""
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
