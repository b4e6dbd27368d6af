"""Settings that are changed on a layer, a loss or an optimizer are used from then on, or refused: never half."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, at, convolutional, dense, refusal
from semantics.users_layers import Residual, Scale

PENALTIES = ("l1", "l2", "bias_l1", "bias_l2")


def expected_penalty(layer: Any, name: str, factor: float) -> float:
    values = (layer.biases if name.startswith("bias") else layer.weights).astype(np.float64)
    return factor * float(np.abs(values).sum() if name.endswith("l1") else np.square(values).sum())


class TestPenalties:
    @pytest.mark.parametrize("name", PENALTIES)
    def test_changed_after_build_count_in_the_penalty(self, name: str) -> None:
        network = dense()
        network.layers[0].biases[...] = 0.5
        setattr(network.layers[0], name, 5.0)
        assert network.penalty() == pytest.approx(expected_penalty(network.layers[0], name, 5.0), rel=1e-5)

    @pytest.mark.parametrize("name", PENALTIES)
    @pytest.mark.parametrize("workers", [1, 2])
    def test_changed_after_build_train_as_given_at_the_start(self, name: str, workers: int) -> None:
        late = dense()
        late.predict(VECTORS[:8])
        setattr(late.layers[0], name, 0.1)
        layers = [hc.Dense(6, **{name: 0.1}), hc.Tanh(), hc.Dense(3), hc.Softmax()]
        early = hc.Sequential(layers, input_shape=(4,), seed=0)
        losses = [one.fit(VECTORS, CLASSES, epochs=2, workers=workers)["loss"] for one in (late, early)]
        assert losses[0] == losses[1]
        np.testing.assert_array_equal(late.parameters, early.parameters)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_changed_in_a_callback_count_from_the_next_epoch_on(self, workers: int) -> None:
        network = dense()

        def penalize(_run: Any) -> None:
            network.layers[0].l2 = 0.5

        history = network.fit(VECTORS, CLASSES, epochs=2, workers=workers, callbacks=[at("on_epoch_end", penalize)])
        assert history["penalty"][0] == 0
        assert history["penalty"][1] > 0

    def test_changed_between_two_fits_count_in_the_second(self) -> None:
        network = dense()
        network.fit(VECTORS, CLASSES)
        network.layers[2].l1 = 0.5
        assert network.fit(VECTORS, CLASSES)["penalty"][0] > 0
        network.layers[2].l1 = 0.0
        assert network.fit(VECTORS, CLASSES)["penalty"][0] == 0

    def test_changed_after_build_are_saved(self, tmp_path: Path) -> None:
        network = dense()
        network.layers[0].l2 = 5.0
        network.save(tmp_path / "model.npz")
        assert hc.load(tmp_path / "model.npz").penalty() == pytest.approx(network.penalty())


class TestSettingsThatActAtOnce:
    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_a_changed_slope_is_in_the_next_answer(self, verb: str) -> None:
        network = hc.Sequential([hc.LeakyReLU(0.1)], input_shape=(2,), seed=0)
        x = np.array([[-1.0, 2.0]], np.float32)
        for alpha in (0.5, 0.25, 0.0, 0.5):
            network.layers[0].alpha = alpha
            assert getattr(network, verb)(x).tolist() == [[-alpha, 2.0]]

    def test_a_changed_slope_after_a_convolution_is_in_the_next_answer(self) -> None:
        network = hc.Sequential([hc.Conv2D(1, 1), hc.LeakyReLU(0.1)], input_shape=(1, 1, 1), seed=0)
        network.parameters[...] = [1, 0]
        for alpha in (0.5, 0.25):
            network.layers[1].alpha = alpha
            assert network.predict(np.full((1, 1, 1, 1), -1.0)).ravel().tolist() == [-alpha]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_changed_slope_trains_as_given_at_the_start(self, workers: int) -> None:
        late, early = convolutional(), convolutional()
        late.fit(IMAGES, LABELS, batch_size=32)
        late.parameters[...] = early.parameters
        late.epochs_trained = 0
        late.layers[1].alpha = 0.4
        layers = [layer.copy() for layer in early.layers]
        layers[1] = hc.LeakyReLU(0.4)
        early = hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
        losses = [one.fit(IMAGES, LABELS, batch_size=32, workers=workers)["loss"] for one in (late, early)]
        assert losses[0] == losses[1]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_changed_dropout_drops_as_given_at_the_start(self, workers: int) -> None:
        def network(rate: float) -> hc.Sequential:
            return hc.Sequential([hc.Dropout(rate), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)

        late, early = network(0.0), network(0.5)
        late.fit(VECTORS, CLASSES)
        late.parameters[...] = early.parameters
        late.epochs_trained = 0
        late.layers[0].rate = 0.5
        losses = [one.fit(VECTORS, CLASSES, workers=workers)["loss"] for one in (late, early)]
        assert losses[0] == losses[1]

    def test_a_dropout_switched_off_drops_nothing(self) -> None:
        network = hc.Sequential([hc.Dropout(0.5)], input_shape=(4,), seed=0)
        network.forward(VECTORS[:8], training=True)
        network.layers[0].rate = 0.0
        np.testing.assert_array_equal(network.forward(VECTORS[:8], training=True), VECTORS[:8])

    @pytest.mark.parametrize(
        "kind", [hc.SoftmaxCategoricalCrossentropy, hc.CategoricalCrossentropy], ids=["of scores", "of probabilities"]
    )
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_changed_smoothing_of_the_loss_counts_from_the_next_epoch_on(
        self, kind: Callable[..., Any], workers: int
    ) -> None:
        loss, network = kind(0.0), dense()

        def smooth(_run: Any) -> None:
            loss.label_smoothing = 0.9

        losses = network.fit(VECTORS, CLASSES, epochs=2, loss=loss, workers=workers, optimizer=hc.SGD(1e-6),
                             callbacks=[at("on_epoch_end", smooth)])["loss"]  # fmt: skip
        assert losses[0] == pytest.approx(dense().evaluate(VECTORS, CLASSES, loss=kind(0.0))["loss"], rel=1e-3)
        assert losses[1] == pytest.approx(dense().evaluate(VECTORS, CLASSES, loss=kind(0.9))["loss"], rel=1e-3)

    def test_both_forms_of_the_loss_hear_the_same(self) -> None:
        histories = []
        for kind in (hc.SoftmaxCategoricalCrossentropy, hc.CategoricalCrossentropy):
            loss = kind(0.0)

            def smooth(_run: Any, loss: Any = loss) -> None:
                loss.label_smoothing = 0.9

            histories.append(dense().fit(
                VECTORS, CLASSES, epochs=3, loss=loss, callbacks=[at("on_epoch_end", smooth)])["loss"])  # fmt: skip
        assert histories[0] == histories[1]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_changed_learning_rate_counts_from_the_next_epoch_on(self, workers: int) -> None:
        optimizer, network = hc.SGD(0.1), dense()

        def slow_down(_run: Any) -> None:
            optimizer.learning_rate = 0.01

        history = network.fit(VECTORS, CLASSES, epochs=2, optimizer=optimizer, workers=workers,
                              callbacks=[at("on_epoch_end", slow_down)])  # fmt: skip
        assert history["learning_rate"] == pytest.approx([0.1, 0.01])

    @pytest.mark.parametrize("workers", [1, 2])
    def test_an_attribute_of_a_layer_of_ones_own_counts_from_the_next_epoch_on(self, workers: int) -> None:
        network = hc.Sequential([Scale(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)

        def silence(_run: Any) -> None:
            network.layers[0].factor = 0.0

        losses = network.fit(VECTORS, CLASSES, epochs=2, optimizer=hc.SGD(1e-6), workers=workers,
                             callbacks=[at("on_epoch_end", silence)])["loss"]  # fmt: skip
        assert losses[1] == pytest.approx(np.log(3), rel=1e-3)


class TestLayersThatAreHeld:
    IMAGES = VECTORS.reshape(80, 2, 4, 4)

    def network(self) -> hc.Sequential:
        layers = [Residual(2), hc.Flatten(), hc.Dense(3), hc.Softmax()]
        return hc.Sequential(layers, input_shape=(2, 4, 4), seed=0)

    def test_have_settings_that_count_at_once(self) -> None:
        network = self.network()
        network.predict(self.IMAGES)
        network.layers[0].conv2.l2 = 3.0
        with_penalty = network.penalty()
        network.layers[0].conv2.l2 = 0.0
        expected = 3.0 * float(np.square(network.layers[0].conv2.weights, dtype=np.float64).sum())
        assert with_penalty - network.penalty() == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_may_be_exchanged_where_they_have_no_parameters_or_it_is_refused(self, workers: int) -> None:
        network = self.network()
        before = network.predict(self.IMAGES)

        def exchange() -> None:
            network.layers[0].tanh = hc.ReLU()

        refused = refusal(exchange)
        answers = network.predict(self.IMAGES)
        np.testing.assert_array_equal(network.infer(self.IMAGES[:8]), network.predict(self.IMAGES[:8]))
        np.testing.assert_allclose(network.forward(self.IMAGES), answers, rtol=1e-5, atol=1e-6)
        assert np.array_equal(answers, before) == bool(refused)
        losses = network.fit(self.IMAGES, CLASSES[:80], epochs=3, workers=workers)["loss"]
        assert losses[-1] < losses[0]

    def test_that_have_parameters_cannot_be_exchanged_by_halves(self) -> None:
        network = self.network()
        before = network.predict(self.IMAGES)

        def exchange() -> None:
            network.layers[0].conv2 = hc.Conv2D(2, 3, padding=1)
            network.predict(self.IMAGES)

        if refusal(exchange):
            return
        values = network.named_parameters()["0.conv2.weights"]
        np.testing.assert_array_equal(values, network.layers[0].conv2.weights)
        values[...] = 0
        network.layers[0].conv2.biases[...] = 0
        assert not np.array_equal(network.predict(self.IMAGES), before)
        assert not network.layers[0].conv2.weights.any()


SHAPES: dict[str, tuple[Callable[[], list[hc.Layer]], int, str, Any]] = {
    "units": (lambda: [hc.Flatten(), hc.Dense(3)], 1, "units", 5),
    "use_bias": (lambda: [hc.Flatten(), hc.Dense(3)], 1, "use_bias", False),
    "filters": (lambda: [hc.Conv2D(2, 3)], 0, "filters", 4),
    "kernel_size": (lambda: [hc.Conv2D(2, 3)], 0, "kernel_size", (5, 5)),
    "stride": (lambda: [hc.Conv2D(2, 3)], 0, "stride", (2, 2)),
    "padding": (lambda: [hc.Conv2D(2, 3)], 0, "padding", (1, 1)),
    "use_bias of a convolution": (lambda: [hc.Conv2D(2, 3)], 0, "use_bias", False),
    "pool_size": (lambda: [hc.MaxPool2D(2)], 0, "pool_size", (4, 4)),
    "stride of a pooling": (lambda: [hc.MaxPool2D(2)], 0, "stride", (1, 1)),
    "pool_size of an average": (lambda: [hc.AveragePool2D(2)], 0, "pool_size", (4, 4)),
    "shape": (lambda: [hc.Reshape((4, 4, 4))], 0, "shape", (2, 4, 8)),
}


class TestSettingsOfShapes:
    @pytest.mark.parametrize("case", SHAPES)
    def test_cannot_be_changed_after_build(self, case: str) -> None:
        make, place, name, value = SHAPES[case]
        network = hc.Sequential(make(), input_shape=(1, 8, 8), seed=0)
        before, answers = getattr(network.layers[place], name), network.predict(IMAGES[:4])
        with pytest.raises(ValueError, match=name):
            setattr(network.layers[place], name, value)
        assert getattr(network.layers[place], name) == before
        np.testing.assert_array_equal(network.predict(IMAGES[:4]), answers)

    @pytest.mark.parametrize("case", SHAPES)
    def test_may_be_set_to_what_they_are(self, case: str) -> None:
        make, place, name, _ = SHAPES[case]
        network = hc.Sequential(make(), input_shape=(1, 8, 8), seed=0)
        setattr(network.layers[place], name, getattr(network.layers[place], name))

    def test_may_be_changed_before_build(self) -> None:
        layer = hc.Dense(3)
        layer.units = 5
        assert hc.Sequential([layer], input_shape=(4,), seed=0).predict(VECTORS[:2]).shape == (2, 5)


class TestValuesThatTheConstructorRefuses:
    @pytest.mark.parametrize(
        ("make", "name", "value"),
        [(lambda: hc.Dropout(0.5), "rate", 1.5), (lambda: hc.Dropout(0.5), "rate", "half"),
         (lambda: hc.LeakyReLU(0.1), "alpha", -3.0), (lambda: hc.Dense(2), "l2", -1.0),
         (lambda: hc.Dense(2), "l1", np.nan)],
    )  # fmt: skip
    def test_are_refused_later_too(self, make: Callable[[], hc.Layer], name: str, value: Any) -> None:
        network = hc.Sequential([make()], input_shape=(4,), seed=0)
        before = getattr(network.layers[0], name)
        with pytest.raises(ValueError, match=name):
            setattr(network.layers[0], name, value)
        assert getattr(network.layers[0], name) == before


def test_an_engine_that_a_callback_switches_off_is_off_from_then_on_in_every_process() -> None:
    trained = []
    for workers in (1, 2):
        network = convolutional()
        off = at("on_epoch_end", lambda run: setattr(run.network, "engine", False))
        network.fit(IMAGES, LABELS, epochs=2, batch_size=32, workers=workers, callbacks=[off])
        trained.append(network)
    assert trained[0].layers[0].output is not None  # which the pages leave
    np.testing.assert_array_equal(trained[0].parameters, trained[1].parameters)
