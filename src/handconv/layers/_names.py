"""The names of the layers of a network."""

from collections.abc import Sequence

from handconv.layers.base import Layer


def checked_names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Name each layer by its own name or its place, and check that they are layers and named apart."""
    if not layers:
        raise ValueError("A network needs at least one layer, got an empty list.")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"A network is made of layers, got {layer!r}. Derive your own from handconv.Layer.")
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError("Each layer may stand in a network once; make a new one for each place.")
    names = tuple(str(layer.name or place) for place, layer in enumerate(layers))
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Names of layers must differ, got {name!r} twice.")
        if not name.isprintable() or "/" in name or "\\" in name:
            raise ValueError(f"A layer's name must be one line of text without slashes, got {name!r}.")
    return names
