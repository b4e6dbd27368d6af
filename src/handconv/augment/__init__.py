"""Augmentation: random changes that images survive, so that a network learns what matters.

    Shift, Rotate, Scale, Shear    each image by its own random affine map
    Affine                         all four in one
    Elastic                        by a smooth random field (Simard 2003)
    HorizontalFlip, Brightness     mirrored; brighter or darker
    RandomErasing                  a rectangle covered (cutout)
    Compose                        several, one after the other

Each is a function ``augmentation(images, generator) -> images`` of arrays (N, C, H, W), floats from 0 to 1 or uint8.
All chance comes from the generator: the same state gives the same images.
"""

from collections.abc import Mapping
from typing import Any

from handconv.augment.base import Augmentation as Augmentation
from handconv.augment.compose import Compose as Compose
from handconv.augment.geometric import Affine as Affine
from handconv.augment.geometric import Elastic as Elastic
from handconv.augment.geometric import Rotate as Rotate
from handconv.augment.geometric import Scale as Scale
from handconv.augment.geometric import Shear as Shear
from handconv.augment.geometric import Shift as Shift
from handconv.augment.pixels import Brightness as Brightness
from handconv.augment.pixels import HorizontalFlip as HorizontalFlip
from handconv.augment.pixels import RandomErasing as RandomErasing
from handconv.augment.preview import preview as preview
from handconv.utils import configured

__all__ = [
    "AUGMENTATIONS",
    "Affine",
    "Augmentation",
    "Brightness",
    "Compose",
    "Elastic",
    "HorizontalFlip",
    "RandomErasing",
    "Rotate",
    "Scale",
    "Shear",
    "Shift",
    "from_config",
    "preview",
]

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    augmentation.__name__: augmentation
    for augmentation in (
        Shift, Rotate, Scale, Shear, Affine, Elastic, HorizontalFlip, Brightness, RandomErasing, Compose,
    )
}  # fmt: skip


def from_config(config: Mapping[str, Any]) -> Augmentation:
    """Make the augmentation that ``config()`` described.

    Args:
        config: the name and the arguments.

    Raises:
        ValueError, TypeError: if it names no augmentation of this package.

    Example:
        >>> from_config(Compose([Rotate(10), Elastic()]).config())
        Compose(steps=(Rotate(degrees=10.0, fill=0.0), Elastic(alpha=34.0, sigma=4.0, fill=0.0)))
    """
    return configured.from_config(config, AUGMENTATIONS, "An augmentation")
