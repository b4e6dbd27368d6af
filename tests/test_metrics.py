"""Accuracy, confusion, precision and recall, on cases counted by hand."""

import numpy as np
import pytest

from handconv.metrics import accuracy, confusion_matrix, correct, name_classes, precision_recall

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


def test_precision_and_recall_by_class() -> None:
    precision, recall = precision_recall(confusion_matrix(OUTPUTS, TRUTH))
    assert precision.tolist() == [0.5, 0.5, 1.0]
    assert recall.tolist() == [1.0, 0.5, 0.5]


def test_precision_and_recall_are_zero_where_there_is_nothing_to_divide_by() -> None:
    precision, recall = precision_recall(np.array([[2, 0], [0, 0]]))
    assert precision.tolist() == [1.0, 0.0]
    assert recall.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("outputs", "targets"), [(OUTPUTS, TRUTH[:4]), (OUTPUTS[:0], TRUTH[:0])])
@pytest.mark.parametrize("metric", [correct, accuracy, confusion_matrix])
def test_too_few_targets_or_none_at_all_are_refused(metric, outputs, targets) -> None:
    message = rf"at least one sample and as many targets: got {len(outputs)} outputs, {len(targets)} targets\."
    with pytest.raises(ValueError, match=message):
        metric(outputs, targets)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_class_without_an_output_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to 1 for 2 outputs, got {min(0, label)} to {max(0, label)}"):
        confusion_matrix(np.eye(2), np.array([0, label]))


def test_whole_numbers_are_answers_already() -> None:
    answers, truth = np.array([2, 7, 3]), np.array([5, 7, 3])
    assert accuracy(answers, truth) == pytest.approx(2 / 3)
    found = confusion_matrix(answers, truth)
    assert found.shape == (8, 8)
    assert (found[5, 2], found[7, 7], found[3, 3], found.sum()) == (1, 1, 1, 3)


def test_a_column_of_class_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got a column \(3, 1\)\. Use y\[:, 0\]"):
        accuracy(np.eye(3), np.array([[0], [1], [2]]))
