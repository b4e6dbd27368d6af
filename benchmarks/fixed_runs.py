"""Small fixed trainings, and the SHA-256 of what comes out of one: ``python -m benchmarks.fixed_runs NAME``.

``benchmarks.bits`` runs this file with older versions of handconv too: it uses only what is public in all of them.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import handconv as hc

Array = NDArray[Any]
SAMPLES = 2000


def images(*shape: int) -> tuple[Array, Array]:
    """Random strokes on a blank ground, so that windows tie, as those of handwriting do; and random classes."""
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (SAMPLES, *shape), dtype=np.uint8)
    x[random.random(x.shape) < 0.6] = 0
    x[..., :3, :] = x[..., :3] = x[..., -2:] = 0
    return x, random.integers(0, 10, SAMPLES)


def reference(workers: int) -> Callable[[], tuple[Any, Array]]:
    """The reference network, two epochs."""

    def run() -> tuple[Any, Array]:
        x, y = images(1, 28, 28)
        convolutions = [hc.Conv2D(8, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Conv2D(16, 3), hc.LeakyReLU()]
        dense = [hc.Dense(128, l2=1e-4), hc.LeakyReLU(), hc.Dropout(0.3), hc.Dense(10), hc.Softmax()]
        layers = [*convolutions, hc.MaxPool2D(2), hc.Flatten(), *dense]
        model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=3)
        model.fit(x, y, epochs=2, workers=workers)
        return model, x

    return run


def dense() -> tuple[Any, Array]:
    """Dense layers with every penalty, smooth activations, dropout; plain descent with momentum; a last short batch."""
    random = np.random.default_rng(2)
    x = random.standard_normal((SAMPLES, 30)).astype(np.float32)
    y = (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)
    hidden = [hc.Dense(40, l1=1e-5, l2=1e-4, bias_l1=1e-5, bias_l2=1e-4), hc.Tanh(), hc.Dropout(0.2)]
    model = hc.Sequential([*hidden, hc.Dense(20), hc.Sigmoid(), hc.Dense(1), hc.Sigmoid()], input_shape=(30,), seed=4)
    rate = hc.schedules.CosineDecay(0.05)
    model.fit(x, y, epochs=3, batch_size=96, optimizer=hc.SGD(rate, momentum=0.9, nesterov=True), workers=2)
    return model, x


def geometries() -> tuple[Any, Array]:
    """Overlapping poolings, strides, padding, kernels that are not square, and pooling over the whole image."""
    x, y = images(3, 20, 20)
    layers = [
        hc.Conv2D(6, (5, 3), stride=(1, 2), padding=(2, 1)),
        hc.ReLU(),
        hc.MaxPool2D(3, stride=2, padding=1),
        hc.Conv2D(8, 3, padding="same", use_bias=False),
        hc.LeakyReLU(0.1),
        hc.MaxPool2D((3, 2), stride=(2, 1)),
        hc.Conv2D(8, 2, l2=1e-4),
        hc.Tanh(),
        hc.AveragePool2D(2, stride=1),
        hc.GlobalAveragePool2D(),
        hc.Dense(10),
        hc.Softmax(),
    ]
    model = hc.Sequential(layers, input_shape=(3, 20, 20), seed=5)
    loss = hc.SoftmaxCategoricalCrossentropy(label_smoothing=0.1)
    model.fit(x, y, epochs=2, batch_size=100, optimizer=hc.AdamW(0.003), loss=loss, class_weights={3: 2.0}, workers=2)
    return model, x


def colour() -> tuple[Any, Array]:
    """Blocks of two convolutions on colour images, few samples, in float64."""
    x, y = images(3, 16, 16)
    x, y = x[:300], y[:300]
    blocks = [
        layer
        for filters in (8, 12)
        for layer in (hc.Conv2D(filters, 3, padding=1), hc.ReLU(), hc.Conv2D(filters, 3), hc.ReLU(), hc.MaxPool2D(2))
    ]
    layers = [*blocks, hc.Flatten(), hc.Dense(10), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(3, 16, 16), seed=6, dtype="float64")
    model.fit(x, y, epochs=2, batch_size=64, optimizer=hc.Adam(hc.schedules.OneCycle(0.01)), validation_split=0.1)
    return model, x


RUNS: dict[str, Callable[[], tuple[Any, Array]]] = {
    "reference, 1 worker": reference(1),
    "reference, 2 workers": reference(2),
    "dense": dense,
    "geometries": geometries,
    "colour, float64": colour,
}


def digest(*arrays: Array) -> str:
    """The SHA-256 of arrays: types, shapes, bits."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Do a run, and print the hashes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fixed_runs", description="Hash the results of a run.")
    parser.add_argument("name", choices=RUNS)
    model, x = RUNS[parser.parse_args(arguments).name]()
    floats = (x / 255 if x.dtype == np.uint8 else x).astype(model.parameters.dtype)
    hashes = {
        "parameters": digest(model.parameters),
        "predict": digest(model.predict(x), model.predict(x, batch_size=77, workers=2)),
        "infer": digest(*(np.array(model.infer(part)) for part in (floats[:1], floats[:64]))),
    }
    print(json.dumps(hashes))


if __name__ == "__main__":
    main()
