"""Models as plain values and named arrays: what every file format of a model holds.

description   {"format", "version", "layers": [{"class", "config"}, …], "input_shape", "dtype", "seed", "info"}
arrays        the parameters by name, "0.weights" …; arrays of anything else have names that begin with "run/"
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from handconv import layers as known_layers
from handconv.errors import ModelFileError
from handconv.layers import Layer
from handconv.network import Network

_FORMAT = "handconv model"
_VERSION = 1
_N = TypeVar("_N", bound=Network)
#: What the names of arrays begin with that are no parameters.
RUN = "run/"


def describe(network: Network) -> dict[str, Any]:
    """Describe a network by plain values, without its parameters."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "layers": [{"class": type(layer).__name__, "config": layer.config()} for layer in network.layers],
        "input_shape": network.input_shape,
        "dtype": network.dtype.name,
        "seed": network.streams.seed,
        "info": network.info,
    }


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
    known = {name: getattr(known_layers, name) for name in known_layers.__all__} | dict(layers or {})
    try:
        unknown = [entry["class"] for entry in description["layers"] if entry["class"] not in known]
        if unknown:
            raise ModelFileError(
                f"{path} has a layer {unknown[0]!r} that is not known here. "
                f"Give its class: load(path, layers={{{unknown[0]!r}: …}})."
            )
        network = kind(
            [known[entry["class"]](**entry["config"]) for entry in description["layers"]],
            seed=description["seed"],
            dtype=description["dtype"],
        )
        size = network.count_parameters(description["input_shape"])
        if size != sum(array.size for name, array in arrays.items() if not name.startswith(RUN)):
            raise ModelFileError(f"{path} is damaged: its layers have {size} parameters, the file holds others.")
        network.build(description["input_shape"])
        network.info = dict(description["info"])
    except (KeyError, TypeError, ValueError, AttributeError, MemoryError, OverflowError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} is damaged: its description of the model makes no sense ({error}).") from error
    fill(network, arrays, path)
    return network


def fill(network: Network, arrays: Mapping[str, NDArray[Any]], path: str | os.PathLike[str]) -> None:
    """Copy named arrays into a network's parameters.

    Raises:
        ModelFileError: if one is missing or does not fit.
    """
    for name, target in network.named_parameters().items():
        source = arrays.get(name)
        if source is None or source.shape != target.shape or source.dtype != target.dtype:
            received = "is missing" if source is None else f"has shape {source.shape} and type {source.dtype}"
            raise ModelFileError(f"{path} is damaged: {name} {received}, expected {target.shape} and {target.dtype}.")
        target[...] = source


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Check that a file name ends as those of models do."""
    if Path(path).suffix != ".npz":
        raise ValueError(f"Models are saved as .npz files, got the name {os.fspath(path)!r}. Let it end in .npz.")
