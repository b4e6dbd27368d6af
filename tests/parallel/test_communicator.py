"""How ranks divide the work: every accumulator and every number of a vector belongs to one of them."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handconv.parallel.communicator import BLOCK, OneProcess, accumulators_of, part_of


@dataclass
class Rank:
    rank: int
    size: int

    def exchange(self, *accumulators: Any) -> None: ...

    def publish(self, *vectors: Any) -> None: ...


def ranks(size: int) -> list[Rank]:
    return [Rank(rank, size) for rank in range(size)]


@given(st.integers(0, 20 * BLOCK), st.integers(1, 9))
def test_the_parts_of_a_vector_follow_one_another_and_begin_with_whole_blocks(count: int, size: int) -> None:
    parts = [part_of(count, rank) for rank in ranks(size)]
    assert (parts[0].start, parts[-1].stop) == (0, count)
    for part, following in itertools.pairwise(parts):
        assert part.stop == following.start
    assert all(part.start % BLOCK == 0 for part in parts)


def test_the_parts_are_of_about_the_same_size() -> None:
    sizes = [part.stop - part.start for part in (part_of(100 * BLOCK, rank) for rank in ranks(7))]
    assert max(sizes) - min(sizes) <= BLOCK


@given(st.integers(1, 8), st.integers(1, 9))
def test_every_accumulator_is_filled_by_one_rank(count: int, size: int) -> None:
    filled = sorted(place for rank in ranks(size) for place in accumulators_of(rank, count))
    assert filled == list(range(count))


def test_one_process_has_everything_and_waits_for_nobody() -> None:
    alone = OneProcess()
    alone.exchange(np.zeros(3))
    alone.publish(np.zeros(3))
    assert part_of(5000, alone) == slice(0, 5000)
    assert list(accumulators_of(alone, 8)) == list(range(8))
