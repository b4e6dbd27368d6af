"""The book's model: the same numbers as its pieces called by hand, the book's lines, and what it refuses."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.nnfs import (
    Accuracy_Categorical,
    Accuracy_Regression,
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
    Loss_BinaryCrossentropy,
    Loss_CategoricalCrossentropy,
    Loss_MeanAbsoluteError,
    Loss_MeanSquaredError,
    MaxPool2D,
    Model,
    Optimizer_Adam,
    Optimizer_SGD,
)
from nnfs_cases import spiral_data


def model_of(*layers: Any, **parts: Any) -> Model:
    model = Model()
    for layer in layers:
        model.add(layer)
    model.set(**parts)
    model.finalize()
    return model


def classifier(**changed: Any) -> Model:
    parts = {
        "loss": Loss_CategoricalCrossentropy(),
        "optimizer": Optimizer_Adam(0.05),
        "accuracy": Accuracy_Categorical(),
    }
    return model_of(Layer_Dense(2, 3, weight_regularizer_l2=0.1), Activation_Softmax(), **(parts | changed))


def figures(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+(?:e-\d+)?", line)]


class TestTraining:
    def test_the_numbers_are_those_of_the_pieces_called_by_hand(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(10, 3)
        layers = [Layer_Dense(2, 8, weight_regularizer_l2=0.01), Activation_ReLU(), Layer_Dense(8, 3)]
        twins = [Layer_Dense(2, 8, weight_regularizer_l2=0.01), Activation_ReLU(), Layer_Dense(8, 3)]
        for layer, twin in ((layers[0], twins[0]), (layers[2], twins[2])):
            twin.set_parameters(*layer.get_parameters())
        model = model_of(
            *layers,
            Activation_Softmax(),
            loss=Loss_CategoricalCrossentropy(),
            optimizer=Optimizer_Adam(0.05, decay=0.01),
            accuracy=Accuracy_Categorical(),
        )
        model.train(x, y, epochs=2, batch_size=8)

        loss, optimizer = Activation_Softmax_Loss_CategoricalCrossentropy(), Optimizer_Adam(0.05, decay=0.01)
        losses = []
        for start in (0, 8, 16, 24, 0, 8, 16, 24):
            z, truth = x[start : start + 8], y[start : start + 8]
            for twin in twins:
                z = twin.forward(z, training=True)
            losses.append(loss.forward(z, truth) + loss.loss.regularization_loss(twins[0]))
            dvalues = loss.backward(loss.output, truth)
            for twin in reversed(twins):
                dvalues = twin.backward(dvalues)
            optimizer.pre_update_params()
            optimizer.update_params(twins[0])
            optimizer.update_params(twins[2])
            optimizer.post_update_params()
        for (weights, biases), place in zip(model.get_parameters(), (0, 2), strict=True):
            np.testing.assert_allclose(weights, twins[place].weights, rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(biases, twins[place].biases, rtol=1e-5, atol=1e-7)
        printed = [figures(line)[2] for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
        assert printed == pytest.approx(losses, abs=6e-4)

    def test_prints_the_books_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(10, 3)
        classifier().train(x, y, epochs=2, batch_size=8, print_every=3, validation_data=(x, y))
        lines = [re.sub(r"\d+(\.\d+)?", "#", line) for line in capsys.readouterr().out.splitlines()]
        step = "step: #, acc: #, loss: # (data_loss: #, reg_loss: #), lr: #"
        training = step.replace("step: #", "training")
        assert lines == ["epoch: #", step, step, training, "validation, acc: #, loss: #"] * 2

    def test_the_figures_of_an_epoch_are_means_over_its_samples(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(10, 3)
        model = classifier(optimizer=Optimizer_SGD(1e-9))
        model.train(x, y, batch_size=8)
        training = figures(capsys.readouterr().out.splitlines()[-1])
        output = model.predict(x)
        share = np.mean(output.argmax(axis=1) == y)
        data_loss = Loss_CategoricalCrossentropy().calculate(output, y)
        penalty = 0.1 * float((model.layers[0].weights ** 2).sum())
        assert training[:4] == pytest.approx([share, data_loss + penalty, data_loss, penalty], abs=6e-4)

    def test_validation_learns_nothing_and_drops_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(10, 3)
        parts = {
            "loss": Loss_CategoricalCrossentropy(),
            "optimizer": Optimizer_Adam(),
            "accuracy": Accuracy_Categorical(),
        }
        model = model_of(Layer_Dropout(0.9), Layer_Dense(2, 3), Activation_Softmax(), **parts)
        before = model.get_parameters()
        model.evaluate(x, y, batch_size=7)
        for (weights, biases), (old_weights, old_biases) in zip(model.get_parameters(), before, strict=True):
            np.testing.assert_array_equal(weights, old_weights)
            np.testing.assert_array_equal(biases, old_biases)
        output = model.predict(x)
        expected = [np.mean(output.argmax(axis=1) == y), Loss_CategoricalCrossentropy().calculate(output, y)]
        assert figures(capsys.readouterr().out) == pytest.approx(expected, abs=6e-4)

    @pytest.mark.parametrize("batch_size", [None, 1, 7, 30, 99])
    def test_predict_gives_all_outputs_whatever_the_batches(self, batch_size: int | None) -> None:
        x, _ = spiral_data(10, 3)
        model = classifier()
        expected = model.layers[1].forward(model.layers[0].forward(x))
        np.testing.assert_allclose(model.predict(x, batch_size=batch_size), expected, rtol=1e-6)

    def test_parameters_can_be_taken_to_another_model(self) -> None:
        x, y = spiral_data(10, 3)
        first, second = classifier(), classifier()
        first.train(x, y, epochs=2)
        kept = first.get_parameters()
        second.set_parameters(kept)
        np.testing.assert_array_equal(second.predict(x), first.predict(x))
        first.train(x, y)  # what was kept are copies
        np.testing.assert_array_equal(second.get_parameters()[0][0], kept[0][0])

    def test_the_books_spiral_is_learnt(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(100, 3)
        model = model_of(
            Layer_Input(),
            Layer_Dense(2, 64),
            Activation_ReLU(),
            Layer_Dense(64, 3),
            Activation_Softmax(),
            loss=Loss_CategoricalCrossentropy(),
            optimizer=Optimizer_Adam(0.05, decay=5e-5),
            accuracy=Accuracy_Categorical(),
        )
        model.train(x, y, epochs=300)
        assert figures(capsys.readouterr().out.splitlines()[-1])[0] > 0.75

    @pytest.mark.parametrize("loss", [Loss_MeanSquaredError, Loss_MeanAbsoluteError])
    def test_a_line_is_learnt(self, loss: type, capsys: pytest.CaptureFixture[str]) -> None:
        x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
        model = model_of(
            Layer_Dense(1, 1),
            Activation_Linear(),
            loss=loss(),
            optimizer=Optimizer_Adam(0.1, decay=0.02),
            accuracy=Accuracy_Regression(),
        )
        model.train(x, 2 * x - 1, epochs=600)
        assert figures(capsys.readouterr().out.splitlines()[-1])[0] > 0.9
        weights, biases = model.get_parameters()[0]
        assert (weights.item(), biases.item()) == pytest.approx((2, -1), abs=0.01)

    def test_yes_or_no_is_learnt(self, capsys: pytest.CaptureFixture[str]) -> None:
        x, y = spiral_data(50, 2)
        x[:, 0] += 3 * y
        model = model_of(
            Layer_Dense(2, 1),
            Activation_Sigmoid(),
            loss=Loss_BinaryCrossentropy(),
            optimizer=Optimizer_Adam(0.1),
            accuracy=Accuracy_Categorical(binary=True),
        )
        model.train(x, y.reshape(-1, 1), epochs=100)
        assert figures(capsys.readouterr().out.splitlines()[-1])[0] > 0.95

    def test_convolutions_and_pooling_take_part(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(12, 1, 6, 6)).astype(np.float32), np.arange(12) % 3
        model = model_of(
            Conv2D(2, 3),
            Activation_ReLU(),
            MaxPool2D(2),
            Flatten(),
            Layer_Dense(8, 3),
            Activation_Softmax(),
            loss=Loss_CategoricalCrossentropy(),
            optimizer=Optimizer_Adam(0.05),
            accuracy=Accuracy_Categorical(),
        )
        before = Loss_CategoricalCrossentropy().calculate(model.predict(x), y)
        model.train(x, y, epochs=50)
        assert Loss_CategoricalCrossentropy().calculate(model.predict(x), y) < before / 2
        assert len(model.trainable_layers) == 2


class TestWhatIsRefused:
    @pytest.mark.parametrize("layer", [hc.Dense(3), hc.Conv2D(2, 3), "relu", Layer_Dense])
    def test_layers_of_the_framework_with_weights_and_what_is_no_layer(self, layer: Any) -> None:
        with pytest.raises(
            TypeError, match=r"Model\.add expects a layer of handconv\.nnfs, such as Layer_Dense\(2, 64\)"
        ):
            Model().add(layer)

    @pytest.mark.parametrize("part", ["loss", "optimizer", "accuracy"])
    def test_parts_of_another_kind(self, part: str) -> None:
        with pytest.raises(TypeError, match=rf"Model\.set: {part} must be one of handconv\.nnfs, got 'adam'\."):
            Model().set(**{part: "adam"})

    @pytest.mark.parametrize("layers", [[], [Layer_Dense(2, 1)]])
    def test_a_model_whose_last_layer_gives_no_answers(self, layers: list[Any]) -> None:
        with pytest.raises(
            RuntimeError, match=r"needs an activation of handconv\.nnfs as the last layer: add Activation_S"
        ):
            model_of(*layers, loss=Loss_MeanSquaredError())

    def test_a_model_without_a_loss(self) -> None:
        with pytest.raises(RuntimeError, match=r"Model\.finalize needs a loss: call set\(loss="):
            model_of(Activation_Linear())

    @pytest.mark.parametrize(
        "use",
        [
            lambda model: model.train(np.zeros((2, 2)), [0, 1]),
            lambda model: model.evaluate(np.zeros((2, 2)), [0, 1]),
            lambda model: model.backward(np.zeros((2, 3)), [0, 1]),
        ],
    )
    def test_a_model_that_was_changed_after_finalize(self, use: Callable[[Model], Any]) -> None:
        model = classifier()
        model.add(Activation_Softmax())
        with pytest.raises(RuntimeError, match=r"not finished: call finalize\(\) after the last add and set\."):
            use(model)

    def test_training_without_an_optimizer_or_an_accuracy(self) -> None:
        layers, loss = (Layer_Dense(2, 3), Activation_Softmax()), Loss_CategoricalCrossentropy()
        with pytest.raises(RuntimeError, match=r"Model\.train needs an optimizer: call set\(optimizer="):
            model_of(*layers, loss=loss, accuracy=Accuracy_Categorical()).train(np.zeros((2, 2)), [0, 1])
        with pytest.raises(RuntimeError, match=r"The model needs an accuracy: call set\(accuracy="):
            model_of(*layers, loss=loss, optimizer=Optimizer_Adam()).train(np.zeros((2, 2)), [0, 1])

    @pytest.mark.parametrize(("samples", "targets"), [(3, 2), (0, 0)])
    def test_too_few_samples(self, samples: int, targets: int) -> None:
        with pytest.raises(ValueError, match=rf"samples and as many targets: got {samples} and {targets}\."):
            classifier().train(np.zeros((samples, 2)), np.zeros(targets, int))

    @pytest.mark.parametrize("name", ["epochs", "batch_size", "print_every"])
    def test_numbers_below_one(self, name: str) -> None:
        with pytest.raises(ValueError, match=rf"{name} must be a whole number of at least 1, got 0\."):
            classifier().train(np.zeros((2, 2)), [0, 1], **{name: 0})


def test_missing_values_are_no_samples() -> None:
    model = Model()
    model.add(Layer_Dense(2, 3))
    with pytest.raises(ValueError, match=r"X has .* masked"):
        model.predict(np.ma.array(np.ones((4, 2)), mask=np.eye(4, 2, dtype=bool)))
