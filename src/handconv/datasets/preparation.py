"""How the images of a data set were brought to the form in which a network takes them, in plain values.

A model that keeps them (`Preparation.as_dict` is made for a JSON header) knows later what a picture or a table that it
is asked about has to become.

    size        height and width in pixels
    channels    1: grey, 3: red, green and blue
    polarity    "light on dark", "dark on light", or "mixed": photographs, where neither is the rule
    fit         "centre": as MNIST, ink in 20x20 with its centre of mass in the middle; "pad": scaled with its
                proportions kept, the ground beside it continued; "stretch": scaled to the size
    scale       the value in the source that became 255: 255, or 16 in a table whose values go from 0 to 16
    transpose   whether rows and columns of the source were exchanged, as EMNIST's images need it
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

POLARITIES = ("light on dark", "dark on light", "mixed")
FITS = ("centre", "pad", "stretch")

_SAMPLE = 1000  # images that are looked at to tell how all were prepared
_MOST = 0.8  # the share of them that makes a rule
_LEAST_CONTRAST = 32
_BOX, _MIDDLE = 20, 13.5  # of MNIST's digits in 28 pixels


@dataclass(frozen=True)
class Preparation:
    """The form of a data set's images; the values are explained at the top of this file.

    Args:
        size: height and width.
        channels: 1 or 3.
        polarity: one of `POLARITIES`.
        fit: one of `FITS`.
        scale: above 0.
        transpose: True or False.

    Raises:
        ValueError: if a value is none of these.

    Example:
        >>> Preparation((28, 28), fit="centre").as_dict()
        {'size': [28, 28], 'channels': 1, 'polarity': 'mixed', 'fit': 'centre', 'scale': 255, 'transpose': False}
    """

    size: tuple[int, int]
    channels: int = 1
    polarity: str = "mixed"
    fit: str = "pad"
    scale: float = 255
    transpose: bool = False

    def __post_init__(self) -> None:
        for name, holds, rule in (
            ("size", _is_size(self.size), "a height and a width of at least 1"),
            ("channels", _is_whole(self.channels) and self.channels in (1, 3), "1 (grey) or 3 (colour)"),
            ("polarity", self.polarity in POLARITIES, f"one of {', '.join(POLARITIES)}"),
            ("fit", self.fit in FITS, f"one of {', '.join(FITS)}"),
            ("scale", _is_scale(self.scale), "a number above 0 and at most 65535"),
            ("transpose", isinstance(self.transpose, bool), "True or False"),
        ):
            if not holds:
                raise ValueError(f"Preparation: {name} must be {rule}, got {getattr(self, name)!r}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image, (C, H, W)."""
        return (self.channels, *self.size)

    def as_dict(self) -> dict[str, Any]:
        """Give the values as JSON has them."""
        return asdict(self) | {"size": list(self.size)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make it from what `as_dict` gave; values that are missing are the defaults.

        Raises:
            ValueError: if a value is wrong or not known, or if there is no size.

        Example:
            >>> Preparation.from_dict({"size": [8, 8], "scale": 16})
            Preparation(size=(8, 8), channels=1, polarity='mixed', fit='pad', scale=16, transpose=False)
        """
        known = {field.name for field in fields(cls)}
        size = values.get("size")
        if not isinstance(size, list | tuple) or not values.keys() <= known:
            raise ValueError(
                f"A preparation has a size and at most {', '.join(sorted(known - {'size'}))}, got {values!r}."
            )
        return cls(**{**values, "size": tuple(size)})


def measure(images: NDArray[np.uint8]) -> tuple[str, str]:
    """Tell from the images themselves whether they are light on dark, and whether they are centred as MNIST is.

    The ground is what the corners show. Images whose corners are flat and dark are light on dark; if what stands out
    from the ground lies in 20x20 pixels of 28x28, its centre of mass in the middle, they are centred.

    Shapes:
        (N, C, H, W) -> polarity, fit

    Example:
        >>> images = np.zeros((2, 1, 28, 28), np.uint8)
        >>> images[:, :, 4:24, 12:16] = 255
        >>> measure(images), measure(255 - images), measure(images[:, :, 4:])
        (('light on dark', 'centre'), ('dark on light', 'centre'), ('light on dark', 'pad'))
    """
    chosen = np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).round().astype(int)
    grey = images[chosen].mean(axis=1)  # (n, H, W)
    corners = np.concatenate(
        [grey[:, i, j] for i in (slice(0, 2), slice(-2, None)) for j in (slice(0, 2), slice(-2, None))], axis=1
    ).reshape(len(grey), -1)
    ground = np.median(corners, axis=1)
    low, high = grey.min(axis=(1, 2)), grey.max(axis=(1, 2))
    contrast = high - low
    clear = contrast >= _LEAST_CONTRAST
    if not clear.any():
        return "mixed", "pad"
    flat = (np.abs(corners - ground[:, None]) <= contrast[:, None] / 8).mean(axis=1) >= _MOST
    is_dark, is_light = (
        float(np.mean((flat & (distance <= contrast / 4))[clear])) >= _MOST
        for distance in (ground - low, high - ground)
    )
    if not (is_dark or is_light):
        return "mixed", "pad"
    ink = np.abs(grey - ground[:, None, None])[clear]
    return POLARITIES[not is_dark], "centre" if images.shape[1:] == (1, 28, 28) and _is_centred(ink) else "pad"


def _is_centred(ink: NDArray[np.float64]) -> bool:
    """Whether most inks lie within 20x20 and have their centre of mass in the middle: (n, 28, 28)."""
    centred = np.ones(len(ink), dtype=np.bool_)
    for axis in (1, 2):
        mass = ink.sum(axis=axis)  # (n, 28)
        centre = mass @ np.arange(28) / mass.sum(axis=1)
        inked = np.any(ink > _LEAST_CONTRAST, axis=axis)
        extent = 28 - inked.argmax(axis=1) - inked[:, ::-1].argmax(axis=1)
        centred &= (np.abs(centre - _MIDDLE) <= 1.1) & (extent <= _BOX)
    return bool(centred.mean() >= _MOST)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_whole(side) and side >= 1 for side in value)


def _is_scale(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 65535
