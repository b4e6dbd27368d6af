"""How good answers are, in figures that people read.

    accuracy  = right answers / all                 precision[k] = right answers k / all answers k
    recall[k] = right answers k / all that are k    confusion[t, p] = how many samples of class t were answered p

The answer of K outputs is the first of the largest; that of one output is 1 above 0.5, else 0; whole numbers (N,) are
answers already. Targets are class numbers (N,) or one-hot rows (N, K), told apart by their number of axes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.integer[Any]]


def name_classes(targets: NDArray[Any]) -> bool:
    """Tell whether targets say which class a sample is of, so that an answer can be right or wrong.

    Args:
        targets: of all samples, (N, …).

    Example:
        >>> name_classes(np.array([3, 1])), name_classes(np.array([[0, 1]])), name_classes(np.array([[2.5]]))
        (True, True, False)
    """
    targets = np.asarray(targets)
    if targets.ndim == 1:
        return targets.dtype.kind in "biu"
    if targets.ndim == 2 and targets.shape[1] > 1:
        return bool((targets >= 0).all() and np.allclose(targets.sum(axis=1), 1))
    return targets.ndim == 2 and bool(np.isin(targets, (0, 1)).all())


def correct(outputs: NDArray[Any], targets: NDArray[Any]) -> int:
    """Count the right answers.

    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).

    Example:
        >>> correct(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
        1
    """
    answers, truth = _decided(outputs, targets)
    return int(np.count_nonzero(answers == truth))


def accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the share of right answers, from 0 to 1.

    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).

    Example:
        >>> accuracy(np.array([[0.1], [0.8]]), np.array([1, 1]))
        0.5
    """
    return correct(outputs, targets) / len(outputs)


def confusion_matrix(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.int64]:
    """Count how many samples of each class (row) got each answer (column): (K, K), 2 x 2 for one output.

    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).

    Raises:
        ValueError: if there are no samples, not as many of both, or a class without an output.

    Example:
        >>> confusion_matrix(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), np.array([1, 1, 0]))
        array([[0, 1],
               [1, 1]])
    """
    answers, truth = _decided(outputs, targets)
    classes = max(2, np.size(outputs) // len(outputs))
    if np.ndim(outputs) == 1:
        classes = max(classes, int(answers.max()) + 1, int(truth.max()) + 1)
    if not 0 <= truth.min() <= truth.max() < classes:
        raise ValueError(
            f"Class numbers must be from 0 to {classes - 1} for {classes} outputs, got {truth.min()} to {truth.max()}. "
            "Count classes from 0."
        )
    return np.bincount(truth * classes + answers, minlength=classes * classes).reshape(classes, classes)


def precision_recall(confusion: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall of each class (K,) each; 0 where there is nothing to divide by.

    Args:
        confusion: how many samples of each class (row) got each answer (column), (K, K).

    Example:
        >>> precision_recall(np.array([[3, 1], [0, 4]]))
        (array([1. , 0.8]), array([0.75, 1.  ]))
    """
    right = np.diagonal(confusion).astype(np.float64)
    answered, existing = confusion.sum(axis=0), confusion.sum(axis=1)
    return right / np.maximum(answered, 1), right / np.maximum(existing, 1)


def _decided(outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[Classes, Classes]:
    """Return the answer and the truth for each sample, as class numbers (N,) each."""
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if len(outputs) != len(targets) or not len(outputs):
        raise ValueError(
            f"Metrics need at least one sample and as many targets: got {len(outputs)} outputs, {len(targets)} targets."
        )
    answered = outputs.ndim == 1 and outputs.dtype.kind in "iu"
    if not answered and (outputs.ndim == 1 or outputs.shape[1:] == (1,)):
        return _is_one(outputs), _is_one(targets)
    if targets.shape[1:] == (1,):
        raise ValueError(f"Targets are class numbers (N,) or one-hot rows, got a column {targets.shape}. Use y[:, 0].")
    answers: Classes = outputs if answered else outputs.argmax(axis=1)
    return answers, targets if targets.ndim == 1 else targets.argmax(axis=1)


def _is_one(values: NDArray[Any]) -> Classes:
    return (values.reshape(len(values)) > 0.5).astype(np.int64)
