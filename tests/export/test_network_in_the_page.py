"""The page computes what NumPy computes: every layer, in a real browser."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import probabilities
from handconv.export.stages import stages_of

from .conftest import Open, computed

ENDING = [hc.Flatten(), hc.Dense(3), hc.Softmax()]
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
    "groups of channels": (
        [hc.Conv2D(6, 3, padding=1), hc.Conv2D(9, (3, 2), groups=3, stride=2), hc.Flatten(), hc.Dense(3), hc.Softmax()],
        (1, 9, 9),
    ),
    "each channel by itself": (
        [hc.Conv2D(4, 3, groups=4, padding="same"), hc.Conv2D(8, 3, groups=4, use_bias=False), *ENDING],
        (4, 7, 7),
    ),
    "windows with holes": (
        [hc.Conv2D(3, 3, dilation=(2, 3), padding="same", stride=2), hc.Conv2D(4, 2, dilation=2, padding=1), *ENDING],
        (2, 13, 11),
    ),
    "windows with holes, wider than the image": ([hc.Conv2D(3, 3, dilation=4, padding=4), *ENDING], (1, 4, 4)),
    "a margin of zeros": ([hc.ZeroPad2D((0, 2, 1, 3)), hc.Conv2D(3, 3), hc.ZeroPad2D(1), *ENDING], (2, 6, 6)),
    "normalised over the batch": (
        [hc.Conv2D(4, 3), hc.BatchNorm(), hc.ReLU(), hc.Flatten(), hc.Dense(5), hc.BatchNorm(epsilon=0.1), hc.Dense(3)],
        (1, 7, 7),
    ),
    "normalised by itself": (
        [hc.Conv2D(6, 3), hc.GroupNorm(3), hc.LayerNorm(), hc.Flatten(), hc.Dense(5), hc.LayerNorm(), hc.Dense(3)],
        (1, 7, 7),
    ),
    "whole channels dropped": ([hc.Conv2D(4, 3), hc.SpatialDropout2D(0.5), *ENDING], (1, 6, 6)),
    "smooth activations": (
        [hc.Conv2D(4, 3), hc.ELU(0.7), hc.Conv2D(4, 2), hc.GELU(), hc.Conv2D(4, 2), hc.SiLU(), hc.Softplus(), *ENDING],
        (1, 9, 9),
    ),
    "residual": ([hc.Conv2D(4, 3), hc.Residual([hc.ReLU(), hc.Conv2D(4, 3, padding=1)]), *ENDING], (1, 7, 7)),
    "residual with a projection": (
        [hc.Residual([hc.Conv2D(4, 3, padding=1, stride=2), hc.Tanh()], hc.Conv2D(4, 1, stride=2)), *ENDING],
        (1, 7, 7),
    ),
    "residual within a residual": (
        [
            hc.Conv2D(4, 3),
            hc.Residual(
                [
                    hc.BatchNorm(),
                    hc.Residual([hc.ReLU(), hc.Conv2D(6, 3, padding=1)], projection=hc.Conv2D(6, 1)),
                    hc.Residual([hc.Conv2D(6, 3, padding=1, groups=2)]),
                    hc.Conv2D(4, 1),
                ]
            ),
            hc.GlobalAveragePool2D(),
            hc.Residual([hc.Dense(4)]),
            hc.Dense(3),
            hc.Softmax(),
        ],
        (1, 7, 7),
    ),
}


def network_of(name: str, rng: np.random.Generator) -> hc.Sequential:
    """One of the networks, with arrays of any values."""
    layers, shape = NETWORKS[name]
    model = hc.Sequential([layer.copy() for layer in layers], input_shape=shape, seed=1)
    model.parameters[:] = rng.normal(0, 0.5, model.parameters.shape)
    model.buffers[:] = rng.uniform(0.2, 2, model.buffers.shape)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_computes_what_numpy_computes(name: str, open_model: Open, rng: np.random.Generator) -> None:
    model = network_of(name, rng)
    images = rng.normal(0.3, 0.5, (4, *NETWORKS[name][1])).astype(np.float32)
    page = open_model(model, images)
    script = "(image) => forward(network, Float32Array.from(image)).map((values) => [...values])"
    for image in images:
        model.forward(image[None])
        stages = stages_of(model.layers)
        for (layer, *_), values in zip(stages, page.evaluate(script, image.ravel().tolist())[1:], strict=True):
            np.testing.assert_allclose(values, layer.output.ravel(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(computed(page, images), probabilities(model, images), atol=1e-5)


def test_every_layer_of_the_package_has_its_network_here() -> None:
    layers = [layer for top, _ in NETWORKS.values() for each in top for _, layer in each.tree()]
    known = {type(layer).__name__ for layer in layers}
    assert known == set(hc.layers.__all__) - {"Layer", "ParameterSpec"}


def test_every_layer_is_computed_and_told_of(page: Any) -> None:
    names = page.evaluate("[FORWARD, DOES, EXPLAIN].map((table) => Object.keys(table).sort())")
    assert names == [sorted(set(hc.layers.__all__) - {"Layer", "ParameterSpec"})] * 3


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_outside_of_its_frame_moves_a_unit(name: str, open_model: Open, rng: np.random.Generator) -> None:
    image = rng.normal(0.3, 0.5, NETWORKS[name][1]).astype(np.float32)
    page = open_model(network_of(name, rng), image[None])
    script = """(image) => {
        const [C, H, W] = network.shapes[0], before = forward(network, Float32Array.from(image)), moved = [];
        for (let k = 1; k < before.length; k++) {
            for (const share of [0, 0.4, 0.7]) {
                const index = Math.floor(share * before[k].length), box = fieldOf(network, k, index)[0];
                const changed = Float32Array.from(image, (value, cell) => {
                    const at = [Math.floor(cell / (H * W)), Math.floor(cell / W) % H, cell % W];
                    const axes = box ? [box.maps, box.rows, box.columns] : [[0, 0]];
                    return axes.every(([first, end], k) => first <= at[k] && at[k] < end) ? value : value + 1;
                });
                if (forward(network, changed)[k][index] !== before[k][index]) moved.push([k, index]);
            }
        }
        return moved;
    }"""
    assert page.evaluate(script, image.ravel().tolist()) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_every_stage_tells_of_its_units(name: str, open_model: Open, rng: np.random.Generator) -> None:
    page = open_model(network_of(name, rng), rng.normal(0.3, 0.5, (1, *NETWORKS[name][1])))
    for k in range(page.evaluate("activations.length")):
        page.evaluate("(k) => { look(k, 0); look(k, activations[k].length - 1); }", k)
        text = page.locator("#unit").inner_text() + page.locator(f"#layers li:nth-child({max(k, 1)})").inner_text()
        assert not re.search("NaN|undefined|null|Infinity", text)


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
