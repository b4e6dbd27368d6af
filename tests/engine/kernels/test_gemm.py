"""Products in bands are the products, for any sizes and memory orders; the bands are the fewest that are small."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handconv.engine.kernels import gemm
from helpers import PoisonedMemory, assert_close
from strategies import in_memory_order, memory_orders, normal

sizes = st.integers(1, 12)


@pytest.fixture(autouse=True, scope="module")
def small_products() -> Iterator[None]:
    """Let small matrices be large already."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_SMALL": 60, "_ROWS": 2, "_COLUMNS": 3, "_LARGE": 20}.items():
            patch.setattr(gemm, name, value)
        gemm._bands.cache_clear()
        yield
    gemm._bands.cache_clear()


@given(stack=st.lists(st.integers(1, 3), max_size=2), m=sizes, k=sizes, n=sizes, order=memory_orders)
def test_a_blocked_product_is_the_product(stack: list[int], m: int, k: int, n: int, order: str) -> None:
    left, right = normal(0, *stack, m, k), normal(1, *stack, k, n)
    out = in_memory_order(np.full((*stack, m, n), np.nan), order)
    assert gemm.blocked_matmul(in_memory_order(left, order), in_memory_order(right, order), out) is out
    assert_close(out, np.einsum("...mk,...kn->...mn", left, right))


@given(stack=st.lists(st.integers(1, 3), min_size=1, max_size=2), m=sizes, k=sizes, n=sizes)
def test_a_summed_outer_product_is_the_sum_over_the_stack(stack: list[int], m: int, k: int, n: int) -> None:
    left, right = normal(0, *stack, m, n), normal(1, *stack, k, n)
    total = gemm.summed_outer_product(left, right, PoisonedMemory())
    assert_close(total, np.einsum("smn,skn->mk", left.reshape(-1, m, n), right.reshape(-1, k, n)))


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "bands"),
    [
        (2, 10, 3, (1, 1)),  # 60 multiply-adds are small
        (4, 10, 3, (2, 1)),  # in rows
        (2, 10, 6, (1, 2)),  # in columns
        (4, 10, 6, (2, 2)),  # in both
        (5, 10, 7, (1, 1)),  # nothing divides it
        (2, 31, 4, (1, 1)),  # bands would be narrower than 2 rows and 3 columns
        (2, 20, 3, (1, 1)),  # than 2 rows
        (2, 15, 4, (1, 1)),  # than 3 columns
        (15, 1, 6, (1, 2)),  # 3 bands of rows would do too
        (12, 5, 6, (3, 2)),  # as few as do: 6, and not 12
        (8, 1, 9, (2, 1)),
    ],
)
def test_bands_are_the_fewest_that_make_small_products(
    rows: int, depth: int, columns: int, bands: tuple[int, int]
) -> None:
    found = gemm._bands(rows, depth, columns)
    assert found == bands or (found[0] * found[1] == bands[0] * bands[1] and bands != (1, 1))
    if bands != (1, 1):
        assert rows // found[0] * depth * (columns // found[1]) <= 60
        assert (rows % found[0], columns % found[1]) == (0, 0)
        assert rows // found[0] >= 2
        assert columns // found[1] >= 3


@pytest.mark.parametrize(
    ("simd", "small"),
    [
        ({"baseline": ["X86_V2"], "found": ["X86_V3", "X86_V4"]}, 1_000_000),
        ({"baseline": ["X86_V4"], "found": []}, 1_000_000),
        ({"baseline": ["SSE", "SSE2"], "found": ["AVX2", "AVX512F"]}, 1_000_000),  # as NumPy before 2.4 names them
        ({"baseline": ["X86_V2"], "found": ["X86_V3"], "not found": ["X86_V4"]}, math.inf),
        ({"baseline": ["NEON"], "found": ["SVE"]}, math.inf),
        ({}, math.inf),
    ],
)
def test_bands_are_for_processors_whose_blas_has_kernels_for_small_products(
    simd: dict[str, list[str]], small: float
) -> None:
    assert gemm._small(simd) == small


def test_a_factor_is_turned_round_in_memory_where_the_result_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def blocked(left: object, right: object, out: np.ndarray) -> None:
        out.fill(0)
        called.append(out.size)

    monkeypatch.setattr(gemm, "blocked_matmul", blocked)
    gemm.summed_outer_product(np.ones((1, 4, 2)), np.ones((1, 5, 2)), PoisonedMemory())
    gemm.summed_outer_product(np.ones((1, 4, 2)), np.ones((1, 4, 2)), PoisonedMemory())
    assert called == [20]
