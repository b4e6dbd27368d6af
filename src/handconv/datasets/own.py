"""From what a reader found to a data set: parts with the same classes, pixels over the whole range, the preparation."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.dataset import TEST_SHARE, Dataset, hold_out
from handconv.datasets.paths import user_path
from handconv.datasets.preparation import Preparation, measure
from handconv.datasets.readers.samples import Samples, listed
from handconv.datasets.sources import Report
from handconv.errors import DataError

_TOPS = (1, 15, 16)  # the largest value of images of 2, 16 and 17 shades
_DARK = 64


def own_dataset(
    name: str,
    train: Samples,
    test: Samples | None = None,
    *,
    transpose: bool = False,
    scale: float | None = None,
    held_out: bool = True,
    notices: Sequence[str] = (),
    report: Report | None = None,
) -> Dataset:
    """Make a data set of the user's own images; without a test part one image in five of each class is held out.

    Args:
        name: the path, as it was given.
        train: the images to train on, with labels.
        test: the images to test on; their classes are among those of ``train``.
        transpose: exchange rows and columns.
        scale: the value that becomes 255; told from the images if not given.
        held_out: without a test part, whether one image in five is held out; if not, all of them are to test on.
        notices: what was said before.
        report: called with each notice.

    Raises:
        DataError: if the parts do not fit together, or no test set can be held out.
    """
    said = [*notices, *train.notices, *(test.notices if test is not None else ())]
    top = max(int(part.images.max()) for part in (train, test) if part is not None)
    scale = scale or (top if top in _TOPS else 255)
    if train.scale == 255 and top > scale:
        raise DataError(f"{name}: the pixels must go from 0 to {scale:g}, as those before, got {top}. Divide them.")
    train = _brought(train, scale, transpose)
    test = None if test is None else _brought(test, scale, transpose)
    assert train.labels is not None
    if train.scale != 255 and top in _TOPS:
        said.append(f"The pixels go from 0 to {top}; they are stretched to 0 to 255.")
    elif 0 < top < _DARK and train.scale == 255:
        said.append(f"The images are dark: their brightest pixel is {top} of 255.")
    if len(train.class_names) == 1:
        said.append(f"There is only one class, {train.class_names[0]!r}.")
    said += [
        f"The classes {listed(names)} differ in capitals alone. If they are one, write their names alike."
        for names in _alike(train.class_names)
    ]
    polarity, fit = measure(train.images)
    preparation = Preparation(
        size=train.images.shape[2:],
        channels=train.images.shape[1],
        polarity=polarity,
        fit=fit,
        scale=train.scale,
        transpose=transpose,
    )
    if test is None and held_out:
        chosen, others = hold_out(train.labels)
        parts = train.images[chosen], train.labels[chosen], train.images[others], train.labels[others]
        said.append(f"One image in {TEST_SHARE} of each class is held out to test on: {len(others):,} of them.")
    elif test is None:
        parts = train.images[:0], train.labels[:0], train.images, train.labels
    else:
        parts = train.images, train.labels, test.images, _numbered_as(train, test)
    for line in said:
        if report is not None:
            report(line)
    path = user_path(name)
    source = f"{'folder' if path.is_dir() else 'file'} {path}"
    return Dataset(name, source, *parts, train.class_names, tuple(said), preparation)


def _alike(class_names: Iterable[str]) -> list[list[str]]:
    """The names, of more than one letter, that differ in capitals alone."""
    groups: dict[str, list[str]] = {}
    for name in class_names:
        groups.setdefault(name.casefold(), []).append(name)
    return [names for names in groups.values() if len(names) > 1 and len(names[0]) > 1]


def _brought(part: Samples, scale: float, transpose: bool) -> Samples:
    """Exchange rows and columns; stretch images of few shades over the whole range."""
    if transpose:
        part = replace(part, images=np.ascontiguousarray(part.images.swapaxes(2, 3)))
    if part.scale == 255 != scale:
        shades = (np.arange(int(scale) + 1) * (255 / scale)).round().astype(np.uint8)
        part = replace(part, images=shades[part.images], scale=scale)
    return part


def _numbered_as(train: Samples, test: Samples) -> NDArray[np.int64]:
    """The labels of the test part by the class numbers of the training part."""
    assert train.labels is not None
    assert test.labels is not None
    known, tested = (
        [part.class_names[label] for label in np.unique(labels)]
        for part, labels in ((train, train.labels), (test, test.labels))
    )
    if unknown := [name for name in tested if name not in known]:
        raise DataError(
            f"Every class of the test part must be one of the training part, {listed(known)}; got {listed(unknown)} "
            "too. Rename or move their images."
        )
    return np.array([train.class_names.index(name) for name in test.class_names], dtype=np.int64)[test.labels]
