"""Everything random comes from one seed, and from the place where it is needed."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from handconv.rng import Purpose, Streams, mask_from_bits, random_bits, random_mask


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
        "AUGMENT": 4,
        "STATISTICS": 5,
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


# Masks

SHAPES = [(7,), (3, 5), (2, 3, 4), (3, 2, 4, 5), (2, 3, 2, 2, 2), (0, 4), (1, 1)]


def generator_at(*place: int) -> np.random.Generator:
    return Streams(5).generator(Purpose.DROPOUT, *place)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_has_the_shape_that_was_asked_for_and_is_of_bools(shape: tuple[int, ...]) -> None:
    mask = random_mask(generator_at(0), shape, 0.5)
    assert (mask.shape, mask.dtype) == (shape, np.bool_)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_place_gives_the_same_mask(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(random_mask(generator_at(1), shape, 0.3), random_mask(generator_at(1), shape, 0.3))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_rate_is_the_share_that_is_false(rate: float) -> None:
    mask = random_mask(generator_at(2), (400, 500), rate)
    assert 1 - mask.mean() == pytest.approx(rate, abs=0.004)


def test_rate_zero_keeps_everything_and_the_highest_nothing() -> None:
    assert random_mask(generator_at(0), (50, 50), 0.0).all()
    assert not random_mask(generator_at(0), (50, 50), 1 - 1e-9).any()


def test_rates_are_held_to_65536ths() -> None:
    words = np.array([0x0003_0002_0001_0000], np.uint64)
    kept = np.empty(4, np.bool_)
    mask_from_bits(words, 2 / 65536, kept)
    assert kept.tolist() == [False, False, True, True]


@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.float64])
def test_a_mask_may_be_written_to_bools_or_floats(dtype: type) -> None:
    words, out = random_bits(generator_at(0), 5), np.empty((3, 5), dtype)
    mask_from_bits(words, 0.5, out)
    expected = np.empty((3, 5), np.bool_)
    mask_from_bits(words, 0.5, expected)
    np.testing.assert_array_equal(out, expected)


def test_bits_are_dealt_out_position_by_position_to_all_samples_in_turn() -> None:
    mask = random_mask(generator_at(3), (3, 4), 0.5)
    plain = np.empty(12, np.bool_)
    mask_from_bits(random_bits(generator_at(3), 3), 0.5, plain)
    np.testing.assert_array_equal(mask.T.ravel(), plain)


def test_bits_of_images_are_dealt_out_by_rows_channels_columns_and_samples() -> None:
    n, c, h, w = 3, 2, 4, 5
    mask = random_mask(generator_at(3), (n, c, h, w), 0.5)
    plain = np.empty(n * c * h * w, np.bool_)
    mask_from_bits(random_bits(generator_at(3), n * c * h * w // 4), 0.5, plain)
    expected = [mask[sample, k, i, j] for i in range(h) for k in range(c) for j in range(w) for sample in range(n)]
    assert plain.tolist() == expected


@pytest.mark.parametrize("make", [np.random.Philox, np.random.PCG64, np.random.MT19937, np.random.SFC64])
def test_all_64_bits_of_a_word_are_random_whatever_the_generator(make: Callable[[int], np.random.BitGenerator]) -> None:
    words = random_bits(np.random.Generator(make(0)), 4000)
    assert words.dtype == np.uint64
    bits = np.unpackbits(words.view(np.uint8)).reshape(4000, 64)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.04


def test_bits_are_drawn_from_a_generator_alone() -> None:
    with pytest.raises(TypeError, match=r"come from np\.random\.default_rng\(seed\), got RandomState"):
        random_mask(np.random.RandomState(0), (2, 3), 0.5)  # type: ignore[arg-type]
