"""A loss that explodes without becoming infinite is remarked upon, once, and no other."""

import warnings
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.samples import Samples
from handconv.training.divergence import explosion, standstill
from handconv.training.state import TrainingState

X = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


def fit(rate: float, **options: Any) -> list[warnings.WarningMessage]:
    model = hc.Sequential([hc.Dense(16), hc.ReLU(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, **{"epochs": 4, "batch_size": 16, "optimizer": hc.Adam(rate)} | options)
    return caught


@pytest.mark.parametrize("workers", [1, 2])
def test_where_a_step_diverged_is_sought_out_of_training(workers: int) -> None:
    layers = [hc.Dense(3, weight_init="zeros"), hc.Dropout(0.9), hc.Dense(3), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(4,), seed=0)
    model.layers[0].biases[0] = np.inf  # type: ignore[attr-defined]
    with pytest.raises(hc.DivergenceError, match=r"the first number that is not finite is in the output of layer 0 "):
        model.fit(X, Y, workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_running_statistics_that_a_fill_value_has_spoilt_end_the_training(workers: int) -> None:
    model = hc.Sequential([hc.BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    x = X.copy()
    x[3, 2] = 1e36
    with pytest.raises(hc.DivergenceError, match=r"0\.running_var are not finite after epoch 1: .* Scale x"):
        model.fit(x, Y, epochs=2, workers=workers)


class Least(hc.Layer):
    """Keeps infinity as the least of each input, as if none had been seen."""

    def declare(self, input_shape: tuple[int, ...]) -> tuple[hc.ParameterSpec, ...]:
        return (hc.ParameterSpec("least", input_shape, trainable=False),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.least = np.inf
        return inputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


def test_buffers_of_ones_own_may_be_infinite() -> None:
    model = hc.Sequential([Least(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    model.fit(X, Y)
    assert np.isinf(model.layers[0].least).all()


class Training(hc.Layer):
    """Passes on what it is given, and not even that in training."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * np.nan if training else inputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


def test_what_training_alone_does_is_the_loss_itself() -> None:
    model = hc.Sequential([Training(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with pytest.raises(hc.DivergenceError, match=r"the first number that is not finite is in the loss itself"):
        model.fit(X, Y)


def test_steps_far_too_large_are_remarked_upon_once() -> None:
    (warning,) = fit(50.0)
    assert str(warning.message).startswith("The loss has exploded: in epoch 1 it was ")
    assert "times that of guessing. Use a smaller learning rate (its mean was 50)." in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_usual_steps_are_not(rate: float) -> None:
    assert not fit(rate)


def test_before_the_first_step_the_learning_rate_is_not_to_blame() -> None:
    model = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
    with pytest.raises(hc.DivergenceError, match=r"epoch 1, step 1: .* No step has been done yet: scale x and y"):
        model.fit(X, np.full(len(X), 1e30), loss=hc.MeanSquaredError())


@pytest.mark.parametrize("name", ["weights", "running_var"])
def test_a_network_that_has_diverged_before_is_told_so(name: str) -> None:
    model = hc.Sequential([hc.BatchNorm(name="norm"), hc.Dense(1, name="last")], input_shape=(4,), seed=0)
    holder = model.layers[0 if name == "running_var" else 1]
    getattr(holder, name)[...] = np.nan
    with pytest.raises(hc.DivergenceError, match=rf"\.{name} hold NaN or infinity: make the network anew"):
        model.fit(X, np.full(len(X), 1e30), loss=hc.MeanSquaredError())


@pytest.mark.parametrize("sign", [1, -1])
def test_targets_beyond_the_range_of_the_network_are_refused(sign: float) -> None:
    far, loss = np.full(len(X), sign * 1e39), hc.MeanSquaredError()
    model = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
    with pytest.raises(ValueError, match=r"y must stay within the range of float32, got -?1e\+39"):
        model.fit(X, far, loss=loss)
    wide = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0, dtype="float64")
    assert wide.evaluate(X, far, loss=loss)["loss"] == pytest.approx(1e78)


def test_weights_of_samples_are_no_explosion() -> None:
    assert not fit(0.01, sample_weights=np.full(len(X), 1000.0))


def test_another_loss_is_compared_with_its_first_epoch() -> None:
    class Harmful(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Any) -> None:
            run.network.parameters *= 100

    model = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
    with pytest.warns(UserWarning, match=r"in epoch 2 it was .* times that of the first epoch") as caught:
        model.fit(X, X.sum(axis=1)[:, None], epochs=4, loss=hc.MeanSquaredError(), callbacks=[Harmful()])
    assert len(caught) == 1


def run(
    losses: list[float], loss: hc.Loss, *, units: int = 3, grown: float = 1.0, weights: Any = None
) -> TrainingState:
    """A training whose epochs had these losses, and whose parameters have become so many times as long."""
    network = hc.Sequential([hc.Dense(units)], input_shape=(4,), seed=0)
    samples = Samples(X, Y, weights)
    state = TrainingState(network, loss, hc.SGD(), samples, epochs=9, batch_size=16, shuffle=False)
    for epoch, value in enumerate(losses, 1):
        state.history.append({"epoch": epoch, "data_loss": value, "learning_rate": 0.5})
    state.epoch = len(losses)
    network.parameters *= grown
    return state


def test_more_than_ten_times_the_loss_of_the_first_epoch_is_an_explosion() -> None:
    assert not explosion(run([0.5, 0.1, 5.0], hc.MeanSquaredError()))
    told = explosion(run([0.5, 0.1, 5.5], hc.MeanSquaredError()))
    assert told.startswith("The loss has exploded: in epoch 3 it was 5.5, 11 times that of the first epoch. Use a ")
    assert told.endswith("(its mean was 0.5).")


def test_after_a_loss_of_0_no_other_is_an_explosion() -> None:
    assert not explosion(run([0.0, 1e-3], hc.MeanSquaredError()))


@pytest.mark.parametrize(
    ("loss", "units", "guessing"),
    [
        (hc.losses.SoftmaxCategoricalCrossentropy(), 3, np.log(3)),
        (hc.losses.SoftmaxCategoricalCrossentropy(), 5, np.log(5)),
        (hc.losses.SigmoidBinaryCrossentropy(), 1, np.log(2)),
    ],
)
def test_more_than_ten_times_the_loss_of_guessing_is_an_explosion(loss: hc.Loss, units: int, guessing: float) -> None:
    assert not explosion(run([9.9 * guessing], loss, units=units, grown=3))
    assert "10 times that of guessing" in explosion(run([10.1 * guessing], loss, units=units, grown=3))


def test_the_loss_of_guessing_counts_only_where_the_parameters_have_more_than_doubled() -> None:
    loss = hc.losses.SoftmaxCategoricalCrossentropy()
    assert not explosion(run([1000.0], loss, grown=2))
    assert explosion(run([1000.0], loss, grown=2.1))
    assert not explosion(run([1000.0], hc.MeanSquaredError(), grown=3))


def test_the_loss_of_guessing_is_weighted_as_the_samples_are() -> None:
    weights, loss = np.full(len(X), 100.0), hc.losses.SoftmaxCategoricalCrossentropy()
    assert not explosion(run([990 * np.log(3)], loss, grown=3, weights=weights))
    assert explosion(run([1010 * np.log(3)], loss, grown=3, weights=weights))


def test_parameters_that_stand_still_are_remarked_upon_after_the_first_epoch_alone() -> None:
    assert standstill(run([1.0], hc.MeanSquaredError()))
    assert not standstill(run([1.0, 1.0], hc.MeanSquaredError()))
    assert not standstill(run([1.0], hc.MeanSquaredError(), grown=1.1))


def test_parameters_that_stand_still_have_no_gradient_or_an_optimizer_that_leaves_them() -> None:
    state = run([1.0], hc.MeanSquaredError())
    assert standstill(state).startswith("No parameter has moved in epoch 1: the last step's gradient is 0")
    state.network.gradients[0] = 1
    assert "SGD left them as they are, with a learning rate of 0.5: use a larger one" in standstill(state)


def test_a_network_without_parameters_stands_still_rightly() -> None:
    network = hc.Sequential([hc.Softmax()], input_shape=(4,), seed=0)
    state = TrainingState(network, hc.MeanSquaredError(), hc.SGD(), Samples(X, Y), 9, batch_size=16, shuffle=False)
    state.epoch = 1
    assert not standstill(state)
