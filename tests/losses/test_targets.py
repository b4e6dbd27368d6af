"""What losses take as targets, predictions and weights, and what they say to anything else."""

import math
from typing import Any

import numpy as np
import pytest

from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SoftmaxCategoricalCrossentropy,
)
from loss_cases import BINARY, CATEGORICAL, every_categorical, every_loss, oracle, predictions_for, targets_for

# Targets of classes


@every_categorical
def test_class_numbers_become_int64(kind: type[Loss]) -> None:
    for targets in ([0, 2, 1], np.array([0, 2, 1], np.uint8), (0, 2, 1)):
        valid = kind().check_targets(targets, (3, 3))
        assert valid.dtype == np.int64
        assert valid.tolist() == [0, 2, 1]


@every_categorical
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_one_hot_rows_become_class_numbers(kind: type[Loss], dtype: type) -> None:
    valid = kind().check_targets(np.eye(3, dtype=dtype)[[0, 2, 1, 1]], (4, 3))
    assert valid.dtype == np.int64
    assert valid.tolist() == [0, 2, 1, 1]


@every_categorical
def test_one_hot_rows_give_the_same_loss_as_class_numbers(kind: type[Loss]) -> None:
    predictions, labels = predictions_for(kind, 0, 3, 3), np.array([0, 2, 1])
    numbers, rows = kind(), kind()
    assert rows.forward(predictions, np.eye(3)[labels]) == numbers.forward(predictions, labels)
    np.testing.assert_array_equal(rows.backward(), numbers.backward())


@every_categorical
def test_targets_are_told_apart_by_axes_not_by_size(kind: type[Loss]) -> None:
    """Two samples of two classes: (2,) are class numbers, (2, 2) is one-hot."""
    predictions = predictions_for(kind, 0, 2, 2)
    assert kind().forward(predictions, [1, 1]) == pytest.approx(oracle(kind, predictions, np.array([1, 1]))[0])
    assert kind().check_targets(np.array([[0, 1], [0, 1]]), (2, 2)).tolist() == [1, 1]


@every_categorical
def test_shares_of_classes_sum_to_one_exactly(kind: type[Loss]) -> None:
    valid = kind().check_targets(np.array([[0.25, 0.7501], [1.0, 0.0]], np.float32), (2, 2))
    np.testing.assert_allclose(valid.sum(axis=1), 1, rtol=1e-14)


# What bad input gets


def refused(kind: type[Loss], predictions: object, targets: object, message: str, error: type = ValueError) -> None:
    with pytest.raises(error, match=message):
        kind().forward(predictions, targets)


SCORES = np.full((3, 4), 0.25)


@every_categorical
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 4], r"class numbers must be from 0 to 3 for 4 outputs, got 4 at 2\. Count classes from 0, and give"),
        ([0, -1, 4], r"class numbers must be from 0 to 3 for 4 outputs, got -1 at 1\."),
        (np.array([0, 1, 2**64 - 1], np.uint64), r"from 0 to 3 for 4 outputs, got 18446744073709551615 at 2\."),
        ([0, 1], r"expects one target for each of the 3 samples, got 2\."),
        ([0, 1, 2, 3], r"expects one target for each of the 3 samples, got 4\."),
        (np.eye(4)[:2], r"expects one target for each of the 3 samples, got 2\."),
        (1, r"expects class numbers \(N,\) or one-hot rows \(N, 4\), got targets of shape \(\)\."),
        (np.zeros((3, 4, 1)), r"class numbers \(N,\) or one-hot rows \(N, 4\), got targets of shape \(3, 4, 1\)\."),
        (np.eye(3), r"expects one-hot rows \(N, 4\), one for each output, got \(3, 3\)\.$"),
        ([[0], [1], [2]], r"one for each output, got \(3, 1\)\. Class numbers in a column\? Use y\[:, 0\]\."),
        (
            np.ones((3, 4)),
            r"each row of one-hot targets must be at least 0 and sum to 1, got \[1\. 1\. 1\. 1\.\] at 0\.",
        ),
        ([[1, 0, 0, 0], [2, -1, 0, 0], [1, 0, 0, 0]], r"at least 0 and sum to 1, got \[ 2 -1  0  0\] at 1\."),
        (np.full((3, 4), math.nan), r"targets must be finite, got nan at \(0, 0\)\. Drop or repair such samples\."),
    ],
)
def test_targets_that_do_not_fit_are_refused(kind: type[Loss], targets: object, message: str) -> None:
    refused(kind, SCORES, targets, rf"{kind.__name__}.*{message}")


@every_categorical
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0.0, 1.0, 2.0], r"class numbers must be integers from 0 to 3, got float64\. Use y\.astype\(int\)\."),
        ([True, False, True], r"class numbers must be integers from 0 to 3, got bool\. Use y\.astype\(int\)\."),
        ([0.0, math.nan, 2.0], r"got float64\. The first NaN is at 1; drop such samples\."),
        (["a", "b", "a"], r"got <U1\. Use np\.unique\(y, return_inverse=True\)\[1\]\."),
        ([["a"] * 4] * 3, r"targets must be numbers, got dtype <U1\."),
    ],
)
def test_targets_of_another_kind_are_refused(kind: type[Loss], targets: object, message: str) -> None:
    refused(kind, SCORES, targets, rf"{kind.__name__}: .*{message}", TypeError)


@every_categorical
def test_predictions_of_a_shape_without_classes_are_refused(kind: type[Loss]) -> None:
    refused(
        kind, np.ones((3, 4, 1)), [0, 1, 2], r"predictions \(N, K\), one for each class, got shape \(3, 4, 1\)\. Add"
    )
    refused(
        kind, np.ones(3), [0, 1, 2], r"predictions \(N, K\), one for each class, got shape \(3,\)\. Add a Flatten\."
    )
    refused(kind, np.ones((3, 1)), [0, 0, 0], r"at least 2 outputs.* got shape \(3, 1\)\. .*Sigmoid and BinaryCrossent")


@pytest.mark.parametrize("kind", [*BINARY, MeanSquaredError])
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (1.0, r"expects targets of the predictions' shape \(3, 4\), got a single number\."),
        ([0, 1], r"expects one target for each of the 3 samples, got 2\."),
        ([0, 1, 2], r"predictions' shape \(3, 4\), got \(3,\)\. Class numbers\? Use np\.eye\(4\)\[y\]\."),
        (np.zeros((3, 1)), r"predictions' shape \(3, 4\), got \(3, 1\)\.$"),
        (np.zeros((3, 4, 1)), r"predictions' shape \(3, 4\), got \(3, 4, 1\)\.$"),
        ([[0, 0, 0, 0], [0, 0, math.inf, 0], [0, 0, 0, 0]], r"targets must be finite, got inf at \(1, 2\)\."),
    ],
)
def test_numbers_that_do_not_fit_are_refused(kind: type[Loss], targets: object, message: str) -> None:
    refused(kind, SCORES, targets, rf"{kind.__name__}.*{message}")


@pytest.mark.parametrize("kind", [*BINARY, MeanSquaredError])
def test_targets_that_are_no_numbers_are_refused(kind: type[Loss]) -> None:
    refused(kind, SCORES, [["a"] * 4] * 3, rf"{kind.__name__}: targets must be numbers, got dtype <U1\.", TypeError)


@pytest.mark.parametrize("kind", [*BINARY, MeanSquaredError])
def test_a_vector_does_for_one_output_and_is_not_broadcast(kind: type[Loss]) -> None:
    predictions, targets = np.array([[0.2], [0.7], [0.6]]), np.array([0, 1, 0])
    expected, gradient = oracle(kind, predictions, targets[:, None])
    for given_ in (targets, targets[:, None]):
        loss = kind()
        assert loss.forward(predictions, given_) == pytest.approx(expected)
        np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-13)


@pytest.mark.parametrize("kind", [*BINARY, MeanSquaredError])
def test_samples_may_be_images(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 0, 2, 12), targets_for(kind, 0, 2, 12)
    expected, gradient = oracle(kind, predictions, targets, np.array([1.0, 3.0]))
    loss = kind()
    shape = (2, 3, 2, 2)
    assert loss.forward(predictions.reshape(shape), targets.reshape(shape), [1, 3]) == pytest.approx(expected)
    np.testing.assert_allclose(loss.backward(), gradient.reshape(shape), rtol=1e-12)
    assert loss.sample_losses(predictions.reshape(shape), targets.reshape(shape)).shape == (2,)


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("targets", [[[0, 2]], [[-1, 0]]])
def test_binary_targets_outside_0_to_1_are_refused(kind: type[Loss], targets: object) -> None:
    message = rf"{kind.__name__}: targets must be from 0 to 1, got values from -?\d to \d\. More than two classes\?"
    refused(kind, [[0.5, 0.5]], targets, message)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (CategoricalCrossentropy, r"Logits\? Use SoftmaxCategoricalCrossentropy\."),
        (BinaryCrossentropy, r"Put a Sigmoid last\."),
    ],
)
@pytest.mark.parametrize("predictions", [[[-3.0, 1.0]], [[0.0, 4.0]]])
def test_scores_in_the_place_of_probabilities_are_refused(kind: type[Loss], remedy: str, predictions: object) -> None:
    message = rf"{kind.__name__} expects probabilities from 0 to 1, got values from -?\d to \d\. {remedy}"
    refused(kind, predictions, targets_for(kind, 0, 1, 2), message)


@every_loss
def test_predictions_that_are_no_batch_or_no_numbers_are_refused(kind: type[Loss]) -> None:
    refused(kind, 1.0, [0], rf"{kind.__name__} expects predictions \(N, …\), got a single number\. Use x\.reshape")
    refused(kind, [["a", "b"]], [0], rf"{kind.__name__} expects predictions that are numbers, got dtype <U1", TypeError)


@every_loss
def test_no_samples_at_all_are_refused(kind: type[Loss]) -> None:
    shape = (0,) if kind in CATEGORICAL else (0, 4)
    refused(
        kind, np.zeros((0, 4)), np.zeros(shape, np.int64), rf"{kind.__name__} needs at least one sample, got none\."
    )


@every_loss
def test_sample_losses_check_too(kind: type[Loss]) -> None:
    with pytest.raises(ValueError, match=r"expects one target for each of the 3 samples, got 1\."):
        kind().sample_losses(SCORES, targets_for(kind, 0, 1, 4))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 1], ValueError, r"sample_weights must be one number for each of the 3 samples, got \(2,\)\."),
        ([[1], [1], [1]], ValueError, r"sample_weights must be one number for each of the 3 samples, got \(3, 1\)\."),
        ([1, -2, 1], ValueError, r"sample_weights must be at least 0, got -2 at 1\. Leave samples out by 0\."),
        ([1, 1, math.nan], ValueError, r"sample_weights: they must be finite, got nan at \(2,\)\."),
        (["a", "b", "c"], TypeError, r"sample_weights: they must be numbers, got dtype <U1\."),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        MeanSquaredError().forward(SCORES, SCORES, weights)


@every_loss
def test_a_batch_smaller_than_the_samples_is_refused(kind: type[Loss]) -> None:
    with pytest.raises(ValueError, match=r"batch_size must be at least the number of samples, 3, got 2\."):
        kind().forward(SCORES, targets_for(kind, 0, 3, 4), batch_size=2)


@every_categorical
@pytest.mark.parametrize("smoothing", [-0.1, 1, 1.5, math.nan, "a"])
def test_smoothing_out_of_range_is_refused(kind: type[Any], smoothing: object) -> None:
    message = (
        rf"{kind.__name__}: label_smoothing must be a number of at least 0 and below 1, as 0\.1 is, got {smoothing!r}\."
    )
    with pytest.raises(ValueError, match=message):
        kind(smoothing)


@pytest.mark.parametrize("kind", [CategoricalCrossentropy, BinaryCrossentropy])
@pytest.mark.parametrize("beyond", [1e-4, -1e-4])
def test_probabilities_may_be_beyond_their_range_by_rounding_alone(kind: type[Loss], beyond: float) -> None:
    edge = 1.0 if beyond > 0 else 0.0
    rows = np.array([[edge + beyond, 0.5]])
    assert math.isfinite(kind().forward(rows, np.array([[1, 0]])))
    with pytest.raises(ValueError, match="expects probabilities from 0 to 1"):
        kind().forward(np.array([[edge + 1.5 * beyond, 0.5]]), np.array([[1, 0]]))


def test_shares_may_miss_one_by_rounding_alone() -> None:
    scores = np.zeros((1, 2))
    assert math.isfinite(SoftmaxCategoricalCrossentropy().forward(scores, np.array([[0.5, 0.5009]])))
    with pytest.raises(ValueError, match="sum to 1"):
        SoftmaxCategoricalCrossentropy().forward(scores, np.array([[0.5, 0.5011]]))


def test_class_numbers_of_the_right_type_are_not_copied() -> None:
    labels = np.array([0, 1])
    assert SoftmaxCategoricalCrossentropy().check_targets(labels, (2, 2)) is labels


def test_the_first_weight_below_zero_is_named() -> None:
    with pytest.raises(ValueError, match="got -1 at 2"):
        MeanSquaredError().forward(np.ones((4, 1)), np.zeros((4, 1)), [0, 0.5, -1, -2])


def test_targets_of_more_columns_than_one_output_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of the predictions' shape \(4, 1\), got \(4, 5\)"):
        MeanSquaredError().forward(np.ones((4, 1)), np.ones((4, 5)))


@every_loss
def test_gradients_check_too(kind: type[Loss]) -> None:
    with pytest.raises(ValueError, match=r"expects one target for each of the 3 samples, got 1\."):
        kind().gradient(SCORES, targets_for(kind, 0, 1, 4))


@every_loss
def test_masked_targets_and_weights_are_refused(kind: type[Loss]) -> None:
    targets = np.ma.array(targets_for(kind, 0, 3, 4))
    targets[(0,) * targets.ndim] = np.ma.masked
    with pytest.raises(ValueError, match=r"targets has 1 masked \(missing\) value\. Fill it first"):
        kind().forward(SCORES, targets)
    with pytest.raises(ValueError, match=r"sample_weights has 1 masked \(missing\) value\. Fill it first"):
        kind().forward(SCORES, targets_for(kind, 0, 3, 4), np.ma.array(np.ones(3), mask=[0, 0, 1]))


@pytest.mark.parametrize("batch_size", [2.5, "3", True, 0])
def test_the_size_of_a_batch_is_a_whole_number(batch_size: object) -> None:
    with pytest.raises(ValueError, match=rf"batch_size must be a whole number of at least 1, got {batch_size!r}\."):
        MeanSquaredError().forward([[1.0], [2.0]], [1, 2], batch_size=batch_size)  # type: ignore[arg-type]
