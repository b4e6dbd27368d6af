"""The page computes what NumPy computes: every layer, in a real browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import probabilities

from .conftest import Open, computed

NETWORKS: dict[str, tuple[list[hc.Layer], tuple[int, ...]]] = {
    "padding by numbers, strides": (
        [hc.Conv2D(3, (3, 2), stride=(2, 1), padding=(1, 2)), hc.ReLU(), hc.Flatten(), hc.Dense(3), hc.Softmax()],
        (1, 9, 9),
    ),
    "same padding, even kernels": (
        [hc.Conv2D(4, 4, padding="same", stride=3), hc.Tanh(), hc.Flatten(), hc.Dense(3), hc.Softmax()],
        (1, 10, 10),
    ),
    "a kernel larger than the image": (
        [hc.Conv2D(2, 5, padding=2), hc.LeakyReLU(0.3), hc.Flatten(), hc.Dense(2), hc.Softmax()],
        (1, 3, 3),
    ),
    "pools that overlap, in the padding": (
        [
            hc.Conv2D(3, 3, padding="valid"),
            hc.MaxPool2D(3, stride=2, padding=1),
            hc.AveragePool2D(2, stride=1, padding="same"),
            hc.Flatten(),
            hc.Dense(4),
            hc.Softmax(),
        ],
        (1, 11, 11),
    ),
    "average padding": (
        [hc.AveragePool2D((3, 2), padding=1), hc.MaxPool2D((1, 2), padding="same"), hc.Flatten(), hc.Dense(3)],
        (1, 8, 8),
    ),
    "means of channels, without biases": (
        [hc.Conv2D(6, 3, use_bias=False), hc.Sigmoid(), hc.GlobalAveragePool2D(), hc.Dense(3, use_bias=False)],
        (1, 8, 8),
    ),
    "shapes and back": (
        [hc.Reshape((4, 3, 3)), hc.Conv2D(2, 2), hc.Flatten(), hc.Dropout(0.5), hc.Dense(5), hc.Softmax()],
        (1, 6, 6),
    ),
    "softmax within": ([hc.Softmax(), hc.Flatten(), hc.Softmax(), hc.Dense(3), hc.Softmax()], (1, 5, 5)),
    "yes or no": ([hc.Flatten(), hc.Dense(1), hc.Sigmoid()], (1, 5, 5)),
    "colour, not square": ([hc.Conv2D(4, 3), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(3), hc.Softmax()], (3, 8, 10)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_computes_what_numpy_computes(name: str, open_model: Open, rng: np.random.Generator) -> None:
    layers, shape = NETWORKS[name]
    model = hc.Sequential(layers, input_shape=shape, seed=1)
    model.parameters[:] = rng.normal(0, 0.5, model.parameters.shape)
    images = rng.normal(0.3, 0.5, (4, *shape)).astype(np.float32)
    page = open_model(model, images)
    script = "(image) => forward(network, Float32Array.from(image)).map((values) => [...values])"
    for image in images:
        x = image[None]
        for layer, values in zip(model.layers, page.evaluate(script, image.ravel().tolist())[1:], strict=True):
            x = layer.forward(x)
            np.testing.assert_allclose(values, x.ravel(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(computed(page, images), probabilities(model, images), atol=1e-5)


def test_a_thousand_test_images_get_the_probabilities_of_numpy(data_dir: Path, page: Any) -> None:
    images = hc.datasets.load("mnist", data_dir=data_dir).scaled()[1][0][:1000]
    expected = hc.zoo.trained_reference().predict(images)
    np.testing.assert_allclose(computed(page, images), expected, rtol=0, atol=1e-5)


def test_the_images_that_travel_along_arrive_to_the_bit(open_model: Open, rng: np.random.Generator) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 4, 4), seed=0)
    floats = rng.normal(size=(3, 1, 4, 4)).astype(np.float32)
    script = "tests.map(({pixels}) => [...pixels])"
    assert (np.float32(open_model(model, floats).evaluate(script)) == floats.reshape(3, 16)).all()
    pixels = rng.integers(0, 256, (3, 1, 4, 4)).astype(np.uint8)
    assert (np.float32(open_model(model, pixels).evaluate(script)) == pixels.reshape(3, 16) / np.float32(255)).all()


def test_the_heat_is_what_covering_does_to_the_log_odds(page: Any) -> None:
    image = hc.datasets.load("digits").x_test[0, 0] / np.float32(255)
    script = """(image) => {
        const steps = occlusion(network, Float32Array.from(image), 3);
        for (let step = steps.next(); ; step = steps.next()) if (step.done) return [...step.value];
    }"""
    heat = np.reshape(page.evaluate(script, image.ravel().tolist()), (28, 28))

    side, step, model = 5, 2, hc.zoo.trained_reference()
    places = [(top, left) for top in range(1 - side, 28, step) for left in range(1 - side, 28, step)]
    covered = np.stack([image] * (1 + len(places)))
    windows = [np.s_[max(0, top) : top + side, max(0, left) : left + side] for top, left in places]
    for picture, window in zip(covered[1:], windows, strict=True):
        picture[window] = 0
    scores = model[:-1].forward(covered[:, None]).astype(np.float64)
    odds = scores[:, 3] - np.log(np.exp(np.delete(scores, 3, axis=1)).sum(axis=1))
    total, looks = np.zeros((28, 28)), np.zeros((28, 28))
    for window, change, picture in zip(windows, odds[0] - odds[1:], covered[1:], strict=True):
        total[window] += change if np.abs(image - picture).sum() > 0.05 else 0
        looks[window] += 1
    np.testing.assert_allclose(heat, total / looks, atol=1e-3)
