"""What a classifier answers, whatever its last layer is."""

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import answer, probabilities


def model(*layers: hc.Layer) -> hc.Sequential:
    return hc.Sequential([*layers], input_shape=(3,), seed=0)


@pytest.mark.parametrize("last", [[hc.Dense(4), hc.Softmax()], [hc.Dense(4)], [hc.Dense(1), hc.Sigmoid()]], ids=str)
def test_probabilities_add_up_to_one(last: list[hc.Layer], rng: np.random.Generator) -> None:
    chances = probabilities(model(*last), rng.normal(size=(5, 3)))
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert chances.shape[1] == max(2, last[0].units)  # type: ignore[attr-defined]


def test_scores_and_a_softmax_after_them_give_the_same(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 3))
    scores, softmax = model(hc.Dense(4)), model(hc.Dense(4), hc.Softmax())
    np.testing.assert_allclose(probabilities(scores, x), probabilities(softmax, x), rtol=1e-6)


def test_what_is_no_classifier_is_told() -> None:
    with pytest.raises(ValueError, match=r"one vector \(K,\) a sample"):
        probabilities(hc.Sequential([hc.ReLU()], input_shape=(1, 2, 2), seed=0), np.zeros((1, 1, 2, 2)))


def test_an_answer_ranks_the_classes(rng: np.random.Generator) -> None:
    network, x = model(hc.Dense(4), hc.Softmax()), rng.normal(size=3)
    found = answer(network, x)
    assert found.label == network.predict(x[None])[0].argmax()
    assert found.confidence == max(found.probabilities)
    assert list(found.top(4)) == sorted(enumerate(found.probabilities), key=lambda pair: -pair[1])


def test_a_single_output_without_a_sigmoid_is_no_classifier() -> None:
    model = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0)
    with pytest.raises(ValueError, match=r"a number for each class, this model gives 1\. Put a Sigmoid last\."):
        probabilities(model, np.ones((1, 2)))


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_the_most_probable_classes_are_at_least_one(count: float) -> None:
    with pytest.raises(ValueError, match=rf"top: count must be a whole number of at least 1, got {count}\."):
        answer(hc.zoo.reference(), np.zeros((1, 28, 28))).top(count)  # type: ignore[arg-type]
