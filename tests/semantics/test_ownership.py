"""Who owns a layer and its parameters: one network, and what is taken into another is a copy."""

import contextlib
import copy
import gc
import operator
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, at, convolutional, dense, refusal, twin
from semantics.users_layers import Affine, BatchNorm


def trained() -> hc.Sequential:
    network = dense()
    network.fit(VECTORS, CLASSES, epochs=2, optimizer=hc.Adam(0.01))
    return network


def assert_whole(network: hc.Sequential, make: Callable[[], hc.Sequential] = dense) -> None:
    """What the layers hold, what the vector holds, and what is computed are one."""
    answers = network.predict(VECTORS[:40])
    np.testing.assert_array_equal(twin(network, make).predict(VECTORS[:40]), answers)
    np.testing.assert_allclose(network.predict(VECTORS[:40], batch_size=7), answers, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.forward(VECTORS[:40]), answers, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        network.layers[0].weights.ravel(), network.parameters[: network.layers[0].weights.size]
    )


class TestParametersAssigned:
    def test_are_copied_in(self) -> None:
        network = dense()
        values = np.arange(network.parameters.size, dtype=np.float32)
        network.parameters = values
        assert network.layers[0].weights.ravel().tolist() == values[:24].tolist()
        values[...] = -1
        assert network.parameters[1] == 1

    def test_are_what_the_network_answers_with(self) -> None:
        network = trained()
        best, answers = network.parameters.copy(), network.predict(VECTORS[:8])
        network.fit(VECTORS, CLASSES, optimizer=hc.SGD(0.5))
        network.parameters = best
        np.testing.assert_array_equal(network.predict(VECTORS[:8]), answers)

    def test_are_what_fit_goes_on_from(self) -> None:
        network, other = trained(), dense()
        best = network.parameters.copy()
        network.fit(VECTORS, CLASSES, epochs=2)
        network.parameters = best
        other.parameters = best
        network.epochs_trained = other.epochs_trained = 0
        for one in (network, other):
            one.fit(VECTORS, CLASSES, optimizer=hc.SGD(0.5))
        np.testing.assert_array_equal(network.parameters, other.parameters)
        assert not np.array_equal(network.parameters, best)

    def test_are_saved(self, tmp_path: Path) -> None:
        network = dense()
        network.parameters = np.full(network.parameters.size, 0.5)
        network.save(tmp_path / "model.npz")
        assert (hc.load(tmp_path / "model.npz").parameters == 0.5).all()

    @pytest.mark.parametrize("workers", [1, 2])
    def test_in_a_callback_are_what_training_goes_on_from(self, workers: int) -> None:
        start = dense().parameters.copy()
        network = dense()

        def begin_again(run: Any) -> None:
            network.parameters = start

        network.fit(VECTORS, CLASSES, epochs=2, workers=workers, callbacks=[at("on_epoch_end", begin_again)])
        np.testing.assert_array_equal(network.parameters, start)

    @pytest.mark.parametrize("size", [0, 5, 10_000])
    def test_of_another_size_are_refused(self, size: int) -> None:
        network = dense()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match=str(network.parameters.size)):
            network.parameters = np.zeros(size)
        np.testing.assert_array_equal(network.parameters, before)

    def test_are_copied_in_for_single_layers_too(self) -> None:
        network = dense()
        values = np.ones((4, 6), np.float32)
        network.layers[0].weights = values
        values[...] = 5
        assert (network.parameters[:24] == 1).all()


class TestALayerBelongsToOneNetwork:
    def test_taking_a_layer_of_another_is_refused_with_the_way_to_do_it(self) -> None:
        network = trained()
        with pytest.raises(ValueError, match=r"copy\(\)") as caught:
            hc.Sequential([*network.layers[:2], hc.Dense(2)], input_shape=(4,), seed=1)
        assert "[:k]" in str(caught.value)

    def test_a_refusal_leaves_the_owner_whole(self) -> None:
        network = trained()
        answers, parameters = network.predict(VECTORS), network.parameters.copy()
        with pytest.raises(ValueError, match=r"copy\(\)"):
            hc.Sequential([*network.layers[:2], hc.Dense(2)], input_shape=(4,), seed=1)
        np.testing.assert_array_equal(network.predict(VECTORS), answers)
        np.testing.assert_array_equal(network.parameters, parameters)
        assert_whole(network)
        network.fit(VECTORS, CLASSES)
        assert_whole(network)

    @pytest.mark.parametrize("input_shape", [None, (4,)])
    def test_also_where_one_of_them_has_no_shape_yet(self, input_shape: Any) -> None:
        layer = hc.Dense(3)
        first = hc.Sequential([layer], input_shape=input_shape, seed=0)
        with pytest.raises(ValueError, match=r"copy\(\)"):
            hc.Sequential([layer], seed=0)
        assert first.layers[0] is layer

    def test_a_layer_without_parameters_too(self) -> None:
        network = dense()
        with pytest.raises(ValueError, match=r"copy\(\)"):
            hc.Sequential([hc.Dense(2), network.layers[1]], input_shape=(4,), seed=0)

    def test_a_layer_of_ones_own_too(self) -> None:
        layer = Affine()
        network = hc.Sequential([layer], input_shape=(4,), seed=0)
        with pytest.raises(ValueError, match=r"copy\(\)"):
            hc.Sequential([layer], input_shape=(4,), seed=0)
        assert network.parameters.size == 8

    def test_when_the_owner_is_gone_its_layers_are_free_and_keep_their_values(self) -> None:
        network = trained()
        layers, weights = list(network.layers[:2]), network.layers[0].weights.copy()
        del network
        gc.collect()
        other = hc.Sequential([*layers, hc.Dense(2)], input_shape=(4,), seed=1)
        np.testing.assert_array_equal(other.layers[0].weights, weights)

    def test_a_failed_constructor_owns_nothing(self) -> None:
        layer = hc.Dense(3)
        with pytest.raises(ValueError):  # noqa: PT011
            hc.Sequential([hc.Conv2D(2, 9), layer], input_shape=(1, 4, 4), seed=0)
        gc.collect()
        assert hc.Sequential([layer], input_shape=(4,), seed=0).layers[0] is layer


class TestTransferByCopies:
    def test_copies_keep_the_trained_values(self) -> None:
        old = trained()
        new = hc.Sequential([*(layer.copy() for layer in old.layers[:2]), hc.Dense(2)], input_shape=(4,), seed=1)
        np.testing.assert_array_equal(new.layers[0].weights, old.layers[0].weights)
        np.testing.assert_array_equal(new.layers[0].biases, old.layers[0].biases)

    def test_copies_keep_them_where_the_first_batch_tells_the_shape(self) -> None:
        old = trained()
        new = hc.Sequential([*(layer.copy() for layer in old.layers[:2]), hc.Dense(2)], seed=1)
        new.predict(VECTORS[:2])
        np.testing.assert_array_equal(new.layers[0].weights, old.layers[0].weights)

    def test_new_layers_are_drawn(self) -> None:
        old = trained()
        new = hc.Sequential([*(layer.copy() for layer in old.layers[:2]), hc.Dense(3)], input_shape=(4,), seed=1)
        assert np.abs(new.layers[2].weights).min() > 0
        assert not np.array_equal(new.layers[2].weights, old.layers[2].weights)

    def test_training_the_new_network_leaves_the_old_one_as_it_is(self) -> None:
        old = trained()
        answers, parameters = old.predict(VECTORS), old.parameters.copy()
        new = hc.Sequential([*(layer.copy() for layer in old.layers[:2]), hc.Dense(2)], input_shape=(4,), seed=1)
        new.fit(VECTORS, CLASSES % 2, epochs=2)
        np.testing.assert_array_equal(old.predict(VECTORS), answers)
        np.testing.assert_array_equal(old.parameters, parameters)
        assert_whole(old)

    def test_a_copy_does_not_follow_the_original(self) -> None:
        network = trained()
        layer = network.layers[0].copy()
        weights = layer.weights.copy()
        network.fit(VECTORS, CLASSES)
        np.testing.assert_array_equal(layer.weights, weights)

    def test_a_copy_has_the_settings_and_attributes_of_the_original(self) -> None:
        network = dense()
        network.layers[0].l2 = 0.25
        network.layers[0].remark = "mine"
        layer = network.layers[0].copy()
        assert (layer.l2, layer.remark, layer.units) == (0.25, "mine", 6)

    def test_a_copy_keeps_buffers(self) -> None:
        old = hc.Sequential([BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        old.fit(VECTORS, CLASSES)
        new = hc.Sequential([old.layers[0].copy(), hc.Dense(2)], input_shape=(4,), seed=1)
        np.testing.assert_array_equal(new.layers[0].running_variance, old.layers[0].running_variance)

    def test_a_copy_of_another_dtype_of_network_keeps_its_values(self) -> None:
        old = trained()
        new = hc.Sequential([old.layers[0].copy()], input_shape=(4,), seed=1, dtype="float64")
        np.testing.assert_array_equal(new.layers[0].weights, old.layers[0].weights)
        assert new.parameters.dtype == np.float64

    def test_a_built_layer_keeps_its_values(self) -> None:
        layer = hc.Dense(3)
        layer.build((4,), generator=7)
        weights = layer.weights.copy()
        network = hc.Sequential([layer, hc.Softmax()], input_shape=(4,), seed=0)
        np.testing.assert_array_equal(network.layers[0].weights, weights)
        np.testing.assert_array_equal(network.parameters[:12], weights.ravel())

    def test_a_built_layer_of_another_shape_is_refused(self) -> None:
        layer = hc.Dense(3)
        layer.build((5,), generator=7)
        with pytest.raises(ValueError, match="5"):
            hc.Sequential([layer], input_shape=(4,), seed=0)

    def test_a_copy_of_a_layer_that_is_not_built_is_not_built(self) -> None:
        assert hc.Dense(3).copy().input_shape is None


class TestTheLayersOfANetwork:
    def test_are_a_tuple(self) -> None:
        assert isinstance(dense().layers, tuple)

    @pytest.mark.parametrize("built", [True, False])
    def test_cannot_be_assigned(self, built: bool) -> None:
        network = dense() if built else hc.Sequential([hc.Dense(2)], seed=0)
        before = network.layers
        with pytest.raises(AttributeError):
            network.layers = [hc.Dense(2)]
        assert network.layers == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda network: network.layers.pop(),
            lambda network: network.layers.append(hc.Dense(5)),
            lambda network: network.layers.__setitem__(2, hc.Dense(3)),
            lambda network: network.layers.__delitem__(3),
            lambda network: setattr(network, "layers", [*network.layers, hc.Dense(5)]),
            lambda network: operator.iadd(network.layers, [hc.Dense(5)]),
        ],
        ids=["popped", "appended", "replaced", "deleted", "assigned", "added"],
    )
    def test_cannot_be_changed_by_halves(self, change: Callable[[Any], object]) -> None:
        network = trained()
        answers, described = network.predict(VECTORS[:8]), repr(network)
        with pytest.raises((AttributeError, TypeError), match=r"do not change.*takes copies of built layers"):
            change(network)
        np.testing.assert_array_equal(network.predict(VECTORS[:8]), answers)
        assert repr(network) == described


class TestTheFirstLayersAlone:
    """``model[:k]``."""

    def test_predict_what_these_layers_compute(self) -> None:
        network = trained()
        expected = np.tanh(VECTORS @ network.layers[0].weights + network.layers[0].biases)
        for verb in ("predict", "infer", "forward"):
            np.testing.assert_allclose(getattr(network[:2], verb)(VECTORS), expected, rtol=1e-5, atol=1e-6)

    def test_show_the_same_layers(self) -> None:
        network = trained()
        assert network[:2].layers == network.layers[:2]

    @pytest.mark.parametrize(("part", "count"), [(slice(-1), 3), (slice(0, 2), 2), (slice(None), 4)])
    def test_are_counted_as_in_every_sequence(self, part: slice, count: int) -> None:
        network = trained()
        assert len(network[part].layers) == count

    def test_leave_out_the_softmax_by_minus_one(self) -> None:
        network = trained()
        scores = network[:-1].predict(VECTORS[:8])
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, network.predict(VECTORS[:8]), rtol=1e-5)

    def test_follow_later_training(self) -> None:
        network = trained()
        features = network[:2]
        before = features.predict(VECTORS[:8])
        network.fit(VECTORS, CLASSES, epochs=2, optimizer=hc.Adam(0.05))
        after = features.predict(VECTORS[:8])
        assert not np.allclose(before, after)
        expected = np.tanh(VECTORS[:8] @ network.layers[0].weights + network.layers[0].biases)
        np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_follow_training_in_a_callback(self, workers: int) -> None:
        network = dense()
        features, wrong = network[:2], []

        def look(_run: Any) -> None:
            expected = np.tanh(VECTORS[:8] @ network.layers[0].weights + network.layers[0].biases)
            wrong.append(np.abs(features.predict(VECTORS[:8]) - expected).max())

        network.fit(VECTORS, CLASSES, epochs=3, workers=workers, callbacks=[at("on_epoch_end", look)])
        assert len(wrong) == 3
        assert max(wrong) < 1e-5

    def test_leave_the_network_whole(self) -> None:
        network = trained()
        answers = network.predict(VECTORS)
        features = network[:2]
        features.predict(VECTORS)
        features.forward(VECTORS)
        np.testing.assert_array_equal(network.predict(VECTORS), answers)
        network.fit(VECTORS, CLASSES)
        assert_whole(network)

    def test_have_the_shape_of_their_outputs(self) -> None:
        assert convolutional()[:2].output_shape == (3, 6, 6)

    def test_cannot_be_trained(self) -> None:
        network = trained()
        before = network.parameters.copy()
        with pytest.raises(RuntimeError, match="copy"):
            network[:2].fit(VECTORS, VECTORS, loss=hc.MeanSquaredError())
        np.testing.assert_array_equal(network.parameters, before)

    def test_keep_the_network_alive(self) -> None:
        features = trained()[:2]
        gc.collect()
        assert features.predict(VECTORS[:8]).shape == (8, 6)

    @pytest.mark.parametrize("part", [slice(1, 3), slice(0, 0), slice(None, None, 2), slice(2, None)])
    def test_other_slices_than_from_the_first_on_are_refused(self, part: slice) -> None:
        with pytest.raises((ValueError, TypeError, IndexError)):
            trained()[part]


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda network: pickle.loads(pickle.dumps(network))}  # noqa: S301


LAYERS: dict[str, Callable[[], hc.Layer]] = {
    "Dense": lambda: hc.Dense(2),
    "Conv2D": lambda: hc.Conv2D(2, 3),
    "MaxPool2D": lambda: hc.MaxPool2D(2),
    "AveragePool2D": lambda: hc.AveragePool2D(2),
    "GlobalAveragePool2D": hc.GlobalAveragePool2D,
    "Flatten": hc.Flatten,
    "ReLU": hc.ReLU,
    "LeakyReLU": lambda: hc.LeakyReLU(0.1),
    "Tanh": hc.Tanh,
    "Sigmoid": hc.Sigmoid,
    "Dropout": lambda: hc.Dropout(0.5),
}


def assert_goes_backward_or_is_refused(copied: Callable[[Any], Any], layer: hc.Layer) -> None:
    """A copy of a layer that has gone forward may know of that, or not; it never goes wrong."""
    x = IMAGES[:2].reshape(2, -1) if isinstance(layer, hc.Dense) else IMAGES[:2]
    outputs = layer.forward(x, training=True)
    other, dinputs = copied(layer), list[Any]()
    refused = refusal(lambda: dinputs.append(other.backward(np.ones_like(outputs))))
    assert "forward" in refused or not refused
    for each in dinputs:
        np.testing.assert_array_equal(each, layer.backward(np.ones_like(outputs)))


@pytest.mark.parametrize("how", COPIES)
class TestCopies:
    def test_train_on_to_the_same_bits(self, how: str) -> None:
        network = convolutional()
        network.fit(IMAGES, LABELS, epochs=2, batch_size=32)
        other = COPIES[how](network)
        losses = [one.fit(IMAGES, LABELS, epochs=2, batch_size=32)["loss"] for one in (network, other)]
        assert losses[0] == losses[1]
        np.testing.assert_array_equal(network.parameters, other.parameters)

    def test_train_on_without_the_original(self, how: str) -> None:
        network = trained()
        other = COPIES[how](network)
        answers = network.predict(VECTORS)
        other.fit(VECTORS, CLASSES, epochs=2)
        np.testing.assert_array_equal(network.predict(VECTORS), answers)
        assert_whole(network)
        assert_whole(other)

    def test_have_no_pending_backward(self, how: str) -> None:
        network = convolutional()
        outputs = network.forward(IMAGES[:4])
        with pytest.raises(RuntimeError, match="forward"):
            COPIES[how](network).backward(np.ones_like(outputs))

    def test_leave_the_pending_backward_of_the_original(self, how: str) -> None:
        network, other = convolutional(), convolutional()
        outputs = network.forward(IMAGES[:4])
        other.forward(IMAGES[:4])
        COPIES[how](network).forward(IMAGES[4:9])
        np.testing.assert_array_equal(network.backward(np.ones_like(outputs)), other.backward(np.ones_like(outputs)))

    @pytest.mark.parametrize("kind", LAYERS)
    def test_of_a_layer_go_backward_as_the_original_or_are_refused(self, how: str, kind: str) -> None:
        assert_goes_backward_or_is_refused(COPIES[how], LAYERS[kind]())

    def test_of_a_layer_compute_the_same(self, how: str) -> None:
        layer = hc.Conv2D(2, 3)
        outputs = layer.forward(IMAGES[:2])
        np.testing.assert_array_equal(COPIES[how](layer).forward(IMAGES[:2]), outputs)

    def test_of_a_layer_in_a_network_are_free(self, how: str) -> None:
        network = trained()
        layer = COPIES[how](network.layers[0])
        other = hc.Sequential([layer, hc.Tanh()], input_shape=(4,), seed=3)
        np.testing.assert_array_equal(other.layers[0].weights, network.layers[0].weights)

    def test_keep_buffers(self, how: str) -> None:
        network = hc.Sequential([BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        network.fit(VECTORS, CLASSES)
        other = COPIES[how](network)
        np.testing.assert_array_equal(other.layers[0].running_mean, network.layers[0].running_mean)
        network.fit(VECTORS, CLASSES)
        assert not np.array_equal(other.layers[0].running_mean, network.layers[0].running_mean)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_copy_by_layer_copy_goes_backward_as_the_original_or_is_refused(kind: str) -> None:
    assert_goes_backward_or_is_refused(lambda layer: layer.copy(), LAYERS[kind]())


def test_a_shallow_copy_is_a_copy_of_its_own_or_refused() -> None:
    network = trained()
    answers = network.predict(VECTORS)
    with contextlib.suppress(TypeError, RuntimeError):
        copy.copy(network).fit(VECTORS, CLASSES)
    np.testing.assert_array_equal(network.predict(VECTORS), answers)
    assert_whole(network)


class WithLambdas(hc.Layer):
    """Affine, by functions that are made in the constructor and look at the layer."""

    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.units, self.shape_of = units, np.shape
        self.forward = lambda inputs, training=False: self.multiplied(inputs)  # type: ignore[method-assign]  # noqa: ARG005
        self.multiplied = lambda inputs, *, sign=1: sign * self.kept(inputs) @ self.kernel

    def kept(self, inputs: Any) -> Any:
        self.inputs = inputs
        return inputs

    def infer_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.units,)

    def declare(self, input_shape: tuple[int, ...]) -> tuple[hc.ParameterSpec, ...]:
        return (hc.ParameterSpec("kernel", (input_shape[0], self.units), "he_normal"),)

    def backward(self, dvalues: Any) -> Any:
        self.dkernel = self.inputs.T @ dvalues
        return dvalues @ self.kernel.T


def with_lambdas() -> hc.Sequential:
    return hc.Sequential([WithLambdas()], input_shape=(4,), seed=0)


class TestFunctionsThatLookAtTheirLayer:
    def test_look_at_the_copy_in_a_copy(self) -> None:
        network = with_lambdas()
        other, answers = copy.deepcopy(network), network.predict(VECTORS)
        network.parameters[...] = 0
        np.testing.assert_array_equal(other.predict(VECTORS), answers)
        other.fit(VECTORS, CLASSES)
        assert not network.predict(VECTORS).any()
        assert other.layers[0].shape_of is np.shape
        assert "lambda" in other.layers[0].forward.__name__

    def test_are_trained_in_a_range_test_and_proved(self) -> None:
        losses = hc.find_learning_rate(with_lambdas(), VECTORS, CLASSES, steps=40).losses
        assert losses[-1] < 0.8 * losses[0]
        assert hc.gradcheck(with_lambdas(), VECTORS[:3], CLASSES[:3]).ok

    @pytest.mark.parametrize("workers", [1, 2])
    def test_train_as_a_dense_layer_does(self, workers: int) -> None:
        network, options = with_lambdas(), {"epochs": 2, "optimizer": hc.SGD(0.1), "loss": hc.MeanSquaredError()}
        expected = hc.Sequential([hc.Dense(3, use_bias=False)], input_shape=(4,), seed=0)
        expected.parameters = network.parameters
        for each in (network, expected):
            each.fit(VECTORS, VECTORS[:, :3], workers=workers, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(network.parameters, expected.parameters, rtol=1e-5, atol=1e-6)

    def test_that_are_not_yet_complete_are_copied(self) -> None:
        def incomplete() -> Any:
            if VECTORS is None:
                later = None
            return lambda: later

        layer = hc.Tanh()
        layer._later = incomplete()
        assert copy.deepcopy(layer)._later is layer._later

    def test_that_replace_a_method_call_that_of_the_copy(self) -> None:
        network = trained()
        original = network.layers[0].forward
        network.layers[0].forward = lambda inputs, training=False: original(inputs, training)  # type: ignore[method-assign]
        other, answers = copy.deepcopy(network), network.predict(VECTORS)
        network.parameters[...] = 0
        np.testing.assert_array_equal(other.predict(VECTORS), answers)
