"""A small run for worker processes, and what a user may have written for it."""

import multiprocessing
from typing import Any

import numpy as np
from numpy.typing import NDArray

import handconv as hc
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.samples import Samples
from handconv.training import worker as workers
from handconv.training.state import Task

X = np.random.default_rng(0).integers(0, 256, (90, 1, 8, 8)).astype(np.uint8)
Y = np.arange(90) % 3


def model(*extra: hc.Layer) -> hc.Sequential:
    layers = [
        hc.Conv2D(2, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), *extra, hc.Dropout(0.3),
        hc.Dense(3, l2=1e-3, weight_init="glorot_normal"), hc.Softmax(),
    ]  # fmt: skip
    return hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)


def task(network: hc.Sequential | None = None, **options: Any) -> Task:
    network = network or model()
    optimizer = hc.Adam(0.01)
    optimizer.build(network.parameters, network.decayed())
    values = {
        "network": network, "loss": SoftmaxCategoricalCrossentropy(), "optimizer": optimizer, "samples": Samples(X, Y),
        "epochs": 2, "batch_size": 40, "shuffle": True,
    }  # fmt: skip
    return Task(**(values | options))  # type: ignore[arg-type]


def trained(count: int, method: str | None = None) -> tuple[Any, ...]:
    run = task()
    with workers.ProcessExecutor(run, count, method=method) as executor:
        for epoch in range(2):
            for _ in executor.epoch(epoch, 0):
                pass
        sums = executor.sums.copy()
    return run.network.parameters, run.optimizer.state["m"], run.optimizer.iterations, sums


def pids() -> set[int | None]:
    return {process.pid for process in multiprocessing.active_children()}


def epoch(executor: workers.ProcessExecutor, number: int, **options: Any) -> None:
    for _ in executor.epoch(number, 0, **options):
        pass


class OwnLoss(SoftmaxCategoricalCrossentropy):
    """One of a user's own."""


class OwnAdam(hc.Adam):
    """One of a user's own."""


class OwnRate(hc.schedules.Schedule):
    """One of a user's own."""

    def __call__(self, step: int, total_steps: int | None) -> float:
        return 0.01


def brighter(images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    return images + images.dtype.type(1)


class Scaled(hc.Layer):
    """One of a user's own, with a plain attribute that the constructor does not take."""

    factor = 1.0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self.factor

    def backward(self, dvalues: Any) -> Any:
        return dvalues * self.factor
