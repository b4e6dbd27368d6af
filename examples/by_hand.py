"""The reference network, built and trained by hand: forward, loss, backward, optimizer, layer by layer.

python examples/by_hand.py                              the embedded digits, no network needed
python examples/by_hand.py --dataset mnist --epochs 5   MNIST (--data-dir FOLDER: from files of yours)
"""
# ruff: noqa: NPY002 (as in the book, NumPy's global generator is seeded once)

import argparse

import numpy as np

from handconv import datasets
from handconv.nnfs import (
    Activation_LeakyReLU,
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Conv2D,
    Flatten,
    Layer_Dense,
    Layer_Dropout,
    MaxPool2D,
    Optimizer_Adam,
)

parser = argparse.ArgumentParser(description="Train the reference network by hand.")
parser.add_argument("--dataset", default="digits", help="digits, mnist, fashion-mnist, a folder or a CSV file")
parser.add_argument("--data-dir", help="a folder that holds the files of the data set")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batch-size", type=int, default=32)
arguments = parser.parse_args()

np.random.seed(0)
(x_train, y_train), (x_test, y_test) = datasets.load(arguments.dataset, data_dir=arguments.data_dir).scaled()

layers = [
    Conv2D(8, 3), Activation_LeakyReLU(), MaxPool2D(2),                           # (N, 1, 28, 28) -> (N, 8, 13, 13)
    Conv2D(16, 3), Activation_LeakyReLU(), MaxPool2D(2),                          # -> (N, 16, 5, 5)
    Flatten(), Layer_Dense(400, 128, weight_regularizer_l2=1e-4), Activation_LeakyReLU(), Layer_Dropout(0.3),
    Layer_Dense(128, 10),                                                         # -> (N, 10)
]  # fmt: skip
trainable = [layer for layer in layers if isinstance(layer, Conv2D | Layer_Dense)]
loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
optimizer = Optimizer_Adam(learning_rate=0.002, decay=1e-4)


def forward(x, training):
    """Run all layers."""
    for layer in layers:
        x = layer.forward(x, training)
    return x


for epoch in range(1, arguments.epochs + 1):
    total_loss, right = 0.0, 0
    order = np.random.permutation(len(x_train))
    for start in range(0, len(order), arguments.batch_size):
        batch = order[start : start + arguments.batch_size]
        x, y = x_train[batch], y_train[batch]

        loss = loss_activation.forward(forward(x, training=True), y)
        loss += sum(loss_activation.loss.regularization_loss(layer) for layer in trainable)

        dvalues = loss_activation.backward(loss_activation.output, y)
        for layer in reversed(layers):
            dvalues = layer.backward(dvalues)

        optimizer.pre_update_params()
        for layer in trainable:
            optimizer.update_params(layer)
        optimizer.post_update_params()

        total_loss += loss * len(batch)
        right += np.sum(loss_activation.output.argmax(axis=1) == y)
    print(f"epoch {epoch}: average loss {total_loss / len(order):.4f}, accuracy {right / len(order):.2%}")

right = 0
for start in range(0, len(x_test), 256):
    scores = forward(x_test[start : start + 256], training=False)
    right += np.sum(scores.argmax(axis=1) == y_test[start : start + 256])
print(f"test accuracy {right / len(x_test):.2%}")
