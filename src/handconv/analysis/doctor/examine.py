"""``handconv.doctor``: what is wrong with a model, its data or its training, or nothing.

One fault shows in many ways: pixels from 0 to 255 kill units, saturate the softmax and let gradients explode. What a
finding brings about is not told beside it, since its remedy would be the wrong one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis.doctor.case import Case
from handconv.analysis.doctor.data import (
    constant,
    leaked,
    noisy,
    one_class,
    read_otherwise,
    repeated,
    shuffled,
    unscaled,
)
from handconv.analysis.doctor.finding import Diagnosis, Finding
from handconv.analysis.doctor.training import dead, gradients, identical, learning_rate, one_answer, saturated, stale
from handconv.losses import Loss
from handconv.losses.targets import Targets
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.utils.validation import broken, unmasked

_RATES = {"learning rate too high", "learning rate too low"}
_OUTCOMES = {"one answer for all", "noisy labels", "stale running statistics"} | _RATES
#: Another reading of the data, which a network that has not learnt anything yet may fit by chance, if classes are few.
_READINGS = {"inverted inputs", "transposed inputs", "swapped channels", "shifted labels"}
_OTHERWISE_READ = _OUTCOMES - {"learning rate too low"}
#: What is seen where something else is wrong.
_BRINGS_ABOUT: dict[str, set[str]] = {
    "unscaled inputs": {"dead units", "saturated softmax", "exploding gradients", "vanishing gradients"} | _OUTCOMES,
    "constant inputs": {"shuffled labels", "repeated images", "dead units", "saturated softmax"} | _OUTCOMES,
    "identical units": {"dead units", "vanishing gradients", "saturated softmax"} | _OUTCOMES,
    "inverted inputs": {"dead units", "saturated softmax"} | _OTHERWISE_READ,
    "transposed inputs": {"dead units", "saturated softmax"} | _OTHERWISE_READ,
    "swapped channels": {"dead units", "saturated softmax"} | _OTHERWISE_READ,
    "shifted labels": {"saturated softmax"} | _OTHERWISE_READ,
    "shuffled labels": {"dead units", "saturated softmax"} | _OUTCOMES,
    "noisy labels": _RATES,
    "stale running statistics": {"dead units", "saturated softmax", "one answer for all", "noisy labels"} | _RATES,
    "exploding gradients": {"saturated softmax"} | _OUTCOMES,
    "vanishing gradients": _OUTCOMES,
    "saturated softmax": _OUTCOMES,
    "dead units": {"one answer for all"},
    "one answer for all": _RATES,
    "learning rate too low": _READINGS,
}


def doctor(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    *,
    loss: Loss | None = None,
) -> Diagnosis:
    """Say what is wrong with a model, its data or its training.

    It looks for identical and dead units, a saturated softmax, one answer for all samples, unscaled, constant, inverted
    and transposed inputs, swapped colour channels, shifted, shuffled and partly random labels, a single class, running
    statistics that are not those of the data, vanishing and exploding gradients, a learning rate that is far too high
    or too low, repeated images, and training samples in the test set.
    It is silent on a healthy run, and tells the cause rather than what that brings about. The model is not changed.

    Args:
        model: the model, trained or in training.
        x: the inputs that it is trained on (N, …).
        y: their targets, as for ``fit``.
        x_test: inputs that it is tested on. They show that labels which the model alone can tell are not shuffled.
        y_test: their targets.
        history: what ``fit`` returned; without it nothing is said about the learning rate.
        loss: what it is trained with; the default loss unless given.

    Raises:
        ValueError, TypeError: if the samples do not fit the model, or a part of them is missing.

    Example:
        >>> import numpy as np, handconv as hc
        >>> digits = hc.datasets.load("digits")
        >>> model = hc.Sequential([hc.Flatten(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
        >>> history = model.fit(digits.x_train, digits.y_train, epochs=3, optimizer=hc.Adam(0.01))
        >>> print(hc.doctor(model, digits.x_train, digits.y_train, digits.x_test, digits.y_test, history))
        Nothing found.
        >>> hc.doctor(model, 255 - digits.x_train, digits.y_train).names
        ('inverted inputs',)
    """
    return Diagnosis(findings(model, x, y, x_test, y_test, history, loss=loss))


def findings(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    *,
    loss: Loss | None = None,
) -> tuple[Finding, ...]:
    """Find what ``doctor`` tells, the severe first.

    Args:
        model: the model.
        x: the inputs that it is trained on.
        y: their targets.
        x_test: inputs that it is tested on.
        y_test: their targets.
        history: what ``fit`` returned.
        loss: what it is trained with; the default loss unless given.

    Raises:
        ValueError, TypeError: as ``doctor``.
    """
    case = _case(model, x, y, x_test, y_test, history, loss)
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that have exploded, which is a finding
        return _examined(case)


def _examined(case: Case) -> tuple[Finding, ...]:
    """Run all checks, and leave out what is brought about by something else that was found."""
    if not np.isfinite(case.outputs(case.training.samples)).all():
        raise ValueError(
            "The model's outputs are NaN or infinity, so it has no answers to examine. "
            "Train it anew, with a smaller learning rate."
        )
    of_data = (unscaled, constant, one_class, read_otherwise, shuffled, noisy)
    found = [each for check in of_data for each in check(case, case.training)]
    of_training = (repeated, identical, stale, dead, one_answer, saturated, gradients, learning_rate)
    found += [each for check in of_training for each in check(case)]
    brought_about = set().union(*(_BRINGS_ABOUT.get(each.name, set()) for each in found))
    found = [each for each in found if each.name not in brought_about]
    if case.test is not None:
        of_test = [each for check in (*of_data, leaked) for each in check(case, case.test)]
        known = {each.name for each in found} | brought_about
        known |= set().union(*(_BRINGS_ABOUT.get(each.name, set()) for each in of_test))
        found += [each for each in of_test if each.name not in known]
    return tuple(sorted(found, key=lambda each: each.severity != "severe"))


def _case(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike | None,
    y_test: ArrayLike | None,
    history: object,
    loss: object,
) -> Case:
    """Check all that was given."""
    if not isinstance(model, Sequential):
        raise TypeError(f"doctor examines a handconv.Sequential, got {model!r}.")
    if loss is not None and not isinstance(loss, Loss):
        raise TypeError(f"loss must be a loss such as handconv.MeanSquaredError(), got {loss!r}.")
    if (x_test is None) != (y_test is None):
        given, missing = ("y_test", "x_test") if x_test is None else ("x_test", "y_test")
        raise ValueError(f"doctor needs x_test and y_test together, got {given} alone. Give {missing} too.")
    figures = _figures(history)
    loss = model.default_loss() if loss is None else loss
    training = _samples(model, loss, x, y, "x")
    if name := broken(model.named_parameters()):
        raise ValueError(
            f"{name} of the model hold NaN or infinity, so it has no answers to examine. "
            "Train it anew, with a smaller learning rate."
        )
    test = None if x_test is None or y_test is None else _samples(model, loss, x_test, y_test, "x_test")
    return Case(model, loss, training, test, figures)


def _samples(model: Sequential, loss: Loss, x: ArrayLike, y: ArrayLike, name: str) -> tuple[NDArray[Any], Targets]:
    """Check inputs and targets against the model and each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pixels that are not scaled, which is a finding here
        inputs = checked_inputs(x, model.input_shape, model.dtype, name=name)
    model.ensure_built(inputs.shape[1:])
    return inputs, np.asarray(loss.check_targets(unmasked("y", y), (len(inputs), *model.output_shape)))


def _figures(history: object) -> Mapping[str, Sequence[float]] | None:
    """Check that a history has a loss for each epoch."""
    if history is None:
        return None
    if not isinstance(history, Mapping) or not {"loss", "data_loss"} & set(history):
        raise TypeError(f'history must be what fit returned, a mapping with a list "loss", got {history!r:.80}.')
    losses = history["data_loss" if "data_loss" in history else "loss"]
    if not len(losses) or not all(math.isfinite(loss) for loss in losses):
        raise ValueError(f"history must hold one finite loss an epoch, got {losses!r:.80}.")
    return history
