"""What was noted does again what the code did; what notes can't tell is refused."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from handconv.engine.arena import FRESH, ReusedMemory
from handconv.engine.capture import NotingArray, Tape, play

Array = np.ndarray[Any, Any]


def repeated(compute: Callable[[Array, Array], object], first: Array, second: Array) -> Array:
    """Record a computation, writing to an array, with the first data, and what it writes for the second ones."""
    tape, x, out = Tape(), first.copy(), np.full((4, 3), np.nan)
    with tape.recording() as calls:
        compute(tape.noted(x), tape.noted(out))
    expected = np.full_like(out, np.nan)
    compute(first, expected)
    np.testing.assert_array_equal(out, expected)
    x[...] = second
    play(calls)
    return out


def assign(x: Array, out: Array) -> None:
    out[...] = x


def assign_a_part(x: Array, out: Array) -> None:
    out[...] = 7
    out[1:, ::2] = x[:3, 1:]


def broadcast(x: Array, out: Array) -> None:
    out[...] = x[:, :1]


def in_place(x: Array, out: Array) -> None:
    out[...] = x
    out *= 2
    out += x


def new_arrays(x: Array, out: Array) -> None:
    np.multiply(x > 0, x - 1, out=out)


def maximum(x: Array, out: Array) -> None:
    np.maximum(x, -x, out=out)


def reduction(x: Array, out: Array) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=0, keepdims=True), out=out)


def mean(x: Array, out: Array) -> None:
    x.mean(axis=0, out=out[0])
    out[1:] = x.sum(axis=1)[:3, None]


def product(x: Array, out: Array) -> None:
    np.matmul(x, np.add.reduce(x, axis=1)[:3, None] * np.ones((3, 3)), out=out)


def through_views(x: Array, out: Array) -> None:
    np.add(x.T.swapaxes(0, 1).reshape(2, 6), 1, out=out.reshape(2, 6))


def of_another_type(x: Array, out: Array) -> None:
    out[...] = x > 0


def reduction_by_default(x: Array, out: Array) -> None:
    out[...] = np.add.reduce(x)


def twice_the_same(x: Array, out: Array) -> None:
    np.add(x, x, out=out, casting="same_kind")


@pytest.mark.parametrize(
    "compute",
    [
        assign,
        assign_a_part,
        broadcast,
        in_place,
        new_arrays,
        maximum,
        reduction,
        mean,
        product,
        through_views,
        of_another_type,
        reduction_by_default,
        twice_the_same,
    ],
)
def test_played_calls_do_to_other_data_what_the_code_does(
    compute: Callable[[Array, Array], object], rng: np.random.Generator
) -> None:
    first, second = rng.normal(size=(2, 4, 3))
    expected = np.full((4, 3), np.nan)
    compute(second, expected)
    np.testing.assert_array_equal(repeated(compute, first, second), expected)


def test_a_function_that_is_called_is_called_again() -> None:
    tape, called = Tape(), list[int]()
    with tape.recording() as calls:
        tape.call(lambda: called.append(len(called)))
    play(calls)
    assert called == [0, 1]


def sum_of_chosen(x: Array, out: Array) -> None:
    out[0] = np.add.reduce(x, axis=0, where=x > x[:, :1])


def test_where_a_reduction_looks_is_noted_too(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 4, 3))
    expected = np.full((4, 3), np.nan)
    sum_of_chosen(second, expected)
    np.testing.assert_array_equal(repeated(sum_of_chosen, first, second), expected)


@pytest.mark.parametrize("memory", [ReusedMemory(), FRESH])
def test_what_is_computed_each_time_may_be_anything(memory: Any) -> None:
    x = np.array([3.0, 1.0, 2.0])

    def compute() -> Array:
        return np.array(sorted(x))[: 2 if x[0] > 0 else 1].repeat(2)[:2]

    with ExitStack() as stack:
        calls = stack.enter_context(memory.tape.recording()) if memory is not FRESH else []
        y = 10 * memory.each_time("sorted", compute)
    assert y.tolist() == [10, 10]
    x[...] = 4, 7, 6
    play(calls)
    assert y.tolist() == ([10, 10] if memory is FRESH else [40, 40])


def test_out_of_a_recording_nothing_is_noted() -> None:
    tape = Tape()
    with tape.recording() as calls:
        x = tape.noted(np.ones(3))
        with tape.paused():
            x += 1
            assert not tape.is_recording
        assert tape.is_recording
    y = x + 1
    x[:] = 4
    tape.call(lambda: None)
    assert calls == []
    assert (y == 3).all()
    assert not isinstance(y, NotingArray)


def test_out_of_a_recording_an_array_is_handed_back_as_it_is() -> None:
    x = np.ones(3)
    assert Tape().noted(x) is x


def test_an_array_that_noted_acts_as_any_other_afterwards() -> None:
    tape = Tape()
    with tape.recording():
        x = tape.noted(np.arange(6.0).reshape(2, 3))
    x[0, 0] = 5
    assert (float(x[0, 0]), bool(x[:1, :1]), float(x[1:, 2:].reshape(()))) == (5, True, 5)
    assert x.T.reshape(6).tolist() == [5, 3, 1, 4, 2, 5]
    assert np.concatenate([x, x]).shape == (4, 3)
    assert x.sum() == 20


@pytest.mark.parametrize(
    ("forbidden", "what"),
    [
        (lambda x, _: x.T.reshape(6), "a copy that NumPy makes by itself"),
        (lambda x, _: x.copy(), "a copy that NumPy makes by itself"),
        (lambda x, _: x.astype(np.float32), "a copy that NumPy makes by itself"),
        (lambda x, _: x[[0, 1]], "a copy that NumPy makes by itself"),
        (lambda x, _: x[x > 0], "a copy that NumPy makes by itself"),
        (lambda x, _: np.concatenate([x, x]), "numpy.concatenate"),
        (lambda x, _: np.zeros_like(x), "numpy.zeros_like"),
        (lambda x, _: x.sum(), "a result of numpy.add that is no array"),
        (lambda x, _: np.add.at(x, 0, 1.0), "a result of numpy.add that is no array"),
        (lambda x, plain: np.add(x, 1, out=plain), "a result of numpy.add in memory that notes nothing"),
        (lambda x, _: x[0, 0], "a single element"),
        (lambda x, _: x.__setitem__((0, 0), 1.0), "an assignment to chosen elements"),
        (lambda x, _: x.__setitem__([0, 1], 1.0), "an assignment to chosen elements"),
        (lambda x, _: bool(x[:1, :1]), "a truth value"),
        (lambda x, _: float(x[:1, :1].reshape(())), "a number for Python"),
    ],
)
def test_what_notes_cannot_tell_is_refused(forbidden: Callable[[Array, Array], object], what: str) -> None:
    tape, plain = Tape(), np.empty((2, 3))
    with tape.recording():
        x = tape.noted(np.ones((2, 3)))
        with pytest.raises(RuntimeError) as refused:
            forbidden(x, plain)
    assert str(refused.value).startswith(f"A recording cannot note {what}. ")


def test_a_failure_ends_the_recording() -> None:
    tape = Tape()
    with pytest.raises(ZeroDivisionError), tape.recording():
        raise ZeroDivisionError
    assert not tape.is_recording
