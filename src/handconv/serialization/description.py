"""Models as plain values and named arrays: what every file format of a model holds.

description   {"format", "version", "layers": [{"class", "config"}, …], "input_shape", "dtype", "seed", "info",
               "epochs_trained"}
arrays        the parameters and buffers by name, "0.weights" …; names of arrays of anything else begin with "run/"
"""

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handconv import layers as known_layers
from handconv.errors import ModelFileError
from handconv.layers import Layer
from handconv.network import Network
from handconv.utils.validation import is_int

_FORMAT = "handconv model"
_VERSION = 1
_N = TypeVar("_N", bound=Network)
#: What the names of arrays begin with that are no parameters.
RUN = "run/"
_NOT_LAYERS = ("Layer", "ParameterSpec")


def describe(network: Network) -> dict[str, Any]:
    """Describe a network by plain values, without its parameters."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "layers": [describe_layer(layer) for layer in network.layers],
        "input_shape": network.input_shape,
        "dtype": network.dtype.name,
        "seed": network.streams.seed,
        "info": network.info,
        "epochs_trained": network.epochs_trained,
    }


def describe_layer(layer: Layer) -> dict[str, Any]:
    """Describe a layer by its class and its arguments, which may be layers or lists of them."""
    name = type(layer).__name__
    described = {"class": name, "config": {key: _value(value) for key, value in layer.config().items()}}
    return described if _is_ours(layer) else described | {"own": True}


def _is_ours(layer: Layer) -> bool:
    return type(layer) is getattr(known_layers, type(layer).__name__, None)


def _value(value: Any) -> Any:
    if isinstance(value, Layer):
        return describe_layer(value)
    return [_value(each) for each in value] if isinstance(value, list | tuple) else value


def _make(entry: Any, known: Mapping[str, type[Layer]]) -> Any:
    """Make a layer, or a list of layers, of its description; other values are as they are."""
    if isinstance(entry, list):
        return [_make(each, known) for each in entry]
    if not _is_layer(entry):
        return entry
    return known[_key(entry)](**{name: _make(value, known) for name, value in entry["config"].items()})


def _is_layer(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.keys() - {"own"} == {"class", "config"}


def _key(entry: Mapping[str, Any]) -> str:
    """The key by which the class of a layer is looked up; user-defined classes have keys of their own."""
    return f"own {entry['class']}" if entry.get("own") else str(entry["class"])


def _classes(entry: Any) -> Iterator[str]:
    """The classes that a description names."""
    if isinstance(entry, list):
        for each in entry:
            yield from _classes(each)
    elif _is_layer(entry):
        yield _key(entry)
        for value in entry["config"].values():
            yield from _classes(value)


def rebuild(
    kind: type[_N],
    description: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    path: str | os.PathLike[str],
    layers: Mapping[str, type[Layer]] | None = None,
) -> _N:
    """Make the network that was described, with its parameters.

    Args:
        kind: the class to make, ``Sequential``.
        description: what ``describe`` returned.
        arrays: at least the parameters, by name.
        path: the file that they come from, for messages.
        layers: classes of the user's own, by name.

    Raises:
        ModelFileError: if the description makes no sense, or does not fit the arrays.
    """
    if description.get("format") != _FORMAT:
        raise ModelFileError(f"{path} is no handconv model. Give a file that save() wrote.")
    if description.get("version") != _VERSION:
        raise ModelFileError(
            f"{path} has version {description.get('version')!r} of the format, this handconv reads {_VERSION}. "
            "Update handconv."
        )
    known = {name: getattr(known_layers, name) for name in known_layers.__all__ if name not in _NOT_LAYERS}
    known |= {f"own {name}": kind for name, kind in (layers or {}).items()}
    try:
        unknown = [name for name in _classes(description["layers"]) if name not in known]
        if unknown:
            name = unknown[0].removeprefix("own ")
            raise ModelFileError(
                f"{path} has a layer {name!r} that is not known here. Give its class: "
                f"load(path, layers={{{name!r}: …}})."
            )
        network = kind(
            [_make(entry, known) for entry in description["layers"]],
            seed=description["seed"],
            dtype=description["dtype"],
        )
        size = network.count_parameters(description["input_shape"])
        if size != sum(array.size for name, array in arrays.items() if not name.startswith(RUN)):
            raise ModelFileError(f"{path} is damaged: its layers keep {size} numbers, the file holds others.")
        network.build(description["input_shape"])
        network.info = dict(description["info"])
        network.epochs_trained = description.get("epochs_trained", 0)
        if not is_int(network.epochs_trained) or not 0 <= network.epochs_trained < 1 << 32:
            raise ValueError(f"epochs_trained cannot be {network.epochs_trained!r}")
    except (KeyError, TypeError, ValueError, AttributeError, MemoryError, OverflowError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} is damaged: its description of the model makes no sense ({error}).") from error
    fill(network, arrays, path)
    return network


def check_comes_back(network: Network) -> None:
    """Check that user-defined layers compute the same after they are described and rebuilt.

    Raises:
        ValueError: if one keeps something that is neither an argument nor declared, and answers by it.
    """
    own = [
        layer for layer in network.store.layers if not _is_ours(layer) or {"forward", "backward"} & vars(layer).keys()
    ]
    if not own:
        return
    original = copy.deepcopy(network)
    arrays = original.named_parameters() | original.named_buffers()
    classes = {type(layer).__name__: type(layer) for layer in own}
    again = rebuild(Network, describe(network), arrays, "the file", classes)
    x = np.random.default_rng(0).standard_normal((2, *(network.input_shape or ()))).astype(network.dtype)
    try:
        expected = original.forward(x)
    except (ValueError, ArithmeticError):  # inputs that these layers do not take
        return
    if not np.array_equal(again.forward(x), expected, equal_nan=True):
        labels = ", ".join(layer.label for layer in own)
        raise ValueError(
            f"{labels}: loaded from a file, the model would answer otherwise, as it keeps something that is neither an "
            "argument of its class nor declared. Declare buffers, ParameterSpec(name, shape, trainable=False), or make "
            "it an argument."
        )


def fill(network: Network, arrays: Mapping[str, NDArray[Any]], path: str | os.PathLike[str]) -> None:
    """Copy named arrays into a network's parameters and buffers.

    Raises:
        ModelFileError: if one is missing or does not fit.
    """
    for name, target in (network.named_parameters() | network.named_buffers()).items():
        source = arrays.get(name)
        if source is None or source.shape != target.shape or source.dtype != target.dtype:
            received = "is missing" if source is None else f"has shape {source.shape} and type {source.dtype}"
            raise ModelFileError(f"{path} is damaged: {name} {received}, expected {target.shape} and {target.dtype}.")
        target[...] = source


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Check that a file name ends as those of models do."""
    if Path(path).suffix != ".npz":
        raise ValueError(f"Models are saved as .npz files, got the name {os.fspath(path)!r}. Let it end in .npz.")
