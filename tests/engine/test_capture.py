"""Captured calls do again what the code did; what cannot be captured is refused."""

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np
import pytest

from handconv.engine.capture import Capture, CapturedArray, CaptureError, replay, untracked

Array = np.ndarray[Any, Any]

_UNKNOWN = "{} that is neither tracked nor declared constant (dtype {})"


def repeated(compute: Callable[[Array, Array], object], first: Array, second: Array) -> Array:
    """Capture a computation on the first data, and return what its replay writes for the second."""
    capture, x, out = Capture(), first.copy(), np.full((4, 3), np.nan)
    with capture.recording() as calls:
        compute(capture.track(x), capture.track(out))
    expected = np.full_like(out, np.nan)
    compute(first, expected)
    np.testing.assert_array_equal(out, expected)
    x[...] = second
    replay(calls)
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
    np.matmul(x, np.add.reduce(x, axis=1)[:3, None] * [1.0, 2.0, 3.0], out=out)


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
def test_replayed_calls_do_to_other_data_what_the_code_does(
    compute: Callable[[Array, Array], object], rng: np.random.Generator
) -> None:
    first, second = rng.normal(size=(2, 4, 3))
    expected = np.full((4, 3), np.nan)
    compute(second, expected)
    np.testing.assert_array_equal(repeated(compute, first, second), expected)


def test_a_host_call_runs_now_and_at_every_replay() -> None:
    capture, called = Capture(), list[int]()
    with capture.recording() as calls:
        capture.host_call(lambda: called.append(len(called)))
    assert called == [0]
    replay(calls)
    replay(calls)
    assert called == [0, 1, 2]


def sum_of_chosen(x: Array, out: Array) -> None:
    out[0] = np.add.reduce(x, axis=0, where=x > x[:, :1])


def test_where_a_reduction_looks_is_noted_too(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 4, 3))
    expected = np.full((4, 3), np.nan)
    sum_of_chosen(second, expected)
    np.testing.assert_array_equal(repeated(sum_of_chosen, first, second), expected)


def test_out_of_a_recording_nothing_is_captured() -> None:
    capture = Capture()
    with capture.recording() as calls:
        x = capture.track(np.ones(3))
        with capture.paused():
            x += 1
            assert not capture.is_recording
        assert capture.is_recording
    y = x + 1
    x[:] = 4
    capture.host_call(lambda: None)
    assert calls == []
    assert (y == 3).all()
    assert not isinstance(y, CapturedArray)


def test_a_tracked_array_acts_as_any_other_afterwards() -> None:
    capture = Capture()
    with capture.recording():
        x = capture.track(np.arange(6.0).reshape(2, 3))
    x[0, 0] = 5
    assert (float(x[0, 0]), bool(x[:1, :1]), float(x[1:, 2:].reshape(()))) == (5, True, 5)
    assert (int(x[1:, 2:].reshape(())), index(capture.track(np.array(3))), x.item(1), x[0].tolist()) == (
        5,
        3,
        1,
        [5, 1, 2],
    )
    assert x.astype(np.int8).tolist() == [[5, 1, 2], [3, 4, 5]]
    assert x.T.reshape(6).tolist() == [5, 3, 1, 4, 2, 5]
    assert np.concatenate([x, x]).shape == (4, 3)
    assert x.sum() == 20


@pytest.mark.parametrize(
    ("forbidden", "what"),
    [
        (lambda x, _: x.T.reshape(6), "a copy that NumPy makes by itself"),
        (lambda x, _: x.copy(), "a copy that NumPy makes by itself"),
        (lambda x, _: x.astype(np.float32), "a conversion by astype"),
        (lambda x, _: x[[0, 1]], "a copy that NumPy makes by itself"),
        (lambda x, _: x[:, [0, 1]], "a copy that NumPy makes by itself"),
        (lambda x, _: x[x > 0], "a copy that NumPy makes by itself"),
        (lambda x, _: np.concatenate([x, x]), "numpy.concatenate"),
        (lambda x, _: np.zeros_like(x), "numpy.zeros_like"),
        (lambda x, _: np.where(x > 0, 1, 0), "numpy.where"),
        (lambda x, _: x.sum(), "a result of numpy.add that is not an array"),
        (lambda x, _: np.add.at(x, 0, 1.0), "a result of numpy.add that is not an array"),
        (lambda x, _: np.modf(x), "a result of numpy.modf that is not an array"),
        (lambda x, plain: np.add(x, 1, out=plain), "a result of numpy.add in memory that is not tracked"),
        (lambda x, plain: np.add(x, 1, out=plain, where=x > 0), "a result of numpy.add in memory that is not tracked"),
        (lambda x, _: x[0, 0], "a single element"),
        (lambda x, _: list(x[0]), "a single element"),
        (lambda x, _: x.__setitem__((0, 0), 1.0), "an assignment to chosen elements"),
        (lambda x, _: x.__setitem__([0, 1], 1.0), "an assignment to chosen elements"),
        (lambda x, _: x.__setitem__((slice(None), [0, 1]), 1.0), "an assignment to chosen elements"),
        (lambda x, _: x.__setitem__(x > 0, 1.0), "an assignment to chosen elements"),
        (lambda x, _: bool(x[:1, :1]), "a truth value"),
        (lambda x, _: float(x[:1, :1].reshape(())), "a number for Python"),
        (lambda x, _: int(x[:1, :1].reshape(())), "a number for Python"),
        (lambda x, _: index(x[:1, :1].reshape(())), "a number for Python"),
        (lambda x, _: x.item(0), "a number for Python"),
        (lambda x, _: x.tolist(), "a list for Python"),
        (lambda x, plain: x + plain, _UNKNOWN.format("an operand of numpy.add", "float64")),
        (lambda x, plain: np.add(plain, plain, out=x), _UNKNOWN.format("an operand of numpy.add", "float64")),
        (lambda x, plain: plain * x, _UNKNOWN.format("an operand of numpy.multiply", "float64")),
        (lambda x, _: x + np.asarray(x), _UNKNOWN.format("an operand of numpy.add", "float64")),
        (lambda x, _: x + np.asarray(x, np.float32), _UNKNOWN.format("an operand of numpy.add", "float32")),
        (lambda x, _: x * np.array(2.0), _UNKNOWN.format("an operand of numpy.multiply", "float64")),
        (
            lambda x, plain: np.add.reduce(x, axis=0, where=plain > 0),
            _UNKNOWN.format("an operand of numpy.add", "bool"),
        ),
        (
            lambda x, plain: np.add(plain, plain, where=x > 0, out=x),
            _UNKNOWN.format("an operand of numpy.add", "float64"),
        ),
        (lambda x, _: np.add.reduceat(x, np.array([0, 1])), _UNKNOWN.format("an operand of numpy.add", "int64")),
        (lambda x, _: np.take(x, [0]), "numpy.take"),
        (lambda x, _: x.take([0]), "a copy that NumPy makes by itself"),
        (lambda x, plain: x.__setitem__(..., plain), _UNKNOWN.format("an assigned array", "float64")),
        (lambda x, _: x.__setitem__(..., np.asarray(x, np.float32)), _UNKNOWN.format("an assigned array", "float32")),
        (lambda x, _: np.copyto(x, 1.0), "numpy.copyto"),
    ],
)
def test_what_cannot_be_captured_is_refused(forbidden: Callable[[Array, Array], object], what: str) -> None:
    capture, plain = Capture(), np.ones((2, 3))
    with capture.recording():
        x = capture.track(np.ones((2, 3)))
        with pytest.raises(CaptureError) as refused:
            forbidden(x, plain)
    assert str(refused.value) == f"A recording cannot capture {what}. Write with ufuncs to tracked arrays."


def test_constants_and_python_numbers_may_be_operands(rng: np.random.Generator) -> None:
    capture, x = Capture(), np.ones((2, 3))
    with capture.recording() as calls:
        ones = capture.constant(np.ones(3, np.float32))
        y = 2 * capture.track(x) + ones * np.float64(3)
    x[...] = 4
    replay(calls)
    assert (untracked(y) == 11).all()


def test_an_empty_part_may_be_assigned_to() -> None:
    capture = Capture()
    with capture.recording() as calls:
        x = capture.track(np.ones(3))
        x[:0] = 5
    replay(calls)
    assert x.tolist() == [1, 1, 1]


def test_an_array_that_belongs_to_no_capture_acts_as_any_other() -> None:
    x = np.arange(3.0).view(CapturedArray)
    x[0] = 4
    assert (x.sum(), (x + 1).tolist(), x[[0, 1]].tolist()) == (7, [5, 2, 3], [4, 1])


def test_a_constant_is_a_read_only_copy_in_the_same_memory_order() -> None:
    assert Capture().constant(np.ones((2, 3)).T).flags.f_contiguous
    original = np.ones(3)
    constant = Capture().constant(original)
    original[...] = 2
    assert constant.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        constant[...] = 3


def test_a_result_without_a_place_of_its_own_gets_one_that_later_calls_read(rng: np.random.Generator) -> None:
    capture, x = Capture(), rng.normal(size=(3, 4))
    with capture.recording() as calls:
        y = np.exp(capture.track(x)) * 2
    x[...] = 0
    replay(calls)
    assert isinstance(y, CapturedArray)
    assert (untracked(y) == 2).all()


def test_a_failure_ends_the_recording() -> None:
    capture = Capture()
    with pytest.raises(ZeroDivisionError), capture.recording():
        raise ZeroDivisionError
    assert not capture.is_recording
