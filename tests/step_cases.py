"""A small network, its data, and a training of it, for tests of single steps."""

from typing import Any

import numpy as np

import handconv as hc
from handconv.layers import Layer
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.network import Network
from handconv.parallel.communicator import OneProcess
from handconv.samples import Samples
from handconv.training.state import Task
from handconv.training.step import ShardStep, SharedState

SHAPE, CLASSES = (1, 6, 6), 3


def model(*last: Layer, **options: Any) -> hc.Sequential:
    layers = [
        hc.Conv2D(2, 3, l2=0.01), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(),
        hc.Dense(CLASSES, l1=0.02), *(last or [hc.Softmax()]),
    ]  # fmt: skip
    return hc.Sequential(layers, **{"input_shape": SHAPE, "seed": 0, "dtype": "float64"} | options)


def data(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *SHAPE)), rng.integers(0, CLASSES, count)


def task(count: int, **options: Any) -> Task:
    x, y = data(count)
    network: Network = options.pop("network", None) or model()
    values: dict[str, Any] = {
        "network": network, "loss": SoftmaxCategoricalCrossentropy(), "optimizer": hc.SGD(1.0),
        "samples": Samples(x, y), "epochs": 3, "batch_size": count, "shuffle": False,
    }  # fmt: skip
    return Task(**values | options)


def step_of(run: Task) -> ShardStep:
    """The whole of a task in one process."""
    run.optimizer.build(run.network.parameters, run.network.decayed())
    return ShardStep(run, SharedState.of_one_process(run), OneProcess())
