"""Checks of arguments that layers and networks share."""

from collections.abc import Sequence

from handconv.geometry import Pair
from handconv.utils.validation import is_int


def pair(owner: str, name: str, value: int | Sequence[int], *, least: int = 1) -> Pair:
    """Read 3 as (3, 3), and check that both numbers are whole and at least ``least``."""
    both = (value, value) if is_int(value) else tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(both) != 2 or not all(is_int(number) and number >= least for number in both):
        raise ValueError(
            f"{owner}: {name} must be a whole number of at least {least} or a pair of them (rows, columns), "
            f"got {value!r}."
        )
    return int(both[0]), int(both[1])


def padding_of(owner: str, value: int | Sequence[int] | str) -> Pair | str:
    """Read a padding: a number, a pair, "same" or "valid"."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f'{owner}: padding must be a number, a pair, "same" or "valid", got {value!r}.')
        return value
    return pair(owner, "padding", value, least=0)


def sample_shape(input_shape: object) -> tuple[int, ...]:
    """Check the shape of one sample."""
    sizes = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    if not sizes or not all(is_int(size) and size >= 1 for size in sizes):
        raise ValueError(f"input_shape must be whole numbers of at least 1, as in (1, 28, 28); got {input_shape!r}.")
    return tuple(int(size) for size in sizes)


def image_shape(owner: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Check that one sample is an image (C, H, W)."""
    if len(shape) != 3:
        raise ValueError(
            f"{owner} expects images (N, C, H, W), got samples of shape {shape}. "
            "Give grey images a channel axis, x[:, None], or put a Reshape before."
        )
    return shape[0], shape[1], shape[2]
