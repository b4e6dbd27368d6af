"""What an augmentation is: a function of images and chance that returns other images with the same labels."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.utils.configured import Configured
from handconv.utils.validation import unmasked

#: Images (N, C, H, W): float32 or float64 from 0 to 1, or uint8.
Images = NDArray[Any]

_DTYPES = ("float32", "float64", "uint8")


class Augmentation(Configured, ABC):
    """A random change of images that leaves their meaning alone.

    To write your own, derive a frozen dataclass from it, and define ``_apply``.
    """

    def __call__(self, images: Images, generator: np.random.Generator) -> Images:
        """Return changed images in the dtype and memory order of those given, which stay as they are.

        The same state of the generator gives the same images.

        Args:
            images: (N, C, H, W), floats from 0 to 1 or uint8.
            generator: where all chance comes from.

        Raises:
            TypeError: if these are no images or no generator.
            ValueError: if the images have another shape or dtype, or values are masked.
        """
        label = type(self).__name__
        if not isinstance(images, np.ndarray):
            raise TypeError(f"{label} expects a NumPy array of images, got {type(images).__name__}.")
        if images.ndim != 4 or not min(images.shape[1:]):
            raise ValueError(
                f"{label} expects images (N, C, H, W), got shape {images.shape}. "
                "Flat vectors have no rows and columns: use x.reshape(-1, 1, 28, 28)."
            )
        if images.dtype.name not in _DTYPES:
            raise ValueError(
                f"{label} expects images of {', '.join(_DTYPES)}, got {images.dtype.name}. Use x.astype(np.float32)."
            )
        if not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"{label} expects a generator of NumPy's, got {type(generator).__name__}. Use np.random.default_rng(0)."
            )
        return self._apply(unmasked("images", images), generator)

    @abstractmethod
    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        """Return new images; those given are checked, and must not be changed."""

    def _check_probability(self) -> None:
        self._check("probability", lambda value: 0 <= value <= 1, "from 0 to 1")


def store(values: NDArray[np.floating[Any]], out: Images) -> None:
    """Write values to an array of images, rounded where it holds whole numbers."""
    np.copyto(out, np.rint(values) if out.dtype == np.uint8 else values, casting="unsafe")


def white(images: Images) -> float:
    """Return the number that means full brightness: 255 or 1."""
    return 255.0 if images.dtype == np.uint8 else 1.0
