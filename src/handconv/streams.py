"""Everything random, from one seed.

    stream(purpose, i, j, …) = SFC64(SeedSequence(seed, spawn_key=(purpose, i, j, …)))

Each use of chance has a stream of its own, named by its purpose and by where in training it happens: the order of the
samples by the epoch, a dropout mask by the epoch, the step and the shard. Streams are derived, not handed on: whoever
knows the seed and the place gets the same numbers, in any order, in any process, and after a resume. A checkpoint
needs the seed and the place alone.
"""

import secrets
from enum import IntEnum

import numpy as np

_SEED_BITS = 53  # what every JSON reader keeps exactly
_INDEX_LIMIT = 1 << 32  # SeedSequence reads keys as 32-bit words; a longer one would be taken for two


class Purpose(IntEnum):
    """What chance is used for. The numbers are part of every run's reproducibility: never change one."""

    INITIALIZE = 0
    SHUFFLE = 1
    SPLIT = 2
    DROPOUT = 3
    AUGMENT = 4


class Streams:
    """Independent random generators, all derived from one seed.

    Args:
        seed: a whole number of at least 0; None draws a fresh one, kept in ``seed`` so that the run can be repeated.

    Raises:
        TypeError: if the seed is no whole number.
        ValueError: if it is negative.

    Example:
        >>> streams = Streams(7)
        >>> streams.generator(Purpose.SHUFFLE, 3).permutation(5).tolist()
        [1, 4, 2, 0, 3]
        >>> Streams(7).generator(Purpose.SHUFFLE, 3).permutation(5).tolist()
        [1, 4, 2, 0, 3]

    References:
        numpy.random.SeedSequence; Doty-Humphrey, PractRand (SFC64), 2014.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = secrets.randbits(_SEED_BITS)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise TypeError(f"A seed must be a whole number, or None for a fresh one, got {seed!r}.")
        if seed < 0:
            raise ValueError(f"A seed must be at least 0, got {seed}.")
        self.seed = int(seed)

    def generator(self, purpose: Purpose, *indices: int) -> np.random.Generator:
        """Return the stream of a purpose at a place, from its beginning.

        Args:
            purpose: what the numbers are for.
            indices: the place: epoch, step, shard; each from 0 to 2**32 - 1.
        """
        for index in indices:
            if not 0 <= index < _INDEX_LIMIT:
                raise ValueError(f"The indices of a stream must be from 0 to 2**32 - 1, got {indices}.")
        sequence = np.random.SeedSequence(self.seed, spawn_key=(int(purpose), *indices))
        return np.random.Generator(np.random.SFC64(sequence))

    def __repr__(self) -> str:
        return f"Streams({self.seed})"
