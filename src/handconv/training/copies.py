"""What workers have copies of: whether it has changed since they started, and whether it can be pickled for them.

A forked worker has all that its parent had; a spawned one gets it by pickle. Parameters, buffers and the optimizer's
vectors are shared; settings, samples and code are copies.
"""

import copy
import dataclasses
import io
import pickle
from typing import Any

import numpy as np

from handconv.errors import WorkerError
from handconv.layers import Layer
from handconv.layers.base import VALUES
from handconv.parallel.processes import main_is_a_file
from handconv.parallel.shared_memory import MappedArray
from handconv.samples import Samples
from handconv.training.state import Task
from handconv.utils.hashing import row_hashes


class _Inventory(pickle.Pickler):
    """A pickler that notes the packages of the classes and functions that it pickles."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.packages: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        """Note the package of an object that has one; pickle it as usual."""
        self.packages.add((getattr(value, "__module__", None) or "").partition(".")[0])
        return NotImplemented


_OURS = {"", "builtins", "copyreg", "handconv", "numpy"}


def settings(task: Task) -> tuple[bytes, bool]:
    """The pickled settings, which workers have copies of and callbacks may change; empty if they cannot be pickled.

    Parameters and samples are left out. The second value says whether all of it is handconv's own code.
    """
    network, optimizer = task.network, task.optimizer
    layers = [_settings_of(layer) for layer in network.store.layers]
    kinds = [type(layer) for layer in network.store.layers]
    ways = network.engine, network.fuse
    file = io.BytesIO()
    inventory = _Inventory(file)
    try:
        inventory.dump((ways, kinds, layers, task.loss, type(optimizer), optimizer.config(), optimizer.total_steps))
    except Exception:  # noqa: BLE001 - whatever cannot be pickled is taken for changed
        return b"", False
    known = file.getvalue()
    try:
        inventory.dump((task.augment, task.averaging))
    except Exception:  # noqa: BLE001 - such as a lambda, which only the user's code could change
        return known, False
    return file.getvalue(), inventory.packages <= _OURS


def sample_hashes(samples: Samples) -> bytes:
    """Hashes that change when the samples do; empty if hashing would need a copy of the samples."""
    hashes = []
    for array in (samples.x, samples.y, samples.weights, samples.chosen):
        if array is None or (MappedArray.of(array) is not None and not array.flags.writeable):
            continue
        in_order = array.view(np.ndarray).transpose(np.argsort(array.strides)[::-1])
        if not in_order.flags.c_contiguous:
            return b""
        hashes.append(row_hashes(in_order).tobytes())
    return b"".join(hashes)


_PASSING = ("output", "dinputs", VALUES, "generator")


def _settings_of(layer: Layer) -> dict[str, Any]:
    """What a layer keeps beside its arrays and what passes through it; layers within are listed by themselves."""
    left_out = {*_PASSING, *(path.partition(".")[0] for path in layer.sublayers())}
    return {name: value for name, value in layer.__getstate__().items() if name not in left_out}


def without_samples(task: Task) -> Task:
    """A copy of a task fit to be pickled, whose samples go another way."""
    samples = dataclasses.replace(task.samples, x=np.empty(0))
    names = [field.name for field in dataclasses.fields(Task)]
    optimizer = copy.copy(task.optimizer)
    optimizer.state = {}
    return Task(**{name: getattr(task, name) for name in names} | {"samples": samples, "optimizer": optimizer})


def check_importable(task: Task) -> None:
    """Refuse what a spawned process cannot import by name, as it was defined in a notebook or within a function."""
    rate, others = task.optimizer.learning_rate, (task.augment, task.averaging)
    parts: list[Any] = [*task.network.store.layers, task.loss, task.optimizer, rate, *others]
    definitions = [part if hasattr(part, "__qualname__") else type(part) for part in parts]
    if not main_is_a_file():
        for own in definitions:
            if own.__module__ == "__main__":
                raise _not_importable(own.__name__, "in __main__ (a notebook or standard input)")
    for part, own in zip(parts, definitions, strict=True):
        try:
            pickle.dumps(part)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise _not_importable(own.__name__, f"where no other process can get at it ({error})") from error


def _not_importable(name: str, where: str) -> WorkerError:
    return WorkerError(
        f"{name} is defined {where}, and worker processes that are spawned, as here beside other threads, cannot "
        "import it. Put it into a module, or use workers=1."
    )
