"""The report of a classifier: figures by class, and the worst mistakes first."""

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import Report, report


@pytest.fixture
def result() -> Report:
    """Of a model that gives its input as scores: three right answers, two wrong ones, the second worse."""
    model = hc.Sequential([hc.Reshape((3,))], input_shape=(3,), seed=0)
    scores = np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5], [2, 0, 0], [9, 0, 0]], np.float32)
    return report(model, scores, [0, 1, 2, 1, 2], ["a", "b"])


def test_accuracy_and_loss(result: Report) -> None:
    assert result.accuracy == 0.6
    chances = [np.exp(5) / (np.exp(5) + 2)] * 3 + [1 / (np.exp(2) + 2), 1 / (np.exp(9) + 2)]
    assert result.loss == pytest.approx(-np.log(chances).mean(), rel=1e-6)


def test_classes(result: Report) -> None:
    assert [each.name for each in result.classes] == ["a", "b", "2"]
    assert [each.precision for each in result.classes] == pytest.approx([1 / 3, 1, 1])
    assert [each.recall for each in result.classes] == pytest.approx([1, 1 / 2, 1 / 2])
    assert [each.samples for each in result.classes] == [1, 2, 2]


def test_confusion(result: Report) -> None:
    assert result.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]


def test_the_worst_mistake_comes_first(result: Report) -> None:
    assert [(each.row, each.truth, each.answer) for each in result.mistakes] == [(4, 2, 0), (3, 1, 0)]
    assert result.mistakes[0].truth_probability < result.mistakes[1].truth_probability
    assert result.mistakes[0].confidence == pytest.approx(1, abs=1e-3)


def test_a_single_sigmoid_is_a_classifier_of_two(rng: np.random.Generator) -> None:
    model = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(3,), seed=0)
    x, y = rng.normal(size=(20, 3)), np.arange(20) % 2
    result = report(model, x, y)
    assert result.accuracy == pytest.approx(model.evaluate(x, y)["accuracy"])
    assert result.confusion.sum() == 20


def test_one_hot_labels_are_refused_with_the_remedy() -> None:
    network = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(2,), seed=0)
    with pytest.raises(ValueError, match=r"class numbers \(N,\), got labels of shape \(3, 3\).*argmax"):
        report(network, np.ones((3, 2)), np.eye(3))
    with pytest.raises(
        ValueError, match=r"got labels of shape \(3, 1\)\. Use y\[:, 0\]\."
    ):  # argmax would make 0 of all
        report(network, np.ones((3, 2)), np.arange(3)[:, None])


@pytest.mark.parametrize("worst", [-1, 1.5, "all"])
def test_the_number_of_mistakes_to_tell_is_a_whole_one(worst: object) -> None:
    model = hc.Sequential([hc.Reshape((3,))], input_shape=(3,), seed=0)
    with pytest.raises(ValueError, match=rf"report: worst must be a whole number of at least 0, got {worst!r}\."):
        report(model, np.eye(3), [0, 1, 2], worst=worst)  # type: ignore[arg-type]
