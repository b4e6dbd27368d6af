"""Running a network over many samples without training: predictions, loss and accuracy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.memory import FloatArray
from handconv.losses import Loss
from handconv.metrics import correct, name_classes
from handconv.network import Network
from handconv.training import blas
from handconv.training.engine import fitting
from handconv.training.samples import Samples, as_floats


def inference_batch(network: Network) -> int:
    """How many samples to run at once: as many as keep the largest output in the cache, twice a shard at the most."""
    return min(128, fitting(network))


def predict(network: Network, x: NDArray[Any], batch_size: int | None = None) -> FloatArray:
    """All outputs, in the usual row-major memory."""
    batch_size = batch_size or inference_batch(network)
    result: FloatArray | None = None
    with network.inference_memory() as workspace, blas.one_thread():
        for start in range(0, len(x), batch_size):
            batch = network.infer(as_floats(x[start : start + batch_size], network.dtype, workspace))
            if result is None:
                result = np.empty((len(x), *batch.shape[1:]), network.dtype)
            result[start : start + len(batch)] = batch
    assert result is not None
    return result


def evaluate(
    network: Network, loss: Loss, samples: Samples, batch_size: int | None = None, *, logits: bool
) -> dict[str, float]:
    """The mean data loss (without penalties) and, where targets name classes, the accuracy."""
    total, hits, count = 0.0, 0, len(samples)
    batch_size = batch_size or inference_batch(network)
    chosen = np.arange(count) if samples.chosen is None else samples.chosen
    told_apart = name_classes(samples.y)
    with network.inference_memory() as workspace, blas.one_thread():
        for start in range(0, count, batch_size):
            part = chosen[start : start + batch_size]
            answers = network.infer(as_floats(samples.x[part], network.dtype, workspace), logits=logits)
            weights = None if samples.weights is None else samples.weights[part]
            total += float(loss.measure(answers, samples.y[part], weights, count)[0])
            hits += correct(answers, samples.y[part]) if told_apart else 0
    return {"loss": total} | ({"accuracy": hits / count} if told_apart else {})
