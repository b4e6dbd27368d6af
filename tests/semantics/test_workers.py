"""Worker processes run what the user wrote, with all that the user set; what they cannot bring back is refused."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.parallel.shared_memory import MappedArray
from semantics import users_layers
from semantics.networks import CLASSES, VECTORS, at, dense, refusal
from semantics.users_layers import Scale

OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 64}
SOURCE = Path(hc.__file__).parent.parent


def with_layer(layer: hc.Layer, **options: Any) -> hc.Sequential:
    return hc.Sequential([layer, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0, **options)


class Positional(hc.Layer):
    """Keeps its argument under another name."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._times = factor

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self._times

    def backward(self, dvalues: Any) -> Any:
        return dvalues * self._times


class Anything(hc.Layer):
    """Takes any arguments."""

    def __init__(self, *factors: float, **more: float) -> None:
        super().__init__()
        self.total = sum(factors) + sum(more.values())

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self.total

    def backward(self, dvalues: Any) -> Any:
        return dvalues * self.total


class Table(hc.Layer):
    """Holds an array, a dict and a list of its own that it only reads."""

    def __init__(self) -> None:
        super().__init__()
        self.table = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
        self.more = {"shift": 0.5, "list": [1, 2]}

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self.table + np.float32(self.more["shift"])

    def backward(self, dvalues: Any) -> Any:
        return dvalues * self.table


def adapted() -> hc.Layer:
    layer = Table()
    layer.table = np.array([4.0, 0.5, 1.0, 2.0], np.float32)
    layer.more["shift"] = -1.0
    return layer


def scaled() -> hc.Layer:
    layer = Scale()
    layer.factor = 5.0
    return layer


def named_later() -> hc.Layer:
    layer = Scale()
    layer.name = "later"
    layer.factor = 2.0
    return layer


class Frozen(Scale):
    """A class attribute says the factor."""

    factor = 3.0


class TestWhatTheUserSetReachesThem:
    @pytest.mark.parametrize("workers", [2, 4])
    @pytest.mark.parametrize(
        "make",
        [scaled, adapted, named_later, Frozen, lambda: Positional(2.5), lambda: Anything(1.0, 0.5, more=2.0)],
        ids=["an attribute", "arrays and dicts", "a name", "a class attribute", "an argument of another name",
             "any arguments"],
    )  # fmt: skip
    def test_a_layer_of_ones_own_with(self, make: Any, workers: int) -> None:
        alone, together = with_layer(make()), with_layer(make())
        losses = [one.fit(VECTORS, CLASSES, workers=count, **OPTIONS)["loss"]
                  for one, count in ((alone, 1), (together, workers))]  # fmt: skip
        assert losses[0] == losses[1]
        np.testing.assert_array_equal(alone.parameters, together.parameters)

    def test_attributes_changed_in_a_callback(self) -> None:
        losses = []
        for workers in (1, 2):
            network = with_layer(adapted())

            def change(_run: Any, network: hc.Sequential = network) -> None:
                network.layers[0].table[...] *= 0.5  # in place
                network.layers[0].more["shift"] += 0.25

            losses.append(
                network.fit(VECTORS, CLASSES, workers=workers, **OPTIONS | {"epochs": 4},
                            callbacks=[at("on_epoch_end", change)])["loss"]
            )  # fmt: skip
        assert losses[0] == losses[1]
        assert len(set(losses[0])) == 4

    def test_attributes_of_a_loss_of_ones_own(self) -> None:
        x, y = VECTORS, VECTORS[:, :2] * 3
        losses = []
        for workers in (1, 2):
            network = hc.Sequential([hc.Dense(2)], input_shape=(4,), seed=0)
            loss = ScaledError()
            loss.factor = 7.0
            losses.append(network.fit(x, y, loss=loss, workers=workers, **OPTIONS)["loss"])
        assert losses[0] == losses[1]

    def test_a_changed_page_of_a_sublayer(self) -> None:
        parameters = []
        for workers in (1, 2):
            block = users_layers.Residual(2)
            block.conv1.l2 = 0.5
            network = hc.Sequential([block, hc.Flatten(), hc.Dense(3), hc.Softmax()], input_shape=(2, 4, 4), seed=0)
            network.fit(VECTORS.reshape(80, 2, 4, 4), CLASSES[:80], workers=workers, **OPTIONS)
            parameters.append(network.parameters)
        np.testing.assert_array_equal(*parameters)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_generator_of_a_step_is_the_same_for_any_number(self, workers: int) -> None:
        network = with_layer(users_layers.Noise())
        other = with_layer(users_layers.Noise())
        network.fit(VECTORS, CLASSES, workers=workers, **OPTIONS)
        other.fit(VECTORS, CLASSES, **OPTIONS)
        np.testing.assert_array_equal(network.parameters, other.parameters)


class ScaledError(hc.MeanSquaredError):
    """A loss with an attribute that is no argument."""

    factor = 1.0

    def forward(self, predictions: Any, targets: Any, sample_weights: Any = None, **options: Any) -> float:
        return self.factor * super().forward(predictions, targets, sample_weights, **options)

    def backward(self) -> Any:
        return self.factor * super().backward()


class TestSamplesThatChangeBetweenEpochs:
    @pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "int64"])
    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_are_heard_by(self, workers: int, kind: str) -> None:
        before = (10 * np.abs(VECTORS)).astype(kind)
        after = (20 * np.abs(VECTORS[::-1])).astype(kind)
        x, network = before.copy(), dense()

        def augment(_run: Any) -> None:
            x[...] = after

        network.fit(x, CLASSES, workers=workers, callbacks=[at("on_epoch_end", augment)], shuffle=False,
                    optimizer=hc.SGD(0.1), **OPTIONS)  # fmt: skip
        expected = dense()
        expected.fit(before, CLASSES, shuffle=False, optimizer=hc.SGD(0.1), **OPTIONS | {"epochs": 1})
        expected.fit(after, CLASSES, shuffle=False, optimizer=hc.SGD(0.1), **OPTIONS | {"epochs": 1})
        np.testing.assert_array_equal(network.parameters, expected.parameters)

    def test_are_heard_where_they_are_held_back_for_validation(self) -> None:
        values = []
        for workers in (1, 2):
            x, network = VECTORS.copy(), dense()

            def augment(_run: Any, x: Any = x) -> None:
                x[...] = VECTORS * 10

            values.append(network.fit(x, CLASSES, workers=workers, validation_split=0.25,
                                      callbacks=[at("on_epoch_end", augment)], **OPTIONS)["val_loss"])  # fmt: skip
        assert values[0] == values[1]
        assert values[0][1] != values[0][0]

    def test_are_heard_as_views_of_a_larger_array(self) -> None:
        losses = []
        for workers in (1, 2):
            whole = np.repeat(VECTORS, 2, axis=0)
            x, network = whole[::2], dense()

            def augment(_run: Any, whole: Any = whole) -> None:
                whole *= 3

            losses.append(network.fit(x, CLASSES, workers=workers, callbacks=[at("on_epoch_end", augment)],
                                      **OPTIONS)["loss"])  # fmt: skip
        assert losses[0] == losses[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_samples_that_change_between_two_batches_are_heard_within_the_epoch(workers: int) -> None:
    x = np.random.default_rng(0).normal(size=(40_000, 2)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 3, 40_000)

    class Same(hc.Callback):
        def on_batch_end(self, run: Any, progress: Any) -> None:
            y[...] = 0

    network = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(2,), seed=0)
    history = network.fit(x, y, batch_size=16, workers=workers, optimizer=hc.SGD(0.1), callbacks=[Same()])
    assert history["accuracy"][0] > 0.5  # a third of them before


def test_a_map_that_was_changed_in_memory_alone_is_what_spawned_workers_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    changed = np.load(tmp_path / "x.npy", mmap_mode="c")
    changed[...] = 2 * VECTORS
    assert MappedArray.of(changed) is None
    assert MappedArray.of(np.load(tmp_path / "x.npy", mmap_mode="r")) is not None


class FailsInTraining(hc.Layer):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        if training:
            raise ZeroDivisionError("as the user wrote it")
        return inputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


def test_an_error_in_a_layer_of_ones_own_is_told_by_its_words() -> None:
    with pytest.raises((hc.WorkerError, ZeroDivisionError), match="as the user wrote it"):
        with_layer(FailsInTraining()).fit(VECTORS, CLASSES, workers=2)


@pytest.fixture
def another_thread() -> Iterator[None]:
    """A thread that is alive, as in every notebook: workers are then spawned, and get copies by pickle."""
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    yield
    event.set()
    thread.join()


@pytest.mark.usefixtures("another_thread")
class TestBesideAnotherThread:
    def trained(self, layer: hc.Layer, workers: int) -> Any:
        network = with_layer(layer)
        network.fit(VECTORS, CLASSES, workers=workers, **OPTIONS)
        return network.parameters

    @pytest.mark.parametrize(
        "make",
        [adapted, lambda: Positional(2.5), users_layers.patched_tanh, users_layers.BatchNorm],
        ids=["arrays and dicts", "an argument of another name", "patched by functions", "buffers"],
    )
    def test_a_layer_of_a_module_gives_the_same_bits(self, make: Any) -> None:
        np.testing.assert_array_equal(self.trained(make(), 2), self.trained(make(), 1))

    def test_a_layer_of_a_function_runs_or_is_named_before_the_first_step(self) -> None:
        class Local(Scale):
            pass

        network = with_layer(Local())
        before = network.parameters.copy()
        refused = refusal(lambda: network.fit(VECTORS, CLASSES, workers=2, **OPTIONS))
        assert "Local" in refused or not refused
        assert np.array_equal(network.parameters, before) == bool(refused)

    def test_a_patched_layer_that_cannot_be_sent_runs_or_is_named_before_the_first_step(self) -> None:
        layer = hc.Tanh()
        layer.forward = lambda inputs, training=False: inputs  # type: ignore[method-assign]  # noqa: ARG005
        network = with_layer(layer)
        before = network.parameters.copy()
        refused = refusal(lambda: network.fit(VECTORS, CLASSES, workers=2, **OPTIONS))
        assert "Tanh" in refused or not refused
        assert np.array_equal(network.parameters, before) == bool(refused)


CELL = """
import threading
import numpy as np, handconv as hc
wait = threading.Event()
threading.Thread(target=wait.wait, daemon=True).start()  # as in every notebook
class Double(hc.Layer):
    def forward(self, inputs, training=False): return 2 * inputs
    def backward(self, dvalues): return 2 * dvalues
x = np.random.default_rng(0).normal(size=(512, 4)).astype("float32"); y = (x[:, 0] > 0).astype(int)
def fit(workers):
    model = hc.Sequential([Double(), hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
    return model.fit(x, y, batch_size=256, workers=workers)["loss"]
try:
    print("EQUAL", fit(2) == fit(1))
except Exception as error:
    print("REFUSED", type(error).__name__, " ".join(str(error).split()))
"""


@pytest.mark.parametrize("way", ["-c", "standard input", "a script without a guard"])
def test_a_layer_of_a_notebook_beside_another_thread_runs_or_is_refused_by_its_name(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CELL, "utf-8")
    command = {"-c": ["-c", CELL], "standard input": ["-"]}.get(way, [str(script)])
    done = subprocess.run(
        [sys.executable, *command], input=CELL if way == "standard input" else "", capture_output=True, text=True,
        timeout=120, check=False, cwd=tmp_path, env={"PYTHONPATH": str(SOURCE), "PATH": ""},
    )  # fmt: skip
    answer = done.stdout.strip().splitlines()[-1]
    assert answer == "EQUAL True" or (answer.startswith("REFUSED") and ("Double" in answer or "__main__" in answer))


POOL = """
import multiprocessing
import numpy as np, handconv as hc
x = np.random.default_rng(0).normal(size=(512, 4)).astype("float32"); y = (x[:, 0] > 0).astype(int)
def fit(workers):
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
    model.fit(x, y, batch_size=256, workers=workers)
    return model.evaluate(x, y, workers=workers)
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        one, two, several = pool.map(fit, [1, 2, "auto"])
        print(one == two == several)
"""


def test_a_process_that_may_not_start_others_does_everything_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", POOL], capture_output=True, text=True, timeout=120, check=True,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
    )  # fmt: skip
    assert done.stdout == "True\n"
