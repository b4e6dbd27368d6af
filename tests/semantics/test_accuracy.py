"""The accuracy of ``fit`` and ``evaluate`` counts right answers, and is there only where an answer can be right."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import VECTORS, dense

_RNG = np.random.default_rng(1)
YES_OR_NO = _RNG.integers(0, 2, len(VECTORS))


class AbsoluteError(hc.Loss):
    """A loss of the user's own, for numbers (N,)."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return np.abs(predictions - targets.reshape(len(targets), -1)).mean(axis=1)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return np.sign(predictions - targets.reshape(len(targets), -1)) / predictions.shape[1]


def with_outputs(units: int, **options: Any) -> hc.Sequential:
    return hc.Sequential([hc.Dense(units)], input_shape=(4,), seed=0, **options)


@pytest.mark.parametrize("engine", [True, False])
def test_a_score_above_zero_says_yes(engine: bool) -> None:
    network, loss = with_outputs(1, engine=engine), hc.SigmoidBinaryCrossentropy()
    scores = network.predict(VECTORS)[:, 0]
    right = float(np.mean((scores > 0) == YES_OR_NO))
    assert network.evaluate(VECTORS, YES_OR_NO, loss=loss)["accuracy"] == right
    history = network.fit(VECTORS, YES_OR_NO, loss=loss, optimizer=hc.SGD(1e-9))
    assert history["accuracy"] == [right]


def test_a_score_is_judged_as_the_probability_that_a_sigmoid_makes_of_it() -> None:
    scoring, sure = with_outputs(1), hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(4,), seed=0)
    figures = scoring.evaluate(VECTORS, YES_OR_NO, loss=hc.SigmoidBinaryCrossentropy())
    assert figures == sure.evaluate(VECTORS, YES_OR_NO)


@pytest.mark.parametrize(
    ("units", "targets"),
    [
        (1, np.arange(len(VECTORS)) % 90),
        (1, np.where(YES_OR_NO, 1, -1)),
        (3, np.arange(len(VECTORS)) % 90),
        (3, np.eye(5)[np.arange(len(VECTORS)) % 5]),
    ],
    ids=["years", "signs", "years for three outputs", "rows of five for three outputs"],
)
def test_numbers_that_no_output_stands_for_have_no_accuracy(units: int, targets: Any) -> None:
    class Anything(AbsoluteError):
        def sample_losses(self, predictions: Any, targets: Any) -> Any:
            return super().sample_losses(predictions, targets[:, None] if targets.ndim == 1 else targets[:, :units])

        def gradient(self, predictions: Any, targets: Any) -> Any:
            return super().gradient(predictions, targets[:, None] if targets.ndim == 1 else targets[:, :units])

    network = with_outputs(units)
    assert "accuracy" not in network.fit(VECTORS, targets, loss=Anything()).last
    assert "accuracy" not in network.evaluate(VECTORS, targets, loss=Anything())


def test_class_numbers_of_a_loss_of_ones_own_have_an_accuracy() -> None:
    class Margin(hc.Loss):
        def sample_losses(self, predictions: Any, targets: Any) -> Any:
            return 1 - predictions[np.arange(len(targets)), targets]

        def gradient(self, predictions: Any, targets: Any) -> Any:
            return -np.eye(predictions.shape[1])[targets]

    network, classes = dense(), np.arange(len(VECTORS)) % 3
    right = float(np.mean(network.predict(VECTORS).argmax(axis=1) == classes))
    assert network.evaluate(VECTORS, classes, loss=Margin())["accuracy"] == right


def test_images_for_which_one_number_is_the_target_have_no_accuracy() -> None:
    class Brightness(hc.Loss):
        def sample_losses(self, predictions: Any, targets: Any) -> Any:
            return (predictions.mean(axis=(1, 2, 3)) - targets) ** 2

        def gradient(self, predictions: Any, targets: Any) -> Any:
            error = predictions.mean(axis=(1, 2, 3)) - targets
            return np.broadcast_to(2 * error[:, None, None, None] / predictions[0].size, predictions.shape)

    network = hc.Sequential([hc.Conv2D(2, 1)], input_shape=(1, 3, 3), seed=0)
    images = _RNG.normal(size=(12, 1, 3, 3))
    assert "accuracy" not in network.fit(images, np.arange(12) % 2, loss=Brightness()).last
