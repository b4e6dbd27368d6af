"""Changes of place: the pixels of an image stay what they are and move, together or each a little elsewhere.

Places are (row, column), measured from the centre of the image:

    new place = R · shear · scale · old place + shift
    old place = scale⁻¹ · shear⁻¹ · R⁻¹ · (new place - shift)

    R = (cos a  -sin a)    shear = (  1    0)    scale = (s_row     0    )
        (sin a   cos a)            (tan b  1)            (  0    s_column)
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.augment.base import Augmentation, Images, white
from handconv.augment.resampling import Maps, resample
from handconv.utils.validation import NOT_NEGATIVE, SHARE


class Geometric(Augmentation):
    """An augmentation that moves pixels. ``Compose`` makes one map of several that follow each other."""

    fill: float

    def __post_init__(self) -> None:
        self._check("fill", lambda value: 0 <= value <= 1, "from 0 to 1")

    @abstractmethod
    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw a map for each image.

        Args:
            shape: of the images, (N, C, H, W).
            generator: where all chance comes from.
        """

    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        return resample(images, self.draw_maps(images.shape, generator), self.fill * white(images))


@dataclass(frozen=True)
class Shift(Geometric):
    """Moves each image down or up, and right or left.

    Maths:
        y[i, j] = x[i - a, j - b]        a, b uniform from -pixels to pixels, fractions included
    Args:
        pixels: how far at most, at least 0.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> white = np.ones((1, 1, 3, 3))
        >>> Shift(1.0)(white, np.random.default_rng(0))[0, 0].round(2)  # 0.27 down, 0.46 to the left
        array([[0.73, 0.73, 0.39],
               [1.  , 1.  , 0.54],
               [1.  , 1.  , 0.54]])
    """

    pixels: float
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pixels", *NOT_NEGATIVE)

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw two numbers for each image."""
        return Maps(affine_matrices(shift=self.pixels * _uniform(generator, 2, shape[0])))


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turns each image about its centre.

    Maths:
        (i, j) -> (i · cos a - j · sin a, i · sin a + j · cos a)        a uniform from -degrees to degrees
    Args:
        degrees: how far at most, from 0 to 180. A 6 that is turned by more than about 45 becomes a 9 in time.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> line = np.array([[[[0.0, 0, 0], [1, 1, 1], [0, 0, 0]]]])
        >>> Rotate(90)(line, np.random.default_rng(0))[0, 0].round(2)  # by 25 degrees, counter-clockwise
        array([[0.  , 0.09, 0.34],
               [0.58, 1.  , 0.58],
               [0.34, 0.09, 0.  ]])
    """

    degrees: float
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("degrees", lambda value: 0 <= value <= 180, "from 0 to 180")

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw one number for each image."""
        return Maps(affine_matrices(rotation=self.degrees * _uniform(generator, 1, shape[0])[0]))


@dataclass(frozen=True)
class Scale(Geometric):
    """Makes each image larger or smaller, its height and its width each by a factor of its own.

    Maths:
        (i, j) -> (a · i, b · j)        a, b uniform from 1 - change to 1 + change
    Args:
        change: how far from 1 the factors are at most, at least 0 and below 1.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> point = np.array([[[[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]]])
        >>> Scale(0.5)(point, np.random.default_rng(0))[0, 0].round(2)  # 1.14 times as high, 0.77 times as wide
        array([[0.  , 0.12, 0.  ],
               [0.  , 1.  , 0.  ],
               [0.  , 0.12, 0.  ]])
    """

    change: float
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("change", *SHARE)

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw two numbers for each image."""
        return Maps(affine_matrices(scale=1 + self.change * _uniform(generator, 2, shape[0])))


@dataclass(frozen=True)
class Shear(Geometric):
    """Slants each image to the left or to the right, as italics are.

    Maths:
        (i, j) -> (i, j + tan a · i)        a uniform from -degrees to degrees
    Args:
        degrees: how far at most, from 0 to 60.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> stroke = np.zeros((1, 1, 3, 5))
        >>> stroke[..., 2] = 1
        >>> Shear(45)(stroke, np.random.default_rng(0))[0, 0].round(2)
        array([[0.  , 0.22, 0.78, 0.  , 0.  ],
               [0.  , 0.  , 1.  , 0.  , 0.  ],
               [0.  , 0.  , 0.78, 0.22, 0.  ]])
    """

    degrees: float
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("degrees", lambda value: 0 <= value <= 60, "from 0 to 60")

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw one number for each image."""
        return Maps(affine_matrices(slant=self.degrees * _uniform(generator, 1, shape[0])[0]))


@dataclass(frozen=True)
class Affine(Geometric):
    """Scales, slants, turns and shifts each image, in this order, at the cost of one of them.

    Maths:
        new place = R · shear · scale · old place + shift
    Args:
        shift: as of ``Shift``, in pixels.
        rotate: as of ``Rotate``, in degrees.
        scale: as of ``Scale``, how far from 1.
        shear: as of ``Shear``, in degrees.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> stroke = np.zeros((1, 1, 3, 5))
        >>> stroke[..., 2] = 1
        >>> Affine(shift=1, rotate=10, scale=0.1, shear=5)(stroke, np.random.default_rng(0))[0, 0].round(2)
        array([[0.  , 0.27, 0.35, 0.  , 0.  ],
               [0.  , 0.47, 0.59, 0.  , 0.  ],
               [0.  , 0.55, 0.51, 0.  , 0.  ]])

    References:
        Cireşan, Meier, Gambardella and Schmidhuber, Deep, big, simple neural nets for handwritten digit recognition,
        2010, section 2.3 (which sizes suit digits).
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("shift", *NOT_NEGATIVE)
        self._check("rotate", lambda value: 0 <= value <= 180, "from 0 to 180")
        self._check("scale", *SHARE)
        self._check("shear", lambda value: 0 <= value <= 60, "from 0 to 60")

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw six numbers for each image."""
        chance = _uniform(generator, 6, shape[0])
        return Maps(
            affine_matrices(
                shift=self.shift * chance[:2],
                rotation=self.rotate * chance[2],
                scale=1 + self.scale * chance[3:5],
                slant=self.shear * chance[5],
            )
        )


@dataclass(frozen=True)
class Elastic(Geometric):
    """Moves the pixels of each image by a smooth random field, as an unsteady hand would.

    The strongest augmentation for handwriting. ``sigma`` is how smooth the field is: below about 2 strokes crumble, far
    above 10 the image only shifts. The displacements have a standard deviation of alpha / (2 · sigma · sqrt(3π)) pixels
    in each direction, 1.4 for the defaults.

    Maths:
        y[i, j] = x[i + d_row[i, j], j + d_column[i, j]]
        d = alpha · (noise, uniform from -1 to 1, smoothed by a Gaussian of standard deviation sigma and sum 1)

        That much noise is mostly smoothed away. The same field, but for 1e-4 of its covariance, is a sum of bumps that
        stand sigma apart, beyond the border too, with z from N(0, 1):
        d = alpha / (2 · sigma · sqrt(3π)) · B z Bᵀ
        B[i, k] = exp(-(i - k · sigma)² / (2 · sigma²)), rows of length 1
    Args:
        alpha: how strong the field is, at least 0.
        sigma: how smooth it is, in pixels, from 0.5 to 1000.
        fill: the brightness of what comes in from beyond the border, from 0 to 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> stroke = np.zeros((1, 1, 3, 5))
        >>> stroke[..., 2] = 1
        >>> Elastic(alpha=8, sigma=2)(stroke, np.random.default_rng(0))[0, 0].round(2)
        array([[0.  , 0.22, 0.69, 0.  , 0.  ],
               [0.  , 0.63, 0.3 , 0.  , 0.  ],
               [0.  , 0.51, 0.  , 0.  , 0.  ]])

    References:
        Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to visual document
        analysis, 2003, section 2 (with its alpha and sigma).
    """

    alpha: float = 34.0
    sigma: float = 4.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("alpha", *NOT_NEGATIVE)
        self._check("sigma", lambda value: 0.5 <= value <= 1000, "from 0.5 to 1000")

    def draw_maps(self, shape: tuple[int, ...], generator: np.random.Generator) -> Maps:
        """Draw two fields for each image."""
        count, _, height, width = shape
        strength = self.alpha / (2 * self.sigma * math.sqrt(3 * math.pi))
        rows = (strength * _bumps(height, self.sigma)).astype(np.float32)  # (H, K)
        columns = _bumps(width, self.sigma).astype(np.float32)  # (W, L)
        noise = generator.standard_normal((2, rows.shape[1], columns.shape[1] * count), np.float32)
        smoothed = (rows @ noise).reshape(2, height, columns.shape[1], count).transpose(0, 3, 1, 2)  # (2, N, H, L)
        field = smoothed.reshape(-1, columns.shape[1]) @ columns.T
        return Maps(np.tile(np.eye(3), (count, 1, 1)), np.asarray(field, np.float32).reshape(2, count, height, width))


def affine_matrices(
    *, shift: ArrayLike = 0.0, rotation: ArrayLike = 0.0, scale: ArrayLike = 1.0, slant: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Return the matrices (N, 3, 3) from new places to old ones.

    Args:
        shift: (2, N), in rows and columns.
        rotation: (N,), in degrees, counter-clockwise.
        scale: (2, N), of height and width.
        slant: (N,), in degrees.
    """
    (down, across), (tall, wide) = (np.broadcast_to(pair, (2, *np.shape(pair)[1:])) for pair in (shift, scale))
    cos, sin, tan = np.cos(np.radians(rotation)), np.sin(np.radians(rotation)), np.tan(np.radians(slant))
    a, b = cos / tall, sin / tall
    c, d = -(tan * cos + sin) / wide, (cos - tan * sin) / wide
    entries = (a, b, -(a * down + b * across), c, d, -(c * down + d * across), 0.0, 0.0, 1.0)
    matrices = np.empty((np.broadcast(*entries).size, 3, 3))
    for place, values in enumerate(entries):
        matrices.reshape(-1, 9)[:, place] = values
    return matrices


def _uniform(generator: np.random.Generator, numbers: int, count: int) -> NDArray[np.float64]:
    """Draw numbers from -1 to 1: (numbers, N)."""
    return generator.uniform(-1, 1, (count, numbers)).T


def _bumps(size: int, sigma: float) -> NDArray[np.float64]:
    """Return Gaussian bumps of width sigma, sigma apart, from three sigma before an axis to three behind: (size, K)."""
    count = math.ceil((size - 1) / sigma) + 7
    places = (np.arange(count) - (count - 1) / 2) * sigma
    distances = np.arange(size)[:, None] - (size - 1) / 2 - places
    bumps: NDArray[np.float64] = np.exp(-(distances**2) / (2 * sigma**2))
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    return bumps
