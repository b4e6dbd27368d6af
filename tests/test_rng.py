"""Everything random comes from one seed, and from the place where it is needed."""

import itertools

import numpy as np
import pytest

from handconv.rng import Purpose, Streams


def draws(streams: Streams, purpose: Purpose, *indices: int) -> list[int]:
    return streams.generator(purpose, *indices).integers(0, 2**63, size=4).tolist()


def test_the_same_seed_and_place_give_the_same_numbers() -> None:
    assert draws(Streams(5), Purpose.DROPOUT, 1, 2, 3) == draws(Streams(5), Purpose.DROPOUT, 1, 2, 3)


def test_streams_are_derived_not_consumed() -> None:
    streams = Streams(5)
    first = draws(streams, Purpose.SHUFFLE, 0)
    draws(streams, Purpose.DROPOUT, 0, 0, 0)
    assert draws(streams, Purpose.SHUFFLE, 0) == first


def test_every_purpose_and_every_place_has_a_stream_of_its_own() -> None:
    places = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**32 - 1,)]
    streams = Streams(5)
    drawn = [draws(streams, purpose, *place)[0] for purpose, place in itertools.product(Purpose, places)]
    assert len(set(drawn)) == len(drawn)


def test_seeds_differ() -> None:
    drawn = [draws(Streams(seed), Purpose.INITIALIZE)[0] for seed in (0, 1, 2, 2**32, 2**53 - 1, 2**128)]
    assert len(set(drawn)) == len(drawn)


def test_the_numbers_of_the_purposes_never_change() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "INITIALIZE": 0,
        "SHUFFLE": 1,
        "SPLIT": 2,
        "DROPOUT": 3,
    }


def test_a_stream_is_philox_at_a_counter() -> None:
    key = np.random.SeedSequence(5).generate_state(2, np.uint64)
    counter = np.array([0, 1 | 2 << 32, 0, 3 | 2 << 32], np.uint64)
    expected = np.random.Generator(np.random.Philox(key=key, counter=counter)).random(3)
    assert Streams(5).generator(Purpose.DROPOUT, 1, 2).random(3).tolist() == expected.tolist()


def test_entering_a_place_is_a_new_generator_there_whatever_was_drawn_before() -> None:
    streams = Streams(5)
    moved = streams.generator(Purpose.SHUFFLE)
    moved.integers(0, 10, 3, np.uint32)  # leaves half a word, and numbers in the buffer
    streams.enter(moved, Purpose.DROPOUT, 1, 2, 3)
    assert moved.integers(0, 2**63, size=4).tolist() == draws(streams, Purpose.DROPOUT, 1, 2, 3)


def test_no_seed_draws_one_that_repeats_the_run() -> None:
    streams = Streams()
    assert 0 <= streams.seed < 2**53
    assert draws(Streams(streams.seed), Purpose.SPLIT) == draws(streams, Purpose.SPLIT)
    assert Streams().seed != streams.seed


def test_numpy_integers_are_seeds_and_places() -> None:
    streams = Streams(np.int64(5))  # type: ignore[arg-type]
    assert type(streams.seed) is int
    assert draws(streams, Purpose.SHUFFLE, np.int64(2)) == draws(Streams(5), Purpose.SHUFFLE, 2)  # type: ignore[arg-type]


def test_repr_shows_the_seed() -> None:
    assert repr(Streams(5)) == "Streams(5)"


@pytest.mark.parametrize("seed", [1.0, "1", True, [1]])
def test_a_seed_that_is_no_whole_number_is_a_type_error(seed: object) -> None:
    with pytest.raises(TypeError, match=r"A seed must be a whole number, or None for a fresh one, got"):
        Streams(seed)  # type: ignore[arg-type]


def test_a_negative_seed_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"A seed must be at least 0, got -1\."):
        Streams(-1)


@pytest.mark.parametrize("index", [-1, 2**32])
def test_a_place_that_would_be_taken_for_another_is_a_value_error(index: int) -> None:
    with pytest.raises(ValueError, match=rf"at most 4 indices from 0 to 2\*\*32 - 1, got \(0, {index}\)\."):
        Streams(5).generator(Purpose.DROPOUT, 0, index)
