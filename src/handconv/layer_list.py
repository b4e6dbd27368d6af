"""The layers that a network is made of: what may stand in the list, how each is called, what the last one gives."""

import contextlib
import copy
import inspect
from collections.abc import Mapping, Sequence, Set
from typing import NoReturn

import numpy as np

from handconv.layers import Layer, Sigmoid, Softmax
from handconv.utils.validation import is_ours

UNCHANGEABLE = (
    "The layers of a network do not change. model[:k] shows the first k of them; a new network takes copies of built "
    "layers: handconv.Sequential([*(layer.copy() for layer in model.layers[:k]), handconv.Dense(5)])."
)


class Layers(tuple[Layer, ...]):
    """The layers of a network; an attempt to change the tuple raises an error that says what to do."""

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(UNCHANGEABLE)

    append = extend = insert = pop = remove = clear = __setitem__ = __delitem__ = __iadd__ = _refuse


def _remedy(thing: object) -> str:
    """What to put in the place of what is no layer."""
    if isinstance(thing, type):
        return f"Make one of the class: {thing.__name__}(…)."
    if isinstance(getattr(thing, "layers", None), Layers):
        return "Take copies of a network's layers: [*(layer.copy() for layer in network.layers), …]."
    return "Derive your own from handconv.Layer."


def checked_names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Name each layer by its own name or its place, and check that they are layers and named apart."""
    if not layers:
        raise ValueError("A network needs at least one layer, got an empty list.")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"A network is made of layers, got {layer!r}. {_remedy(layer)}")
        signature = inspect.signature(layer.forward)
        try:
            taken = signature.bind(None, False).arguments
        except TypeError:
            taken = {}
        if not taken or "training" in signature.parameters.keys() - taken.keys():
            raise TypeError(f"{layer.label}.forward must take (self, inputs, training=False), got {signature}.")
        for _, each in layer.tree():
            _check_all_found(each)
    everything = [id(each) for layer in layers for _, each in layer.tree()]
    if len(set(everything)) < len(everything):
        raise ValueError("Each layer may stand in a network once; make a new one for each place.")
    names = tuple(str(layer.name or place) for place, layer in enumerate(layers))
    paths: set[str] = set()
    for path in [path for name, layer in zip(names, layers, strict=True) for path, _ in layer.tree(name)]:
        if path in paths:
            raise ValueError(f"Names of layers must differ, got {path!r} twice.")
        paths.add(path)
    for name in names:
        if not name.isprintable() or "/" in name or "\\" in name:
            raise ValueError(f"A layer's name must be one line of text without slashes, got {name!r}.")
    return names


def _check_all_found(layer: Layer) -> None:
    """Refuse layers that are kept where they are not found: their parameters would be neither trained nor saved."""
    for name, value in vars(layer).items():
        if isinstance(getattr(value, "layers", None), Layers):
            raise TypeError(
                f"{layer.label} keeps a network as {name!r}, which would not be trained. Keep a list of layers, "
                f"self.{name} = [layer, …], or take them from it: [layer.copy() for layer in network.layers]."
            )
        if isinstance(value, Layer | list | tuple | Mapping) or callable(value) or name.startswith("_"):
            continue
        inside = vars(value).values() if hasattr(value, "__dict__") else value if isinstance(value, Set) else ()
        if any(isinstance(each, Layer) for each in inside):
            raise TypeError(
                f"{layer.label} keeps layers within {name!r}, of {type(value).__name__}, where they are not found. "
                "Keep them as attributes of the layer, or in lists or dicts."
            )


def probabilities_of(layer: Layer) -> type[Softmax] | type[Sigmoid] | None:
    """Tell which kind of probabilities a layer gives: Softmax if they sum to 1, Sigmoid for yes or no, None if none.

    A user-defined layer is asked for the answers to some scores: a copy of it.

    Example:
        >>> probabilities_of(Softmax()) is Softmax, probabilities_of(Sigmoid()) is Sigmoid
        (True, True)
    """
    for kind in (Softmax, Sigmoid):
        if isinstance(layer, kind):
            return kind
    if is_ours(type(layer)):
        return None
    scores = np.random.default_rng(0).normal(0, 3, (4, *(layer.input_shape or (3,)))).astype(layer.dtype)
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # of code that is not ours
        given = np.asarray(copy.deepcopy(layer).forward(scores.copy(), False), np.float64)
        several = given.ndim == 2 and given.shape[1] > 1
        if several and (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=1e-3):
            return Softmax
        if given.shape == scores.shape and np.allclose(given, Sigmoid().forward(scores), atol=1e-5):
            return Sigmoid
    return None
