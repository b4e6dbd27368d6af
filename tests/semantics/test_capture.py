"""What is computed once and used again is never taken from an array that may have changed."""
# ruff: noqa: ARG005 (a function that replaces another has its arguments)

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, at, dense

X = np.random.default_rng(1).normal(size=(512, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [2.0], [3.0]])  # float64


class Formed(hc.Loss):
    """The mean squared error whose gradient comes in a form that the class says."""

    form: Callable[[Any], Any] = staticmethod(np.asarray)

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        return ((predictions - targets) ** 2).mean(axis=1)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return type(self).form(2 * (predictions - targets) / predictions.shape[1])


def read_only(gradient: Any) -> Any:
    gradient.flags.writeable = False
    return gradient


class Kept(Formed):
    """The gradient is written into one array of the loss's own."""

    memory: Any = None

    def gradient(self, predictions: Any, targets: Any) -> Any:
        if self.memory is None or self.memory.shape != predictions.shape:
            self.memory = np.empty(predictions.shape)
        self.memory[...] = super().gradient(predictions, targets)
        return self.memory


FORMS = {
    "float64": lambda gradient: np.asarray(gradient, np.float64),
    "float32": lambda gradient: np.asarray(gradient, np.float32),
    "longdouble": lambda gradient: np.asarray(gradient, np.longdouble),
    "Fortran order": np.asfortranarray,
    "a view with a negative stride": lambda gradient: np.ascontiguousarray(gradient[::-1])[::-1],
    "every other number of another array": lambda gradient: np.repeat(gradient, 2, axis=0)[::2],
    "read-only": read_only,
    "other byte order": lambda gradient: gradient.astype(">f8"),
}


def regression(loss: hc.Loss, *, targets: Any = Y, workers: int = 1, dtype: str = "float32", **options: Any) -> Any:
    network = hc.Sequential([hc.Dense(1)], input_shape=(3,), seed=0, dtype=dtype)
    history = network.fit(
        X, targets, epochs=5, batch_size=64, optimizer=hc.SGD(0.05), loss=loss, workers=workers, **options
    )
    return network.parameters, history["loss"]


class TestALossOfOnesOwn:
    @pytest.mark.parametrize("form", FORMS)
    def test_trains_on_every_shards_own_gradient_in_whatever_form_it_comes(self, form: str) -> None:
        loss = type("InThisForm", (Formed,), {"form": staticmethod(FORMS[form])})()
        parameters, losses = regression(loss)
        expected, expected_losses = regression(hc.MeanSquaredError())
        np.testing.assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_trains_in_either_dtype(self, dtype: str) -> None:
        parameters, _ = regression(Formed(), dtype=dtype)
        expected, _ = regression(hc.MeanSquaredError(), dtype=dtype)
        tolerance = 1e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(parameters, expected, rtol=tolerance, atol=tolerance)

    @pytest.mark.parametrize("kind", [Formed, Kept])
    def test_trains_to_the_same_bits_in_two_workers(self, kind: type[hc.Loss]) -> None:
        parameters, losses = regression(kind())
        others, other_losses = regression(kind(), workers=2)
        np.testing.assert_array_equal(parameters, others)
        assert losses == other_losses

    def test_may_give_its_gradient_in_memory_of_its_own(self) -> None:
        parameters, _ = regression(Kept())
        expected, _ = regression(hc.MeanSquaredError())
        np.testing.assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, np.bool_])
    def test_takes_targets_of_every_type(self, dtype: Any) -> None:
        targets = (Y > 0).astype(dtype)

        class OfFloats(Formed):
            def gradient(self, predictions: Any, targets: Any) -> Any:
                return super().gradient(predictions, np.asarray(targets, np.float64))

            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return super().sample_losses(predictions, np.asarray(targets, np.float64))

        parameters, _ = regression(OfFloats(), targets=targets)
        expected, _ = regression(hc.MeanSquaredError(), targets=targets)
        np.testing.assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)

    def test_counts_sample_weights(self) -> None:
        weights = np.linspace(0, 2, len(X))
        parameters, losses = regression(Formed(), sample_weights=weights)
        expected, expected_losses = regression(hc.MeanSquaredError(), sample_weights=weights)
        np.testing.assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)

    @pytest.mark.parametrize(
        "wrong", [lambda g: g[:, 0], lambda g: g[:-1], lambda g: g.mean(axis=0, keepdims=True), lambda g: g[..., None]]
    )
    def test_whose_gradient_has_another_shape_is_refused(self, wrong: Callable[[Any], Any]) -> None:
        class Wrong(Formed):
            form = staticmethod(wrong)

        network = hc.Sequential([hc.Dense(1)], input_shape=(3,), seed=0)
        before = network.parameters.copy()
        with pytest.raises(ValueError, match=r"Wrong.*shape"):
            network.fit(X, Y, loss=Wrong())
        np.testing.assert_array_equal(network.parameters, before)

    @pytest.mark.parametrize("wrong", [lambda g: None, lambda g: "steep", lambda g: g.astype(complex)])
    def test_whose_gradient_is_no_array_of_real_numbers_is_refused(self, wrong: Callable[[Any], Any]) -> None:
        class Wrong(Formed):
            form = staticmethod(wrong)

        with pytest.raises((TypeError, ValueError), match="Wrong"):
            regression(Wrong())

    def test_that_depends_on_a_setting_hears_of_each_change(self) -> None:
        class Weighted(Formed):
            factor = 1.0

            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return self.factor * super().sample_losses(predictions, targets)

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return self.factor * super().gradient(predictions, targets)

        loss = Weighted()

        def silence(_run: Any) -> None:
            loss.factor = 0.0

        _, losses = regression(loss, callbacks=[at("on_epoch_end", silence)])
        assert losses[0] > 0
        assert losses[1:] == [0, 0, 0, 0]


class TestALayerOfOnesOwn:
    def test_runs_for_every_shard_of_every_epoch(self) -> None:
        seen: list[float] = []

        class Look(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                seen.append(float(inputs.sum()))
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        network = hc.Sequential([Look(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        network.fit(VECTORS, CLASSES, batch_size=64, epochs=2, shuffle=False)
        each = VECTORS.reshape(20, 32, 4).sum(axis=(1, 2))
        assert len(seen) >= 40
        np.testing.assert_allclose(sorted(seen[-40:]), sorted([*each, *each]), rtol=1e-4, atol=1e-3)

    def test_runs_for_batches_of_every_size(self) -> None:
        class PlusCount(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                return inputs + np.float32(len(inputs))

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        network = hc.Sequential([PlusCount()], input_shape=(4,), seed=0)
        for count in (3, 5, 3, 1, 5):
            np.testing.assert_allclose(network.predict(np.zeros((count, 4)), batch_size=8), count)

    def test_is_told_whether_it_trains(self) -> None:
        told: set[bool] = set()

        class Look(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                told.add(bool(training))
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        network = hc.Sequential([Look(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        for ask in (network.predict, network.infer, network.forward):
            ask(VECTORS[:8])
        network.evaluate(VECTORS[:8], CLASSES[:8])
        assert told == {False}
        told.clear()
        network.fit(VECTORS[:8], CLASSES[:8], batch_size=8)
        assert True in told

    def test_may_look_at_an_array_that_changes_outside(self) -> None:
        offset = np.zeros(4, np.float32)

        class PlusOutside(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                return np.add(inputs, offset)

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        network = hc.Sequential([PlusOutside()], input_shape=(4,), seed=0)
        for value in (0, 1, 2):
            offset[...] = value
            assert (network.predict(np.zeros((2, 4))) == value).all()

    @pytest.mark.parametrize("moment", ["predict", "fit"])
    def test_whose_outputs_have_another_shape_than_it_said_is_refused(self, moment: str) -> None:
        class Lies(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                return inputs[:, :2]

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        network = hc.Sequential([Lies(), hc.Flatten()], input_shape=(4,), seed=0)
        asked = {
            "predict": lambda: network.predict(VECTORS[:4]),
            "fit": lambda: network.fit(VECTORS[:4], VECTORS[:4], loss=hc.MeanSquaredError()),
        }
        with pytest.raises(ValueError, match="Lies"):
            asked[moment]()

    def test_whose_gradient_has_another_shape_than_its_inputs_is_refused(self) -> None:
        class Lies(hc.Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues[:1]

        network = hc.Sequential([hc.Dense(3), Lies(), hc.Softmax()], input_shape=(4,), seed=0)
        with pytest.raises(ValueError, match="Lies"):
            network.fit(VECTORS, CLASSES)

    @pytest.mark.parametrize("method", ["forward", "backward"])
    def test_that_forgot_to_return_is_named(self, method: str) -> None:
        def forgetful(self: Any, values: Any, training: bool = False) -> None:
            np.tanh(values)

        methods = {"forward": lambda self, x, training=False: x, "backward": lambda self, d: d, method: forgetful}
        network = hc.Sequential([hc.Dense(3), type("Forgetful", (hc.Layer,), methods)(), hc.Softmax()], seed=0)
        with pytest.raises((TypeError, ValueError), match="Forgetful"):
            network.fit(VECTORS, CLASSES)


class TestALayerOfOurs:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_keeps_the_attributes_that_a_user_sets_on_it(self, workers: int) -> None:
        network, seen = dense(), []
        network.layers[0].epochs_seen = 0

        def count(_run: Any) -> None:
            network.layers[0].epochs_seen += 1
            seen.append(network.layers[0].epochs_seen)

        network.fit(VECTORS[:100], CLASSES[:100], epochs=5, batch_size=64, workers=workers,
                    callbacks=[at("on_epoch_end", count)])  # fmt: skip
        assert seen == [1, 2, 3, 4, 5]

    def test_takes_an_initializer_that_gives_another_array_each_time(self) -> None:
        def counted(shape: Any, *_more: Any) -> Any:
            return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)

        network = hc.Sequential([hc.Dense(2, weight_init=counted)], input_shape=(2,), seed=0)
        assert network.layers[0].weights.tolist() == [[0, 1], [2, 3]]

    def test_uses_parameters_that_are_written_between_two_calls(self) -> None:
        network = dense()
        first = network.predict(VECTORS[:8])
        network.layers[2].weights[...] = 0
        network.layers[2].biases[...] = 0
        np.testing.assert_allclose(network.predict(VECTORS[:8]), 1 / 3, rtol=1e-6)
        assert not np.allclose(first, 1 / 3)
