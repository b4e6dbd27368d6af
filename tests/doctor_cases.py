"""Runs for the doctor: sick ones made on purpose, each named after its illness, and healthy ones."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import handconv as hc
from handconv.analysis import Diagnosis

Network = Callable[[int], hc.Sequential]
Data = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]


@dataclass(frozen=True)
class Run:
    """What is given to the doctor."""

    model: hc.Sequential
    x: NDArray[Any]
    y: NDArray[Any]
    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    history: hc.History | None = None
    loss: hc.Loss | None = None

    def diagnose(self) -> Diagnosis:
        return hc.doctor(self.model, self.x, self.y, self.x_test, self.y_test, self.history, loss=self.loss)


def dense(
    *activations: type[hc.Layer],
    width: int = 32,
    shape: tuple[int, ...] = (1, 28, 28),
    classes: int = 10,
    **options: Any,
) -> Network:
    """Dense layers with these activations between them."""

    def make(seed: int) -> hc.Sequential:
        hidden = [layer for activation in activations for layer in (hc.Dense(width, **options), activation())]
        flat = [hc.Flatten()] if len(shape) > 1 else []
        return hc.Sequential([*flat, *hidden, hc.Dense(classes), hc.Softmax()], input_shape=shape, seed=seed)

    return make


def convolutional(activation: type[hc.Layer], filters: int = 4, *, norm: float | None = None) -> Network:
    """Two convolutions with poolings, and two dense layers; a BatchNorm of this momentum after the first."""

    def make(seed: int) -> hc.Sequential:
        layers = [hc.Conv2D(filters, 3), *([] if norm is None else [hc.BatchNorm(norm)]), activation(), hc.MaxPool2D(2)]
        layers += [hc.Conv2D(2 * filters, 3), activation(), hc.MaxPool2D(2), hc.Flatten()]
        layers += [hc.Dense(32), activation(), hc.Dense(10), hc.Softmax()]
        return hc.Sequential(layers, input_shape=(1, 28, 28), seed=seed)

    return make


def residual(seed: int) -> hc.Sequential:
    """A convolution and a residual block of two."""
    block = hc.Residual([hc.Conv2D(4, 3, padding=1), hc.ReLU(), hc.Conv2D(4, 3, padding=1)])
    layers = [hc.Conv2D(4, 3, padding=1), hc.ReLU(), hc.MaxPool2D(2), block, hc.ReLU(), hc.MaxPool2D(4), hc.Flatten()]
    return hc.Sequential([*layers, hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28), seed=seed)


def trained(
    network: Network,
    seed: int,
    data: Data,
    epochs: int = 5,
    optimizer: hc.Optimizer | None = None,
    loss: hc.Loss | None = None,
) -> Run:
    """A run as it should be: the doctor sees what the model was trained on."""
    model = network(seed)
    history = model.fit(*data[:2], epochs=epochs, batch_size=64, optimizer=optimizer or hc.Adam(0.005), loss=loss)
    return Run(model, *data, history, loss)


def digits() -> Data:
    """The embedded digits."""
    data = hc.datasets.load("digits")
    return data.x_train, data.y_train, data.x_test, data.y_test


def well(seed: int) -> Run:
    """A healthy run."""
    return trained(dense(hc.LeakyReLU), seed, digits())


def dead_units(seed: int) -> Run:
    def far_below(shape: tuple[int, ...], *_: object) -> NDArray[Any]:
        return np.full(shape, -20.0)

    return trained(dense(hc.ReLU, bias_init=far_below), seed, digits(), 2)


def saturated_softmax(seed: int) -> Run:
    run = well(seed)
    run.model.layers[-2].set_parameters(weights=run.model.layers[-2].weights * 40)
    y = run.y.copy()
    y[:200] = np.random.default_rng(seed).integers(0, 10, 200)
    return replace(run, y=y, history=None)


def unscaled_inputs(seed: int) -> Run:
    x, y, _, _ = digits()
    return trained(dense(hc.ReLU), seed, (x.astype(np.float32), y, None, None))


def inverted_inputs(seed: int) -> Run:
    run = well(seed)
    return replace(run, x=255 - run.x)


def transposed_inputs(seed: int) -> Run:
    run = trained(convolutional(hc.LeakyReLU), seed, digits())
    return replace(run, x=run.x.swapaxes(2, 3))


def shifted_labels(seed: int) -> Run:
    run = well(seed)
    return replace(run, y=(run.y + 1) % 10)


def shuffled_labels(seed: int) -> Run:
    x, y, x_test, y_test = digits()
    return trained(dense(hc.ReLU), seed, (x, np.random.default_rng(seed).permutation(y), x_test, y_test), 10)


def vanishing_gradients(seed: int) -> Run:
    return trained(dense(*[hc.Sigmoid] * 12, width=16), seed, digits(), 2)


def exploding_gradients(seed: int) -> Run:
    def far_too_large(shape: tuple[int, ...], *_: object) -> NDArray[Any]:
        return np.random.default_rng(seed).normal(size=shape)

    return trained(dense(*[hc.LeakyReLU] * 7, weight_init=far_too_large), seed, digits(), 2)


def learning_rate_too_high(seed: int) -> Run:
    return trained(dense(hc.LeakyReLU), seed, digits(), 4, hc.Adam(1.0))


def learning_rate_too_low(seed: int) -> Run:
    return trained(convolutional(hc.ReLU), seed, digits(), 3, hc.SGD(1e-5))


def leaked_test_set(seed: int) -> Run:
    x, y, x_test, y_test = digits()
    assert x_test is not None
    assert y_test is not None
    test = np.concatenate([x_test, x[:20]]), np.concatenate([y_test, y[:20]])
    return trained(dense(hc.LeakyReLU), seed, (x, y, *test))


def learning_rate_a_hundred_times_too_low(seed: int) -> Run:
    """The loss moves, but not below that of guessing."""
    return trained(convolutional(hc.ReLU), seed, digits(), 4, hc.Adam(2e-5))


def repeated_images(seed: int) -> Run:
    x, y, x_test, y_test = digits()
    return trained(dense(hc.LeakyReLU), seed, (np.tile(x, (2, 1, 1, 1)), np.tile(y, 2), x_test, y_test))


def one_answer_for_all(seed: int) -> Run:
    """Of 19 samples in 20 the class is 0, and the clouds of both overlap."""
    random = np.random.default_rng(seed)
    y = (np.arange(1000) % 20 == 0).astype(np.int64)
    x = (random.normal(size=(1000, 6)) + 0.7 * y[:, None]).astype(np.float32)
    return trained(dense(hc.Tanh, shape=(6,), classes=2), seed, (x, y, None, None), 3, hc.SGD(0.1))


def constant_inputs(seed: int) -> Run:
    x, y, _, _ = digits()
    return trained(dense(hc.ReLU), seed, (np.full_like(x, 100), y, None, None))


def identical_units(seed: int) -> Run:
    def zeros(shape: tuple[int, ...], *_: object) -> NDArray[Any]:
        return np.zeros(shape)

    return trained(dense(hc.ReLU, weight_init=zeros), seed, digits(), 2)


def swapped_channels(seed: int) -> Run:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 600)
    x = rng.integers(0, 80, (600, 3, 8, 8)).astype(np.uint8)
    x[np.arange(600), y, 2:6, 2:6] += 150
    model = trained(dense(hc.ReLU, shape=(3, 8, 8), classes=3), seed, (x, y, None, None)).model
    return Run(model, x[:, ::-1], y, None, None)


def noisy_labels(seed: int) -> Run:
    """Half of all labels, those of the test set among them, are drawn at random."""
    x, y, x_test, y_test = digits()
    assert y_test is not None
    return trained(dense(hc.LeakyReLU), seed, (x, half_random(y, seed), x_test, half_random(y_test, seed + 100)))


def half_random(y: NDArray[Any], seed: int) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    return np.where(random.random(len(y)) < 0.5, random.integers(0, 10, len(y)), y)


def stale_running_statistics(seed: int) -> Run:
    """With a momentum of 0.9999 they stay where they began."""
    return trained(convolutional(hc.ReLU, norm=0.9999), seed, digits())


ILLNESSES = [
    constant_inputs,
    identical_units,
    swapped_channels,
    dead_units,
    saturated_softmax,
    unscaled_inputs,
    inverted_inputs,
    transposed_inputs,
    shifted_labels,
    shuffled_labels,
    noisy_labels,
    stale_running_statistics,
    vanishing_gradients,
    exploding_gradients,
    learning_rate_too_high,
    learning_rate_too_low,
    leaked_test_set,
    repeated_images,
    one_answer_for_all,
]


def digits_run(network: Network, seed: int, epochs: int = 4, rate: float = 0.003) -> Callable[[Path], Run]:
    return lambda _: trained(network, seed, digits(), epochs, hc.Adam(rate))


def image_run(
    name: str, network: Network, seed: int, count: int = 1000, epochs: int = 3, optimizer: hc.Optimizer | None = None
) -> Callable[[Path], Run]:
    def make(data_dir: Path) -> Run:
        data = hc.datasets.load(name, source="offline", data_dir=data_dir / name)
        few = data.x_train[:count], data.y_train[:count], data.x_test[:300], data.y_test[:300]
        return trained(network, seed, few, epochs, optimizer)

    return make


def xor(count: int, features: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Whether the first two of some numbers have different signs."""
    x = np.random.default_rng(seed).uniform(-1, 1, (count, features)).astype(np.float32)
    return x, ((x[:, 0] > 0) != (x[:, 1] > 0)).astype(np.int64)


def xor_run(features: int, seed: int, last: list[hc.Layer] | None = None) -> Callable[[Path], Run]:
    def network(seed: int) -> hc.Sequential:
        end = copy.deepcopy(last) or [hc.Dense(2), hc.Softmax()]
        return hc.Sequential([hc.Dense(16), hc.ReLU(), *end], input_shape=(features,), seed=seed)

    data = *xor(500, features, seed), *xor(200, features, seed + 1000)
    return lambda _: trained(network, seed, data, 30, hc.Adam(0.02))


def four_rows(_: Path) -> Run:
    """The four rows of XOR, again and again: all of the test set is in the training set, as it must be."""
    x = np.tile(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), (50, 1))
    y = (x[:, 0] != x[:, 1]).astype(np.int64)
    return trained(dense(hc.ReLU, width=8, shape=(2,), classes=2), 0, (x, y, x[:120], y[:120]), 50)


def rare_class(_: Path) -> Run:
    """Two clouds that overlap, one of them ten times as frequent."""
    random = np.random.default_rng(0)
    y = (random.random(900) < 0.1).astype(np.int64)
    x = (random.normal(size=(900, 6)) + 0.8 * y[:, None]).astype(np.float32)
    return trained(dense(hc.Tanh, shape=(6,), classes=2), 0, (x[:600], y[:600], x[600:], y[600:]), 10)


def rare_class_with(*, label_smoothing: float = 0.0, weight: float | None = None) -> Callable[[Path], Run]:
    """The same, with a loss that is above that of guessing without smoothing and weights."""

    def make(folder: Path) -> Run:
        run, loss = rare_class(folder), hc.SoftmaxCategoricalCrossentropy(label_smoothing=label_smoothing)
        weights = None if weight is None else {1: weight}
        model = dense(hc.Tanh, shape=(6,), classes=2)(0)
        history = model.fit(run.x, run.y, epochs=10, optimizer=hc.Adam(0.005), loss=loss, class_weights=weights)
        return replace(run, model=model, history=history, loss=loss)

    return make


def parted_twins(_: Path) -> Run:
    """Of 150 different rows, two that are the same came to both sides of the split, as in the irises."""
    random = np.random.default_rng(0)
    y = np.arange(150) % 3
    x = (random.normal(size=(150, 4)) + 2 * np.eye(4)[y]).astype(np.float32)
    x[149] = x[2]
    return trained(dense(hc.ReLU, shape=(4,), classes=3), 0, (x[:105], y[:105], x[105:], y[105:]), 20)


def clouds(_: Path) -> Run:
    """Ten clouds in the plane that overlap: the best there is, is wrong on half."""
    random = np.random.default_rng(0)
    y, centres = random.integers(0, 10, 1500), 2 * random.normal(size=(10, 2))
    x = (centres[y] + random.normal(size=(1500, 2))).astype(np.float32)
    network = dense(hc.ReLU, shape=(2,), classes=10)
    return trained(network, 0, (x[:1000], y[:1000], x[1000:], y[1000:]), 8, hc.Adam(0.01))


def augmented(_: Path) -> Run:
    """Images that are turned and shifted far, and half of the units left out."""
    layers = [hc.Flatten(), hc.Dense(64), hc.ReLU(), hc.Dropout(0.5), hc.Dense(10), hc.Softmax()]
    model, data = hc.Sequential(layers, input_shape=(1, 28, 28), seed=0), digits()
    changes = hc.augment.Compose([hc.augment.Rotate(40), hc.augment.Shift(4)])
    history = model.fit(*data[:2], epochs=4, augment=changes, optimizer=hc.Adam(0.003))
    return Run(model, *data, history)


def regression(_: Path) -> Run:
    """The product of two numbers."""

    def network(seed: int) -> hc.Sequential:
        return hc.Sequential([hc.Dense(16), hc.ReLU(), hc.Dense(1)], input_shape=(2,), seed=seed)

    x, _classes = xor(500, 2, 0)
    return trained(network, 0, (x, x[:, :1] * x[:, 1:], None, None), 10, hc.Adam(0.02), hc.MeanSquaredError())


HEALTHY: dict[str, Callable[[Path], Run]] = {
    "digits, dense": digits_run(dense(hc.ReLU), 0),
    "digits, dense, another seed": digits_run(dense(hc.ReLU), 1),
    "digits, dense, trained for long": digits_run(dense(hc.ReLU), 0, 60, 0.01),
    "digits, linear": digits_run(dense(), 0),
    "digits, nine layers of ReLU": digits_run(dense(*[hc.ReLU] * 8), 0),
    "digits, seven layers of Tanh": digits_run(dense(*[hc.Tanh] * 6), 0),
    "digits, convolutional": digits_run(convolutional(hc.ReLU), 0),
    "digits, convolutional, another seed": digits_run(convolutional(hc.ReLU), 1),
    "digits, reference network": digits_run(lambda seed: hc.zoo.reference(seed=seed), 0),
    "MNIST, convolutional": image_run("mnist", convolutional(hc.ReLU), 2),
    "MNIST, BatchNorm": image_run("mnist", convolutional(hc.ReLU, norm=0.9), 3),
    "MNIST, residual": image_run("mnist", residual, 0),
    "MNIST, few and short": image_run("mnist", dense(hc.Sigmoid, hc.Sigmoid), 0, 300, 4),
    "MNIST, one epoch": image_run("mnist", dense(hc.Sigmoid), 0, epochs=1, optimizer=hc.Adam(0.001)),
    "MNIST, BatchNorm, a dozen steps": image_run("mnist", convolutional(hc.ReLU, norm=0.9), 0, 800, 1),
    "Fashion-MNIST, few and short": image_run("fashion-mnist", convolutional(hc.ReLU), 0, 500, 3),
    "digits, augmented, with Dropout": augmented,
    "clouds that overlap": clouds,
    "Fashion-MNIST, convolutional": image_run("fashion-mnist", convolutional(hc.GELU), 0),
    "Fashion-MNIST, dense": image_run("fashion-mnist", dense(hc.ReLU, width=64), 1, epochs=20),
    "Fashion-MNIST, linear, SGD": image_run("fashion-mnist", dense(), 0, 500, 3, hc.SGD(0.05)),
    "XOR of two": xor_run(2, 0),
    "XOR of two among twenty": xor_run(20, 1),
    "XOR, one output": xor_run(2, 2, [hc.Dense(1), hc.Sigmoid()]),
    "XOR, four rows": four_rows,
    "a rare class": rare_class,
    "a rare class, label smoothing": rare_class_with(label_smoothing=0.3),
    "a rare class, class weights": rare_class_with(weight=9.0),
    "two rows that are the same": parted_twins,
    "regression": regression,
}
