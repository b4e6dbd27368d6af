"""The book's names: its signatures, its attributes and its numbers, over the framework's mathematics."""
# ruff: noqa: NPY002 (the book seeds NumPy's global generator)

import gc
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import nnfs
from handconv.nnfs import (
    Accuracy_Categorical,
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
    Loss_BinaryCrossentropy,
    Loss_CategoricalCrossentropy,
    Loss_MeanSquaredError,
    MaxPool2D,
    Optimizer_Adam,
    Optimizer_SGD,
)
from oracles import adam, penalty, penalty_gradient, sgd, softmax_crossentropy

REPOSITORY = Path(__file__).resolve().parent.parent
L1_L2 = {
    "weight_regularizer_l1": 0.1,
    "weight_regularizer_l2": 0.2,
    "bias_regularizer_l1": 0.3,
    "bias_regularizer_l2": 0.4,
}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test starts from the book's seed, and leaves the global generator as it was."""
    state = np.random.get_state()
    np.random.seed(0)
    yield
    np.random.set_state(state)


def spiral_data(samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The book's data set (Andrej Karpathy, CS231n)."""
    x, y = np.zeros((samples * classes, 2)), np.zeros(samples * classes, np.uint8)
    for label in range(classes):
        place = slice(samples * label, samples * (label + 1))
        radius = np.linspace(0.0, 1, samples)
        angle = np.linspace(label * 4, (label + 1) * 4, samples) + np.random.randn(samples) * 0.2
        x[place] = np.c_[radius * np.sin(angle * 2.5), radius * np.cos(angle * 2.5)]
        y[place] = label
    return x, y


def stepped(layer: Any, optimizer: Any, gradients: list[np.ndarray]) -> None:
    """Steps on given gradients of the weights."""
    for gradient in gradients:
        layer.dweights = gradient
        optimizer.pre_update_params()
        optimizer.update_params(layer)
        optimizer.post_update_params()


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
            (Optimizer_Adam.update_params, "(self, layer)"),
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


class TestLosses:
    @pytest.mark.parametrize(
        ("loss", "twin"),
        [
            (Loss_CategoricalCrossentropy(), hc.CategoricalCrossentropy()),
            (Loss_BinaryCrossentropy(), hc.BinaryCrossentropy()),
            (Loss_MeanSquaredError(), hc.MeanSquaredError()),
        ],
        ids=lambda loss: type(loss).__name__,
    )
    def test_equal_the_frameworks(self, loss: Any, twin: hc.Loss, rng: np.random.Generator) -> None:
        y_pred, y_true = rng.dirichlet(np.ones(3), size=4), np.eye(3)[[0, 2, 1, 1]]
        assert loss.calculate(y_pred, y_true) == pytest.approx(twin.forward(y_pred, y_true), rel=1e-12)
        np.testing.assert_array_equal(loss.backward(y_pred, y_true), twin.backward())
        np.testing.assert_array_equal(loss.dinputs, twin.dinputs)
        np.testing.assert_array_equal(loss.forward(y_pred, y_true), twin.sample_losses(y_pred, y_true))

    def test_the_books_example_of_chapter_5(self) -> None:
        softmax_outputs = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
        for targets in ([0, 1, 1], [[1, 0, 0], [0, 1, 0], [0, 1, 0]]):
            loss = Loss_CategoricalCrossentropy().calculate(softmax_outputs, np.array(targets))
            assert loss == pytest.approx(0.38506088005216804)

    def test_include_regularization_gives_a_pair(self) -> None:
        dense, loss = Layer_Dense(2, 3, **L1_L2), Loss_MeanSquaredError()
        dense.biases += 1
        loss.remember_trainable_layers([dense])
        total = penalty(dense.weights, 0.1, 0.2) + penalty(dense.biases, 0.3, 0.4)
        figures = loss.calculate(np.array([[1.0]]), [[3.0]], include_regularization=True)
        assert figures == pytest.approx((4.0, total), rel=1e-6)
        assert loss.calculate_accumulated(include_regularization=True) == pytest.approx((4.0, total), rel=1e-6)

    def test_regularization_loss_is_of_one_layer_or_of_all_remembered(self) -> None:
        layers = [Layer_Dense(2, 3, weight_regularizer_l2=0.5), Layer_Dense(3, 1, weight_regularizer_l1=0.5)]
        loss = Loss()
        assert loss.regularization_loss() == 0
        assert loss.regularization_loss(layers[0]) == pytest.approx(penalty(layers[0].weights, l2=0.5), rel=1e-6)
        loss.remember_trainable_layers(layers)
        assert loss.regularization_loss() == pytest.approx(sum(loss.regularization_loss(layer) for layer in layers))

    def test_accumulates_by_samples_until_a_new_pass(self) -> None:
        loss = Loss_MeanSquaredError()
        loss.calculate(np.array([[1.0], [1.0], [1.0]]), np.zeros(3))
        loss.calculate(np.array([[3.0]]), np.zeros(1))
        assert loss.calculate_accumulated() == 3.0
        loss.new_pass()
        loss.calculate(np.array([[2.0]]), np.zeros(1))
        assert loss.calculate_accumulated() == 4.0

    def test_a_loss_of_ones_own_defines_forward(self) -> None:
        class Loss_Absolute(Loss):
            def forward(self, y_pred: Any, y_true: Any) -> Any:
                return np.abs(y_pred - y_true).mean(axis=-1)

        assert Loss_Absolute().calculate(np.array([[1.0, 3.0]]), np.zeros((1, 2))) == 2.0
        with pytest.raises(NotImplementedError, match=r"Loss must define forward\(y_pred, y_true\)"):
            Loss().calculate(np.ones((1, 1)), [0])


class TestCombinedLoss:
    def test_forward_returns_the_loss_and_leaves_probabilities(self, rng: np.random.Generator) -> None:
        scores, y = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        softmax = Activation_Softmax()
        softmax.forward(scores)
        assert combined.forward(scores, y) == pytest.approx(
            Loss_CategoricalCrossentropy().calculate(softmax.output, y)  # type: ignore[arg-type]
        )
        np.testing.assert_allclose(combined.output, softmax.output, rtol=1e-12)

    def test_the_books_gradient_of_chapter_9_worked_by_hand(self) -> None:
        softmax_outputs = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        combined.backward(softmax_outputs, np.array([0, 1, 1]))
        by_hand = [[-0.1, 0.1 / 3, 0.2 / 3], [0.1 / 3, -0.5 / 3, 0.4 / 3], [0.02 / 3, -0.1 / 3, 0.08 / 3]]
        np.testing.assert_allclose(combined.dinputs, by_hand, rtol=1e-12)  # type: ignore[arg-type]

    def test_equals_softmax_and_loss_one_after_the_other(self, rng: np.random.Generator) -> None:
        scores, y = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
        combined, softmax, loss = (
            Activation_Softmax_Loss_CategoricalCrossentropy(), Activation_Softmax(), Loss_CategoricalCrossentropy()
        )  # fmt: skip
        combined.forward(scores, y)
        together = combined.backward(combined.output, y)
        apart = softmax.backward(loss.backward(softmax.forward(scores), y))
        np.testing.assert_allclose(together, apart, atol=1e-12)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_equals_the_oracle(self, dtype: Any, rng: np.random.Generator) -> None:
        scores, y = (5 * rng.normal(size=(6, 4))).astype(dtype), rng.integers(0, 4, 6)
        loss, gradient = softmax_crossentropy(scores, np.eye(4)[y])
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        tolerance = 1e-6 if dtype == np.float32 else 1e-12
        assert combined.forward(scores, y) == pytest.approx(loss, rel=tolerance)
        np.testing.assert_allclose(combined.backward(combined.output, y), gradient, atol=tolerance)

    def test_takes_class_numbers_and_one_hot(self, rng: np.random.Generator) -> None:
        scores, y = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        results = [
            (combined.forward(scores, truth), combined.backward(combined.output, truth).tolist())
            for truth in (y, np.eye(3)[y])
        ]
        assert results[0] == results[1]

    @pytest.mark.parametrize("size", [1e4, 1e30])
    def test_huge_scores_are_stable_in_both_directions(self, size: float) -> None:
        scores = np.array([[size, -size], [size, -size], [-size, -size]], np.float32)
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        assert combined.forward(scores, [0, 1, 0]) == pytest.approx((2 * size + np.log(2)) / 3, rel=1e-6)
        gradient = combined.backward(combined.output, [0, 1, 0])
        np.testing.assert_allclose(gradient, np.array([[0, 0], [1, -1], [-0.5, 0.5]]) / 3, atol=1e-7)

    def test_backward_changes_neither_its_argument_nor_the_output(self, rng: np.random.Generator) -> None:
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        combined.forward(rng.normal(size=(4, 3)), [0, 1, 2, 0])
        before = combined.output.copy()
        combined.backward(combined.output, [0, 1, 2, 0])
        np.testing.assert_array_equal(combined.output, before)

    def test_its_loss_knows_the_penalties(self) -> None:
        dense = Layer_Dense(2, 3, weight_regularizer_l2=1)
        combined = Activation_Softmax_Loss_CategoricalCrossentropy()
        assert combined.loss.regularization_loss(dense) == pytest.approx(penalty(dense.weights, l2=1), rel=1e-6)


class TestOptimizers:
    @pytest.mark.parametrize("decay", [0, 0.5])
    @pytest.mark.parametrize("kind", [Optimizer_SGD, Optimizer_Adam])
    def test_the_rate_falls_with_the_steps(self, kind: Callable[..., Any], decay: float) -> None:
        optimizer = kind(learning_rate=0.1, decay=decay)
        rates = []
        for _ in range(3):
            optimizer.pre_update_params()
            rates.append(optimizer.current_learning_rate)
            optimizer.post_update_params()
        assert rates == pytest.approx([0.1, 0.1 / (1 + decay), 0.1 / (1 + 2 * decay)])
        assert (optimizer.iterations, optimizer.learning_rate) == (3, 0.1)

    def test_adam_equals_the_oracle_over_many_batches(self, rng: np.random.Generator) -> None:
        dense = Layer_Dense(3, 2)
        start, gradients = dense.weights.copy(), list(rng.normal(size=(50, 3, 2)))
        stepped(dense, Optimizer_Adam(0.01), gradients)
        np.testing.assert_allclose(
            dense.weights, adam(start, gradients, learning_rate=0.01, epsilon=1e-7), rtol=1e-4, atol=1e-6
        )

    def test_sgd_equals_the_oracle(self, rng: np.random.Generator) -> None:
        dense = Layer_Dense(3, 2)
        start, gradients = dense.weights.copy(), list(rng.normal(size=(20, 3, 2)))
        stepped(dense, Optimizer_SGD(0.1, momentum=0.9), gradients)
        np.testing.assert_allclose(
            dense.weights, sgd(start, gradients, learning_rate=0.1, momentum=0.9), rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_sgd_has_the_rate_inside_of_the_momentum(self, momentum: float, rng: np.random.Generator) -> None:
        dense, decay = Layer_Dense(3, 2), 0.1
        expected, gradients = dense.weights.astype(np.float64), rng.normal(size=(20, 3, 2))
        update = np.zeros((3, 2))
        for step, gradient in enumerate(gradients):
            update = momentum * update - 0.5 / (1 + decay * step) * gradient
            expected += update
        stepped(dense, Optimizer_SGD(0.5, decay, momentum), list(gradients))
        np.testing.assert_allclose(dense.weights, expected, rtol=1e-4, atol=1e-6)

    def test_adams_first_step_is_the_learning_rate_by_the_bias_correction(self) -> None:
        dense = Layer_Dense(1, 3)
        start = dense.weights.copy()
        stepped(dense, Optimizer_Adam(0.1), [np.array([[0.5, -100.0, 1e-3]])])
        np.testing.assert_allclose(start - dense.weights, [[0.1, -0.1, 0.1]], rtol=1e-3)

    def test_adam_counts_steps_and_not_tensors_or_layers(self) -> None:
        layers, optimizer = [Layer_Dense(1, 1) for _ in range(3)], Optimizer_Adam(0.1)
        starts = [layer.weights.copy() for layer in layers]
        for _ in range(2):
            optimizer.pre_update_params()
            for layer in layers:
                layer.dweights = layer.dbiases = [[1.0]]
                optimizer.update_params(layer)
            optimizer.post_update_params()
        assert optimizer.iterations == 2
        for layer, start in zip(layers, starts, strict=True):
            np.testing.assert_allclose(start - layer.weights, 0.2, rtol=1e-5)
            np.testing.assert_allclose(layer.biases, -0.2, rtol=1e-5)

    def test_a_layer_that_joins_later_is_corrected_by_the_steps_of_all(self) -> None:
        """The book's t is iterations + 1, also where the layer's moments are new."""
        early, late, optimizer = Layer_Dense(1, 1), Layer_Dense(1, 1), Optimizer_Adam(0.1)
        stepped(early, optimizer, [np.ones((1, 1))] * 3)
        start = late.weights.copy()
        stepped(late, optimizer, [np.ones((1, 1))])
        m_hat, v_hat = 0.1 / (1 - 0.9**4), 0.001 / (1 - 0.999**4)
        np.testing.assert_allclose(start - late.weights, 0.1 * m_hat / (np.sqrt(v_hat) + 1e-7), rtol=1e-5)

    def test_adams_moments_live_from_batch_to_batch(self) -> None:
        dense = Layer_Dense(1, 1)
        optimizer = Optimizer_Adam(0.1)
        stepped(dense, optimizer, [np.ones((1, 1))])
        start = dense.weights.copy()
        stepped(dense, optimizer, [np.zeros((1, 1))])
        assert start - dense.weights > 0.05, "the momentum of the first step is gone"

    def test_state_dies_with_its_layer_and_is_never_another_ones(self) -> None:
        optimizer = Optimizer_Adam(0.1)
        for _ in range(20):  # a new layer often gets the id of the one before
            dense = Layer_Dense(1, 1)
            start = dense.weights.copy()
            optimizer.iterations = 0
            stepped(dense, optimizer, [np.ones((1, 1))])
            np.testing.assert_allclose(start - dense.weights, 0.1, rtol=1e-5)
            del dense
        gc.collect()
        assert len(optimizer._optimizers) == 0

    def test_changed_settings_take_effect_at_the_next_step(self) -> None:
        dense, optimizer = Layer_Dense(1, 1), Optimizer_Adam(0.1)
        stepped(dense, optimizer, [np.ones((1, 1))])
        start, optimizer.learning_rate = dense.weights.copy(), 0.5
        stepped(dense, optimizer, [np.ones((1, 1))])
        np.testing.assert_allclose(start - dense.weights, 0.5, rtol=1e-5)

    @pytest.mark.parametrize("kind", [Optimizer_SGD, Optimizer_Adam])
    def test_layers_of_the_framework_are_refused_as_their_gradients_lack_the_penalties(self, kind: Any) -> None:
        with pytest.raises(
            TypeError, match=r"layer with weights of handconv\.nnfs, Layer_Dense or Conv2D, got Dense\(3"
        ):
            kind().update_params(hc.Dense(3, l2=1e-4))


class TestAccuracy:
    @pytest.mark.parametrize("y", [np.array([1, 1, 0]), np.eye(2)[[1, 1, 0]]])
    def test_compares_class_numbers(self, y: np.ndarray) -> None:
        assert Accuracy_Categorical().calculate(np.array([1, 0, 0]), y) == pytest.approx(2 / 3)

    def test_binary_counts_every_answer(self) -> None:
        accuracy = Accuracy_Categorical(binary=True)
        accuracy.init([0])
        assert accuracy.calculate(np.array([[1, 0], [0, 0]]), np.array([[1, 1], [0, 0]])) == 0.75

    def test_accumulates_by_samples_until_a_new_pass(self) -> None:
        accuracy = Accuracy_Categorical()
        accuracy.calculate(np.array([1, 1, 1]), np.array([1, 1, 1]))
        accuracy.calculate(np.array([1]), np.array([0]))
        assert accuracy.calculate_accumulated() == 0.75
        accuracy.new_pass()
        accuracy.calculate(np.array([1]), np.array([0]))
        assert accuracy.calculate_accumulated() == 0

    def test_probabilities_instead_of_answers_are_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"one answer for each truth of shape \(2,\), got \(2, 2\).*np\.argmax"):
            Accuracy_Categorical().calculate(np.eye(2), np.array([0, 1]))


class TestTogether:
    def test_the_books_spiral_is_learnt(self) -> None:
        """Chapter 10, with its settings, on fewer steps; the first printed line is the book's."""
        x, y = spiral_data(100, 3)
        dense1, activation1, dense2 = Layer_Dense(2, 64), Activation_ReLU(), Layer_Dense(64, 3)
        loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
        optimizer = Optimizer_Adam(learning_rate=0.05, decay=5e-5)
        lines, accuracy = [], 0.0
        for epoch in range(401):
            loss = loss_activation.forward(dense2.forward(activation1.forward(dense1.forward(x))), y)
            accuracy = np.mean(loss_activation.output.argmax(axis=1) == y)
            if epoch == 0:
                lines.append(f"acc: {accuracy:.3f}, loss: {loss:.3f}, lr: {optimizer.current_learning_rate}")
            loss_activation.backward(loss_activation.output, y)
            dense2.backward(loss_activation.dinputs)  # type: ignore[arg-type]
            activation1.backward(dense2.dinputs)  # type: ignore[arg-type]
            dense1.backward(activation1.dinputs)  # type: ignore[arg-type]
            optimizer.pre_update_params()
            optimizer.update_params(dense1)
            optimizer.update_params(dense2)
            optimizer.post_update_params()
        assert lines == ["acc: 0.360, loss: 1.099, lr: 0.05"]
        assert accuracy > 0.8

    def test_one_step_by_hand_is_one_step_of_sequential(self, rng: np.random.Generator) -> None:
        """Gradients, penalties and Adam of the two ways are the same mathematics."""
        x, y = rng.normal(size=(8, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 8)
        by_hand: list[Any] = [
            Conv2D(2, 3, weight_regularizer_l2=0.01), Activation_LeakyReLU(), MaxPool2D(2), Flatten(),
            Layer_Dense(8, 3, weight_regularizer_l2=0.02),
        ]  # fmt: skip
        model = hc.Sequential(
            [
                hc.Conv2D(2, 3, l2=0.01), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(),
                hc.Dense(3, l2=0.02), hc.Softmax(),
            ],
            input_shape=(1, 6, 6), seed=0,
        )  # fmt: skip
        by_hand[0].forward(x)
        parameters = model.named_parameters()
        for layer, place in ((by_hand[0], 0), (by_hand[4], 4)):
            layer.weights, layer.biases = parameters[f"{place}.weights"], parameters[f"{place}.biases"]
        loss, optimizer = Activation_Softmax_Loss_CategoricalCrossentropy(), Optimizer_Adam(0.01)
        for _ in range(5):
            z = x
            for layer in by_hand:
                z = layer.forward(z, training=True)
            loss.forward(z, y)
            dvalues = loss.backward(loss.output, y)
            for layer in reversed(by_hand):
                dvalues = layer.backward(dvalues)
            optimizer.pre_update_params()
            for layer in (by_hand[0], by_hand[4]):
                optimizer.update_params(layer)
            optimizer.post_update_params()
        model.fit(x, y, epochs=5, batch_size=8, optimizer=hc.Adam(0.01))
        for layer, place in ((by_hand[0], 0), (by_hand[4], 4)):
            np.testing.assert_allclose(layer.weights, parameters[f"{place}.weights"], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(np.ravel(layer.biases), parameters[f"{place}.biases"], rtol=1e-4, atol=1e-6)

    def test_the_script_by_hand_learns_to_read_digits(self) -> None:
        answer = subprocess.run(
            [sys.executable, "examples/by_hand.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        lines = answer.stdout.splitlines()
        assert [re.sub(r"[\d.]+%?", "#", line) for line in lines] == [
            *["epoch #: average loss #, accuracy #"] * 3, "test accuracy #",
        ]  # fmt: skip
        assert float(lines[-1].split()[-1].rstrip("%")) > 90

    def test_the_script_by_hand_reads_like_a_page(self) -> None:
        assert len((REPOSITORY / "examples" / "by_hand.py").read_text("utf-8").splitlines()) <= 80


def test_what_needs_a_batch_or_a_layer_says_so() -> None:
    for empty in nnfs.Accuracy_Categorical(), nnfs.Loss_MeanSquaredError():
        empty.new_pass()
        with pytest.raises(RuntimeError, match=r"calculate_accumulated needs a batch: call calculate\("):
            empty.calculate_accumulated()
    with pytest.raises(TypeError, match="expects a layer with weights, such as Layer_Dense, got 3"):
        nnfs.Loss_MeanSquaredError().regularization_loss(3)
