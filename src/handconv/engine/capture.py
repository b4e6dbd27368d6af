"""Capture and replay: the NumPy calls of a computation, recorded once and made again (the idea of CUDA Graphs).

A program asks the same of NumPy each time: the same calls on the same memory, of which only the contents change. Yet
between the calls Python works out shapes, views and names anew, with code that the arithmetic has driven out of the
processor's cache: a fifth of a step of training. So the first run is made with arrays that capture each call which
writes to memory, and later runs replay these calls and nothing else: the same calls in the same order on the same
memory, hence the same bits.

    capture = Capture()
    with capture.recording() as calls:
        y = f(capture.track(x))         # f is ordinary code
    x[...] = other
    replay(calls)                       # now y is f(other)

Operations that cannot be captured raise an error: a value that leaves the arrays for Python (an ``if``, a ``float``), a
copy that NumPy makes by itself (a ``reshape`` of what does not lie in one piece), a function that is not a ufunc, a
result that goes to memory which is not tracked. So does every operand array that is not tracked: it might have been
computed from tracked ones, by a conversion for one, and would stay in the replayed calls as it was. What never changes
is declared: ``capture.constant(array)``. Only a method that changes an array in place (``fill``, ``sort``) is not seen.
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


class CaptureError(RuntimeError):
    """An operation cannot be replayed."""


class Capture:
    """Records calls while it is ``recording``; at any other time its arrays act as any others do."""

    def __init__(self) -> None:
        self._calls: list[Call] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether calls are being recorded."""
        return self._calls is not None

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """Record calls meanwhile, in the list that is yielded."""
        calls: list[Call] = []
        self._calls = calls
        try:
            yield calls
        finally:
            self._calls = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing meanwhile."""
        calls, self._calls = self._calls, None
        try:
            yield
        finally:
            self._calls = calls

    def track(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array, such that what is done with it is captured."""
        tracked = array.view(CapturedArray)
        tracked.capture = self
        return tracked

    def constant(self, array: NDArray[Any]) -> NDArray[Any]:
        """A read-only copy of an array, declared to be the same in every run."""
        constant = array.copy(order="K")
        constant.flags.writeable = False
        return self.track(constant)

    def host_call(self, function: Call) -> None:
        """Call a function now and at every replay: for what is not a NumPy call, such as drawing random numbers."""
        with self.paused():
            function()
        self.record(function)

    def record(self, call: Call) -> None:
        """Add a call that was made to the recording, if one goes on."""
        if self._calls is not None:
            self._calls.append(call)


def replay(calls: Sequence[Call]) -> None:
    """Make captured calls again; the loop is C's."""
    deque(map(operator.call, calls), maxlen=0)


class CapturedArray(np.ndarray[Any, np.dtype[Any]]):
    """An array such that what is written to it, and what new arrays are computed from it, is recorded."""

    capture: Capture | None = None

    def __array_finalize__(self, origin: object) -> None:
        self.capture = getattr(origin, "capture", None)
        if self.size and self.capture is not None and not np.may_share_memory(untracked(self), untracked(origin)):
            self._refuse("a copy that NumPy makes by itself")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: Any, *inputs: Any, out: tuple[Any, ...] = (), **options: Any
    ) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        operands = [untracked(operand) for operand in inputs]
        targets = {"out": tuple(map(untracked, out))} if out else {}
        plain_options = {name: untracked(value) for name, value in options.items()}
        result = function(*operands, **targets, **plain_options)
        everything = (*inputs, *out, *options.values())
        capture = next(array.capture for array in everything if isinstance(array, CapturedArray))
        if capture is None or not capture.is_recording:
            return out[0] if out else result
        if not isinstance(result, np.ndarray):
            self._refuse(f"a result of numpy.{ufunc.__name__} that is not an array")
        if not all(isinstance(target, CapturedArray) for target in out):
            self._refuse(f"a result of numpy.{ufunc.__name__} in memory that is not tracked")
        for operand in (*inputs, *options.values()):
            self._check_tracked(operand, f"an operand of numpy.{ufunc.__name__}")
        by_name = plain_options or function in _OUT_BY_NAME or function is not ufunc
        capture.record(
            partial(function, *operands, **plain_options, out=result) if by_name else partial(ufunc, *operands, result)
        )
        return out[0] if out else capture.track(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        self._refuse(f"numpy.{function.__name__}")
        return super().__array_function__(function, types, arguments, options)

    def __setitem__(self, key: Any, value: Any) -> None:
        plain, target = np.asarray(value, None if isinstance(value, np.ndarray) else self.dtype), untracked(self)[key]
        plain = untracked(plain)
        untracked(self)[key] = plain
        if self.capture is not None and self.capture.is_recording:
            if np.size(target) and not np.may_share_memory(target, untracked(self)):  # a copy of what was chosen
                self._refuse("an assignment to chosen elements")
            self._check_tracked(value, "an assigned array")
            self.capture.record(partial(target.__setitem__, ..., plain))  # np.copyto begins with some Python

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

    def __int__(self) -> int:
        self._refuse("a number for Python")
        return super().__int__()

    def __index__(self) -> int:
        self._refuse("a number for Python")
        return super().__index__()

    def item(self, *arguments: Any) -> Any:
        """Take out one number, which a replay would not do again."""
        self._refuse("a number for Python")
        return super().item(*arguments)

    def tolist(self) -> Any:
        """Take out all numbers, which a replay would not do again."""
        self._refuse("a list for Python")
        return super().tolist()

    def astype(self, *arguments: Any, **options: Any) -> Any:
        """Convert the values, which a replay would not do again."""
        self._refuse("a conversion by astype")
        return super().astype(*arguments, **options)

    def _check_tracked(self, operand: object, what: str) -> None:
        """Refuse an array that was not declared constant."""
        if isinstance(operand, np.ndarray) and not isinstance(operand, CapturedArray):
            self._refuse(f"{what} that is neither tracked nor declared constant (dtype {operand.dtype})")

    def _refuse(self, what: str) -> None:
        """Raise an error if a recording goes on, as a replay would miss this."""
        if self.capture is not None and self.capture.is_recording:
            raise CaptureError(f"A recording cannot capture {what}. Write with ufuncs to tracked arrays.")


def untracked(value: Any) -> Any:
    """The plain array of a tracked one; anything else as it is."""
    return value.view(np.ndarray) if isinstance(value, CapturedArray) else value
