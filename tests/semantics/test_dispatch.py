"""What a class or an instance says of its own is what runs, wherever a layer of ours would have run instead."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, dense, refusal

DENSE_LAYERS: dict[str, Callable[..., hc.Layer]] = {
    "Dense": partial(hc.Dense, 4),
    "ReLU": hc.ReLU,
    "LeakyReLU": partial(hc.LeakyReLU, 0.2),
    "Tanh": hc.Tanh,
    "Sigmoid": hc.Sigmoid,
    "Softmax": hc.Softmax,
    "Dropout": partial(hc.Dropout, 0.0),
    "Flatten": hc.Flatten,
    "Reshape": partial(hc.Reshape, (4,)),
}
IMAGE_LAYERS: dict[str, Callable[..., hc.Layer]] = {
    "Conv2D": partial(hc.Conv2D, 3, 3),
    "MaxPool2D": partial(hc.MaxPool2D, 2),
    "AveragePool2D": partial(hc.AveragePool2D, 2),
    "GlobalAveragePool2D": hc.GlobalAveragePool2D,
}
FACTOR = 0.25


def scaled_class(kind: type[hc.Layer]) -> type[hc.Layer]:
    """A class of the same name that gives a quarter of what the class gives from which it is derived."""

    def forward(self: Any, inputs: Any, training: bool = False) -> Any:
        return FACTOR * kind.forward(self, inputs, training)

    def backward(self: Any, dvalues: Any, **options: Any) -> Any:
        return kind.backward(self, FACTOR * dvalues, **options)

    return type(kind.__name__, (kind,), {"forward": forward, "backward": backward})


class Quarter(hc.Layer):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        return FACTOR * inputs

    def backward(self, dvalues: Any) -> Any:
        return FACTOR * dvalues


def scaled(make: Callable[..., hc.Layer]) -> hc.Layer:
    """The layer of a class that is derived from the one that ``make`` makes, with the same arguments."""
    kind, arguments = (make.func, make.args) if isinstance(make, partial) else (make, ())
    return scaled_class(kind)(*arguments)


def patched_instance(make: Callable[..., hc.Layer]) -> hc.Layer:
    layer = make()
    forward, backward = layer.forward, layer.backward
    layer.forward = lambda inputs, training=False: FACTOR * forward(inputs, training)
    layer.backward = lambda dvalues, **options: backward(FACTOR * dvalues, **options)
    return layer


def of_vectors(*layers: hc.Layer, last: bool = False) -> hc.Sequential:
    more = () if last else (hc.Dense(3), hc.Softmax())
    return hc.Sequential([hc.Dense(4), *layers, *more], input_shape=(4,), seed=0)


def of_images(*layers: hc.Layer) -> hc.Sequential:
    layers = [hc.Conv2D(2, 3), *layers, hc.Flatten(), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)


def assert_same_training(first: hc.Sequential, second: hc.Sequential, x: Any, y: Any, **options: Any) -> None:
    """Both answer, measure and train alike."""
    np.testing.assert_allclose(first.predict(x), second.predict(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first.infer(x), second.infer(x), rtol=1e-5, atol=1e-6)
    loss = options.get("loss")
    assert first.evaluate(x, y, loss=loss)["loss"] == pytest.approx(second.evaluate(x, y, loss=loss)["loss"], rel=1e-5)
    settings = {"epochs": 2, "batch_size": 64, "optimizer": hc.SGD(0.05)} | options
    losses = [one.fit(x, y, **settings)["loss"] for one in (first, second)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(first.parameters, second.parameters, rtol=1e-4, atol=1e-5)


WAYS = {"subclass of the same name": scaled, "patched instance": patched_instance}


@pytest.mark.parametrize("way", WAYS)
class TestALayerThatIsNotQuiteOurs:
    @pytest.mark.parametrize("name", DENSE_LAYERS)
    def test_among_vectors_runs_its_own_code(self, name: str, way: str) -> None:
        make = DENSE_LAYERS[name]
        assert_same_training(of_vectors(WAYS[way](make)), of_vectors(make(), Quarter()), VECTORS, CLASSES)

    @pytest.mark.parametrize("name", IMAGE_LAYERS)
    def test_among_images_runs_its_own_code(self, name: str, way: str) -> None:
        make = IMAGE_LAYERS[name]
        assert_same_training(of_images(WAYS[way](make)), of_images(make(), Quarter()), IMAGES, LABELS)

    @pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "Tanh", "Sigmoid"])
    def test_between_a_convolution_and_a_pooling_runs_its_own_code(self, name: str, way: str) -> None:
        make = DENSE_LAYERS[name]
        first = of_images(WAYS[way](make), hc.MaxPool2D(2))
        assert_same_training(first, of_images(make(), Quarter(), hc.MaxPool2D(2)), IMAGES, LABELS)

    def test_as_the_first_layer_runs_its_own_code(self, way: str) -> None:
        make = IMAGE_LAYERS["Conv2D"]
        more = [hc.Flatten(), hc.Dense(3), hc.Softmax()]
        first = hc.Sequential([WAYS[way](make), hc.ReLU(), *more], input_shape=(1, 8, 8), seed=0)
        second = hc.Sequential(
            [make(), Quarter(), hc.ReLU(), hc.Flatten(), hc.Dense(3), hc.Softmax()], input_shape=(1, 8, 8), seed=0
        )
        assert_same_training(first, second, IMAGES, LABELS)

    def test_a_softmax_at_the_end_is_asked(self, way: str) -> None:
        network = of_vectors(WAYS[way](hc.Softmax), last=True)
        answers = network.predict(VECTORS)
        np.testing.assert_allclose(answers.sum(axis=1), FACTOR, rtol=1e-5)
        loss = hc.CategoricalCrossentropy()
        expected = -np.log(answers[np.arange(640), CLASSES]).mean()
        assert network.evaluate(VECTORS, CLASSES, loss=loss)["loss"] == pytest.approx(expected, rel=1e-5)
        history = network.fit(VECTORS, CLASSES, loss=loss, batch_size=640, optimizer=hc.SGD(1e-6))
        assert history["loss"] == [pytest.approx(expected, rel=1e-5)]

    def test_a_sigmoid_at_the_end_is_asked(self, way: str) -> None:
        network = of_vectors(hc.Dense(1), WAYS[way](hc.Sigmoid), last=True)
        yes = (CLASSES == 1).astype(int)
        answers = network.predict(VECTORS)[:, 0].astype(np.float64)
        assert answers.max() < FACTOR
        expected = -np.where(yes == 1, np.log(answers), np.log1p(-answers)).mean()
        loss = hc.BinaryCrossentropy()
        assert network.evaluate(VECTORS, yes, loss=loss)["loss"] == pytest.approx(expected, rel=1e-5)
        history = network.fit(VECTORS, yes, loss=loss, batch_size=640, optimizer=hc.SGD(1e-6))
        assert history["loss"] == [pytest.approx(expected, rel=1e-5)]


class Hot(hc.Softmax):
    """A softmax with a temperature."""

    temperature = 10.0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return super().forward(inputs / self.temperature, training)

    def backward(self, dvalues: Any) -> Any:
        return super().backward(dvalues) / self.temperature


@pytest.mark.parametrize("loss", [hc.CategoricalCrossentropy, lambda: None], ids=["given", "default"])
def test_a_softmax_with_a_temperature_counts_in_fit_and_evaluate(loss: Callable[[], Any]) -> None:
    network = hc.Sequential([hc.Dense(3), Hot()], input_shape=(4,), seed=0)
    answers = network.predict(5 * VECTORS)
    expected = -np.log(answers[np.arange(640), CLASSES]).mean()
    assert network.evaluate(5 * VECTORS, CLASSES, loss=loss())["loss"] == pytest.approx(expected, rel=1e-4)
    history = network.fit(5 * VECTORS, CLASSES, loss=loss(), batch_size=640, optimizer=hc.SGD(1e-6))
    assert history["loss"] == [pytest.approx(expected, rel=1e-4)]


class TestAPatchedMethod:
    def test_runs_for_every_shard(self) -> None:
        network, calls = dense(), []
        original = network.layers[1].forward

        def spy(inputs: Any, training: bool = False) -> Any:
            calls.append(float(np.abs(inputs).sum()))
            return original(inputs, training)

        network.layers[1].forward = spy
        network.fit(VECTORS, CLASSES, batch_size=64, epochs=2)
        assert len(calls) >= 2 * 640 // 32
        assert len(set(calls)) > 30

    def test_of_a_class_is_heard_and_no_longer_when_it_is_put_back(self) -> None:
        network = dense()
        right = network.predict(VECTORS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hc.Tanh, "forward", lambda self, inputs, training=False: np.zeros_like(inputs))
            np.testing.assert_allclose(network.predict(VECTORS), 1 / 3, rtol=1e-6)
            np.testing.assert_allclose(dense().predict(VECTORS), 1 / 3, rtol=1e-6)
        np.testing.assert_array_equal(network.predict(VECTORS), right)

    def test_of_a_base_class_is_heard(self) -> None:
        class Cold(hc.Tanh):
            pass

        network = hc.Sequential([Cold()], input_shape=(4,), seed=0)
        network.predict(VECTORS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hc.Tanh, "forward", lambda self, inputs, training=False: np.zeros_like(inputs))
            assert not network.predict(VECTORS).any()

    def test_of_an_instance_is_heard_after_a_prediction_too(self) -> None:
        network = dense()
        network.predict(VECTORS)
        network.layers[1].forward = lambda inputs, training=False: np.zeros_like(inputs)
        np.testing.assert_allclose(network.predict(VECTORS), 1 / 3, rtol=1e-6)
        np.testing.assert_allclose(network.infer(VECTORS), 1 / 3, rtol=1e-6)

    def test_of_an_instance_is_heard_no_longer_when_it_is_deleted(self) -> None:
        network = dense()
        right = network.predict(VECTORS)
        network.layers[1].forward = lambda inputs, training=False: np.zeros_like(inputs)
        network.predict(VECTORS)
        del network.layers[1].forward
        np.testing.assert_array_equal(network.predict(VECTORS), right)

    def test_backward_alone_is_heard(self) -> None:
        network = dense()
        network.layers[1].backward = lambda dvalues: np.zeros_like(dvalues)
        before = network.layers[0].weights.copy()
        network.fit(VECTORS, CLASSES)
        np.testing.assert_array_equal(network.layers[0].weights, before)

    def test_of_a_callback_during_training_is_heard_from_the_next_epoch_on(self) -> None:
        network = dense()

        class Patch(hc.Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                network.layers[1].forward = lambda inputs, training=False: np.zeros_like(inputs)
                network.layers[1].backward = np.zeros_like

        losses = network.fit(VECTORS, CLASSES, epochs=2, optimizer=hc.SGD(1e-6), callbacks=[Patch()])["loss"]
        assert losses[1] == pytest.approx(np.log(3), rel=1e-4)

    def test_of_a_loss_is_heard(self) -> None:
        loss, calls = hc.MeanSquaredError(), []
        original = loss.forward

        def spy(*arguments: Any, **options: Any) -> float:
            calls.append(1)
            return 5 * original(*arguments, **options)

        loss.forward = spy
        network = hc.Sequential([hc.Dense(2)], input_shape=(4,), seed=0)
        expected = 5 * network.evaluate(VECTORS, VECTORS[:, :2], loss=hc.MeanSquaredError())["loss"]
        assert network.evaluate(VECTORS, VECTORS[:, :2], loss=loss)["loss"] == pytest.approx(expected, rel=1e-5)
        calls.clear()
        history = network.fit(VECTORS, VECTORS[:, :2], loss=loss, batch_size=640, optimizer=hc.SGD(1e-6))
        assert history["loss"] == [pytest.approx(expected, rel=1e-4)]
        assert len(calls) >= 5  # shards of 128


class TestASubclassOfALossOfOurs:
    @pytest.mark.parametrize(
        "kind",
        [hc.CategoricalCrossentropy, hc.SoftmaxCategoricalCrossentropy, hc.BinaryCrossentropy, hc.MeanSquaredError],
    )
    def test_is_asked(self, kind: type[hc.Loss]) -> None:
        class Doubled(kind):  # type: ignore[misc, valid-type]
            def forward(self, *arguments: Any, **options: Any) -> float:
                return 2 * super().forward(*arguments, **options)

            def backward(self) -> Any:
                return 2 * super().backward()

        binary = kind in (hc.BinaryCrossentropy, hc.MeanSquaredError)
        y = CLASSES % 2 if binary else CLASSES
        networks = [
            hc.Sequential(
                [hc.Dense(1 if binary else 3), hc.Sigmoid() if binary else hc.Softmax()], input_shape=(4,), seed=0
            )
            for _ in range(2)
        ]
        losses = []
        for network, loss, rate in zip(networks, (Doubled(), kind()), (0.05, 0.1), strict=True):
            losses.append(network.fit(VECTORS, y, loss=loss, optimizer=hc.SGD(rate), batch_size=64)["loss"][0])
        assert losses[0] == pytest.approx(2 * losses[1], rel=1e-3)
        np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=1e-3, atol=1e-4)


class TestTheNameOfAClass:
    def test_of_ours_given_to_a_class_of_ones_own_runs_the_latter(self) -> None:
        namesake = type("ReLU", (hc.Layer,), {
            "forward": lambda self, inputs, training=False: 3 * inputs,
            "backward": lambda self, dvalues: 3 * dvalues,
        })  # fmt: skip
        network = hc.Sequential([namesake()], input_shape=(4,), seed=0)
        np.testing.assert_allclose(network.predict(VECTORS), 3 * VECTORS, rtol=1e-6)

    @pytest.mark.parametrize("given", [False, True])
    def test_of_ours_given_to_a_class_of_ones_own_is_not_read_back_as_ours(self, given: bool, tmp_path: Path) -> None:
        kind, path, loaded = scaled_class(hc.Tanh), tmp_path / "model.npz", list[hc.Sequential]()
        network = of_vectors(kind())

        def save_and_load() -> None:
            network.save(path)
            loaded.append(hc.load(path, layers={"Tanh": kind} if given else None))

        refused = refusal(save_and_load)
        assert "Tanh" in refused or not refused
        for other in loaded:
            np.testing.assert_array_equal(other.predict(VECTORS), network.predict(VECTORS))


def test_the_summary_says_what_runs_as_what() -> None:
    network = of_vectors(scaled_class(hc.Tanh)(), Quarter())
    assert "Quarter" in str(network.summary())
