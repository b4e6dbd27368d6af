"""Metrics on cases counted by hand, and against scikit-learn where it is."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handconv.metrics import (
    accuracy,
    confusion_matrix,
    correct,
    expected_calibration_error,
    f1,
    matthews_correlation,
    name_classes,
    precision,
    precision_recall,
    recall,
    top_k_accuracy,
)

OUTPUTS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
ANSWERS = [0, 1, 2, 0, 1]
TRUTH = np.array([0, 1, 2, 1, 2])  # three right; a 1 was taken for 0, a 2 for 1


def test_correct_counts_right_answers() -> None:
    assert correct(OUTPUTS, TRUTH) == 3
    assert isinstance(correct(OUTPUTS, TRUTH), int)


def test_accuracy_is_their_share() -> None:
    assert accuracy(OUTPUTS, TRUTH) == 0.6


def test_one_hot_targets_count_as_class_numbers() -> None:
    assert correct(OUTPUTS, np.eye(3)[TRUTH]) == 3
    np.testing.assert_array_equal(confusion_matrix(OUTPUTS, np.eye(3)[TRUTH]), confusion_matrix(OUTPUTS, TRUTH))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([0, 1, 7], True),
        ([0.5, 1.0], False),
        ([[0, 1], [1, 0]], True),
        ([[0.9, 0.1], [0.5, 0.5]], True),  # shares
        ([[1, 1], [0, 0]], False),  # several labels at once
        ([[2, -1], [1, 0]], False),
        ([[0], [1]], True),
        ([[0.2], [1]], False),
        ([[[0, 1]]], False),
    ],
)
def test_targets_name_classes_or_are_numbers(targets: object, expected: bool) -> None:
    assert name_classes(np.array(targets)) is expected


def test_scores_count_as_probabilities() -> None:
    assert correct(np.log(OUTPUTS) * 1e4, TRUTH) == 3


def test_memory_order_does_not_matter() -> None:
    assert correct(np.asfortranarray(OUTPUTS), TRUTH) == 3


def test_of_equal_outputs_the_first_is_the_answer() -> None:
    assert correct(np.array([[0.5, 0.5]]), np.array([0])) == 1


def test_targets_are_told_apart_by_axes_not_by_size() -> None:
    outputs = np.array([[0.9, 0.1], [0.1, 0.9]])  # as many samples as classes
    assert correct(outputs, np.array([0, 1])) == 2
    assert correct(outputs, np.array([[0, 1], [0, 1]])) == 1


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("targets_shape", [(4,), (4, 1)])
def test_one_output_means_yes_above_one_half(shape: tuple[int, ...], targets_shape: tuple[int, ...]) -> None:
    outputs = np.array([0.2, 0.5, 0.51, 0.9]).reshape(shape)
    targets = np.array([0, 0, 1, 0]).reshape(targets_shape)
    assert correct(outputs, targets) == 3
    np.testing.assert_array_equal(confusion_matrix(outputs, targets), [[2, 1], [0, 1]])


def test_confusion_has_truth_in_rows_and_answers_in_columns() -> None:
    np.testing.assert_array_equal(confusion_matrix(OUTPUTS, TRUTH), [[1, 0, 0], [1, 1, 0], [0, 1, 1]])


def test_confusion_has_a_row_and_column_for_classes_that_do_not_occur() -> None:
    np.testing.assert_array_equal(confusion_matrix(OUTPUTS[:1], TRUTH[:1]), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
def test_small_types_of_class_numbers_count_as_large_ones_do(dtype: Any) -> None:
    classes = np.arange(60).astype(dtype)
    np.testing.assert_array_equal(confusion_matrix(np.eye(60), classes), np.eye(60, dtype=int))
    np.testing.assert_array_equal(confusion_matrix(classes, classes), np.eye(60, dtype=int))


def test_numbers_far_beyond_the_count_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"A matrix of 1,000,000,001 classes would be too large\. Number them from 0"):
        confusion_matrix(np.array([0, 10**9]), np.array([0, 1]))


def test_precision_and_recall_by_class() -> None:
    by_answer, by_truth = precision_recall(confusion_matrix(OUTPUTS, TRUTH))
    assert by_answer.tolist() == [0.5, 0.5, 1.0]
    assert by_truth.tolist() == [1.0, 0.5, 0.5]


def test_precision_and_recall_are_zero_where_there_is_nothing_to_divide_by() -> None:
    by_answer, by_truth = precision_recall(np.array([[2, 0], [0, 0]]))
    assert by_answer.tolist() == [1.0, 0.0]
    assert by_truth.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("outputs", "targets"), [(OUTPUTS, TRUTH[:4]), (OUTPUTS[:0], TRUTH[:0])])
@pytest.mark.parametrize(
    "metric", [correct, accuracy, confusion_matrix, precision, top_k_accuracy, expected_calibration_error]
)
def test_too_few_targets_or_none_at_all_are_refused(metric, outputs, targets) -> None:
    message = rf"at least one sample and as many targets: got {len(outputs)} outputs, {len(targets)} targets\."
    with pytest.raises(ValueError, match=message):
        metric(outputs, targets)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_class_without_an_output_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to 1 for 2 outputs, got {min(0, label)} to {max(0, label)}"):
        confusion_matrix(np.eye(2), np.array([0, label]))


@pytest.mark.parametrize("metric", [confusion_matrix, lambda outputs, targets: top_k_accuracy(outputs, targets, 1)])
def test_class_numbers_with_fractions_are_refused(metric) -> None:
    with pytest.raises(ValueError, match=r"must be whole numbers, got float64\. Use y\.astype\(int\)\."):
        metric(np.eye(2), np.array([0.0, 1.0]))


def test_whole_numbers_are_answers_already() -> None:
    answers, truth = np.array([2, 7, 3]), np.array([5, 7, 3])
    assert accuracy(answers, truth) == pytest.approx(2 / 3)
    found = confusion_matrix(answers, truth)
    assert found.shape == (8, 8)
    assert (found[5, 2], found[7, 7], found[3, 3], found.sum()) == (1, 1, 1, 3)


def test_a_column_of_class_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got a column \(3, 1\)\. Use y\[:, 0\]"):
        accuracy(np.eye(3), np.array([[0], [1], [2]]))


@pytest.mark.parametrize("metric", [accuracy, confusion_matrix, matthews_correlation, f1, top_k_accuracy])
@pytest.mark.parametrize(
    "targets", [[0, 7], [0, -1], [0.0, 1.0], [np.nan, 1], ["a", "b"], np.eye(2, 3), np.eye(2)[:, :1]]
)
def test_targets_that_are_no_classes_of_the_outputs_are_refused(metric, targets: object) -> None:
    options = {"k": 1} if metric is top_k_accuracy else {}
    with pytest.raises(ValueError, match=r"^(Class numbers must be|Targets are class numbers)"):
        metric(np.eye(2), np.asarray(targets), **options)


@pytest.mark.parametrize("outputs", [np.ones((2, 3, 4)), np.ones((2, 0)), np.array(["a", "b"]), 1j * np.eye(2), 3])
def test_outputs_that_are_no_rows_of_numbers_are_refused(outputs: object) -> None:
    with pytest.raises(ValueError, match=r"^Metrics take outputs \(N, K\), or answers \(N,\), that are numbers; got "):
        accuracy(np.asarray(outputs), np.array([0, 1]))


def test_a_single_number_is_no_target() -> None:
    with pytest.raises(ValueError, match="got 2 outputs, a single number as targets"):
        accuracy(np.eye(2), np.array(1))


@pytest.mark.parametrize("targets", [[0, 7], [-1, 1], [np.nan, 1], np.eye(2), ["no", "yes"]])
def test_one_output_is_judged_by_numbers_from_zero_to_one(targets: object) -> None:
    with pytest.raises(ValueError, match=r"^One output is judged by .* from 0 to 1"):
        accuracy(np.array([[0.2], [0.9]]), np.asarray(targets))


@pytest.mark.parametrize(("answers", "truth"), [([-1, 1], [1, 0]), ([1, 0], [1, -1])])
def test_negative_class_numbers_are_refused(answers: list[int], truth: list[int]) -> None:
    with pytest.raises(ValueError, match=r"^Class numbers must be at least 0, got -1 to 1\. Count classes from 0\.$"):
        confusion_matrix(np.array(answers), np.array(truth))


def test_answers_are_compared_with_one_hot_rows() -> None:
    assert accuracy(np.array(ANSWERS), np.eye(3)[TRUTH]) == 0.6


@pytest.mark.parametrize("confusion", [np.ones((2, 3), int), np.eye(2) / 2, np.ones(2, int), -np.eye(2, dtype=int)])
def test_precision_and_recall_are_of_a_square_matrix_of_whole_numbers(confusion: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^A confusion matrix holds whole numbers \(K, K\) of at least 0, got "):
        precision_recall(confusion)


# Precision, recall and F1, by class and as means


def test_precision_recall_and_f1_by_class() -> None:
    assert precision(OUTPUTS, TRUTH).tolist() == [0.5, 0.5, 1.0]
    assert recall(OUTPUTS, TRUTH).tolist() == [1.0, 0.5, 0.5]
    assert f1(OUTPUTS, TRUTH).tolist() == pytest.approx([2 / 3, 1 / 2, 2 / 3])


def test_macro_is_the_plain_mean_over_the_classes() -> None:
    assert precision(OUTPUTS, TRUTH, "macro") == pytest.approx(2 / 3)
    assert recall(OUTPUTS, TRUTH, "macro") == pytest.approx(2 / 3)
    assert f1(OUTPUTS, TRUTH, "macro") == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)


def test_weighted_is_the_mean_by_the_samples_of_each_class() -> None:
    assert precision(OUTPUTS, TRUTH, "weighted") == pytest.approx((1 * 0.5 + 2 * 0.5 + 2 * 1) / 5)
    assert f1(OUTPUTS, TRUTH, "weighted") == pytest.approx((1 * 2 / 3 + 2 * 1 / 2 + 2 * 2 / 3) / 5)


def test_recall_weighted_is_the_accuracy() -> None:
    assert recall(OUTPUTS, TRUTH, "weighted") == pytest.approx(accuracy(OUTPUTS, TRUTH))


def test_a_class_that_is_neither_answered_nor_true_has_a_score_of_zero_and_no_part_in_the_mean() -> None:
    outputs, truth = np.eye(4)[[0, 1]], np.array([0, 1])
    for metric in (precision, recall, f1):
        assert metric(outputs, truth).tolist() == [1, 1, 0, 0]
        assert metric(outputs, truth, "macro") == 1


def test_a_class_that_is_answered_and_never_true_has_a_part_in_the_mean() -> None:
    assert precision(np.eye(3)[[0, 2]], np.array([0, 0]), "macro") == 0.5


@pytest.mark.parametrize("metric", [precision, recall, f1])
def test_an_unknown_average_gets_the_known_ones(metric) -> None:
    with pytest.raises(ValueError, match=r'must be "macro", "weighted" or None, got \'micro\'\.'):
        metric(OUTPUTS, TRUTH, "micro")


# Matthews' correlation


def test_matthews_correlation_of_two_classes_by_hand() -> None:
    # 3 true positives, 1 false positive, 2 false negatives, 4 true negatives
    answers = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    truth = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    assert matthews_correlation(answers, truth) == pytest.approx((3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6))


def test_matthews_correlation_is_one_for_right_answers_and_minus_one_for_the_opposite() -> None:
    truth = np.array([0, 1, 1, 0, 1])
    assert matthews_correlation(truth, truth) == 1
    assert matthews_correlation(1 - truth, truth) == -1


def test_matthews_correlation_of_one_and_the_same_answer_is_zero() -> None:
    assert matthews_correlation(np.zeros(3, int), np.array([0, 0, 1])) == 0
    assert matthews_correlation(np.array([0, 0, 1]), np.zeros(3, int)) == 0


# Top k


def test_top_k_accuracy_by_hand() -> None:
    assert [top_k_accuracy(OUTPUTS, TRUTH, k) for k in (1, 2, 3)] == [0.6, 1.0, 1.0]
    assert top_k_accuracy(OUTPUTS, np.array([2, 0, 0, 2, 0]), 2) == 0.4


def test_of_equal_outputs_the_first_is_the_larger() -> None:
    outputs = np.full((3, 3), 0.5)
    assert top_k_accuracy(outputs, np.array([0, 1, 2]), 2) == pytest.approx(2 / 3)
    assert top_k_accuracy(outputs, np.array([0, 1, 2]), 1) == accuracy(outputs, np.array([0, 1, 2]))


@pytest.mark.parametrize("metric", [accuracy, confusion_matrix, matthews_correlation, f1, top_k_accuracy])
def test_outputs_that_are_not_numbers_are_refused(metric) -> None:
    options = {"k": 2} if metric is top_k_accuracy else {}
    with pytest.raises(ValueError, match=r"those of sample 1 are not numbers, \[nan 0\.5 0\.1\]\. Find out"):
        metric(np.array([[0.1, 0.2, 0.3], [np.nan, 0.5, 0.1]]), np.array([0, 1]), **options)


@pytest.mark.parametrize("outputs", [OUTPUTS, np.argmax(OUTPUTS, axis=1)], ids=["outputs", "answers"])
@pytest.mark.parametrize("targets", [np.ones((len(OUTPUTS), 3), int), -np.eye(3)[TRUTH]], ids=["labels", "negative"])
def test_rows_that_name_several_classes_or_none_are_refused(outputs: np.ndarray, targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^Rows of targets name a class where .* Judge one column at a time\."):
        accuracy(outputs, targets)


def test_top_k_accuracy_takes_one_hot_targets() -> None:
    assert top_k_accuracy(OUTPUTS, np.eye(3)[TRUTH], 1) == 0.6


def test_top_5_accuracy_is_the_usual_one() -> None:
    outputs = np.arange(10.0)[None].repeat(10, axis=0)
    assert top_k_accuracy(outputs, np.arange(10)) == 0.5


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2, 2)])
def test_top_k_accuracy_needs_an_output_for_each_class(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"needs one output for each class, \(N, K\), got shape"):
        top_k_accuracy(np.zeros(shape), np.zeros(3, int), 1)


@pytest.mark.parametrize(
    ("k", "message"), [(0, "at least 1, got 0"), (4, "number of classes, 3, got 4"), (1.5, "got 1.5")]
)
def test_k_is_from_one_to_the_number_of_classes(k, message: str) -> None:
    with pytest.raises(ValueError, match=rf"top_k_accuracy: k must be .*{message}\."):
        top_k_accuracy(OUTPUTS, TRUTH, k)


def test_top_k_accuracy_refuses_a_class_without_an_output() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 2 for 3 outputs, got 1 to 3"):
        top_k_accuracy(OUTPUTS, TRUTH + 1, 2)


# Calibration


def test_calibration_error_by_hand() -> None:
    # bins of a tenth: 0.65 twice, once right: |0.5 - 0.65|; 0.95 three times, all right: 0.05
    p = np.array([0.65, 0.65, 0.95, 0.95, 0.95])
    outputs, truth = np.stack([p, 1 - p], axis=1), np.array([0, 1, 0, 0, 0])
    assert expected_calibration_error(outputs, truth, 10) == pytest.approx((2 * 0.15 + 3 * 0.05) / 5)


def test_within_a_bin_too_high_and_too_low_cancel_out() -> None:
    outputs = np.array([[0.9, 0.1], [0.6, 0.4]])  # right and wrong: accuracy 0.5, mean confidence 0.75
    assert expected_calibration_error(outputs, np.array([0, 1]), 1) == pytest.approx(0.25)
    assert expected_calibration_error(outputs, np.array([0, 1]), 4) == pytest.approx((0.1 + 0.6) / 2)


def test_a_bin_includes_its_upper_end() -> None:
    outputs = np.array([[0.5, 0.5], [0.6, 0.4]])  # the first in the lower of two bins, right; the second wrong
    assert expected_calibration_error(outputs, np.array([0, 1]), 2) == pytest.approx((0.5 + 0.6) / 2)


def test_one_output_is_as_confident_as_the_more_likely_answer() -> None:
    p, truth = np.array([0.1, 0.3, 0.8]), np.array([0, 1, 1])
    expected = (0.1 + 0.7 + 0.2) / 3
    for outputs in (p, p[:, None], np.stack([1 - p, p], axis=1)):
        assert expected_calibration_error(outputs, truth, 10) == pytest.approx(expected)


@pytest.mark.parametrize("outputs", [OUTPUTS * 2, OUTPUTS - 1, OUTPUTS * np.nan, np.argmax(OUTPUTS, axis=1)])
def test_calibration_needs_probabilities(outputs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"needs probabilities from 0 to 1.* Put a Softmax or a Sigmoid last\."):
        expected_calibration_error(outputs, TRUTH)


def test_calibration_needs_rows_that_sum_to_one() -> None:
    with pytest.raises(ValueError, match=r"rows of probabilities that sum to 1, got others\. Put a Softmax last"):
        expected_calibration_error(np.full((4, 3), 0.5), np.zeros(4, int))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_confidence_at_the_edge_of_a_bin_is_in_the_one_below(dtype: type) -> None:
    outputs = np.array([[0.2, 0.8], [0.4, 0.6], [1.0, 0.0], [0.5, 0.5]], dtype)
    truth = np.array([1, 1, 0, 1])
    expected = 1 / 4 * abs(1 - 0.8) + 2 / 4 * abs(0.5 - 0.55)
    assert expected_calibration_error(outputs, truth, 5) == pytest.approx(expected)


def test_calibration_needs_a_bin() -> None:
    with pytest.raises(ValueError, match=r"bins must be a whole number of at least 1, got 0\."):
        expected_calibration_error(OUTPUTS, TRUTH, 0)


# Against scikit-learn


@pytest.fixture
def sklearn_metrics() -> ModuleType:
    return pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")


@pytest.fixture
def outputs(rng: np.random.Generator) -> np.ndarray:
    """Probabilities of 300 samples and 7 classes, of which one is never true and another never answered."""
    outputs = rng.dirichlet(np.ones(7), 300)
    outputs[:, 5] = 0
    return outputs / outputs.sum(axis=1, keepdims=True)


@pytest.fixture
def truth(outputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(300) < 0.5, outputs.argmax(axis=1), rng.integers(0, 6, 300))


@pytest.mark.parametrize("average", [None, "macro", "weighted"])
def test_precision_recall_and_f1_equal_scikit_learns(sklearn_metrics, outputs, truth, average) -> None:
    expected = sklearn_metrics.precision_recall_fscore_support(
        truth, outputs.argmax(axis=1), average=average, zero_division=0
    )
    for metric, other in zip((precision, recall, f1), expected[:3], strict=True):
        np.testing.assert_allclose(metric(outputs, truth, average), other, rtol=1e-12)


def test_matthews_correlation_equals_scikit_learns(sklearn_metrics, outputs, truth) -> None:
    expected = sklearn_metrics.matthews_corrcoef(truth, outputs.argmax(axis=1))
    assert matthews_correlation(outputs, truth) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_top_k_accuracy_equals_scikit_learns(sklearn_metrics, outputs, truth, k: int) -> None:
    expected = sklearn_metrics.top_k_accuracy_score(truth, outputs, k=k, labels=range(7))
    assert top_k_accuracy(outputs, truth, k) == pytest.approx(expected)


def test_calibration_error_is_the_distance_from_scikit_learns_curve(outputs, truth) -> None:
    calibration = pytest.importorskip("sklearn.calibration", reason="scikit-learn is not installed")
    right, sure = outputs.argmax(axis=1) == truth, outputs.max(axis=1)
    shares, confidences = calibration.calibration_curve(right, sure, n_bins=15)
    counts = np.histogram(sure, np.linspace(0, 1, 16))[0]
    expected = (counts[counts > 0] * np.abs(shares - confidences)).sum() / 300
    assert expected_calibration_error(outputs, truth) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ([[0.9, 0.1], [0.2, 0.8]], np.ma.array([0, 1], mask=[False, True]), "targets has 1 masked"),
        (np.ma.array([[0.9, 0.1]], mask=[[True, False]]), [0], "outputs has 1 masked"),
        ([[0.9, 0.1], [0.2, 0.8]], ["cat", "dog"], r"Class numbers must be whole numbers.*np\.unique"),
        ([0.0, 1.0, 2.0], [0, 1, 2], r"numbers from 0 to 1, got 0 to 2.*astype\(int\)"),
    ],
)
def test_what_would_be_counted_wrongly_is_refused(outputs: Any, targets: Any, message: str) -> None:
    for metric in (accuracy, f1, confusion_matrix):
        with pytest.raises(ValueError, match=message):
            metric(outputs, targets)


@pytest.mark.parametrize("measure", [accuracy, confusion_matrix, precision, recall])
def test_targets_first_and_probabilities_second_are_refused(measure: Any) -> None:
    probabilities, truth = np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 0])
    measure(probabilities, truth)
    measure(truth, np.eye(2))
    with pytest.raises(ValueError, match="outputs first, then the targets"):
        measure(truth, probabilities)
