"""Lowering: from the layers of a network to the ops of a program.

Which op computes a layer is looked up by the layer's exact type, and only while its ``forward`` and ``backward`` are
the ones that the op was written for: a subclass, and a layer whose methods were replaced, run their own Python code
(``ops.python_op``). Registering is the only way in.

A convolution, a rectifier and a maximum pooling whose windows lie side by side become one op. Where one such op feeds
another, the first computes only what the second reads: convolution and pooling often drop the last row and column.
"""

import itertools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from handconv.engine.ops.base import Context, Op
from handconv.engine.ops.conv_block import ConvBlockOp
from handconv.engine.ops.dense import DenseOp
from handconv.engine.ops.elementwise import DropoutOp, RectifierOp, ReshapeOp, SigmoidOp, SoftmaxOp, TanhOp
from handconv.engine.ops.norm import BatchNormOp
from handconv.engine.ops.pooling import AveragePoolOp, GlobalAveragePoolOp, MaxPoolOp
from handconv.engine.ops.python_op import ElementwiseOp, PythonOp
from handconv.engine.ops.residual import ResidualOp
from handconv.layers import (
    ELU,
    GELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)


class _Entry(NamedTuple):
    """How a type of layer is computed, and the methods that this holds for."""

    kind: type[Layer]  # whose op it is
    make: Callable[[Any, Context], Op]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    suits: Callable[[Any], bool]


_REGISTRY: dict[type[Layer], _Entry] = {}


def register(
    layer_type: type[Layer], make: Callable[[Any, Context], Op], suits: Callable[[Any], bool] = lambda _: True
) -> None:
    """Let layers of exactly this type be computed by an op.

    Args:
        layer_type: the type; what derives from it is not meant.
        make: makes the op for a built layer.
        suits: tells whether the op computes a layer with these settings.
    """
    _REGISTRY[layer_type] = _Entry(layer_type, make, layer_type.forward, layer_type.backward, suits)


def register_like(subclass: type[Layer], layer_type: type[Layer]) -> None:
    """Let layers of a subclass that computes the same be computed by the same op.

    Args:
        subclass: the type, which derives from ``layer_type``.
        layer_type: a registered type.

    Raises:
        ValueError: if it does not derive from a registered type.
    """
    entry = _REGISTRY.get(layer_type)
    if entry is None or not issubclass(subclass, layer_type):
        raise ValueError(f"{subclass.__name__} must derive from a registered type of layer, got {layer_type.__name__}.")
    _REGISTRY[subclass] = entry._replace(forward=subclass.forward, backward=subclass.backward)


_FAST: dict[type[Layer], Callable[[Any, Context], Op]] = {
    AveragePool2D: AveragePoolOp,
    BatchNorm: BatchNormOp,
    Conv2D: lambda layer, context: ConvBlockOp(layer, None, None, None, context),
    Dense: DenseOp,
    Dropout: DropoutOp,
    ELU: ElementwiseOp,
    Flatten: ReshapeOp,
    GELU: ElementwiseOp,
    GlobalAveragePool2D: GlobalAveragePoolOp,
    LeakyReLU: RectifierOp,
    MaxPool2D: MaxPoolOp,
    ReLU: RectifierOp,
    Reshape: ReshapeOp,
    Sigmoid: SigmoidOp,
    SiLU: ElementwiseOp,
    Softmax: SoftmaxOp,
    Softplus: ElementwiseOp,
    Tanh: TanhOp,
}
for _type, _make in _FAST.items():
    register(_type, _make)
register(Conv2D, _FAST[Conv2D], lambda layer: layer.groups == 1 and layer.dilation == (1, 1))


def fast_kind(layer: Layer) -> type[Layer] | None:
    """The registered type whose op computes this layer; None if it runs its own Python code."""
    entry, own = _REGISTRY.get(type(layer)), vars(layer)
    if entry is None or "forward" in own or "backward" in own:
        return None
    untouched = type(layer).forward is entry.forward and type(layer).backward is entry.backward
    return entry.kind if untouched and entry.suits(layer) else None


_VERSION, _METHODS = attrgetter("_version"), attrgetter("forward", "backward")


def signature(members: Sequence[Layer]) -> list[object]:
    """What a program depends on beside the shapes: settings and methods of all layers, those within others too."""
    return [*map(_VERSION, members), *map(_METHODS, types_of(members))]


def types_of(members: Sequence[Layer]) -> tuple[type[Layer], ...]:
    """The types of layers, each once; a layer that takes another type counts it as a change of its settings."""
    return tuple(dict.fromkeys(map(type, members)))


def lower(layers: Sequence[Layer], context: Context) -> list[Op]:
    """List the ops for built layers.

    Args:
        layers: in order.
        context: what the ops share.
    """
    fuse = context.fuse
    ops: list[Op] = []
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        kind = fast_kind(layer) if context.engine else None
        if kind is None:
            ops.append(PythonOp(layer, context))
        elif kind is Conv2D and fuse:
            folded = not context.training and waiting and fast_kind(waiting[0]) is BatchNorm
            norm = waiting.pop(0) if folded else None
            rectifier = waiting.pop(0) if waiting and fast_kind(waiting[0]) in (LeakyReLU, ReLU) else None
            pool = waiting.pop(0) if waiting and _is_side_by_side(waiting[0]) else None
            ops.append(ConvBlockOp(layer, norm, rectifier, pool, context))  # type: ignore[arg-type]
        else:
            ops.append(_REGISTRY[type(layer)].make(layer, context))
    if fuse:
        for op, following in reversed(list(itertools.pairwise(ops))):
            if isinstance(op, ConvBlockOp) and isinstance(following, ConvBlockOp):
                op.output_crop = following.required_input
    return ops


def _residual(layer: Residual, context: Context) -> Op:
    """A residual layer as an op that holds those of its layers."""
    aside = [] if layer.projection is None else lower([layer.projection], context)
    return ResidualOp(layer, lower(layer.layers, context), aside, context)


register(Residual, _residual)


def _is_side_by_side(layer: Layer) -> bool:
    """Whether it is a maximum pooling whose windows lie side by side, without padding."""
    if fast_kind(layer) is not MaxPool2D:
        return False
    assert isinstance(layer, MaxPool2D)
    return layer.stride == layer.pool_size and not layer.geometry.has_padding
