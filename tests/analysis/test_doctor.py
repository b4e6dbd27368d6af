"""The doctor: twelve sick runs made on purpose, each named rightly; healthy ones, of which nothing is said."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.analysis import Diagnosis, Finding, findings

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


def convolutional(activation: type[hc.Layer], filters: int = 4, *, norm: bool = False) -> Network:
    """Two convolutions with poolings, and two dense layers."""

    def make(seed: int) -> hc.Sequential:
        layers = [hc.Conv2D(filters, 3), *([hc.BatchNorm()] if norm else []), activation(), hc.MaxPool2D(2)]
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


# -- illnesses


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
    vanishing_gradients,
    exploding_gradients,
    learning_rate_too_high,
    learning_rate_too_low,
    leaked_test_set,
    repeated_images,
    one_answer_for_all,
]


@pytest.mark.filterwarnings("ignore:x looks like pixels", "ignore:The loss has exploded")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sick", ILLNESSES, ids=lambda sick: sick.__name__)
def test_a_sick_run_is_named_rightly_and_nothing_else_is(sick: Callable[[int], Run], seed: int) -> None:
    assert sick(seed).diagnose().names == (sick.__name__.replace("_", " "),)


# -- twenty healthy runs


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
    "MNIST, BatchNorm": image_run("mnist", convolutional(hc.ReLU, norm=True), 3),
    "MNIST, residual": image_run("mnist", residual, 0),
    "MNIST, few and short": image_run("mnist", dense(hc.Sigmoid, hc.Sigmoid), 0, 300, 4),
    "Fashion-MNIST, convolutional": image_run("fashion-mnist", convolutional(hc.GELU), 0),
    "Fashion-MNIST, dense": image_run("fashion-mnist", dense(hc.ReLU, width=64), 1, epochs=20),
    "Fashion-MNIST, linear, SGD": image_run("fashion-mnist", dense(), 0, 500, 3, hc.SGD(0.05)),
    "XOR of two": xor_run(2, 0),
    "XOR of two among twenty": xor_run(20, 1),
    "XOR, one output": xor_run(2, 2, [hc.Dense(1), hc.Sigmoid()]),
    "XOR, four rows": four_rows,
    "a rare class": rare_class,
    "regression": regression,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_of_a_healthy_run_nothing_is_said(name: str, request: pytest.FixtureRequest) -> None:
    images = "MNIST" in name
    run = HEALTHY[name](request.getfixturevalue("data_dir") if images else Path())
    assert str(run.diagnose()) == "Nothing found."


# -- the finer points


@pytest.fixture(scope="module")
def healthy() -> Run:
    return well(0)


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("inverted inputs", lambda x, y: (255 - x, y)),
        ("transposed inputs", lambda x, y: (x.swapaxes(2, 3), y)),
        ("shifted labels", lambda x, y: (x, (y + 7) % 10)),
        ("shuffled labels", lambda x, y: (x, np.random.default_rng(0).permutation(y))),
        ("unscaled inputs", lambda x, y: (x * np.float32(1), y)),
    ],
)
def test_an_illness_of_the_test_set_alone_is_told_as_one_of_the_test_set(
    healthy: Run, name: str, change: Callable[..., tuple[NDArray[Any], NDArray[Any]]]
) -> None:
    x, y = change(healthy.x_test, healthy.y_test)
    finding = only(replace(healthy, x_test=x, y_test=y).diagnose())
    assert finding.name == name
    assert "the test set" in finding.evidence


def test_labels_shuffled_after_a_good_training_are_told(healthy: Run) -> None:
    y = np.random.default_rng(0).permutation(healthy.y)
    assert replace(healthy, y=y).diagnose().names == ("shuffled labels",)


def test_shuffled_labels_are_told_without_a_test_set_too() -> None:
    run = shuffled_labels(0)
    assert hc.doctor(run.model, run.x, run.y, history=run.history).names == ("shuffled labels",)


def test_labels_that_the_model_alone_can_tell_are_not_shuffled() -> None:
    model = dense(hc.ReLU, width=4, shape=(40,), classes=2)(0)  # |a - b| > |a + b| if the signs differ
    first = np.zeros((40, 4))
    first[:2] = [[1, -1, 1, -1], [1, -1, -1, 1]]
    model.layers[0].set_parameters(weights=first, biases=np.zeros(4))
    model.layers[2].set_parameters(weights=np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), biases=np.zeros(2))
    x, y = xor(500, 40, 0)
    assert model.evaluate(x, y)["accuracy"] == 1
    assert hc.doctor(model, x, y).names == ("shuffled labels",)
    assert hc.doctor(model, x, y, *xor(200, 40, 1)).healthy


def test_the_evidence_has_the_numbers(healthy: Run) -> None:
    accuracy = healthy.model.evaluate(healthy.x[:1000], healthy.y[:1000])["accuracy"]
    finding = only(replace(healthy, x=255 - healthy.x).diagnose())
    found = re.search(r"right on (\d+)% of the training set, and on (\d+)%", finding.evidence)
    assert found is not None
    assert int(found[1]) < 20
    assert int(found[2]) == pytest.approx(100 * accuracy, abs=2)


def test_the_shift_of_the_labels_is_told(healthy: Run) -> None:
    finding = only(replace(healthy, y=(healthy.y + 3) % 10).diagnose())
    assert "(y - 3) % 10" in finding.remedy


def test_swapped_classes_are_shifted_labels() -> None:
    run = xor_run(2, 0)(Path())
    assert replace(run, y=1 - run.y).diagnose().names == ("shifted labels",)


def test_a_model_that_always_gives_one_answer_has_no_shifted_labels() -> None:
    run = rare_class(Path())
    run.model.layers[-2].set_parameters(weights=0 * run.model.layers[-2].weights, biases=np.array([0.0, 9.0]))
    assert "shifted labels" not in replace(run, history=None).diagnose().names


def test_rows_of_pixels_are_images_too(healthy: Run) -> None:
    model = dense(hc.LeakyReLU, shape=(784,))(0)
    model.parameters = healthy.model.parameters
    assert hc.doctor(model, 255 - healthy.x.reshape(-1, 784), healthy.y).names == ("inverted inputs",)


def test_dead_channels_are_counted_in_the_layer_that_has_them() -> None:
    model = convolutional(hc.ReLU)(0)
    model.layers[3].set_parameters(biases=np.full(8, -50.0))
    x, y, _, _ = digits()
    finding = only(hc.doctor(model, x, y))
    assert finding.severity == "severe"
    assert "4 ReLU: 8 of 8 channels" in finding.evidence
    assert "1 ReLU" not in finding.evidence


def test_half_of_the_units_may_be_dead(healthy: Run) -> None:
    model = dense(hc.ReLU)(0)
    model.parameters = healthy.model.parameters
    biases = model.layers[1].biases.copy()
    biases[:16] = -100
    model.layers[1].set_parameters(biases=biases)
    assert "dead units" not in hc.doctor(model, healthy.x, healthy.y).names


def test_certainty_of_what_is_right_is_no_illness(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.layers[-2].set_parameters(weights=model.layers[-2].weights * 40)
    assert hc.doctor(model, healthy.x, healthy.y).healthy


def test_large_inputs_before_a_normalisation_are_no_illness(rng: np.random.Generator) -> None:
    x = rng.normal(500, 100, (300, 4)).astype(np.float32)
    y = (x[:, 0] > 500).astype(np.int64)
    model = hc.Sequential([hc.Flatten(), hc.BatchNorm(), hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
    history = model.fit(x, y, epochs=20, batch_size=32, optimizer=hc.Adam(0.02))
    assert hc.doctor(model, x, y, history=history).healthy


def test_features_that_are_no_pixels_are_to_be_standardised(rng: np.random.Generator) -> None:
    x = rng.normal(500, 100, (300, 4)).astype(np.float32)
    finding = only(hc.doctor(dense(shape=(4,), classes=2)(0), x, (x[:, 0] > 500).astype(int)))
    assert finding.name == "unscaled inputs"
    assert "standard deviation" in finding.remedy


@pytest.mark.parametrize("losses", [[2.2, 1.0, 0.5, 1.9], [90.0, 3.0, 1.0, 0.5]], ids=["grown", "overshot"])
def test_the_course_of_the_loss_tells_of_a_rate_too_high(healthy: Run, losses: list[float]) -> None:
    names = hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": losses}).names
    assert names == ("learning rate too high",)


@pytest.mark.parametrize(("rates", "advised"), [([0.1, 0.1], True), ([0.1, 0.01], False)])
def test_a_rate_that_changes_is_not_advised_to_change(healthy: Run, rates: list[float], advised: bool) -> None:
    course = {"loss": [90.0, 3.0], "learning_rate": rates}
    finding = only(hc.doctor(healthy.model, healthy.x, healthy.y, history=course))
    assert finding.name == "learning rate too high"
    assert ("OneCycle" in finding.remedy) is advised


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        ([4.0, 2.4, 2.4], ("dead units", "learning rate too high")),
        ([2.6, 2.6, 2.6], ("dead units", "learning rate too high")),
        ([2.3, 2.3, 2.3], ("dead units",)),
    ],
    ids=["fallen back to guessing", "worse than guessing", "guessing from the beginning"],
)
def test_a_loss_that_stands_where_no_step_lowers_it(losses: list[float], names: tuple[str, ...]) -> None:
    run = dead_units(0)
    assert hc.doctor(run.model, run.x, run.y, history={"loss": losses}).names == names


def test_small_losses_may_rise_again(healthy: Run) -> None:
    assert hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": [0.5, 0.01, 0.03]}).healthy


def test_one_epoch_says_nothing_of_the_learning_rate(healthy: Run) -> None:
    assert hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": [90.0]}).healthy


def test_the_update_is_compared_with_the_weights() -> None:
    run = learning_rate_too_low(0)
    told = re.search(r"At the rate 1e-05 .* weights by about (\S+) .* SGD", only(run.diagnose()).evidence)
    assert told is not None
    assert float(told[1]) < 1e-4


def test_few_samples_say_nothing_of_units_and_labels(healthy: Run) -> None:
    shuffled = np.random.default_rng(0).permutation(healthy.y[:50])
    assert hc.doctor(dead_units(0).model, healthy.x[:50], shuffled).healthy


def test_one_hot_labels_are_labels(healthy: Run) -> None:
    assert replace(healthy, y=np.eye(10)[(healthy.y + 1) % 10]).diagnose().names == ("shifted labels",)


def test_a_set_of_one_class_is_told_and_nothing_else_of_it(healthy: Run) -> None:
    sevens = healthy.y == 7
    diagnosis = hc.doctor(healthy.model, healthy.x[sevens], healthy.y[sevens], history={"loss": [0.5, 0.3]})
    assert diagnosis.names == ("a single class",)
    assert "are of class 7; the model tells 10 classes apart" in only(diagnosis).evidence


def test_classes_of_a_few_samples_each_say_nothing_of_shuffled_labels(healthy: Run) -> None:
    rows = np.concatenate([np.flatnonzero(healthy.y == 0), *(np.flatnonzero(healthy.y == k)[:1] for k in range(1, 8))])
    assert len(rows) > 100
    model = dense(hc.LeakyReLU)(0)
    assert "shuffled labels" not in hc.doctor(model, healthy.x[rows], healthy.y[rows]).names


def test_labels_are_shifted_back_the_shorter_way(healthy: Run) -> None:
    assert "(y + 2) % 10" in only(replace(healthy, y=(healthy.y - 2) % 10).diagnose()).remedy


@pytest.mark.parametrize("seed", [0, 1])
def test_a_loss_that_moves_but_stays_above_that_of_guessing_has_a_rate_too_low(seed: int) -> None:
    assert learning_rate_a_hundred_times_too_low(seed).diagnose().names == ("learning rate too low",)


def test_rows_of_a_table_may_be_the_same(healthy: Run) -> None:
    x = np.tile(np.eye(4, dtype=np.float32), (60, 1))
    run = trained(dense(hc.ReLU, shape=(4,), classes=4), 0, (x, np.tile(np.arange(4), 60), None, None), 20)
    assert run.diagnose().healthy


def test_a_set_of_one_class_has_no_inverted_images(healthy: Run) -> None:
    model = dense(hc.LeakyReLU)(0)
    model.layers[-2].set_parameters(weights=np.zeros((32, 10)), biases=np.eye(10)[7])  # the answer is always 7
    sevens = healthy.y == 7
    assert hc.doctor(model, healthy.x[sevens], healthy.y[sevens]).names == ("a single class",)


def test_convolutions_that_begin_with_one_constant_are_identical_units(healthy: Run) -> None:
    model = convolutional(hc.ReLU)(0)
    model.layers[0].set_parameters(weights=np.full((4, 1, 3, 3), 0.1))
    assert only(hc.doctor(model, healthy.x, healthy.y)).evidence.startswith("All 4 units of 0 Conv2D")


def test_a_network_without_weights_is_examined_too(healthy: Run) -> None:
    model = hc.Sequential([hc.Reshape((10,)), hc.Softmax()], input_shape=(10,), seed=0)
    x = np.eye(10, dtype=np.float32)[healthy.y]
    assert hc.doctor(model, x, healthy.y, history={"loss": [2.3, 2.3], "learning_rate": [0.1, 0.1]}).healthy


def test_the_model_is_left_as_it_was(healthy: Run) -> None:
    model = convolutional(hc.ReLU, norm=True)(0)
    outputs = model.forward(healthy.x[:8], training=True)
    before = [values.copy() for values in (model.parameters, model.gradients, model.buffers)]
    hc.doctor(model, healthy.x, healthy.y, history={"loss": [2.3, 2.3]})
    for old, new in zip(before, (model.parameters, model.gradients, model.buffers), strict=True):
        np.testing.assert_array_equal(old, new)
    model.backward(np.ones_like(outputs))  # of the forward before


def test_the_same_question_has_the_same_answer() -> None:
    run = shuffled_labels(0)
    assert run.diagnose() == run.diagnose()


def test_severe_findings_come_first(healthy: Run) -> None:
    model = dense(hc.ReLU)(0)
    model.parameters = healthy.model.parameters
    biases = model.layers[1].biases.copy()
    biases[:26] = -100  # four fifths
    model.layers[1].set_parameters(biases=biases)
    found = findings(model, healthy.x, healthy.y, healthy.x[:50], healthy.y[:50])
    assert [(each.name, each.severity) for each in found] == [("leaked test set", "severe"), ("dead units", "mild")]


def test_a_diagnosis_prints_name_evidence_and_remedy() -> None:
    sick = Diagnosis((Finding("dead units", "All 8.", "Train anew.", "severe"), Finding("b", "c.", "d.", "mild")))
    assert str(sick) == "dead units (severe)\n  All 8.\n  Remedy: Train anew.\n\nb (mild)\n  c.\n  Remedy: d."


# -- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "model.npz"}, TypeError, "doctor examines a handconv.Sequential, got 'model.npz'"),
        ({"y": np.zeros(3, int)}, ValueError, "3"),
        ({"x": np.zeros((0, 1, 28, 28))}, ValueError, "at least one sample"),
        ({"x": np.zeros((5, 28, 28))}, ValueError, r"must have shape \(N, 1, 28, 28\)"),
        ({"x": np.full((5, 1, 28, 28), np.nan)}, ValueError, "must be finite"),
        ({"y_test": None}, ValueError, "got x_test alone. Give y_test too"),
        ({"x_test": None}, ValueError, "got y_test alone. Give x_test too"),
        ({"x_test": np.zeros((5, 28, 28))}, ValueError, "x_test must have shape"),
        ({"history": [0.5, 0.4]}, TypeError, "history must be what fit returned"),
        ({"history": {"loss": []}}, ValueError, "one finite loss an epoch"),
        ({"history": {"loss": [0.5, float("nan")]}}, ValueError, "one finite loss an epoch"),
        ({"loss": "mse"}, TypeError, "loss must be a loss such as"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    healthy: Run, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    good = {"model": healthy.model, "x": healthy.x, "y": healthy.y, "x_test": healthy.x_test, "y_test": healthy.y_test}
    with pytest.raises(error, match=message):
        hc.doctor(**good | arguments)


def test_a_model_with_broken_weights_is_refused(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.parameters[3] = np.nan
    with pytest.raises(ValueError, match=r"1\.weights of the model hold NaN or infinity.*smaller learning rate"):
        hc.doctor(model, healthy.x, healthy.y)


def test_a_model_whose_outputs_overflow_is_refused(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.parameters *= 1e30
    with pytest.raises(ValueError, match=r"outputs are NaN or infinity.*smaller learning rate"):
        hc.doctor(model, healthy.x, healthy.y)


def test_a_softmax_alone_is_examined() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    assert hc.doctor(hc.Sequential([hc.Softmax()], input_shape=(3,)), x, x.argmax(axis=1)).names == ()


def test_scores_without_a_sigmoid_are_judged_at_zero() -> None:
    x = np.random.default_rng(0).normal(size=(400, 3))
    y, loss = (x[:, :1] + 0.5 > 0).astype(int), hc.SigmoidBinaryCrossentropy()
    model = hc.Sequential([hc.Dense(1)], input_shape=(3,), seed=0)
    history = model.fit(x, y, loss=loss, epochs=60, optimizer=hc.Adam(0.05))
    assert hc.doctor(model, x, y, history=history, loss=loss).names == ()
    assert hc.doctor(model, x, 1 - y, loss=loss).names == ("shifted labels",)
