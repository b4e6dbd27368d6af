"""The page that a student reads first: it trains as the package does, and its gradients are slopes."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.datasets.readers import write_idx
from handconv.rng import Purpose, Streams
from handconv.training.step import shard_size

Array = NDArray[Any]
Parameters = dict[str, Array]

PATH = Path(__file__).resolve().parent.parent / "examples" / "one_page.py"
SEED, BATCH = 7, 32


@pytest.fixture(scope="module")
def page() -> ModuleType:
    specification = importlib.util.spec_from_file_location("one_page", PATH)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def model() -> hc.Sequential:
    """The reference network in float64, with biases that are not all 0."""
    layers = [
        *(hc.Conv2D(8, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Conv2D(16, 3), hc.LeakyReLU(), hc.MaxPool2D(2)),
        *(hc.Flatten(), hc.Dense(128, l2=1e-4), hc.LeakyReLU(), hc.Dropout(0.3), hc.Dense(10), hc.Softmax()),
    ]
    network = hc.Sequential(layers, input_shape=(1, 28, 28), seed=SEED, dtype="float64")
    for name, array in network.named_parameters().items():
        if name.endswith("biases"):
            array[...] = np.random.default_rng(1).normal(0, 0.1, array.shape)
    return network


def of(model: hc.Sequential) -> Parameters:
    """A copy of the model's parameters under the page's names."""
    names = ("w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4")
    return {name: array.copy() for name, array in zip(names, model.named_parameters().values(), strict=True)}


def unmoved(parameters: Parameters) -> dict[str, Any]:
    """Adam's state before its first step."""
    return {"t": 0, "m": dict.fromkeys(parameters, 0.0), "v": dict.fromkeys(parameters, 0.0)}


def batches(model: hc.Sequential, samples: int, epochs: int) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """The samples of each batch of ``fit``, and its dropout mask: the package's streams, by its own functions."""
    streams, shard = Streams(SEED), shard_size(model, BATCH)
    dropout = hc.Dropout(0.3)
    for epoch in range(epochs):
        order = streams.generator(Purpose.SHUFFLE, epoch).permutation(samples)
        for step, start in enumerate(range(0, samples, BATCH)):
            batch, masks = order[start : start + BATCH], []
            for number, first in enumerate(range(0, len(batch), shard)):
                dropout.generator = streams.generator(Purpose.DROPOUT, epoch, step, number)
                units = np.ones((len(batch[first : first + shard]), 128))
                masks.append(dropout.forward(units, training=True))
            yield batch, np.concatenate(masks)


def loss_of(page: ModuleType, parameters: Parameters, x: Array, labels: Array, mask: Array) -> float:
    loss, _ = page.softmax_cross_entropy(page.forward(parameters, x, mask)[0], labels)
    return float(loss + 1e-4 * np.sum(parameters["w3"] ** 2))


def gradients_of(page: ModuleType, parameters: Parameters, x: Array, labels: Array, mask: Array) -> Parameters:
    scores, values = page.forward(parameters, x, mask)
    _, dscores = page.softmax_cross_entropy(scores, labels)
    gradients: Parameters = page.backward(parameters, values, dscores, mask)
    return gradients


def test_twenty_steps_move_the_weights_as_fit_does(page: ModuleType, model: hc.Sequential) -> None:
    x, labels, _, _ = page.load(None)
    x, labels = x[:300].astype(np.float64), labels[:300]
    parameters = of(model)
    before, adam, losses = parameters.copy(), unmoved(parameters), []
    for batch, mask in batches(model, len(x), epochs=2):
        losses.append(len(batch) * loss_of(page, parameters, x[batch], labels[batch], mask))
        page.adam_step(parameters, gradients_of(page, parameters, x[batch], labels[batch], mask), adam)
    assert adam["t"] == 20

    history = model.fit(x, labels, epochs=2, batch_size=BATCH, optimizer=hc.Adam(1e-3))

    for name, array in of(model).items():
        assert np.abs(array - before[name]).max() > 1e-3
        np.testing.assert_allclose(parameters[name], array, rtol=0, atol=1e-9)
    np.testing.assert_allclose([sum(losses[:10]) / 300, sum(losses[10:]) / 300], history["loss"], rtol=1e-9)


def test_its_gradients_are_the_slopes_of_its_loss(
    page: ModuleType, model: hc.Sequential, rng: np.random.Generator
) -> None:
    parameters, x, labels = of(model), rng.normal(size=(2, 1, 28, 28)), np.array([3, 8])
    mask = (rng.random((2, 128)) >= 0.3) / 0.7
    for name, gradient in gradients_of(page, parameters, x, labels, mask).items():
        largest = np.argsort(np.abs(gradient), axis=None)[-3:]
        for place in {*largest, *rng.integers(0, gradient.size, 5)}:
            ends = []
            for move in (1e-6, -1e-6):
                moved = {**parameters, name: parameters[name].copy()}
                moved[name].flat[place] += move
                ends.append(loss_of(page, moved, x, labels, mask))
            assert gradient.flat[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8), (name, place)


def test_the_gradient_of_a_tie_goes_to_the_first_cell_row_by_row(page: ModuleType) -> None:
    x = np.array([[1.0, 5.0, 9.0], [5.0, 5.0, 9.0], [9.0, 9.0, 9.0]])[None, None]
    assert page.max_pool(x).tolist() == [[[[5.0]]]]
    assert page.max_pool_backward(np.full((1, 1, 1, 1), 2.0), x)[0, 0].tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]


def test_scores_of_any_size_have_a_loss(page: ModuleType) -> None:
    loss, dscores = page.softmax_cross_entropy(np.array([[1e4, 0.0], [1e4, 0.0]]), np.array([0, 1]))
    assert loss == 5000
    assert dscores.tolist() == [[0, 0], [0.5, -0.5]]


def test_it_stays_in_float32(page: ModuleType, rng: np.random.Generator) -> None:
    parameters, adam = page.start(rng)
    mask = (rng.random((2, 128)) >= 0.3) / np.float32(0.7)
    x = rng.random((2, 1, 28, 28), np.float32)
    page.adam_step(parameters, gradients_of(page, parameters, x, np.array([0, 1]), mask), adam)
    assert {array.dtype for array in parameters.values()} == {np.dtype(np.float32)}


def test_it_has_the_parameters_of_the_reference_network(page: ModuleType, rng: np.random.Generator) -> None:
    assert sum(array.size for array in page.start(rng)[0].values()) == 53_866


def test_it_enlarges_the_embedded_digits_to_the_size_of_mnist(page: ModuleType) -> None:
    x_train, y_train, x_test, y_test = page.load(None)
    assert (x_train.shape, x_test.shape) == ((1437, 1, 28, 28), (360, 1, 28, 28))
    assert (y_train.shape, y_test.shape) == ((1437,), (360,))
    pixels = x_train[:, 0, 2:26, 2:26].reshape(-1, 8, 3, 8, 3)
    assert np.ptp(pixels, axis=(2, 4)).max() == 0
    assert np.count_nonzero(pixels) == np.count_nonzero(x_train)
    assert (x_train.min(), x_train.max()) == (0, np.float32(240 / 255))


def test_it_reads_the_files_of_mnist(page: ModuleType, rng: np.random.Generator, tmp_path: Path) -> None:
    shapes = {
        "train-images-idx3": (5, 28, 28),
        "train-labels-idx1": (5,),
        "t10k-images-idx3": (2, 28, 28),
        "t10k-labels-idx1": (2,),
    }
    arrays = {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}
    for name, array in arrays.items():
        write_idx(tmp_path / f"{name}-ubyte.gz", array)
    x_train, y_train, x_test, y_test = page.load(tmp_path)
    assert x_train.dtype == np.float32
    np.testing.assert_array_equal(x_train[:, 0], arrays["train-images-idx3"] / np.float32(255))
    np.testing.assert_array_equal(x_test[:, 0], arrays["t10k-images-idx3"] / np.float32(255))
    np.testing.assert_array_equal(y_train, arrays["train-labels-idx1"])
    np.testing.assert_array_equal(y_test, arrays["t10k-labels-idx1"])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PATH), *arguments], capture_output=True, text=True, check=False)


def test_as_a_script_it_learns_the_digits_and_repeats_itself() -> None:
    first, again = run("--epochs", "2"), run("--epochs", "2")
    assert first.returncode == 0, first.stderr
    assert first.stdout == again.stdout
    losses = [float(found) for found in re.findall(r"epoch \d: loss (\d\.\d{4}), accuracy \d+\.\d\d%", first.stdout)]
    assert len(losses) == 2
    assert losses[1] < losses[0] < np.log(10)
    accuracy = re.fullmatch(r"test accuracy (\d+\.\d\d)%", first.stdout.splitlines()[-1])
    assert accuracy is not None
    assert float(accuracy[1]) > 80


def test_a_folder_without_the_files_is_named_in_one_line(tmp_path: Path) -> None:
    answer = run(str(tmp_path))
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "train-images-idx3-ubyte.gz" in answer.stderr


def test_it_imports_numpy_and_the_standard_library_alone() -> None:
    imported = set()
    for node in ast.walk(ast.parse(PATH.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert "numpy" in imported
    assert imported - {"numpy"} <= set(sys.stdlib_module_names)
