"""What the tests of losses share: the losses, predictions and targets for each, and its oracle."""

from collections.abc import Callable

import numpy as np
import pytest

import oracles
import strategies
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)

Array = np.ndarray


CATEGORICAL = (SoftmaxCategoricalCrossentropy, CategoricalCrossentropy)


BINARY = (BinaryCrossentropy, SigmoidBinaryCrossentropy)


FROM_SCORES = (SoftmaxCategoricalCrossentropy, SigmoidBinaryCrossentropy)


ALL = (*CATEGORICAL, *BINARY, MeanSquaredError)


every_loss = pytest.mark.parametrize("kind", ALL)


every_categorical = pytest.mark.parametrize("kind", CATEGORICAL)


def predictions_for(kind: type[Loss], seed: int, samples: int, outputs: int, dtype: type = np.float64) -> Array:
    """Scores or probabilities away from 0 and 1, whichever the loss takes."""
    scores = strategies.normal(seed, samples, outputs)
    values = {CategoricalCrossentropy: oracles.softmax_forward, BinaryCrossentropy: oracles.sigmoid_forward}
    return values.get(kind, np.asarray)(scores).astype(dtype)


def targets_for(kind: type[Loss], seed: int, samples: int, outputs: int) -> Array:
    random = np.random.default_rng(seed + 1)
    if kind in CATEGORICAL:
        return random.integers(0, outputs, samples)
    return random.integers(0, 2, (samples, outputs)) if kind in BINARY else random.random((samples, outputs))


def oracle(kind: type[Loss], predictions: Array, targets: Array, weights: Array | None = None) -> tuple[float, Array]:
    if kind in CATEGORICAL and targets.ndim == 1:
        targets = oracles.one_hot(targets, predictions.shape[1])
    function: Callable[..., tuple[float, Array]] = {
        SoftmaxCategoricalCrossentropy: oracles.softmax_crossentropy,
        CategoricalCrossentropy: oracles.categorical_crossentropy,
        BinaryCrossentropy: oracles.binary_crossentropy,
        SigmoidBinaryCrossentropy: oracles.sigmoid_crossentropy,
        MeanSquaredError: oracles.mean_squared_error,
    }[kind]
    return function(oracles.array(predictions), oracles.array(targets), sample_weights=weights)
