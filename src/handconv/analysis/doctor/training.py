"""What can be wrong with the network and its training: dead units, saturation, gradients, the learning rate."""

import math
from collections.abc import Iterator

import numpy as np

from handconv.analysis.doctor.case import Case
from handconv.analysis.doctor.finding import Finding
from handconv.layers import LeakyReLU, ReLU
from handconv.losses import SoftmaxCategoricalCrossentropy

#: Fewer samples than this leave many units of a healthy network without their chance.
_FEW = 100
#: The share of units of a layer from which dead ones are an illness. Healthy layers of rectifiers have up to a quarter.
_DEAD, _ALL_BUT_DEAD = 0.5, 0.9
#: The distance of the best score to the second at which the best's probability is 1 in float32: ln 2^24.
_CERTAIN = 24 * math.log(2)
#: The share of wrong answers that must be so certain, and the share of answers that must be wrong for it to matter. A
#: network that is right on all it has seen may be certain of it.
_CERTAINLY_WRONG, _WRONG = 0.5, 0.05
#: How much smaller, or larger, the gradient at the first layer with weights may be than at the last. Healthy networks, also
#: with ten layers, stay within a factor of 50.
_VANISHED, _EXPLODED = 1e-3, 1e3
#: A loss that is this much above its least has grown, and one that fell by less than this barely moved.
_GROWN, _MOVED = 1.2, 0.05
#: The length of a trial step, as a share of the weights' own.
_TRIAL = 0.01


def dead(case: Case) -> Iterator[Finding]:
    """Units and channels that are never positive after a ReLU, and so never get a gradient."""
    if len(case.training.x) < _FEW:
        return
    counts = []
    for path, layer in case.model.tree():
        if (
            isinstance(layer, ReLU) or (isinstance(layer, LeakyReLU) and layer.alpha == 0)
        ) and path in case.largest_outputs:
            largest = case.largest_outputs[path]
            what = "channels" if len(layer.output_shape or ()) > 1 else "units"
            counts.append((f"{path} {layer.label}", what, int(np.sum(largest <= 0)), len(largest)))
    sick = [each for each in counts if each[2] >= _DEAD * each[3]]
    if sick:
        listed = "; ".join(f"{name}: {count} of {size} {what}" for name, what, count, size in sick)
        yield Finding(
            "dead units",
            f"Never positive for any of {len(case.training.x):,} samples: {listed}. They pass no gradient on.",
            "Train anew with a smaller learning rate, or with LeakyReLU; check that biases do not start far below 0.",
            "severe" if any(count >= _ALL_BUT_DEAD * size for _, _, count, size in sick) else "mild",
        )


def saturated(case: Case) -> Iterator[Finding]:
    """A softmax that is certain of wrong answers."""
    part, layers = case.training, case.objective.layers
    if part.labels is None or not isinstance(case.objective.page, SoftmaxCategoricalCrossentropy):
        return
    scores = case.outputs(part.x, len(layers))
    wrong = scores.argmax(axis=1) != part.labels
    if wrong.mean() < _WRONG:
        return
    second, best = np.partition(scores[wrong], -2, axis=1)[:, -2:].T
    share = float(np.mean(best - second > _CERTAIN))
    if share > _CERTAINLY_WRONG:
        yield Finding(
            "saturated softmax",
            f"{int(wrong.sum()):,} of {len(wrong):,} answers are wrong, and {share:.0%} of these are given with a probability of "
            f"1; the median lead of the best score is {float(np.median(best - second)):.0f}.",
            "Make the scores smaller: smaller initial weights of the last layer, an L2 penalty or label smoothing; train longer "
            "only after that.",
            "severe",
        )


def gradients(case: Case) -> Iterator[Finding]:
    """Gradients that shrink, or grow, from layer to layer on their way back."""
    _, _, norms = case.step
    (first, at_first), (last, at_last) = norms[0], norms[-1]
    if len(norms) < 2 or not at_first or not at_last:  # no way back, or cut off by dead units
        return
    ratio = at_first / at_last
    if _VANISHED <= ratio <= _EXPLODED:
        return
    each = ratio ** (1 / (len(norms) - 1))
    evidence = (
        f"The norm of the gradient is {at_last:.1e} at {last} and {at_first:.1e} at {first}: over {len(norms)} layers it "
        f"{'shrinks' if ratio < 1 else 'grows'} by a factor of {ratio if ratio > 1 else 1 / ratio:.0e}, {each if ratio > 1 else 1 / each:.1f} "
        "each layer."
    )
    if ratio < 1:
        remedy = (
            "Use ReLU or LeakyReLU for Sigmoid and Tanh, BatchNorm after each layer with weights, or Residual blocks."
        )
        yield Finding("vanishing gradients", evidence, remedy, "severe")
    else:
        remedy = "Use the default initial weights (he for ReLU, glorot for Tanh), BatchNorm, or an optimizer with clip_norm=1."
        yield Finding("exploding gradients", evidence, remedy, "severe")


def learning_rate(case: Case) -> Iterator[Finding]:
    """A loss that grew, stayed above that of guessing, or barely moved although a step along the gradient lowers it."""
    if case.history is None:
        return
    losses = list(case.history["data_loss" if "data_loss" in case.history else "loss"])
    first, last, least = losses[0], losses[-1], min(losses)
    guess = _guess(case)
    poor = first if guess is None else guess
    course = f"The loss was {first:.3g} in the first epoch and {last:.3g} in the last ({len(losses)})"
    of_guessing = "" if guess is None else f"; guessing has {guess:.3g}"
    grown = last > _GROWN * least and last > poor / 2
    never_better = guess is not None and (last > 1.1 * guess or (first > 1.5 * guess and last > 0.9 * guess))
    if grown or never_better:
        yield Finding(
            "learning rate too high",
            f"{course}, its least {least:.3g}{of_guessing}. {_size_of_step(case)}",
            "Train anew with a tenth of the learning rate, or let it rise slowly at first (schedules.OneCycle).",
            "severe",
        )
    elif len(losses) > 1 and first - last < _MOVED * first and last > 0.7 * poor:
        now, gradient, _ = case.step
        norm, weights = float(np.linalg.norm(gradient)), float(np.linalg.norm(case.model.parameters))
        fall = 0.0 if not norm else now - case.loss_after(gradient * (-_TRIAL * weights / norm))
        if fall > max(first - last, _MOVED / 2 * now):
            yield Finding(
                "learning rate too low",
                f"{course}{of_guessing}; one step along the gradient that changes the weights by {_TRIAL:.0%} of their length "
                f"lowers it by {fall:.2g}. {_size_of_step(case)}",
                "Multiply the learning rate by ten until the loss falls by itself; more epochs would do it too, slowly.",
                "severe",
            )


def _guess(case: Case) -> float | None:
    """The cross-entropy of always answering with the shares of the classes; None where that is not the loss."""
    part = case.training
    if part.labels is None or not isinstance(case.objective.page, SoftmaxCategoricalCrossentropy):
        return None
    shares = part.shares[part.shares > 0]
    return float(-np.sum(shares * np.log(shares)))


def _size_of_step(case: Case) -> str:
    """The ratio of one update to the weights, for the two kinds of optimizers there are."""
    assert case.history is not None
    rates = case.history["learning_rate"] if "learning_rate" in case.history else []
    size = float(np.linalg.norm(case.model.parameters))
    if not len(rates) or not size:
        return ""
    plain = rates[-1] * float(np.linalg.norm(case.step[1])) / size
    adaptive = rates[-1] * math.sqrt(case.model.parameters.size) / size
    return (
        f"At the rate {rates[-1]:.2g} a step changes the weights by about {plain:.0e} of their size with SGD, {adaptive:.0e} "
        "with Adam; 1e-3 to 1e-2 is usual."
    )
