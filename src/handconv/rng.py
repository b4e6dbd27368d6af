"""Everything random, from one seed.

    numbers(purpose, i, j, …) = Philox(key = hash of the seed, counter = (purpose, i, j, …))

Each use of chance has a stream of its own, named by its purpose and by where in training it happens: the order of the
samples by the epoch, a dropout mask by the epoch, the step and the shard. Philox is a function of key and counter: no
stream is handed on, none is consumed. Whoever knows the seed and the place gets the same numbers, in any order, in any
process, and after a resume. A checkpoint needs the seed and the place alone.
"""

import os
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEED_BITS = 53  # what every JSON reader keeps exactly
_PLACES = 4  # the most indices of a place; two of them share a word of Philox's counter
_INDEX_LIMIT = 1 << 32
_LARGEST = (1 << 64) - 1


class Purpose(IntEnum):
    """What chance is used for. The numbers are part of every run's reproducibility: never change one."""

    INITIALIZE = 0
    SHUFFLE = 1
    SPLIT = 2
    DROPOUT = 3
    AUGMENT = 4
    STATISTICS = 5


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
        [1, 0, 3, 2, 4]
        >>> Streams(7).generator(Purpose.SHUFFLE, 3).permutation(5).tolist()
        [1, 0, 3, 2, 4]

    References:
        Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011, section 3 (Philox).
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = settled_seed(seed)
        self._key = np.random.SeedSequence(self.seed).generate_state(2, np.uint64)
        self._state = np.random.Philox(key=self._key).state  # from which nothing was drawn

    def generator(self, purpose: Purpose, *indices: int) -> "np.random.Generator":
        """Return the stream of a purpose at a place, from its beginning.

        Args:
            purpose: what the numbers are for.
            indices: the place: epoch, step, shard; at most four, each from 0 to 2**32 - 1.
        """
        return np.random.Generator(np.random.Philox(key=self._key, counter=self._counter(purpose, indices)))

    def enter(self, generator: "np.random.Generator", purpose: Purpose, *indices: int) -> None:
        """Move a generator that ``generator`` returned to another place: far quicker than a new one."""
        self._state["state"]["counter"] = self._counter(purpose, indices)
        generator.bit_generator.state = self._state

    def _counter(self, purpose: Purpose, indices: tuple[int, ...]) -> NDArray[np.uint64]:
        """The first word counts the numbers of the stream; the others tell the place and how many indices it has."""
        if len(indices) > _PLACES or (indices and not 0 <= min(indices) <= max(indices) < _INDEX_LIMIT):
            raise ValueError(f"A stream's place is at most {_PLACES} indices from 0 to 2**32 - 1, got {indices}.")
        i, j, k, m = (*map(int, indices), *[0] * (_PLACES - len(indices)))
        return np.array([0, i | j << 32, k | m << 32, int(purpose) | len(indices) << 32], np.uint64)

    def __repr__(self) -> str:
        return f"Streams({self.seed})"


def settled_seed(seed: int | None) -> int:
    """Return the seed, or a fresh one for None.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is negative.
    """
    if seed is None:
        return int.from_bytes(os.urandom(8), "big") >> (64 - _SEED_BITS)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"A seed must be a whole number, or None for a fresh one, got {seed!r}.")
    if seed < 0:
        raise ValueError(f"A seed must be at least 0, got {seed}.")
    return int(seed)


def random_bits(generator: "np.random.Generator", count: int) -> NDArray[np.uint64]:
    """Draw words of 64 random bits, raw where the generator makes just those.

    Raises:
        TypeError: if it is no ``np.random.Generator``; a ``RandomState`` is none.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"Random numbers come from np.random.default_rng(seed), got {type(generator).__name__}.")
    if isinstance(generator.bit_generator, np.random.MT19937):  # makes 32
        return generator.integers(0, _LARGEST, count, np.uint64, endpoint=True)
    words: NDArray[np.uint64] = generator.bit_generator.random_raw(count)
    return words


def mask_from_bits(words: NDArray[np.uint64], rate: float, out: NDArray[Any]) -> None:
    """Write 0 with probability ``rate`` and else 1 to ``out``, from 16 bits a number: far quicker than random floats.

    Args:
        words: random bits, at least 16 for each number.
        rate: the probability of 0, at least 0 and below 1; rounded to a multiple of 1/65536.
        out: contiguous, of bools or floats.
    """
    out[...] = words.view(np.uint16)[: out.size].reshape(out.shape) >= round(rate * (1 << 16))


def random_mask(generator: "np.random.Generator", shape: tuple[int, ...], rate: float) -> NDArray[np.bool_]:
    """Draw a mask (N, …) that is False with probability ``rate``.

    The bits are used in the order (D, N), or (H, C, W, N) for images, whatever the memory order of the inputs, so that
    a layer's page and the engine draw the same mask.

    Args:
        generator: where the bits come from.
        shape: (N, …) or (N, C, H, W).
        rate: the probability of False.

    Example:
        >>> random_mask(Streams(0).generator(Purpose.DROPOUT), (2, 4), 0.5).shape
        (2, 4)
    """
    axes = (2, 1, 3, 0) if len(shape) == 4 else (*range(1, len(shape)), 0)
    mask = np.empty([shape[axis] for axis in axes], np.bool_)
    mask_from_bits(random_bits(generator, -(-mask.size // 4)), rate, mask)
    return mask.transpose(np.argsort(axes))
