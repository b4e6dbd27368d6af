"""What the tests of optimizers share: one of each, its oracle, and an example to train on."""

import numpy as np
import pytest

import oracles
from handconv.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSprop

FACTORIES = {
    "SGD": lambda: SGD(0.05),
    "SGD with momentum": lambda: SGD(0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: Adam(0.05, beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    "AdamW": lambda: AdamW(0.05, beta_1=0.8, beta_2=0.99, epsilon=1e-3, weight_decay=0.1),
    "RMSprop": lambda: RMSprop(0.05, rho=0.8, epsilon=1e-3),
    "RMSprop with momentum": lambda: RMSprop(0.05, rho=0.8, momentum=0.9, epsilon=1e-3),
    "Adagrad": lambda: Adagrad(0.05, epsilon=1e-3),
    "Lion": lambda: Lion(0.05, beta_1=0.8, beta_2=0.95, weight_decay=0.1),
}


ORACLES = {
    "SGD": lambda p, g: oracles.sgd(p, g, learning_rate=0.05),
    "SGD with momentum": lambda p, g: oracles.sgd(p, g, learning_rate=0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda p, g: oracles.sgd(p, g, learning_rate=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p, g: oracles.adam(p, g, learning_rate=0.05, beta1=0.8, beta2=0.99, epsilon=1e-3),
    "AdamW": lambda p, g: oracles.adam(p, g, learning_rate=0.05, beta1=0.8, beta2=0.99, epsilon=1e-3, weight_decay=0.1),
    "RMSprop": lambda p, g: oracles.rmsprop(p, g, learning_rate=0.05, rho=0.8, epsilon=1e-3),
    "RMSprop with momentum": lambda p, g: oracles.rmsprop(
        p, g, learning_rate=0.05, rho=0.8, momentum=0.9, epsilon=1e-3
    ),
    "Adagrad": lambda p, g: oracles.adagrad(p, g, learning_rate=0.05, epsilon=1e-3),
    "Lion": lambda p, g: oracles.lion(p, g, learning_rate=0.05, beta1=0.8, beta2=0.95, weight_decay=0.1),
}

#: The names of the vectors in ``state``.
VECTORS = {
    "SGD": [],
    "SGD with momentum": ["velocity"],
    "SGD with Nesterov momentum": ["velocity"],
    "Adam": ["m", "v"],
    "AdamW": ["m", "v"],
    "RMSprop": ["v"],
    "RMSprop with momentum": ["v", "velocity"],
    "Adagrad": ["v"],
    "Lion": ["m"],
}


every_optimizer = pytest.mark.parametrize("name", FACTORIES)


def example(rng: np.random.Generator, size: int = 17, steps: int = 25, dtype: type = np.float64):
    """Parameters, and a gradient for each step: of very different sizes, one of them always zero."""
    scales = 10.0 ** rng.integers(-4, 4, size)
    scales[0] = 0
    return rng.standard_normal(size).astype(dtype), [
        (scales * rng.standard_normal(size)).astype(dtype) for _ in range(steps)
    ]


def trained(optimizer: Optimizer, parameters: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    parameters = parameters.copy()
    for gradient in gradients:
        optimizer.step(parameters, gradient)
    return parameters
