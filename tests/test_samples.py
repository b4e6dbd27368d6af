"""Samples: pixels and floats, gathering by index, checks, weights, and the stratified split."""

import dataclasses
import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import handconv as hc
from handconv.datasets.dataset import scale
from handconv.engine.arena import Arena
from handconv.engine.capture import Capture
from handconv.engine.layout import memory_shape, memory_view, public_view
from handconv.samples import (
    GatherOp,
    Samples,
    checked_inputs,
    checked_weights,
    gathered_in_order,
    is_memory_mapped,
    remark_on_targets,
    split,
)


def gathered(samples: Samples, indices: Any, dtype: Any = np.float32) -> tuple[Any, Any, Any]:
    """The samples of one shard."""
    return GatherOp(samples, np.asarray(indices, np.intp), dtype, Arena()).forward()


def floats(x: Any, dtype: Any) -> Any:
    """All inputs as a network gets them."""
    return gathered(Samples(x, np.arange(len(x))), np.arange(len(x)), dtype)[0]


class TestAsFloats:
    @pytest.mark.parametrize("shape", [(5, 1, 4, 3), (5, 7)])
    def test_pixels_are_divided_by_255_to_the_bit(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        assert floats(pixels, np.float32).dtype == np.float32
        np.testing.assert_array_equal(floats(pixels, np.float32), pixels.astype(np.float32) / 255)
        np.testing.assert_array_equal(floats(pixels, np.float32), scale(pixels))

    def test_pixels_become_float64_without_a_detour(self) -> None:
        np.testing.assert_array_equal(floats(np.array([[1, 254]], np.uint8), np.float64), [[1 / 255, 254 / 255]])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.int8, np.bool_, ">f4"])
    def test_other_numbers_are_taken_as_they_are(self, dtype: Any) -> None:
        values = np.array([[0, 1], [100, 2]]).astype(dtype)
        np.testing.assert_array_equal(floats(values, np.float32), values.astype(np.float32))

    def test_the_batch_lies_innermost_in_memory(self) -> None:
        assert memory_view(floats(np.zeros((5, 2, 4, 3), np.uint8), np.float32)).flags.c_contiguous

    def test_the_result_never_aliases_the_samples(self) -> None:
        x = np.zeros((3, 2), np.float32)
        floats(x, np.float32)[...] = 1
        assert not x.any()


class TestGathering:
    def test_gathers_inputs_targets_and_weights_by_index(self) -> None:
        samples = Samples(np.arange(10.0).reshape(5, 2), np.arange(5), np.arange(5) / 10)
        x, y, weights = gathered(samples, [3, 0], np.float64)
        np.testing.assert_array_equal(x, [[6, 7], [0, 1]])
        np.testing.assert_array_equal(y, [3, 0])
        np.testing.assert_array_equal(weights, [0.3, 0.0])

    def test_without_weights_there_are_none(self) -> None:
        assert gathered(Samples(np.zeros((5, 2)), np.arange(5)), [3])[2] is None

    def test_indices_count_among_the_chosen(self) -> None:
        samples = Samples(np.arange(10.0).reshape(5, 2), np.arange(5), np.arange(5.0), chosen=np.array([1, 4]))
        x, y, weights = gathered(samples, [1, 0], np.float64)
        assert len(samples) == 2
        np.testing.assert_array_equal(x, [[8, 9], [2, 3]])
        np.testing.assert_array_equal(y, [4, 1])
        np.testing.assert_array_equal(weights, [4, 1])

    def test_takes_read_only_and_strided_samples(self) -> None:
        pixels = np.arange(48, dtype=np.uint8).reshape(4, 12)[:, ::2]
        pixels.flags.writeable = False
        x, _, _ = gathered(Samples(pixels, np.arange(4)), [2])
        np.testing.assert_array_equal(x, pixels[[2]] / np.float32(255))

    def test_the_same_op_gathers_what_the_indices_say_now(self) -> None:
        chosen = np.array([3, 0], np.intp)
        op = GatherOp(Samples(np.arange(10.0).reshape(5, 2), np.arange(5)), chosen, np.float64, Arena())
        op.forward()
        chosen[...] = [1, 2]
        x, y, _ = op.forward()
        np.testing.assert_array_equal(x, [[2, 3], [4, 5]])
        np.testing.assert_array_equal(y, [1, 2])


def stored(x: Any, folder: Path, order: str = "C") -> Any:
    """An array mapped from a file, whose content lies in this order."""
    np.asarray(x, order=order).ravel(order="K").tofile(folder / "x.bin")  # type: ignore[call-overload]
    return np.memmap(folder / "x.bin", x.dtype, "r", shape=x.shape, order=order)  # type: ignore[call-overload]


LAYOUTS: dict[str, Callable[[Any, Path], Any]] = {
    "plain": lambda x, _: x,
    "channels last": lambda x, _: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x, _: np.ascontiguousarray(x[::-1])[::-1],
    "a part of a wider image": lambda x, _: np.pad(x, [(0, 0), (0, 0), (1, 2), (3, 1)])[:, :, 1:-2, 3:-1],
    "mirrored": lambda x, _: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "transposed images": lambda x, _: np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3),
    "Fortran": lambda x, _: np.asfortranarray(x),
    "big-endian": lambda x, _: x.astype(x.dtype.newbyteorder(">")),
    "a mapped file": stored,
    "a mapped file in Fortran order": lambda x, folder: stored(x, folder, "F"),
    "a part of a mapped file": lambda x, folder: stored(np.repeat(x, 2, axis=0), folder)[::2],
    "one field of records": lambda x, _: records(x)["image"],
}  # fmt: skip


def records(x: Any) -> Any:
    """Images as a field of records, at odd addresses."""
    array = np.zeros(len(x), np.dtype([("label", "u1"), ("image", x.dtype, x.shape[1:])]))
    array["image"] = x
    return array


class TestAnyOrderOfMemory:
    """Samples are gathered where they lie."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_gives_the_same_shards(self, layout: str, dtype: Any, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.integers(0, 256, (9, 3, 4, 5)).astype(dtype)
        indices = [7, 0, 3, 3]
        received = gathered(Samples(LAYOUTS[layout](x, tmp_path), np.arange(9)), indices)[0]
        np.testing.assert_array_equal(received, gathered(Samples(x, np.arange(9)), indices)[0])

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_trains_and_predicts_to_the_same_bits(self, layout: str, tmp_path: Path, rng: np.random.Generator) -> None:
        x, y = rng.integers(0, 256, (40, 3, 6, 5)).astype(np.uint8), np.arange(40) % 2
        models = [hc.Sequential([hc.Conv2D(2, 3), hc.ReLU(), hc.Flatten(), hc.Dense(2)], seed=0) for _ in "ab"]
        answers = []
        for model, values in zip(models, (x, LAYOUTS[layout](x, tmp_path)), strict=True):
            model.fit(values, y, batch_size=16, validation_split=0.2)
            answers.append((model.predict(values), model.evaluate(values, y)))
        np.testing.assert_array_equal(models[0].parameters, models[1].parameters)
        np.testing.assert_array_equal(answers[0][0], answers[1][0])
        assert answers[0][1] == answers[1][1]

    @pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("Fortran", "big-endian")])
    def test_costs_no_copy_of_the_whole(self, layout: str, tmp_path: Path) -> None:
        x = LAYOUTS[layout](np.zeros((2000, 3, 16, 16), np.float32), tmp_path)  # 6 MB
        y = np.zeros(2000, np.int64)
        indices = np.arange(8)
        tracemalloc.start()
        try:
            op = GatherOp(Samples(gathered_in_order(x), y), indices, np.float32, SmallMemory())  # type: ignore[arg-type]
            for start in range(0, 2000, 200):
                indices[...] = np.arange(start, start + 8)
                op.forward()
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        ("layout", "shape"),
        [
            ("plain", (2, 3, 4, 5)),
            ("channels last", (2, 4, 5, 3)),
            ("mirrored", (2, 3, 4, 5)),
            ("transposed images", (2, 3, 5, 4)),
        ],
    )
    def test_shards_are_read_into_the_order_in_which_the_samples_lie(
        self, layout: str, shape: tuple[int, ...], tmp_path: Path
    ) -> None:
        memory = SmallMemory()
        x = LAYOUTS[layout](np.zeros((9, 3, 4, 5), np.float32), tmp_path)
        GatherOp(Samples(x, np.arange(9)), np.arange(2), np.float32, memory)  # type: ignore[arg-type]
        assert memory.shapes["rows"] == shape

    @pytest.mark.parametrize("layout", ["channels last", "Fortran", "a mapped file in Fortran order"])
    def test_targets_may_lie_in_any_order(self, layout: str, tmp_path: Path, rng: np.random.Generator) -> None:
        y = rng.normal(size=(9, 2, 3, 4))
        received = gathered(Samples(np.zeros((9, 2)), LAYOUTS[layout](y, tmp_path)), [8, 1])[1]
        np.testing.assert_array_equal(received, y[[8, 1]])


class SmallMemory:
    """A scope whose arrays are as large as was asked for, so that memory can be measured."""

    capture = Capture()

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        self.shapes[name] = shape
        return self.capture.track(np.empty(shape, dtype))

    scratch = array

    def public_array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        return public_view(self.array(name, memory_shape(shape), dtype))

    def host_call(self, function: Callable[[], object]) -> None:
        function()


class TestGatheredInOrder:
    """Samples that lie interleaved are copied once, and that is said; nothing else is copied."""

    def test_two_samples_may_be_interleaved(self) -> None:
        assert gathered_in_order(np.asfortranarray(np.zeros((2, 3)))).flags.c_contiguous

    def test_an_axis_of_one_may_lie_anywhere(self) -> None:
        x = np.zeros((1, 9, 300_000)).transpose(1, 0, 2)  # large enough to be remarked upon
        assert gathered_in_order(x) is x

    @pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "Fortran"])
    def test_an_array_whose_samples_lie_apart_is_itself(self, layout: str, tmp_path: Path) -> None:
        x = LAYOUTS[layout](np.zeros((9, 3, 4, 5), np.float32), tmp_path)
        assert gathered_in_order(x) is x

    def test_an_interleaved_one_is_copied(self, rng: np.random.Generator) -> None:
        x = np.asfortranarray(rng.normal(size=(9, 3, 4, 5)))
        copied = gathered_in_order(x)
        assert copied.flags.c_contiguous
        np.testing.assert_array_equal(copied, x)

    def test_a_large_one_is_remarked_upon(self) -> None:
        x = np.zeros((4097, 1024), np.float32, "F")
        with pytest.warns(UserWarning, match=r"x lies in memory with its samples interleaved .* copied once, 16 MB"):
            gathered_in_order(x)

    def test_one_of_16_mb_is_not(self) -> None:
        assert gathered_in_order(np.zeros((4096, 1024), np.float32, "F")).flags.c_contiguous

    @pytest.mark.parametrize("shape", [(1, 3), (5,), (5, 1), (5, 1, 1), (1, 1), (0,), (0, 3), (5, 0)])
    def test_where_there_is_nothing_to_interleave_nothing_is_copied(self, shape: tuple[int, ...]) -> None:
        x = np.zeros(shape, order="F")
        assert gathered_in_order(x) is x

    @pytest.mark.parametrize("verb", ["x", "y"])
    def test_the_warning_points_at_the_call_of_fit(self, verb: str) -> None:
        x, y = np.zeros((4200, 1024), np.float32), np.zeros((4200, 1024), np.float32)
        given = {"x": x, "y": y} | {verb: np.asfortranarray(x)}
        model = hc.Sequential([hc.Flatten()])
        with pytest.warns(UserWarning, match=f"{verb} lies in memory") as caught:
            model.fit(**given, loss=hc.MeanSquaredError())
        assert caught[0].filename == __file__


class TestMappedFiles:
    def test_are_known_through_any_view(self, tmp_path: Path) -> None:
        x = stored(np.zeros((4, 6)), tmp_path)
        views = [x, x[1:, ::2], x.T, np.asarray(x), x.reshape(2, 12), x.view(np.uint8)]
        assert all(map(is_memory_mapped, views))
        assert not is_memory_mapped(np.array(x))
        assert not is_memory_mapped([1, 2])


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


def test_samples_are_not_exchanged() -> None:
    samples = Samples(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        samples.x = np.ones((3, 2))  # type: ignore[misc]


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

    @pytest.mark.parametrize("count", [20, 1000])
    def test_the_held_of_a_class_are_in_the_order_of_the_draw(self, count: int) -> None:
        """Whatever way of sorting the processor has."""
        y = np.arange(count) % 3
        _, held = self.parts(y, 0.25, seed=3)
        drawn = np.random.default_rng(3).permutation(count)
        by_class = np.concatenate([drawn[y[drawn] == label] for label in range(3)])
        np.testing.assert_array_equal(held.chosen, np.sort(by_class[3::4]))

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


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 4, 4), 127, np.int8), r"x holds images from 127 to 127 as int8; .* Use x / 127"),
        (np.full((2, 1, 4, 4), 200, np.uint8).view(np.int8), r"x looks like pixels that were .* Use x.view\('uint8'\)"),
        (np.full((2, 1, 4, 4), 70_000, np.uint32), r"x holds images from 70000 to 70000 as uint32"),
        (np.full((2, 1, 4, 4), 99.5, np.float32), r"x holds images from 99.5 to 99.5 as float32"),
        (np.full((2, 1, 4, 4), -300.0), r"x holds images from -300 to -300 as float64; .* Use x / 300"),
    ],
)
def test_images_on_another_scale_are_warned_of(images: NDArray[Any], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        checked_inputs(images)


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, np.float32])
def test_images_near_the_scale_of_0_to_1_are_not_warned_of(dtype: type[np.generic]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_inputs(np.array([-1, 0, 1, 5]).astype(dtype).clip(0, 5).reshape(1, 1, 2, 2))


def test_pixels_that_are_not_uint8_are_warned_of() -> None:
    images = np.full((2, 1, 4, 4), 200, np.int64)
    with pytest.warns(UserWarning, match=r"x looks like pixels from 0 to 255 as int64; .* Use x.astype\('uint8'\)"):
        checked_inputs(images)
    checked_inputs(images.astype(np.uint8))
    checked_inputs(images / 255)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 4, 4), 200.0), r"pixels from 0 to 255 as float64; .* Use x.astype\('uint8'\), or x / 255"),
        (np.full((2, 1, 4, 4), 60_000, np.uint16), r"pixels from 0 to 65535 as uint16; .* Use x / 65535"),
        (np.full((2, 49), 200, np.int32), r"pixels from 0 to 255 as int32"),
        (np.full((2, 64), 128), r"pixels from 0 to 255"),
        (np.repeat([[200.0]] * 4 + [[0.5]], 64, axis=1), r"pixels from 0 to 255"),  # four samples tell
        (np.full((2, 64), 255), r"pixels from 0 to 255"),
        (np.full((2, 64), 256), r"pixels from 0 to 65535"),
        (np.full((2, 64), 65535), r"pixels from 0 to 65535"),
        (np.eye(64) * 200, r"pixels from 0 to 255"),
        (np.full((2, 1, 4, 4), 65536), r"holds images from 65536 to 65536"),
        (np.full((2, 1, 4, 4), 300.5), r"holds images from 300\.5 to 300\.5"),
        (np.full((2, 1, 4, 4), 20.5), r"holds images from 20\.5 to 20\.5"),
        (np.eye(8, dtype=np.int8).reshape(1, 1, 8, 8) * 127, r"holds images from 0 to 127 as int8"),
        (np.full((64, 1, 4, 4), 31, np.uint8), r"uint8 from 0 to 31, "),
        (np.eye(64, 8, dtype=np.uint8), r"uint8 from 0 to 1, .* Use x.astype\('float32'\)\."),
        (np.full((64, 1, 4, 4), 1, np.uint8), r"uint8 from 0 to 1, .* Use x.astype\('float32'\)\."),
        (np.full((64, 1, 4, 4), 16, np.uint8), r"uint8 from 0 to 16, .* Use x.astype\('float32'\) / 16"),
    ],
)
def test_pixels_of_another_scale_are_warned_of(images: Any, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        checked_inputs(images)


@pytest.mark.parametrize(
    "x",
    [
        np.full((2, 64), 200.5), np.full((2, 48), 200), np.full((2, 64), 1, np.uint8), np.full((2, 1, 4, 4), -12.0),
        np.full((2, 1, 4, 4), 20.0), np.full((2, 1, 4, 4), -20.0), np.full((2, 64), 127), np.full((2, 64), -200),
        np.full((64, 1, 4, 4), 32, np.uint8), np.full((63, 1, 4, 4), 1, np.uint8), np.zeros((64, 1, 4, 4), np.uint8),
        np.repeat(np.array([0, 32], np.uint8), 64)[:, None, None, None],
        np.stack([np.zeros((1, 4, 4), np.uint8)] * 300 + [np.full((1, 4, 4), 255, np.uint8)]), np.zeros((2, 0)),
    ],
)  # fmt: skip
def test_numbers_that_may_be_meant_so_are_not_remarked_upon(x: Any) -> None:
    assert checked_inputs(x) is x


_PIXELS = np.full((2, 1, 4, 4), 2, np.uint8)


@pytest.mark.parametrize("y", [_PIXELS, _PIXELS[:, 0]])
def test_images_of_pixels_as_targets_are_remarked_upon(y: Any) -> None:
    with pytest.warns(UserWarning, match="y holds images of uint8 up to 2, which are taken as they are, while x is"):
        remark_on_targets(_PIXELS, y)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (_PIXELS, _PIXELS[:, 0, 0]),  # rows may be counts
        (_PIXELS, _PIXELS // 2),  # masks of 0 and 1
        (_PIXELS, _PIXELS / 255),
        (_PIXELS / 255, _PIXELS),
        (_PIXELS.astype(int), _PIXELS.astype(int)),
    ],
)
def test_other_targets_are_not_remarked_upon(x: Any, y: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remark_on_targets(x, y)


def test_a_sample_alone_is_told() -> None:
    with pytest.raises(ValueError, match=r"A single sample\? Use x\[None\]"):
        checked_inputs(np.zeros((1, 8, 8)), (1, 8, 8))


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_numbers_beyond_the_networks_range_are_an_error(value: float) -> None:
    x, message = np.array([[0.0, value]]), f"the range of float32, got {value:g}. Scale it, or use dtype='float64'"
    with pytest.raises(ValueError, match=re.escape(message)):
        checked_inputs(x, dtype=np.float32)
    assert checked_inputs(x, dtype=np.float64) is x


def test_samples_of_different_shapes_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"x must be one array of samples of the same shape .* Resize them first"):
        checked_inputs([np.zeros((2, 2)), np.zeros((3, 2))])


def test_masked_values_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"x has 1 masked \(missing\) value. Fill it first"):
        checked_inputs(np.ma.array([[1.0, 2.0]], mask=[[False, True]]))
    assert checked_inputs(np.ma.array([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("outputs", "known"),
    [
        (3, "0, 1, 2."), (12, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11."), (13, "0 to 12."), (20, "0 to 19."),
        (1, "0, 1."),  # a single output says yes or no
    ],
)  # fmt: skip
def test_class_weights_name_classes_that_there_are(outputs: int, known: str) -> None:
    with pytest.raises(ValueError, match=f"names class 99, which there is not; the classes are {re.escape(known)}"):
        checked_weights(2, np.array([0, 1]), None, {99: 2.0}, outputs)
    checked_weights(2, np.array([0, 1]), None, {outputs - 1: 2.0}, outputs)


@pytest.mark.parametrize(
    ("sample_weights", "class_weights"),
    [(None, {0: 0.0, 1: 0.0}), ([0.0, 0.0], None), ([1.0, 0.0], {0: 0.0})],
)
def test_weights_that_leave_every_sample_out_are_refused(sample_weights: Any, class_weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weights are 0 for every sample, .* nothing to learn from"):
        checked_weights(2, np.array([0, 1]), sample_weights, class_weights)


def test_class_weights_need_classes() -> None:
    with pytest.raises(ValueError, match=r"class_weights need targets that name classes. Use sample_weights"):
        checked_weights(2, np.array([0.5, 1.5]), None, {0: 2.0})


def test_without_outputs_the_classes_are_two_and_those_of_the_targets() -> None:
    with pytest.raises(ValueError, match=r"names class 2, which there is not; the classes are 0, 1\."):
        checked_weights(2, np.array([0, 1]), None, {2: 2.0})
    checked_weights(2, np.array([0, 2]), None, {2: 2.0})


class TestImagesAsTargets:
    def network(self) -> hc.Sequential:
        return hc.Sequential([hc.Conv2D(1, 3, padding=1)], input_shape=(1, 6, 6), seed=0)

    def test_as_pixels_beside_pixels_are_remarked_upon(self) -> None:
        images = np.full((8, 1, 6, 6), 200, np.uint8)
        with pytest.warns(
            UserWarning, match=r"y holds images of uint8 up to 200, .* while x is divided by 255\. Use y /"
        ):
            self.network().evaluate(images, images, loss=hc.MeanSquaredError())

    def test_on_the_scale_of_the_inputs_are_not(self) -> None:
        images = np.full((8, 1, 6, 6), 200, np.uint8)
        self.network().evaluate(images, images / 255, loss=hc.MeanSquaredError())
        self.network().evaluate(images / 255, (images > 100).astype(np.uint8), loss=hc.MeanSquaredError())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: "x.npy", "str"),
        (lambda: {"x": [1.0]}, "dict"),
        (lambda: (row for row in np.eye(2)), "generator"),
        (lambda: None, "NoneType"),
    ],
)
def test_what_is_no_array_is_refused_by_what_it_is(make: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"x must be an array of samples \(N, …\), got {kind}\. Make an array of it"):
        checked_inputs(make())
