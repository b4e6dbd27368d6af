"""What can be wrong with the network and its training: units, running statistics, answers, gradients, rate."""

import math
from collections.abc import Iterator

import numpy as np

from handconv.analysis.doctor.case import Case
from handconv.analysis.doctor.finding import Finding
from handconv.layers import BatchNorm, Conv2D, Dense, LeakyReLU, ReLU
from handconv.losses import MeanSquaredError, SigmoidBinaryCrossentropy, SoftmaxCategoricalCrossentropy

#: Fewer samples than this leave many units of a healthy network without their chance.
_FEW = 100
#: The share of units of a layer from which dead ones are a fault. A small layer that was trained for long, with good
#: results, has up to a half; after steps far too large it is three quarters and more.
_DEAD, _ALL_BUT_DEAD = 0.75, 0.9
#: The distance of the best score to the second at which the best's probability is 1 in float32: ln 2^24.
_CERTAIN = 24 * math.log(2)
#: The share of wrong answers that must be so certain, and the share of answers that must be wrong for it to matter. A
#: network that is right on all it has seen may be certain of it.
_CERTAINLY_WRONG, _WRONG = 0.5, 0.05
#: The share of one class from which an answer that is always the same passes for a good one.
_DOMINATES = 0.8
#: By what factor the running variance of a layer's median channel may be off, and by how many standard deviations its
#: running mean. With a momentum of 0.9 both stay within 1.8 and 0.2, even after a dozen steps.
_OFF_BY, _APART = 2.0, 0.5
#: How much larger, or smaller, the gradient at the first layer with weights may be than at the last. Healthy networks
#: of up to nine layers stay within a factor of 20.
_RATIO = 300.0
#: A loss that is this much above its least has grown, and one that fell by less than this share stands.
_GROWN, _MOVED = 1.2, 0.05
#: How many times the loss of guessing, or that of initial weights, the first epoch's mean must be for its steps to have
#: overshot. Default initial weights begin at most at twice that of guessing.
_OVERSHOT = 5.0
#: The length of a trial step, as a share of the weights' own.
_TRIAL = 0.01
#: The share of a class that does not occur, of which a logarithm is asked.
_NEVER = 1e-12


def identical(case: Case) -> Iterator[Finding]:
    """Units of the first layer with weights that all have the same: they get the same gradients, and stay alike."""
    found = next(((path, layer) for path, layer in case.model.tree() if isinstance(layer, Conv2D | Dense)), None)
    if found is None:
        return
    path, layer = found
    weights = layer.weights if isinstance(layer, Conv2D) else layer.weights.T
    if len(weights) > 1 and np.array_equal(weights, np.broadcast_to(weights[:1], weights.shape)):
        yield Finding(
            "identical units",
            f"All {len(weights)} units of {path} {layer.label} have the same weights, {weights.flat[0]:.3g} the first. "
            "They compute the same, get the same gradient and so never learn different things.",
            "Begin with random weights, as the default initializers give them, not with zeros or one constant.",
            "severe",
        )


def dead(case: Case) -> Iterator[Finding]:
    """Units and channels that are never positive after a ReLU, and so never get a gradient."""
    if len(case.training) < _FEW:
        return
    layers, counts = dict(case.model.tree()), []
    watched = [
        path  # a slope below 0 lets gradients through
        for path, layer in layers.items()
        if isinstance(layer, ReLU | LeakyReLU) and not getattr(layer, "alpha", 0)
    ]
    for path, largest in case.largest_outputs(watched).items():
        layer = layers[path]
        what = "channels" if len(layer.output_shape or ()) > 1 else "units"
        counts.append((f"{path} {layer.label}", what, int(np.sum(largest <= 0)), len(largest)))
    faulty = [each for each in counts if each[2] >= _DEAD * each[3]]
    if faulty:
        listed = "; ".join(f"{name}: {count} of {size} {what}" for name, what, count, size in faulty)
        yield Finding(
            "dead units",
            f"Never positive for any of {len(case.training):,} samples: {listed}. They pass no gradient on.",
            "Train anew with a smaller learning rate, or with LeakyReLU; check that biases do not start far below 0.",
            "severe" if any(count >= _ALL_BUT_DEAD * size for _, _, count, size in faulty) else "mild",
        )


def stale(case: Case) -> Iterator[Finding]:
    """Running statistics of BatchNorm far from those of the training samples, where with the latter the loss is half.

    Both are asked: statistics that are off may do no harm, and a loss may halve for statistics that are off a little.
    """
    norms = {path: layer for path, layer in case.model.tree() if isinstance(layer, BatchNorm)}
    if not norms or len(case.training) < _FEW:
        return
    measured, loss = case.arrived(norms)
    off = {}
    for path, (mean, variance) in measured.items():
        norm = norms[path]
        spread = variance + norm.epsilon
        factor = math.exp(float(np.median(np.abs(np.log((norm.running_var + norm.epsilon) / spread)))))
        apart = float(np.median(np.abs(norm.running_mean - mean) / np.sqrt(spread)))
        if factor > _OFF_BY or apart > _APART:
            off[path] = (factor, apart)
    now = case.loss()
    if off and loss < now / 2:
        path, (factor, apart) = next(iter(off.items()))
        yield Finding(
            "stale running statistics",
            f"In {path} {norms[path].label} the running mean is {apart:.2g} standard deviations from that of the "
            f"training samples, and the running variance off by a factor of {factor:.2g}, in the median channel; so in "
            f"{len(off)} of {len(norms)} BatchNorm. The loss is {now:.3g}; with the samples' statistics it would be "
            f"{loss:.3g}.",
            "Train on with a smaller momentum, BatchNorm(0.9), which arrives within some twenty steps; if it is small "
            "already, the inputs are scaled otherwise than in the training.",
            "severe",
        )


def one_answer(case: Case) -> Iterator[Finding]:
    """A network that takes all samples for the class that most of them are of."""
    part = case.training
    if part.labels is None or len(part) < _FEW or not _DOMINATES <= part.shares.max() < 1:
        return
    answers, frequent = case.answers(part.samples), int(part.shares.argmax())
    if np.all(answers == frequent):
        yield Finding(
            "one answer for all",
            f"The model takes all of {len(part):,} samples for class {frequent}, which {part.shares.max():.1%} of them "
            "are of. Its accuracy is that share, and says nothing.",
            "Give rare classes more weight, fit(…, class_weights={…}), or more samples; look at the recall of each.",
            "severe",
        )


def saturated(case: Case) -> Iterator[Finding]:
    """A softmax that is certain of wrong answers."""
    part = case.training
    if part.labels is None or not isinstance(case.objective.page, SoftmaxCategoricalCrossentropy):
        return
    scores = case.outputs(part.samples)
    wrong = scores.argmax(axis=1) != part.labels
    if wrong.mean() < _WRONG:
        return
    second, best = np.partition(scores[wrong], -2, axis=1)[:, -2:].T
    share = float(np.mean(best - second > _CERTAIN))
    if share > _CERTAINLY_WRONG:
        yield Finding(
            "saturated softmax",
            f"{int(wrong.sum()):,} of {len(wrong):,} answers are wrong, {share:.0%} of them with a probability of 1; "
            f"the median lead of their scores is {float(np.median(best - second)):.0f}.",
            "Make the scores smaller: smaller weights in the last layer, an L2 penalty (l2=1e-4) or label smoothing.",
            "severe",
        )


def gradients(case: Case) -> Iterator[Finding]:
    """Gradients that shrink, or grow, from layer to layer on their way back."""
    if _normalises_a_few(case):
        return
    _, _, norms = case.step
    if len(norms) < 2 or not norms[0][1] or not norms[-1][1]:  # no way back, or cut off by dead units
        return
    (first, at_first), (last, at_last) = norms[0], norms[-1]
    vanish = at_first < at_last
    factor = at_last / at_first if vanish else at_first / at_last
    if not factor > _RATIO:
        return
    yield Finding(
        "vanishing gradients" if vanish else "exploding gradients",
        f"The norm of the gradient is {at_last:.1e} at {last} and {at_first:.1e} at {first}: on its way back through "
        f"{len(norms)} layers it {'shrinks' if vanish else 'grows'} by a factor of {factor:,.0f}.",
        "Use LeakyReLU for Sigmoid and Tanh, BatchNorm after layers with weights, or Residual blocks; and a smaller "
        "learning rate, if it came while training."
        if vanish
        else "Use a smaller learning rate, if it came while training; else the default initial weights, BatchNorm "
        "after layers with weights, or an optimizer with clip_norm=1.",
        "severe",
    )


def learning_rate(case: Case) -> Iterator[Finding]:
    """A loss that overshot, grew or stayed above that of guessing; or that stands where a step would lower it.

    A loss that stands where no step lowers it is no sign: it may be the least there is.
    """
    if case.history is None or _normalises_a_few(case):
        return
    told = list(case.history["data_loss" if "data_loss" in case.history else "loss"])
    if len(told) < 2:
        return
    perfect, guessing = _bounds(case)
    course = f"The loss was {told[0]:.3g} in the first of {len(told)} epochs and {told[-1]:.3g} in the last"
    course += "" if guessing is None else f"; guessing has {guessing:.3g}"
    start = guessing if guessing is not None else _start(case)
    losses, guess = [loss - perfect for loss in told], None if guessing is None else guessing - perfect
    first, last, least = losses[0], losses[-1], min(losses)
    poor = first if guess is None else guess
    overshot = start is not None and told[0] > _OVERSHOT * start
    course += f"; initial weights have about {start:.3g}" if overshot and guessing is None else ""
    too_high = overshot or (last > _GROWN * least and last > poor / 2)
    too_low, fall = False, 0.0
    if not too_high and last > max(0.7 * poor, (1 - _MOVED) * losses[-2]):
        now, fall = _trial(case)
        lowered = fall > _MOVED / 2 * (now - perfect)
        is_guessing = guess is not None and last > guess
        too_low = lowered and first - last < (2 * fall if is_guessing else min(fall, _MOVED * first))
        too_high = not lowered and guess is not None and last > (0.9 if first > 1.5 * guess else 1.1) * guess
    if too_high:
        is_constant = len(set(case.history.get("learning_rate", []))) < 2
        slowly = ", or let it rise slowly at first (schedules.OneCycle)" if is_constant else ""
        yield Finding(
            "learning rate too high",
            f"{course}. {_size_of_step(case)}",
            f"Train anew with a tenth of the learning rate{slowly}.",
            "severe",
        )
    elif too_low:
        yield Finding(
            "learning rate too low",
            f"{course}; a single step against the gradient by {_TRIAL:.0%} of the weights' length lowers it by "
            f"{fall:.2g}. {_size_of_step(case)}",
            "Multiply the learning rate by ten, and again, until the loss falls from epoch to epoch.",
            "severe",
        )


def _normalises_a_few(case: Case) -> bool:
    """Whether there is a BatchNorm and only a few samples, of which its statistics and gradients say nothing."""
    return len(case.training) < _FEW and any(isinstance(layer, BatchNorm) for _, layer in case.model.tree())


def _trial(case: Case) -> tuple[float, float]:
    """The loss now, and by how much a step of the length ``_TRIAL`` against the gradient lowers it."""
    now, gradient, _ = case.step
    norm = float(np.linalg.norm(gradient))
    length = _TRIAL * float(np.linalg.norm(case.model.parameters))
    return now, now - case.loss_after(gradient * (-length / norm)) if norm else 0.0


def _bounds(case: Case) -> tuple[float, float | None]:
    """The least cross-entropy there can be, 0 but for smoothed labels, and that of guessing.

    To guess is always to answer with the mean of the truth. It is None where the loss is no cross-entropy of scores, or
    would be 0, and where samples had weights, with which it is another.
    """
    page, part = case.objective.page, case.training
    if getattr(case.history, "weighted", False) or part.labels is None or part.shares.max() == 1:
        return 0.0, None
    if isinstance(page, SoftmaxCategoricalCrossentropy):
        truth = page.truth(part.targets, part.classes, np.float64)
        scores, best = np.log(truth.mean(axis=0).clip(_NEVER)), np.log(truth.clip(_NEVER))
        return page.forward(best, part.targets), page.forward(np.tile(scores, (len(part), 1)), part.targets)
    if isinstance(page, SigmoidBinaryCrossentropy):
        share = part.targets.reshape(len(part), -1).mean(axis=0, dtype=np.float64).clip(_NEVER, 1 - _NEVER)
        return 0.0, page.forward(np.tile(np.log(share / (1 - share)), (len(part), 1)), part.targets)
    return 0.0, None


def _start(case: Case) -> float | None:
    """The mean squared error that initial weights have; None for other losses, and where samples had weights.

    Answers of default initial weights know nothing of the truth t, and are about as large as the inputs x.

    Maths:
        mean of (y - t)² = mean of t² + mean of y²        mean of y² = 2 · mean of x²
    """
    if not isinstance(case.objective.page, MeanSquaredError) or getattr(case.history, "weighted", False):
        return None
    part = case.training
    return float(np.mean(np.square(part.targets, dtype=np.float64)) + 2 * np.mean(np.square(part.x, dtype=np.float64)))


def _size_of_step(case: Case) -> str:
    """The ratio of one update to the weights, for the two kinds of optimizers there are."""
    assert case.history is not None
    rates = case.history.get("learning_rate", [])
    size = float(np.linalg.norm(case.model.parameters))
    if not len(rates) or not size:
        return ""
    plain = rates[-1] * float(np.linalg.norm(case.step[1])) / size
    adaptive = rates[-1] * math.sqrt(case.model.parameters.size) / size
    return (
        f"At the rate {rates[-1]:.2g} a step changes the weights by about {plain:.0e} of their size with SGD, "
        f"{adaptive:.0e} with Adam; 1e-3 to 1e-2 is usual."
    )
