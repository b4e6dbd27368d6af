"""What a user-defined loss must fulfil, as a batch is computed in shards, by any number of processes.

    a share          its value and gradient for a shard are that shard's share of the batch: a sum divided by batch_size
    weights          the loss of each sample is multiplied by its weight, where there are weights
    by sample        the loss of a sample does not depend on the other samples of the shard
    without memory   the loss of a shard does not depend on the shards computed before it

All are tested before the first step, by calling copies of the loss on two shards.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import as_floats
from handconv.losses import Loss
from handconv.losses.base import as_number
from handconv.network import Network
from handconv.objective import Objective
from handconv.samples import Samples
from handconv.training.hidden_state import LOST, check_same, equal, own, tried, two_shards
from handconv.utils.validation import real_numbers

_ROUNDING = 1e-3  # the relative difference up to which numbers count as the same


def check_loss_state(network: Network, loss: Loss, samples: Samples) -> None:
    """Compare the values of a user-defined loss for a shard alone and after another shard.

    Raises:
        RuntimeError: if it carries state from shard to shard.
    """
    check_same(
        own(loss),
        lambda: _loss_shards(network, loss, samples),
        _measured,
        f"What {loss.label} gives for the same predictions depends on the shard before, {LOST}. Let a callback "
        "change its settings.",
    )


def check_shares(network: Network, loss: Loss, samples: Samples) -> None:
    """Check that a user-defined loss returns a shard's share of the batch, independent of the other shards.

    Raises:
        ValueError: if an overridden ``forward`` does not divide by the size of the batch, or if the loss of a sample
            depends on the samples beside it.
    """
    shards = tried(lambda: _loss_shards(network, loss, samples)) if own(loss) else None
    if shards is None:
        return
    if type(loss).forward is Loss.forward:
        _check_by_sample(loss, shards, _sample_losses)
    else:
        _check_divides(loss, shards[0])
    _check_by_sample(loss, shards, lambda loss, shard: _measured(loss, shard)[1])


def check_weights(network: Network, loss: Loss, samples: Samples) -> None:
    """Check that a user-defined loss with its own ``forward`` or ``backward`` heeds the weights of the samples.

    Raises:
        ValueError: if its value or its gradient is the same for other weights.
    """
    inherited = type(loss).forward is Loss.forward and type(loss).backward is Loss.backward
    if samples.weights is None or inherited or not own(loss):
        return

    def measured() -> list[tuple[float, NDArray[Any]]]:
        shard = _loss_shards(network, loss, samples)[0]
        weights = np.ones(len(shard.targets))
        return [_measured(copy.deepcopy(loss), shard._replace(weights=times * weights)) for times in (1, 2)]

    if _same(tried(measured)):
        raise ValueError(
            f"{loss.label}.forward and backward must multiply the loss of each sample by its weight; got the same for "
            "other sample_weights. Or define sample_losses and gradient alone."
        )


def _same(measured: list[tuple[float, NDArray[Any]]] | None) -> bool:
    """Whether one of two values, or of two gradients, is the other, and not zero."""
    return any(np.any(one) and np.array_equal(one, other) for one, other in zip(*measured or [], strict=True))


def _check_divides(loss: Loss, shard: "_Shard") -> None:
    """Check that an overridden ``forward`` divides by the size of the batch, not by that of the shard."""
    if _same(tried(lambda: [_measured(copy.deepcopy(loss), shard, times=times) for times in (1, 2)])):
        raise ValueError(
            f"{loss.label}.forward and backward must give these samples' share of a batch, a sum divided by "
            "batch_size; got the same for two sizes. Or define sample_losses and gradient alone."
        )


def _check_by_sample(loss: Loss, shards: list["_Shard"], measure: Callable[[Loss, "_Shard"], NDArray[Any]]) -> None:
    """Check that each sample's values are the same beside other samples; a loss that draws random numbers passes."""
    one, other = shards

    def beside(them: _Shard) -> NDArray[Any]:
        measured = real_numbers(loss.label, measure(copy.deepcopy(loss), one.beside(them)))
        return measured.astype(np.float64)[: len(one.targets)]

    found = tried(lambda: [beside(them) for them in (other, other, one)])
    if found is None or not equal(found[0], found[1]):
        return
    tolerance = _ROUNDING * float(np.abs(found[0]).max(initial=0))
    if not np.allclose(found[0], found[2], _ROUNDING, tolerance, equal_nan=True):
        raise ValueError(
            f"What {loss.label} gives for a sample depends on the samples beside it, and a batch is computed in "
            "shards. Where targets (N,) are taken from predictions (N, 1), which makes (N, N), use "
            "targets[:, None]; a loss of whole batches needs shard_size=batch_size."
        )


class _Shard(NamedTuple):
    """The predictions, targets and weights of some samples."""

    predictions: NDArray[Any]
    targets: NDArray[Any]
    weights: NDArray[Any] | None

    def beside(self, other: "_Shard") -> "_Shard":
        """These samples, and after them others."""
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        predictions, targets = (np.concatenate([self[part], other[part]]) for part in (0, 1))
        return _Shard(predictions, targets, weights)


def _loss_shards(network: Network, loss: Loss, samples: Samples) -> list[_Shard]:
    """The predictions, targets and weights of two shards."""
    layers = copy.deepcopy(network).layers[: len(Objective(network, loss).layers)]
    shards = []
    for part in two_shards(samples):
        outputs = as_floats(samples.x[part], network.dtype)
        for layer in layers:
            outputs = np.asarray(layer.forward(outputs, False))
        shards.append(_Shard(outputs, samples.y[part], None if samples.weights is None else samples.weights[part]))
    return shards


def _measured(loss: Loss, shard: _Shard, *, times: int = 1) -> tuple[float, NDArray[Any]]:
    """The value and the gradient of a loss for a shard, in a batch ``times`` as large as the shard."""
    predictions, targets, weights = shard
    value = loss.forward(predictions.copy(), targets.copy(), weights, batch_size=times * len(predictions))
    return as_number(loss, value), np.array(loss.backward())


def _sample_losses(loss: Loss, shard: _Shard) -> NDArray[Any]:
    """The loss of each sample of a shard."""
    predictions = shard.predictions.copy()
    truth = loss.check_targets(shard.targets, predictions.shape)
    return np.reshape(loss.sample_losses(predictions, truth), len(predictions))
