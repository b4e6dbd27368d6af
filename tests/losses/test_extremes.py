"""Losses at the ends of floating point: huge logits, certain answers, numbers that are none, long sums."""

import math

import numpy as np
import pytest

import strategies
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from loss_cases import every_loss, targets_for


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("targets", [[0, 1, 2, 2], np.eye(3)[[0, 1, 2, 2]] * 0.7 + 0.1])
def test_huge_logits_give_a_finite_loss_and_gradient(dtype: type, targets: object) -> None:
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]], dtype)
    loss = SoftmaxCategoricalCrossentropy()
    assert math.isfinite(loss.forward(logits, targets))
    assert np.isfinite(loss.backward()).all()
    assert np.isfinite(loss.output).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_lose_their_distance(dtype: type) -> None:
    logits = np.array([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]], dtype)
    loss = SoftmaxCategoricalCrossentropy()
    np.testing.assert_allclose(loss.sample_losses(logits, [0, 1, 0]), [0, 2e4, math.log(2)], rtol=1e-6)
    loss.forward(logits, [0, 1, 0])
    np.testing.assert_allclose(loss.backward() * 3, [[0, 0], [1, -1], [-0.5, 0.5]], rtol=1e-6)


def test_small_differences_of_huge_logits_are_not_lost() -> None:
    logits = np.array([[8192.0, 8192.25]], np.float32)
    assert SoftmaxCategoricalCrossentropy().forward(logits, [0]) == pytest.approx(
        math.log(1 + math.exp(0.25)), rel=1e-6
    )


def test_adding_a_number_to_all_logits_changes_nothing() -> None:
    logits, loss = strategies.normal(0, 4, 3), SoftmaxCategoricalCrossentropy()
    expected = loss.forward(logits, [0, 1, 2, 0])
    assert loss.forward(logits + 1000, [0, 1, 2, 0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_certain_and_wrong_probabilities_are_clipped(dtype: type, smoothing: float) -> None:
    loss = CategoricalCrossentropy(smoothing)
    value = loss.forward(np.array([[0.0, 1.0]], dtype), [0])
    assert value == pytest.approx((1 - smoothing / 2) * -math.log(1e-7), rel=1e-5)
    np.testing.assert_allclose(loss.backward(), [[-(1 - smoothing / 2) * 1e7, -smoothing / 2]], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_and_wrong_answers_are_clipped(dtype: type) -> None:
    loss = BinaryCrossentropy()
    assert loss.forward(np.array([[0.0], [1.0]], dtype), [1, 0]) == pytest.approx(-math.log(1e-7), rel=0.02)
    gradient = loss.backward()
    assert np.isfinite(gradient).all()
    assert gradient[0, 0] < -1e6
    assert gradient[1, 0] > 1e6


@pytest.mark.parametrize(("kind", "right"), [(CategoricalCrossentropy, [1]), (BinaryCrossentropy, [[0, 1]])])
def test_certain_and_right_loses_nothing(kind: type[Loss], right: object) -> None:
    assert kind().forward([[0.0, 1.0]], right) == pytest.approx(0, abs=2e-7)
    assert kind().forward([[0.0, 1.00001]], right) >= 0  # above one by rounding


@every_loss
def test_predictions_that_are_not_numbers_make_a_loss_that_is_none(kind: type[Loss]) -> None:
    assert math.isnan(kind().forward([[math.nan, 0.5]], targets_for(kind, 0, 1, 2)))


@pytest.mark.parametrize("targets", [[0], [[1, 0]]])
def test_a_probability_above_one_by_rounding_loses_nothing(targets: list) -> None:
    assert CategoricalCrossentropy().forward(np.array([[1.00005, 0.0]]), targets) == 0


def test_losses_are_added_up_in_float64() -> None:
    predictions = np.full((1000, 1), 0.1, np.float32)
    loss = MeanSquaredError().forward(predictions, np.zeros((1000, 1)))
    assert loss == pytest.approx(float(predictions[0, 0] ** 2), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_of_yes_or_no_lose_their_size_where_they_are_wrong(dtype: type) -> None:
    scores, targets = np.array([[1e4], [-1e4], [1e4], [-1e4], [1e30], [-1e30]], dtype), [0, 1, 1, 0, 1, 0]
    loss = SigmoidBinaryCrossentropy()
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(loss.sample_losses(scores, np.array(targets)), [1e4, 1e4, 0, 0, 0, 0], rtol=1e-6)
        loss.forward(scores, targets)
        np.testing.assert_allclose(loss.backward() * 6, [[1], [-1], [0], [0], [0], [0]], rtol=1e-6)
    assert np.isfinite(loss.output).all()


def test_a_confidently_wrong_score_keeps_its_gradient() -> None:
    """Where sigmoid and logarithm are apart, the clip at 1e-7 and the flat sigmoid leave nothing of it."""
    loss = SigmoidBinaryCrossentropy()
    loss.forward(np.array([[-40.0]], np.float32), [1])
    assert loss.backward()[0, 0] == -1


def test_small_losses_of_scores_are_not_lost() -> None:
    loss = SigmoidBinaryCrossentropy().forward(np.array([[20.0]], np.float32), [1])
    assert loss == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)


def test_scores_that_exclude_a_class_lose_nothing_by_it() -> None:
    loss = SoftmaxCategoricalCrossentropy()
    assert loss.forward(np.array([[0.0, -np.inf, 0.0]]), [2]) == pytest.approx(math.log(2))
    np.testing.assert_allclose(loss.backward(), [[0.5, 0, -0.5]], rtol=1e-15)
