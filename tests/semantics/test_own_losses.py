"""Losses of one's own: what they return is used, or refused by its name."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import VECTORS

TARGETS = VECTORS[:, :1] * 2.5


def regression(loss: hc.Loss, **options: Any) -> Any:
    network = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
    settings = {"epochs": 2, "batch_size": 128, "shard_size": 32, "optimizer": hc.SGD(0.05)} | options
    history = network.fit(VECTORS, TARGETS, loss=loss, **settings)
    return network.parameters, history["loss"]


class Squares(hc.Loss):
    """The squared error, by the two pure functions."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return ((predictions - targets) ** 2).mean(axis=1)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return 2 * (predictions - targets) / predictions.shape[1]


class Counting(Squares):
    """The gradient falls with each call."""

    calls = 0

    def gradient(self, predictions: Any, targets: Any) -> Any:
        self.calls += 1
        return super().gradient(predictions, targets) / self.calls


class Drawing(Squares):
    """The gradient has noise out of a generator of the loss's own."""

    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(0)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return super().gradient(predictions, targets) + self.random.normal(size=predictions.shape)


class InPlace(Squares):
    """Moves predictions and targets where they lie."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        predictions -= 1
        targets += 1
        return super().sample_losses(predictions, targets)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        predictions -= 1
        targets += 1
        return super().gradient(predictions, targets)


class TestALoss:
    @pytest.mark.parametrize(
        "wrong", [np.mean, lambda losses: losses[:, None], lambda losses: losses[:-1], lambda losses: losses[None]]
    )
    def test_that_does_not_give_one_number_a_sample_is_refused(self, wrong: Callable[[Any], Any]) -> None:
        kind = type("Odd", (Squares,), {"sample_losses": lambda self, p, t: wrong(Squares.sample_losses(self, p, t))})
        with pytest.raises(ValueError, match=r"Odd\.sample_losses must return one loss for each"):
            regression(kind())

    @pytest.mark.parametrize(
        "wrong", [lambda losses: losses * 1j, lambda losses: losses.astype(object), lambda _: None]
    )
    def test_that_gives_no_real_numbers_is_refused(self, wrong: Callable[[Any], Any]) -> None:
        kind = type("Odd", (Squares,), {"sample_losses": lambda self, p, t: wrong(Squares.sample_losses(self, p, t))})
        with pytest.raises(TypeError, match=r"Odd\.sample_losses must return real numbers"):
            regression(kind())

    def test_that_gives_complex_numbers_is_refused_without_a_warning_before(self) -> None:
        kind = type("Odd", (Squares,), {"sample_losses": lambda self, p, t: Squares.sample_losses(self, p, t) * 1j})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(TypeError, match="real numbers"):
                regression(kind())
        assert not caught

    def test_that_changes_its_arguments_in_place_has_the_gradient_of_its_value(self) -> None:
        class Shifted(Squares):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return super().sample_losses(predictions - 1, targets + 1)

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return super().gradient(predictions - 1, targets + 1)

        parameters, losses = regression(InPlace())
        expected, expected_losses = regression(Shifted())
        np.testing.assert_allclose(parameters, expected, rtol=1e-5)
        np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)

    @pytest.mark.parametrize("kind", [Counting, Drawing])
    def test_that_carries_state_is_refused_for_workers_before_the_first_step(self, kind: type[hc.Loss]) -> None:
        with pytest.raises(RuntimeError, match=f"{kind.__name__} gives .* depends on the shard before"):
            regression(kind(), workers=2)

    def test_that_carries_state_is_refused_with_a_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="Counting gives"):
            regression(Counting(), callbacks=[hc.Checkpoint(tmp_path / "run.npz")])

    def test_that_carries_state_trains_in_one_process(self) -> None:
        loss = Counting()
        regression(loss)
        assert loss.calls == 40

    @pytest.mark.parametrize("batch_size", [8, 128])
    @pytest.mark.parametrize("heeds", ["value", "gradient", "both"])
    def test_with_its_own_forward_heeds_weights_of_samples_or_is_refused(self, heeds: str, batch_size: int) -> None:
        class Own(hc.Loss):
            def forward(self, predictions: Any, targets: Any, weights: Any = None, *, batch_size: Any = None) -> Any:
                self.difference, self.size = predictions - targets, batch_size or len(predictions)
                self.scale = np.ones((len(predictions), 1)) if weights is None else weights[:, None]
                return float((self.difference**2 * (1 if heeds == "gradient" else self.scale)).sum() / self.size)

            def backward(self) -> Any:
                return 2 * self.difference * (1 if heeds == "value" else self.scale) / self.size

        options: dict[str, Any] = {"batch_size": batch_size, "sample_weights": np.linspace(0, 2, len(VECTORS))}
        if heeds == "both":
            np.testing.assert_allclose(regression(Own(), **options)[0], regression(Squares(), **options)[0], 1e-4, 1e-6)
        else:
            regression(Own(), batch_size=batch_size)  # without weights
            with pytest.raises(ValueError, match=r"Own\.forward and backward must multiply .* by its weight"):
                regression(Own(), **options)

    @pytest.mark.parametrize(
        "change",
        [
            lambda y: y / 10,
            lambda y: y - y.mean(),
            lambda y: np.eye(9)[y.astype(int)[:, 0]],
            lambda y: np.repeat(y, 2, 1),
        ],
    )
    def test_that_changes_targets_again_when_it_checks_a_batch_is_refused(self, change: Callable[[Any], Any]) -> None:
        kind = type("Odd", (Squares,), {"check_targets": lambda self, targets, shape: change(np.asarray(targets))})
        network = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
        for use in (
            network.fit,
            network.evaluate,
            lambda *samples, loss: hc.find_learning_rate(network, *samples, loss=loss),
        ):
            with pytest.raises(
                ValueError, match=r"Odd\.check_targets must leave targets that it has returned as they are"
            ):
                use(VECTORS, TARGETS, loss=kind())

    def test_may_bring_targets_into_a_form_of_its_own_with_gaps(self) -> None:
        class Gaps(Squares):
            def check_targets(self, targets: Any, shape: Any) -> Any:
                return np.where(np.asarray(targets) < 0, np.nan, targets).reshape(shape)

            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return super().sample_losses(predictions, np.where(np.isnan(targets), predictions, targets))

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return super().gradient(predictions, np.where(np.isnan(targets), predictions, targets))

        network = hc.Sequential([hc.Dense(1, weight_init="zeros")], input_shape=(4,), seed=0)
        expected = np.where(TARGETS < 0, 0, TARGETS.astype(np.float64) ** 2).mean()
        np.testing.assert_allclose(network.evaluate(VECTORS, TARGETS[:, 0], loss=Gaps())["loss"], expected, rtol=1e-6)

    def test_whose_forward_leaves_out_the_size_of_the_batch_is_refused(self) -> None:
        class OfTheShard(hc.Loss):
            def forward(self, predictions: Any, targets: Any, weights: Any = None, batch_size: Any = None) -> Any:
                self.difference = predictions - targets
                return float((self.difference**2).mean())

            def backward(self) -> Any:
                return 2 * self.difference / self.difference.size

        with pytest.raises(ValueError, match=r"OfTheShard\.forward .* batch_size"):
            regression(OfTheShard())

    def test_whose_forward_takes_other_arguments_is_refused(self) -> None:
        kind = type("Short", (Squares,), {"forward": lambda self, predictions, targets: 1.0})
        with pytest.raises(TypeError, match=r"Short\.forward must take .*batch_size"):
            regression(kind())

    @pytest.mark.parametrize("value", [None, "1", np.ones(2), 1j])
    def test_whose_forward_gives_no_number_is_refused(self, value: Any) -> None:
        kind = type("Odd", (Squares,), {"forward": lambda self, *arguments, **options: value})
        network = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
        with pytest.raises(TypeError, match=r"Odd\.forward must return one real number"):
            network.evaluate(VECTORS, TARGETS, loss=kind())

    @pytest.mark.parametrize("value", [-3, 1, "much"])
    def test_of_ours_has_settings_that_the_constructor_would_take(self, value: Any) -> None:
        loss = hc.SoftmaxCategoricalCrossentropy(0.1)
        with pytest.raises(ValueError, match="label_smoothing must be"):
            loss.label_smoothing = value
        assert loss.label_smoothing == 0.1

    def test_that_is_a_frozen_dataclass_trains(self) -> None:
        frozen = dataclass(frozen=True)(type("Frozen", (Squares,), {}))
        np.testing.assert_array_equal(regression(frozen())[0], regression(Squares())[0])


class Column(hc.Loss):
    """Takes targets (N,) from predictions (N, 1), which makes (N, N)."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return np.abs(predictions - targets).mean(axis=1)


class Spread(Squares):
    """The distance from the mean of the batch."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return super().sample_losses(predictions - predictions.mean(axis=0), targets)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return super().gradient(predictions - predictions.mean(axis=0), targets)


class TestALossThatLooksAtOtherSamples:
    def network(self) -> hc.Sequential:
        return hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)

    def test_as_an_array_was_spread_is_refused_in_evaluation(self) -> None:
        with pytest.raises(ValueError, match=r"Column gives for a sample depends on .* use targets\[:, None\]"):
            self.network().evaluate(VECTORS, TARGETS[:, 0], loss=Column())

    def test_on_purpose_is_refused_where_a_batch_has_shards(self) -> None:
        with pytest.raises(ValueError, match=r"Spread gives for a sample depends on .* shard_size=batch_size"):
            self.network().fit(VECTORS, TARGETS, loss=Spread(), batch_size=64)

    def test_on_purpose_trains_on_whole_batches(self) -> None:
        network = self.network()
        predictions = network.predict(VECTORS)
        expected = float(Spread().sample_losses(predictions, TARGETS).mean())
        settings: dict[str, Any] = {"batch_size": len(VECTORS), "shard_size": len(VECTORS), "optimizer": hc.SGD(1e-9)}
        assert network.fit(VECTORS, TARGETS, loss=Spread(), **settings)["loss"] == [pytest.approx(expected, rel=1e-5)]

    @pytest.mark.parametrize("seeded", [True, False])
    def test_is_not_one_that_draws_random_numbers(self, seeded: bool) -> None:
        class Noisy(Squares):
            def gradient(self, predictions: Any, targets: Any) -> Any:
                return super().gradient(predictions, targets) + np.random.normal(size=predictions.shape)  # noqa: NPY002

        self.network().fit(VECTORS, TARGETS, loss=Drawing() if seeded else Noisy(), batch_size=64)


class TestAnEvaluationByWorkers:
    def test_refuses_a_loss_that_carries_state(self) -> None:
        network = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
        network.evaluate(VECTORS, TARGETS, loss=Counting())
        with pytest.raises(RuntimeError, match="Counting gives"):
            network.evaluate(VECTORS, TARGETS, loss=Counting(), workers=2)

    @pytest.mark.parametrize("verb", ["evaluate", "predict"])
    def test_refuses_a_layer_that_carries_state_from_answer_to_answer(self, verb: str) -> None:
        class Tiring(hc.Layer):
            answers = 0

            def forward(self, inputs: Any, training: bool = False) -> Any:
                self.answers += 1
                return inputs / self.answers

            def backward(self, dvalues: Any) -> Any:
                return dvalues / self.answers

        network = hc.Sequential([hc.Dense(1), Tiring()], input_shape=(4,), seed=0)
        arguments, options = (VECTORS, TARGETS)[: 1 + (verb == "evaluate")], {}
        if verb == "evaluate":
            options["loss"] = hc.MeanSquaredError()
        getattr(network, verb)(*arguments, **options)
        with pytest.raises(RuntimeError, match=r"What Tiring answer for the same samples .* workers=1"):
            getattr(network, verb)(*arguments, **options, workers=2)


class Shrinking(Squares):
    """Adds the size of some weights to its value; what it looks at is set afterwards."""

    seen: Any = None

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        weights = self.seen.weights if isinstance(self.seen, hc.Layer) else self.seen
        return super().sample_losses(predictions, targets) + np.abs(weights).sum()


class TestALossThatLooksAtWeights:
    def losses(self, what: Callable[[hc.Sequential], Any], workers: int) -> list[float]:
        network, loss = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0), Shrinking()
        loss.seen = what(network)
        settings: dict[str, Any] = {"epochs": 2, "batch_size": 128, "shard_size": 32, "optimizer": hc.SGD(0.05)}
        return network.fit(VECTORS, TARGETS, loss=loss, workers=workers, **settings)["loss"]

    def test_by_their_layer_sees_them_in_workers_too(self) -> None:
        alone, shared = (self.losses(lambda network: network.layers[0], workers) for workers in (1, 2))
        assert alone == shared

    def test_by_a_view_of_them_is_refused_for_workers(self) -> None:
        assert self.losses(lambda network: network.layers[0].weights, 1)
        with pytest.raises(RuntimeError, match="Shrinking keeps a view of the network's arrays as 'seen'"):
            self.losses(lambda network: network.layers[0].weights, 2)
