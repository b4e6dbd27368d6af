"""Checkpoints: a run that was stopped anywhere goes on to the same bits."""

import dataclasses
import json
import math
import os
import signal
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.samples import Samples
from handconv.training import Callback
from handconv.training.checkpoint import Checkpoint
from handconv.training.state import fingerprint
from network_cases import Counting, Residual

X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
Y = np.arange(50) % 3
TIMES = ("train_seconds", "images_per_second")


def model(seed: int = 0, units: int = 8, more: hc.Layer | None = None) -> hc.Sequential:
    layers = [hc.Dense(units, l2=1e-3), hc.LeakyReLU(), hc.Dropout(0.3), hc.Dense(3), hc.Softmax()]
    return hc.Sequential([*layers, more] if more else layers, input_shape=(4,), seed=seed)


def wider_model() -> hc.Sequential:
    layers = [hc.Dense(8, l2=1e-3), hc.Tanh(), hc.Dense(8), hc.Dropout(0.3), hc.Dense(3), hc.LeakyReLU(), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(4,), seed=0)


def fit(epochs: int, *callbacks: Callback, network: hc.Sequential | None = None, **options: Any) -> hc.Sequential:
    """Train; the history is left in ``info``."""
    network = network or model()
    defaults = {"batch_size": 16, "optimizer": hc.Adam(0.01), "validation_split": 0.2}
    history = network.fit(X, Y, epochs=epochs, callbacks=callbacks, **(defaults | options))
    network.info["history"] = [{name: epoch[name] for name in epoch if name not in TIMES} for epoch in history.epochs]
    return network


def scaled(factor: float) -> Callable[..., Any]:
    """An augmentation that is a closure."""
    return lambda images, generator: images * np.float32(factor * generator.uniform(0.9, 1.1))


class Scaling:
    """An augmentation with a setting and without a config."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, images: Any, _generator: Any) -> Any:
        return images * np.float32(self.factor)


class At(Callback):
    """Does something when the steps of an epoch begin to be done."""

    def __init__(self, epoch: int, action: Callable[[Any], object]) -> None:
        self.epoch, self.action = epoch, action

    def on_batch_end(self, run: Any, progress: Any) -> None:
        if progress.epoch == self.epoch and progress.samples_done < progress.samples:
            self.epoch = 0
            self.action(run)


def assert_same(first: hc.Sequential, second: hc.Sequential) -> None:
    np.testing.assert_array_equal(first.parameters, second.parameters)
    assert first.info["history"] == second.info["history"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.npz"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the description in a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(parts["metadata.json"])
    change(description)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"metadata.json": json.dumps(description).encode()}).items():
            archive.writestr(name, content)


class TestGoingOn:
    @pytest.mark.parametrize(
        "optimizer", [lambda: hc.Adam(0.01), lambda: hc.SGD(0.1, 0.9), lambda: hc.SGD(0.1), lambda: hc.AdamW(0.01)]
    )
    def test_two_and_two_epochs_are_four(self, optimizer: Callable[[], hc.Optimizer], path: Path) -> None:
        fit(2, Checkpoint(path), optimizer=optimizer())
        assert_same(fit(4, optimizer=optimizer(), resume=path), fit(4, optimizer=optimizer()))

    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
    def test_a_run_stopped_within_an_epoch_goes_on_from_the_step(self, stop: signal.Signals, path: Path) -> None:
        with pytest.raises(hc.TrainingInterrupted, match=rf"stopped by {stop.name} in epoch 2 after step 2 and saved"):
            fit(3, Checkpoint(path), At(2, lambda _: signal.raise_signal(stop)))
        assert_same(fit(3, resume=path), fit(3))

    def test_with_more_workers_too(self, path: Path) -> None:
        with pytest.raises(hc.TrainingInterrupted):
            fit(3, Checkpoint(path), At(2, lambda _: signal.raise_signal(signal.SIGINT)))
        assert_same(fit(3, resume=path, workers=2), fit(3))

    @pytest.mark.parametrize("before", [1, 2])
    @pytest.mark.parametrize("after", [1, 2])
    def test_with_any_number_of_workers_before_and_after(self, before: int, after: int, path: Path) -> None:
        fit(2, Checkpoint(path), workers=before)
        assert_same(fit(4, resume=path, workers=after), fit(4))

    def test_a_schedule_goes_on_where_it_was(self, path: Path) -> None:
        def twice(*callbacks: Callback, **options: Any) -> hc.Sequential:
            network, optimizer = model(), hc.Adam(hc.schedules.OneCycle(0.02))
            fit(1, network=network, optimizer=optimizer)  # its steps count too
            return fit(3, *callbacks, network=network, optimizer=optimizer, **options)

        with pytest.raises(hc.TrainingInterrupted):
            twice(Checkpoint(path), At(2, lambda _: signal.raise_signal(signal.SIGTERM)))
        resumed = fit(3, optimizer=hc.Adam(hc.schedules.OneCycle(0.02)), resume=path)
        assert_same(resumed, twice())

    @pytest.mark.parametrize("schedule", [hc.schedules.CosineDecay(0.02), hc.schedules.StepDecay(0.02)])
    def test_another_number_of_epochs_is_another_schedule(self, schedule: hc.schedules.Schedule, path: Path) -> None:
        fit(4, Checkpoint(path), optimizer=hc.Adam(schedule))
        with pytest.warns(UserWarning, match="started for 4 epochs and is now one of 5: .* start anew"):
            resumed = fit(5, optimizer=hc.Adam(schedule), resume=path)
        assert (resumed.parameters != fit(5, optimizer=hc.Adam(schedule)).parameters).any()

    def test_a_schedule_without_an_end_does_not_care(self, path: Path) -> None:
        def optimizer() -> hc.Adam:
            return hc.Adam(hc.schedules.InverseTimeDecay(0.02, decay=0.1))

        fit(2, Checkpoint(path), optimizer=optimizer())
        assert_same(fit(3, optimizer=optimizer(), resume=path), fit(3, optimizer=optimizer()))

    def test_a_schedule_is_asked_for_no_step_that_is_not_done(self, path: Path) -> None:
        @dataclasses.dataclass(frozen=True)
        class Table(hc.schedules.Schedule):
            def __call__(self, step: int, total_steps: int | None) -> float:
                return [0.01, 0.02, 0.03, 0.02, 0.01, 0.005][step]

        fit(2, Checkpoint(path), optimizer=hc.Adam(Table()))
        fit(2, optimizer=hc.Adam(Table()), resume=path)

    def test_fewer_epochs_than_there_were(self, path: Path) -> None:
        done = fit(3, Checkpoint(path))
        with pytest.warns(UserWarning, match="has 3 epochs already, more than 2: nothing is left .* Give more epochs"):
            assert_same(fit(2, resume=path), done)

    def test_pausing_changes_nothing(self, path: Path) -> None:
        paused = fit(3, Checkpoint(path), At(1, lambda run: run.pause()), At(3, lambda run: run.pause()))
        assert_same(paused, fit(3))

    def test_the_saved_optimizer_is_used_where_none_is_given(self, path: Path) -> None:
        optimizer = hc.Adam(hc.schedules.InverseTimeDecay(0.02, decay=0.1), beta_1=0.8)
        fit(2, Checkpoint(path), optimizer=optimizer)
        twin = hc.Adam(hc.schedules.InverseTimeDecay(0.02, decay=0.1), beta_1=0.8)
        assert_same(fit(4, optimizer=None, resume=path), fit(4, optimizer=twin))

    def test_a_run_that_is_done_has_nothing_to_do(self, path: Path) -> None:
        done = fit(2, Checkpoint(path))
        resumed = fit(2, resume=path)
        assert_same(resumed, done)
        assert resumed.epochs_trained == 2
        assert_same(fit(1, network=resumed), fit(1, network=done))  # other orders and masks than those of epoch 1

    def test_a_run_that_is_too_long_within_an_epoch_has_begun_it(self, path: Path) -> None:
        with pytest.raises(hc.TrainingInterrupted):
            fit(3, At(2, lambda run: run.stop(signal.SIGINT)), Checkpoint(path))
        with pytest.warns(UserWarning, match="The run has 2 epochs already, more than 1: nothing is left"):
            assert fit(1, resume=path).epochs_trained == 2

    def test_a_checkpoint_is_a_model(self, path: Path) -> None:
        network = fit(1, Checkpoint(path))
        np.testing.assert_array_equal(hc.load(path).predict(X), network.predict(X))


class TestSignals:
    def test_handlers_are_restored(self, path: Path) -> None:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        fit(1, Checkpoint(path))
        with pytest.raises(hc.TrainingInterrupted):
            fit(1, Checkpoint(path), At(1, lambda _: signal.raise_signal(signal.SIGTERM)))
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    def test_the_error_has_signal_and_path(self, path: Path) -> None:
        with pytest.raises(hc.TrainingInterrupted) as caught:
            fit(1, Checkpoint(path), At(1, lambda _: signal.raise_signal(signal.SIGINT)))
        assert (caught.value.signal, caught.value.path) == (signal.SIGINT, str(path))

    def test_a_second_ctrl_c_acts_at_once(self, path: Path) -> None:
        def twice(_: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            fit(1, Checkpoint(path), At(1, twice))

    def test_without_a_checkpoint_ctrl_c_is_what_it_always_is(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            fit(1, At(1, lambda _: signal.raise_signal(signal.SIGINT)))

    def test_a_signal_after_the_last_step_stops_after_the_epoch(self, path: Path) -> None:
        class AtTheEnd(Callback):
            def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
                signal.raise_signal(signal.SIGINT)

        with pytest.raises(hc.TrainingInterrupted, match="stopped by SIGINT after epoch 1 and saved"):
            fit(2, AtTheEnd(), Checkpoint(path))
        assert_same(fit(2, resume=path), fit(2))

    def test_a_run_in_another_thread_leaves_signals_alone(self, path: Path) -> None:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                fit(1, Checkpoint(path))
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not errors
        assert path.exists()


class TestFiles:
    def test_the_one_before_and_the_best_stand_beside_it(self, path: Path) -> None:
        fit(3, Checkpoint(path))
        assert sorted(entry.name for entry in path.parent.iterdir()) == [
            "run.best.npz", "run.npz", "run.previous.npz",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("monitor", "pick"), [("val_accuracy", max), ("val_loss", min), ("loss", min), ("epoch", max)]
    )
    def test_the_best_is_the_last_of_the_best(self, monitor: str, pick: Any, path: Path) -> None:
        mode: Any = "max" if monitor == "epoch" else None
        network = fit(5, Checkpoint(path, monitor=monitor, mode=mode), optimizer=hc.SGD(1.0))
        values = [epoch[monitor] for epoch in network.info["history"]]
        best = max(place for place, value in enumerate(values) if value == pick(values))
        np.testing.assert_array_equal(
            hc.load(path.parent / "run.best.npz").parameters, fit(best + 1, optimizer=hc.SGD(1.0)).parameters
        )

    def test_an_epoch_whose_figure_is_not_a_number_is_not_the_best_nor_hides_it(self, path: Path) -> None:
        class Mine(Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                figures["mine"] = [math.nan, 0.5, 0.3, math.nan][run.epoch - 1]

        fit(4, Mine(), Checkpoint(path, monitor="mine", mode="max"), optimizer=hc.SGD(1.0))
        best = hc.load(path.parent / "run.best.npz")
        np.testing.assert_array_equal(best.parameters, fit(2, optimizer=hc.SGD(1.0)).parameters)

    def test_without_validation_there_is_no_best(self, path: Path) -> None:
        fit(1, Checkpoint(path), validation_split=0.0)
        assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]

    def test_it_saves_within_an_epoch_when_it_is_time(self, path: Path) -> None:
        saved: list[tuple[int, int]] = []

        class Watch(Callback):
            def on_pause(self, run: Any) -> None:
                saved.append((run.epoch, run.step))

        whole = fit(2, Checkpoint(path, every=1e-9), Watch())
        assert saved
        assert all(0 < step < 3 for _, step in saved)
        assert_same(whole, fit(2))

    def test_a_failing_write_leaves_the_last_one(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fit(1, Checkpoint(path))

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fit(2, Checkpoint(path), resume=path)
        monkeypatch.undo()
        assert sorted(file.name for file in path.parent.iterdir()) == ["run.best.npz", "run.npz"]
        assert_same(fit(2, resume=path), fit(2))

    def test_a_missing_one_gives_way_to_the_one_before(self, path: Path) -> None:
        fit(2, Checkpoint(path))
        path.unlink()
        with pytest.warns(UserWarning, match=r"is missing; going on from the one before it"):
            resumed = fit(3, resume=path)
        assert_same(resumed, fit(3))

    def test_a_damaged_one_gives_way_to_the_one_before(self, path: Path) -> None:
        fit(2, Checkpoint(path))
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.warns(
            UserWarning, match=r"cannot be used .*; going on from the one before it, .*run\.previous\.npz"
        ):
            resumed = fit(3, resume=path)
        assert_same(resumed, fit(3))

    def test_two_damaged_ones_are_an_error(self, path: Path) -> None:
        fit(2, Checkpoint(path))
        for name in ("run.npz", "run.previous.npz"):
            (path.parent / name).write_bytes(b"")
        with pytest.raises(hc.ModelFileError):
            fit(3, resume=path)

    def test_none_at_all_is_a_file_not_found(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            fit(1, resume=path)

    @pytest.mark.parametrize("every", [0, -1.0, float("nan"), "a"])
    def test_every_must_be_above_0(self, every: Any, path: Path) -> None:
        with pytest.raises(ValueError, match="Checkpoint: every, in seconds, must be a number above 0, got"):
            Checkpoint(path, every=every)

    def test_the_name_must_end_in_npz(self) -> None:
        with pytest.raises(ValueError, match=r"Let it end in \.npz"):
            Checkpoint("run")


class TestAnotherRun:
    @pytest.mark.parametrize(
        ("options", "difference"),
        [
            ({"network": model(seed=1)}, "seed was 0, is 1; the samples are others"),
            ({"network": model(units=9)}, "units of layer 0 was 8, is 9"),
            ({"network": model(more=hc.Softmax())}, "layer 5 was None, is Softmax"),
            (
                {"network": wider_model()},
                "layer 1 was LeakyReLU, is Tanh; layer 2 was Dropout, is Dense; .*; and 3 more",
            ),
            ({"batch_size": 8}, "batch_size was 16, is 8"),
            ({"shuffle": False}, "shuffle was True, is False"),
            ({"optimizer": hc.SGD(0.01)}, "optimizer was Adam, is SGD"),
            ({"optimizer": hc.Adam(0.02)}, "learning_rate of optimizer was 0.01, is 0.02"),
            ({"optimizer": hc.Adam(hc.schedules.OneCycle(0.02))}, "learning_rate of optimizer was 0.01, is OneCycle"),
            ({"loss": hc.losses.SoftmaxCategoricalCrossentropy(0.1)}, "label_smoothing of loss was 0.0, is 0.1"),
            ({"validation_split": 0.5}, "samples were 40, are 25"),
            ({"sample_weights": np.ones(50)}, "the samples are others"),
        ],
    )
    def test_it_is_not_resumed(self, options: Any, difference: str, path: Path) -> None:
        fit(1, Checkpoint(path))
        with pytest.raises(
            hc.ModelFileError,
            match=rf"cannot be resumed, as this is not the same run: {difference}\. Resume with what it was started",
        ):
            fit(2, resume=path, **options)

    def test_other_data_is_not_resumed(self, path: Path) -> None:
        fit(1, Checkpoint(path))
        other = X.copy()
        other[0, 0] += 1
        with pytest.raises(hc.ModelFileError, match="not the same run: the samples are others"):
            model().fit(other, Y, epochs=2, batch_size=16, optimizer=hc.Adam(0.01), validation_split=0.2, resume=path)

    def test_another_closure_as_augmentation_is_not_resumed(self, path: Path) -> None:
        fit(2, Checkpoint(path), augment=scaled(0.5))
        with pytest.raises(hc.ModelFileError, match="augment makes other images of the same ones"):
            fit(4, augment=scaled(0.6), resume=path)
        assert_same(fit(4, augment=scaled(0.5), resume=path), fit(4, augment=scaled(0.5)))

    def test_a_loss_of_ones_own_that_gives_other_values_is_not_resumed(self, path: Path) -> None:
        class Scaled(hc.MeanSquaredError):
            factor = 1.0

            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return self.factor * super().sample_losses(predictions, targets)

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return self.factor * super().gradient(predictions, targets)

        def trained(epochs: int, *callbacks: Callback, factor: float = 1.0, **options: Any) -> hc.Sequential:
            loss, network = Scaled(), model()
            loss.factor = factor
            history = network.fit(
                X, np.eye(3)[Y], epochs=epochs, loss=loss, callbacks=callbacks, optimizer=hc.Adam(), **options
            )
            network.info["history"] = history["loss"]
            return network

        trained(2, Checkpoint(path))
        with pytest.raises(hc.ModelFileError, match="the loss gives another value for the same predictions"):
            trained(4, factor=2.0, resume=path)
        assert_same(trained(4, resume=path), trained(4))

    def test_other_settings_of_an_augmentation_of_ones_own_are_not_resumed(self, path: Path) -> None:
        fit(2, Checkpoint(path), augment=Scaling(0.5))
        with pytest.raises(hc.ModelFileError, match="augment makes other images"):
            fit(4, augment=Scaling(0.6), resume=path)

    def test_other_validation_data_are_not_resumed(self, path: Path) -> None:
        def validated(epochs: int, *callbacks: Callback, shift: float = 0, **options: Any) -> hc.Sequential:
            pair = (X[:10] + np.float32(shift), Y[:10])
            return fit(epochs, *callbacks, validation_split=0.0, validation_data=pair, **options)

        validated(2, Checkpoint(path))
        with pytest.raises(hc.ModelFileError, match="the validation data are others"):
            validated(4, shift=1, resume=path)
        assert_same(validated(4, resume=path), validated(4))

    def test_validation_may_begin_with_the_second_part(self, path: Path) -> None:
        fit(2, Checkpoint(path), validation_split=0.0)
        network = fit(3, validation_split=0.0, validation_data=(X[:10], Y[:10]), resume=path)
        assert ["val_loss" in epoch for epoch in network.info["history"]] == [False, False, True]

    def test_a_model_is_no_checkpoint(self, path: Path) -> None:
        model().save(path)
        with pytest.raises(hc.ModelFileError, match="is a model, not a checkpoint"):
            fit(1, resume=path)

    def test_another_version_says_what_to_do(self, path: Path) -> None:
        fit(1, Checkpoint(path))
        edit(path, lambda description: description["run"].update(version=9))
        with pytest.raises(hc.ModelFileError, match=r"checkpoint of version 9, this handconv reads 4\. Resume with"):
            fit(2, resume=path)

    @pytest.mark.parametrize("name", ["iterations", "epoch", "step", "sums", "seconds", "history"])
    @pytest.mark.parametrize("wrong", [None, "x", [1]])
    def test_a_state_that_makes_no_sense_is_an_error(self, name: str, wrong: Any, path: Path) -> None:
        fit(1, Checkpoint(path))
        edit(path, lambda description: description["run"].update({name: wrong}))
        with pytest.raises(hc.ModelFileError, match="the state of the run makes no sense"):
            fit(2, resume=path)

    @pytest.mark.parametrize("wrong", [None, "Adam", {}, {"name": "Nobody"}, {"name": "Adam", "speed": 1}])
    def test_an_optimizer_that_makes_no_sense_is_an_error(self, wrong: Any, path: Path) -> None:
        fit(1, Checkpoint(path))
        edit(path, lambda description: description["run"].update(optimizer=wrong))
        with pytest.raises(hc.ModelFileError, match="its optimizer makes no sense"):
            fit(2, optimizer=None, resume=path)


def test_the_fingerprint_tells_samples_apart() -> None:
    x, y = np.zeros((3, 2)), np.zeros(3, int)
    kinds = [
        Samples(x, y), Samples(x + 1, y), Samples(x, y + 1), Samples(x, y, np.ones(3)), Samples(x, y, np.zeros(3)),
        Samples(x, y, chosen=np.array([0, 1])), Samples(x.astype(np.float32), y), Samples(x.reshape(3, 2, 1), y),
    ]  # fmt: skip
    assert len({fingerprint(samples) for samples in kinds}) == len(kinds)
    assert fingerprint(Samples(np.asfortranarray(x), y)) == fingerprint(kinds[0])


class TestWhatCannotBeDescribed:
    """It is refused before the first step, not after the first epoch."""

    @pytest.mark.parametrize("part", ["layer", "loss", "info"])
    def test_is_refused_before_training(self, part: str, path: Path) -> None:
        class Forgetful(hc.losses.SoftmaxCategoricalCrossentropy):
            def __init__(self, secret: int) -> None:
                super().__init__()

        network = model()
        loss: Any = Forgetful(3) if part == "loss" else None
        if part == "layer":
            layers = [hc.Dense(3, weight_init=lambda shape, *_: np.ones(shape)), hc.Softmax()]
            network = hc.Sequential(layers, input_shape=(4,), seed=0)
        if part == "info":
            network.info["made by"] = object()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="The run cannot be saved as a checkpoint: "):
            network.fit(X, Y, loss=loss, callbacks=[Checkpoint(path)])
        np.testing.assert_array_equal(network.parameters, before)
        assert not path.exists()

    def test_the_place_of_each_checkpoint_is_looked_at_before(self, path: Path) -> None:
        network = model()
        with pytest.raises(FileNotFoundError, match="this one does not"):
            fit(1, Checkpoint(path), Checkpoint(path.parent / "none" / path.name), network=network)
        assert network.epochs_trained == 0


@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_buffers_and_layers_within_go_on_to_the_same_bits(engine: bool, workers: int, path: Path) -> None:
    def make() -> hc.Sequential:
        layers = [hc.Dense(6), Counting(), Residual(6), hc.Dropout(0.3), hc.Dense(3), hc.Softmax()]
        return hc.Sequential(layers, input_shape=(4,), seed=0, engine=engine)

    with pytest.raises(hc.TrainingInterrupted):
        fit(3, Checkpoint(path), At(2, lambda _: signal.raise_signal(signal.SIGTERM)), network=make())
    resumed, whole = fit(3, network=make(), resume=path, workers=workers), fit(3, network=make())
    assert_same(resumed, whole)
    np.testing.assert_array_equal(resumed.buffers, whole.buffers)
    assert whole.named_buffers()["1.steps"] == 3 * 5  # shards: 2 + 2 + 1 an epoch
    assert resumed.epochs_trained == whole.epochs_trained == 3
