"""Initial values: their distribution, their reproducibility, and what names and functions are taken."""

import math

import numpy as np
import pytest

from handconv.initializers import INITIALIZERS, initialize

FAN_IN, FAN_OUT = 50, 150
SHAPE = (200, 500)

DEVIATIONS = {
    "he_normal": math.sqrt(2 / 50),
    "he_uniform": math.sqrt(2 / 50),
    "glorot_normal": math.sqrt(2 / 200),
    "glorot_uniform": math.sqrt(2 / 200),
    "normal": 0.01,
    "zeros": 0.0,
}
LIMITS = {"he_uniform": math.sqrt(6 / 50), "glorot_uniform": math.sqrt(6 / 200)}


def drawn(name: str, dtype: type = np.float64, seed: int = 0) -> np.ndarray:
    return initialize(name, SHAPE, FAN_IN, FAN_OUT, np.random.default_rng(seed), dtype)


def test_the_table_holds_the_names_that_users_type() -> None:
    assert set(INITIALIZERS) == {*DEVIATIONS, "ones"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ones_are_ones(dtype: type) -> None:
    values = drawn("ones", dtype)
    assert (values.shape, values.dtype) == (SHAPE, dtype)
    np.testing.assert_array_equal(values, 1)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_mean_is_zero_and_deviation_as_published(name: str) -> None:
    values, deviation = drawn(name), DEVIATIONS[name]
    assert abs(values.mean()) <= 4 * deviation / math.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize("name", LIMITS)
def test_uniform_values_fill_their_interval_evenly(name: str) -> None:
    values, limit = drawn(name), LIMITS[name]
    counts, _ = np.histogram(values, bins=10, range=(-limit, limit))
    assert counts.sum() == values.size
    assert np.abs(counts / values.size - 0.1).max() < 0.005


@pytest.mark.parametrize("name", ["he_normal", "glorot_normal", "normal"])
def test_normal_values_are_not_truncated(name: str) -> None:
    beyond = np.abs(drawn(name)) > 2 * DEVIATIONS[name]
    assert beyond.mean() == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize("name", DEVIATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_are_those_asked_for(name: str, dtype: type) -> None:
    values = drawn(name, dtype)
    assert values.shape == SHAPE
    assert values.dtype == dtype


@pytest.mark.parametrize("name", DEVIATIONS)
def test_float32_starts_where_float64_starts(name: str) -> None:
    np.testing.assert_array_equal(drawn(name, np.float32), drawn(name).astype(np.float32))


def test_the_generator_decides() -> None:
    np.testing.assert_array_equal(drawn("he_normal", seed=1), drawn("he_normal", seed=1))
    assert (drawn("he_normal", seed=1) != drawn("he_normal", seed=2)).all()


def test_a_function_is_called_with_shape_fans_and_generator() -> None:
    generator = np.random.default_rng(0)
    received: list[object] = []

    def twos(*arguments: object) -> np.ndarray:
        received.extend(arguments)
        return np.full((2, 3), 2)

    values = initialize(twos, (2, 3), 7, 8, generator)
    assert received == [(2, 3), 7, 8, generator]
    assert values.dtype == np.float32
    assert values.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_an_unknown_name_gets_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"^There is no initializer 'he_nomal'\. Did you mean he_normal\?$"):
        initialize("he_nomal", (2,), 1, 1, np.random.default_rng(0))


def test_a_name_unlike_any_other_gets_no_guess() -> None:
    with pytest.raises(ValueError, match=r"^There is no initializer 'xyz'\. There are: he_normal, .*, ones\.$"):
        initialize("xyz", (2,), 1, 1, np.random.default_rng(0))


def test_neither_name_nor_function_is_a_type_error() -> None:
    with pytest.raises(
        TypeError, match=r"must be a name or a function \(shape, fan_in, fan_out, generator\).*got 0\.5\."
    ):
        initialize(0.5, (2,), 1, 1, np.random.default_rng(0))  # type: ignore[arg-type]


def test_a_function_must_return_the_shape_it_is_asked_for() -> None:
    def wrong(*_: object) -> np.ndarray:
        return np.zeros(3)

    with pytest.raises(ValueError, match=r"the shape it is asked for, \(2,\); wrong returned \(3,\)\."):
        initialize(wrong, (2,), 1, 1, np.random.default_rng(0))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    def wrong(shape, *_: object) -> np.ndarray:
        return np.full(shape, value)

    with pytest.raises(ValueError, match="must return finite numbers, as float32 holds them; wrong returned NaN"):
        initialize(wrong, (2,), 1, 1, np.random.default_rng(0))
