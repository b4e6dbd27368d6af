"""Trainings that diverge, or are about to: where that began, and what to do.

a loss or gradient that is not finite    ends the training; the message names the first layer with such an output
parameters that are not finite           end the training after the last step of an epoch, as do running statistics
a loss that has exploded                 warns: it is more than ten times that of the first epoch, or of guessing
parameters that no step has moved        warn after the first epoch; an average of them, after the training
"""

import math

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray, as_floats
from handconv.errors import DivergenceError
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from handconv.training.state import Task, TrainingState
from handconv.utils.validation import broken, is_ours

_EXPLODED = 10.0  # default initial weights begin at most at twice the loss of guessing
_GROWN = 2.0  # times the norm of the initial parameters, from which on the steps are the cause of a large loss
_CROSS_ENTROPIES = (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)


def diagnosis(
    task: Task, accumulators: FloatArray, batch: NDArray[np.intp], epoch: int, step: int, *, finite_loss: bool
) -> str:
    """Say where a step left the finite numbers, and what to do.

    Args:
        task: the training.
        accumulators: the gradients of the step (ACCUMULATORS, P).
        batch: which samples it saw.
        epoch: its number, from 0.
        step: its number in the epoch, from 0.
        finite_loss: whether the loss is finite, so that the gradient is not.
    """
    network, samples = task.network, task.samples
    where = "the loss itself"
    if finite_loss:
        squares = {view.name: np.square(accumulators[:, view.place]).sum() for view in network.views}
        where = f"the squared gradient of {[name for name in squares if not np.isfinite(squares[name])][-1]}"
    chosen = batch if samples.chosen is None else samples.chosen[batch]
    outputs = as_floats(network.check_batch(samples.x[chosen]), network.dtype)
    for name, layer in zip(network.names, network.layers, strict=True):
        outputs = layer.forward(outputs, False)
        if not np.isfinite(outputs).all():
            where = f"the output of layer {name} ({type(layer).__name__})"
            break
    what = "gradient" if finite_loss else "loss"
    remedy = f"Use a smaller learning rate (it is {task.optimizer.current_learning_rate:g})."
    if epoch == step == 0:
        spoilt = broken(network.named_parameters() | network.named_buffers())
        remedy = "No step has been done yet" + (
            f", and {spoilt} hold NaN or infinity: make the network anew."
            if spoilt
            else ": scale x and y, or begin with smaller parameters."
        )
    return (
        f"Training diverged in epoch {epoch + 1}, step {step + 1}: the {what} is not finite; the first number that "
        f"is not finite is in {where}. {remedy}"
    )


def check_parameters(run: TrainingState) -> None:
    """Check what an epoch has made of the parameters, and of the running statistics of this package's layers.

    Raises:
        DivergenceError: if one is not finite.
    """
    network = run.network
    if wrong := broken(network.named_parameters()):
        raise DivergenceError(
            f"Training diverged in the last step of epoch {run.epoch + 1}: {wrong} are not finite. "
            f"Use a smaller learning rate (it is {run.optimizer.current_learning_rate:g})."
        )
    ours = {view.name: view.of(network.buffers) for view in network.store.buffered if is_ours(type(view.layer))}
    if wrong := broken(ours):
        raise DivergenceError(
            f"{wrong} are not finite after epoch {run.epoch + 1}: squares of the inputs there are too large for "
            f"{network.dtype}. Scale x, and look for values in it that stand for missing ones."
        )


def standstill(run: TrainingState) -> str:
    """Return a warning if the first epoch has moved no parameter, else ""."""
    parameters = run.network.parameters
    if run.epoch > 1 or not parameters.size or not np.array_equal(parameters, run.parameters_at_start):
        return ""
    reason = "the last step's gradient is 0: no loss, or no layer, passes one on"
    if run.network.gradients.any():
        name, rate = type(run.optimizer).__name__, run.history.last["learning_rate"]
        reason = (
            f"{name} left them as they are, with a learning rate of {rate:.3g}: use a larger one; a user-defined "
            "optimizer must change them in place, parameters[part] -= …"
        )
    return f"No parameter has moved in epoch 1: {reason}."


def average_standstill(run: TrainingState) -> str:
    """Return a warning if a training has left its average at the initial parameters, else ""."""
    start = run.parameters_at_start
    moved = not np.array_equal(run.network.parameters, start)
    if run.averaging is None or not moved or not np.array_equal(run.average, start):
        return ""
    return (
        f"{type(run.averaging).__name__} has left the average, with which the model now answers, at the initial "
        "parameters. Let update change it in place, average += …, or share be above 0."
    )


def explosion(run: TrainingState) -> str:
    """Return a warning if the loss has become far too large without becoming infinite, else ""."""
    first, last = run.history.epochs[0]["data_loss"], run.history.last
    limits = {"that of the first epoch": first}
    norm_at_start, norm = map(np.linalg.norm, (run.parameters_at_start, run.network.parameters))
    have_grown = norm > _GROWN * norm_at_start
    if isinstance(run.loss, _CROSS_ENTROPIES) and have_grown:  # else the loss is large because the inputs are
        weights = run.samples.weights
        scale = 1.0 if weights is None else float(np.mean(weights))
        limits["that of guessing"] = scale * math.log(max(2, *run.network.output_shape))
    for what, limit in limits.items():
        if limit > 0 and last["data_loss"] > _EXPLODED * limit:
            return (
                f"The loss has exploded: in epoch {last['epoch']} it was {last['data_loss']:.3g}, "
                f"{last['data_loss'] / limit:,.0f} times {what}. "
                f"Use a smaller learning rate (its mean was {last['learning_rate']:.3g})."
            )
    return ""
