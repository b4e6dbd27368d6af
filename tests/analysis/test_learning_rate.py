"""The range test finds a rate that trains well, and leaves everything as it was."""

import copy
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import RangeTest


def digits(count: int = 512) -> tuple[np.ndarray, np.ndarray]:
    data = hc.datasets.load("digits")
    return data.x_train[:count], data.y_train[:count]


@pytest.fixture(scope="module")
def found() -> RangeTest:
    return hc.find_learning_rate(hc.zoo.reference(), *digits(), batch_size=32)


def test_the_rates_rise_by_the_same_factor(found: RangeTest) -> None:
    factors = found.rates[1:] / found.rates[:-1]
    np.testing.assert_allclose(factors, factors[0])
    assert found.rates[0] == pytest.approx(1e-6)


def test_the_loss_falls_and_rises_again(found: RangeTest) -> None:
    least = int(found.smoothed.argmin())
    assert found.smoothed[least] < 0.5 * found.smoothed[0]
    assert found.smoothed[-1] > 2 * found.smoothed[least]


def test_the_first_loss_is_that_of_the_model(found: RangeTest) -> None:
    assert found.losses[0] == pytest.approx(np.log(10), rel=0.2)


def test_training_at_the_suggestion_learns(found: RangeTest) -> None:
    history = hc.zoo.reference().fit(*digits(), epochs=5, batch_size=32, optimizer=hc.Adam(found.suggestion))
    assert history["accuracy"][-1] > 0.8


def test_it_is_a_tenth_of_the_rate_of_the_least_loss(found: RangeTest) -> None:
    assert found.suggestion == pytest.approx(found.rates[found.smoothed.argmin()] / 10)


def test_the_model_and_the_optimizer_stay_as_they_are() -> None:
    model, optimizer = hc.zoo.plus(input_shape=(1, 28, 28)), hc.SGD(0.1, 0.9)
    before = copy.deepcopy((model.parameters, model.buffers, model.epochs_trained, optimizer.config()))
    hc.find_learning_rate(model, *digits(64), batch_size=16, steps=20, optimizer=optimizer)
    after = (model.parameters, model.buffers, model.epochs_trained, optimizer.config())
    assert all(np.array_equal(one, other) for one, other in zip(before[:2], after[:2], strict=True))
    assert before[2:] == after[2:]
    assert not optimizer.built


def test_it_is_the_same_each_time(found: RangeTest) -> None:
    again = hc.find_learning_rate(hc.zoo.reference(), *digits(), batch_size=32)
    assert np.array_equal(again.losses, found.losses)


def test_a_model_without_shapes_stays_without() -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(10), hc.Softmax()], seed=0)
    hc.find_learning_rate(model, *digits(64), batch_size=16, steps=20)
    assert not model.built


def test_a_last_batch_that_is_smaller_is_left_out() -> None:
    layers = [hc.Flatten(), hc.Dense(4), hc.BatchNorm(), hc.Dense(10), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=0)
    assert len(hc.find_learning_rate(model, *digits(33), batch_size=16, steps=20, highest=1e-3).losses) == 20


def test_it_is_shown_in_one_line(found: RangeTest) -> None:
    assert repr(found).startswith("RangeTest(suggestion=0.00")
    assert "rates from 1e-06 to 0." in repr(found)


def test_it_is_drawn(found: RangeTest) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the figure")
    (axes,) = found.plot().axes
    assert axes.get_xscale() == "log"
    assert np.array_equal(axes.lines[1].get_ydata(), found.smoothed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lowest": 0}, "lowest must be a number above 0, got 0"),
        ({"highest": 1e-7}, "highest must be a number above 1e-06, got 1e-07"),
        ({"steps": 3}, "steps must be a whole number of at least 20, got 3"),
        ({"steps": 20.5}, "steps must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hc.find_learning_rate(hc.zoo.reference(), *digits(64), **arguments)


@pytest.mark.parametrize("name", ["model", "optimizer", "loss"])
def test_what_is_of_another_kind_is_refused(name: str) -> None:
    arguments: dict[str, Any] = {"model": hc.zoo.reference(), name: "adam"}
    with pytest.raises(TypeError, match="got 'adam'"):
        hc.find_learning_rate(x=digits(64)[0], y=digits(64)[1], **arguments)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_that_is_dead_already_says_so() -> None:
    model = hc.zoo.reference()
    model.parameters[...] = np.nan
    with pytest.raises(hc.DivergenceError, match="not finite at the learning rate 1e-06 already"):
        hc.find_learning_rate(model, *digits(64), batch_size=16)


def test_batches_too_small_for_a_layer_are_refused_as_in_fit() -> None:
    model = hc.Sequential([hc.Dense(4), hc.BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with pytest.raises(ValueError, match="BatchNorm needs at least 2 samples together in training"):
        hc.find_learning_rate(model, np.eye(4), [0, 1, 2, 0], batch_size=1)


def test_what_fit_refuses_is_refused() -> None:
    class NotByBatch(hc.MeanSquaredError):
        def forward(
            self, predictions: Any, targets: Any, sample_weights: Any = None, *, batch_size: Any = None
        ) -> float:
            return super().forward(predictions, targets, sample_weights)

    model = hc.Sequential([hc.Dense(2)], input_shape=(4,), seed=0)
    x = np.random.default_rng(0).normal(size=(64, 4))
    with pytest.raises(ValueError, match=r"NotByBatch\.forward and backward must give .* share of a batch"):
        hc.find_learning_rate(model, x, x[:, :2], batch_size=64, loss=NotByBatch())
