"""Losses: how wrong the predictions are, as one number, and its gradient.

    loss = sum over n of w[n] · loss[n] / B        w: sample weights, 1 unless given        B: the size of the batch

The mean over the batch is taken here and nowhere else: gradients further down are plain sums.
"""

from handconv.losses.base import Loss as Loss
from handconv.losses.cross_entropy import CategoricalCrossentropy as CategoricalCrossentropy
from handconv.losses.cross_entropy import SoftmaxCategoricalCrossentropy as SoftmaxCategoricalCrossentropy
from handconv.losses.elementwise import BinaryCrossentropy as BinaryCrossentropy
from handconv.losses.elementwise import MeanSquaredError as MeanSquaredError
from handconv.losses.elementwise import SigmoidBinaryCrossentropy as SigmoidBinaryCrossentropy

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanSquaredError",
    "SigmoidBinaryCrossentropy",
    "SoftmaxCategoricalCrossentropy",
]
