"""Recordings: the NumPy calls of a computation, noted once and made again.

A pass over a network asks the same of NumPy each time: the same calls on the same memory, of which only the contents
change. Yet between the calls Python works out shapes, views and names anew, with code that the arithmetic has driven
out of the processor's cache: a fifth of a step of training. So the first pass is made with arrays that note on a *tape*
each call that writes to memory, and later passes make the noted calls and nothing else: the same calls in the same
order on the same memory, hence the same bits.

    tape = Tape()
    with tape.recording() as calls:
        y = f(tape.noted(x))            # f is ordinary code
    x[...] = other
    play(calls)                         # now y is f(other)

What notes can't tell is refused, not lost: a value that leaves the arrays for Python (an ``if``, a ``float``), a copy
that NumPy makes by itself (a ``reshape`` of what does not lie in one piece), a function that is no ufunc, a result that
goes to memory which notes nothing. Only what takes an array's class away (``np.asarray``, ``np.ascontiguousarray``,
``np.ndarray(…, buffer)``) and what changes it in place by a method (``fill``, ``sort``) is not seen.
"""

import contextlib
import operator
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], object]

_OUT_BY_NAME = (np.maximum, np.minimum)  # NumPy is about to take it no other way; by place it costs less


class Tape:
    """Notes calls while it is ``recording``; at any other time its arrays act as any others do."""

    def __init__(self) -> None:
        self._calls: list[Call] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether calls are being noted."""
        return self._calls is not None

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """Note calls meanwhile, in the list that is yielded."""
        calls: list[Call] = []
        self._calls = calls
        try:
            yield calls
        finally:
            self._calls = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Note nothing meanwhile."""
        calls, self._calls = self._calls, None
        try:
            yield
        finally:
            self._calls = calls

    def noted(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array, such that what is done with it is noted; the array itself while nothing is being recorded."""
        if self._calls is None:
            return array
        noting = array.view(NotingArray)
        noting.tape = self
        return noting

    def call(self, function: Call) -> None:
        """Call a function, and note it: for what is no call of NumPy's, such as drawing random numbers."""
        function()
        self.note(function)

    def note(self, call: Call) -> None:
        """Note a call that was made."""
        if self._calls is not None:
            self._calls.append(call)


def play(calls: Sequence[Call]) -> None:
    """Make noted calls again; the loop is C's."""
    deque(map(operator.call, calls), maxlen=0)


class NotingArray(np.ndarray[Any, np.dtype[Any]]):
    """An array that notes what is written to it, and what new arrays are computed of it."""

    tape: Tape | None = None

    def __array_finalize__(self, origin: object) -> None:
        self.tape = getattr(origin, "tape", None)
        if self.size and self.tape is not None and not np.may_share_memory(_plain(self), _plain(origin)):
            self._refuse("a copy that NumPy makes by itself")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: Any, *inputs: Any, out: tuple[Any, ...] = (), **options: Any
    ) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        operands = [_plain(operand) for operand in inputs]
        options = {name: _plain(value) for name, value in options.items()}
        targets = {"out": tuple(map(_plain, out))} if out else {}
        result = function(*operands, **targets, **options)
        tape = self.tape
        if tape is None or not tape.is_recording:
            return out[0] if out else result
        if not isinstance(result, np.ndarray):
            self._refuse(f"a result of numpy.{ufunc.__name__} that is no array")
        if not all(isinstance(target, NotingArray) for target in out):
            self._refuse(f"a result of numpy.{ufunc.__name__} in memory that notes nothing")
        by_name = options or function in _OUT_BY_NAME or function is not ufunc
        tape.note(partial(function, *operands, **options, out=result) if by_name else partial(ufunc, *operands, result))
        return out[0] if out else tape.noted(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        self._refuse(f"numpy.{function.__name__}")
        return super().__array_function__(function, types, arguments, options)

    def __setitem__(self, key: Any, value: Any) -> None:
        value, target = np.asarray(value, None if isinstance(value, np.ndarray) else self.dtype), _plain(self)[key]
        _plain(self)[key] = value
        if self.tape is not None and self.tape.is_recording:
            if target.base is None:
                self._refuse("an assignment to chosen elements")
            self.tape.note(partial(target.__setitem__, ..., value))  # np.copyto begins with some Python

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if not isinstance(found, np.ndarray):
            self._refuse("a single element")
        return found

    def __bool__(self) -> bool:
        self._refuse("a truth value")
        return super().__bool__()

    def __float__(self) -> float:
        self._refuse("a number for Python")
        return super().__float__()

    def _refuse(self, what: str) -> None:
        """Raise an error if a recording is going on, as it would miss this."""
        if self.tape is not None and self.tape.is_recording:
            raise RuntimeError(f"A recording cannot note {what}. Write with ufuncs to arrays of the workspace instead.")


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, NotingArray) else value
