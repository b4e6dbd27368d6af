"""State that a layer carries from shard to shard without having declared it.

Who computes which shard is nobody's business, and a resumed training starts from what was saved. So whatever a layer
learns by itself in training must be a parameter or a buffer. Other state would be lost in worker processes, and with a
resume, in silence; it is found before the first step: copies of the network compute a shard alone, and after another
one, with the same random numbers, and nothing that a layer of one's own keeps, nor what the network then computes, may
differ afterwards.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.engine.lower import fast_kind
from handconv.layers import Layer
from handconv.network import Network
from handconv.rng import Purpose
from handconv.samples import Samples

_SAMPLES = 8
_PLAIN = (bool, int, float, str, np.generic, type(None))
_GIVEN = ("arrays", "generator", "_owner", "_store")


def check_no_hidden_state(network: Network, samples: Samples) -> None:
    """Compute shards in two orders, and compare what the user's own layers then have.

    Raises:
        RuntimeError: if a layer carries state that it did not declare.
    """
    if all(fast_kind(layer) is not None for layer in network.store.layers):
        return
    count = min(_SAMPLES, len(samples) // 2)
    chosen = np.arange(2 * count) if samples.chosen is None else samples.chosen[: 2 * count]
    one, other = samples.x[chosen[:count]], samples.x[chosen[count:]]
    shards = ((one, 1.0), (other, 2.0))  # gradients of another size, for what is learned from these
    for last, before in (shards, shards[::-1]) if count else ():
        (alone, computed), (after, computed_after) = (
            _left_by(network, order) for order in ([last, last], [last, before, last])
        )
        for (label, found), (_, expected) in zip(after, alone, strict=True):
            for name in found:
                if not _equal(expected.get(name), found[name]):
                    raise RuntimeError(_told(label, name, expected.get(name), found[name]))
        if not _equal(computed, computed_after):
            labels = ", ".join(label for label, _ in alone)
            raise RuntimeError(
                f"What {labels} compute for the same samples depends on the shard before. {_REMEDY.format(name='name')}"
            )


_Left = list[tuple[str, dict[str, Any]]]


def _left_by(network: Network, shards: list[tuple[NDArray[Any], float]]) -> tuple[_Left, list[NDArray[Any]]]:
    """What the user's own layers of a copy have after these shards, and what the last one gave.

    Each shard is computed from the same start.
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
        computed = [outputs, probe.backward(scale * _gradient(outputs)), probe.gradients.copy()]
    own = [layer for layer in probe.store.layers if fast_kind(layer) is None]
    return [(layer.label, _attributes(layer)) for layer in own], computed


def _gradient(outputs: NDArray[Any]) -> NDArray[Any]:
    """Any gradient, though not a constant one, which a Softmax takes for none."""
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


def _equal(one: object, other: object) -> bool:
    """Whether two values are the same, as far as values can be compared."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        a, b = np.asarray(one), np.asarray(other)
        return a.shape == b.shape and (
            a.dtype.kind not in "biufc" or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, _PLAIN) and isinstance(other, _PLAIN):
        return one == other or (one != one and other != other)  # NaN is the same as NaN
    if type(one) is not type(other):
        return False
    inside = hasattr(one, "__dict__") and not callable(one) and not isinstance(one, Layer)
    return not inside or _equal(vars(one), vars(other))


def _shown(value: object) -> str:
    return f"an array of mean {np.mean(value):.6g}" if isinstance(value, np.ndarray) and value.size else repr(value)
