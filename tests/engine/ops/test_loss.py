"""The loss as an op: softmax with cross-entropy equals its page, and any other loss is its page."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import strategies
from handconv.engine.arena import Arena
from handconv.engine.capture import Call, replay, untracked
from handconv.engine.layout import memory_view
from handconv.engine.ops.loss import LossOp, SoftmaxCrossEntropyOp
from handconv.losses import (
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from helpers import assert_close
from strategies import normal

Array = NDArray[Any]


class Measured:
    """An op over arrays that are filled anew: the first measurement is captured, later ones are replayed."""

    def __init__(
        self, op_type: type[LossOp], loss: Loss, p: Array, t: Array, w: Array | None, size: int, **options: Any
    ) -> None:
        memory = Arena()
        self.op, self._calls = op_type(loss, memory.scope(), **options), list[Call]()
        self._p, self._t = memory.public_array("p", p.shape, p.dtype), memory.array("t", t.shape, t.dtype)
        self._w = None if w is None else memory.array("w", w.shape, w.dtype)
        self._size, self._capture = size, memory.capture

    def __call__(self, p: Array, t: Array, w: Array | None) -> tuple[float, Array]:
        self._p[...], self._t[...] = p, t
        if self._w is not None:
            self._w[...] = w
        if self._calls:
            replay(self._calls)
        else:
            with self._capture.recording() as self._calls:
                self.loss = self.op.forward(self._p, self._t, self._w, self._size)
                self._dp = self.op.backward()
        return float(untracked(self.loss)[0]), np.array(untracked(self._dp))


def truth(seed: int, samples: int, classes: int, kind: str) -> Array:
    """Class numbers, or rows that share each sample out, zeros among them."""
    rng = np.random.default_rng(seed)
    if kind == "numbers":
        return rng.integers(0, classes, samples)
    rows = rng.integers(0, 3, (samples, classes)) + np.eye(classes)[rng.integers(0, classes, samples)]
    shares: Array = rows / rows.sum(axis=1, keepdims=True)
    return shares


@given(
    samples=st.integers(1, 6),
    classes=st.integers(2, 6),
    kind=st.sampled_from(["numbers", "shares"]),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    weighted=st.booleans(),
    more=st.integers(0, 3),
    dtype=st.sampled_from([np.float64, np.float32]),
    scale=st.sampled_from([1, 100]),
    seed=strategies.seeds,
)
def test_softmax_with_cross_entropy_is_its_page(
    samples: int,
    classes: int,
    kind: str,
    smoothing: float,
    weighted: bool,
    more: int,
    dtype: Any,
    scale: int,
    seed: int,
) -> None:
    page, size = SoftmaxCategoricalCrossentropy(smoothing), samples + more
    run: Measured | None = None
    for step in range(2):
        p = (scale * normal(seed + step, samples, classes)).astype(dtype)
        t = truth(seed + step, samples, classes, kind)
        w = np.random.default_rng(seed + step).uniform(0, 2, samples) if weighted else None
        run = run or Measured(SoftmaxCrossEntropyOp, SoftmaxCategoricalCrossentropy(smoothing), p, t, w, size)
        loss, dp = run(p, t, w)
        tolerance = 1e-11 if dtype is np.float64 else 2e-5
        assert loss == pytest.approx(page.forward(p, t, w, batch_size=size), rel=tolerance, abs=tolerance)
        assert_close(dp, page.backward(), tolerance)
        assert dp.dtype == dtype
        np.testing.assert_array_equal(run.op.answers(), p)


@pytest.mark.parametrize("kind", ["numbers", "shares"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_infinities_and_nan_are_those_of_the_page(kind: str, smoothing: float) -> None:
    inf, nan = np.inf, np.nan
    p = np.array([[0, -inf, 1], [-inf, 1, 2], [inf, 0, 1], [nan, 0, 1], [1e300, -1e300, 0], [-inf, -inf, -inf]])
    numbers = np.array([0, 0, 0, 0, 1, 2])
    shares = np.array([[0.5, 0, 0.5], [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    for row in range(len(p)):
        x, t = p[row : row + 1], (numbers if kind == "numbers" else shares)[row : row + 1]
        page = SoftmaxCategoricalCrossentropy(smoothing)
        with np.errstate(all="ignore"):
            loss, dp = Measured(SoftmaxCrossEntropyOp, page, x, t, None, 1)(x, t, None)
            # the page takes a row that is one-hot for a class number
            np.testing.assert_allclose(loss, page.forward(x, t), rtol=1e-12)
            np.testing.assert_allclose(dp, page.backward(), rtol=1e-12)


@pytest.mark.parametrize("op", [SoftmaxCrossEntropyOp, LossOp])
def test_the_loss_is_one_number_in_double_precision(op: type[LossOp]) -> None:
    p, t = np.zeros((1003, 2), np.float32), np.zeros(1003, np.int64)
    run = Measured(op, SoftmaxCategoricalCrossentropy(), p, t, None, 1003)
    value, _ = run(p, t, None)
    assert (run.loss.shape, run.loss.dtype) == ((1,), np.float64)
    assert value == pytest.approx(float(np.log(np.float32(2))), rel=1e-14)


def test_a_score_of_minus_infinity_where_there_is_no_truth_costs_nothing() -> None:
    x, t = np.array([[0.0, -np.inf, 0.0]]), np.array([[0.5, 0.0, 0.5]])
    with np.errstate(invalid="ignore"):
        loss, dp = Measured(SoftmaxCrossEntropyOp, SoftmaxCategoricalCrossentropy(), x, t, None, 1)(x, t, None)
    assert loss == pytest.approx(np.log(2))
    assert dp.tolist() == [[0, 0, 0]]


def test_what_is_captured_depends_on_the_label_smoothing_alone() -> None:
    loss = CategoricalCrossentropy(0.1)
    op = SoftmaxCrossEntropyOp(loss, Arena())
    assert op.key == (0.1,)
    loss.label_smoothing = 0.2
    assert op.key == (0.2,)
    assert LossOp(MeanSquaredError(), Arena()).key == ()


@given(samples=st.integers(1, 5), width=st.integers(1, 4), weighted=st.booleans(), dtype=st.sampled_from(["f4", "f8"]))
def test_any_other_loss_is_its_page_at_every_replay(samples: int, width: int, weighted: bool, dtype: str) -> None:
    page, run = MeanSquaredError(), None
    for seed in range(3):
        p, t = normal(seed, samples, width, dtype=dtype), normal(seed + 1, samples, width, dtype=dtype)
        w = np.random.default_rng(seed).uniform(0, 2, samples) if weighted else None
        run = run or Measured(LossOp, MeanSquaredError(), p, t, w, samples + 1)
        loss, dp = run(p, t, w)
        assert loss == page.forward(p, t, w, batch_size=samples + 1)
        np.testing.assert_array_equal(dp, page.backward())
        assert dp.dtype == p.dtype
        np.testing.assert_array_equal(run.op.answers(), p)


def test_the_answers_are_the_probabilities_where_the_loss_gives_them() -> None:
    p, t = np.array([[0.0, 100.0]]), np.array([[0.0, 1.0]])
    run = Measured(LossOp, SigmoidBinaryCrossentropy(), p, t, None, 1, answers_from_output=True)
    run(p, t, None)
    np.testing.assert_allclose(run.op.answers(), [[0.5, 1.0]])


def test_before_the_first_forward_there_are_no_answers() -> None:
    assert LossOp(MeanSquaredError(), Arena()).answers().size == 0


class Careless(Loss):
    """Changes all that it gets, and answers in another type and memory order."""

    def forward(
        self, predictions: Any, targets: Any, sample_weights: Any = None, *, batch_size: int | None = None
    ) -> float:
        assert predictions.flags.c_contiguous
        self.predictions = predictions.copy()
        predictions[...] = targets[...] = np.nan
        return float(np.square(self.predictions).sum())

    def backward(self) -> Any:
        return np.asfortranarray(2 * self.predictions).astype(np.float32)[::-1][::-1]


def test_a_loss_may_change_its_arguments_and_answer_in_another_type() -> None:
    p, t = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.zeros((3, 2))
    run = Measured(LossOp, Careless(), p, t, None, 3)
    for factor in (1, 2):
        loss, dp = run(factor * p, t, None)
        assert loss == factor**2 * 91
        assert dp.tolist() == (2 * factor * p).tolist()
        assert dp.dtype == np.float64
        np.testing.assert_array_equal(run.op.answers(), factor * p)


class WrongShape(Careless):
    def backward(self) -> Any:
        return np.ones(3)


def test_a_gradient_of_another_shape_is_refused() -> None:
    p, t = np.ones((2, 3)), np.zeros((2, 3))
    with pytest.raises(
        ValueError, match=r"^WrongShape\.backward must return an array of shape \(2, 3\), got \(3,\)\.$"
    ):
        Measured(LossOp, WrongShape(), p, t, None, 2)(p, t, None)


def test_the_gradient_keeps_the_batch_innermost() -> None:
    op = SoftmaxCrossEntropyOp(SoftmaxCategoricalCrossentropy(), Arena())
    memory = Arena()
    op.forward(memory.public_array("p", (4, 3), np.float64), memory.array("t", (4,), np.int64), None, 4)
    assert memory_view(op.backward()).flags.c_contiguous
