"""State that a layer carries from shard to shard without having declared it.

Any process may compute any shard, and a resumed training starts from what was saved. So whatever a layer keeps from
shard to shard must be a parameter or a buffer: other state would be lost, silently, in worker processes and on a
resume. Before the first step, copies of the network therefore compute a shard alone and after another shard, with the
same random numbers; the outputs, and what user-defined layers keep, must be equal. User-defined optimizers, schedules,
averages and augmentations are tested in the same way, and losses in ``own_losses``.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handconv.engine.lower import fast_kind
from handconv.layers import Layer
from handconv.network import Network
from handconv.optimizers import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.rng import Purpose
from handconv.samples import Samples
from handconv.training.averaging import WeightAverage
from handconv.training.state import Task, label_of
from handconv.utils.validation import is_ours

_SAMPLES = 8
_TRIES = 32
_Found = TypeVar("_Found")
_PLAIN = (bool, int, float, str, np.generic, type(None))
_GIVEN = ("arrays", "generator", "_owner")
LOST = "and worker processes and a resumed training would lose what it keeps of that"


def check_no_hidden_state(network: Network, samples: Samples) -> None:
    """Compute shards in two orders, and compare what user-defined layers keep afterwards.

    Raises:
        RuntimeError: if a layer carries state that it did not declare.
    """
    if all(fast_kind(layer) is not None for layer in network.store.layers):
        return
    one, other = (samples.x[part] for part in two_shards(samples))
    shards = ((one, 1.0), (other, 2.0))  # gradients of another size, for what is learned from these
    for last, before in (shards, shards[::-1]) if len(samples) > 1 else ():
        (alone, computed), (after, computed_after) = (
            _left_by(network, order) for order in ([last, last], [last, before, last])
        )
        for (label, found), (_, expected) in zip(after, alone, strict=True):
            for name in found:
                if not equal(expected.get(name), found[name]):
                    raise RuntimeError(_told(label, name, expected.get(name), found[name]))
        if not equal(computed, computed_after):
            labels = ", ".join(label for label, _ in alone)
            raise RuntimeError(
                f"What {labels} compute for the same samples depends on the shard before. {_REMEDY.format(name='name')}"
            )


def check_augment_state(task: Task) -> None:
    """Compare what a user-defined augmentation makes of images alone and after other images.

    Raises:
        RuntimeError: if it depends on more than the images and the generator.
    """

    def made(augment: Any, shard: tuple[NDArray[Any], int]) -> list[NDArray[Any]]:
        images, seed = shard
        seeds = range(seed, _TRIES, 2)  # several, as hidden random numbers may agree by chance
        return [np.array(augment(images.copy(), np.random.default_rng(each))) for each in seeds]

    check_same(
        own(task.augment),
        lambda: [(task.samples.x[part], seed) for seed, part in enumerate(two_shards(task.samples))],
        made,
        f"What {label_of(task.augment)} makes of the same images depends on the images before, {LOST}. Draw random "
        "numbers from the generator that it is given, and keep nothing.",
    )


def check_schedule(optimizer: Optimizer) -> None:
    """Check that a user-defined schedule returns the same rate for the same step.

    Raises:
        RuntimeError: if it does not, for example because it counts its calls.
    """
    rate = optimizer.learning_rate
    check_same(
        own(rate) if isinstance(rate, Schedule) else None,
        lambda: (0, 1),
        lambda schedule, step: schedule(step, optimizer.total_steps),
        f"{type(rate).__name__} gives another rate for the same step when it is asked again, as it often is. Let it "
        "depend on its arguments, step and total_steps, alone, or let a callback change it.",
    )


def check_same(
    thing: object, questions: Callable[[], Sequence[Any]], ask: Callable[[Any, Any], object], message: str
) -> None:
    """Refuse an object, if there is one, whose answer to the first of two questions changes after the second."""
    if thing is None:
        return

    def answers() -> tuple[object, object]:
        one, other = questions()
        alone, after = copy.deepcopy(thing), copy.deepcopy(thing)
        expected = ask(alone, one)
        ask(after, other)
        return expected, ask(after, one)

    found = tried(answers)
    if found and not equal(*found):
        raise RuntimeError(message)


def check_answers(network: Network, x: NDArray[Any]) -> None:
    """Compare the outputs of a network with user-defined layers for samples alone and after other samples.

    Raises:
        RuntimeError: if a layer carries state from one answer to the next.
    """
    labels = [layer.label for layer in network.store.layers if fast_kind(layer) is None]
    count = max(1, min(_SAMPLES, len(x) // 2))
    check_same(
        network if labels else None,
        lambda: (x[:count], x[-count:]),
        lambda network, part: network.infer(part),
        f"What {', '.join(labels)} answer for the same samples depends on the samples before, and each process would "
        "see other ones. Use workers=1.",
    )


def two_shards(samples: Samples) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The indices of some samples and, where there are enough, of others."""
    count = max(1, min(_SAMPLES, len(samples) // 2))
    chosen = np.arange(len(samples)) if samples.chosen is None else samples.chosen
    return chosen[:count], chosen[-count:]


def check_optimizer_state(
    optimizer: Optimizer, parameters: NDArray[Any], decayed: Sequence[slice], *, by_parts: bool
) -> None:
    """Compare steps of a user-defined optimizer with steps after its state was saved and loaded, and by parts.

    Args:
        optimizer: which has been built.
        parameters: the vector that it is for; not changed.
        decayed: the pieces that decoupled weight decay shrinks.
        by_parts: whether several processes will each update a part.

    Raises:
        RuntimeError: if it carries state that is not in ``state``, or looks at more than its part.
    """
    if not own(optimizer) or not parameters.size:
        return
    found = tried(lambda: _stepped(optimizer, parameters, decayed))
    label = type(optimizer).__name__
    if found and not equal(found["loaded"], found["expected"]):
        raise RuntimeError(
            f"{label} carries state from step to step that is not in its state, where worker processes, a resumed "
            'training and another one would lose it. Name its vectors, vectors = ("velocity",), and use '
            "self.state['velocity']."
        )
    half = parameters.size // 2
    if (
        found
        and by_parts
        and not equal(found["part"], np.append(found["expected"][:half], _of_others(parameters[half:])))
    ):
        raise RuntimeError(
            f"{label} must move parameters[part] by gradients[part] alone, and does more than that. Each worker "
            "process has its part; use workers=1."
        )


def _stepped(optimizer: Optimizer, parameters: NDArray[Any], decayed: Sequence[slice]) -> dict[str, NDArray[Any]]:
    """The parameters after two steps; with the state saved and loaded between them; with a first half of the second."""
    generator = np.random.default_rng(0)
    first, second = (generator.standard_normal(parameters.shape).astype(parameters.dtype) for _ in range(2))
    whole, loaded, part = (copy.deepcopy(optimizer) for _ in range(3))
    for one in (whole, loaded, part):
        one.build(parameters, decayed)
    found = {"expected": parameters.copy()}
    half = parameters.size // 2
    with np.errstate(all="ignore"):
        whole.step(found["expected"], first.copy())
        found |= {"loaded": found["expected"].copy(), "part": found["expected"].copy()}
        state = whole.state_dict()
        whole.step(found["expected"], second.copy())
        loaded.load_state_dict(state)
        loaded.step(found["loaded"], second.copy())
        found["part"][half:], second[half:] = _of_others(parameters[half:]), np.nan  # which other processes work on
        part.load_state_dict(state)
        part.step(found["part"], second, slice(0, half))
    return found


def _of_others(parameters: NDArray[Any]) -> NDArray[Any]:
    """Stand-ins for parameters that must not be touched: clipping, shrinking or limiting them all would change one."""
    return np.resize(np.array([3, -3, np.inf, -np.inf], parameters.dtype), parameters.shape)


def check_average(task: Task) -> None:
    """Check that a user-defined average has a share that depends on the step alone, and moves each number by itself.

    Raises:
        RuntimeError: if it does not.
    """
    averaging, label, steps = own(task.averaging), type(task.averaging).__name__, task.epochs * task.steps_per_epoch
    check_same(
        averaging,
        lambda: (1, 2),
        lambda average, step: average.share(step, steps),
        f"{label} gives another share for the same step when it is asked again, {LOST}. Let it depend on its "
        "arguments alone, step and steps.",
    )
    moved = tried(lambda: _moved(averaging, task, steps)) if averaging else None
    if moved and not equal(*moved):
        raise RuntimeError(
            f"{label}.update must move each number of the average by that of the parameters in its place, and does "
            "more than that. Each worker process has its part; use workers=1."
        )


def _moved(averaging: WeightAverage, task: Task, steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What an update makes of some numbers as a whole, and of their halves."""
    parameters = np.linspace(-1, 2, min(task.network.parameters.size, _SAMPLES), dtype=task.network.dtype)
    whole, parts, half = np.zeros_like(parameters), np.zeros_like(parameters), len(parameters) // 2
    for average, part in ((whole, slice(None)), (parts, slice(0, half)), (parts, slice(half, None))):
        copy.deepcopy(averaging).update(average[part], parameters[part], 2, steps + 2)
    return whole, parts


def tried(probe: Callable[[], _Found]) -> _Found | None:
    """The result of a probe; None if it raises an error, which the steps of the training will raise, too."""
    try:
        return probe()
    except Exception:  # noqa: BLE001 - of code that is not ours
        return None


def own(thing: _Found) -> _Found | None:
    """The object if its class is user-defined, else None.

    Also None if a method was replaced on this object alone, as a copy of it would still call the original object.
    """
    kept = getattr(thing, "__dict__", {})
    replaced = any(callable(value) and hasattr(type(thing), name) for name, value in kept.items())
    return None if replaced or is_ours(type(thing)) else thing


_Left = list[tuple[str, dict[str, Any]]]


def _left_by(network: Network, shards: list[tuple[NDArray[Any], float]]) -> tuple[_Left, list[NDArray[Any]]]:
    """What the user-defined layers of a copy keep after these shards, and the results of the last shard.

    Buffers and random numbers are set back before each shard.
    """
    probe = copy.deepcopy(network)
    computed: list[NDArray[Any]] = []
    start = probe.buffers.copy()
    for x, scale in shards:
        probe.buffers[...] = start
        generator = network.streams.generator(Purpose.DROPOUT)
        for layer in probe.store.layers:
            layer.generator = generator
        outputs = probe.forward(x, training=True).copy()
        computed = [outputs, probe.backward(scale * any_gradient(outputs)), probe.gradients.copy()]
    own = [layer for layer in probe.store.layers if fast_kind(layer) is None]
    return [(layer.label, _attributes(layer)) for layer in own], computed


def any_gradient(outputs: NDArray[Any]) -> NDArray[Any]:
    """A gradient that is not constant: the backward pass of a Softmax maps a constant one to zero."""
    drawn = np.random.default_rng(0).normal(size=outputs.shape).astype(outputs.dtype)
    return np.asarray(drawn)


_REMEDY = (
    "Worker processes and a resumed training would lose it. Declare a buffer, ParameterSpec({name!r}, shape, "
    "trainable=False), in declare(); draw random numbers from self.generator."
)


def _told(label: str, name: str, expected: object, found: object) -> str:
    return (
        f"{label} carries {name!r} from shard to shard: the same samples left {_shown(expected)} alone and "
        f"{_shown(found)} after others. {_REMEDY.format(name=name)}"
    )


def _attributes(layer: Layer) -> dict[str, Any]:
    return {name: value for name, value in vars(layer).items() if name not in _GIVEN and not isinstance(value, Layer)}


def equal(one: object, other: object) -> bool:
    """Whether two values are the same, as far as values can be compared."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        a, b = np.asarray(one), np.asarray(other)
        return a.shape == b.shape and (
            a.dtype.kind not in "biufc" or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, _PLAIN) and isinstance(other, _PLAIN):
        return one == other or (one != one and other != other)  # NaN is the same as NaN
    if type(one) is not type(other):
        return False
    inside = hasattr(one, "__dict__") and not callable(one) and not isinstance(one, Layer)
    return not inside or equal(vars(one), vars(other))


def _shown(value: object) -> str:
    return f"an array of mean {np.mean(value):.6g}" if isinstance(value, np.ndarray) and value.size else repr(value)
