"""What a reader found in a file or a folder: images, their classes, and what it did to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_LISTED = 12  # class names in a message


@dataclass(frozen=True, eq=False)
class Samples:
    """Images with their class numbers.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), places in ``class_names``; None if the source has none.
        class_names: the names of the classes that are there, in order.
        notices: one line for each thing that was taken for granted, changed or left out.
        scale: the value in the source that became 255.
        ids: what the source numbers or names its images by, as it is written; empty if it does not.
        ids_name: what the source calls that.
        parts: the part of the set that each image is in, as it is written; empty if the source does not tell.
        parts_name: what the source calls that.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    notices: tuple[str, ...] = ()
    scale: float = 255
    ids: tuple[str, ...] = ()
    ids_name: str = ""
    parts: tuple[str, ...] = ()
    parts_name: str = ""

    def chosen(self, places: NDArray[np.int64]) -> "Samples":
        """Some of the images, with the classes that are among them; what was said of them all stays said."""
        labels, names = self.labels, self.class_names
        if labels is not None:
            there, labels = np.unique(labels[places], return_inverse=True)
            names = tuple(names[label] for label in there.tolist())
        return replace(self, images=self.images[places], labels=labels, class_names=names, ids=(), parts=())


def number_classes(labels: Sequence[str] | NDArray[np.integer]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes that are there, numbers by their size, then texts by the alphabet.

    Shapes:
        (N,) -> class numbers (N,), the names of the classes

    Example:
        >>> number_classes(np.array([7, 5, 7])), number_classes(["dog", "10", "9", "dog"])[1]
        ((array([1, 0, 1]), ('5', '7')), ('9', '10', 'dog'))
    """
    if isinstance(labels, np.ndarray):
        present, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int64).reshape(-1), tuple(map(str, present.tolist()))
    names = sorted(set(labels), key=class_order)
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[label] for label in labels], dtype=np.int64), tuple(names)


def class_order(name: str) -> tuple[int, int, str]:
    """By what the names of classes are sorted: numbers by their size, then texts by the alphabet.

    Example:
        >>> sorted(["dog", "10", "cat", "9"], key=class_order)
        ['9', '10', 'cat', 'dog']
    """
    return (0, int(name), name) if is_whole(name) else (1, 0, name)


def is_whole(text: str) -> bool:
    """Whether a text is a whole number as int() reads it, of a size that anything has.

    Example:
        >>> [is_whole(text) for text in ("-12", "1.5", "²", "9" * 50)]
        [True, False, False, False]
    """
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18


def listed(names: Sequence[str]) -> str:
    """List names in a message, and not too many of them.

    Example:
        >>> listed(["cat", "dog"]), listed([str(i) for i in range(40)])
        ('cat, dog', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … and 30 more')
    """
    if len(names) <= _LISTED:
        return ", ".join(names)
    return f"{', '.join(names[: _LISTED - 2])}, … and {len(names) - _LISTED + 2} more"
