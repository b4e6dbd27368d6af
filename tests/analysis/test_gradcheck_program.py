"""The gradient check holds the engine's program against the pages of the layers, and says which of them is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.analysis import gradcheck
from handconv.engine import lower
from handconv.engine.ops.dense import DenseOp
from handconv.engine.ops.elementwise import TanhOp
from handconv.sequential import Sequential
from strategies import normal


class WrongDenseOp(DenseOp):
    """Computes the gradient of the weights a little too large."""

    def backward(self, dy: Any, *, needs_input_grad: bool) -> Any:
        dx = super().backward(dy, needs_input_grad=needs_input_grad)
        gradient = self.gradient(self.layers[0], "weights")
        np.multiply(gradient, 1.001, out=gradient)
        return dx


class WrongTanhOp(TanhOp):
    """Computes its outputs a little too large."""

    def forward(self, x: Any, *, training: bool) -> Any:
        y = super().forward(x, training=training)
        return np.multiply(y, 1.001, out=y)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered is forgotten after the test."""
    monkeypatch.setattr(lower, "_REGISTRY", dict(lower._REGISTRY))


def two_layers(**options: Any) -> Sequential:
    return Sequential([hc.Dense(4), hc.Tanh(), hc.Dense(3, name="out"), hc.Softmax()], seed=0, **options)


@pytest.mark.usefixtures("registry")
def test_a_wrong_gradient_of_an_op_is_told_apart_from_the_pages_which_are_right() -> None:
    lower.register(hc.Dense, WrongDenseOp)
    report = gradcheck(two_layers(), normal(0, 3, 5), [0, 1, 2])
    assert not report.ok
    assert [(row.layer, row.what) for row in report.rows if row.verdict != "ok"] == [
        ("program", "0.weights"),
        ("program", "out.weights"),
    ]
    assert report.worst.worst is not None
    assert report.worst.worst.analytic / report.worst.worst.numeric == pytest.approx(1.001)
    assert report.conclusion.startswith(
        "The pages of the layers are right, and the engine's program differs from them: its gradient with respect to "
    )
    assert report.conclusion.endswith("Train with engine=False until its ops are mended.")


@pytest.mark.usefixtures("registry")
def test_a_wrong_output_of_an_op_is_found_in_the_gradients() -> None:
    lower.register(hc.Tanh, WrongTanhOp)
    report = gradcheck(two_layers(), normal(0, 3, 5), [0, 1, 2])
    failed = [row.layer for row in report.rows if row.verdict != "ok"]
    assert set(failed) == {"program"}
    assert "the engine's program differs" in report.conclusion


@pytest.mark.usefixtures("registry")
def test_without_the_engine_there_is_no_program_to_be_wrong() -> None:
    lower.register(hc.Dense, WrongDenseOp)
    report = gradcheck(two_layers(engine=False), normal(0, 3, 5), [0, 1, 2])
    assert report.ok
    assert "program" not in {row.layer for row in report.rows}


@pytest.mark.usefixtures("registry")
def test_a_wrong_page_is_named_before_the_program_that_differs_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a page of this package is edited: its op, which is right, differs from it."""
    right = hc.Tanh.backward

    def wrong(self: hc.Tanh, dvalues: NDArray[Any]) -> NDArray[Any]:
        return 1.01 * right(self, dvalues)

    monkeypatch.setattr(hc.Tanh, "backward", wrong)
    lower.register(hc.Tanh, TanhOp)
    report = gradcheck(two_layers(), normal(0, 3, 5), [0, 1, 2])
    assert {row.layer for row in report.rows if row.verdict != "ok"} == {"1 Tanh", "network", "program"}
    assert report.conclusion.startswith("1 Tanh: the gradient with respect to the inputs is wrong at [")


def test_a_page_that_is_edited_is_what_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    right = hc.Tanh.backward
    monkeypatch.setattr(hc.Tanh, "backward", lambda self, dvalues: 1.01 * right(self, dvalues))
    report = gradcheck(two_layers(), normal(0, 3, 5), [0, 1, 2])
    assert {row.layer for row in report.rows if row.verdict != "ok"} == {"1 Tanh", "network"}


def test_the_conclusion_counts_what_differences_checked() -> None:
    model = two_layers()
    report = gradcheck(model, normal(0, 3, 5), [0, 1, 2])
    by_differences = [row for row in report.rows if row.layer != "program"]
    assert report.ok
    assert len(by_differences) < len(report.rows)
    assert f"All gradients are right: {sum(row.checked for row in by_differences):,} entries checked" in str(report)
    assert f"{sum(row.skipped for row in by_differences):,} skipped at kinks" in str(report)


@pytest.mark.parametrize("last", [lambda: hc.Sigmoid(), lambda: hc.Softmax()], ids=["binary", "categorical"])
def test_the_program_takes_activation_and_loss_together_as_the_pages_do(last: Callable[[], hc.Layer]) -> None:
    y = np.array([[0, 1, 1], [1, 0, 0]]) if isinstance(last(), hc.Sigmoid) else np.array([0, 2])
    report = gradcheck(Sequential([hc.Dense(3), last()], seed=0), normal(0, 2, 4), y)
    assert report.ok
    assert {"SigmoidBinaryCrossentropy", "SoftmaxCategoricalCrossentropy"} & {row.layer for row in report.rows}
