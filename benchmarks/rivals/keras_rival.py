"""Keras on TensorFlow, training: one function a step, over tensors in memory. Modes: "graph" and "XLA"."""

import os
import time
from itertools import chain
from typing import Any

import numpy as np

from benchmarks.rivals.protocol import Channel, Job, Network, compete, version


def network(net: Network) -> Any:
    """The layers; images are (N, H, W, C), the only order that TensorFlow has on a processor."""
    import keras
    from keras import layers

    def activation() -> Any:
        return layers.LeakyReLU(net.slope) if net.slope else layers.ReLU()

    padding = "same" if net.padding else "valid"
    blocks = [
        [
            *chain(*([layers.Conv2D(filters, 3, padding=padding), activation()] for filters in block)),
            layers.MaxPool2D(2),
        ]
        for block in net.blocks
    ]
    hidden = layers.Dense(net.hidden, kernel_regularizer=keras.regularizers.L2(net.l2))
    dense = [layers.Flatten(), hidden, activation(), layers.Dropout(net.dropout), layers.Dense(net.classes)]
    return keras.Sequential([keras.Input((*net.shape[1:], net.shape[0])), *chain(*blocks), *dense])


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat passes over the data."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.cores)
    keras.utils.set_random_seed(0)
    model, optimizer = network(job.net), keras.optimizers.Adam(1e-3, epsilon=1e-7)
    optimizer.build(model.trainable_variables)
    images, labels = job.images()
    x, y, random = tf.constant(images.transpose(0, 2, 3, 1)), tf.constant(labels), np.random.default_rng(0)

    @tf.function(jit_compile=job.mode == "XLA")  # type: ignore[untyped-decorator]
    def step(chosen: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = model(tf.gather(x, chosen), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(y, chosen), scores)
            loss = tf.reduce_mean(losses) + sum(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def train(steps: int | None = None) -> float:
        loss = tf.zeros(())
        for chosen in job.batches(random)[:steps]:
            loss = step(tf.constant(chosen))
        return float(loss)

    start = time.perf_counter()
    train(1)
    first = time.perf_counter() - start
    train(20)
    names = f"{keras.__version__} on TensorFlow {version('tensorflow-cpu') or version('tensorflow')}"
    channel.run(train, version=names, first_step_seconds=first, parameters=model.count_params())


if __name__ == "__main__":
    compete(main)
