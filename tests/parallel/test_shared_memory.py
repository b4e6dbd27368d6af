"""Arrays that several processes see: memory that they share, and files that each maps for itself."""

import multiprocessing
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handconv.parallel.shared_memory import MappedArray, SharedArray


class TestSharedArray:
    @pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_holds_an_array_that_begins_with_a_cache_line(self, shape: tuple[int, ...], dtype: Any) -> None:
        values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        shared = SharedArray(multiprocessing.get_context(), shape, dtype)
        shared.array[...] = values
        np.testing.assert_array_equal(shared.array, values)
        assert shared.array.dtype == dtype
        assert shared.array.ctypes.data % 64 == 0

    def test_starts_as_zeros_and_is_the_same_memory_each_time(self) -> None:
        shared = SharedArray(multiprocessing.get_context(), (5,), np.float32)
        assert not shared.array.any()
        shared.array[2] = 7
        assert shared.array[2] == 7

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_another_process_writes_to_it(self) -> None:
        context = multiprocessing.get_context("fork")
        shared = SharedArray(context, (3,), np.int64)
        process = context.Process(target=lambda: shared.array.__setitem__(1, 5))
        process.start()
        process.join()
        assert shared.array.tolist() == [0, 5, 0]


VIEWS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda x: x,
    "a slice": lambda x: x[2:9],
    "every third": lambda x: x[1::3],
    "backwards": lambda x: x[::-1],
    "backwards by twos": lambda x: x[8:1:-2],
    "transposed": lambda x: x.transpose(0, 3, 1, 2),
    "mirrored": lambda x: x[:, :, ::-1, 1:],
    "all axes backwards": lambda x: x[::-1, ::-1, ::-1, ::-1],
    "one sample": lambda x: x[3],
    "one number": lambda x: x[3:4, 1, 1:2, 2],
    "a plain array": lambda x: np.asarray(x)[4:],
    "of another shape": lambda x: x.reshape(10, -1)[1:],
    "broadcast": lambda x: np.broadcast_to(x[:1], (4, *x.shape[1:])),
    "a view of a view": lambda x: x[1:][1:].transpose(0, 2, 1, 3)[::2],
}


@pytest.fixture
def values(rng: np.random.Generator) -> Any:
    return rng.integers(0, 1000, (10, 3, 4, 5)).astype(np.float32)


class TestMappedArray:
    @pytest.mark.parametrize("view", VIEWS)
    @pytest.mark.parametrize("offset", [0, 8, 5000])
    def test_is_the_same_array_mapped_again(self, view: str, offset: int, values: Any, tmp_path: Path) -> None:
        (tmp_path / "x.bin").write_bytes(bytes(offset) + values.tobytes())
        x = VIEWS[view](np.memmap(tmp_path / "x.bin", np.float32, "r", offset, values.shape))
        mapped = MappedArray.of(x)
        assert mapped is not None
        again = pickle.loads(pickle.dumps(mapped)).array  # noqa: S301
        np.testing.assert_array_equal(again, VIEWS[view](values))
        assert (again.shape, again.dtype, again.strides) == (x.shape, x.dtype, x.strides)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_of_a_file_of_numpys(self, order: Any, values: Any, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.asarray(values, order=order))
        mapped = MappedArray.of(np.load(tmp_path / "x.npy", mmap_mode="r")[2:])
        assert mapped is not None
        np.testing.assert_array_equal(mapped.array, values[2:])

    def test_sees_what_is_written_to_the_file(self, values: Any, tmp_path: Path) -> None:
        x = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=values.shape)
        mapped = MappedArray.of(x)
        assert mapped is not None
        x[...] = values
        np.testing.assert_array_equal(mapped.array, values)

    def test_cannot_be_written_to(self, tmp_path: Path) -> None:
        mapped = MappedArray.of(np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=(3,)))
        assert mapped is not None
        assert not mapped.array.flags.writeable

    def test_copies_nothing(self, tmp_path: Path) -> None:
        x = np.memmap(tmp_path / "x.bin", np.uint8, "w+", shape=(5_000_000,))
        tracemalloc.start()
        try:
            mapped = MappedArray.of(x[::-2])
            assert mapped is not None
            assert mapped.array.shape == (2_500_000,)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    def test_what_lies_in_no_file_is_none(self, values: Any, tmp_path: Path) -> None:
        assert MappedArray.of(values) is None
        assert MappedArray.of(values[::2].T) is None
        mapped = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=(3, 4))
        assert MappedArray.of(mapped + 1) is None
        assert MappedArray.of(mapped[:0]) is None
