"""EarlyStopping and ReduceOnPlateau do what they say, alone, with workers, and in a run that is resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.arrays import FloatArray

X = np.random.default_rng(0).normal(size=(48, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


def network() -> hc.Sequential:
    layers = [hc.Dense(6), hc.BatchNorm(), hc.Tanh(), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(4,), seed=0)


def fit(*callbacks: hc.Callback, model: hc.Sequential | None = None, **options: Any) -> tuple[Any, hc.History]:
    model = model or network()
    options = {"epochs": 12, "batch_size": 16, "optimizer": hc.Adam(0.01)} | options
    return model, model.fit(X, Y, callbacks=callbacks, **options)


class Scripted(hc.Callback):
    """Gives each epoch the figure "val_loss" that a script says, and keeps the parameters, buffers and rate."""

    def __init__(self, *values: float, monitor: str = "val_loss") -> None:
        self.values, self.monitor = values, monitor
        self.kept: list[tuple[FloatArray, FloatArray]] = []
        self.rates: list[float] = []

    def on_epoch_end(self, run: Any, figures: Any) -> None:
        for place in (figures, run.history.epochs[-1]):
            place[self.monitor] = self.values[run.epoch - 1]
        self.kept.append((run.best_parameters.copy(), run.network.buffers.copy()))
        self.rates.append(run.optimizer.learning_rate)


class BreakOff(hc.Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_begin(self, run: Any) -> None:
        assert run.epoch < self.epoch

    def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
        if figures["epoch"] == self.epoch:
            run.stop(2)  # as Ctrl-C does: the run is saved


def broken_off(path: Path, epoch: int, *callbacks: hc.Callback, **options: Any) -> None:
    with pytest.raises(hc.TrainingInterrupted):
        fit(hc.Checkpoint(path), *callbacks, BreakOff(epoch), **options)


VALID: dict[str, Any] = {"validation_data": (X, Y)}


class TestEarlyStopping:
    def test_waits_for_as_many_epochs_as_it_was_told(self) -> None:
        script = Scripted(5, 4, 4, 4.5, 3, 3, 3, 3, 3)
        _, history = fit(script, hc.EarlyStopping(patience=3), **VALID)
        assert len(history.epochs) == 8

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_parameters_and_buffers_of_the_best_epoch_come_back(self, workers: int) -> None:
        script = Scripted(5, 4, 3, 4, 5)
        model, _ = fit(script, hc.EarlyStopping(patience=2), workers=workers, **VALID)
        for actual, expected in zip((model.parameters, model.buffers), script.kept[2], strict=True):
            np.testing.assert_array_equal(actual, expected)

    def test_they_come_back_after_the_last_epoch_too(self) -> None:
        script = Scripted(5, 3, 4)
        model, history = fit(script, hc.EarlyStopping(patience=9), epochs=3, **VALID)
        assert len(history.epochs) == 3
        np.testing.assert_array_equal(model.parameters, script.kept[1][0])

    def test_they_stay_away_where_nobody_wants_them(self) -> None:
        script = Scripted(5, 3, 4)
        model, _ = fit(script, hc.EarlyStopping(restore_best=False), epochs=3, **VALID)
        np.testing.assert_array_equal(model.parameters, script.kept[2][0])

    def test_of_an_accuracy_the_greatest_is_the_best(self) -> None:
        script = Scripted(0.2, 0.7, 0.6, 0.7, 0.9, monitor="val_accuracy")
        model, history = fit(script, hc.EarlyStopping("val_accuracy", patience=2), **VALID)
        assert len(history.epochs) == 4
        np.testing.assert_array_equal(model.parameters, script.kept[1][0])

    def test_less_than_min_delta_is_no_improvement(self) -> None:
        _, history = fit(Scripted(5, 4.9, 4.8, 4.7), hc.EarlyStopping(patience=2, min_delta=0.5), **VALID)
        assert len(history.epochs) == 3

    def test_a_figure_that_is_not_a_number_is_no_improvement(self) -> None:
        _, history = fit(Scripted(5, np.nan, np.nan, 1), hc.EarlyStopping(patience=2), **VALID)
        assert len(history.epochs) == 3

    def test_the_averaged_parameters_are_those_that_come_back(self) -> None:
        script = Scripted(5, 3, 4, 5)
        options: dict[str, Any] = {"averaging": hc.ExponentialAverage(0.9)} | VALID
        model, _ = fit(script, hc.EarlyStopping(patience=2), **options)
        np.testing.assert_array_equal(model.parameters, script.kept[1][0])

    def test_one_serves_a_second_training(self) -> None:
        stopping = hc.EarlyStopping(patience=2)
        fit(Scripted(1, 2, 3), stopping, **VALID)
        _, history = fit(Scripted(9, 8, 7, 8, 9), stopping, **VALID)
        assert len(history.epochs) == 5

    def test_workers_make_the_same_bits(self) -> None:
        results = [
            fit(hc.EarlyStopping("loss", patience=1, min_delta=0.1), workers=workers, shard_size=8)
            for workers in (1, 2)
        ]
        (alone, its), (shared, theirs) = results
        assert its["loss"] == theirs["loss"]
        np.testing.assert_array_equal(alone.parameters, shared.parameters)

    def test_without_validation_data_it_is_refused_before_the_first_step(self) -> None:
        model = network()
        before = model.parameters.copy()
        with pytest.raises(ValueError, match=r"watches 'val_loss', and there is no validation data\. Give validation"):
            fit(hc.EarlyStopping(), model=model)
        np.testing.assert_array_equal(model.parameters, before)

    def test_a_figure_that_no_epoch_has_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"watches 'error', and an epoch has .*\. Name one of these\."):
            fit(hc.EarlyStopping("error"))

    def test_a_figure_that_an_earlier_callback_adds_can_be_watched(self) -> None:
        class Adding(hc.Callback):
            def on_epoch_end(self, run: Any, figures: dict[str, float]) -> None:
                figures["val_error"] = 1.0

        _, history = fit(Adding(), hc.EarlyStopping("val_error", patience=2, mode="min"))
        assert history["val_error"] == [1.0, 1.0, 1.0]
        with pytest.raises(ValueError, match=r"watches 'val_error', and .* give the callback that adds it .* before"):
            fit(hc.EarlyStopping("val_error", mode="min"), Adding())

    @pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 0)])
    def test_the_mode_says_which_is_the_best(self, mode: Any, best: int) -> None:
        script = Scripted(5, 4, 3, 4, monitor="val_error")
        model, _ = fit(script, hc.EarlyStopping("val_error", patience=9, mode=mode), epochs=4)
        np.testing.assert_array_equal(model.parameters, script.kept[best][0])

    @pytest.mark.parametrize("watch", [hc.EarlyStopping, hc.ReduceOnPlateau])
    def test_a_name_that_does_not_say_which_is_the_best_needs_a_mode(self, watch: Any) -> None:
        model = network()
        before = model.parameters.copy()
        with pytest.raises(
            ValueError, match=rf'{watch.__name__} watches \'f1\', whose name .* Give mode="min" or mode='
        ):
            fit(Scripted(1, 2, monitor="f1"), watch("f1"), model=model)
        np.testing.assert_array_equal(model.parameters, before)

    @pytest.mark.parametrize("value", ["good", None, np.arange(3)])
    def test_a_figure_that_is_no_number_is_refused(self, value: Any) -> None:
        class Adding(hc.Callback):
            def on_epoch_end(self, run: Any, figures: dict[str, Any]) -> None:
                figures["judgement"] = value

        with pytest.raises(TypeError, match=r"must be a number, and Adding.on_epoch_end has made 'judgement'"):
            fit(Adding())

    @pytest.mark.parametrize("monitor", ["val_acc", "acc", "val_learning_rate"])
    def test_a_figure_of_another_name_is_refused_before_the_first_step(self, monitor: str) -> None:
        model = network()
        before = model.parameters.copy()
        with pytest.raises(ValueError, match=f"watches '{monitor}', .* val_loss and val_accuracy with validation data"):
            fit(hc.EarlyStopping(monitor), model=model, **VALID)
        np.testing.assert_array_equal(model.parameters, before)

    def test_every_figure_of_an_epoch_can_be_watched(self) -> None:
        _, history = fit(**VALID)
        for name in history.epochs[0]:
            fit(hc.ReduceOnPlateau(name, mode="min"), **VALID)

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("epoch", [2, 3, 4, 5])
    def test_a_resumed_run_ends_as_an_undisturbed_one(self, epoch: int, workers: int, tmp_path: Path) -> None:
        path, values = tmp_path / "run.npz", (5, 3, 4, 4, 4, 1, 1)
        options: dict[str, Any] = {"workers": workers} | VALID
        broken_off(path, epoch, Scripted(*values), hc.EarlyStopping(patience=3), **options)
        model, history = fit(Scripted(*values), hc.EarlyStopping(patience=3), resume=path, **options)
        whole, expected = fit(Scripted(*values), hc.EarlyStopping(patience=3), **options)
        assert history["val_loss"] == expected["val_loss"] == [5, 3, 4, 4, 4]
        np.testing.assert_array_equal(model.parameters, whole.parameters)
        np.testing.assert_array_equal(model.buffers, whole.buffers)

    def test_in_a_run_begun_without_it_the_best_is_that_from_the_resume_on(self, tmp_path: Path) -> None:
        path = tmp_path / "run.npz"
        broken_off(path, 2, Scripted(1, 2), **VALID)
        script = Scripted(1, 2, 5, 4, 6, 6)
        model, history = fit(script, hc.EarlyStopping(patience=2), resume=path, **VALID)
        assert len(history.epochs) == 6
        np.testing.assert_array_equal(model.parameters, script.kept[1][0])


class TestReduceOnPlateau:
    def test_lowers_the_rate_each_time_that_nothing_has_become_better_for_as_long_as_it_waits(self) -> None:
        script = Scripted(5, 5, 5, 4, 4, 4, 4, 4)
        _, history = fit(hc.ReduceOnPlateau(patience=2), script, epochs=8, **VALID)
        assert history["learning_rate"] == [0.01] * 8  # the script speaks after it
        _, history = fit(script, hc.ReduceOnPlateau(patience=2), epochs=8, **VALID)
        assert history["learning_rate"] == [0.01] * 3 + [0.005] * 3 + [0.0025] * 2

    def test_the_optimizer_has_its_own_rate_again_afterwards(self) -> None:
        optimizer, losses = hc.SGD(0.1), []
        for _ in range(2):
            callbacks = Scripted(5, 5, 5), hc.ReduceOnPlateau(patience=1)
            losses.append(fit(*callbacks, epochs=3, optimizer=optimizer, **VALID)[1]["loss"])
            assert optimizer.learning_rate == 0.1
        assert losses[0] == losses[1]

    def test_the_rate_stops_at_the_least(self) -> None:
        callbacks = Scripted(*[5] * 6), hc.ReduceOnPlateau(patience=1, least=0.004)
        _, history = fit(*callbacks, epochs=6, **VALID)
        assert history["learning_rate"] == [0.01, 0.01, 0.005, 0.004, 0.004, 0.004]

    def test_a_rate_below_the_least_is_not_raised(self) -> None:
        callbacks = Scripted(*[5] * 4), hc.ReduceOnPlateau(patience=1, least=0.1)
        _, history = fit(*callbacks, epochs=4, **VALID)
        assert history["learning_rate"] == [0.01] * 4

    def test_workers_learn_of_the_lower_rate(self) -> None:
        results = [
            fit(Scripted(*[5] * 5), hc.ReduceOnPlateau(patience=1), epochs=5, workers=workers, shard_size=8, **VALID)
            for workers in (1, 2)
        ]
        (alone, its), (shared, theirs) = results
        assert its["learning_rate"] == theirs["learning_rate"] == [0.01, 0.01, 0.005, 0.0025, 0.00125]
        np.testing.assert_array_equal(alone.parameters, shared.parameters)

    def test_a_schedule_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"changes a learning rate that is a number, got OneCycle"):
            fit(hc.ReduceOnPlateau("loss"), optimizer=hc.Adam(hc.schedules.OneCycle(0.1)))

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("given", ["the same optimizer", "none"])
    @pytest.mark.parametrize("epoch", [2, 3, 4, 5])
    def test_a_resumed_run_ends_as_an_undisturbed_one(
        self, epoch: int, given: str, workers: int, tmp_path: Path
    ) -> None:
        path, values = tmp_path / "run.npz", (5, 5, 5, 4, 4, 4, 4, 4)
        options: dict[str, Any] = {"workers": workers, "epochs": 8} | VALID
        broken_off(path, epoch, Scripted(*values), hc.ReduceOnPlateau(patience=2), **options)
        again = options | ({"optimizer": None} if given == "none" else {})
        model, history = fit(Scripted(*values), hc.ReduceOnPlateau(patience=2), resume=path, **again)
        whole, expected = fit(Scripted(*values), hc.ReduceOnPlateau(patience=2), **options)
        assert history["learning_rate"] == expected["learning_rate"]
        assert history["loss"] == expected["loss"]
        np.testing.assert_array_equal(model.parameters, whole.parameters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hc.EarlyStopping(patience=0), "EarlyStopping: patience must be"),
        (lambda: hc.ReduceOnPlateau(mode="least"), 'ReduceOnPlateau: mode must be "min" or "max"'),  # type: ignore[arg-type]
        (lambda: hc.EarlyStopping(min_delta=-1), "EarlyStopping: min_delta must be .*of at least 0"),
        (lambda: hc.ReduceOnPlateau(factor=1), "ReduceOnPlateau: factor must be .*above 0 and below 1"),
        (lambda: hc.ReduceOnPlateau(least=0), "ReduceOnPlateau: least must be .*above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
