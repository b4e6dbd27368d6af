"""DeZero, training (Saito, Deep learning from scratch 3): a framework in NumPy with automatic differentiation.

Modes: "as it comes", and "float32", with parameters and labels cast by hand: its initial values, and one-hot rows of
int64 labels, make everything float64.
"""

from itertools import chain
from typing import Any

import numpy as np

from benchmarks.rivals.protocol import Channel, Job, compete, version


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat passes over the data."""
    setattr(np, "int", int)  # noqa: B010 (a name that DeZero uses and NumPy has given up)
    import dezero
    from dezero import functions, layers

    net, random = job.net, np.random.default_rng(0)
    convolutions = [[layers.Conv2d(filters, 3, pad=net.padding) for filters in block] for block in net.blocks]
    hidden, out = layers.Linear(net.hidden), layers.Linear(net.classes)
    model = dezero.Layer()
    for place, layer in enumerate((*chain(*convolutions), hidden, out)):
        setattr(model, f"layer{place}", layer)

    def scores(x: Any) -> Any:
        for block in convolutions:
            for layer in block:
                x = functions.leaky_relu(layer(x), net.slope)
            x = functions.pooling(x, 2, 2)
        x = functions.leaky_relu(hidden(functions.reshape(x, (len(x), -1))), net.slope)
        return out(functions.dropout(x, net.dropout))

    images, labels = job.images()
    scores(images[:1])
    if job.mode == "float32":
        labels = labels.astype(np.uint8)
        for parameter in model.params():
            parameter.data = parameter.data.astype(np.float32)

    def penalty(_: object) -> None:
        hidden.W.grad.data += hidden.W.data * hidden.W.data.dtype.type(2 * net.l2)

    optimizer = dezero.optimizers.Adam(1e-3, eps=1e-7).setup(model)
    optimizer.add_hook(penalty)

    def train(steps: int | None = None) -> float:
        loss = None
        for chosen in job.batches(random)[:steps]:
            loss = functions.softmax_cross_entropy(scores(images[chosen]), labels[chosen])
            model.cleargrads()
            loss.backward()
            optimizer.update()
        return float(loss.data) if loss is not None else 0.0

    train(2)
    count = sum(parameter.data.size for parameter in model.params())
    channel.run(train, version=version("dezero"), parameters=count)


if __name__ == "__main__":
    compete(main)
