"""What the tests of augmentations share: one of each, images, and a generator that returns what it is told."""

from typing import Any

import numpy as np
import pytest

from handconv.augment import (
    Affine,
    Augmentation,
    Brightness,
    Compose,
    Elastic,
    HorizontalFlip,
    RandomErasing,
    Rotate,
    Scale,
    Shear,
    Shift,
)

EXAMPLES: list[Augmentation] = [
    Shift(2.5),
    Rotate(15, fill=0.25),
    Scale(0.2),
    Shear(10),
    Affine(shift=2, rotate=10, scale=0.1, shear=5, fill=0.5),
    Elastic(20, 3),
    HorizontalFlip(),
    Brightness(0.4),
    RandomErasing(),
    Compose([Affine(rotate=10), Elastic(), HorizontalFlip(), RandomErasing(fill=1), Compose([Brightness(0.1)])]),
]

every_augmentation = pytest.mark.parametrize("augmentation", EXAMPLES, ids=lambda one: type(one).__name__)


def some_images(rng: np.random.Generator, shape: tuple[int, ...] = (5, 2, 9, 7), dtype: Any = np.float64) -> np.ndarray:
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.random(shape).astype(dtype)


class Told(np.random.Generator):
    """A generator all of whose uniform numbers are at one share of the way from the least to the largest."""

    def __init__(self, share: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.share = share

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return np.full(size, low + self.share * (high - low))

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return np.full(size, self.share, dtype)
