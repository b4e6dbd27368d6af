"""The book's losses, optimizers and accuracy, and whole chapters of it, over the framework's mathematics."""

import gc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import nnfs
from handconv.nnfs import (
    Accuracy,
    Accuracy_Categorical,
    Accuracy_Regression,
    Activation_LeakyReLU,
    Activation_ReLU,
    Activation_Softmax,
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Conv2D,
    Flatten,
    Layer_Dense,
    Loss,
    Loss_BinaryCrossentropy,
    Loss_CategoricalCrossentropy,
    Loss_MeanAbsoluteError,
    Loss_MeanSquaredError,
    MaxPool2D,
    Optimizer_Adagrad,
    Optimizer_Adam,
    Optimizer_RMSprop,
    Optimizer_SGD,
)
from nnfs_cases import L1_L2, spiral_data
from oracles import adagrad, adam, numerical_gradient, penalty, rmsprop, sgd, softmax_crossentropy

REPOSITORY = Path(__file__).resolve().parents[2]


def stepped(layer: Any, optimizer: Any, gradients: list[np.ndarray]) -> None:
    """Steps on given gradients of the weights."""
    for gradient in gradients:
        layer.dweights = gradient
        optimizer.pre_update_params()
        optimizer.update_params(layer)
        optimizer.post_update_params()


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
        with pytest.raises(NotImplementedError, match=r"Loss_Absolute must define backward\(dvalues, y_true\)"):
            Loss_Absolute().backward(np.ones((1, 1)), [0])

    def test_mean_absolute_error_by_hand(self) -> None:
        loss, y_pred, y_true = (
            Loss_MeanAbsoluteError(),
            np.array([[1.0, 2.0], [0.0, 5.0]]),
            np.array([[4.0, 2.0], [-1, 6]]),
        )
        assert loss.forward(y_pred, y_true).tolist() == [1.5, 1.0]
        assert loss.calculate(y_pred, y_true) == 1.25
        assert loss.backward(y_pred, y_true).tolist() == [[-0.25, 0], [0.25, -0.25]]

    def test_mean_absolute_error_has_the_gradient_of_its_value(self, rng: np.random.Generator) -> None:
        y_pred, y_true, loss = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), Loss_MeanAbsoluteError()
        expected = numerical_gradient(lambda y: loss.calculate(y, y_true), y_pred)
        np.testing.assert_allclose(loss.backward(y_pred, y_true), expected, atol=1e-9)

    def test_mean_absolute_error_takes_a_vector_for_one_output(self) -> None:
        loss, y_pred = Loss_MeanAbsoluteError(), np.array([[1.0], [2.0]], np.float32)
        assert loss.calculate(y_pred, [0, 4]) == 1.5
        assert loss.backward(y_pred, [0, 4]).tolist() == [[0.5], [-0.5]]
        with pytest.raises(ValueError, match=r"expects targets of the predictions' shape \(2, 1\), got \(2, 2\)"):
            loss.calculate(y_pred, np.zeros((2, 2)))


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
    @pytest.mark.parametrize("kind", [Optimizer_SGD, Optimizer_Adam, Optimizer_Adagrad, Optimizer_RMSprop])
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

    def test_adagrad_equals_the_oracle(self, rng: np.random.Generator) -> None:
        dense = Layer_Dense(3, 2)
        start, gradients = dense.weights.copy(), list(rng.normal(size=(50, 3, 2)))
        stepped(dense, Optimizer_Adagrad(), gradients)
        expected = adagrad(start, gradients, learning_rate=1.0, epsilon=1e-7)
        np.testing.assert_allclose(dense.weights, expected, rtol=1e-4, atol=1e-6)

    def test_rmsprop_equals_the_oracle(self, rng: np.random.Generator) -> None:
        dense = Layer_Dense(3, 2)
        start, gradients = dense.weights.copy(), list(rng.normal(size=(50, 3, 2)))
        stepped(dense, Optimizer_RMSprop(0.01, rho=0.99), gradients)
        expected = rmsprop(start, gradients, learning_rate=0.01, rho=0.99, epsilon=1e-7)
        np.testing.assert_allclose(dense.weights, expected, rtol=1e-4, atol=1e-6)

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

    @pytest.mark.parametrize("kind", [Optimizer_SGD, Optimizer_Adam, Optimizer_Adagrad, Optimizer_RMSprop])
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

    def test_binary_counts_every_answer_in_a_pass_too(self) -> None:
        accuracy = Accuracy_Categorical(binary=True)
        accuracy.calculate(np.array([[1, 0], [0, 0]]), np.array([[1, 1], [0, 0]]))
        assert accuracy.calculate_accumulated() == 0.75

    def test_regression_is_right_within_a_250th_of_the_standard_deviation(self) -> None:
        accuracy = Accuracy_Regression()
        accuracy.init(np.array([[-500.0], [500.0]]))
        assert accuracy.precision == 2
        assert accuracy.calculate(np.array([[1.9], [-1.9], [2.1], [-2.1]]), np.zeros((4, 1))) == 0.5

    def test_the_precision_is_taken_once_unless_told_otherwise(self) -> None:
        accuracy = Accuracy_Regression()
        accuracy.init([[-250.0], [250.0]])
        accuracy.init([[-500.0], [500.0]])
        assert accuracy.precision == 1
        accuracy.init([[-500.0], [500.0]], reinit=True)
        assert accuracy.precision == 2

    def test_regression_needs_a_precision_and_a_number_for_each_truth(self) -> None:
        accuracy = Accuracy_Regression()
        with pytest.raises(RuntimeError, match=r"needs a precision: call init\(y\) with all targets first\."):
            accuracy.calculate(np.zeros((2, 1)), np.zeros((2, 1)))
        accuracy.init([0.0, 1.0])
        with pytest.raises(
            ValueError, match=r"one number for each truth of shape \(2,\), got \(2, 1\)\. Use y\.reshape"
        ):
            accuracy.calculate(np.zeros((2, 1)), np.zeros(2))

    def test_an_accuracy_of_ones_own_defines_compare(self) -> None:
        class Accuracy_Near(Accuracy):
            def compare(self, predictions: Any, y: Any) -> Any:
                return np.abs(predictions - y) <= 1

        assert Accuracy_Near().calculate(np.array([1, 5]), np.array([2, 3])) == 0.5
        with pytest.raises(NotImplementedError, match=r"Accuracy must define compare\(predictions, y\)"):
            Accuracy().calculate(np.zeros(1), [0])

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

    def test_one_output_instead_of_answers_is_an_error_with_what_to_do(self) -> None:
        with pytest.raises(ValueError, match=r"One output\? Use y\.reshape\(-1, 1\) and binary=True"):
            Accuracy_Categorical().calculate(np.ones((2, 1)), np.array([0, 1]))


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
