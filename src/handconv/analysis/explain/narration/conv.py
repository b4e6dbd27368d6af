"""Convolution: nine products and their sum; the gradient of a weight, and of an input."""

import numpy as np

from handconv.analysis.explain.explanation import Matrices, plane
from handconv.analysis.explain.narration.telling import Parts, Term, Told, at, line, pictures, several, sum_of
from handconv.analysis.explain.path import Index, Passage
from handconv.layers import Conv2D
from handconv.utils.words import counted


def forward(passage: Passage) -> Told:
    """One window, the weights on it, the products and their sum."""
    layer, (f, i, j), c = passage.layer, passage.unit, passage.source[0]
    own = c - passage.first_channel(f)
    products = passage.products(passage.unit)
    window = passage.windows()[passage.sample, c, :, :, i, j]
    u, v = passage.offset((i, j), passage.source[1:])
    parts: Parts = [
        pictures(passage, ("x", "z"), (passage.input, passage.output)),
        line(
            f"Unit {at('z', passage.unit)}: filter {f} at row {i}, column {j}. It looks at the marked window of "
            f"channel {c}; each number is multiplied with the weight that lies on it:"
        ),
        Matrices(
            (
                plane(f"window of x[{c}]", window, (u, v)),
                plane(f"w[{f}, {own}]", layer.weights[f, own], (u, v)),
                plane("products", products[own], (u, v)),
            ),
            ("·", "="),
        ),
    ]
    numbers = {f"p{k}": value for k, value in enumerate(products[own].flat)}
    text = " + ".join(f"{{{name}}}" for name in numbers)
    if len(products) > 1:
        parts.append(line(f"channel {c}: {text} = {{channel}}", channel=products[own].sum(), **numbers))
        others = [(g, float(products[g].sum())) for g in range(len(products)) if g != own]
        numbers = {"channel": products[own].sum(), "rest": np.sum([value for _, value in others])}
        text = "{channel} + {rest}"
        ends = "s" if len(others) > 1 else ""
        parts.append(
            line(f"The {len(others)} other channel{ends} the filter looks at: {{rest}} together.", rest=numbers["rest"])
        )
    if layer.use_bias:
        text, numbers = f"{text} + {{bias}} (the bias)", numbers | {"bias": layer.biases[f]}
    parts.append(line(f"{at('z', passage.unit)} = {text} = {{z}}", z=passage.output[passage.unit], **numbers))
    bias = "b[f] + " if layer.use_bias else ""
    return Told((f"z[f, i, j] = {bias}sum over c, u, v of w[f, c, u, v] · {_seen(layer)}",), parts)


def _seen(layer: Conv2D, n: str = "") -> str:
    """The input that a weight meets, in the formulas' symbols, with that of the sample if that is summed over."""

    def place(out: str, inner: str, axis: int) -> str:
        rows_columns = layer.geometry[axis]
        stride = f"·{rows_columns.stride}" if rows_columns.stride > 1 else ""
        dilation = f"·{rows_columns.dilation}" if rows_columns.dilation > 1 else ""
        return f"{out}{stride} + {inner}{dilation}" + (f" - {rows_columns.before}" if rows_columns.before else "")

    return f"x[{n}c, {place('i', 'u', 0)}, {place('j', 'v', 1)}]"


def backward(passage: Passage) -> Told:
    """The gradient of one weight and of the bias over all places, and of one input over all filters."""
    layer, (f, i, j), source = passage.layer, passage.unit, passage.source
    first = passage.first_channel(f)
    weight = (f, source[0] - first, *passage.offset((i, j), source[1:]))
    cells = passage.windows()[:, source[0], weight[2], weight[3]]  # (N, OH, OW)
    dz, every = passage.dy[:, f], np.ndindex(*cells.shape)
    of_weight = [
        Term(
            f"{_of_sample(passage, n, 'dz', (f, a, b))} · "
            f"{_of_sample(passage, n, 'x', (source[0], *passage.cell((a, b), weight[2:])))}",
            float(dz[n, a, b]), float(cells[n, a, b]), float(dz[n, a, b] * cells[n, a, b]),
        )
        for n, a, b in every
    ]  # fmt: skip
    of_input = [
        Term(
            f"dz[{g}, {a}, {b}] · {at('w', (g, weight[1], *offset))}",
            passage.dy[passage.sample, g, a, b],
            layer.weights[g, weight[1], *offset],
            passage.dy[passage.sample, g, a, b] * layer.weights[g, weight[1], *offset],
        )
        for g in passage.filters_of(source[0])
        for offset, (a, b) in passage.windows_with(source[1:])
    ]
    dy = passage.dy[passage.sample]
    parts: Parts = [
        line(f"What came back to {at('z', passage.unit)}: dz = {{dz}}", dz=dy[passage.unit]),
        Matrices(
            (plane(f"dz[{f}]", dy[f], (i, j)), plane(f"dw[{f}, {weight[1]}]", layer.dweights[weight[:2]], weight[2:]))
        ),
        line("The filter was used at every place, so the gradient of one weight is a sum over all of them:"),
        sum_of(("gradient of a weight", "dz", "x"), of_weight, (at("dw", weight), layer.dweights[weight])),
    ]
    if layer.use_bias:
        nonzero = int(np.count_nonzero(dz))
        parts.append(
            line(
                f"db[{f}] = the sum of dz[{f}] ({counted(dz.size, 'number')}, {nonzero:,} of them not 0) = {{db}}",
                db=layer.dbiases[f],
            )
        )
    parts += [
        line("Every unit that looked at an input sends its share back to it:"),
        sum_of(("gradient of an input", "dz", "w"), of_input, (at("dx", source), passage.dx[passage.sample][source])),
    ]
    n = "n, " if several(passage) else ""
    bias = (f"db[f] = sum over {n}i, j of dz[{n}f, i, j]",) if layer.use_bias else ()
    formula = (
        f"dw[f, c, u, v] = sum over {n}i, j of dz[{n}f, i, j] · {_seen(layer, n)}",
        *bias,
        f"d{_seen(layer)} += dz[f, i, j] · w[f, c, u, v]",
    )
    return Told(formula, parts)


def _of_sample(passage: Passage, n: int, name: str, index: Index) -> str:
    """An index with the sample in front, where there are several."""
    return at(name, (n, *index) if several(passage) else index)
