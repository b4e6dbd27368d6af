"""Samples: pixels and floats, gathering by index, checks, weights, and the stratified split."""

import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handconv as hc
from handconv.datasets.dataset import scale
from handconv.engine.arena import Arena
from handconv.engine.capture import Capture
from handconv.engine.layout import memory_shape, memory_view, public_view
from handconv.samples import (
    GatherOp,
    Samples,
    checked_weights,
    gathered_in_order,
    is_memory_mapped,
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
