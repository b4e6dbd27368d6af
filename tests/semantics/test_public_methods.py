"""fit and evaluate call what everybody may call, so that what a method returns by hand is what they use."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, convolutional, dense

NUMBERS = VECTORS[:, :2].astype(np.float64) * 2.5


def regression(outputs: int = 2, **options: Any) -> hc.Sequential:
    return hc.Sequential([hc.Dense(outputs)], input_shape=(4,), seed=0, **options)


class Cube(hc.Layer):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs = inputs
        return inputs**3

    def backward(self, dvalues: Any) -> Any:
        return 3 * self.inputs**2 * dvalues


class TestALayerByTheTwoPublicMethods:
    def network(self, **options: Any) -> hc.Sequential:
        layers = [hc.Dense(4), Cube(), hc.Dense(3), hc.Softmax()]
        return hc.Sequential(layers, input_shape=(4,), seed=0, **options)

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_answers(self, verb: str) -> None:
        network = self.network(dtype="float64")
        first, _, second, _ = network.layers
        scores = (VECTORS @ first.weights + first.biases) ** 3 @ second.weights + second.biases
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected = shares / shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(getattr(network, verb)(VECTORS), expected, rtol=1e-10)

    def test_is_measured(self) -> None:
        network, x = self.network(dtype="float64"), VECTORS / 4
        expected = -np.log(network.predict(x)[np.arange(640), CLASSES]).mean()
        assert network.evaluate(x, CLASSES)["loss"] == pytest.approx(expected, rel=1e-9)

    def test_trains(self) -> None:
        losses = self.network().fit(VECTORS, CLASSES, epochs=5, batch_size=32)["loss"]
        assert losses[-1] < losses[0]

    def test_passes_gradcheck(self) -> None:
        assert hc.gradcheck(self.network(), VECTORS[:2], CLASSES[:2]).ok

    def test_is_called_alone(self) -> None:
        cube = Cube()
        assert cube.forward(np.array([[2.0]])).tolist() == [[8.0]]
        assert cube.backward(np.array([[1.0]])).tolist() == [[12.0]]

    @pytest.mark.parametrize("method", ["forward", "backward"])
    def test_that_defines_but_one_is_named(self, method: str) -> None:
        methods = {"forward": lambda self, x, training=False: x, "backward": lambda self, d: d}
        kind = type("Half", (hc.Layer,), {method: methods[method]})
        with pytest.raises(NotImplementedError, match="Half must define"):
            hc.Sequential([hc.Dense(4), kind(), hc.Dense(3)], input_shape=(4,), seed=0).fit(VECTORS, CLASSES)


class Never(hc.MeanSquaredError):
    """A loss derived from ours that adds a million."""

    asked = 0

    def forward(self, *arguments: Any, **options: Any) -> float:
        self.asked += 1
        return 1e6 + super().forward(*arguments, **options)


class ByBatch(hc.Loss):
    """A loss by forward and backward that keeps what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, float | None, int | None]] = []

    def forward(self, predictions: Any, targets: Any, sample_weights: Any = None, *, batch_size: Any = None) -> float:
        total = None if sample_weights is None else round(float(np.sum(sample_weights)), 6)
        self.calls.append((len(predictions), total, batch_size))
        self.shape = predictions.shape
        return (len(predictions) if total is None else total) / (batch_size or len(predictions))

    def backward(self) -> Any:
        return np.zeros(self.shape, np.float32)


class TestALossByForwardAndBackward:
    def test_is_asked_by_fit(self) -> None:
        loss = Never()
        history = regression().fit(VECTORS, NUMBERS, loss=loss, batch_size=640)
        assert loss.asked >= 5
        assert history["loss"][0] >= 5e6  # five shards

    def test_is_asked_by_evaluate(self) -> None:
        assert regression().evaluate(VECTORS, NUMBERS, loss=Never())["loss"] >= 1e6

    @pytest.mark.filterwarnings("ignore:No parameter has moved")
    def test_gets_each_shard_with_the_size_of_the_whole_batch(self) -> None:
        loss = ByBatch()
        history = regression().fit(VECTORS, NUMBERS, loss=loss, batch_size=512)
        assert {(count, size) for count, _, size in loss.calls} == {(128, 512), (128, 128)}
        assert history["loss"] == [pytest.approx(1)]

    def test_sums_to_the_whole_in_evaluate(self) -> None:
        loss = ByBatch()
        assert regression().evaluate(VECTORS, NUMBERS, loss=loss, batch_size=100)["loss"] == pytest.approx(1)
        assert sum(count for count, _, _ in loss.calls) == 640

    @pytest.mark.filterwarnings("ignore:No parameter has moved")
    def test_gets_the_weights_of_its_samples(self) -> None:
        loss, weights = ByBatch(), np.linspace(1, 2, 640)
        regression().fit(VECTORS, NUMBERS, loss=loss, batch_size=512, shuffle=False, sample_weights=weights)
        assert {total for _, total, _ in loss.calls} == {round(float(part.sum()), 6) for part in np.split(weights, 5)}

    def test_that_overrides_backward_alone_moves_by_it(self) -> None:
        class Flat(hc.MeanSquaredError):
            def backward(self) -> Any:
                return np.zeros_like(super().backward())

        network = regression()
        before = network.parameters.copy()
        with pytest.warns(UserWarning, match="No parameter has moved in epoch 1: the last step's gradient is 0"):
            network.fit(VECTORS, NUMBERS, loss=Flat())
        np.testing.assert_array_equal(network.parameters, before)

    def test_may_return_a_numpy_number(self) -> None:
        class Small(hc.MeanSquaredError):
            def forward(self, *arguments: Any, **options: Any) -> Any:
                return np.float32(super().forward(*arguments, **options))

        history = regression().fit(VECTORS, NUMBERS, loss=Small(), batch_size=512)
        expected = regression().fit(VECTORS, NUMBERS, loss=hc.MeanSquaredError(), batch_size=512)
        assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)


class Pure(hc.Loss):
    """The textbook's mean squared error."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return ((predictions - targets) ** 2).mean(axis=1)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return 2 * (predictions - targets) / predictions.shape[1]


class TestALossByPureFunctions:
    def test_has_a_forward_and_a_backward_by_hand(self) -> None:
        loss, expected = Pure(), hc.MeanSquaredError()
        predictions, targets = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
        assert loss.forward(predictions, targets) == pytest.approx(expected.forward(predictions, targets))
        np.testing.assert_allclose(loss.backward(), expected.backward())

    def test_weights_samples_by_hand(self) -> None:
        loss, expected = Pure(), hc.MeanSquaredError()
        arguments = np.arange(6.0).reshape(3, 2), np.ones((3, 2)), [0.0, 1.0, 3.0]
        assert loss.forward(*arguments, batch_size=5) == pytest.approx(expected.forward(*arguments, batch_size=5))
        np.testing.assert_allclose(loss.backward(), expected.backward())

    def test_is_measured_as_ours_is(self) -> None:
        measured = [
            regression().evaluate(VECTORS, NUMBERS, loss=loss)["loss"] for loss in (Pure(), hc.MeanSquaredError())
        ]
        assert measured[0] == pytest.approx(measured[1], rel=1e-6)

    def test_that_overrides_the_sample_losses_of_ours_is_asked(self) -> None:
        class Plus(hc.MeanSquaredError):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return super().sample_losses(predictions, targets) + 7

        expected = regression().evaluate(VECTORS, NUMBERS, loss=hc.MeanSquaredError())["loss"] + 7
        assert regression().evaluate(VECTORS, NUMBERS, loss=Plus())["loss"] == pytest.approx(expected, rel=1e-6)
        history = regression().fit(VECTORS, NUMBERS, loss=Plus(), batch_size=640, optimizer=hc.SGD(1e-6))
        assert history["loss"] == [pytest.approx(expected, rel=1e-4)]

    def test_passes_gradcheck(self) -> None:
        assert hc.gradcheck(regression(), VECTORS[:3], NUMBERS[:3], loss=Pure()).ok

    def test_whose_gradient_is_wrong_fails_gradcheck(self) -> None:
        class Wrong(Pure):
            def gradient(self, predictions: Any, targets: Any) -> Any:
                return 3 * super().gradient(predictions, targets)

        assert not hc.gradcheck(regression(), VECTORS[:3], NUMBERS[:3], loss=Wrong()).ok

    def test_without_a_gradient_is_named(self) -> None:
        class Half(hc.Loss):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return predictions[:, 0]

        with pytest.raises((NotImplementedError, TypeError), match="Half"):
            regression().fit(VECTORS, NUMBERS, loss=Half())

    def test_may_check_targets_of_its_own(self) -> None:
        class Chooses(Pure):
            def check_targets(self, targets: Any, shape: Any) -> Any:
                if np.min(targets) < 0:
                    raise ValueError("Chooses wants targets of at least 0.")
                return np.asarray(targets)

        with pytest.raises(ValueError, match="Chooses wants"):
            regression().fit(VECTORS, NUMBERS, loss=Chooses())

    def test_takes_any_targets_of_its_own_by_default(self) -> None:
        class FirstOf(hc.Loss):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return (predictions[:, 0] - targets["height"]) ** 2

            def gradient(self, predictions: Any, targets: Any) -> Any:
                result = np.zeros_like(predictions)
                result[:, 0] = 2 * (predictions[:, 0] - targets["height"])
                return result

        targets = np.zeros(640, [("height", "f4"), ("width", "f4")])
        targets["height"] = VECTORS[:, 0]
        history = regression().fit(VECTORS, targets, loss=FirstOf(), epochs=3)
        assert history["loss"][-1] < history["loss"][0]


class OneNumberForAll(Pure):
    """Targets (N, 1) of real numbers for any number of outputs."""


class TestTargetsThatNameNoClasses:
    @pytest.mark.parametrize("outputs", [1, 3])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_have_no_accuracy_in_fit(self, outputs: int, workers: int) -> None:
        history = regression(outputs).fit(
            VECTORS, NUMBERS[:, :1], loss=OneNumberForAll(), batch_size=64, workers=workers, validation_split=0.25
        )
        assert not {name for name in history if "accuracy" in name}
        assert history["loss"]

    @pytest.mark.parametrize("outputs", [1, 3])
    def test_have_no_accuracy_in_evaluate(self, outputs: int) -> None:
        assert set(regression(outputs).evaluate(VECTORS, NUMBERS[:, :1], loss=OneNumberForAll())) == {"loss"}

    def test_of_more_axes_than_the_outputs_have_none_either(self) -> None:
        class Mean(hc.Loss):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return ((predictions.mean(axis=1) - targets.mean(axis=(1, 2))) ** 2).astype(predictions.dtype)

            def gradient(self, predictions: Any, targets: Any) -> Any:
                difference = predictions.mean(axis=1) - targets.mean(axis=(1, 2))
                return np.repeat(2 * difference[:, None] / predictions.shape[1], predictions.shape[1], axis=1)

        targets = np.random.default_rng(0).normal(size=(640, 2, 5))
        assert "accuracy" not in regression().fit(VECTORS, targets, loss=Mean())
        assert set(regression().evaluate(VECTORS, targets, loss=Mean())) == {"loss"}


class TestSampleLosses:
    @pytest.mark.parametrize(
        ("loss", "first", "second"),
        [
            (hc.SoftmaxCategoricalCrossentropy(), ([[1.0, 1.0]], [0]), ([[9.0, 1.0]], [0])),
            (hc.CategoricalCrossentropy(), ([[0.5, 0.5]], [0]), ([[0.9, 0.1]], [0])),
            (hc.BinaryCrossentropy(), ([[0.5]], [0]), ([[0.9]], [0])),
            (hc.MeanSquaredError(), ([[1.0]], [[0.0]]), ([[9.0]], [[0.0]])),
        ],
        ids=["of scores", "of probabilities", "of one probability", "of numbers"],
    )
    def test_leave_the_last_forward_as_it_is(self, loss: hc.Loss, first: Any, second: Any) -> None:
        loss.forward(*first)
        expected = loss.backward().copy()
        loss.forward(*first)
        output = getattr(loss, "output", None)
        kept = None if output is None else output.copy()
        loss.sample_losses(*second)
        if kept is not None:
            np.testing.assert_array_equal(loss.output, kept)
        np.testing.assert_array_equal(loss.backward(), expected)

    def test_are_pure(self) -> None:
        loss = hc.SoftmaxCategoricalCrossentropy()
        loss.sample_losses([[9.0, 1.0]], [0])
        assert loss.output is None
        with pytest.raises(RuntimeError, match="forward"):
            loss.backward()


class TestTheGradientsAfterFit:
    def one_step(self, make: Any, x: Any, y: Any, **options: Any) -> hc.Sequential:
        network = make()
        network.fit(x, y, batch_size=len(x), optimizer=hc.SGD(0.5), **options)
        return network

    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_are_those_of_the_whole_last_step(self, workers: int) -> None:
        before = dense().parameters
        network = self.one_step(dense, VECTORS, CLASSES, workers=workers)
        np.testing.assert_allclose(network.gradients, (before - network.parameters) / 0.5, rtol=1e-3, atol=1e-6)
        assert np.abs(network.gradients).max() > 1e-3

    @pytest.mark.parametrize("workers", [1, 2])
    def test_have_the_gradient_of_the_penalties(self, workers: int) -> None:
        before = convolutional().parameters
        network = self.one_step(convolutional, IMAGES, LABELS, workers=workers)
        np.testing.assert_allclose(network.gradients, (before - network.parameters) / 0.5, rtol=1e-3, atol=1e-6)

    @pytest.mark.parametrize("workers", [2, 4])
    def test_are_the_same_bits_for_any_number_of_workers(self, workers: int) -> None:
        alone = self.one_step(dense, VECTORS, CLASSES)
        together = self.one_step(dense, VECTORS, CLASSES, workers=workers)
        np.testing.assert_array_equal(alone.gradients, together.gradients)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_are_what_the_layers_show(self, workers: int) -> None:
        network = self.one_step(dense, VECTORS, CLASSES, workers=workers)
        np.testing.assert_array_equal(network.layers[0].dweights.ravel(), network.gradients[:24])

    def test_are_those_of_a_small_last_batch(self) -> None:
        network, last = dense(), dense()
        network.fit(VECTORS[:70], CLASSES[:70], batch_size=64, shuffle=False, optimizer=hc.SGD(1e-9))
        last.fit(VECTORS[64:70], CLASSES[64:70], batch_size=6, shuffle=False, optimizer=hc.SGD(1e-9))
        np.testing.assert_allclose(network.gradients, last.gradients, rtol=1e-4, atol=1e-6)


class TestOutputsAndGradientsOfLayersByHand:
    @pytest.mark.parametrize("engine", [True, False])
    def test_are_set_on_every_layer(self, engine: bool) -> None:
        options: dict[str, Any] = {} if engine else {"engine": False}
        network = convolutional(**options)
        outputs = network.forward(IMAGES[:4])
        dinputs = network.backward(np.ones_like(outputs))
        for layer in network.layers:
            assert layer.output is not None
            assert layer.output.shape == (4, *layer.output_shape)
            assert layer.dinputs is not None
            assert layer.dinputs.shape == (4, *layer.input_shape)
        np.testing.assert_array_equal(network.layers[-1].output, outputs)
        np.testing.assert_array_equal(network.layers[0].dinputs, dinputs)

    def test_are_of_the_last_pass_of_the_network(self) -> None:
        network = convolutional()
        network.layers[0].forward(IMAGES[:2])
        network.forward(IMAGES[4:8])
        output = network.layers[0].output.copy()
        np.testing.assert_allclose(output, network.layers[0].forward(IMAGES[4:8]), rtol=1e-6)

    def test_of_each_layer_follow_from_those_of_the_one_before(self) -> None:
        network = convolutional()
        network.forward(IMAGES[:4])
        outputs = [layer.output.copy() for layer in network.layers]
        for layer, before, after in zip(network.layers[1:], outputs, outputs[1:], strict=False):
            np.testing.assert_allclose(layer.forward(before), after, rtol=1e-5, atol=1e-6)


class TestDropoutByHand:
    def test_follows_the_seed(self) -> None:
        masks = []
        for _ in range(2):
            network = hc.Sequential([hc.Dropout(0.5), hc.Dense(2)], input_shape=(8,), seed=0)
            network.forward(np.ones((4, 8), np.float32), training=True)
            masks.append(network.layers[0].output)
        np.testing.assert_array_equal(*masks)

    def test_follows_another_seed_otherwise(self) -> None:
        masks = []
        for seed in range(2):
            network = hc.Sequential([hc.Dropout(0.5), hc.Dense(2)], input_shape=(32,), seed=seed)
            network.forward(np.ones((4, 32), np.float32), training=True)
            masks.append(network.layers[0].output)
        assert not np.array_equal(*masks)

    def test_draws_anew_at_each_pass(self) -> None:
        network = hc.Sequential([hc.Dropout(0.5)], input_shape=(32,), seed=0)
        x = np.ones((4, 32), np.float32)
        assert not np.array_equal(network.forward(x, training=True), network.forward(x, training=True))

    def test_draws_other_masks_in_each_layer(self) -> None:
        network = hc.Sequential([hc.Dropout(0.5), hc.Dropout(0.5)], input_shape=(64,), seed=0)
        outputs = network.forward(np.ones((4, 64), np.float32), training=True)
        assert 0 < np.count_nonzero(outputs) < np.count_nonzero(network.layers[0].output)

    def test_a_layer_of_ones_own_follows_the_seed_too(self) -> None:
        from semantics.users_layers import Noise

        outputs = [
            hc.Sequential([Noise()], input_shape=(8,), seed=0).forward(np.ones((4, 8), np.float32), training=True)
            for _ in range(2)
        ]
        np.testing.assert_array_equal(*outputs)

    def test_changes_nothing_in_a_later_training(self) -> None:
        asked, left_alone = convolutional(), convolutional()
        asked.forward(IMAGES[:4], training=True)
        losses = [one.fit(IMAGES, LABELS)["loss"] for one in (asked, left_alone)]
        assert losses[0] == losses[1]
