"""The embedded data set: 1,797 real handwritten digits, so that everything works without a network.

They are the digits of the UCI set "Optical Recognition of Handwritten Digits" that scikit-learn carries, 8x8 pixels of
17 greys, here split once into 1,437 to train on and 360 to test with (scripts/make_digits.py), and enlarged to the
look of MNIST when they are loaded:

    big = W · small · Wᵀ           W (20, 8): cubic interpolation, the same for rows and columns
    ink = clip(1.6 · (big - 4), 0, 16) · 255 / 16          thinner, sharper strokes

    then the 20x20 ink is centred by its mass in 28x28.

References:
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49, CC BY 4.0.
"""

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers.mnist_form import BOX, frame

_GREYS = 16
_SHARPNESS, _FAINTEST = 1.6, 4.0


def load_digits_arrays() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Load the embedded digits as training images and labels, then test images and labels.

    Shapes:
        (1437, 1, 28, 28), (1437,), (360, 1, 28, 28), (360,)
    Example:
        >>> x_train, y_train, x_test, y_test = load_digits_arrays()
        >>> x_train.shape, x_train.dtype, y_test.shape
        ((1437, 1, 28, 28), dtype('uint8'), (360,))
    """
    with (
        (resources.files("handconv.datasets") / "digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return (
            _enlarge(arrays["x_train"]),
            arrays["y_train"].astype(np.int64),
            _enlarge(arrays["x_test"]),
            arrays["y_test"].astype(np.int64),
        )


def _enlarge(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge digits to the look of MNIST: (N, 8, 8) -> (N, 1, 28, 28)."""
    weights = _interpolation(small.shape[1], BOX)  # (20, 8)
    big = weights @ small @ weights.T  # (N, 20, 20)
    ink = np.clip(_SHARPNESS * (big - _FAINTEST), 0, _GREYS) * (255 / _GREYS)
    return np.stack([frame(image) for image in ink.round().astype(np.uint8)])[:, None]


def _interpolation(source: int, target: int) -> NDArray[np.float64]:
    """Make the matrix of a cubic interpolation (Catmull-Rom) that enlarges, blank beyond the edge: (target, source).

    Maths:
        k(d) = 1.5 d³ - 2.5 d² + 1            for d <= 1
        k(d) = -0.5 d³ + 2.5 d² - 4 d + 2     for 1 < d < 2, else 0
    References:
        Robert Keys, Cubic convolution interpolation for digital image processing, 1981.
    """
    positions = (np.arange(target) + 0.5) * source / target - 0.5
    d = np.abs(positions[:, None] - np.arange(source))
    near = (1.5 * d - 2.5) * d**2 + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
