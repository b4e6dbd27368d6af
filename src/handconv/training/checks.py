"""Checks before the first step of a training: what the steps would compute wrongly is refused."""

import copy
import inspect
import itertools
from collections import Counter
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import as_floats
from handconv.engine.lower import fast_kind
from handconv.layers import Layer
from handconv.layers.kept_views import kept_views
from handconv.network import Network
from handconv.rng import Purpose
from handconv.training.hidden_state import (
    any_gradient,
    check_augment_state,
    check_average,
    check_no_hidden_state,
    check_optimizer_state,
    check_schedule,
    equal,
    tried,
)
from handconv.training.own_losses import check_loss_state, check_shares, check_weights
from handconv.training.state import Task, TrainingState
from handconv.training.step import shard_size
from handconv.utils.validation import is_ours
from handconv.utils.warn import warn
from handconv.utils.words import counted

_SAMPLES = 8


def check_run(run: TrainingState, *, is_saved: bool, was_used: bool) -> None:
    """Refuse user-defined parts, settings and samples that would go wrong with these workers, shards and checkpoints.

    Args:
        run: the training; its optimizer is built.
        is_saved: whether it begins with a checkpoint, or makes some.
        was_used: whether its optimizer has done steps before.

    Raises:
        ValueError, RuntimeError: the first thing that would.
    """
    shard = shard_size(run.network, run.batch_size, run.shard_size)
    check_schedule(run.optimizer)
    check_runs_once(run)
    check_gradients_are_own(run)
    check_gradients_written(run)
    check_all_declared(run)
    check_parameters_used(run)
    if run.batch_size > shard:
        check_shares(run.network, run.loss, run.samples)
    check_weights(run.network, run.loss, run.samples)
    if run.workers > 1:
        check_no_views(run)
    if run.workers > 1 or is_saved:
        check_no_hidden_state(run.network, run.samples)
        check_loss_state(run.network, run.loss, run.samples)
        check_augment_state(run)
        check_average(run)
    if run.workers > 1 or is_saved or was_used:
        check_optimizer_state(run.optimizer, run.network.parameters, run.network.decayed(), by_parts=run.workers > 1)
    check_enough_samples(run, shard)


def check_runs_once(task: Task) -> None:
    """Check that user-defined layers call the package's layers that they hold once in each forward pass.

    Raises:
        ValueError: if one is called twice, as its backward pass belongs to the last call alone.
    """
    if all(fast_kind(layer) is not None or not layer.sublayers() for layer in task.network.store.layers):
        return
    probe = copy.deepcopy(task.network)
    passes: Counter[str] = Counter()

    def counted_forward(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            passes[path] += 1
            return forward(*arguments, **options)

        return run

    for path, layer in probe.tree():
        if is_ours(type(layer)):
            layer.forward = counted_forward(path, layer.forward)  # type: ignore[method-assign]
    tried(lambda: probe.forward(task.samples.x[:_SAMPLES], training=True))
    often = [path for path, times in passes.items() if times > 1]
    if often:
        raise ValueError(
            f"Layer {often[0]} is called {passes[often[0]]} times in one forward pass, and its backward belongs to the "
            "last call alone. Make a layer for each place, or one batch of all its inputs (np.concatenate)."
        )


def check_gradients_are_own(task: Task) -> None:
    """Refuse a user-defined layer whose backward writes gradients of another layer, as one that shares weights does.

    Raises:
        ValueError: if one does so, as the other's backward comes later and overwrites them.
    """
    network = task.network
    members = network.store.layers
    looking = {members[view.keeper] for view in kept_views(members) if view.keeper != view.owner}
    places = [
        place
        for place, layer in enumerate(network.layers)
        if not is_ours(type(layer)) and (_reaches_others(layer) or any(each in looking for _, each in layer.tree()))
    ]
    if not places:
        return
    probe, before = copy.deepcopy(network), network.gradients.copy()
    found: list[str] = []

    def watched_backward(layer: Layer) -> Callable[..., Any]:
        backward = layer.backward
        within = {each for _, each in layer.tree()}
        others = [view for view in probe.views if view.layer not in within]

        def run(dvalues: Any) -> Any:
            vectors = probe.gradients, network.gradients  # which a function of the user's may look at instead
            kept = [vector.copy() for vector in vectors]
            dinputs = backward(dvalues)
            for old, new in zip(kept, vectors, strict=True):
                written = [view.name for view in others if not equal(old[view.place], new[view.place])]
                found.extend(f"{layer.label}.backward writes the gradient of {name}" for name in written)
            return dinputs

        return run

    for layer in (probe.layers[place] for place in places):
        layer.backward = watched_backward(layer)  # type: ignore[method-assign]
    tried(lambda: probe.backward(any_gradient(probe.forward(task.samples.x[:_SAMPLES], training=True))))
    network.gradients[...] = before
    if found:
        raise ValueError(
            f"{found[0]}, which belongs to another layer, and that one's backward overwrites it. Make one layer that "
            "holds the other, uses it in both places, and adds up both gradients."
        )


def _reaches_others(layer: Layer) -> bool:
    """Whether a layer's code can reach a network, or a layer that it does not hold, by its attributes and closures."""
    methods = [vars(kind).values() for kind in type(layer).__mro__ if not is_ours(kind)]
    within, reached = {each for _, each in layer.tree()}, list[object]()
    for value in itertools.chain(vars(layer).values(), *methods):
        if isinstance(value, FunctionType):
            seen = inspect.getclosurevars(value)
            reached += [*seen.nonlocals.values(), *seen.globals.values()]
        else:
            reached.append(value)
    return any(isinstance(value, Network) or (isinstance(value, Layer) and value not in within) for value in reached)


def check_gradients_written(task: Task) -> None:
    """Warn of parameters of user-defined layers whose gradient no backward writes: they would not be trained."""
    own = {each for layer in task.network.store.layers if not is_ours(type(layer)) for _, each in layer.tree()}
    replaced = any("backward" in vars(layer) for layer in own)  # on a single layer: a copy would run the original's
    if replaced or not any(view.layer in own for view in task.network.views):
        return
    probe, x = copy.deepcopy(task.network), task.samples.x[:_SAMPLES]

    def passes() -> bool:
        probe.backward(any_gradient(probe.forward(x, training=True)))
        return True

    if not tried(passes):
        return
    for view in [view for view in probe.views if not view.of(probe.gradients).any()]:
        view.layer.arrays[f"d{view.spec.name}"].flags.writeable = False  # whoever writes it is found by the error
        if tried(passes):
            warn(
                f"No backward writes the gradient of {view.name} ({view.layer.label}), so that it is not trained. "
                f"Fill self.d{view.spec.name} there, or declare the array with trainable=False."
            )
        view.layer.arrays[f"d{view.spec.name}"].flags.writeable = True


def check_all_declared(task: Task) -> None:
    """Warn of arrays that user-defined layers keep with a gradient, as ``W`` and ``dW``, without declaring them."""
    own = [layer for layer in task.network.store.layers if not is_ours(type(layer))]
    if not any(_floats(layer) for layer in own):
        return
    probe = copy.deepcopy(task.network)
    kept = [(layer, name, array, array.copy()) for layer in probe.store.layers for name, array in _floats(layer)]
    tried(lambda: probe.backward(any_gradient(probe.forward(task.samples.x[:_SAMPLES], training=True))))
    for layer, name, array, before in kept:
        gradient = vars(layer).get(f"d{name}")
        if not (isinstance(gradient, np.ndarray) and gradient.shape == array.shape) or is_ours(type(layer)):
            continue
        stays = vars(layer).get(name) is array and equal(array, before)  # what passes through does not
        if stays and not np.may_share_memory(array, probe.parameters):  # else another name of what is declared
            warn(
                f"{layer.label} keeps {name!r} and its gradient {f'd{name}'!r} without declaring them: no optimizer "
                f"moves them, and no file has them. Return ParameterSpec({name!r}, {array.shape}) from declare()."
            )


def check_parameters_used(task: Task) -> None:
    """Warn of a user-defined layer that keeps a copy of its parameters, and computes with that when they have moved."""
    network = task.network
    if not any(not is_ours(type(view.layer)) for view in network.views):
        return

    def outputs(*factors: float) -> list[NDArray[Any]]:
        """What each layer gives in the last of several passes, each with other parameters."""
        probe, passed = copy.deepcopy(network), list[NDArray[Any]]()
        for factor in factors:
            probe.parameters, probe.buffers = factor * network.parameters + (factor - 1), network.buffers
            generator = network.streams.generator(Purpose.DROPOUT)
            for layer in probe.store.layers:
                layer.generator = generator
            passed = [as_floats(task.samples.x[:_SAMPLES], network.dtype)]
            for layer in probe.layers:
                passed.append(np.array(layer.forward(passed[-1], True)))
        return passed

    found = tried(lambda: [outputs(*factors) for factors in ((1.25,), (1.25, 1.25), (1.0, 1.25))])
    if found and equal(*found[:2]) and not equal(*found[1:]):
        place = [equal(*pair) for pair in zip(*found[1:], strict=True)].index(False) - 1
        warn(
            f"{network.layers[place].label} computes with its parameters as they were in an earlier forward, not as "
            "they are. Let it keep no copy of them: self.W.T is a view and may be kept, self.W.T.copy() may not."
        )


def _floats(layer: Layer) -> list[tuple[str, NDArray[Any]]]:
    """The arrays of floats that a layer keeps beside those that it has declared."""
    kept = vars(layer).items()
    return [(name, value) for name, value in kept if isinstance(value, np.ndarray) and value.dtype.kind == "f"]


def check_no_views(task: Task) -> None:
    """Refuse a loss that keeps a part of the network's vectors: worker processes have vectors of their own.

    Raises:
        RuntimeError: if it does so.
    """
    network = task.network
    vectors = network.parameters, network.gradients, network.buffers
    for name, value in vars(task.loss).items():
        if isinstance(value, np.ndarray) and any(np.may_share_memory(value, vector) for vector in vectors):
            raise RuntimeError(
                f"{task.loss.label} keeps a view of the network's arrays as {name!r}, and in worker processes these "
                "lie elsewhere. Keep the layer or the network, and take its arrays each time; or use workers=1."
            )


def check_enough_samples(task: Task, shard: int) -> None:
    """Refuse batches that leave a layer with too few samples at the end of an epoch.

    Args:
        task: the training.
        shard: how many samples are computed together.

    Raises:
        ValueError: if they do.
    """
    count = len(task.samples)
    batches = {min(task.batch_size, count), count % task.batch_size or task.batch_size}
    fewest = min(min(batch, batch % shard or shard) for batch in batches)
    for layer in task.network.store.layers:
        if fewest < layer.min_samples:
            raise ValueError(
                f"{layer.label} needs at least {layer.min_samples} samples together in training, and "
                f"{counted(count, 'sample')} in batches of {task.batch_size} and shards of {shard} leave {fewest} at "
                "the end. Use another batch_size."
            )
