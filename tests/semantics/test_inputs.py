"""Samples as people have them: in any memory order, of any type, masked, mapped, and in arrays that change later."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

import multiprocessing
import re
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis.hidden import principal_components
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, at, dense, once, told

COLOURS = np.random.default_rng(3).integers(0, 256, (96, 12, 12, 3)).astype(np.uint8)


def of_colours(shape: tuple[int, ...] = (3, 12, 12)) -> hc.Sequential:
    layers = [hc.Conv2D(3, 3), hc.ReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, input_shape=shape, seed=0)


def channels_first(kind: str) -> Any:
    values = COLOURS if kind == "uint8" else (COLOURS / 255).astype(kind)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


ORDERS: dict[str, Callable[[Any], Any]] = {
    "channels last, turned": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "Fortran": np.asfortranarray,
    "batch innermost": lambda x: np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2),
    "every other sample": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed samples": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "reversed rows": lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
    "a part of larger images": lambda x: np.pad(x, [(0, 0), (0, 0), (2, 1), (3, 2)])[:, :, 2:-1, 3:-2],
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "repeated by strides of zero": lambda x: np.broadcast_to(x[:1], x.shape),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.filterwarnings("ignore")  # a copy may be announced
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("order", ORDERS)
class TestMemoryOrders:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_train_to_the_same_bits(self, order: str, kind: str, workers: int) -> None:
        x = ORDERS[order](channels_first(kind))
        plain = np.ascontiguousarray(x).astype(kind)
        networks = of_colours(), of_colours()
        networks[0].fit(x, LABELS, epochs=2, batch_size=32, workers=workers)
        networks[1].fit(plain, LABELS, epochs=2, batch_size=32)
        np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_give_the_same_answers(self, order: str, kind: str, verb: str) -> None:
        x, network = ORDERS[order](channels_first(kind)), of_colours()
        expected = getattr(network, verb)(np.ascontiguousarray(x).astype(kind))
        np.testing.assert_allclose(getattr(network, verb)(x), expected, rtol=1e-6, atol=1e-7)

    def test_are_measured_alike(self, order: str, kind: str) -> None:
        x, network = ORDERS[order](channels_first(kind)), of_colours()
        expected = network.evaluate(np.ascontiguousarray(x).astype(kind), LABELS)
        assert network.evaluate(x, LABELS) == pytest.approx(expected, rel=1e-6)


class Enough(Exception):
    """Some batches are done."""


def stop(_run: Any) -> None:
    raise Enough


def peak_of(action: Callable[[], object]) -> int:
    """The most bytes of new arrays that there were at once."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def large() -> hc.Sequential:
    layers = [hc.Conv2D(2, 5, stride=4), hc.Flatten(), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(3, 32, 32), seed=0)


def mapped(path: Path, shape: tuple[int, ...], order: Any = "C") -> Any:
    """A new file of black images, but for the first."""
    array = np.memmap(path, np.uint8, "w+", shape=shape, order=order)
    array[0] = 200
    return array


def pixels(shape: tuple[int, ...], order: Any = "C") -> Any:
    """Black images, which take no memory, but for the first and the last."""
    array = np.zeros(shape, np.uint8, order)
    array[[0, -1]] = 200
    return array


BIG = (20_000, 32, 32, 3)
BIG_ONES: dict[str, Callable[[Path], Any]] = {
    "in memory, channels last, turned": lambda path: pixels(BIG).transpose(0, 3, 1, 2),
    "in memory, every other sample": lambda path: pixels((40_000, 3, 32, 32))[::2],
    "in memory, reversed": lambda path: pixels((20_000, 3, 32, 32))[::-1],
    "in memory, a part of larger images": lambda path: pixels((20_000, 3, 40, 40))[:, :, 4:36, 4:36],
    "mapped": lambda path: mapped(path, (20_000, 3, 32, 32)),
    "mapped, channels last, turned": lambda path: mapped(path, BIG).transpose(0, 3, 1, 2),
    "mapped, every other sample": lambda path: mapped(path, (40_000, 3, 32, 32))[::2],
    "mapped, in Fortran order": lambda path: mapped(path, (20_000, 3, 32, 32), "F"),
    "mapped read-only, channels last, turned": lambda path: np.memmap(
        path, np.uint8, "r", shape=mapped(path, BIG).shape
    ).transpose(0, 3, 1, 2),
}


class TestMemory:
    LABELS = np.arange(20_000) % 3

    @pytest.mark.parametrize("kind", BIG_ONES)
    def test_training_copies_no_more_than_shards(self, kind: str, tmp_path: Path) -> None:
        x, network = BIG_ONES[kind](tmp_path / "x"), large()

        def train() -> None:
            with pytest.raises(Enough):
                network.fit(x, self.LABELS, batch_size=64, callbacks=[at("on_batch_end", stop)])

        assert peak_of(train) < x.nbytes / 3

    @pytest.mark.parametrize("kind", ["mapped, channels last, turned", "mapped, in Fortran order", "mapped"])
    def test_validation_copies_no_more_than_batches(self, kind: str, tmp_path: Path) -> None:
        x, network = BIG_ONES[kind](tmp_path / "x"), large()

        def train() -> None:
            network.fit(x[:8], self.LABELS[:8], validation_data=(x[:10_000], self.LABELS[:10_000]))

        assert peak_of(train) < x[:10_000].nbytes

    @pytest.mark.parametrize("kind", BIG_ONES)
    def test_prediction_copies_no_more_than_batches(self, kind: str, tmp_path: Path) -> None:
        x, network = BIG_ONES[kind](tmp_path / "x")[:10_000], large()
        assert peak_of(lambda: network.predict(x)) < x.nbytes

    def test_fortran_order_is_copied_once_at_most(self) -> None:
        x, network = pixels((20_000, 3, 32, 32), "F"), large()

        def train() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with pytest.raises(Enough):
                    network.fit(x, self.LABELS, batch_size=64, callbacks=[at("on_batch_end", stop)])

        assert peak_of(train) < 4 * x.nbytes / 3

    def test_the_fingerprint_of_a_checkpoint_copies_no_more_than_pieces(self, tmp_path: Path) -> None:
        x, network = BIG_ONES["mapped, channels last, turned"](tmp_path / "x"), large()

        def train() -> None:
            with pytest.raises(Enough):
                network.fit(x, self.LABELS, batch_size=64,
                            callbacks=[hc.Checkpoint(tmp_path / "run.npz"), at("on_batch_end", stop)])  # fmt: skip

        assert peak_of(train) < x.nbytes / 2


def large_shared_memory(process: int, least: int) -> set[str]:
    """What large pieces of memory a process shares with others: the names of files, or nothing."""
    maps = Path(f"/proc/{process}/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what a process shares")
    found = re.findall(r"(?m)^([0-9a-f]+)-([0-9a-f]+) ..(?:.)s \S+ \S+ \S+ *(.*)$", maps.read_text("utf-8"))
    return {Path(name).name for start, end, name in found if int(end, 16) - int(start, 16) >= least}


@pytest.fixture
def another_thread() -> Iterator[None]:
    """A thread that is alive, as in every notebook: workers are then spawned."""
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    yield
    event.set()
    thread.join()


@pytest.mark.usefixtures("another_thread")
class TestSpawnedWorkers:
    @pytest.mark.parametrize("turned", [False, True])
    def test_map_a_file_instead_of_copying_it(self, turned: bool, tmp_path: Path) -> None:
        file = tmp_path / "samples"
        x = mapped(file, BIG).transpose(0, 3, 1, 2) if turned else mapped(file, (20_000, 3, 32, 32))
        shared: set[str] = set()

        def look(_run: Any) -> None:
            for child in multiprocessing.active_children():
                shared.update(large_shared_memory(child.pid or 0, x.nbytes // 2))
            raise Enough

        with pytest.raises(Enough):
            large().fit(x, np.arange(20_000) % 3, workers=2, callbacks=[at("on_train_begin", look)])
        assert shared <= {"samples"}

    def test_see_the_samples_of_the_file(self, tmp_path: Path) -> None:
        x = mapped(tmp_path / "x", COLOURS.shape)
        x[...] = COLOURS
        networks = of_colours(), of_colours()
        networks[0].fit(x.transpose(0, 3, 1, 2), LABELS, batch_size=32, workers=2)
        networks[1].fit(COLOURS.transpose(0, 3, 1, 2), LABELS, batch_size=32)
        np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)

    def test_see_the_samples_of_a_part_of_a_file(self, tmp_path: Path) -> None:
        x = np.memmap(tmp_path / "x", np.uint8, "w+", offset=16, shape=(2 * 96, 3, 12, 12))
        x[::2] = channels_first("uint8")
        networks = of_colours(), of_colours()
        networks[0].fit(x[::2], LABELS, batch_size=32, workers=2)
        networks[1].fit(channels_first("uint8"), LABELS, batch_size=32)
        np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)

    def test_are_gone_afterwards(self) -> None:
        dense().fit(VECTORS, CLASSES, workers=2)
        assert not multiprocessing.active_children()


LAYERS: dict[str, tuple[Callable[[], hc.Layer], Any]] = {
    "Dense of one row": (lambda: hc.Dense(2), np.ones((1, 3), np.float32)),
    "Dense of rows": (lambda: hc.Dense(2), np.ones((4, 3), np.float32)),
    "Dense in Fortran order": (lambda: hc.Dense(2), np.ones((4, 3), np.float32, order="F")),
    "Conv2D": (lambda: hc.Conv2D(2, 3), np.ones((2, 1, 5, 5), np.float32)),
    "Conv2D of one image": (lambda: hc.Conv2D(2, 3), np.ones((1, 1, 5, 5), np.float32)),
    "Conv2D in Fortran order": (lambda: hc.Conv2D(2, 3), np.ones((2, 1, 5, 5), np.float32, order="F")),
    "Conv2D of 1x1": (lambda: hc.Conv2D(2, 1), np.ones((1, 1, 5, 5), np.float32)),
    "MaxPool2D": (lambda: hc.MaxPool2D(2), np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)),
    "AveragePool2D": (lambda: hc.AveragePool2D(2), np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)),
    "ReLU": (hc.ReLU, np.array([[1.0, -1.0]], np.float32)),
    "LeakyReLU": (lambda: hc.LeakyReLU(0.1), np.array([[1.0, -1.0]], np.float32)),
    "LeakyReLU of 0": (lambda: hc.LeakyReLU(0.0), np.array([[1.0, -1.0]], np.float32)),
    "Tanh": (hc.Tanh, np.array([[1.0, -1.0]], np.float32)),
    "Sigmoid": (hc.Sigmoid, np.array([[1.0, -1.0]], np.float32)),
    "Softmax": (hc.Softmax, np.array([[1.0, -1.0]], np.float32)),
    "Dropout": (lambda: hc.Dropout(0.0), np.array([[1.0, -1.0]], np.float32)),
    "Flatten": (hc.Flatten, np.ones((1, 1, 2, 2), np.float32)),
}


@pytest.mark.parametrize("name", LAYERS)
class TestInputsThatChangeAfterForward:
    def gradients(self, name: str, *, change: bool) -> list[Any]:
        make, x = LAYERS[name]
        layer, x = make(), x.copy(order="K")
        layer.build(x.shape[1:], generator=0)
        outputs = layer.forward(x, training=True)
        if change:
            x[...] = -100 * x - 3
        dvalues = np.arange(outputs.size, dtype=np.float32).reshape(outputs.shape)
        dinputs = layer.backward(dvalues).copy()
        return [dinputs, *(getattr(layer, name).copy() for name in ("dweights", "dbiases") if hasattr(layer, name))]

    def test_leave_the_gradients_of_a_layer_as_they_were(self, name: str) -> None:
        for changed, expected in zip(
            self.gradients(name, change=True), self.gradients(name, change=False), strict=True
        ):
            np.testing.assert_array_equal(changed, expected)

    def test_leave_the_gradients_of_a_network_as_they_were(self, name: str) -> None:
        results = []
        for change in (True, False):
            make, x = LAYERS[name]
            network, x = hc.Sequential([make()], input_shape=x.shape[1:], seed=0), x.copy(order="K")
            outputs = network.forward(x, training=True)
            if change:
                x[...] = -100 * x - 3
            results.append((network.backward(np.ones_like(outputs)), network.gradients.copy()))
        for changed, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(changed, expected)


class TestPixels:
    WHITE = np.full((3, 2), 255, np.uint8)

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_of_uint8_are_divided_by_255_in_every_verb_of_a_network(self, verb: str, dtype: str) -> None:
        network = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0, dtype=dtype)
        expected = getattr(network, verb)(np.ones((3, 2)))
        np.testing.assert_array_equal(getattr(network, verb)(self.WHITE), expected)

    @pytest.mark.parametrize("training", [False, True])
    def test_of_uint8_have_the_gradient_of_what_they_mean(self, training: bool) -> None:
        gradients = []
        for x in (self.WHITE, np.ones((3, 2))):
            network = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0)
            network.backward(np.ones_like(network.forward(x, training)))
            gradients.append(network.gradients.copy())
        np.testing.assert_array_equal(*gradients)

    def test_of_uint8_are_divided_by_255_in_the_first_layers(self) -> None:
        network = dense(input_shape=(2,))
        np.testing.assert_array_equal(network[:2].predict(self.WHITE), network[:2].predict(np.ones((3, 2))))

    def test_of_other_types_are_numbers(self) -> None:
        network = hc.Sequential([hc.Flatten()], input_shape=(2,), seed=0)
        for kind in (np.int64, np.int16, np.uint16, np.float32, np.bool_):
            np.testing.assert_array_equal(network.forward(np.ones((1, 2), kind)), [[1, 1]])

    def test_are_numbers_to_a_single_layer(self) -> None:
        layer = hc.Flatten()
        assert layer.forward(self.WHITE).tolist() == [[255, 255]] * 3


class TestPixelsThatMayBeMeantOtherwise:
    def test_of_floats_up_to_255_are_told(self) -> None:
        assert "255" in told(lambda: of_colours().fit(channels_first("uint8").astype(np.float32), LABELS))

    def test_of_uint16_are_told_with_the_remedy(self) -> None:
        x = channels_first("uint8").astype(np.uint16) * 257
        message = told(lambda: of_colours().fit(x, LABELS))
        assert "uint16" in message
        assert "65535" in message or "/ 257" in message or "uint8" in message

    def test_of_uint8_that_hold_only_0_and_1_are_told_or_taken_as_they_are(self) -> None:
        x = (channels_first("uint8") > 127).astype(np.uint8)
        message = told(lambda: of_colours().fit(x, LABELS))
        if "255" not in message:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                np.testing.assert_array_equal(of_colours().predict(x), of_colours().predict(x.astype(np.float32)))

    def test_of_floats_up_to_1_are_taken_in_silence(self) -> None:
        assert told(lambda: of_colours().fit(channels_first("float32"), LABELS)) == ""

    def test_of_uint8_are_taken_in_silence(self) -> None:
        assert told(lambda: of_colours().fit(channels_first("uint8"), LABELS)) == ""

    def test_of_black_uint8_are_taken_in_silence(self) -> None:
        assert told(lambda: of_colours().predict(np.zeros((2, 3, 12, 12), np.uint8))) == ""


def masked(values: Any, *, hide: bool) -> Any:
    mask = np.zeros(np.shape(values), bool)
    mask[-1, ...] = hide
    return np.ma.masked_array(values, mask)


ASK: dict[str, Callable[[Any, Any, Any], object]] = {
    "predict": lambda network, x, y: network.predict(x),
    "infer": lambda network, x, y: network.infer(x),
    "forward": lambda network, x, y: network.forward(x),
    "evaluate": lambda network, x, y: network.evaluate(x, y),
    "fit": lambda network, x, y: network.fit(x, y),
    "validation": lambda network, x, y: network.fit(VECTORS, CLASSES, validation_data=(x, y)),
    "gradcheck": lambda network, x, y: hc.gradcheck(network, x, y, samples=1),
}


PICTURES, KINDS = np.random.default_rng(0).random((9, 1, 6, 6)).astype(np.float32), np.arange(9) % 3
DRAWS = hc.Sequential([hc.Conv2D(2, 3), hc.Flatten(), hc.Dense(4), hc.Dense(3)], input_shape=(1, 6, 6), seed=0)


class TestMaskedArrays:
    X, Y = VECTORS[:16], CLASSES[:16]

    @pytest.mark.parametrize("verb", ASK)
    def test_with_masked_inputs_are_refused(self, verb: str) -> None:
        with pytest.raises(ValueError, match="mask"):
            ASK[verb](dense(), masked(self.X, hide=True), self.Y)

    @pytest.mark.parametrize("verb", ["evaluate", "fit", "validation", "gradcheck"])
    def test_with_masked_targets_are_refused(self, verb: str) -> None:
        with pytest.raises(ValueError, match="mask"):
            ASK[verb](dense(), self.X, masked(self.Y, hide=True))

    @pytest.mark.parametrize(
        "ask",
        [
            lambda hide, _: hc.plots.calibration(DRAWS, PICTURES, hide(KINDS)),
            lambda hide, _: hc.plots.hidden_map(DRAWS, hide(PICTURES), KINDS),
            lambda hide, _: hc.plots.hidden_map(DRAWS, PICTURES, hide(KINDS)),
            lambda hide, _: hc.plots.feature_maps(DRAWS, hide(PICTURES)[-1]),
            lambda hide, _: hc.plots.attributions(DRAWS, hide(PICTURES)[-1]),
            lambda hide, path: hc.export_html(DRAWS, path, hide(PICTURES)),
            lambda hide, path: hc.export_html(DRAWS, path, PICTURES, hide(KINDS)),
            lambda hide, _: hc.augment.Shift(1)(hide(PICTURES), np.random.default_rng(0)),
            lambda hide, _: principal_components(hide(np.eye(3))),
            lambda hide, _: hc.nnfs.Loss_CategoricalCrossentropy().calculate(np.full((3, 3), 1 / 3), hide([0, 1, 2])),
            lambda hide, _: hc.nnfs.Accuracy_Categorical().calculate(np.arange(3), hide([0, 1, 2])),
            lambda hide, _: hc.nnfs.Accuracy_Regression().init(hide([0.0, 1.0])),
        ],
    )
    def test_with_masked_values_are_refused_by_whatever_looks_at_them(self, ask: Any, tmp_path: Path) -> None:
        ask(lambda values: masked(values, hide=False), tmp_path / "page.html")
        with pytest.raises(ValueError, match=r"has \d+ masked \(missing\) value"):
            ask(lambda values: masked(values, hide=True), tmp_path / "page.html")

    def test_with_masked_weights_are_refused(self) -> None:
        with pytest.raises(ValueError, match="mask"):
            dense().fit(self.X, self.Y, sample_weights=masked(np.ones(16), hide=True))

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward", "evaluate", "fit"])
    def test_without_masked_entries_are_taken(self, verb: str) -> None:
        ASK[verb](dense(), masked(self.X, hide=False), masked(self.Y, hide=False))

    @pytest.mark.parametrize("values", [1j, "1", None, np.ma.masked])
    @pytest.mark.parametrize("of", [lambda network: network, lambda network: network.layers[-1]])
    def test_that_are_no_numbers_are_no_gradient(self, of: Any, values: Any) -> None:
        network = dense()
        network.forward(self.X)
        dvalues: Any = np.full((16, 3), values)
        if values is np.ma.masked:
            dvalues = masked(np.ones((16, 3)), hide=True)
        with pytest.raises((TypeError, ValueError), match=r"backward: dvalues (must be real|has .* masked)"):
            of(network).backward(dvalues)

    def test_with_masked_numbers_are_no_parameters(self) -> None:
        network = dense()
        with pytest.raises(ValueError, match=r"parameters has .* masked"):
            network.parameters = masked(np.ones(network.parameters.size), hide=True)
        with pytest.raises(ValueError, match=r"Dense: biases has .* masked"):
            network.layers[0].set_parameters(biases=masked(np.ones(6), hide=True))

    def test_with_masked_predictions_are_refused(self) -> None:
        predictions = masked(np.full((4, 2), 0.5), hide=True)
        with pytest.raises(ValueError, match=r"predictions has .* masked"):
            hc.CategoricalCrossentropy().forward(predictions, [0, 1, 0, 1])
        for metric in (hc.metrics.accuracy, hc.metrics.top_k_accuracy, hc.metrics.expected_calibration_error):
            with pytest.raises(ValueError, match=r"outputs has .* masked"):
                metric(predictions, np.array([0, 1, 0, 1]))

    def test_with_masked_numbers_are_refused_by_losses(self) -> None:
        with pytest.raises(ValueError, match="mask"):
            hc.MeanSquaredError().forward([[1.0]], np.ma.masked_array([[1.0]], [[True]]))

    def test_without_a_mask_at_all_are_taken(self) -> None:
        np.testing.assert_array_equal(dense().predict(np.ma.masked_array(self.X)), dense().predict(self.X))


def yes_or_no() -> hc.Sequential:
    return hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(4,), seed=0)


class TestClassWeights:
    @pytest.mark.parametrize("unknown", [3, 7, -1, np.int64(9)])
    def test_of_classes_that_do_not_exist_are_refused(self, unknown: Any) -> None:
        with pytest.raises(ValueError, match=str(unknown)):
            dense().fit(VECTORS, CLASSES, class_weights={0: 1.0, unknown: 100.0})

    def test_of_classes_that_do_not_exist_are_refused_for_one_hot_rows(self) -> None:
        with pytest.raises(ValueError, match="3"):
            dense().fit(VECTORS, np.eye(3)[CLASSES], class_weights={3: 100.0})

    @pytest.mark.parametrize("unknown", [2, -1])
    def test_of_classes_that_do_not_exist_are_refused_for_yes_and_no(self, unknown: int) -> None:
        with pytest.raises(ValueError, match=str(unknown)):
            yes_or_no().fit(VECTORS, CLASSES % 2, class_weights={unknown: 100.0})

    @pytest.mark.parametrize("known", [0, 1, np.int8(1)])
    def test_of_yes_and_no_are_taken(self, known: Any) -> None:
        assert yes_or_no().fit(VECTORS, CLASSES % 2, class_weights={known: 2.0})["loss"]

    def test_of_a_class_that_no_sample_has_are_taken(self) -> None:
        weighted = dense().fit(VECTORS, CLASSES % 2, class_weights={2: 5.0})
        assert weighted["loss"] == dense().fit(VECTORS, CLASSES % 2)["loss"]

    def test_that_are_refused_leave_the_network_as_it_was(self) -> None:
        network = dense()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="7"):
            network.fit(VECTORS, CLASSES, class_weights={7: 100.0})
        np.testing.assert_array_equal(network.parameters, before)


def test_images_are_shuffled_where_they_lie() -> None:
    before = IMAGES.copy()
    hc.Sequential([hc.Flatten(), hc.Dense(3), hc.Softmax()], seed=0).fit(IMAGES, LABELS)
    np.testing.assert_array_equal(IMAGES, before)


class TestWeightsThatACallbackChanges:
    """As inputs and targets are."""

    @pytest.mark.parametrize("workers", [1, 2])
    def test_count_from_the_next_epoch_on(self, workers: int) -> None:
        weights = np.ones(len(VECTORS))
        double = at("on_epoch_end", once(lambda: weights.__imul__(2.0)))
        options = {"epochs": 2, "optimizer": hc.SGD(1e-9), "workers": workers}
        losses = dense().fit(VECTORS, CLASSES, sample_weights=weights, callbacks=[double], **options)["loss"]
        assert losses[1] == pytest.approx(2 * losses[0], rel=1e-5)

    def test_are_not_changed_by_those_of_classes(self) -> None:
        weights = np.ones(len(VECTORS))
        dense().fit(VECTORS, CLASSES, sample_weights=weights, class_weights={0: 5.0})
        assert (weights == 1).all()
