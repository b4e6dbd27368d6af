"""How good a classifier is: overall, class by class, and where it is most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.ensemble import Classifier, with_logarithms
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.metrics import accuracy, confusion_matrix, precision_recall
from handconv.sequential import Workers
from handconv.utils.validation import is_int, unmasked


@dataclass(frozen=True)
class ClassReport:
    """One class: of the answers that named it, the share that was right; of its samples, the share that was found.

    Args:
        name: of the class.
        precision: right answers / all answers that named it.
        recall: right answers / all samples of it.
        samples: how many there are of it.
    """

    name: str
    precision: float
    recall: float
    samples: int


@dataclass(frozen=True)
class Mistake:
    """One sample that was taken for another class, with the probabilities of both.

    Args:
        row: where it stands in the samples.
        truth: the class that it is of.
        answer: the class that it was taken for.
        confidence: the probability of the answer.
        truth_probability: the probability of the truth.
    """

    row: int
    truth: int
    answer: int
    confidence: float
    truth_probability: float


@dataclass(frozen=True, eq=False)
class Report:
    """The result of an examination.

    Args:
        loss: the mean over all samples.
        accuracy: the share of right answers.
        classes: each class by itself.
        confusion: [t, p] counts the samples of class t that were taken for p.
        mistakes: the worst, with the least probability of the truth, first.
    """

    loss: float
    accuracy: float
    classes: tuple[ClassReport, ...]
    confusion: NDArray[np.int64]
    mistakes: tuple[Mistake, ...]


def report(
    model: Classifier,
    x: ArrayLike,
    y: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    worst: int = 10,
    workers: Workers = 1,
) -> Report:
    """Examine a classifier on labelled samples.

    Args:
        model: the classifier, or the ensemble.
        x: inputs (N, …).
        y: class numbers (N,).
        class_names: names of the classes; numbers stand in for those that are missing.
        worst: how many mistakes to tell, those with the highest loss (the least probability of the truth) first.
        workers: as in ``Sequential.predict``.

    Raises:
        ValueError, TypeError: if samples and model do not fit together.

    Example:
        >>> import handconv as hc
        >>> result = report(hc.zoo.reference(), np.zeros((2, 1, 28, 28), np.uint8), [0, 1])
        >>> result.accuracy, [mistake.row for mistake in result.mistakes]
        (0.5, [1])
    """
    if not is_int(worst) or worst < 0:
        raise ValueError(f"report: worst must be a whole number of at least 0, got {worst!r}.")
    labels = unmasked("y", y)
    if labels.ndim != 1:
        remedy = "y[:, 0]" if labels.shape[1:] == (1,) else "y.argmax(axis=1)"
        raise ValueError(f"y must be class numbers (N,), got labels of shape {labels.shape}. Use {remedy}.")
    chances, logarithms = with_logarithms(model, x, workers=workers)
    loss = SoftmaxCategoricalCrossentropy().forward(logarithms, labels)
    answers, places = chances.argmax(axis=1), (np.arange(len(labels)), labels)
    of_truth, wrong = chances[places], np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(logarithms[places][wrong], kind="stable")][:worst]
    confusion = confusion_matrix(chances, labels)
    names = [*class_names, *map(str, range(len(class_names), len(confusion)))]
    precision, recall = precision_recall(confusion)
    return Report(
        loss=loss,
        accuracy=accuracy(chances, labels),
        classes=tuple(
            ClassReport(name, float(p), float(r), int(samples))
            for name, p, r, samples in zip(names, precision, recall, confusion.sum(axis=1), strict=False)
        ),
        confusion=confusion,
        mistakes=tuple(
            Mistake(int(row), int(labels[row]), int(answers[row]), float(chances[row].max()), float(of_truth[row]))
            for row in wrong
        ),
    )
