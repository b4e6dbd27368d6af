"""The model of the book: layers, a loss, an optimizer and an accuracy, and the loop that trains them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv import layers
from handconv.arrays import FloatArray
from handconv.nnfs._accuracy import Accuracy
from handconv.nnfs._activations import Activation_Softmax
from handconv.nnfs._layers import Trainable
from handconv.nnfs._losses import Activation_Softmax_Loss_CategoricalCrossentropy, Loss, Loss_CategoricalCrossentropy
from handconv.nnfs._optimizers import Optimizer
from handconv.utils.validation import check_int, unmasked

Batch = tuple[NDArray[Any], NDArray[Any]]


class Model:
    """The model of the book's chapters 18 to 22: add layers, set the rest, finalize, train.

    It calls the layers one after the other, as one would by hand. ``train`` takes the samples in the order in which
    they are given and prints the book's lines. To save a model, keep what ``get_parameters`` returns.

    Example:
        >>> import numpy as np
        >>> from handconv.nnfs import Accuracy_Categorical, Layer_Dense, Optimizer_Adam
        >>> np.random.seed(0)
        >>> X, y = np.random.randn(100, 2), np.arange(100) % 2
        >>> X[:, 0] += 4 * y
        >>> model = Model()
        >>> model.add(Layer_Dense(2, 2))
        >>> model.add(Activation_Softmax())
        >>> model.set(
        ...     loss=Loss_CategoricalCrossentropy(), optimizer=Optimizer_Adam(0.1), accuracy=Accuracy_Categorical()
        ... )
        >>> model.finalize()
        >>> model.train(X, y, validation_data=(X, y))
        epoch: 1
        step: 0, acc: 0.650, loss: 0.692 (data_loss: 0.692, reg_loss: 0.000), lr: 0.1
        training, acc: 0.650, loss: 0.692 (data_loss: 0.692, reg_loss: 0.000), lr: 0.1
        validation, acc: 0.860, loss: 0.528
        >>> model.predict(X).shape
        (100, 2)

    References:
        Kinsley and Kukieła, Neural networks from scratch in Python, 2020, chapters 18 to 22.
    """

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self.trainable_layers: list[Trainable] = []
        self.loss: Loss | None = None
        self.optimizer: Optimizer | None = None
        self.accuracy: Accuracy | None = None
        self.softmax_classifier_output: Activation_Softmax_Loss_CategoricalCrossentropy | None = None
        self._finalized = False

    def add(self, layer: Any) -> None:
        """Add a layer behind those that there are."""
        if isinstance(layer, layers.Dense | layers.Conv2D | type) or not hasattr(layer, "forward"):
            raise TypeError(f"Model.add expects a layer of handconv.nnfs, such as Layer_Dense(2, 64), got {layer!r}.")
        self.layers.append(layer)
        self._finalized = False

    def set(self, *, loss: Any = None, optimizer: Any = None, accuracy: Any = None) -> None:
        """Set the loss, the optimizer and the accuracy, or some of them."""
        for name, value, kind in (
            ("loss", loss, Loss), ("optimizer", optimizer, Optimizer), ("accuracy", accuracy, Accuracy)
        ):  # fmt: skip
            if value is not None:
                if not isinstance(value, kind):
                    raise TypeError(f"Model.set: {name} must be one of handconv.nnfs, got {value!r}.")
                setattr(self, name, value)
        self._finalized = False

    def finalize(self) -> None:
        """Find the layers with weights, and whether softmax and cross-entropy can be taken together."""
        if not self.layers or not hasattr(self.layers[-1], "predictions"):
            raise RuntimeError(
                "Model.finalize needs an activation of handconv.nnfs as the last layer: add Activation_Softmax(), or "
                "Activation_Linear() for numbers."
            )
        if self.loss is None:
            raise RuntimeError("Model.finalize needs a loss: call set(loss=Loss_CategoricalCrossentropy()).")
        self.trainable_layers = [layer for layer in self.layers if isinstance(layer, Trainable)]
        self.loss.remember_trainable_layers(self.trainable_layers)
        self.softmax_classifier_output = None
        if isinstance(self.layers[-1], Activation_Softmax) and isinstance(self.loss, Loss_CategoricalCrossentropy):
            self.softmax_classifier_output = Activation_Softmax_Loss_CategoricalCrossentropy()
        self._finalized = True

    def train(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        print_every: int = 1,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        """Train, and print a line every so many steps, one after each epoch, and one for the validation.

        Args:
            X: the samples, in the order in which they are taken.
            y: their targets.
            epochs: how often all samples are taken.
            batch_size: how many at once; all if it is None.
            print_every: how many steps there are from one line to the next.
            validation_data: samples and targets to evaluate after each epoch.
        """
        loss, accuracy = self._ready()
        if self.optimizer is None:
            raise RuntimeError("Model.train needs an optimizer: call set(optimizer=Optimizer_Adam()) and finalize().")
        optimizer, print_every = self.optimizer, check_int("print_every", print_every)
        accuracy.init(y)
        for epoch in range(1, check_int("epochs", epochs) + 1):
            _print(f"epoch: {epoch}")
            loss.new_pass()
            accuracy.new_pass()
            steps = list(_batches(X, y, batch_size))
            for step, (batch_X, batch_y) in enumerate(steps):
                output = self.forward(batch_X, training=True)
                data_loss, penalty = loss.calculate(output, batch_y), loss.regularization_loss()
                share = accuracy.calculate(self.layers[-1].predictions(output), batch_y)
                self.backward(output, batch_y)
                optimizer.pre_update_params()
                for layer in self.trainable_layers:
                    optimizer.update_params(layer)
                optimizer.post_update_params()
                if step % print_every == 0 or step == len(steps) - 1:
                    _print_figures(f"step: {step}", share, data_loss, penalty, optimizer)
            data_loss, penalty = loss.calculate_accumulated(), loss.regularization_loss()
            _print_figures("training", accuracy.calculate_accumulated(), data_loss, penalty, optimizer)
            if validation_data is not None:
                self.evaluate(*validation_data, batch_size=batch_size)

    def evaluate(self, X_val: ArrayLike, y_val: ArrayLike, *, batch_size: int | None = None) -> None:
        """Print the loss, without penalties, and the accuracy of other samples."""
        loss, accuracy = self._ready()
        loss.new_pass()
        accuracy.new_pass()
        for batch_X, batch_y in _batches(X_val, y_val, batch_size):
            output = self.forward(batch_X, training=False)
            loss.calculate(output, batch_y)
            accuracy.calculate(self.layers[-1].predictions(output), batch_y)
        _print(f"validation, acc: {accuracy.calculate_accumulated():.3f}, loss: {loss.calculate_accumulated():.3f}")

    def predict(self, X: ArrayLike, *, batch_size: int | None = None) -> FloatArray:
        """Return the outputs for samples; ``model.layers[-1].predictions`` makes answers of them."""
        samples = unmasked("X", X)
        outputs = [self.forward(part, training=False).copy() for part, _ in _batches(samples, samples, batch_size)]
        return np.concatenate(outputs)

    def forward(self, X: NDArray[Any], training: bool) -> FloatArray:
        """Run all layers."""
        for layer in self.layers:
            X = layer.forward(X, training)
        return X

    def backward(self, output: FloatArray, y: ArrayLike) -> None:
        """Run all layers backward, from the gradient of the loss."""
        loss, _ = self._ready()
        if self.softmax_classifier_output is None:
            dvalues, remaining = loss.backward(output, y), self.layers
        else:
            dvalues, remaining = self.softmax_classifier_output.backward(output, y), self.layers[:-1]
        for layer in reversed(remaining):
            dvalues = layer.backward(dvalues)

    def get_parameters(self) -> list[tuple[FloatArray, FloatArray]]:
        """Return copies of the weights and biases of all layers that have some."""
        return [(layer.weights.copy(), layer.biases.copy()) for layer in self.trainable_layers]

    def set_parameters(self, parameters: list[tuple[ArrayLike, ArrayLike]]) -> None:
        """Copy in what ``get_parameters`` returned."""
        for layer, (weights, biases) in zip(self.trainable_layers, parameters, strict=True):
            layer.set_parameters(weights, biases)

    def _ready(self) -> tuple[Loss, Accuracy]:
        """Return what a pass needs, or say what is missing."""
        if not self._finalized or self.loss is None:
            raise RuntimeError("The model is not finished: call finalize() after the last add and set.")
        if self.accuracy is None:
            raise RuntimeError("The model needs an accuracy: call set(accuracy=Accuracy_Categorical()) and finalize().")
        return self.loss, self.accuracy


def _batches(X: ArrayLike, y: ArrayLike, batch_size: int | None) -> Iterator[Batch]:
    samples, targets = unmasked("X", X), unmasked("y", y)
    if len(samples) != len(targets) or not len(samples):
        raise ValueError(f"A model needs samples and as many targets: got {len(samples)} and {len(targets)}.")
    size = len(samples) if batch_size is None else check_int("batch_size", batch_size)
    for start in range(0, len(samples), size):
        yield samples[start : start + size], targets[start : start + size]


def _print_figures(what: str, accuracy: float, data_loss: float, penalty: float, optimizer: Optimizer) -> None:
    _print(
        f"{what}, acc: {accuracy:.3f}, loss: {data_loss + penalty:.3f} (data_loss: {data_loss:.3f}, "
        f"reg_loss: {penalty:.3f}), lr: {optimizer.current_learning_rate}"
    )


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
