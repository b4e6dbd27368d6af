"""Attributions: gradients against central differences, completeness, and what deleting the named pixels does."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import probabilities
from handconv.analysis.attribution import (
    class_scores,
    exciting_input,
    grad_cam,
    hires_cam,
    integrated_gradients,
    saliency,
)


def tiny(*head: hc.Layer) -> hc.Sequential:
    head = head or (hc.Flatten(), hc.Dense(3), hc.Softmax())
    return hc.Sequential([hc.Conv2D(2, 3), hc.Tanh(), *head], input_shape=(1, 5, 5), seed=3, dtype="float64")


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.random((2, 1, 5, 5))


def test_saliency_equals_central_differences_of_the_score(images: np.ndarray) -> None:
    model, labels, step = tiny(), np.array([2, 0]), 1e-5
    found = saliency(model, images, labels)
    for n, i, j in np.ndindex(2, 5, 5):
        up, down = images.copy(), images.copy()
        up[n, 0, i, j] += step
        down[n, 0, i, j] -= step
        slope = (class_scores(model, up) - class_scores(model, down))[n, labels[n]] / (2 * step)
        assert found[n, 0, i, j] == pytest.approx(slope, abs=1e-8)


def test_the_softmax_of_the_scores_are_the_probabilities(images: np.ndarray) -> None:
    scores = np.exp(class_scores(tiny(), images))
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), probabilities(tiny(), images))


def test_integrated_gradients_add_up_to_what_the_score_gained(images: np.ndarray) -> None:
    model, labels = tiny(), np.array([1, 2])
    shares = integrated_gradients(model, images, labels, baseline=0.2, steps=200)
    gained = class_scores(model, images) - class_scores(model, np.full_like(images, 0.2))
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), gained[[0, 1], labels], rtol=1e-5)


def test_a_single_output_scores_no_and_yes_by_opposite_signs(images: np.ndarray) -> None:
    model = tiny(hc.Flatten(), hc.Dense(1), hc.Sigmoid())
    np.testing.assert_allclose(saliency(model, images, [0, 0]), -saliency(model, images, [1, 1]))


def test_without_labels_the_answers_are_explained(images: np.ndarray) -> None:
    model = tiny()
    answers = probabilities(model, images).argmax(axis=1)
    np.testing.assert_array_equal(saliency(model, images), saliency(model, images, answers))


def test_pixels_as_bytes_count_as_their_255ths(images: np.ndarray) -> None:
    pixels = (images * 255).astype(np.uint8)
    np.testing.assert_allclose(saliency(tiny(), pixels), saliency(tiny(), pixels / 255))


def test_after_global_pooling_grad_cam_is_the_maps_weighted_by_the_dense_weights(images: np.ndarray) -> None:
    model = tiny(hc.GlobalAveragePool2D(), hc.Dense(3), hc.Softmax())
    maps = model[:2].predict(images)  # (2, 2, 3, 3)
    expected = np.maximum(np.einsum("nkij,k->nij", maps, model.layers[-2].weights[:, 1] / 9), 0)
    found = grad_cam(model, images, [1, 1])
    np.testing.assert_allclose(found[:, 1:4, 1:4], expected)  # each 3x3 window's centre
    np.testing.assert_allclose(found[:, [0, 4]], found[:, [1, 3]])  # beyond them


def test_after_global_pooling_both_class_maps_are_the_same(images: np.ndarray) -> None:
    model = tiny(hc.GlobalAveragePool2D(), hc.Dense(3), hc.Softmax())
    np.testing.assert_allclose(grad_cam(model, images), hires_cam(model, images))


def test_hires_cam_is_the_positive_part_of_each_cell_times_its_gradient(images: np.ndarray) -> None:
    model = tiny()
    maps, weights = model[:2].predict(images), model.layers[-2].weights[:, 1].reshape(2, 3, 3)
    centre = np.maximum((maps * weights).sum(axis=1), 0)[:, 1, 1]
    np.testing.assert_allclose(hires_cam(model, images, [1, 1])[:, 2, 2], centre)


class Halved(hc.Layer):
    """A layer of one's own, of which nothing is known but its shapes: every other row and column."""

    def infer_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[0], input_shape[1] // 2, input_shape[2] // 2

    def forward(self, inputs: np.ndarray, training: bool = False) -> np.ndarray:
        self.output = np.ascontiguousarray(inputs[:, :, ::2, ::2])
        return self.output

    def backward(self, dvalues: np.ndarray) -> np.ndarray:
        self.dinputs = np.zeros((len(dvalues), *(self.input_shape or ())))
        self.dinputs[:, :, ::2, ::2] = dvalues
        return self.dinputs


block = hc.Residual([hc.Conv2D(2, 3, padding=1, stride=2)], hc.Conv2D(2, 1, stride=2))


@pytest.mark.parametrize(
    ("layers", "centres"),
    [
        ([hc.Conv2D(2, 3), hc.MaxPool2D(2), hc.Conv2D(2, 3)], [3.5, 5.5, 7.5, 9.5]),
        ([hc.Conv2D(2, 3), hc.AveragePool2D(2), hc.Conv2D(2, 3)], [3.5, 5.5, 7.5, 9.5]),
        ([hc.Conv2D(2, 3, padding="same"), hc.ReLU(), hc.MaxPool2D(2)], [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5]),
        ([hc.ZeroPad2D(2), hc.Conv2D(2, 3, stride=3)], [-1, 2, 5, 8, 11, 14]),
        ([hc.Conv2D(2, 3, dilation=2, stride=5)], [2, 7]),
        ([hc.Conv2D(2, 2), hc.ReLU(), block], [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5]),
        ([hc.Conv2D(2, 1), Halved()], [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5]),
    ],
    ids=["three layers", "average", "same", "padding before", "dilation", "residual", "of one's own"],
)
def test_a_cell_of_a_class_map_lies_at_the_centre_of_what_it_looks_at(
    layers: list[hc.Layer], centres: list[float]
) -> None:
    head = [hc.Flatten(), hc.Dense(2), hc.Softmax()]
    model = hc.Sequential([*copy.deepcopy(layers), *head], input_shape=(1, 14, 14), seed=0, dtype="float64")
    image = np.random.default_rng(0).random((1, 1, 14, 14))
    maps, last = model[: len(layers)].predict(image)[0], len(layers) - 1
    slopes = model.layers[-2].weights[:, 1].reshape(maps.shape)
    expected = np.maximum((maps * slopes).sum(axis=0), 0)
    for _ in ("rows", "columns"):
        expected = np.stack([np.interp(range(14), centres, line) for line in expected.T])
    np.testing.assert_allclose(hires_cam(model, image, [1], layer=last)[0], expected, atol=1e-12)


def test_the_model_keeps_its_gradients(images: np.ndarray) -> None:
    model = tiny()
    model.gradients = np.arange(model.gradients.size)
    saliency(model, images)
    np.testing.assert_array_equal(model.gradients, np.arange(model.gradients.size))


def test_many_samples_get_what_each_gets_alone(rng: np.random.Generator) -> None:
    many = rng.random((70, 1, 5, 5))
    np.testing.assert_allclose(saliency(tiny(), many)[-1:], saliency(tiny(), many[-1:]))


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_an_exciting_input_excites_its_unit_more_than_grey(layer: int) -> None:
    model = tiny()
    found = exciting_input(model, layer, 1, steps=20)
    outputs = (model if layer == -1 else model[: layer + 1]).predict(np.stack([found, np.full_like(found, 0.5)]))
    excited, grey = outputs[:, 1].reshape(2, -1).mean(axis=1)
    assert excited > grey
    assert 0 <= found.min() <= found.max() <= 1


def named_well(pictures: np.ndarray, model: hc.Sequential, x: np.ndarray, y: np.ndarray) -> int:
    """Of how many images a fifth of the pixels, those with the largest values, set to black lowers the probability
    of the class more than as many at random do, in the mean of ten choices."""
    rng, count = np.random.default_rng(0), len(x)

    def left(order: np.ndarray) -> np.ndarray:
        images = x.reshape(count, -1).copy()
        np.put_along_axis(images, np.argsort(-order, axis=1)[:, : images.shape[1] // 5], 0, axis=1)
        return probabilities(model, images.reshape(x.shape))[np.arange(count), y]

    at_random = np.mean([left(rng.random((count, 784))) for _ in range(10)], axis=0)
    return np.count_nonzero(left(pictures.reshape(count, -1)) < at_random)


@pytest.fixture(scope="module")
def hundred(data_dir: Path) -> tuple[hc.Sequential, np.ndarray, np.ndarray]:
    """The bundled model and the first hundred images of MNIST's test set."""
    _, (x, y) = hc.datasets.load_mnist(data_dir=data_dir)
    return hc.zoo.trained_reference(), x[:100], y[:100]


@pytest.fixture(scope="module")
def trained_as_they_are(data_dir: Path) -> hc.Sequential:
    """The reference network, trained on the images as they are: augmentation spreads what matters."""
    (x_train, y_train), _ = hc.datasets.load_mnist(data_dir=data_dir)
    model = hc.zoo.reference(seed=0)
    model.fit(x_train, y_train, **hc.recipes.fit_arguments(hc.recipes.load("fast")))
    return model


@dataclass(frozen=True)
class DeletedPixels(hc.augment.Augmentation):
    """Sets random pixels of each image to black: of one none, of another up to half of them."""

    def _apply(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        share = generator.uniform(0, 0.5, (len(images), 1, 1, 1))
        return np.where(generator.random(images.shape) < share, images.dtype.type(0), images)


@pytest.fixture(scope="module")
def knows_deletion(data_dir: Path) -> hc.Sequential:
    """A network that ends in a mean over each map, and has seen images with deleted pixels.

    To one that has not, an image with deleted pixels is foreign, and what it answers says nothing of what was deleted
    (Hooker, Erhan, Kindermans and Kim, A benchmark for interpretability methods in deep neural networks, 2019).
    """
    (x_train, y_train), _ = hc.datasets.load_mnist(data_dir=data_dir)
    blocks = [[hc.Conv2D(width, 3, padding="same"), hc.BatchNorm(), hc.ReLU()] for width in (8, 16, 32)]
    (first, second, third), head = blocks, [hc.GlobalAveragePool2D(), hc.Dense(10), hc.Softmax()]
    layers = [*first, hc.MaxPool2D(2), *second, hc.MaxPool2D(2), *third, *head]
    model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=0)
    arguments = hc.recipes.fit_arguments(hc.recipes.load("fast"))
    model.fit(x_train[:30000], y_train[:30000], augment=DeletedPixels(), **arguments)
    return model


@pytest.mark.parametrize(
    ("network", "attribution"),
    [
        *(("trained_as_they_are", each) for each in (saliency, integrated_gradients)),
        *(("knows_deletion", each) for each in (saliency, integrated_gradients, grad_cam, hires_cam)),
    ],
)
def test_deleting_the_named_pixels_lowers_the_probability_of_ninety_in_a_hundred_images_more_than_random_ones(
    network: str,
    attribution: Callable[..., np.ndarray],
    hundred: tuple[hc.Sequential, np.ndarray, np.ndarray],
    request: pytest.FixtureRequest,
) -> None:
    model, (_, x, y) = request.getfixturevalue(network), hundred
    assert named_well(attribution(model, x, y), model, x, y) >= 90


def test_of_the_bundled_model_integrated_gradients_name_what_matters_in_ninety_images(
    hundred: tuple[hc.Sequential, np.ndarray, np.ndarray],
) -> None:
    """Saliency does in 86: the model, trained on images that are never twice the same, looks at more of each."""
    model, x, y = hundred
    assert named_well(integrated_gradients(model, x, y), model, x, y) >= 90


def test_after_flatten_hires_cam_names_more_of_what_matters_than_grad_cam(
    hundred: tuple[hc.Sequential, np.ndarray, np.ndarray],
) -> None:
    model, x, y = hundred
    assert named_well(hires_cam(model, x, y), model, x, y) > named_well(grad_cam(model, x, y), model, x, y) + 20


def test_of_the_first_poolings_maps_hires_cam_names_what_matters_in_ninety_of_a_hundred_images(
    hundred: tuple[hc.Sequential, np.ndarray, np.ndarray], trained_as_they_are: hc.Sequential
) -> None:
    """The bundled model's are named well in 87."""
    _, x, y = hundred
    assert named_well(hires_cam(trained_as_they_are, x, y, layer=2), trained_as_they_are, x, y) >= 90


def test_the_maps_of_any_layer_can_be_asked_for(images: np.ndarray) -> None:
    model = tiny()
    maps, slopes = model[:1].predict(images), model.layers[-2].weights[:, 1].reshape(2, 3, 3)
    weights = slopes * (1 - np.tanh(maps) ** 2)  # back through the Tanh
    centre = np.maximum((maps * weights).sum(axis=1), 0)[:, 1, 1]
    np.testing.assert_allclose(hires_cam(model, images, [1, 1], layer=0)[:, 2, 2], centre)
    pooled = np.maximum((maps * weights.mean(axis=(2, 3), keepdims=True)).sum(axis=1), 0)[:, 1, 1]
    np.testing.assert_allclose(grad_cam(model, images, [1, 1], layer=0)[:, 2, 2], pooled)


@pytest.mark.parametrize(
    ("layer", "message"),
    [(4, r"layer must be from 0 to 3, got 4"), (-1, "from 0 to 3, got -1"), (2, r"needs feature maps .* Flatten")],
)
def test_layers_without_maps_have_no_class_map(layer: int, message: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=message):
        grad_cam(tiny(), images, layer=layer)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 3], r"from 0 to 2, got 0 to 3"), ([0], r"one class number a sample, \(2,\)"), ([0.0, 1.0], "got float64")],
)
def test_labels_that_do_not_fit(labels: list[float], message: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=message):
        saliency(tiny(), images, labels)


def test_a_model_without_convolutions_has_no_class_map() -> None:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(ValueError, match="no convolution"):
        grad_cam(model, np.zeros((1, 3)))


@pytest.mark.parametrize(("layer", "unit", "message"), [(5, 0, "layer must be from 0 to 4"), (3, 3, "from 0 to 2")])
def test_layers_and_units_that_there_are_not(layer: int, unit: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exciting_input(tiny(), layer, unit)


def test_models_and_samples_that_cannot_be_looked_into(images: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"handconv\.Sequential"):
        saliency("model", images)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no shapes yet"):
        saliency(hc.Sequential([hc.Dense(2)]), images)
    with pytest.raises(ValueError, match="one vector"):
        saliency(hc.Sequential([hc.Conv2D(1, 3)], input_shape=(1, 5, 5)), images)
    with pytest.raises(ValueError, match="at least one sample"):
        saliency(tiny(), images[:0])


@pytest.mark.parametrize("ask", [saliency, integrated_gradients, grad_cam, hires_cam, class_scores])
def test_samples_are_checked_as_predict_checks_them(ask: Callable[..., np.ndarray]) -> None:
    model, images = hc.zoo.reference(seed=0), np.ones((2, 1, 28, 28))
    with pytest.raises(ValueError, match="x must be finite, got NaN or infinity"):
        ask(model, images * np.nan)
    with pytest.raises(ValueError, match=r"x has .* masked"):
        ask(model, np.ma.array(images, mask=images > 0))


def test_the_seed_of_an_exciting_input_is_a_whole_number() -> None:
    with pytest.raises(TypeError, match=r"A seed must be a whole number, .* got 'a'"):
        exciting_input(hc.zoo.reference(), seed="a")  # type: ignore[arg-type]
