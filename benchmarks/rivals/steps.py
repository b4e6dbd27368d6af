"""What each idea of the kernels brings: handconv's network, its step done in simpler ways. Not a rival, an ablation.

Modes: "plain loops" (the tests' oracles, pure Python), "im2col" (the usual NumPy way, in (N, C, H, W)), "by hand"
(handconv's own pages, layer by layer on whole batches), "floor" (the matrix products of handconv's step alone). The
engine's own share is measured by ``handconv_own``: "not fused", and as it is.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import handconv as hc
from benchmarks.rivals import im2col
from benchmarks.rivals.handconv_own import network
from benchmarks.rivals.protocol import Channel, Job, compete
from handconv.analysis.profile import profile_step, step_products

Step = Callable[[Any, Any], float]


def by_hand(job: Job) -> Step:
    """Layer by layer, without the engine: what ``examples/by_hand.py`` does."""
    model = network(job.net)
    scores, loss, optimizer = model[:-1], hc.SoftmaxCategoricalCrossentropy(), hc.Adam()
    optimizer.build(model.parameters)

    def step(x: Any, y: Any) -> float:
        value = loss.forward(scores.forward(x, training=True), y)
        scores.backward(loss.backward())
        model.add_penalty_gradients(model.gradients)
        optimizer.step(model.parameters, model.gradients)
        return value

    return step


def plain_loops(job: Job) -> Step:
    """Forward and backward of the convolutions, poolings and dense layers as nested loops; the rest costs nothing."""
    from tests import oracles

    model, pool = network(job.net), ((2, 2), (2, 2))
    weighted: list[Any] = [layer for layer in model.layers if isinstance(layer, hc.Conv2D | hc.Dense)]
    first, second, hidden, out = weighted

    def step(x: Any, _: Any) -> float:
        a = oracles.conv2d_forward(x, first.weights, first.biases)
        b = oracles.max_pool_forward(a, *pool)
        c = oracles.conv2d_forward(b, second.weights, second.biases)
        d = oracles.max_pool_forward(c, *pool).reshape(len(x), -1)
        e = oracles.dense_forward(d, hidden.weights, hidden.biases)
        scores = oracles.dense_forward(e, out.weights, out.biases)
        dz, _, _ = oracles.dense_backward(e, out.weights, scores)
        dz, _, _ = oracles.dense_backward(d, hidden.weights, dz)
        dz = oracles.max_pool_backward(c, dz.reshape(len(x), *second.output_shape[:1], 5, 5), *pool)
        dz, _, _ = oracles.conv2d_backward(b, second.weights, dz)
        oracles.conv2d_backward(x, first.weights, oracles.max_pool_backward(a, dz, *pool))
        return 0.0

    return step


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat passes over the data."""
    images, labels = job.images()
    facts: dict[str, Any] = {"version": hc.__version__}
    if job.mode == "floor":
        model = network(job.net)
        facts["profile"] = dataclasses.asdict(profile_step(model, images, labels, job.batch_size))
        products = step_products(model, images, labels, job.batch_size)

        def multiply(_: Any, __: Any) -> float:
            return sum(product.seconds() for product in products)

        step: Step = multiply
    else:
        step = {"plain loops": plain_loops, "im2col": im2col.step, "by hand": by_hand}[job.mode](job)
    random = np.random.default_rng(0)

    def train() -> float:
        return [step(images[chosen], labels[chosen]) for chosen in job.batches(random)][-1]

    train()
    channel.run(train, **facts)


if __name__ == "__main__":
    compete(main)
