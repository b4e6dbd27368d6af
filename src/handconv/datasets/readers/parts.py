"""The parts of a data set by the words for them, in names of folders and files, or in a column of a table.

A part is train/, training_set1/, t10k/, Test/ or valid/, and in tables Training, PrivateTest or dev.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from handconv.datasets.readers.samples import Samples, listed
from handconv.utils.words import counted

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "t10k", "val", "valid", "validation", "dev", "eval", "evaluation")
"""The names that the parts of a data set have; "test" is preferred to "val"."""

_OF_CONTESTS = {"publictest": "val", "privatetest": "test"}  # what is shown while one lasts, and what counts


def part_of(name: str) -> str:
    """The part of a data set that a name tells, "train" for ``training_set1`` say; "" if it is none.

    Example:
        >>> [part_of(name) for name in ("Train", "test_set", "t10k", "PrivateTest", "cat", "train or test")]
        ['train', 'test', 't10k', 'test', '', '']
    """
    whole = name.casefold()
    if whole == "t10k" or whole in _OF_CONTESTS:
        return _OF_CONTESTS.get(whole, whole)
    words = re.findall(r"[^\W\d_]+", whole)
    words = [word if word in TRAIN_NAMES + TEST_NAMES else word.removesuffix("set") for word in words]
    found = [word for word in words if word in TRAIN_NAMES + TEST_NAMES]
    return found[0] if len(found) == 1 else ""


def train_and_test(parts: Sequence[str]) -> tuple[str | None, str | None]:
    """Choose what is trained on and what is tested on among these parts; None where there is no such part.

    Example:
        >>> train_and_test(["val", "test", "train"]), train_and_test(["training", "dev"]), train_and_test(["test"])
        (('train', 'test'), ('training', 'dev'), (None, 'test'))
    """
    train, test = (next((name for name in names if name in parts), None) for names in (TRAIN_NAMES, TEST_NAMES))
    return train, test


def all_parts(samples: Samples) -> tuple[str, ...]:
    """Say that all parts of a set are taken, if the table tells them apart."""
    return (f"The {samples.parts_name} is left out, all parts of the set are one.",) if samples.parts else ()


def divided(samples: Samples) -> tuple[Samples, Samples | None]:
    """Divide a table by the column that tells training from test images, if it has one that does, and say how."""
    words: dict[str, list[str]] = {}
    for word in dict.fromkeys(samples.parts):
        words.setdefault(part_of(word), []).append(word)
    chosen = train_and_test(list(words))
    if not samples.parts or None in chosen:
        return replace(samples, notices=(*samples.notices, *all_parts(samples))), None
    numbers = np.array([chosen.index(part) if (part := part_of(word)) in chosen else 2 for word in samples.parts])
    train, test = (samples.chosen(np.flatnonzero(numbers == number)) for number in range(2))
    to_train, to_test = (listed(words[str(part)]) for part in chosen)
    others = [word for part, found in words.items() if part not in chosen for word in found]
    unused = f"; {counted(int((numbers == 2).sum()), 'image')} of {listed(others)} are not used" if others else ""
    said = f"The {samples.parts_name} tells the parts: {to_train} to train on, {to_test} to test on{unused}."
    return replace(train, notices=(*samples.notices, said)), replace(test, notices=())
