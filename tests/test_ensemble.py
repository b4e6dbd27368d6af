"""Models that answer together, and models that look several times."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import answer, probabilities, report
from handconv.ensemble import _VIEWS


@pytest.fixture(scope="module")
def models() -> list[hc.Sequential]:
    return [hc.zoo.reference(seed=seed, classes=4, input_shape=(1, 12, 12)) for seed in range(3)]


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, 1, 12, 12), dtype=np.uint8)


def test_it_answers_the_mean_of_its_models(models: list[hc.Sequential], x: np.ndarray) -> None:
    mean = sum(model.predict(x) for model in models) / 3
    np.testing.assert_allclose(hc.Ensemble(models).predict(x), mean, rtol=1e-6)


def test_scores_become_probabilities_first(x: np.ndarray) -> None:
    layers = [hc.Flatten(), hc.Dense(3)]
    model = hc.Sequential(layers, input_shape=(1, 12, 12), seed=0)
    np.testing.assert_allclose(hc.Ensemble([model, model]).predict(x).sum(axis=1), 1, rtol=1e-6)


def test_one_view_is_the_image_as_it_is(models: list[hc.Sequential], x: np.ndarray) -> None:
    assert np.array_equal(hc.Ensemble(models[:1], views=1).predict(x), models[0].predict(x))


def test_views_are_the_same_whatever_the_batch(models: list[hc.Sequential], x: np.ndarray) -> None:
    ensemble = hc.Ensemble(models[:1], views=4)
    together = ensemble.predict(x)
    alone = np.concatenate([ensemble.predict(image[None]) for image in x])
    np.testing.assert_allclose(alone, together, rtol=1e-5)
    assert not np.allclose(together, models[0].predict(x))


def test_pixels_and_floats_are_seen_alike(models: list[hc.Sequential], x: np.ndarray) -> None:
    ensemble = hc.Ensemble(models, views=3)
    np.testing.assert_allclose(ensemble.predict(x), ensemble.predict((x / 255).astype(np.float32)), atol=2e-3)


def test_each_view_has_its_inverse(models: list[hc.Sequential]) -> None:
    first, one, inverse, _ = hc.Ensemble(models, views=4)._matrices()
    assert first is None
    assert one is not None
    assert inverse is not None
    np.testing.assert_allclose(one @ inverse, np.eye(3), atol=1e-12)
    assert np.abs(one[:2, 2]).max() <= 2 * _VIEWS.shift


def test_a_view_moves_the_image_a_little(rng: np.random.Generator) -> None:
    seen: list[np.ndarray] = []

    class Watch(hc.Layer):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            seen.append(np.array(inputs))
            return inputs

        def backward(self, dvalues: Any) -> Any:
            return dvalues

    model = hc.Sequential([Watch(), hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
    square = np.zeros((1, 1, 28, 28), np.float32)
    square[..., 8:20, 8:20] = 1
    hc.Ensemble([model], views=5).predict(square)
    assert len(seen) == 5
    assert np.array_equal(seen[0], square)
    for view in seen[1:]:
        assert 0 < np.abs(view - square).mean() < 0.1
        assert view.sum() == pytest.approx(square.sum(), rel=0.2)


def test_its_accuracy_and_loss_are_of_the_mean(models: list[hc.Sequential], x: np.ndarray) -> None:
    ensemble, y = hc.Ensemble(models, views=2), np.array([0, 1, 2, 3, 0])
    chances = ensemble.predict(x)
    figures = ensemble.evaluate(x, y)
    assert figures["accuracy"] == (chances.argmax(axis=1) == y).mean()
    assert figures["loss"] == pytest.approx(-np.log(chances[np.arange(5), y]).mean(), rel=1e-5)


@pytest.mark.parametrize("last", [[hc.Dense(3), hc.Softmax()], [hc.Dense(3)], [hc.Dense(1), hc.Sigmoid()]])
def test_its_loss_is_that_of_the_model_also_where_a_probability_is_too_small_for_a_float(last: Any) -> None:
    model = hc.Sequential([layer.copy() for layer in last], input_shape=(2,), seed=0)
    model.parameters *= 1000
    x, y = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2
    expected = model.evaluate(x, y)
    assert expected["loss"] > 50  # beyond -log(1e-7)
    assert hc.Ensemble([model, model]).evaluate(x, y) == pytest.approx(expected, rel=1e-5)
    assert report(model, x, y).loss == pytest.approx(expected["loss"], rel=1e-5)


def test_models_that_are_sure_of_different_classes_have_the_loss_of_one_half() -> None:
    models = [hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0) for _ in range(2)]
    models[0].layers[0].set_parameters(weights=[[500.0, 0.0]])
    models[1].layers[0].set_parameters(weights=[[0.0, 500.0]])
    assert hc.Ensemble(models).evaluate([[1.0]], [0])["loss"] == pytest.approx(np.log(2))


def test_a_softmax_of_ones_own_is_measured_by_its_probabilities(x: np.ndarray) -> None:
    class Mine(hc.Softmax):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            return super().forward(inputs * 2, training)

    model = hc.Sequential([hc.Flatten(), hc.Dense(3), Mine()], input_shape=(1, 12, 12), seed=0)
    y = np.arange(5) % 3
    assert hc.Ensemble([model]).evaluate(x, y) == pytest.approx(model.evaluate(x, y), rel=1e-5)


def test_it_is_reported_as_a_model_is(models: list[hc.Sequential], x: np.ndarray) -> None:
    ensemble, y = hc.Ensemble(models), np.array([0, 1, 2, 3, 0])
    result = report(ensemble, x, y)
    assert {"loss": result.loss, "accuracy": result.accuracy} == pytest.approx(ensemble.evaluate(x, y))
    assert answer(ensemble, x[0]).label == probabilities(ensemble, x)[0].argmax()


def with_info(model: hc.Sequential, **info: Any) -> hc.Sequential:
    model.info = info
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (list, "at least one, got none"),
        (lambda: [hc.zoo.reference(), hc.zoo.reference(classes=5)], "same classes: the first has 10, number 2 has 5"),
        (
            lambda: [hc.zoo.reference(), hc.zoo.reference(), hc.zoo.reference(input_shape=(1, 32, 32))],
            r"same images or samples: the first has \(1, 28, 28\), number 3 has \(1, 32, 32\)",
        ),
        (
            lambda: [
                with_info(hc.zoo.reference(classes=2), class_names=["cat", "dog"]),
                with_info(hc.zoo.reference(classes=2), class_names=["dog", "cat"]),
            ],
            r"same class names: the first has \['cat', 'dog'\]",
        ),
        (
            lambda: [with_info(hc.zoo.reference(), preparation={"scale": scale}) for scale in (1, 2)],
            "same preparation: .*Train them on the same data",
        ),
    ],
)
def test_models_that_answer_another_question_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hc.Ensemble(make())


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be handconv\.Sequential models, got 3"):
        hc.Ensemble([3])  # type: ignore[list-item]


@pytest.mark.parametrize("views", [0, 1.5, "many"])
def test_views_are_a_whole_number(views: Any) -> None:
    with pytest.raises(ValueError, match="Ensemble: views must be a whole number of at least 1"):
        hc.Ensemble([hc.zoo.reference()], views=views)


def test_vectors_have_no_views() -> None:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    assert hc.Ensemble([model, model]).predict(np.zeros((1, 3))).shape == (1, 2)
    with pytest.raises(ValueError, match=r"samples of shape \(3,\)\. Use views=1"):
        hc.Ensemble([model], views=2)


def test_what_is_no_classifier_is_refused() -> None:
    model = hc.Sequential([hc.Conv2D(2, 3)], input_shape=(1, 8, 8), seed=0)
    with pytest.raises(ValueError, match=r"one vector \(K,\) a sample, this model gives \(2, 6, 6\)"):
        hc.Ensemble([model])


@pytest.mark.parametrize("models", [None, 3, hc.Sequential([hc.Dense(2)], input_shape=(2,), seed=0)])
def test_what_is_no_list_of_models_is_refused(models: object) -> None:
    with pytest.raises(TypeError, match=r"^Ensemble: models must be a list of handconv\.Sequential models, got "):
        hc.Ensemble(models)  # type: ignore[arg-type]


def test_a_softmax_of_ones_own_is_not_taken_again() -> None:
    class Sharp(hc.Softmax):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            return super().forward(2 * inputs, training)

    model = hc.Sequential([hc.Dense(3), Sharp()], input_shape=(2,), seed=0)
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(hc.Ensemble([model]).predict(x), model.predict(x))


def test_several_answers_of_yes_or_no_name_no_class() -> None:
    model = hc.Sequential([hc.Dense(3), hc.Sigmoid()], input_shape=(2,), seed=0)
    with pytest.raises(ValueError, match=r"ends in Sigmoid with 3 outputs, which say yes or no each\. Put a Softmax"):
        hc.Ensemble([model]).predict(np.ones((4, 2)))
