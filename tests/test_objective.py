"""What is minimised: the last activation and its loss, taken together where that is stable."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.engine.arena import Arena
from handconv.engine.ops.loss import LossOp, SoftmaxCrossEntropyOp
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from handconv.objective import Objective


class OwnSoftmax(hc.Softmax):
    """Another one than this package's."""


class OwnLoss(CategoricalCrossentropy):
    """Another one than this package's."""


def network(*last: hc.Layer, **options: Any) -> hc.Sequential:
    return hc.Sequential([hc.Dense(3), *last], **{"input_shape": (2,), "seed": 0} | options)


@pytest.mark.parametrize(
    ("last", "loss", "together"),
    [
        (hc.Softmax, CategoricalCrossentropy(), True),
        (hc.Softmax, SoftmaxCategoricalCrossentropy(), True),
        (hc.Sigmoid, BinaryCrossentropy(), True),
        (hc.Sigmoid, SigmoidBinaryCrossentropy(), True),
        (OwnSoftmax, CategoricalCrossentropy(), False),
        (hc.Softmax, OwnLoss(), False),
        (hc.Softmax, MeanSquaredError(), False),
        (hc.Softmax, BinaryCrossentropy(), False),
        (hc.ReLU, SoftmaxCategoricalCrossentropy(), False),
    ],
)
def test_an_activation_and_its_loss_are_taken_together(last: Any, loss: hc.Loss, together: bool) -> None:
    model = network(last())
    objective = Objective(model, loss)
    assert objective.from_scores is together
    assert objective.layers == (model.layers[:-1] if together else model.layers)


@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize(
    ("last", "loss", "fast"),
    [
        ([hc.Softmax], CategoricalCrossentropy(), True),
        ([], SoftmaxCategoricalCrossentropy(), True),
        ([hc.Sigmoid], BinaryCrossentropy(), False),
        ([OwnSoftmax], CategoricalCrossentropy(), False),
        ([hc.Softmax], MeanSquaredError(), False),
    ],
)
def test_the_fast_op_is_that_of_softmax_with_cross_entropy(last: Any, loss: hc.Loss, fast: bool, engine: bool) -> None:
    op = Objective(network(*(kind() for kind in last), engine=engine), loss).loss_op(Arena())
    assert type(op) is (SoftmaxCrossEntropyOp if fast and engine else LossOp)


@pytest.mark.parametrize(
    ("last", "loss", "remedy"),
    [
        ([OwnSoftmax()], SoftmaxCategoricalCrossentropy(), "CategoricalCrossentropy"),
        ([hc.Softmax(), hc.Dropout(0.1)], SoftmaxCategoricalCrossentropy(), "CategoricalCrossentropy"),
        ([hc.Softmax(), hc.Reshape((3,)), hc.Flatten()], SoftmaxCategoricalCrossentropy(), "CategoricalCrossentropy"),
        ([hc.Softmax()], SigmoidBinaryCrossentropy(), "CategoricalCrossentropy"),
        ([hc.Sigmoid()], SoftmaxCategoricalCrossentropy(), "BinaryCrossentropy"),
        ([hc.Sigmoid(), hc.Dropout(0.1)], SigmoidBinaryCrossentropy(), "BinaryCrossentropy"),
    ],
)
def test_a_loss_of_scores_that_would_get_probabilities_is_refused(last: Any, loss: hc.Loss, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"{loss.label} takes scores, and gets the probabilities .* Use {remedy}"):
        Objective(network(*last), loss)


def test_probabilities_of_yes_or_no_are_none_of_classes() -> None:
    with pytest.raises(ValueError, match=r"CategoricalCrossentropy takes probabilities of classes.* Use Softmax, or B"):
        Objective(network(hc.Sigmoid()), CategoricalCrossentropy())


def test_the_default_loss_takes_no_softmax_twice() -> None:
    model = network(hc.Softmax(), hc.Dropout(0.1))
    with pytest.raises(ValueError, match=r"gives and Dropout\(0\.1\) passes on"):
        model.evaluate(np.zeros((4, 2)), [0, 1, 2, 0])


def test_the_page_of_the_loss_takes_what_the_layers_give(rng: np.random.Generator) -> None:
    scores, y = rng.normal(size=(5, 3)), rng.integers(0, 3, 5)
    loss = CategoricalCrossentropy(0.2)
    page = Objective(network(hc.Softmax()), loss).page
    assert page.forward(scores, y) == pytest.approx(SoftmaxCategoricalCrossentropy(0.2).forward(scores, y))
    loss.label_smoothing = 0.0  # heard
    assert page.forward(scores, y) == pytest.approx(SoftmaxCategoricalCrossentropy(0.0).forward(scores, y))


def test_a_page_that_is_not_combined_is_the_loss_itself() -> None:
    loss = MeanSquaredError()
    assert Objective(network(hc.Softmax()), loss).page is loss
    scores = SoftmaxCategoricalCrossentropy()
    assert Objective(network(hc.Softmax()), scores).page is scores


def test_a_confidently_wrong_sigmoid_has_its_gradient() -> None:
    model = hc.Sequential([hc.Dense(1, weight_init="zeros"), hc.Sigmoid()], input_shape=(1,), seed=0)
    model.named_parameters()["0.biases"][...] = 40.0
    model.fit(np.zeros((8, 1)), np.zeros((8, 1), int), batch_size=8, optimizer=hc.SGD(1.0))
    assert model.named_parameters()["0.biases"] == pytest.approx(39.0)


@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize(
    ("last", "loss"), [(hc.Softmax, CategoricalCrossentropy(0.1)), (hc.Sigmoid, BinaryCrossentropy())]
)
def test_accuracy_counts_answers_whichever_way_the_loss_is_computed(
    last: Any, loss: hc.Loss, engine: bool, rng: np.random.Generator
) -> None:
    x, y = rng.normal(size=(40, 2)), (rng.random((40, 1)) < 0.9).astype(int)  # another judgement counts otherwise
    units, truth = (1, y) if last is hc.Sigmoid else (2, y[:, 0])
    model = hc.Sequential([hc.Dense(units), last()], input_shape=(2,), seed=3, dtype="float64", engine=engine)
    answers = model.predict(x)
    right = (answers[:, 0] > 0.5) == y[:, 0] if units == 1 else answers.argmax(axis=1) == y[:, 0]
    figures = model.evaluate(x, truth, loss=loss)
    assert figures["accuracy"] == right.mean()
    history = model.fit(x, truth, loss=loss, batch_size=40, optimizer=hc.SGD(1e-12))
    assert history["accuracy"] == [right.mean()]
    assert history["data_loss"][0] == pytest.approx(figures["loss"], rel=1e-9)
