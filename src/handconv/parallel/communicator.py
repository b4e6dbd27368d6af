"""How the ranks of a computation divide it and exchange what they have computed.

A batch is a sum over shards: shard k is added to accumulator k mod A, whoever computes it. Ranks fill accumulators, and
each then works on its own part of the vectors. Nothing of the result depends on the number of ranks.

    each rank      fills its accumulators       exchange      updates its part of the vectors       publish

In one process there is nothing to do; between processes with shared memory, both only wait. Where memory is not shared
(several machines), ``exchange`` would be an all-to-all of the accumulators' parts, and ``publish`` an all-gather.
"""

from typing import Any, Protocol

from numpy.typing import NDArray

BLOCK = 1024  # numbers; parts begin with whole blocks, so that sums by blocks do not depend on the number of ranks


class Communicator(Protocol):
    """The ranks that share the work of each step, seen from one of them."""

    rank: int
    size: int

    def exchange(self, *accumulators: NDArray[Any]) -> None:
        """Return once this rank can read what every rank wrote to its accumulators."""

    def publish(self, *vectors: NDArray[Any]) -> None:
        """Return once this rank can read what every rank wrote to its part of the vectors."""


class OneProcess:
    """A single rank, which has nobody to wait for."""

    rank = 0
    size = 1

    def exchange(self, *accumulators: NDArray[Any]) -> None:
        """Nothing to do."""

    def publish(self, *vectors: NDArray[Any]) -> None:
        """Nothing to do."""


def accumulators_of(communicator: Communicator, count: int) -> range:
    """The accumulators that this rank fills, of ``count`` in all."""
    return range(communicator.rank, count, communicator.size)


def part_of(size: int, communicator: Communicator) -> slice:
    """This rank's part of a vector: whole blocks, and so whole cache lines."""
    start, stop = (
        size * rank // communicator.size // BLOCK * BLOCK for rank in (communicator.rank, communicator.rank + 1)
    )
    return slice(start, stop if communicator.rank + 1 < communicator.size else size)
