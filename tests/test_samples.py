"""Samples: pixels and floats, gathering by index, checks, weights, and the stratified split."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handconv.datasets.dataset import scale
from handconv.engine.arena import FreshMemory, ReusedMemory, memory_view
from handconv.training.samples import Samples, as_floats, checked_inputs, checked_weights, split


class TestAsFloats:
    @pytest.mark.parametrize("shape", [(5, 1, 4, 3), (5, 7)])
    def test_pixels_are_divided_by_255_to_the_bit(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        floats = as_floats(pixels, np.float32)
        assert floats.dtype == np.float32
        np.testing.assert_array_equal(floats, pixels.astype(np.float32) / 255)
        np.testing.assert_array_equal(floats, scale(pixels))

    def test_pixels_become_float64_without_a_detour(self) -> None:
        np.testing.assert_array_equal(as_floats(np.array([[1, 254]], np.uint8), np.float64), [[1 / 255, 254 / 255]])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.int8, np.bool_])
    def test_other_numbers_are_taken_as_they_are(self, dtype: Any) -> None:
        floats = as_floats(np.array([[0, 1], [100, 2]]).astype(dtype), np.float32)
        np.testing.assert_array_equal(floats, np.array([[0, 1], [100, 2]]).astype(dtype).astype(np.float32))

    def test_the_batch_lies_innermost_in_memory(self) -> None:
        floats = as_floats(np.zeros((5, 2, 4, 3), np.uint8), np.float32)
        assert memory_view(floats).flags.c_contiguous

    def test_the_result_never_aliases_the_samples(self) -> None:
        x = np.zeros((3, 2), np.float32)
        as_floats(x, np.float32)[...] = 1
        assert not x.any()


class TestTake:
    def test_gathers_inputs_targets_and_weights_by_index(self) -> None:
        samples = Samples(np.arange(10.0).reshape(5, 2), np.arange(5), np.arange(5) / 10)
        x, y, weights = samples.take(np.array([3, 0]), np.float64, FreshMemory())
        np.testing.assert_array_equal(x, [[6, 7], [0, 1]])
        np.testing.assert_array_equal(y, [3, 0])
        np.testing.assert_array_equal(weights, [0.3, 0.0])  # type: ignore[arg-type]

    def test_without_weights_there_are_none(self) -> None:
        assert Samples(np.zeros((5, 2)), np.arange(5)).take(np.array([3]), np.float64, FreshMemory())[2] is None

    def test_indices_count_among_the_chosen(self) -> None:
        samples = Samples(np.arange(10.0).reshape(5, 2), np.arange(5), np.arange(5.0), chosen=np.array([1, 4]))
        x, y, weights = samples.take(np.array([1, 0]), np.float64, FreshMemory())
        assert len(samples) == 2
        np.testing.assert_array_equal(x, [[8, 9], [2, 3]])
        np.testing.assert_array_equal(y, [4, 1])
        np.testing.assert_array_equal(weights, [4, 1])  # type: ignore[arg-type]

    def test_takes_read_only_and_strided_samples(self) -> None:
        pixels = np.arange(48, dtype=np.uint8).reshape(4, 12)[:, ::2]
        pixels.flags.writeable = False
        x, _, _ = Samples(pixels, np.arange(4)).take(np.array([2]), np.float32, ReusedMemory())
        np.testing.assert_array_equal(x, pixels[[2]] / np.float32(255))


class TestCheckedInputs:
    def test_arrays_are_handed_on_not_copied(self) -> None:
        x = np.zeros((3, 2), np.uint8)
        assert checked_inputs(x, (2,)) is x

    def test_lists_become_arrays(self) -> None:
        assert checked_inputs([[1.0, 2.0]]).shape == (1, 2)

    @pytest.mark.parametrize("x", [[["a", "b"]], np.array([[None]]), np.zeros((2, 2), complex)])
    def test_what_is_no_number_is_an_error(self, x: Any) -> None:
        with pytest.raises(TypeError, match=r"x must hold numbers, got an array of .*astype\('float32'\)"):
            checked_inputs(x)

    @pytest.mark.parametrize("x", [1.0, [1.0, 2.0]])
    def test_a_single_sample_is_an_error(self, x: Any) -> None:
        with pytest.raises(ValueError, match=r"x must be a batch of samples \(N, …\).*Use x\[None\]"):
            checked_inputs(x)

    def test_the_wrong_shape_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"x must have shape \(N, 1, 28, 28\), got \(5, 28, 28\)\."):
            checked_inputs(np.zeros((5, 28, 28)), (1, 28, 28))

    def test_channels_last_is_recognised(self) -> None:
        with pytest.raises(ValueError, match=r"Channels last\? Use x\.transpose\(0, 3, 1, 2\)"):
            checked_inputs(np.zeros((5, 28, 28, 1)), (1, 28, 28))

    def test_no_sample_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"test data must hold at least one sample, got shape \(0, 3\)"):
            checked_inputs(np.zeros((0, 3)), (3,), name="test data")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", [0, 4095, 4096, 9999])
    def test_one_number_that_is_not_finite_is_an_error(self, bad: float, place: int) -> None:
        x = np.zeros((10_000, 1), np.float32)
        x[place] = bad
        with pytest.raises(ValueError, match=r"x must be finite, got NaN or infinity.*nan_to_num"):
            checked_inputs(x)


class TestCheckedWeights:
    def test_without_any_there_are_none(self) -> None:
        assert checked_weights(3, np.array([0, 1, 2]), None, None) is None

    def test_samples_and_classes_are_multiplied(self) -> None:
        weights = checked_weights(4, np.array([0, 1, 1, 2]), [1, 2, 3, 4], {1: 10, 2: 0.5})
        np.testing.assert_array_equal(weights, [1, 20, 30, 2])  # type: ignore[arg-type]

    def test_the_array_given_is_not_changed(self) -> None:
        given_weights = np.ones(2)
        checked_weights(2, np.array([0, 1]), given_weights, {0: 5})
        np.testing.assert_array_equal(given_weights, 1)

    def test_classes_of_shared_rows_are_their_greatest(self) -> None:
        weights = checked_weights(2, np.array([[0.4, 0.6], [0.9, 0.1]]), None, {1: 3})
        np.testing.assert_array_equal(weights, [3, 1])  # type: ignore[arg-type]

    def test_classes_of_one_output_are_0_and_1(self) -> None:
        """As a network with a final Sigmoid has them."""
        weights = checked_weights(3, np.array([[0], [1], [1]]), None, {0: 5, 1: 3})
        np.testing.assert_array_equal(weights, [5, 3, 3])  # type: ignore[arg-type]

    @pytest.mark.parametrize("weights", [[1, 2], [[1], [2], [3]], 1.0])
    def test_sample_weights_must_be_one_a_sample(self, weights: Any) -> None:
        with pytest.raises(ValueError, match=r"sample_weights must be one number for each of the 3 samples, got"):
            checked_weights(3, np.zeros(3, int), weights, None)

    @pytest.mark.parametrize("key", ["0", 0.0, None, True])
    def test_class_weights_must_be_by_class_number(self, key: Any) -> None:
        with pytest.raises(
            TypeError, match=rf"class_weights maps class numbers to weights, as in {{3: 2\.0}}; got {key!r}"
        ):
            checked_weights(1, np.zeros(1, int), None, {key: 1.0})

    @pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, "a"])
    def test_weights_must_be_finite_and_not_negative(self, weight: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=r"sample_weights.* must be"):
            checked_weights(1, np.zeros(1, int), [weight], None)
        with pytest.raises(ValueError, match=rf"class_weights\[0\] must be a number of at least 0, got {weight!r}"):
            checked_weights(1, np.zeros(1, int), None, {0: weight})


class TestSplit:
    @staticmethod
    def parts(y: Any, share: float, seed: int = 0) -> tuple[Samples, Samples]:
        y = np.asarray(y)
        return split(Samples(np.zeros((len(y), 1)), y), share, np.random.default_rng(seed))

    def test_parts_are_disjoint_and_complete(self) -> None:
        rest, held = self.parts(np.arange(100) % 7, 0.23)
        assert rest.chosen is not None
        assert held.chosen is not None
        np.testing.assert_array_equal(np.sort([*rest.chosen, *held.chosen]), np.arange(100))

    def test_weights_are_for_training_alone(self) -> None:
        samples = Samples(np.zeros((10, 1)), np.arange(10) % 2, np.ones(10))
        rest, held = split(samples, 0.2, np.random.default_rng(0))
        assert rest.weights is samples.weights
        assert held.weights is None

    def test_nothing_is_copied(self) -> None:
        samples = Samples(np.zeros((10, 1)), np.arange(10) % 2)
        for part in split(samples, 0.2, np.random.default_rng(0)):
            assert part.x is samples.x

    @given(
        counts=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(lambda counts: sum(counts) > 3),
        share=st.floats(0.05, 0.95),
        seed=st.integers(0, 3),
    )
    def test_each_class_gives_its_share(self, counts: list[int], share: float, seed: int) -> None:
        y = np.repeat(np.arange(len(counts)), counts)
        try:
            _, held = self.parts(y, share, seed)
        except ValueError:
            assert sum(counts) * min(share, 1 - share) < 1.5
            return
        of_class = np.bincount(y[held.chosen], minlength=len(counts))
        assert (np.abs(of_class - np.array(counts) * share) < 1 + 1e-6).all()
        assert abs(len(held) - len(y) * share) < 1 + 1e-6

    def test_classes_of_one_output_are_stratified(self) -> None:
        y = (np.arange(1000) < 100).astype(np.int64)[:, None]
        _, held = self.parts(y, 0.1)
        assert y[held.chosen].sum() == 10

    def test_the_generator_decides_which(self) -> None:
        y = np.arange(100) % 5
        first, second, other = (self.parts(y, 0.2, seed)[1].chosen for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, second)  # type: ignore[arg-type]
        assert not np.array_equal(first, other)  # type: ignore[arg-type]

    def test_it_is_drawn_not_cut_off(self) -> None:
        _, held = self.parts(np.zeros(1000, int), 0.2)
        assert held.chosen is not None
        assert 400 < held.chosen.mean() < 600

    @pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan"), "a"])
    def test_the_share_must_lie_between_0_and_1(self, share: Any) -> None:
        with pytest.raises(
            ValueError, match=r"validation_split, the share held back, must be a number above 0 and below 1, got "
        ):
            self.parts([0, 1], share)

    @pytest.mark.parametrize("share", [0.01, 1 - 1e-12])
    def test_an_empty_part_is_an_error(self, share: float) -> None:
        with pytest.raises(ValueError, match=r"of 3 samples leaves one of the two parts empty\. Give more samples"):
            self.parts([0, 1, 2], share)


def test_no_check_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_inputs(np.full((3, 2), np.finfo(np.float32).max, np.float32))


def test_pixels_that_are_not_uint8_are_warned_of() -> None:
    images = np.full((2, 1, 4, 4), 200, np.int64)
    with pytest.warns(UserWarning, match=r"x looks like pixels from 0 to 255 as int64; .* Use x.astype\('uint8'\)"):
        checked_inputs(images)
    checked_inputs(images.astype(np.uint8))
    checked_inputs(images / 255)
