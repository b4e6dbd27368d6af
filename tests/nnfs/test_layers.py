"""The book's layers: its signatures, its attributes and its numbers, over the framework's mathematics."""
# ruff: noqa: NPY002 (the book seeds NumPy's global generator)

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import nnfs
from handconv.nnfs import (
    Accuracy_Categorical,
    Accuracy_Regression,
    Activation_LeakyReLU,
    Activation_Linear,
    Activation_ReLU,
    Activation_Sigmoid,
    Activation_Softmax,
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Conv2D,
    Flatten,
    Layer_Dense,
    Layer_Dropout,
    Layer_Input,
    Loss,
    Loss_CategoricalCrossentropy,
    MaxPool2D,
    Model,
    Optimizer_Adagrad,
    Optimizer_Adam,
    Optimizer_RMSprop,
    Optimizer_SGD,
)
from nnfs_cases import L1_L2, spiral_data
from oracles import penalty_gradient


class TestSignatures:
    @pytest.mark.parametrize(
        ("thing", "signature"),
        [
            (
                Layer_Dense,
                (
                    "(n_inputs, n_neurons, weight_regularizer_l1=0, weight_regularizer_l2=0, "
                    "bias_regularizer_l1=0, bias_regularizer_l2=0)"
                ),
            ),
            (Layer_Dropout, "(rate)"),
            (Loss.calculate, "(self, output, y, *, include_regularization=False)"),
            (Loss.calculate_accumulated, "(self, *, include_regularization=False)"),
            (Loss.remember_trainable_layers, "(self, trainable_layers)"),
            (Loss.new_pass, "(self)"),
            (Loss_CategoricalCrossentropy.forward, "(self, y_pred, y_true)"),
            (Loss_CategoricalCrossentropy.backward, "(self, dvalues, y_true)"),
            (Activation_Softmax_Loss_CategoricalCrossentropy.forward, "(self, inputs, y_true)"),
            (Activation_Softmax_Loss_CategoricalCrossentropy.backward, "(self, dvalues, y_true)"),
            (Optimizer_SGD, "(learning_rate=1.0, decay=0.0, momentum=0.0)"),
            (Optimizer_Adam, "(learning_rate=0.001, decay=0.0, epsilon=1e-07, beta_1=0.9, beta_2=0.999)"),
            (Optimizer_Adagrad, "(learning_rate=1.0, decay=0.0, epsilon=1e-07)"),
            (Optimizer_RMSprop, "(learning_rate=0.001, decay=0.0, epsilon=1e-07, rho=0.9)"),
            (Optimizer_Adam.update_params, "(self, layer)"),
            (Accuracy_Regression.init, "(self, y, reinit=False)"),
            (Model, "()"),
            (Model.set, "(self, *, loss=None, optimizer=None, accuracy=None)"),
            (Model.train, "(self, X, y, *, epochs=1, batch_size=None, print_every=1, validation_data=None)"),
            (Model.evaluate, "(self, X_val, y_val, *, batch_size=None)"),
            (Model.predict, "(self, X, *, batch_size=None)"),
            (Layer_Dense.set_parameters, "(self, weights, biases)"),
            (Accuracy_Categorical, "(*, binary=False)"),
            (Accuracy_Categorical.calculate, "(self, predictions, y)"),
        ],
        ids=lambda value: getattr(value, "__qualname__", ""),
    )
    def test_are_the_books(self, thing: Callable[..., Any], signature: str) -> None:
        found = inspect.signature(thing)
        bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
        assert str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty)) == signature

    @pytest.mark.parametrize(
        "kind",
        [Layer_Dense, Layer_Dropout, Layer_Input, Conv2D, MaxPool2D, Flatten, Activation_ReLU, Activation_Softmax],
    )
    def test_every_layer_takes_inputs_and_training(self, kind: type) -> None:
        assert list(inspect.signature(kind.forward).parameters) == ["self", "inputs", "training"]  # type: ignore[attr-defined]
        assert next(iter(inspect.signature(kind.backward).parameters.values())).name == "self"  # type: ignore[attr-defined]

    def test_all_is_every_name_of_the_book(self) -> None:
        assert set(nnfs.__all__) == {name for name in vars(nnfs) if re.match("[A-Z]", name)}


class TestLayerDense:
    def test_has_the_books_initial_weights_for_the_books_seed(self) -> None:
        x, _ = spiral_data(100, 3)
        dense = Layer_Dense(2, 3)
        dense.forward(x)
        printed_in_the_book = [
            [0.0000000e00, 0.0000000e00, 0.0000000e00],
            [-1.0475188e-04, 1.1395361e-04, -4.7983500e-05],
            [-2.7414842e-04, 3.1729150e-04, -8.6921798e-05],
            [-4.2188365e-04, 5.2666257e-04, -5.5912682e-05],
            [-5.7707680e-04, 7.1401405e-04, -8.9430439e-05],
        ]
        assert dense.output is not None
        np.testing.assert_allclose(dense.output[:5], printed_in_the_book, rtol=1e-5)

    def test_has_weights_before_the_first_forward_and_biases_in_a_row(self) -> None:
        dense = Layer_Dense(2, 3)
        assert (dense.weights.shape, dense.biases.shape, dense.dweights.shape, dense.dbiases.shape) == (
            (2, 3), (1, 3), (2, 3), (1, 3),
        )  # fmt: skip
        np.testing.assert_array_equal(dense.biases, 0)

    def test_equals_the_frameworks_layer(self, rng: np.random.Generator) -> None:
        dense, twin = Layer_Dense(4, 3), hc.Dense(3)
        twin.build((4,))
        twin.set_parameters(weights=dense.weights, biases=dense.biases[0])
        x, dy = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
        np.testing.assert_array_equal(dense.forward(x, training=True), twin.forward(x))
        np.testing.assert_array_equal(dense.backward(dy), twin.backward(dy))
        np.testing.assert_array_equal(dense.dweights, twin.dweights)
        np.testing.assert_array_equal(dense.dbiases[0], twin.dbiases)
        assert dense.output is not None
        assert dense.dinputs is not None

    def test_parameters_can_be_assigned_and_changed_in_place(self) -> None:
        dense = Layer_Dense(2, 3)
        dense.weights = np.ones((2, 3))
        dense.weights += 1
        dense.biases += 0.5 * np.ones((1, 3))  # as in the book's random search
        np.testing.assert_array_equal(dense.forward(np.ones((1, 2))), np.full((1, 3), 4.5))

    def test_the_class_itself_can_be_looked_at(self) -> None:
        assert {"weights", "biases", "dweights", "dbiases"} <= {name for name, _ in inspect.getmembers(Layer_Dense)}

    def test_set_parameters_copies_what_get_parameters_gave(self) -> None:
        first, second = Layer_Dense(2, 3), Layer_Dense(2, 3)
        second.set_parameters(*first.get_parameters())
        np.testing.assert_array_equal(first.weights, second.weights)
        first.weights += 1
        assert not np.array_equal(first.weights, second.weights)

    @pytest.mark.parametrize("make", [lambda: Layer_Dense(4, 3, **L1_L2), lambda: Conv2D(3, 2, **L1_L2)])
    def test_gradients_include_those_of_the_penalties(self, make: Callable[[], Any], rng: np.random.Generator) -> None:
        layer = make()
        x = rng.normal(size=(5, 4) if isinstance(layer, Layer_Dense) else (5, 2, 4, 4))
        layer.backward(np.zeros(layer.forward(x).shape))
        np.testing.assert_allclose(layer.dweights, penalty_gradient(layer.weights, 0.1, 0.2), rtol=1e-6)
        np.testing.assert_allclose(layer.dbiases, penalty_gradient(layer.biases, 0.3, 0.4), rtol=1e-6)

    def test_l2_adds_twice_lambda_times_the_weights(self, rng: np.random.Generator) -> None:
        plain, decayed = Layer_Dense(2, 2), Layer_Dense(2, 2, weight_regularizer_l2=0.25)
        decayed.weights = plain.weights
        x, dy = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
        for layer in (plain, decayed):
            layer.forward(x)
            layer.backward(dy)
        np.testing.assert_allclose(decayed.dweights, plain.dweights + 0.5 * plain.weights, rtol=1e-6)
        np.testing.assert_array_equal(decayed.dbiases, plain.dbiases)


class TestConv2D:
    def test_equals_the_frameworks_layer(self, rng: np.random.Generator) -> None:
        conv, twin = Conv2D(3, (2, 3), stride=2, padding=1), hc.Conv2D(3, (2, 3), stride=2, padding=1)
        x = rng.normal(size=(5, 2, 7, 6)).astype(np.float32)
        y = conv.forward(x, training=True)
        twin.build((2, 7, 6))
        twin.set_parameters(weights=conv.weights, biases=conv.biases)
        dy = rng.normal(size=y.shape).astype(np.float32)
        np.testing.assert_array_equal(y, twin.forward(x))
        np.testing.assert_array_equal(conv.backward(dy), twin.backward(dy))
        np.testing.assert_array_equal(conv.dweights, twin.dweights)
        np.testing.assert_array_equal(conv.dbiases, twin.dbiases)

    def test_numpys_seed_gives_the_same_initial_weights(self) -> None:
        def weights(seed: int) -> np.ndarray:
            np.random.seed(seed)
            conv = Conv2D(2, 3)
            conv.forward(np.zeros((1, 1, 4, 4)))
            return conv.weights

        np.testing.assert_array_equal(weights(1), weights(1))
        assert not np.array_equal(weights(1), weights(2))

    def test_asking_for_weights_too_early_is_loud_so_that_hasattr_does_not_pass_it_over(self) -> None:
        with pytest.raises(
            RuntimeError, match=r"Conv2D has no weights before its first forward.*Call forward\(x\) first"
        ):
            hasattr(Conv2D(2, 3), "weights")


class TestActivations:
    @pytest.mark.parametrize(
        ("activation", "twin"),
        [
            (Activation_ReLU(), hc.ReLU()),
            (Activation_LeakyReLU(0.2), hc.LeakyReLU(0.2)),
            (Activation_Softmax(), hc.Softmax()),
            (Activation_Sigmoid(), hc.Sigmoid()),
        ],
        ids=lambda layer: type(layer).__name__,
    )
    def test_equal_the_frameworks(self, activation: Any, twin: Any, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(2, 4, 3))
        np.testing.assert_array_equal(activation.forward(x, True), twin.forward(x, True))
        np.testing.assert_array_equal(activation.backward(dy), twin.backward(dy))
        np.testing.assert_array_equal(activation.output, twin.output)
        np.testing.assert_array_equal(activation.dinputs, twin.dinputs)

    @pytest.mark.parametrize("layer", [Activation_Linear(), Layer_Input()])
    def test_linear_and_input_hand_their_inputs_on(self, layer: Any, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(2, 4, 3))
        np.testing.assert_array_equal(layer.forward(x, True), x)
        np.testing.assert_array_equal(layer.backward(dy), dy)

    def test_predictions_are_the_answers_that_are_read_from_outputs(self) -> None:
        outputs = np.array([[0.2, 0.8], [0.6, 0.4]])
        assert Activation_Softmax().predictions(outputs).tolist() == [1, 0]
        assert Activation_Sigmoid().predictions(outputs).tolist() == [[0, 1], [1, 0]]
        for activation in (Activation_Linear(), Activation_ReLU(), Activation_LeakyReLU()):
            assert activation.predictions(outputs) is outputs


class TestLayerDropout:
    def test_rate_is_the_share_that_is_dropped(self) -> None:
        dropout = Layer_Dropout(0.1)
        dropout.forward(np.ones((100, 100)), training=True)
        assert dropout.output is not None
        assert np.mean(dropout.output == 0) == pytest.approx(0.1, abs=0.01)
        assert dropout.output.max() == pytest.approx(1 / 0.9)

    def test_gives_back_the_same_mask(self, rng: np.random.Generator) -> None:
        dropout = Layer_Dropout(0.5)
        x, dy = rng.normal(size=(2, 8, 8))
        np.testing.assert_array_equal(dropout.forward(x, training=True), x * dropout.binary_mask)
        np.testing.assert_array_equal(dropout.backward(dy), dy * dropout.binary_mask)

    def test_changes_nothing_out_of_training(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=(8, 8))
        np.testing.assert_array_equal(Layer_Dropout(0.5).forward(x, training=False), x)

    def test_drops_without_the_argument_as_in_chapter_15(self) -> None:
        assert (Layer_Dropout(0.5).forward(np.ones((8, 8))) == 0).any()

    def test_numpys_seed_gives_the_same_masks(self) -> None:
        masks = []
        for _ in range(2):
            np.random.seed(3)
            dropout = Layer_Dropout(0.5)
            masks.append([dropout.forward(np.ones((4, 4)), True) for _ in range(2)])
        np.testing.assert_array_equal(masks[0], masks[1])
        assert not np.array_equal(*masks[0])
