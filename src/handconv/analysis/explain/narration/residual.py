"""Residual: what came through the layers within, and what came past them."""

from handconv.analysis.explain.narration import other
from handconv.analysis.explain.narration.telling import Parts, Told, at, line
from handconv.analysis.explain.path import Passage
from handconv.layers import Residual


def forward(passage: Passage) -> Told:
    """What came through the layers within, and what came past them."""
    layer: Residual = passage.layer
    inner, past = layer.layers[-1].output, passage.x if layer.projection is None else layer.projection.output
    if inner is None or past is None:
        return other.forward(passage)
    way = "P(x)" if layer.projection is not None else "x"
    numbers = {
        "inner": inner[passage.sample][passage.unit],
        "past": past[passage.sample][passage.unit],
        "y": passage.output[passage.unit],
    }
    parts: Parts = [
        line(f"F is {len(layer.layers)} layers, one after the other: {' -> '.join(map(repr, layer.layers))}"),
        line(f"{at('y', passage.unit)} = F(x) + {way} = {{inner}} + {{past}} = {{y}}", **numbers),
    ]
    return Told((f"y = F(x) + {way}",), parts)


def backward(passage: Passage) -> Told:
    """The gradients of both ways, added up."""
    layer: Residual = passage.layer
    inner, past = layer.layers[0].dinputs, passage.dy if layer.projection is None else layer.projection.dinputs
    if inner is None or past is None:
        return other.backward(passage)
    numbers = {
        "inner": inner[passage.sample][passage.source],
        "past": past[passage.sample][passage.source],
        "dx": passage.dx[passage.sample][passage.source],
    }
    text = f"{at('dx', passage.source)} = {{inner}} (through F) + {{past}} (past it) = {{dx}}"
    way = "dP/dx · dy" if layer.projection is not None else "dy"
    return Told((f"dx = dF/dx · dy + {way}",), [line(text, **numbers)])
