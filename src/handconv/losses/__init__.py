"""Losses: how wrong the predictions are, as one number, and its gradient.

    loss = sum over n of w[n] · loss[n] / B        w: sample weights, 1 unless given        B: the size of the batch

The mean over the batch is taken here and nowhere else: gradients further down are plain sums.
"""

from handconv.losses._base import Loss as Loss
from handconv.losses._categorical import CategoricalCrossentropy as CategoricalCrossentropy
from handconv.losses._categorical import SoftmaxCategoricalCrossentropy as SoftmaxCategoricalCrossentropy
from handconv.losses._elementwise import BinaryCrossentropy as BinaryCrossentropy
from handconv.losses._elementwise import MeanSquaredError as MeanSquaredError

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanSquaredError",
    "SoftmaxCategoricalCrossentropy",
]
