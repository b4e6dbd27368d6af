"""What is refused before the first step: of batches and shards, by their sizes alone."""

import re
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.samples import Samples
from handconv.training.checks import (
    check_enough_samples,
    check_gradients_written,
    check_no_views,
    check_parameters_used,
    check_runs_once,
)
from handconv.training.state import Task


def task(count: int, batch_size: int, *layers: hc.Layer) -> Task:
    network = hc.Sequential([*(layers or [hc.BatchNorm()]), hc.Dense(2)], input_shape=(3,), seed=0)
    samples = Samples(np.zeros((count, 3)), np.zeros(count, np.int64))
    return Task(network, hc.MeanSquaredError(), hc.SGD(), samples, epochs=1, batch_size=batch_size, shuffle=False)


class TestALayerThatNeedsTwoSamples:
    @pytest.mark.parametrize(
        ("count", "batch_size", "shard"),
        [
            (9, 4, 4),  # the last batch
            (10, 5, 4),  # the last shard of each batch
            (15, 8, 3),  # the last shard of the last batch
            (1, 8, 4),  # all there are
            (8, 4, 1),  # each shard
        ],
    )
    def test_is_refused_where_one_would_be_left(self, count: int, batch_size: int, shard: int) -> None:
        with pytest.raises(ValueError, match=r"BatchNorm needs at least 2 samples together .* leave 1 at the end"):
            check_enough_samples(task(count, batch_size), shard)

    @pytest.mark.parametrize(
        ("count", "batch_size", "shard"),
        [(8, 4, 4), (10, 4, 4), (8, 8, 4), (10, 10, 4), (2, 8, 4), (3, 8, 128), (16, 8, 2)],
    )
    def test_trains_where_two_are_left(self, count: int, batch_size: int, shard: int) -> None:
        check_enough_samples(task(count, batch_size), shard)

    def test_is_found_within_another_layer(self) -> None:
        with pytest.raises(ValueError, match="BatchNorm needs at least 2"):
            check_enough_samples(task(9, 4, hc.Dense(3), hc.Residual([hc.Dense(3), hc.BatchNorm()])), 4)

    def test_is_told_what_was_asked_for(self) -> None:
        message = re.escape("9 samples in batches of 4 and shards of 2 leave 1 at the end. Use another batch_size.")
        with pytest.raises(ValueError, match=message):
            check_enough_samples(task(9, 4), 2)

    def test_is_refused_by_fit_before_the_first_step(self) -> None:
        network = hc.Sequential([hc.BatchNorm(), hc.Dense(2)], input_shape=(3,), seed=0)
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="leave 1 at the end"):
            network.fit(np.ones((9, 3)), np.zeros((9, 2)), loss=hc.MeanSquaredError(), batch_size=4)
        np.testing.assert_array_equal(network.parameters, before)


def test_other_layers_take_a_single_sample() -> None:
    check_enough_samples(task(9, 4, hc.Dropout(0.5)), 4)


class Both(hc.Layer):
    """Runs what it holds one after the other, as often as it is told."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times, self.inner = times, hc.Dense(3)
        self.seen = 0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.seen = len(inputs)
        for _ in range(self.times):
            inputs = self.inner.forward(inputs, training)
        return inputs


def test_a_layer_that_runs_twice_in_a_pass_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Layer 0\.inner is called 2 times in one forward pass"):
        check_runs_once(task(9, 4, Both(2)))


@pytest.mark.parametrize("times", [0, 1])
def test_a_layer_that_runs_once_or_never_is_not(times: int) -> None:
    check_runs_once(task(9, 4, Both(times)))


def test_passes_are_those_of_training() -> None:
    class TwiceInTraining(Both):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            self.times = 2 if training else 1
            return super().forward(inputs, training)

    with pytest.raises(ValueError, match="is called 2 times"):
        check_runs_once(task(9, 4, TwiceInTraining(1)))


class Scale(hc.Layer):
    """Multiplies by a parameter; its backward knows of training alone."""

    def declare(self, input_shape: tuple[int, ...]) -> tuple[hc.ParameterSpec, ...]:
        return (hc.ParameterSpec("factor", (1,), "ones"),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.seen = inputs if training else None
        return inputs * self.factor

    def backward(self, dvalues: Any) -> Any:
        assert self.seen is not None
        return dvalues * self.factor


def test_a_gradient_that_training_does_not_write_is_told() -> None:
    run = task(9, 4, Scale())
    run.samples.x[...] = 1
    with pytest.warns(UserWarning, match=r"No backward writes the gradient of 0\.factor"):
        check_gradients_written(run)


def test_a_backward_that_was_exchanged_on_one_layer_is_not_judged() -> None:
    layer = Scale()

    def writes(dvalues: Any) -> Any:
        layer.dfactor[...] = dvalues.sum()
        return dvalues

    layer.backward = writes  # type: ignore[method-assign]
    run = task(9, 4, layer)
    run.samples.x[...] = 1
    check_gradients_written(run)


class KeepsACopy(Scale):
    """Multiplies by what it made of its parameter at the first forward."""

    kept: Any = None

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.kept = self.factor.copy() if self.kept is None else self.kept
        return super().forward(inputs, training) * 0 + inputs * self.kept


class KeepsAView(KeepsACopy):
    """Multiplies by a view of its parameter."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.kept = self.factor[::1] if self.kept is None else self.kept
        return super().forward(inputs, training)


class Drawing(KeepsACopy):
    """Draws random numbers of its own, so that no two of its passes are alike."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return super().forward(inputs, training) + np.random.default_rng().normal(size=inputs.shape)


def test_a_layer_that_computes_with_a_copy_of_its_parameters_is_told() -> None:
    run = task(9, 4, hc.Dense(3), KeepsACopy())
    run.samples.x[...] = 1
    with pytest.warns(UserWarning, match="KeepsACopy computes with its parameters as they were in an earlier forward"):
        check_parameters_used(run)


@pytest.mark.parametrize("kind", [Scale, KeepsAView, Drawing])
def test_a_layer_that_computes_with_its_parameters_or_at_random_is_not(kind: type[hc.Layer]) -> None:
    run = task(9, 4, hc.Dense(3), kind())
    run.samples.x[...] = 1
    check_parameters_used(run)


def test_passes_are_counted_on_a_copy() -> None:
    run = task(9, 4, Both(1))
    check_runs_once(run)
    (held, dense) = run.network.layers
    assert held.seen == 0  # type: ignore[attr-defined]
    assert dense.output is None
    assert "forward" not in vars(dense)


class Keeping(hc.MeanSquaredError):
    """Keeps what it is given."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.kept = kept


def test_a_loss_that_keeps_a_view_of_the_parameters_is_refused() -> None:
    run = task(9, 4)
    run.loss = Keeping(run.network.parameters[1:3])
    with pytest.raises(RuntimeError, match="keeps a view of the network's arrays as 'kept'"):
        check_no_views(run)


@pytest.mark.parametrize("kept", [np.zeros(3), [1, 2], "a word", None])
def test_a_loss_that_keeps_something_else_is_not(kept: Any) -> None:
    run = task(9, 4)
    run.loss = Keeping(kept)
    check_no_views(run)


class Momentum(hc.SGD):
    """Keeps a vector that it does not declare."""

    velocity: Any = 0.0

    def _update(self, parameters: Any, gradients: Any, part: slice, rate: float) -> None:
        self.velocity = 0.9 * self.velocity + gradients[part]
        parameters[part] -= rate * self.velocity


def test_an_optimizer_may_keep_what_it_likes_where_nothing_is_saved_or_shared() -> None:
    network = hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0)
    x, y = np.ones((64, 3)), np.zeros((64, 2))
    network.fit(x, y, loss=hc.MeanSquaredError(), optimizer=Momentum(0.1), epochs=2)
    with pytest.raises(RuntimeError, match="Momentum carries state from step to step that is not in its state"):
        network.fit(x, y, loss=hc.MeanSquaredError(), optimizer=Momentum(0.1), workers=2)
