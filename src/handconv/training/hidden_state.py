"""State that a layer carries from shard to shard without having declared it.

Who computes which shard is nobody's business, and a resumed training starts from what was saved. So whatever a layer
learns by itself in training must be a parameter or a buffer. Other state would be lost in worker processes, and with a
resume, in silence; it is found before the first step: the same shard is computed twice by a copy of the network with
the same random numbers, and nothing that a layer of one's own keeps may differ afterwards.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from handconv.engine.lower import fast_kind
from handconv.layers import Layer
from handconv.network import Network
from handconv.rng import Purpose
from handconv.samples import Samples

_SAMPLES = 8
_PLAIN = (bool, int, float, str, np.generic, type(None))
_GIVEN = ("arrays", "generator", "_owner", "_store")


def check_no_hidden_state(network: Network, samples: Samples) -> None:
    """Compute a few samples twice, and compare what the user's own layers then have.

    Raises:
        RuntimeError: if a layer carries state that it did not declare.
    """
    if all(fast_kind(layer) is not None for layer in network.store.layers):
        return
    probe = copy.deepcopy(network)
    chosen = np.arange(min(_SAMPLES, len(samples))) if samples.chosen is None else samples.chosen[:_SAMPLES]
    x, start = samples.x[chosen], probe.buffers.copy()
    own = [layer for layer in probe.store.layers if fast_kind(layer) is None]

    def left() -> list[dict[str, Any]]:
        probe.buffers[...] = start
        generator = network.streams.generator(Purpose.DROPOUT)
        for layer in probe.store.layers:
            layer.generator = generator
        outputs = probe.forward(x, training=True)
        probe.backward(np.ones_like(outputs))
        return [copy.deepcopy(_attributes(layer)) for layer in own]

    left()  # what is made at first use is there after the first time
    first, second = left(), left()
    for layer, before, after in zip(own, first, second, strict=True):
        for name in after:
            if not _equal(before.get(name), after[name]):
                raise RuntimeError(
                    f"{layer.label} carries {name!r} from shard to shard: the same samples left "
                    f"{_shown(before.get(name))} the first time and {_shown(after[name])} the second. Worker processes "
                    "and a resumed training would lose it. "
                    f"Declare a buffer, ParameterSpec({name!r}, shape, trainable=False), in declare(); draw "
                    "random numbers from self.generator."
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
    return True


def _shown(value: object) -> str:
    return f"an array of mean {np.mean(value):.6g}" if isinstance(value, np.ndarray) and value.size else repr(value)
