"""Numbers at the edges: infinities, saturated sigmoids, long sums, and values that float32 does not have."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, dense

BEYOND = [1e39, -1e39, 3.5e38]


def full(value: float) -> Any:
    return lambda shape, *_: np.full(shape, value)


ACTIVATIONS: dict[str, tuple[Callable[[], hc.Layer], dict[float, float]]] = {
    "ReLU": (hc.ReLU, {np.inf: np.inf, -np.inf: 0}),
    "LeakyReLU of 0": (lambda: hc.LeakyReLU(0.0), {np.inf: np.inf, -np.inf: 0}),
    "LeakyReLU of 0.5": (lambda: hc.LeakyReLU(0.5), {np.inf: np.inf, -np.inf: -np.inf}),
    "LeakyReLU of 1": (lambda: hc.LeakyReLU(1.0), {np.inf: np.inf, -np.inf: -np.inf}),
    "Tanh": (hc.Tanh, {np.inf: 1, -np.inf: -1}),
    "Sigmoid": (hc.Sigmoid, {np.inf: 1, -np.inf: 0}),
}


@pytest.mark.filterwarnings("ignore:x holds images from")
class TestInfinity:
    @pytest.mark.parametrize("engine", [True, False])
    @pytest.mark.parametrize("score", [np.inf, -np.inf])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_after_a_convolution_an_infinite_score_is_not_nan(
        self, activation: str, score: float, engine: bool
    ) -> None:
        make, answers = ACTIVATIONS[activation]
        scores = hc.Conv2D(1, 3, weight_init=full(np.copysign(1e30, score)))
        options: dict[str, Any] = {} if engine else {"engine": False}
        network = hc.Sequential([scores, make()], input_shape=(1, 3, 3), seed=0, **options)
        with np.errstate(all="ignore"):
            answer = network.predict(np.full((1, 1, 3, 3), 1e30, np.float32))
        assert answer.ravel().tolist() == [answers[score]]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("score", [np.inf, -np.inf])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_by_hand_an_infinite_score_is_not_nan(self, activation: str, score: float, dtype: Any) -> None:
        make, answers = ACTIVATIONS[activation]
        with np.errstate(all="ignore"):
            assert make().forward(np.array([[score]], dtype)).tolist() == [[answers[score]]]

    def test_the_slope_of_leaky_relu_at_zero_alpha_is_that_of_relu(self) -> None:
        leaky, relu = hc.LeakyReLU(0.0), hc.ReLU()
        x, dvalues = np.array([[-1.0, 0.0, 2.0]]), np.ones((1, 3))
        leaky.forward(x)
        relu.forward(x)
        assert leaky.backward(dvalues).tolist() == relu.backward(dvalues).tolist()

    def test_after_a_dense_layer_an_infinite_score_is_not_nan(self) -> None:
        network = hc.Sequential([hc.Dense(1, weight_init=full(1e30)), hc.ReLU()], input_shape=(1,), seed=0)
        with np.errstate(all="ignore"):
            assert network.predict(np.array([[1e30], [-1e30]], np.float32)).ravel().tolist() == [np.inf, 0]

    def test_pooling_passes_infinities_on(self) -> None:
        x = np.array([[[[np.inf, 1], [-np.inf, 2]]]], np.float32)
        assert hc.MaxPool2D(2).forward(x).ravel().tolist() == [np.inf]

    def test_pooling_of_nothing_but_negative_infinities_is_negative_infinity(self) -> None:
        x = np.full((1, 1, 2, 2), -np.inf, np.float32)
        network = hc.Sequential([hc.MaxPool2D(2)], input_shape=(1, 2, 2), seed=0)
        assert network.infer(x).ravel().tolist() == [-np.inf]


def yes_or_no(score: float, **options: Any) -> hc.Sequential:
    """A network that gives this score for an input of 1."""
    return hc.Sequential([hc.Dense(1, weight_init=full(score)), hc.Sigmoid()], input_shape=(1,), seed=0, **options)


class TestSigmoidWithBinaryCrossentropy:
    ONES = np.ones((8, 1), np.float32)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(("score", "target"), [(20, 0), (90, 0), (-20, 1), (-90, 1)])
    def test_what_is_confidently_wrong_has_its_whole_gradient(self, score: float, target: int, dtype: str) -> None:
        network = yes_or_no(score, dtype=dtype)
        network.fit(self.ONES, np.full(8, target), optimizer=hc.SGD(1.0))
        assert network.layers[0].weights[0, 0] == pytest.approx(score + (1 if target else -1), rel=1e-6)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_what_is_confidently_wrong_is_learnt(self, workers: int) -> None:
        network = yes_or_no(20)
        losses = network.fit(
            np.repeat(self.ONES, 4, axis=0), np.zeros(32, int), epochs=50, optimizer=hc.SGD(1.0), workers=workers
        )["loss"]
        assert losses[0] == pytest.approx(20, rel=1e-6)
        assert losses[-1] < 0.1

    @pytest.mark.parametrize("loss", [None, hc.BinaryCrossentropy()], ids=["default", "given"])
    @pytest.mark.parametrize(("score", "target"), [(30.0, 0), (-30.0, 1), (300.0, 0)])
    def test_the_loss_is_that_of_the_score(self, loss: hc.Loss | None, score: float, target: int) -> None:
        targets = np.full(8, target)
        network = yes_or_no(score)
        assert network.evaluate(self.ONES, targets, loss=loss)["loss"] == pytest.approx(abs(score), rel=1e-6)
        assert network.fit(self.ONES, targets, loss=loss)["loss"] == [pytest.approx(abs(score), rel=1e-6)]

    def test_answers_are_still_probabilities(self) -> None:
        assert yes_or_no(30).predict(self.ONES[:1])[0, 0] == pytest.approx(1)

    def test_accuracy_is_that_of_the_answers(self) -> None:
        network = yes_or_no(0.2)  # a probability of 0.55
        assert network.evaluate(self.ONES, np.ones(8, int))["accuracy"] == 1
        assert network.fit(self.ONES, np.ones(8, int))["accuracy"] == [1]

    def test_several_outputs_and_shares_are_combined_too(self) -> None:
        rng = np.random.default_rng(0)
        x, shares = rng.normal(size=(16, 4)), rng.uniform(size=(16, 3))
        network = hc.Sequential([hc.Dense(3), hc.Sigmoid()], input_shape=(4,), seed=0, dtype="float64")
        expected = hc.BinaryCrossentropy().forward(network.predict(x), shares)
        assert network.evaluate(x, shares)["loss"] == pytest.approx(expected, rel=1e-9)
        assert network.fit(x, shares, batch_size=16)["loss"] == [pytest.approx(expected, rel=1e-9)]

    def test_moderate_scores_train_as_by_the_separate_layers(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(16, 4)), np.arange(16) % 2
        together = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(4,), seed=0, dtype="float64")
        apart = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(4,), seed=0, dtype="float64")
        together.fit(x, y, batch_size=8, optimizer=hc.SGD(0.1), shuffle=False)
        for start in (0, 8):
            loss = hc.BinaryCrossentropy()
            loss.forward(apart.forward(x[start : start + 8], training=True), y[start : start + 8])
            apart.backward(loss.backward())
            apart.parameters[...] -= 0.1 * apart.gradients
        np.testing.assert_allclose(together.parameters, apart.parameters, rtol=1e-9, atol=1e-11)

    def test_by_hand_the_loss_clips_as_it_says(self) -> None:
        assert hc.BinaryCrossentropy().forward([[1.0]], [0]) == pytest.approx(-np.log(1e-7), rel=1e-6)


class TestProbabilitiesThatAreNone:
    @pytest.mark.parametrize("verb", ["fit", "evaluate"])
    @pytest.mark.parametrize("kind", [hc.BinaryCrossentropy, hc.CategoricalCrossentropy])
    def test_scores_are_refused(self, verb: str, kind: type[hc.Loss]) -> None:
        x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
        y = (x[:, 0] > 0).astype(int)
        outputs = 1 if kind is hc.BinaryCrossentropy else 3
        network = hc.Sequential([hc.Dense(outputs)], input_shape=(4,), seed=0)
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="expects probabilities from 0 to 1, got values from"):
            getattr(network, verb)(x, y, loss=kind())
        np.testing.assert_array_equal(network.parameters, before)

    def test_scores_are_refused_in_a_later_shard(self) -> None:
        x = np.full((64, 1), 0.5, np.float32)
        x[-1] = 3
        network = hc.Sequential([hc.Dense(1, weight_init=full(1.0))], input_shape=(1,), seed=0)
        with pytest.raises(ValueError, match="expects probabilities from 0 to 1"):
            network.fit(x, np.ones(64, int), batch_size=64, loss=hc.BinaryCrossentropy(), shuffle=False)

    def test_scores_are_refused_in_a_later_step(self) -> None:
        x = np.full((64, 1), 0.5, np.float32)
        network = hc.Sequential([hc.Dense(1, weight_init=full(1.0))], input_shape=(1,), seed=0)
        with pytest.raises(ValueError, match="expects probabilities from 0 to 1"):
            network.fit(
                x, np.ones(64, int), batch_size=8, epochs=9, loss=hc.BinaryCrossentropy(), optimizer=hc.SGD(0.5)
            )

    def test_scores_are_refused_in_workers(self) -> None:
        x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
        network = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
        with pytest.raises((ValueError, hc.WorkerError), match="expects probabilities from 0 to 1"):
            network.fit(x, np.ones(64, int), workers=2, loss=hc.BinaryCrossentropy())

    def test_probabilities_without_a_sigmoid_are_taken(self) -> None:
        x = np.full((8, 1), 0.5, np.float32)
        network = hc.Sequential([hc.Dense(1, weight_init=full(1.0))], input_shape=(1,), seed=0)
        assert network.evaluate(x, np.ones(8, int), loss=hc.BinaryCrossentropy())["loss"] == pytest.approx(np.log(2))


class TestLongSums:
    LARGE = np.full((2, 1, 1024, 1024), 0.1, np.float32)

    @pytest.mark.parametrize("images", [1, 2])
    def test_the_average_of_a_large_image_of_tenths_is_a_tenth(self, images: int) -> None:
        averages = hc.GlobalAveragePool2D().forward(self.LARGE[:images])
        np.testing.assert_allclose(averages, 0.1, rtol=1e-6)

    def test_in_a_network_too(self) -> None:
        network = hc.Sequential([hc.GlobalAveragePool2D()], input_shape=(1, 1024, 1024), seed=0)
        np.testing.assert_allclose(network.predict(self.LARGE), 0.1, rtol=1e-6)

    def test_the_average_of_an_image_does_not_depend_on_its_batch(self) -> None:
        x = np.random.default_rng(0).uniform(size=(9, 3, 100, 100)).astype(np.float32)
        layer = hc.GlobalAveragePool2D()
        together = layer.forward(x)
        for image in range(9):
            np.testing.assert_array_equal(layer.forward(x[image : image + 1])[0], together[image])

    def test_the_answer_of_a_network_does_not_depend_on_the_batch(self) -> None:
        x = np.random.default_rng(0).uniform(size=(9, 3, 64, 64)).astype(np.float32)
        network = hc.Sequential([hc.GlobalAveragePool2D()], input_shape=(3, 64, 64), seed=0)
        np.testing.assert_array_equal(network.predict(x, batch_size=1), network.predict(x, batch_size=9))


class TestFloat64ValuesThatFloat32DoesNotHave:
    @pytest.mark.parametrize("value", BEYOND)
    @pytest.mark.parametrize("verb", ["predict", "forward", "infer"])
    def test_are_refused_when_asked(self, verb: str, value: float) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
        with pytest.raises(ValueError, match="float32"):
            getattr(network, verb)(np.full((2, 4), value))

    @pytest.mark.parametrize("value", BEYOND)
    @pytest.mark.parametrize("verb", ["fit", "evaluate"])
    def test_are_refused_among_samples(self, verb: str, value: float) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
        x = np.zeros((8, 4))
        x[7, 3] = value
        with pytest.raises(ValueError, match="float32"):
            getattr(network, verb)(x, np.arange(8) % 2)

    def test_are_refused_among_validation_data(self) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
        with pytest.raises(ValueError, match="float32"):
            network.fit(np.zeros((8, 4)), np.arange(8) % 2, validation_data=(np.full((2, 4), 1e39), [0, 1]))

    @pytest.mark.parametrize("verb", ["predict", "forward", "infer"])
    def test_are_taken_by_a_float64_network(self, verb: str) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Tanh()], input_shape=(4,), seed=0, dtype="float64")
        assert np.isfinite(getattr(network, verb)(np.full((2, 4), 1e39))).all()

    def test_that_are_smaller_than_float32_has_are_zero(self) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
        np.testing.assert_array_equal(network.predict(np.full((1, 4), 1e-60)), network.predict(np.zeros((1, 4))))

    @pytest.mark.parametrize("kind", [np.longdouble, np.float64])
    def test_that_fit_are_taken_in_either_precision(self, kind: Any) -> None:
        network = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
        x = np.linspace(0, 1, 8).reshape(2, 4)
        np.testing.assert_array_equal(network.predict(x.astype(kind)), network.predict(x.astype(np.float32)))


SURE: dict[str, Callable[[hc.Sequential], Any]] = {
    "fit": lambda model: model.fit(VECTORS, CLASSES),
    "fit with workers": lambda model: model.fit(VECTORS, CLASSES, batch_size=64, workers=2),
    "predict": lambda model: model.predict(VECTORS),
    "evaluate": lambda model: model.evaluate(VECTORS, CLASSES),
    "an ensemble": lambda model: hc.Ensemble([model]).evaluate(VECTORS, CLASSES),
}


@pytest.mark.parametrize("verb", SURE)
@pytest.mark.parametrize("engine", [True, False])
def test_probabilities_too_small_for_a_float_are_no_error_even_where_numpy_raises(verb: str, engine: bool) -> None:
    model = dense(engine=engine)
    model.parameters *= 1000
    with np.errstate(all="raise"):
        SURE[verb](model)
