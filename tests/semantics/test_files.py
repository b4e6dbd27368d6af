"""Files: what is written is whole and can be read, what cannot be written is refused before any work is done."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, at, convolutional, dense, refusal
from semantics.users_layers import BatchNorm, Nested, SamplesSeen

OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 64}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.npz"


class Normalize(hc.Layer):
    """Has state that ``adapt`` finds out, which is no argument and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.scale = 0.0, 1.0

    def adapt(self, x: Any) -> None:
        self.mean, self.scale = float(x.mean()), float(x.std())

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return (inputs - self.mean) / self.scale

    def backward(self, dvalues: Any) -> Any:
        return dvalues / self.scale


class NormalizeByBuffers(hc.Layer):
    """Has the same state as buffers."""

    def declare(self, input_shape: Any) -> Any:
        return (
            hc.ParameterSpec("mean", (1,), trainable=False),
            hc.ParameterSpec("scale", (1,), "ones", trainable=False),
        )

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return (inputs - self.mean) / self.scale

    def backward(self, dvalues: Any) -> Any:
        return dvalues / self.scale


class Own(hc.Layer):
    """Keeps its argument under another name."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._times = factor

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self._times

    def backward(self, dvalues: Any) -> Any:
        return dvalues * self._times


def with_layer(layer: hc.Layer) -> hc.Sequential:
    return hc.Sequential([layer, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)


class TestStateOfALayer:
    def test_that_is_an_attribute_is_saved_or_the_file_is_refused(self, path: Path) -> None:
        layer = Normalize()
        layer.adapt(1000 + 5 * VECTORS)
        network = with_layer(layer)
        refused = refusal(lambda: network.save(path))
        if refused:
            assert "Normalize" in refused
            assert not path.exists()
            return
        loaded = hc.load(path, layers={"Normalize": Normalize})
        np.testing.assert_array_equal(loaded.predict(1000 + 5 * VECTORS), network.predict(1000 + 5 * VECTORS))

    def test_that_is_as_the_constructor_left_it_is_saved(self, path: Path) -> None:
        network = with_layer(Normalize())
        network.save(path)
        loaded = hc.load(path, layers={"Normalize": Normalize})
        np.testing.assert_array_equal(loaded.predict(VECTORS), network.predict(VECTORS))

    def test_that_is_a_buffer_is_saved(self, path: Path) -> None:
        network = with_layer(NormalizeByBuffers())
        network.layers[0].mean = 1000.0
        network.layers[0].scale = 5.0
        network.save(path)
        loaded = hc.load(path, layers={"NormalizeByBuffers": NormalizeByBuffers})
        assert loaded.layers[0].mean.tolist() == [1000.0]
        np.testing.assert_array_equal(loaded.predict(VECTORS), network.predict(VECTORS))

    def test_that_was_learnt_is_saved(self, path: Path) -> None:
        network = with_layer(BatchNorm())
        network.fit(VECTORS, CLASSES, **OPTIONS)
        network.save(path)
        loaded = hc.load(path, layers={"BatchNorm": BatchNorm})
        np.testing.assert_array_equal(loaded.layers[0].running_mean, network.layers[0].running_mean)
        np.testing.assert_array_equal(loaded.layers[0].running_variance, network.layers[0].running_variance)

    def test_of_inner_layers_is_saved(self, path: Path) -> None:
        layers = [Nested(2), hc.Flatten(), hc.Dense(3), hc.Softmax()]
        network = hc.Sequential(layers, input_shape=(2, 4, 4), seed=0)
        x = VECTORS.reshape(80, 2, 4, 4)
        network.fit(x, CLASSES[:80], **OPTIONS)
        network.save(path)
        loaded = hc.load(path, layers={"Nested": Nested})
        np.testing.assert_array_equal(loaded.predict(x), network.predict(x))
        np.testing.assert_array_equal(loaded.layers[0].norm.running_mean, network.layers[0].norm.running_mean)

    def test_is_in_a_checkpoint_that_is_loaded_as_a_model(self, path: Path) -> None:
        network = with_layer(SamplesSeen())
        network.fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(path)], **OPTIONS)
        loaded = hc.load(path, layers={"SamplesSeen": SamplesSeen})
        assert loaded.layers[0].samples_seen.tolist() == [2 * 640]

    @pytest.mark.parametrize("damage", ["missing", "other shape", "other type"])
    def test_that_is_damaged_is_told(self, path: Path, damage: str) -> None:
        network = with_layer(BatchNorm())
        network.save(path)
        arrays = dict(np.load(path).items())
        name = next(name for name in arrays if name.endswith("running_mean"))
        with zipfile.ZipFile(path) as archive:
            others = {entry: archive.read(entry) for entry in archive.namelist() if not entry.startswith(name)}
        with zipfile.ZipFile(path, "w") as archive:
            for entry, content in others.items():
                archive.writestr(entry, content)
            if damage != "missing":
                values = np.zeros(7, np.float32) if damage == "other shape" else np.zeros(4, np.int64)
                with archive.open(f"{name}.npy", "w") as entry_file:
                    np.lib.format.write_array(entry_file, values)
        with pytest.raises(hc.ModelFileError):
            hc.load(path, layers={"BatchNorm": BatchNorm})


class TestALayerThatKeepsItsArgumentUnderAnotherName:
    def test_is_shown(self) -> None:
        assert "Own" in repr(with_layer(Own(2.0)))

    def test_stands_in_the_summary(self) -> None:
        assert "Own" in str(with_layer(Own(2.0)).summary())

    def test_is_named_when_it_cannot_be_saved(self, path: Path) -> None:
        with pytest.raises(ValueError, match=r"Own.*factor"):
            with_layer(Own(2.0)).save(path)

    def test_is_refused_with_a_checkpoint_before_the_first_step(self, path: Path) -> None:
        network = with_layer(Own(2.0))
        before = network.parameters.copy()
        with pytest.raises(ValueError, match=r"Own.*factor"):
            network.fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(path)], **OPTIONS)
        np.testing.assert_array_equal(network.parameters, before)

    def test_trains_without_files(self) -> None:
        with_layer(Own(2.0)).fit(VECTORS, CLASSES, **OPTIONS)


INFO = {
    "np.float32": (np.float32(0.5), 0.5),
    "np.float64": (np.float64(0.25), 0.25),
    "np.int64": (np.int64(7), 7),
    "np.bool_": (np.bool_(True), True),
    "np.str_": (np.str_("MNIST"), "MNIST"),
    "inside a list": ([np.float32(0.5), 1], [0.5, 1]),
    "inside a dict": ({"best": np.int8(3)}, {"best": 3}),
    "a tuple": ((1, 2), [1, 2]),
}


class TestInfo:
    @pytest.mark.parametrize("kind", INFO)
    def test_may_hold_numpy_numbers(self, kind: str, path: Path) -> None:
        value, expected = INFO[kind]
        network = dense()
        network.info["accuracy"] = value
        network.save(path)
        assert hc.load(path).info == {"accuracy": expected}

    def test_may_hold_an_array_or_names_the_key(self, path: Path) -> None:
        network = dense()
        network.info["classes"] = np.unique(CLASSES)
        refused = refusal(lambda: network.save(path))
        if refused:
            assert "classes" in refused
            assert not path.exists()
            return
        assert hc.load(path).info == {"classes": [0, 1, 2]}

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
    @pytest.mark.parametrize("nested", [False, True])
    def test_with_a_number_that_is_not_finite_is_null_or_names_the_key(
        self, nested: bool, value: Any, path: Path
    ) -> None:
        network = dense()
        network.info["accuracy"] = {"last": value} if nested else value
        refused = refusal(lambda: network.save(path))
        if refused:
            assert "accuracy" in refused
            assert not path.exists()
            return
        assert hc.load(path).info == {"accuracy": {"last": None} if nested else None}

    @pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
    def test_that_no_file_can_hold_names_the_key(self, value: Any, path: Path) -> None:
        network = dense()
        network.info["strange"] = value
        with pytest.raises(ValueError, match="strange") as caught:
            network.save(path)
        assert "nitiali" not in str(caught.value)  # initialisers have nothing to do with it

    def test_that_no_file_can_hold_is_refused_with_a_checkpoint_before_the_first_step(self, path: Path) -> None:
        network = dense()
        network.info["strange"] = object()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="strange"):
            network.fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(path)], **OPTIONS)
        np.testing.assert_array_equal(network.parameters, before)


class Warm(hc.schedules.Schedule):
    """A schedule of one's own that gives NumPy numbers."""

    def __init__(self, base: float = 0.1) -> None:
        self.base = base

    def __call__(self, step: int, total: int | None) -> Any:
        return np.float32(self.base)

    def config(self) -> dict[str, object]:
        return {"name": "Warm", "base": self.base}


@dataclass(frozen=True)
class Frozen(hc.schedules.Schedule):
    """A schedule of one's own as people write it."""

    base: float = 0.1

    def __call__(self, step: int, total: int | None) -> Any:
        return np.float32(self.base)


class Renamed(hc.SoftmaxCategoricalCrossentropy):
    """A loss that keeps its argument under another name."""

    def __init__(self, smooth: float = 0.1) -> None:
        super().__init__(smooth)


def add_figure(value: Any) -> hc.Callback:
    return at("on_epoch_end", lambda run: run.history.epochs[-1].__setitem__("mine", value))


class TestACheckpoint:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
    def test_holds_figures_that_are_not_finite(self, value: Any, path: Path) -> None:
        history = dense().fit(VECTORS, CLASSES, callbacks=[add_figure(value), hc.Checkpoint(path)], **OPTIONS)
        assert len(history["loss"]) == 2
        more = dense().fit(VECTORS, CLASSES, resume=path, **OPTIONS | {"epochs": 3})
        assert len(more["loss"]) == 3

    @pytest.mark.parametrize("value", [np.float32(1), np.int64(1), np.bool_(True)])
    def test_holds_figures_that_are_numpy_numbers(self, value: Any, path: Path) -> None:
        dense().fit(VECTORS, CLASSES, callbacks=[add_figure(value), hc.Checkpoint(path)], **OPTIONS)
        assert dense().fit(VECTORS, CLASSES, resume=path, **OPTIONS)["mine"] == [1, 1]

    @pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
    def test_holds_a_learning_rate_that_is_a_numpy_number(self, kind: Any, path: Path) -> None:
        optimizer = hc.Adam(kind(0.0625))
        dense().fit(VECTORS, CLASSES, optimizer=optimizer, callbacks=[hc.Checkpoint(path)], **OPTIONS)
        history = dense().fit(VECTORS, CLASSES, resume=path, **OPTIONS | {"epochs": 3})
        assert history["learning_rate"] == [0.0625, 0.0625, 0.0625]

    @pytest.mark.parametrize("schedule", [Warm(), Frozen()], ids=["a class", "a dataclass"])
    def test_holds_a_run_whose_schedule_gives_numpy_numbers(self, schedule: Any, path: Path) -> None:
        whole = dense()
        whole.fit(VECTORS, CLASSES, optimizer=hc.Adam(schedule), **OPTIONS | {"epochs": 3})
        network = dense()
        network.fit(VECTORS, CLASSES, optimizer=hc.Adam(schedule), callbacks=[hc.Checkpoint(path)], **OPTIONS)
        resumed = dense()
        resumed.fit(VECTORS, CLASSES, optimizer=hc.Adam(schedule), resume=path, **OPTIONS | {"epochs": 3})
        np.testing.assert_array_equal(resumed.parameters, whole.parameters)

    def test_holds_a_run_whose_loss_renames_its_argument_or_names_it_before_the_first_step(self, path: Path) -> None:
        network = dense()
        before = network.parameters.copy()
        refused = refusal(
            lambda: network.fit(VECTORS, CLASSES, loss=Renamed(), callbacks=[hc.Checkpoint(path)], **OPTIONS)
        )
        if refused:
            assert "smooth" in refused
        assert np.array_equal(network.parameters, before) == bool(refused)

    @pytest.mark.parametrize(("monitor", "mode"), [("mine", "min"), ("loss", None)])
    def test_keeps_the_best_where_a_figure_is_nan(self, monitor: str, mode: Any, path: Path) -> None:
        checkpoint = hc.Checkpoint(path, monitor=monitor, mode=mode)
        dense().fit(VECTORS, CLASSES, callbacks=[add_figure(math.nan), checkpoint], **OPTIONS)
        assert path.exists()

    def test_of_a_run_that_cannot_be_saved_in_its_folder_says_so_before_the_first_step(self, tmp_path: Path) -> None:
        network = dense()
        before = network.parameters.copy()
        with pytest.raises(OSError, match="nowhere"):
            network.fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(tmp_path / "nowhere" / "run.npz")], **OPTIONS)
        np.testing.assert_array_equal(network.parameters, before)

    def test_loaded_as_a_model_knows_its_epochs(self, path: Path) -> None:
        dense().fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(path)], **OPTIONS)
        assert hc.load(path).epochs_trained == 2


class TestADamagedCheckpoint:
    def damaged(self, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
        dense().fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(path)], **OPTIONS | {"epochs": 1})
        other = path.with_name("damaged.npz")
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as after:
            for entry in before.infolist():
                content = before.read(entry)
                if entry.filename == "metadata.json":
                    description = json.loads(content)
                    run = description["run"]
                    run["epoch"], run["step"], run["iterations"], run["history"] = 0, 1, 1, []
                    run["sums"] = [60.0, 1.0, 30.0, 64.0]
                    change(run)
                    content = json.dumps(description).encode()
                after.writestr(entry, content)
        return other

    def test_is_resumed_while_it_makes_sense(self, path: Path) -> None:
        other = self.damaged(path, lambda run: None)
        assert len(dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)["loss"]) == 2

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "many", 1e400])
    @pytest.mark.parametrize("place", range(4))
    def test_by_its_sums_is_told(self, path: Path, place: int, value: Any) -> None:
        other = self.damaged(path, lambda run: run["sums"].__setitem__(place, value))
        with pytest.raises(hc.ModelFileError):
            dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)

    @pytest.mark.parametrize("place", [2, 3])
    @pytest.mark.parametrize("value", [-1.0, 0.5, 1e12])
    def test_by_counts_that_cannot_be_is_told(self, path: Path, place: int, value: float) -> None:
        other = self.damaged(path, lambda run: run["sums"].__setitem__(place, value))
        with pytest.raises(hc.ModelFileError):
            dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)

    @pytest.mark.parametrize("sums", [[], [1.0], [1.0] * 5, {}, None, [[1.0, 2.0], [3.0, 64.0]], "sums"])
    def test_by_sums_of_another_form_is_told(self, path: Path, sums: Any) -> None:
        other = self.damaged(path, lambda run: run.__setitem__("sums", sums))
        with pytest.raises(hc.ModelFileError):
            dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)

    @pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, None, "long"])
    def test_by_its_seconds_is_told(self, path: Path, seconds: Any) -> None:
        other = self.damaged(path, lambda run: run.__setitem__("seconds", seconds))
        with pytest.raises(hc.ModelFileError):
            dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)

    @pytest.mark.parametrize("history", [None, 3, [1], ["loss"], [{"loss": "low"}], {"loss": [1.0]}])
    def test_by_its_history_is_told(self, path: Path, history: Any) -> None:
        other = self.damaged(path, lambda run: run.__setitem__("history", history))
        with pytest.raises(hc.ModelFileError):
            dense().fit(VECTORS, CLASSES, resume=other, **OPTIONS)


class TestFitSaveLoadFit:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_goes_on_as_fit_and_fit(self, path: Path, workers: int) -> None:
        network = convolutional()
        network.fit(IMAGES, LABELS, epochs=2, batch_size=32)
        network.save(path)
        loaded = hc.load(path)
        losses = [
            one.fit(IMAGES, LABELS, epochs=2, batch_size=32, workers=workers)["loss"] for one in (network, loaded)
        ]
        assert losses[0] == losses[1]
        np.testing.assert_array_equal(network.parameters, loaded.parameters)

    def test_knows_the_epochs_trained(self, path: Path) -> None:
        network = dense()
        network.fit(VECTORS, CLASSES, **OPTIONS)
        network.fit(VECTORS, CLASSES, **OPTIONS)
        network.save(path)
        assert (network.epochs_trained, hc.load(path).epochs_trained) == (4, 4)

    def test_goes_on_after_an_interrupted_fit_too(self, path: Path) -> None:
        network = convolutional()
        interrupt(network, 2)
        network.save(path)
        loaded = hc.load(path)
        losses = [one.fit(IMAGES, LABELS, batch_size=32)["loss"] for one in (network, loaded)]
        assert losses[0] == losses[1]

    def test_goes_on_with_buffers(self, path: Path) -> None:
        network = with_layer(BatchNorm())
        network.fit(VECTORS, CLASSES, **OPTIONS)
        network.save(path)
        loaded = hc.load(path, layers={"BatchNorm": BatchNorm})
        for one in (network, loaded):
            one.fit(VECTORS, CLASSES, **OPTIONS)
        np.testing.assert_array_equal(network.layers[0].running_mean, loaded.layers[0].running_mean)

    @pytest.mark.parametrize("epochs", [-1, "two", 1.5, None, 2**40])
    def test_a_file_whose_epochs_make_no_sense_is_damaged(self, path: Path, epochs: Any) -> None:
        network = dense()
        network.fit(VECTORS, CLASSES, **OPTIONS)
        network.save(path)
        with zipfile.ZipFile(path) as archive:
            content = {entry: archive.read(entry) for entry in archive.namelist()}
        description = json.loads(content["metadata.json"])
        assert description["epochs_trained"] == 2
        content["metadata.json"] = json.dumps(description | {"epochs_trained": epochs}).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for entry, value in content.items():
                archive.writestr(entry, value)
        with pytest.raises(hc.ModelFileError):
            hc.load(path)


class BreakOff(hc.Callback):
    """Raises KeyboardInterrupt in an epoch, at a moment."""

    def __init__(self, epoch: int, moment: str) -> None:
        self.epoch, self.moment = epoch, moment

    def on_train_begin(self, run: Any) -> None:
        self.raise_at("on_train_begin", 1)

    def on_batch_end(self, run: Any, progress: Any) -> None:
        self.raise_at("on_batch_end", progress.epoch)

    def on_epoch_end(self, run: Any, figures: Any) -> None:
        self.raise_at("on_epoch_end", figures["epoch"])

    def raise_at(self, moment: str, epoch: float) -> None:
        if (moment, epoch) == (self.moment, self.epoch):
            raise KeyboardInterrupt


def interrupt(network: hc.Sequential, epoch: int, moment: str = "on_epoch_end", **options: Any) -> None:
    """Break a training off in this epoch, at a moment."""
    with pytest.raises(KeyboardInterrupt):
        network.fit(IMAGES, LABELS, epochs=9, batch_size=32, callbacks=[BreakOff(epoch, moment)], **options)


class TestTheEpochsOfAFitThatWasBrokenOff:
    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("epoch", [1, 3])
    def test_at_the_end_of_an_epoch_count(self, epoch: int, workers: int) -> None:
        network = convolutional()
        interrupt(network, epoch, workers=workers)
        assert network.epochs_trained == epoch

    def test_within_an_epoch_count_with_the_one_that_was_begun(self) -> None:
        network = convolutional()
        interrupt(network, 3, "on_batch_end")
        assert network.epochs_trained == 3

    def test_that_no_step_was_done_of_do_not_count(self) -> None:
        network = convolutional()
        interrupt(network, 1, "on_train_begin")
        assert network.epochs_trained == 0

    def test_give_later_epochs_orders_of_their_own(self) -> None:
        broken_off, whole = convolutional(), convolutional()
        interrupt(broken_off, 2)
        whole.fit(IMAGES, LABELS, epochs=2, batch_size=32)
        losses = [one.fit(IMAGES, LABELS, epochs=2, batch_size=32)["loss"] for one in (broken_off, whole)]
        assert losses[0] == losses[1]

    def test_are_counted_after_a_divergence_too(self) -> None:
        network = convolutional()
        with pytest.raises(hc.DivergenceError):
            network.fit(IMAGES, LABELS, batch_size=32, optimizer=hc.SGD(1e30))
        assert network.epochs_trained == 1

    def test_that_a_callback_ended_are_those_that_were_done(self) -> None:
        network = convolutional()

        class Stop(hc.Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> bool:
                return bool(figures["epoch"] == 2)

        network.fit(IMAGES, LABELS, epochs=9, callbacks=[Stop()])
        assert network.epochs_trained == 2
