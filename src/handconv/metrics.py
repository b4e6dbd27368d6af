"""How good answers are, in figures that people read.

    accuracy  = right answers / all                 precision[k] = right answers k / all answers k
    recall[k] = right answers k / all that are k    confusion[t, p] = how many samples of class t were answered p
    F1[k] = 2 · precision[k] · recall[k] / (precision[k] + recall[k])
    calibration error = the mean distance between how sure the outputs are and how often they are right

The answer of K outputs is the first of the largest; that of one output is 1 above 0.5, else 0; whole numbers (N,) are
answers already. Targets are class numbers (N,) or one-hot rows (N, K), told apart by their number of axes.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import Shape
from handconv.utils import validation
from handconv.utils.validation import check_int

Classes = NDArray[np.integer[Any]]
Average = Literal["macro", "weighted"]

_MOST_CLASSES = 10_000  # whose confusion matrix takes 800 MB


def name_classes(targets: NDArray[Any], output_shape: Shape | None = None) -> bool:
    """Tell whether targets say which class a sample is of, so that an answer can be right or wrong.

    Args:
        targets: of all samples, (N, …).
        output_shape: of one answer, (K,), if it is known: then targets must be among these K classes, or yes and no
            where K is 1. Other whole numbers, such as years, name no classes.

    Example:
        >>> name_classes(np.array([3, 1])), name_classes(np.array([[0, 1]])), name_classes(np.array([[2.5]]))
        (True, True, False)
        >>> name_classes(np.array([3, 1]), (4,)), name_classes(np.array([3, 1]), (1,))
        (True, False)
    """
    targets = np.asarray(targets)
    if targets.ndim == 1 and targets.dtype.kind not in "biu":
        return False
    if output_shape is not None:
        outputs = math.prod(output_shape)
        if len(output_shape) > 1 or math.prod(targets.shape[1:]) not in (1, outputs):
            return False
        if targets.ndim == 1 and not ((targets >= 0) & (targets < max(2, outputs))).all():
            return False
    if targets.ndim == 1:
        return True
    if targets.ndim == 2 and targets.shape[1] > 1:
        return bool((targets >= 0).all() and np.allclose(targets.sum(axis=1), 1))
    return targets.ndim == 2 and bool(np.isin(targets, (0, 1)).all())


def correct(outputs: NDArray[Any], targets: NDArray[Any]) -> int:
    """Count the right answers.

    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).

    Raises:
        ValueError: if there are no samples, not as many of both, or a class without an output.

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

    Raises:
        ValueError: if there are no samples, not as many of both, or a class without an output.

    Example:
        >>> accuracy(np.array([[0.1], [0.8]]), np.array([1, 1]))
        0.5
    """
    return correct(outputs, targets) / len(targets)


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
    if classes > _MOST_CLASSES:
        raise ValueError(
            f"A matrix of {classes:,} classes would be too large. Number them from 0, as np.unique(y, "
            "return_inverse=True)[1] does."
        )
    return np.bincount(truth * classes + answers, minlength=classes * classes).reshape(classes, classes)


def precision_recall(confusion: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall of each class (K,) each; 0 where there is nothing to divide by.

    Args:
        confusion: how many samples of each class (row) got each answer (column), (K, K).

    Raises:
        ValueError: if it is no square matrix of whole numbers.

    Example:
        >>> precision_recall(np.array([[3, 1], [0, 4]]))
        (array([1. , 0.8]), array([0.75, 1.  ]))
    """
    confusion = np.asarray(confusion)
    square = confusion.ndim == 2 and len(set(confusion.shape)) == 1
    if not square or confusion.dtype.kind not in "iu" or (confusion < 0).any():
        raise ValueError(
            f"A confusion matrix holds whole numbers (K, K) of at least 0, got {confusion.dtype} of shape "
            f"{confusion.shape}. "
            "Use confusion_matrix(outputs, targets)."
        )
    right = np.diagonal(confusion).astype(np.float64)
    answered, existing = confusion.sum(axis=0), confusion.sum(axis=1)
    return right / np.maximum(answered, 1), right / np.maximum(existing, 1)


@overload
def precision(outputs: NDArray[Any], targets: NDArray[Any], average: None = None) -> NDArray[np.float64]: ...
@overload
def precision(outputs: NDArray[Any], targets: NDArray[Any], average: Average) -> float: ...
def precision(
    outputs: NDArray[Any], targets: NDArray[Any], average: Average | None = None
) -> NDArray[np.float64] | float:
    """Return how many of the answers k are right, for each class k or as a mean: it falls with false alarms.

    Maths:
        precision[k] = right answers k / all answers k                   0 if k is never the answer
        macro: the plain mean over the classes that occur among answers or targets
        weighted: the mean weighted by how many samples each class has
    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).
        average: "macro" or "weighted" for one number; None for (K,) numbers.

    Raises:
        ValueError: if there are no samples, not as many of both, a class without an output, or no such average.

    Example:
        >>> answers, truth = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])
        >>> precision(answers, truth).round(3), round(precision(answers, truth, "macro"), 3)
        (array([1.   , 0.667]), 0.833)
    """
    confusion = confusion_matrix(outputs, targets)
    return _averaged(precision_recall(confusion)[0], confusion, average)


@overload
def recall(outputs: NDArray[Any], targets: NDArray[Any], average: None = None) -> NDArray[np.float64]: ...
@overload
def recall(outputs: NDArray[Any], targets: NDArray[Any], average: Average) -> float: ...
def recall(outputs: NDArray[Any], targets: NDArray[Any], average: Average | None = None) -> NDArray[np.float64] | float:
    """Return how many samples of class k are answered k, for each class k or as a mean: it falls with what is missed.

    Maths:
        recall[k] = right answers k / samples of class k                 0 if there are none
        macro: the plain mean over the classes that occur among answers or targets
        weighted: the mean weighted by how many samples each class has, which is the accuracy
    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).
        average: "macro" or "weighted" for one number; None for (K,) numbers.

    Raises:
        ValueError: if there are no samples, not as many of both, a class without an output, or no such average.

    Example:
        >>> answers, truth = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])
        >>> recall(answers, truth), recall(answers, truth, "macro")
        (array([0.5, 1. ]), 0.75)
    """
    confusion = confusion_matrix(outputs, targets)
    return _averaged(precision_recall(confusion)[1], confusion, average)


@overload
def f1(outputs: NDArray[Any], targets: NDArray[Any], average: None = None) -> NDArray[np.float64]: ...
@overload
def f1(outputs: NDArray[Any], targets: NDArray[Any], average: Average) -> float: ...
def f1(outputs: NDArray[Any], targets: NDArray[Any], average: Average | None = None) -> NDArray[np.float64] | float:
    """Return the F1 score, the harmonic mean of precision and recall, for each class or as a mean over the classes.

    It is high only if both are, and so it judges rare classes fairly, of which the accuracy says little.

    Maths:
        F1[k] = 2 · precision[k] · recall[k] / (precision[k] + recall[k])
              = 2 · right answers k / (answers k + samples of class k)   0 if k does not occur
        macro: the plain mean over the classes that occur among answers or targets
        weighted: the mean weighted by how many samples each class has
    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).
        average: "macro" or "weighted" for one number; None for (K,) numbers.

    Raises:
        ValueError: if there are no samples, not as many of both, a class without an output, or no such average.

    Example:
        >>> answers, truth = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])
        >>> f1(answers, truth).round(3), round(f1(answers, truth, "macro"), 3)
        (array([0.667, 0.8  ]), 0.733)

    References:
        Sokolova and Lapalme, A systematic analysis of performance measures for classification tasks, 2009, table 3.
    """
    confusion = confusion_matrix(outputs, targets)
    occurring = confusion.sum(axis=0) + confusion.sum(axis=1)
    return _averaged(2 * np.diagonal(confusion) / np.maximum(occurring, 1), confusion, average)


def matthews_correlation(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return Matthews' correlation of answers and targets: 1 if all are right, about 0 for guesses, at least -1.

    Unlike the accuracy it is not impressed by an answer that is always the most frequent class: that gives 0.

    Maths:
        (c·N - sum over k of a[k]·s[k]) / sqrt((N² - sum of a[k]²) · (N² - sum of s[k]²))
        c right answers, a[k] answers k, s[k] samples of class k; 0 if all answers, or all targets, are of one class
    Args:
        outputs: (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).

    Raises:
        ValueError: if there are no samples, not as many of both, or a class without an output.

    Example:
        >>> round(matthews_correlation(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1])), 4)
        0.5774

    References:
        Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004, equation 8.
    """
    confusion = confusion_matrix(outputs, targets).astype(np.float64)
    answers, samples, right = confusion.sum(axis=0), confusion.sum(axis=1), np.trace(confusion)
    count = samples.sum()
    product = (count**2 - answers @ answers) * (count**2 - samples @ samples)
    return float((right * count - answers @ samples) / math.sqrt(product)) if product else 0.0


def top_k_accuracy(outputs: NDArray[Any], targets: NDArray[Any], k: int = 5) -> float:
    """Return the share of samples whose class is among those with the k largest outputs, from 0 to 1.

    Of equal outputs the first counts as the larger one, so that ``k=1`` is ``accuracy``.

    Args:
        outputs: (N, K).
        targets: class numbers (N,) or one-hot (N, K).
        k: how many answers each sample has, from 1 to K.

    Raises:
        ValueError: if there is less than one output for each class, or k is out of range.

    Example:
        >>> outputs = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
        >>> top_k_accuracy(outputs, np.array([1, 2]), k=2)
        0.5
    """
    outputs = validation.unmasked("outputs", outputs)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"top_k_accuracy needs one output for each class, (N, K), got shape {outputs.shape}. Use accuracy instead."
        )
    _, truth = _decided(outputs, targets)
    if check_int("top_k_accuracy: k", k) > outputs.shape[1]:
        raise ValueError(f"top_k_accuracy: k must be at most the number of classes, {outputs.shape[1]}, got {k}.")
    own = np.take_along_axis(outputs, truth[:, None], axis=1)
    before = np.arange(outputs.shape[1]) < truth[:, None]
    larger = (outputs > own) | (before & (outputs == own))
    return float(np.mean(np.count_nonzero(larger, axis=1) < k))


def expected_calibration_error(outputs: NDArray[Any], targets: NDArray[Any], bins: int = 15) -> float:
    """Return how far the confidence of probabilities is from the accuracy, from 0 (well calibrated) to 1.

    Of all answers that are given with a probability of about 0.8, four of five should be right. Networks that were
    trained for long are often too confident.

    Maths:
        confidence[n] = max over k of p[n, k]                            (of one output p: the larger of p and 1 - p)
        bin b = the samples with confidence in ((b - 1) / bins, b / bins]
        sum over b of |b| / N · |accuracy of b - mean confidence of b|
    Args:
        outputs: probabilities (N, K), or (N,) and (N, 1) for yes or no.
        targets: class numbers (N,) or one-hot (N, K).
        bins: how many intervals of equal width the confidence is sorted into, at least 1.

    Raises:
        ValueError: if the outputs are no probabilities, or not as many as targets.

    Example:
        >>> sure = np.array([[0.75, 0.25]] * 4)
        >>> expected_calibration_error(sure, np.array([0, 0, 0, 1])), expected_calibration_error(sure, np.zeros(4, int))
        (0.0, 0.25)

    References:
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017, equation 3.
    """
    bins, outputs = check_int("expected_calibration_error: bins", bins), validation.unmasked("outputs", outputs)
    if outputs.dtype.kind != "f" or not ((outputs >= 0) & (outputs <= 1)).all():
        raise ValueError(
            f"expected_calibration_error needs probabilities from 0 to 1, got other outputs, {outputs.dtype}. "
            "Put a Softmax or a Sigmoid last."
        )
    if outputs.ndim == 2 and outputs.shape[1] > 1 and not name_classes(outputs):
        raise ValueError(
            "expected_calibration_error needs rows of probabilities that sum to 1, got others. Put a Softmax last; "
            "where each output says yes or no, take one column at a time."
        )
    answers, truth = _decided(outputs, targets)
    single = outputs.size == len(outputs)
    p = outputs.reshape(len(outputs), -1).astype(np.float64)
    confidence = np.maximum(p, 1 - p)[:, 0] if single else p.max(axis=1)
    edges = np.arange(1, bins) / bins
    distance = (answers == truth) - confidence
    bin_of = np.searchsorted(edges.astype(outputs.dtype), confidence.astype(outputs.dtype))  # 0.8 is 0.8 in float32 too
    return float(np.abs(np.bincount(bin_of, distance)).sum() / len(outputs))


def _averaged(
    scores: NDArray[np.float64], confusion: NDArray[np.int64], average: Average | None
) -> NDArray[np.float64] | float:
    """Return the scores (K,) themselves, or their mean over the classes."""
    if average is None:
        return scores
    if average not in ("macro", "weighted"):
        raise ValueError(f'An average of metrics must be "macro", "weighted" or None, got {average!r}.')
    samples = confusion.sum(axis=1)
    weights = samples if average == "weighted" else confusion.sum(axis=0) + samples > 0
    return float(np.average(scores, weights=weights))


def _decided(outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[Classes, Classes]:
    """Return the answer and the truth for each sample, as class numbers (N,) each."""
    outputs, targets = validation.unmasked("outputs", outputs), validation.unmasked("targets", targets)
    if outputs.ndim not in (1, 2) or outputs.dtype.kind not in "biuf" or outputs.shape[1:] == (0,):
        raise ValueError(
            f"Metrics take outputs (N, K), or answers (N,), that are numbers; got {outputs.dtype} of shape "
            f"{outputs.shape}. Flatten the network's outputs."
        )
    if targets.shape[:1] != outputs.shape[:1] or not len(outputs):
        received = len(targets) if targets.ndim else "a single number as"
        raise ValueError(
            f"Metrics need at least one sample and as many targets: got {len(outputs)} outputs, {received} targets."
        )
    wrong = np.isnan(outputs.reshape(len(outputs), -1)).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"An answer is the largest output, and those of sample {wrong.argmax()} are not numbers, "
            f"{outputs[wrong.argmax()]}. Find out where the network diverged."
        )
    answered = outputs.ndim == 1 and outputs.dtype.kind in "iu"
    if not answered and (outputs.ndim == 1 or outputs.shape[1] == 1):
        return _is_one(outputs), _is_one(_yes_or_no(targets))
    if answered:
        rows = targets.ndim == 2 and targets.shape[1] > 1
        truth = _largest(targets) if rows else targets
        if rows and not np.isin(targets, (0, 1)).all():
            raise ValueError(
                "Metrics take the outputs first, then the targets; got class numbers, and then rows of shares, as "
                "outputs are. Exchange them, or give targets.argmax(axis=1)."
            )
        return _class_numbers(outputs, None), _class_numbers(truth, None)
    answers: Classes = outputs.argmax(axis=1)
    truth = _largest(targets) if targets.shape == outputs.shape else targets
    return answers, _class_numbers(truth, outputs.shape[1])


def _largest(targets: NDArray[Any]) -> Classes:
    """The class that each row of targets names."""
    if targets.dtype.kind not in "biuf" or not name_classes(targets):
        raise ValueError(
            "Rows of targets name a class where they are at least 0 and sum to 1, as one-hot rows do, got others. "
            "Several labels a sample? Judge one column at a time."
        )
    classes: Classes = targets.argmax(axis=1)
    return classes


def _class_numbers(truth: NDArray[Any], classes: int | None) -> Classes:
    """Check class numbers (N,), below the number of classes if that is known."""
    if truth.ndim != 1:
        what = f"a column {truth.shape}. Use y[:, 0]." if truth.shape[1:] == (1,) else f"shape {truth.shape}."
        rows = "one-hot rows" if classes is None else f"one-hot rows (N, {classes})"
        raise ValueError(f"Targets are class numbers (N,) or {rows}, got {what}")
    if truth.dtype.kind not in "biu":
        remedy = "np.unique(y, return_inverse=True)[1]" if truth.dtype.kind in "UOS" else "y.astype(int)"
        raise ValueError(f"Class numbers must be whole numbers, got {truth.dtype}. Use {remedy}.")
    least, most = int(truth.min()), int(truth.max())
    if least < 0 or (classes is not None and most >= classes):
        rule = "at least 0" if classes is None else f"from 0 to {classes - 1} for {classes} outputs"
        raise ValueError(f"Class numbers must be {rule}, got {least} to {most}. Count classes from 0.")
    return truth.astype(np.int64, copy=False)  # small types would overflow in sums


def _yes_or_no(targets: NDArray[Any]) -> NDArray[Any]:
    """Check the truth for one output: numbers from 0 to 1, (N,) or (N, 1)."""
    if targets.shape[1:] not in ((), (1,)) or targets.dtype.kind not in "biuf":
        raise ValueError(
            f"One output is judged by one number from 0 to 1 a sample, got {targets.dtype} of shape {targets.shape}. "
            "For more classes give an output for each, or answers as whole numbers, answers.astype(int)."
        )
    if not ((targets >= 0) & (targets <= 1)).all():
        raise ValueError(
            f"One output is judged by numbers from 0 to 1, got {targets.min()} to {targets.max()}. "
            "For more classes give an output for each, or answers as whole numbers, answers.astype(int)."
        )
    return targets


def _is_one(values: NDArray[Any]) -> Classes:
    """Whether a number says yes."""
    return (values.reshape(len(values)) > 0.5).astype(np.int64)
