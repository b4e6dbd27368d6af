"""The loss: what the predictions cost, and the gradient that it sends back."""

import numpy as np

from handconv.analysis.explain.explanation import Section, Table
from handconv.analysis.explain.narration.telling import Parts, at, line, maths, shown_classes
from handconv.analysis.explain.step import Step
from handconv.losses import SoftmaxCategoricalCrossentropy


def loss_section(step: Step) -> Section:
    """What the sample's prediction cost, with the parts of the formula."""
    sample, count = step.sample, len(step.predictions)
    shapes = f"{step.predictions.shape} -> a number"
    losses = step.loss.sample_losses(step.predictions, step.loss.check_targets(step.targets, step.predictions.shape))
    parts: Parts
    if step.probabilities is not None:
        title, formula, parts = _cross_entropy(step, float(losses[sample]))
    else:
        title, formula = type(step.loss).__name__, maths(type(step.loss))
        k = step.passages[-1].unit
        parts = [
            line(f"{at('prediction', k)} = {{p}}", p=step.predictions[sample][k]),
            line("loss = {loss}", loss=losses[sample]),
            line(f"{at('dy', k)} = {{dy}}", dy=step.gradient[sample][k]),
        ]
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
    largest, exponentials = scores.max(), np.exp(scores - scores.max())
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
        "dz[k] = p[k] - q[k]" + (" divided by the number of samples" if len(step.predictions) > 1 else ""),
    )
    gradient_name = "dz = p - q" if len(step.predictions) == 1 else "dz"
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
