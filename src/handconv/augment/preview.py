"""A look at what an augmentation makes of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handconv.augment.base import Augmentation, Images, white
from handconv.utils.figures import new_figure
from handconv.utils.validation import check_int

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def preview(images: Images, augmentation: Augmentation, generator: np.random.Generator, count: int = 8) -> Figure:
    """Draw a grid: a row for each image, itself at the left and then what the augmentation makes of it.

    Args:
        images: (N, C, H, W) with one channel or three, floats from 0 to 1 or uint8; a few.
        augmentation: what changes them.
        generator: where all chance comes from.
        count: how many changed ones each row has, at least 1.

    Raises:
        ValueError, TypeError: if these are no such images, or no augmentation.
        MissingExtraError: if matplotlib is not installed.

    Example:
        >>> from handconv.augment import Elastic
        >>> figure = preview(np.zeros((2, 1, 28, 28)), Elastic(), np.random.default_rng(0), count=3)
        >>> len(figure.axes)  # figure.savefig("augmented.png") writes it
        8
    """
    count = check_int("preview: count", count)
    if not isinstance(augmentation, Augmentation):
        raise TypeError(f"preview expects an augmentation such as Rotate(10), got {augmentation!r}.")
    columns = [images, *(augmentation(images, generator) for _ in range(count))]
    if images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"preview draws at least one image with one channel or three, got shape {images.shape}.")
    rows = len(images)
    figure = new_figure(count + 1, rows + 0.3)
    axes = figure.subplots(rows, count + 1, squeeze=False)
    for place, column in enumerate(columns):
        for row, image in enumerate(column):
            axes[row, place].imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=white(images))
            axes[row, place].set_axis_off()
    axes[0, 0].set_title("original", fontsize=9)
    return figure
