"""Several augmentations, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handconv.augment.base import Augmentation, Images, white
from handconv.augment.geometric import Geometric
from handconv.augment.resampling import Maps, resample


@dataclass(frozen=True)
class Compose(Augmentation):
    """Does several augmentations in their order.

    Geometric ones that follow each other, with the same ``fill``, are made into one map and read once: that is quicker
    and sharper, and nothing is lost beyond the border in between. ``Elastic`` can only be the last of such a row, so
    put it behind the affine ones.

    Args:
        steps: the augmentations, at least one.

    Raises:
        TypeError: if a step is no augmentation.
        ValueError: if there is none.

    Example:
        >>> from handconv.augment import Elastic, RandomErasing, Rotate
        >>> images = np.ones((8, 1, 28, 28), np.float32)
        >>> augmentation = Compose([Rotate(10), Elastic(), RandomErasing(1.0)])
        >>> changed = augmentation(images, np.random.default_rng(0))
        >>> int(changed[:, :, 10:18, 10:18].min() == 0), float(changed.max())
        (1, 1.0)
    """

    steps: Sequence[Augmentation]

    def __post_init__(self) -> None:
        if not isinstance(self.steps, list | tuple) or not all(isinstance(step, Augmentation) for step in self.steps):
            raise TypeError(f"Compose: steps must be a list of augmentations, got {self.steps!r}.")
        if not self.steps:
            raise ValueError("Compose: steps must have at least one augmentation, got none.")
        object.__setattr__(self, "steps", tuple(self.steps))

    def _apply(self, images: Images, generator: np.random.Generator) -> Images:
        pending: tuple[Maps, float] | None = None  # drawn and not read yet, and what is beyond the border
        for step in self.steps:
            if not isinstance(step, Geometric):
                images, pending = step(_read(images, pending), generator), None
                continue
            drawn = step.draw_maps(images.shape, generator)
            if pending is not None and pending[0].displacements is None and pending[1] == step.fill:
                drawn = drawn.after(pending[0])
            else:
                images = _read(images, pending)
            pending = drawn, step.fill
        return _read(images, pending)


def _read(images: Images, pending: tuple[Maps, float] | None) -> Images:
    return images if pending is None else resample(images, pending[0], pending[1] * white(images))
