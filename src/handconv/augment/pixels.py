"""Changes in place: mirrored images, other brightness, erased pieces."""

import math
from dataclasses import dataclass

import numpy as np

from handconv.augment.base import Augmentation, Images, store, white

_ROUNDING = 1e-5  # by which white may be surpassed


@dataclass(frozen=True)
class HorizontalFlip(Augmentation):
    """Mirrors some of the images, left to right. For photographs and clothes, not for digits.

    Maths:
        y[i, j] = x[i, W - 1 - j]
    Args:
        probability: of each image to be mirrored, from 0 to 1.

    Raises:
        ValueError: if the argument is out of range.

    Example:
        >>> HorizontalFlip(1.0)(np.array([[[[0, 1, 2]]]], np.uint8), np.random.default_rng(0)).tolist()
        [[[[2, 1, 0]]]]
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        self._check_probability()

    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        mirrored = generator.random(len(images)) < self.probability
        result = np.copy(images)
        result[mirrored] = images[mirrored, :, :, ::-1]
        return result


@dataclass(frozen=True)
class Brightness(Augmentation):
    """Makes each image brighter or darker; black stays black.

    Maths:
        y = min(a · x, white)        a uniform from 1 - change to 1 + change
    Args:
        change: how far from 1 the factors are at most, from 0 to 1.

    Raises:
        ValueError: if the argument is out of range, or images are brighter than white or darker than black.

    Example:
        >>> Brightness(0.5)(np.full((3, 1, 1, 1), 0.5), np.random.default_rng(0)).ravel().round(2)
        array([0.57, 0.38, 0.27])
    """

    change: float

    def __post_init__(self) -> None:
        self._check("change", lambda value: 0 <= value <= 1, "from 0 to 1")

    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        darkest, brightest = (float(find(initial=0)) for find in (images.min, images.max))
        if brightest > white(images) * (1 + _ROUNDING) or darkest < -_ROUNDING:
            extreme = brightest if darkest >= -_ROUNDING else darkest
            raise ValueError(
                f"Brightness expects floats from 0, black, to 1, white, got {extreme:g}. Augment images before they "
                "are standardised, x / 255, or give uint8."
            )
        factors = generator.uniform(1 - self.change, 1 + self.change, (len(images), 1, 1, 1))
        result = np.empty_like(images)
        store(np.minimum(images * factors.astype(np.result_type(images, np.float32)), white(images)), result)
        return result


@dataclass(frozen=True)
class RandomErasing(Augmentation):
    """Covers a random rectangle of some of the images, so that no single place decides the answer (also: cutout).

    Maths:
        y[i, j] = fill inside of the rectangle, else x[i, j]
        area uniform from smallest to largest · H · W; height / width log-uniform from 0.3 to 1 / 0.3
        The rectangle lies inside of the image wherever it fits.
    Args:
        probability: of each image to lose a rectangle, from 0 to 1.
        smallest: the least share of the image that is erased, from 0 to ``largest``.
        largest: the largest share, from 0 to 1.
        fill: the brightness of the rectangle, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> images = np.ones((100, 1, 28, 28), np.float32)
        >>> covered = RandomErasing(probability=0.3)(images, np.random.default_rng(0))
        >>> int((covered.min(axis=(1, 2, 3)) == 0).sum())
        18

    References:
        Zhong, Zheng, Kang, Li and Yang, Random erasing data augmentation, 2020, algorithm 1; DeVries and Taylor,
        Improved regularization of convolutional neural networks with cutout, 2017.
    """

    probability: float = 0.5
    smallest: float = 0.02
    largest: float = 0.2
    fill: float = 0.0

    def __post_init__(self) -> None:
        self._check_probability()
        self._check("largest", lambda value: 0 <= value <= 1, "from 0 to 1")
        self._check("smallest", lambda value: 0 <= value <= self.largest, f"from 0 to largest, {self.largest}")
        self._check("fill", lambda value: 0 <= value <= 1, "from 0 to 1")

    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        count, _, height, width = images.shape
        chosen, share, aspect, down, across = generator.random((count, 5)).T
        area = (self.smallest + (self.largest - self.smallest) * share) * (height * width)
        aspect = np.exp((2 * aspect - 1) * math.log(1 / 0.3))
        tall = np.minimum(np.rint(np.sqrt(area * aspect)), height).astype(int)
        wide = np.minimum(np.rint(np.sqrt(area / aspect)), width).astype(int)
        top = (down * (height - tall + 1)).astype(int)
        left = (across * (width - wide + 1)).astype(int)
        result, fill = np.copy(images), self.fill * white(images)
        for n in np.flatnonzero(chosen < self.probability):
            result[n, :, top[n] : top[n] + tall[n], left[n] : left[n] + wide[n]] = fill
        return result
