"""Running a network over many samples without training: predictions, loss and accuracy."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Arena
from handconv.metrics import name_classes
from handconv.network import Network
from handconv.objective import Objective
from handconv.parallel import blas_threads
from handconv.parallel.fork_pool import share_out, shared_array
from handconv.samples import Samples

_CACHE = 7_000_000  # bytes that the largest output of a batch may take


def cache_batch(network: Network) -> int:
    """How many samples keep the largest output in the cache: a power of two, at least 8."""
    largest = max(math.prod(layer.output_shape or ()) for layer in network.layers) * network.dtype.itemsize
    return 1 << max(3, (_CACHE // largest).bit_length() - 1)


def inference_batch(network: Network) -> int:
    """How many samples to run at once: as many as keep the largest output in the cache, 128 at the most."""
    return min(128, cache_batch(network))


def count_correct(outputs: NDArray[Any], targets: NDArray[Any]) -> int:
    """Count the right answers as ``metrics.correct`` does, without its checks: this is called in each step."""
    if outputs.shape[1:] in ((), (1,)):  # one number says yes or no
        return int(np.count_nonzero((outputs.ravel() > 0.5) == (targets.ravel() > 0.5)))
    truth = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return int(np.count_nonzero(outputs.argmax(axis=1) == truth))


def predict(network: Network, x: NDArray[Any], batch_size: int | None = None, workers: int = 1) -> FloatArray:
    """All outputs, in the usual row-major memory; any number of workers gives the same bits."""
    size = batch_size or inference_batch(network)
    starts = range(0, len(x), size)
    with network.in_use("predict"), blas_threads.one_thread(), np.errstate(under="ignore"):  # exp(-200) is 0

        def outputs(start: int) -> FloatArray:
            return network.answer(x[start : start + size], network.layers)

        first = outputs(0)
        result = shared_array((len(x), *first.shape[1:]), network.dtype, workers)
        result[:size] = first
        share_out(lambda start: result.__setitem__(slice(start, start + size), outputs(start)), starts[1:], workers)
    return result


def evaluate(
    network: Network, objective: Objective, samples: Samples, batch_size: int | None = None, workers: int = 1
) -> dict[str, float]:
    """The mean data loss, without penalties, and the accuracy where targets name classes; the same for any workers."""
    count = len(samples)
    size = batch_size or inference_batch(network)
    chosen = np.arange(count) if samples.chosen is None else samples.chosen
    told_apart = name_classes(samples.y, network.output_shape)
    figures = shared_array((-(-count // size), 2), np.float64, workers)  # of each batch its loss and its hits
    loss = objective.loss_op(Arena())
    with network.in_use("evaluate"), blas_threads.one_thread(), np.errstate(under="ignore"):

        def judge(batch: int) -> None:
            part = chosen[batch * size : (batch + 1) * size]
            outputs = network.answer(samples.x[part], objective.layers)
            weights = None if samples.weights is None else samples.weights[part]
            (figures[batch, 0],) = loss.forward(outputs, samples.y[part], weights, count)
            if told_apart:
                answers = loss.answers()
                if math.isnan(figures[batch, 0]):  # what is not a number is no answer
                    answered = ~np.isnan(answers.reshape(len(part), -1)).any(axis=1)
                    answers, part = answers[answered], part[answered]
                figures[batch, 1] = count_correct(answers, samples.y[part])

        judge(0)
        share_out(judge, range(1, len(figures)), workers)
    total, hits = (sum(column) for column in figures.T.tolist())  # in the order of the batches
    return {"loss": total} | ({"accuracy": hits / count} if told_apart else {})
