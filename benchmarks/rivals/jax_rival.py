"""JAX, training: the whole step jitted, its state donated. Modes: "jit", "jit, channels last"."""

import time
from itertools import chain, pairwise
from typing import Any

import numpy as np

from benchmarks.rivals.protocol import Channel, Job, Network, compete


def parameters(net: Network) -> list[Any]:
    """Small random weights and zero biases, layer by layer."""
    random, channels = np.random.default_rng(0), (net.shape[0], *chain(*net.blocks))
    kernels = [((after, before, 3, 3), after) for before, after in pairwise(channels)]
    shapes = [*kernels, ((net.features, net.hidden), net.hidden), ((net.hidden, net.classes), net.classes)]
    return [(random.normal(0, 0.05, shape).astype(np.float32), np.zeros(n, np.float32)) for shape, n in shapes]


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat passes over the data."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # the quickest generator there is
    net, last = job.net, "last" in job.mode
    order, window = (("NHWC", "OIHW", "NHWC"), (1, 2, 2, 1)) if last else (("NCHW", "OIHW", "NCHW"), (1, 1, 2, 2))
    each = jax.tree.map

    def activation(x: Any) -> Any:
        return jnp.maximum(x, net.slope * x)

    def loss_of(layers: Any, x: Any, y: Any, key: Any) -> Any:
        remaining = iter(layers)
        for block in net.blocks:
            for _ in block:
                w, b = next(remaining)
                x = lax.conv_general_dilated(x, w, (1, 1), [(net.padding,) * 2] * 2, dimension_numbers=order)
                x = activation(x + (b if last else b[:, None, None]))
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        (w, b), (w_out, b_out) = remaining
        h = activation(x.reshape(len(x), -1) @ w + b)
        h = jnp.where(jax.random.bernoulli(key, 1 - net.dropout, h.shape), h / (1 - net.dropout), 0)
        scores = jax.nn.log_softmax(h @ w_out + b_out)
        return -jnp.take_along_axis(scores, y[:, None], 1).mean() + net.l2 * (w * w).sum()

    def step(state: Any, x: Any, y: Any, chosen: Any) -> Any:
        p, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(p, x[chosen], y[chosen], jax.random.fold_in(jax.random.key(0), t))
        m, v = each(lambda m, g: 0.9 * m + 0.1 * g, m, g), each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = 1e-3 / (1 - 0.9 ** (t + 1)), jnp.sqrt(1 - 0.999 ** (t + 1))
        p = each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-7), p, m, v)
        return (p, m, v, t + 1), loss

    images, labels = job.images()
    x, y = jnp.asarray(images.transpose(0, 2, 3, 1) if last else images), jnp.asarray(labels)
    layers, random = each(jnp.asarray, parameters(net)), np.random.default_rng(0)
    zeros = each(jnp.zeros_like, layers)
    state = (layers, zeros, each(jnp.copy, zeros), jnp.zeros((), jnp.int32))
    jitted = jax.jit(step, donate_argnums=0)

    def train(steps: int | None = None) -> float:
        nonlocal state
        loss = jnp.zeros(())
        for chosen in job.batches(random)[:steps]:
            state, loss = jitted(state, x, y, chosen)
        return float(loss)

    start = time.perf_counter()
    train(1)
    first = time.perf_counter() - start
    train(20)
    count = sum(value.size for value in jax.tree.leaves(state[0]))
    channel.run(train, version=jax.__version__, first_step_seconds=first, parameters=count)


if __name__ == "__main__":
    compete(main)
