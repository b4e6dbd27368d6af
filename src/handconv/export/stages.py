"""What a page computes of a network: a plain list of stages, each a layer with what it reads.

A chain of layers is a list in which each stage reads the one before. A ``Residual`` is taken apart: its layers come one
after the other, then its projection, then the sum, which reads the ends of both ways. So every map within it is seen.

    stage k reads the activations ``reads`` and gives activation k + 1; activation 0 is the image
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from handconv import layers as kinds
from handconv.arrays import FloatArray
from handconv.geometry import geometry


class Stage(NamedTuple):
    """One layer, the activations that it reads, and how many residual layers it lies in."""

    layer: kinds.Layer
    reads: tuple[int, ...]
    depth: int


def stages_of(layers: Sequence[kinds.Layer]) -> list[Stage]:
    """Take a chain of layers apart.

    Example:
        >>> block = kinds.Residual([kinds.Dense(4), kinds.ReLU()], projection=kinds.Dense(4))
        >>> for stage in stages_of([kinds.Flatten(), block, kinds.Softmax()]):
        ...     print(type(stage.layer).__name__, stage.reads, stage.depth)
        Flatten (0,) 0
        Dense (1,) 1
        ReLU (2,) 1
        Dense (1,) 1
        Residual (3, 4) 0
        Softmax (5,) 0
    """
    stages: list[Stage] = []

    def follow(layers: Sequence[kinds.Layer], start: int, depth: int) -> int:
        """Append a chain that begins at activation ``start``; give the activation that it ends in."""
        for layer in layers:
            reads: tuple[int, ...] = (start,)
            if type(layer) is kinds.Residual:
                branch = follow(layer.layers, start, depth + 1)
                reads = (branch, follow([layer.projection] if layer.projection else [], start, depth + 1))
            stages.append(Stage(layer, reads, depth))
            start = len(stages)
        return start

    follow(layers, 0, 0)
    return stages


def check_stages(stages: Sequence[Stage]) -> None:
    """Refuse a network with a layer that ``network.js`` cannot compute.

    Raises:
        ValueError: if there is one.
    """
    for stage in stages:
        if type(stage.layer) not in _SETTINGS:
            known = ", ".join(kind.__name__ for kind in _SETTINGS)
            raise ValueError(f"A page cannot compute the layer {stage.layer!r}; it knows {known}.")


def describe(stages: Sequence[Stage]) -> tuple[list[dict[str, Any]], FloatArray]:
    """Describe stages by plain values, and lay all their arrays, parameters and buffers, into one vector."""
    described, numbers, end = [], [np.empty(0)], 0
    for layer, reads, depth in stages:
        arrays = {}
        for spec in layer.specs:
            numbers.append(np.ravel(layer.arrays[spec.name]))
            arrays[spec.name] = [end, end + spec.size]
            end += spec.size
        described.append(
            {
                "type": type(layer).__name__,
                "title": repr(layer),
                "shape": layer.output_shape,
                "reads": reads,
                "depth": depth,
                "arrays": arrays,
                **_SETTINGS[type(layer)](layer),
            }
        )
    return described, np.concatenate(numbers)


def _window(size: str) -> Callable[[Any], dict[str, Any]]:
    """How the window slides whose size is this attribute of its layer; the padding before each axis is worked out."""

    def settings(layer: Any) -> dict[str, Any]:
        kernel, dilation = getattr(layer, size), getattr(layer, "dilation", (1, 1))
        axes = geometry(*layer.input_shape[1:], kernel, layer.stride, layer.padding, dilation)
        before = [axes.rows.before, axes.columns.before]
        return {"kernel": kernel, "stride": layer.stride, "before": before, "dilation": dilation}

    return settings


def _named(*names: str) -> Callable[[Any], dict[str, Any]]:
    """These attributes of a layer."""
    return lambda layer: {name: getattr(layer, name) for name in names}


_convolution = _window("kernel_size")

#: What ``network.js`` must know of a layer, beside its shape and its arrays.
_SETTINGS: Mapping[type[kinds.Layer], Callable[[Any], dict[str, Any]]] = {
    kinds.Conv2D: lambda layer: {**_convolution(layer), "groups": layer.groups},
    kinds.MaxPool2D: _window("pool_size"),
    kinds.AveragePool2D: _window("pool_size"),
    kinds.GlobalAveragePool2D: _named(),
    kinds.Dense: _named(),
    kinds.BatchNorm: _named("epsilon"),
    kinds.LayerNorm: _named("epsilon"),
    kinds.GroupNorm: _named("epsilon", "groups"),
    kinds.Residual: _named(),
    kinds.Flatten: _named(),
    kinds.Reshape: _named(),
    kinds.ZeroPad2D: lambda layer: {"before": layer.padding[::2]},
    kinds.Dropout: _named("rate"),
    kinds.SpatialDropout2D: _named("rate"),
    kinds.ReLU: _named(),
    kinds.LeakyReLU: _named("alpha"),
    kinds.ELU: _named("alpha"),
    kinds.GELU: _named(),
    kinds.SiLU: _named(),
    kinds.Softplus: _named(),
    kinds.Sigmoid: _named(),
    kinds.Tanh: _named(),
    kinds.Softmax: _named(),
}
