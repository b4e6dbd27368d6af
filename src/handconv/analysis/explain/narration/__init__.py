"""What is told about each layer: its formulas, and the numbers of one unit, forward and backward.

One family of layers a file, as in ``handconv.layers``; a loss and the optimizer's step have files of their own.
Everything is read from what the layer's page computed; a product or a share that is shown is a term of a sum that the
page took. A layer without a narration of its own, a subclass included, is told by its numbers in and out.
"""

from collections.abc import Callable
from typing import NamedTuple

from handconv.analysis.explain.narration import (
    activations,
    conv,
    dense,
    dropout,
    norm,
    other,
    pooling,
    reshape,
    residual,
)
from handconv.analysis.explain.narration.telling import Told
from handconv.analysis.explain.path import ACTIVATIONS, Passage
from handconv.layers import (
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool2D,
    Reshape,
    Residual,
    Softmax,
    SpatialDropout2D,
    ZeroPad2D,
)

__all__ = ["NARRATORS", "Narrator", "narrator"]


class Narrator(NamedTuple):
    """The narrations of a layer's two passes.

    Args:
        forward: of the forward pass.
        backward: of the backward pass.
    """

    forward: Callable[[Passage], Told]
    backward: Callable[[Passage], Told]


NARRATORS: dict[type[Layer], Narrator] = {
    Conv2D: Narrator(conv.forward, conv.backward),
    **dict.fromkeys((MaxPool2D, AveragePool2D), Narrator(pooling.forward, pooling.backward)),
    GlobalAveragePool2D: Narrator(pooling.global_forward, pooling.global_backward),
    Dense: Narrator(dense.forward, dense.backward),
    **dict.fromkeys(ACTIVATIONS, Narrator(activations.each_forward, activations.each_backward)),
    Softmax: Narrator(activations.softmax_forward, activations.softmax_backward),
    **dict.fromkeys((Dropout, SpatialDropout2D), Narrator(dropout.forward, dropout.backward)),
    **dict.fromkeys((BatchNorm, LayerNorm, GroupNorm), Narrator(norm.forward, norm.backward)),
    **dict.fromkeys((Flatten, Reshape), Narrator(reshape.forward, reshape.backward)),
    ZeroPad2D: Narrator(reshape.margin_forward, reshape.margin_backward),
    Residual: Narrator(residual.forward, residual.backward),
}


def narrator(layer: Layer) -> Narrator:
    """The narrations of exactly this kind of layer; a subclass may compute something else.

    Args:
        layer: the layer.
    """
    return NARRATORS.get(type(layer), Narrator(other.forward, other.backward))
