"""The loss: what the predictions cost, and the gradient that it sends back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Section, Table
from handconv.analysis.explain.narration.telling import Parts, at, line, maths, shown_classes
from handconv.analysis.explain.step import Step
from handconv.losses import (
    BinaryCrossentropy,
    Loss,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from handconv.losses.cross_entropy import CategoricalLoss
from handconv.utils.words import counted


def loss_section(step: Step) -> Section:
    """What the sample's prediction cost, with the parts of the formula."""
    sample, count = step.sample, len(step.predictions)
    shapes = f"{step.predictions.shape} -> a number"
    losses = step.loss.sample_losses(step.predictions, step.loss.check_targets(step.targets, step.predictions.shape))
    told = _cross_entropy if step.probabilities is not None else _by_outputs
    title, formula, parts = told(step, float(losses[sample]))
    if count > 1:
        parts.append(
            line(
                f"The loss of the batch is the mean over its {count} samples, {{mean}}, and so the gradient of each "
                f"sample is divided by {count}.",
                mean=step.measured,
            )
        )
    if step.penalty:
        parts.append(line("The penalty on the weights adds {penalty} to the loss.", penalty=step.penalty))
    return Section("loss", title, formula, shapes, tuple(parts))


def _cross_entropy(step: Step, loss: float) -> tuple[str, tuple[str, ...], Parts]:
    """The softmax with its cross-entropy, class by class."""
    sample, scores = step.sample, step.predictions[step.sample]
    assert step.probabilities is not None
    assert isinstance(step.loss, SoftmaxCategoricalCrossentropy)
    p, gradient = step.probabilities[sample], step.gradient[sample]
    targets = step.loss.check_targets(step.targets, step.predictions.shape)
    q = step.loss.truth(targets, len(scores), scores.dtype)[sample]
    count, largest, exponentials = len(step.predictions), scores.max(), np.exp(scores - scores.max())
    chosen = shown_classes(len(scores), step.passages[-1].unit[0], p)
    rows = tuple(
        (f"k = {k}", float(scores[k]), float(exponentials[k]), float(p[k]), float(q[k]), float(gradient[k]))
        for k in chosen
    )
    truth = step.truth
    hard = truth is not None and q[truth] == 1
    told = (
        line(f"loss = - log p[{truth}] = - log {{p}} = {{loss}}", p=p[truth], loss=loss)
        if hard
        else line("loss = - sum over k of q[k] · log p[k] = {loss}", loss=loss)
    )
    formula = (
        "p[k] = exp(z[k] - max) / sum over q of exp(z[q] - max)",
        "loss = - log p[truth]" if hard else "loss = - sum over k of q[k] · log p[k]",
        "dz[k] = p[k] - q[k]" if count == 1 else f"dz[k] = (p[k] - q[k]) / N        N = {count} samples",
    )
    gradient_name = "dz = p - q" if count == 1 else "dz"
    return (
        "Softmax and cross-entropy",
        formula,
        [
            Table(("", "score z", "exp(z - max)", "p", "truth q", gradient_name), rows),
            line("The greatest score, max, is {largest}; the exponentials sum to {total}.",
                 largest=largest, total=exponentials.sum()),
            told,
        ],
    )  # fmt: skip


#: What the formulas of a loss call a prediction, its truth and its gradient; each output has a loss of its own.
_LETTERS: dict[type[Loss], tuple[str, str, str]] = {
    MeanSquaredError: ("y", "t", "dy"),
    BinaryCrossentropy: ("p", "t", "dp"),
    SigmoidBinaryCrossentropy: ("score x", "t", "dx"),
}


def _by_outputs(step: Step, loss: float) -> tuple[str, tuple[str, ...], Parts]:
    """Any other loss, output by output."""
    kind, sample = type(step.loss), step.sample
    predictions, gradient = step.predictions[sample], step.gradient[sample]
    targets = step.loss.check_targets(step.targets, step.predictions.shape)
    if isinstance(step.loss, CategoricalLoss):
        targets = step.loss.truth(targets, len(predictions), step.predictions.dtype)
    letters = _LETTERS.get(kind, ("prediction", "truth", "its gradient"))
    columns: dict[str, NDArray[Any]] = {letters[0]: predictions}
    if isinstance(step.loss, SigmoidBinaryCrossentropy):
        columns["sigmoid(x)"] = np.asarray(step.loss.output)[sample]
    if np.shape(targets) == step.predictions.shape:
        columns[letters[1]] = targets[sample]
        if kind in _LETTERS:
            alone = step.predictions[sample].reshape(-1, 1), targets[sample].reshape(-1, 1)
            columns["its loss"] = step.loss.sample_losses(*alone).reshape(predictions.shape)
    columns[letters[2]] = gradient
    chosen = shown_classes(
        predictions.size,
        int(np.ravel_multi_index(step.passages[-1].unit, predictions.shape)),
        np.abs(gradient).reshape(-1),
    )
    places = [tuple(map(int, np.unravel_index(k, predictions.shape))) for k in chosen]
    rows: list[tuple[str | float, ...]] = [
        (at("", place), *(float(values[place]) for values in columns.values())) for place in places
    ]
    parts: Parts = [Table(("output", *columns), tuple(rows))]
    mean = kind in _LETTERS and predictions.size > 1
    parts.append(
        line(
            f"loss = the mean over {counted(predictions.size, 'output')} = {{loss}}" if mean else "loss = {loss}",
            loss=loss,
        )
    )
    formula = maths(kind)
    if any(" w / B" in text for text in formula):
        parts.append(
            line(
                "In the formulas w is the weight of the sample, {w}, and B the number of samples, {count}.",
                w=1,
                count=len(step.predictions),
            )
        )
    title = "Sigmoid and binary cross-entropy" if kind is SigmoidBinaryCrossentropy else kind.__name__
    return title, formula, parts
