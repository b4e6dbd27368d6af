"""What the tests of the book's names share."""
# ruff: noqa: NPY002 (the book seeds NumPy's global generator)

import numpy as np

L1_L2 = {
    "weight_regularizer_l1": 0.1,
    "weight_regularizer_l2": 0.2,
    "bias_regularizer_l1": 0.3,
    "bias_regularizer_l2": 0.4,
}


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
