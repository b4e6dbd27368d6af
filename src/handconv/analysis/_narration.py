"""What is told about each layer: its formulas, and the numbers of one unit, forward and backward.

Everything is read from what the layer's page computed; a product or a share that is shown is a term of a sum that the
page took. A layer without a narration of its own is told by its numbers in and out.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.analysis._explanation import Line, Matrices, Matrix, Table, plane
from handconv.analysis._path import Index, Passage
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
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SpatialDropout2D,
    Tanh,
    ZeroPad2D,
)
from handconv.utils.words import counted

_MOST_TERMS = 10

Parts = list[Line | Table | Matrices]


class Told(NamedTuple):
    """Formulas, and the numbers for them."""

    formula: tuple[str, ...]
    parts: Parts


def at(name: str, index: Index) -> str:
    """Write a name with its index.

    Example:
        >>> at("y", (0, 2))
        'y[0, 2]'
    """
    return f"{name}[{', '.join(map(str, index))}]"


def line(template: str, **numbers: Any) -> Line:
    """A line whose numbers are Python's."""
    return Line(template, {name: float(value) for name, value in numbers.items()})


def forward(passage: Passage) -> Told:
    """Narrate a layer's forward pass."""
    return _narrator(passage, _FORWARD, _forward_other)(passage)


def backward(passage: Passage) -> Told:
    """Narrate a layer's backward pass."""
    return _narrator(passage, _BACKWARD, _backward_other)(passage)


def _narrator(
    passage: Passage, narrators: dict[type[Layer], Callable[[Passage], Told]], otherwise: Callable[[Passage], Told]
) -> Callable[[Passage], Told]:
    """The narration for exactly this kind of layer; a subclass may compute something else."""
    return narrators.get(type(passage.layer), otherwise)


def has_slope(layer: Layer) -> bool:
    """Whether each output depends on one input alone, so that a backward pass of ones gives the slopes."""
    return type(layer) in (*_ACTIVATIONS, Dropout, SpatialDropout2D)


# Sums of products


class _Term(NamedTuple):
    """One product of a sum."""

    name: str
    first: float
    second: float
    product: float


def _sum(
    head: tuple[str, str, str], terms: list[_Term], total: tuple[str, float], extra: tuple[tuple[str, float], ...] = ()
) -> Table:
    """The greatest terms of a sum one by one, the others together, and the total."""
    greatest = sorted(terms, key=lambda term: -abs(term.product))
    shown = set(map(id, terms if len(terms) <= _MOST_TERMS else greatest[: _MOST_TERMS - 1]))
    rows: list[tuple[str | float, ...]] = [
        (term.name, float(term.first), float(term.second), float(term.product)) for term in terms if id(term) in shown
    ]
    rest = [term.product for term in terms if id(term) not in shown]
    if rest:
        together = "all 0" if not np.any(rest) else "together"
        rows.append((f"{len(rest):,} more, {together}", "", "", float(np.sum(rest, dtype=np.float64))))
    rows += [(name, "", "", float(value)) for name, value in extra]
    return Table((*head, "product"), (*rows, (f"= {total[0]}", "", "", float(total[1]))))


def _bias(layer: Any, unit: int, name: str = "b") -> tuple[tuple[str, float], ...]:
    return ((f"+ {name}[{unit}]", float(layer.biases[unit])),) if layer.use_bias else ()


def _several(passage: Passage) -> bool:
    return len(passage.x) > 1


def _of_sample(passage: Passage, n: int, name: str, index: Index) -> str:
    """An index with the sample in front, where there are several."""
    return at(name, (n, *index) if _several(passage) else index)


def _pictures(passage: Passage, names: tuple[str, str], values: tuple[NDArray[Any], NDArray[Any]]) -> Matrices:
    """The planes of images that a unit and its source lie in, as they went through the layer."""
    layer, (source, unit) = passage.layer, (passage.source, passage.unit)
    marked = [source[1:]]
    if hasattr(layer, "geometry"):
        rows, columns = layer.geometry
        cells = [passage.cell(unit[1:], (u, v)) for u, v in np.ndindex(rows.window, columns.window)]
        marked = [(h, w) for h, w in cells if 0 <= h < rows.size and 0 <= w < columns.size]
    return Matrices(
        (
            plane(f"{names[0]}[{source[0]}]", values[0][source[0]], *marked),
            plane(f"{names[1]}[{unit[0]}]", values[1][unit[0]], unit[1:]),
        ),
        ("->",),
    )


# Convolution


def _conv_forward(passage: Passage) -> Told:
    layer, (f, i, j), c = passage.layer, passage.unit, passage.source[0]
    own = c - passage.first_channel(f)
    products = passage.products(passage.unit)
    window = passage.windows()[passage.sample, c, :, :, i, j]
    u, v = passage.offset((i, j), passage.source[1:])
    parts: Parts = [
        _pictures(passage, ("x", "z"), (passage.input, passage.output)),
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


def _seen(layer: Conv2D) -> str:
    """The input that a weight meets, in the formulas' symbols."""

    def place(out: str, inner: str, axis: int) -> str:
        rows_columns = layer.geometry[axis]
        stride = f"·{rows_columns.stride}" if rows_columns.stride > 1 else ""
        dilation = f"·{rows_columns.dilation}" if rows_columns.dilation > 1 else ""
        return f"{out}{stride} + {inner}{dilation}" + (f" - {rows_columns.before}" if rows_columns.before else "")

    return f"x[c, {place('i', 'u', 0)}, {place('j', 'v', 1)}]"


def _conv_backward(passage: Passage) -> Told:
    layer, (f, i, j), source = passage.layer, passage.unit, passage.source
    first = passage.first_channel(f)
    weight = (f, source[0] - first, *passage.offset((i, j), source[1:]))
    cells = passage.windows()[:, source[0], weight[2], weight[3]]  # (N, OH, OW)
    dz, every = passage.dy[:, f], np.ndindex(*cells.shape)
    of_weight = [
        _Term(
            f"{_of_sample(passage, n, 'dz', (f, a, b))} · "
            f"{_of_sample(passage, n, 'x', (source[0], *passage.cell((a, b), weight[2:])))}",
            float(dz[n, a, b]), float(cells[n, a, b]), float(dz[n, a, b] * cells[n, a, b]),
        )
        for n, a, b in every
    ]  # fmt: skip
    of_input = [
        _Term(
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
        _sum(("gradient of a weight", "dz", "x"), of_weight, (at("dw", weight), layer.dweights[weight])),
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
        _sum(("gradient of an input", "dz", "w"), of_input, (at("dx", source), passage.dx[passage.sample][source])),
    ]
    over = "n, i, j" if _several(passage) else "i, j"
    bias = (f"db[f] = sum over {over} of dz[f, i, j]",) if layer.use_bias else ()
    formula = (
        f"dw[f, c, u, v] = sum over {over} of dz[f, i, j] · {_seen(layer)}",
        *bias,
        f"d{_seen(layer)} += dz[f, i, j] · w[f, c, u, v]",
    )
    return Told(formula, parts)


# Pooling


def _pool_forward(passage: Passage) -> Told:
    window, inside = passage.window(passage.unit)
    c = passage.unit[0]
    greatest = isinstance(passage.layer, MaxPool2D)
    numbers = {f"x{k}": value for k, (value, real) in enumerate(zip(window.flat, inside.flat, strict=True)) if real}
    listed = [f"{{{name}}}" for name in numbers]
    parts: Parts = [
        _pictures(passage, ("x", "y"), (passage.input, passage.output)),
    ]
    y = passage.output[passage.unit]
    if greatest:
        won = passage.came_from(passage.unit)
        u, v = passage.offset(passage.unit[1:], won[1:])
        k = u * window.shape[1] + v
        parts += [
            line(f"{at('y', passage.unit)} = max({', '.join(listed)}) = {{y}}", y=y, **numbers),
            line(
                f"The winner is cell {k + 1} of the {window.size}, counted row by row: {at('x', won)}. "
                "Only it will get a gradient."
            ),
        ]
        return Told((f"y[{c}, i, j] = the greatest of the {counted(window.size, 'number')} of a window",), parts)
    text = f"{at('y', passage.unit)} = ({' + '.join(listed)}) / {{count}} = {{y}}"
    parts.append(line(text, y=y, count=window.size, **numbers))
    beyond = "; beyond the image is 0" if passage.layer.geometry.has_padding else ""
    return Told((f"y[{c}, i, j] = the mean of the {counted(window.size, 'number')} of a window{beyond}",), parts)


def _pool_backward(passage: Passage) -> Told:
    dy, dx = passage.dy[passage.sample], passage.dx[passage.sample]
    pictures = Matrices(tuple(reversed(_pictures(passage, ("dx", "dy"), (dx, dy)).items)), ("->",))
    if isinstance(passage.layer, MaxPool2D):
        won, source = passage.came_from(passage.unit), passage.source
        parts: Parts = [
            pictures,
            line(f"dy = {{dy}} goes to the winner alone: {at('dx', won)} = {{dx}}", dy=dy[passage.unit], dx=dx[won]),
        ]
        if won != source:
            parts.append(line(f"{at('x', source)} did not win: {at('dx', source)} = {{dx}}", dx=dx[source]))
        formula = "dx = dy for the cell that won, 0 for the others (added up where windows overlap)"
        return Told((formula,), parts)
    size = passage.window(passage.unit)[0].size
    share = "dx[c, h, w] = dy / {count} for each cell of the window (added up where windows overlap)"
    text = f"Each of the {size} cells gets {{dy}} / {{count}} from this window; {at('dx', passage.source)} = {{dx}}"
    told = line(text, dy=dy[passage.unit], count=size, dx=dx[passage.source])
    return Told((share.replace("{count}", str(size)),), [pictures, told])


def _global_forward(passage: Passage) -> Told:
    (c,), values = passage.unit, passage.input[passage.unit[0]]
    text = f"{at('y', passage.unit)} = {{sum}} / {{count}} = {{y}}   (the sum of channel {c}, and how many it has)"
    parts: Parts = [
        Matrices((plane(f"x[{c}]", values),)),
        line(text, sum=values.sum(dtype=np.float64), count=values.size, y=passage.output[passage.unit]),
    ]
    return Told(("y[c] = the mean over i, j of x[c, i, j]",), parts)


def _global_backward(passage: Passage) -> Told:
    dy, dx = passage.dy[passage.sample][passage.unit], passage.dx[passage.sample][passage.source]
    text = (
        f"Every cell of channel {passage.unit[0]} gets the same: "
        f"{at('dx', passage.source)} = {at('dy', passage.unit)} / (H · W) = {{dy}} / {{count}} = {{dx}}"
    )
    count = passage.input[passage.unit[0]].size
    return Told(("dx[c, i, j] = dy[c] / (H · W)",), [line(text, dy=dy, count=count, dx=dx)])


# Dense


def _dense_forward(passage: Passage) -> Told:
    layer, (k,), x = passage.layer, passage.unit, passage.input
    terms = [
        _Term(f"x[{d}] · w[{d}, {k}]", x[d], layer.weights[d, k], x[d] * layer.weights[d, k]) for d in range(len(x))
    ]
    total = (at("y", passage.unit), passage.output[k])
    bias = "b[k] + " if layer.use_bias else ""
    return Told(
        (f"y[k] = {bias}sum over d of x[d] · w[d, k]",),
        [line(f"Unit {at('y', passage.unit)}:"), _sum(("", "x", "w"), terms, total, _bias(layer, k))],
    )


def _dense_backward(passage: Passage) -> Told:
    layer, (k,), (d,) = passage.layer, passage.unit, passage.source
    dy, x = passage.dy, passage.x
    parts: Parts = [line(f"What came back to {at('y', passage.unit)}: dy = {{dy}}", dy=dy[passage.sample, k])]
    if _several(passage):
        terms = [_Term(f"x[{n}, {d}] · dy[{n}, {k}]", x[n, d], dy[n, k], x[n, d] * dy[n, k]) for n in range(len(x))]
        total = (f"dw[{d}, {k}]", layer.dweights[d, k])
        parts.append(_sum(("gradient of a weight", "x", "dy"), terms, total))
    else:
        text = f"dw[{d}, {k}] = x[{d}] · dy[{k}] = {{x}} · {{dy}} = {{dw}}"
        parts.append(line(text, x=x[0, d], dy=dy[0, k], dw=layer.dweights[d, k]))
    if layer.use_bias:
        how = f"the sum of dy[{k}] over the samples" if _several(passage) else f"dy[{k}]"
        parts.append(line(f"db[{k}] = {how} = {{db}}", db=layer.dbiases[k]))
    of_input = [
        _Term(f"dy[{q}] · w[{d}, {q}]", dy[passage.sample, q], layer.weights[d, q],
              dy[passage.sample, q] * layer.weights[d, q])
        for q in range(layer.units)
    ]  # fmt: skip
    total = (f"dx[{d}]", passage.dx[passage.sample, d])
    parts += [
        line("Every unit sends its share back to an input:"),
        _sum(("gradient of an input", "dy", "w"), of_input, total),
    ]
    over = "sum over n of " if _several(passage) else ""
    bias = (f"db[k] = {over}dy[k]",) if layer.use_bias else ()
    return Told((f"dw[d, k] = {over}x[d] · dy[k]", *bias, "dx[d] = sum over k of dy[k] · w[d, k]"), parts)


# Number by number


def maths(kind: type) -> tuple[str, ...]:
    """The formulas of a layer or a loss, as its own docstring has them; none if it has none."""
    found = re.search(r"^Maths:\n((?: .*\n|\n)+)", inspect.getdoc(kind) or "", re.MULTILINE)
    pieces = [re.split(r" {3,}", text.strip()) for text in (found[1] if found else "").splitlines()]
    kept = ["        ".join(piece for piece in row if "this file" not in piece) for row in pieces]
    return tuple(text for text in kept if text)


def _formulas(layer: Layer) -> tuple[str, str]:
    """The formulas y = … and dx = … of an activation, with those of the letters in them."""
    text = "\n".join(maths(type(layer)))
    forward, backward = (re.search(rf"^ *({name} = .+)$", text, re.MULTILINE) for name in ("y", "dx"))
    return forward[1] if forward else "", backward[1] if backward else ""


def _each_forward(passage: Passage) -> Told:
    layer, x, y = passage.layer, passage.input[passage.source], passage.output[passage.unit]
    formula = _formulas(layer)[0]
    text = f"{at('y', passage.unit)} = {{y}}, from {at('x', passage.source)} = {{x}}"
    numbers = {"x": x, "y": y}
    if isinstance(layer, ReLU | LeakyReLU):
        alpha = layer.alpha if isinstance(layer, LeakyReLU) else 0
        formula = "y = x where x > 0, " + ("alpha · x" if alpha else "0") + " elsewhere"
        formula += f"        alpha = {alpha:g}" if alpha else ""
        if x > 0:
            text = f"{at('x', passage.source)} = {{x}} is above 0 and stays: {at('y', passage.unit)} = {{y}}"
        elif alpha:
            numbers |= {"alpha": alpha}
            text = f"{at('x', passage.source)} is not above 0: {at('y', passage.unit)} = {{alpha}} · {{x}} = {{y}}"
        else:
            text = f"{at('x', passage.source)} = {{x}} is not above 0: {at('y', passage.unit)} = {{y}}"
    parts: Parts = [*_small_planes(passage, ("x", "y"), (passage.input, passage.output)), line(text, **numbers)]
    return Told((formula,) if formula else (), parts)


def _each_backward(passage: Passage) -> Told:
    slope = np.asarray(passage.slope)[passage.sample][passage.unit]
    dy, dx = passage.dy[passage.sample], passage.dx[passage.sample]
    numbers = {"dy": dy[passage.unit], "slope": slope, "dx": dx[passage.source]}
    text = f"{at('dx', passage.source)} = dy · slope = {{dy}} · {{slope}} = {{dx}}"
    formula = _formulas(passage.layer)[1]
    if isinstance(passage.layer, ReLU | LeakyReLU):
        below = "alpha · dy" if isinstance(passage.layer, LeakyReLU) else "0"
        formula = f"dx = dy where x > 0, {below} elsewhere"
    parts: Parts = [*_small_planes(passage, ("dy", "dx"), (dy, dx)), line(text, **numbers)]
    return Told((formula,) if formula else (), parts)


def _small_planes(passage: Passage, names: tuple[str, str], values: tuple[NDArray[Any], NDArray[Any]]) -> Parts:
    """Both planes of an image as pictures; vectors are told by their numbers alone."""
    if values[0].ndim != 3:
        return []
    return [_pictures(passage, names, values)]


def _dropout_forward(passage: Passage) -> Told:
    slope, x = np.asarray(passage.slope), passage.input[passage.source]
    m, y = slope[passage.sample][passage.unit], passage.output[passage.unit]
    dropped = int(slope[passage.sample].size - np.count_nonzero(slope[passage.sample]))
    rate = passage.layer.rate
    parts: Parts = [
        line(f"Of the {slope[passage.sample].size:,} numbers {dropped:,} were drawn to be dropped in this step."),
        line(f"{at('y', passage.unit)} = x · m = {{x}} · {{m}} = {{y}}", x=x, m=m, y=y),
    ]
    formula = f"y = x · m        m = 0 with probability {rate:g}, else 1 / (1 - {rate:g})"
    return Told((formula,), parts)


def _dropout_backward(passage: Passage) -> Told:
    m = np.asarray(passage.slope)[passage.sample][passage.unit]
    dy, dx = passage.dy[passage.sample][passage.unit], passage.dx[passage.sample][passage.source]
    text = f"{at('dx', passage.source)} = dy · m = {{dy}} · {{m}} = {{dx}}"
    return Told(("dx = dy · m, with the same m",), [line(text, dy=dy, m=m, dx=dx)])


# Others


def _reshape_forward(passage: Passage) -> Told:
    text = f"{at('x', passage.source)} is now {at('y', passage.unit)} = {{y}}"
    return Told(("y = x, read row by row, in another shape",), [line(text, y=passage.output[passage.unit])])


def _reshape_backward(passage: Passage) -> Told:
    text = f"{at('dy', passage.unit)} goes back as {at('dx', passage.source)} = {{dx}}"
    return Told(("dx = dy, in the old shape",), [line(text, dx=passage.dx[passage.sample][passage.source])])


def _norm_forward(passage: Passage) -> Told:
    layer, c = passage.layer, passage.unit[0]
    values, epsilon = passage.x[:, c], layer.epsilon
    mean, variance = values.mean(), values.var()
    x_hat, x = _normal(passage)[passage.sample][passage.unit], passage.input[passage.unit]
    y = passage.output[passage.unit]
    text = f"{at('y', passage.unit)} = {{gamma}} · {{x_hat}} + {{beta}} = {{y}}"
    parts: Parts = [
        line(f"Feature {c}, over {values.size:,} numbers of the batch: mean {{mean}}, variance {{variance}}",
             mean=mean, variance=variance),
        line("x_hat = ({x} - {mean}) / sqrt({variance} + {epsilon}) = {x_hat}",
             x=x, mean=mean, variance=variance, epsilon=epsilon, x_hat=x_hat),
        line(text, gamma=layer.gamma[c], x_hat=x_hat, beta=layer.beta[c], y=y),
    ]  # fmt: skip
    return Told(("x_hat = (x - mean) / sqrt(variance + epsilon)        y = gamma · x_hat + beta",), parts)


def _normal(passage: Passage) -> NDArray[Any]:
    """x_hat of the whole batch."""
    x, axes = passage.x, (0, *range(2, passage.x.ndim))
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    normal: NDArray[Any] = (x - mean) / np.sqrt(variance + x.dtype.type(passage.layer.epsilon))
    return normal


def _norm_backward(passage: Passage) -> Told:
    layer, c = passage.layer, passage.unit[0]
    values = passage.x[:, c]
    numbers = {
        "gamma": layer.gamma[c],
        "variance": values.var(),
        "epsilon": layer.epsilon,
        "dy": passage.dy[passage.sample][passage.unit],
        "dbeta": layer.dbeta[c],
        "dgamma": layer.dgamma[c],
        "n": values.size,
        "x_hat": _normal(passage)[passage.sample][passage.unit],
        "dx": passage.dx[passage.sample][passage.source],
    }
    text = (
        f"{at('dx', passage.source)} = {{gamma}} / sqrt({{variance}} + {{epsilon}}) "
        "· ({dy} - {dbeta} / {n} - {x_hat} · {dgamma} / {n}) = {dx}"
    )
    parts: Parts = [
        line(f"dbeta[{c}] = the sum of dy = {{dbeta}}", dbeta=layer.dbeta[c]),
        line(f"dgamma[{c}] = the sum of dy · x_hat = {{dgamma}}", dgamma=layer.dgamma[c]),
        line(text, **numbers),
    ]
    formula = "dx = gamma / sqrt(variance + epsilon) · (dy - dbeta / n - x_hat · dgamma / n)"
    return Told(("dbeta = sum of dy        dgamma = sum of dy · x_hat", formula), parts)


def _company(passage: Passage, values: NDArray[Any]) -> NDArray[Any]:
    """The numbers of a sample's array that are normalised together with the unit: all, or its group of channels."""
    size = len(values) // getattr(passage.layer, "groups", 1)
    first = passage.unit[0] // size * size
    return values[first : first + size]


def _own_norm_forward(passage: Passage) -> Told:
    layer, unit = passage.layer, passage.unit
    together, place = _company(passage, passage.input), _of_scale(passage)
    mean, variance, x, y = together.mean(), together.var(), passage.input[unit], passage.output[unit]
    x_hat = (x - mean) / np.sqrt(variance + layer.epsilon)
    whose = "all numbers" if type(layer) is LayerNorm else "the group"
    parts: Parts = [
        line(f"Over {whose} of this sample, {together.size:,}: mean {{mean}}, variance {{variance}}",
             mean=mean, variance=variance),
        line("x_hat = ({x} - {mean}) / sqrt({variance} + {epsilon}) = {x_hat}",
             x=x, mean=mean, variance=variance, epsilon=layer.epsilon, x_hat=x_hat),
        line(f"{at('y', unit)} = {{gamma}} · {{x_hat}} + {{beta}} = {{y}}",
             gamma=layer.gamma[place], x_hat=x_hat, beta=layer.beta[place], y=y),
    ]  # fmt: skip
    return Told(("x_hat = (x - mean) / sqrt(variance + epsilon)        y = gamma · x_hat + beta",), parts)


def _own_norm_backward(passage: Passage) -> Told:
    layer, unit, place = passage.layer, passage.unit, _of_scale(passage)
    together, dy = _company(passage, passage.input), passage.dy[passage.sample]
    variance, epsilon = together.var(), layer.epsilon
    normal = (together - together.mean()) / np.sqrt(variance + epsilon)
    gamma = layer.gamma.reshape(-1, *[1] * (dy.ndim - layer.gamma.ndim)) if type(layer) is GroupNorm else layer.gamma
    own = _company(passage, gamma * dy)
    x_hat = (passage.input[unit] - together.mean()) / np.sqrt(variance + epsilon)
    numbers = {"gamma": layer.gamma[place], "dy": dy[unit], "g": layer.gamma[place] * dy[unit], "x_hat": x_hat}
    means = {"mean_g": own.mean(), "mean_gx": (own * normal).mean(), "variance": variance, "epsilon": epsilon}
    name = at("", place if isinstance(place, tuple) else (place,))
    text = (
        f"{at('dx', passage.source)} = ({{g}} - {{mean_g}} - {{x_hat}} · {{mean_gx}}) "
        "/ sqrt({variance} + {epsilon}) = {dx}"
    )
    parts: Parts = [
        line(f"dbeta{name} = the sum of dy = {{dbeta}}", dbeta=layer.dbeta[place]),
        line(f"dgamma{name} = the sum of dy · x_hat = {{dgamma}}", dgamma=layer.dgamma[place]),
        line("g = {gamma} · {dy} = {g}", **numbers),
        line("Over the same numbers, the mean of g is {mean_g} and that of g · x_hat {mean_gx}.", **means),
        line(text, **numbers, **means, dx=passage.dx[passage.sample][passage.source]),
    ]
    formula = "dx = (g - mean of g - x_hat · mean of g · x_hat) / sqrt(variance + epsilon)        g = gamma · dy"
    return Told(("dbeta = sum of dy        dgamma = sum of dy · x_hat", formula), parts)


def _of_scale(passage: Passage) -> Any:
    """Where the unit's scale and shift are: at its own place, or at its channel's."""
    return passage.unit if type(passage.layer) is LayerNorm else passage.unit[0]


def _margin_forward(passage: Passage) -> Told:
    unit, y = passage.unit, passage.output[passage.unit]
    text = f"{at('x', passage.source)} is now {at('y', unit)} = {{y}}"
    if passage.goes_to(passage.source) != unit:
        text = f"{at('y', unit)} = {{y}} is one of the margin."
    return Told(("y[c, i + top, j + left] = x[c, i, j], 0 elsewhere",), [line(text, y=y)])


def _margin_backward(passage: Passage) -> Told:
    text = f"{at('dy', passage.unit)} goes back as {at('dx', passage.source)} = {{dx}}"
    dx = passage.dx[passage.sample][passage.source]
    parts: Parts = [line(text, dx=dx)]
    if passage.goes_to(passage.source) != passage.unit:
        parts = [line(f"{at('dy', passage.unit)} is dropped: no input lies in the margin.")]
    return Told(("dx[c, i, j] = dy[c, i + top, j + left]",), parts)


def _residual_forward(passage: Passage) -> Told:
    layer: Residual = passage.layer
    inner, past = layer.layers[-1].output, passage.x if layer.projection is None else layer.projection.output
    if inner is None or past is None:
        return _forward_other(passage)
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


def _residual_backward(passage: Passage) -> Told:
    layer: Residual = passage.layer
    inner, past = layer.layers[0].dinputs, passage.dy if layer.projection is None else layer.projection.dinputs
    if inner is None or past is None:
        return _backward_other(passage)
    numbers = {
        "inner": inner[passage.sample][passage.source],
        "past": past[passage.sample][passage.source],
        "dx": passage.dx[passage.sample][passage.source],
    }
    text = f"{at('dx', passage.source)} = {{inner}} (through F) + {{past}} (past it) = {{dx}}"
    way = "dP/dx · dy" if layer.projection is not None else "dy"
    return Told((f"dx = dF/dx · dy + {way}",), [line(text, **numbers)])


def _softmax_forward(passage: Passage) -> Told:
    x, y = passage.input, passage.output
    exponentials = np.exp(x - x.max())
    rows = tuple(
        (f"k = {k}", float(x[k]), float(exponentials[k]), float(y[k]))
        for k in shown_classes(len(x), passage.unit[0], y)
    )
    parts: Parts = [
        Table(("", "x", "exp(x - max)", "y"), rows),
        line("The exponentials sum to {total}.", total=exponentials.sum()),
    ]
    return Told(("y[k] = exp(x[k] - max) / sum over q of exp(x[q] - max)",), parts)


def _softmax_backward(passage: Passage) -> Told:
    y, dy, dx = passage.output, passage.dy[passage.sample], passage.dx[passage.sample]
    (k,) = passage.unit
    parts: Parts = [
        line("The sum of dy · y over all classes is {s}.", s=(dy * y).sum()),
        line(
            f"{at('dx', passage.source)} = {{y}} · ({{dy}} - {{s}}) = {{dx}}",
            y=y[k],
            dy=dy[k],
            s=(dy * y).sum(),
            dx=dx[k],
        ),
    ]
    return Told(("dx[k] = y[k] · (dy[k] - sum over q of dy[q] · y[q])",), parts)


def shown_classes(count: int, chosen: int, chances: NDArray[Any], most: int = 12) -> list[int]:
    """Which classes a table has: all of a dozen, else the most probable and the chosen one."""
    if count <= most:
        return list(range(count))
    return sorted({chosen, *np.argsort(-chances)[: most - 1].tolist()})


def _forward_other(passage: Passage) -> Told:
    x, y = passage.input, passage.output
    text = f"{at('y', passage.unit)} = {{y}}"
    if passage.source:
        text += f"        {at('x', passage.source)} = {{x}}"
    return Told(
        maths(type(passage.layer)),
        [line(text, x=x[passage.source], y=y[passage.unit]), _in_and_out(("x", x), ("y", y))],
    )


def _backward_other(passage: Passage) -> Told:
    dx, dy = passage.dx[passage.sample], passage.dy[passage.sample]
    text = f"{at('dy', passage.unit)} = {{dy}}        {at('dx', passage.source)} = {{dx}}"
    numbers = line(text, dy=dy[passage.unit], dx=dx[passage.source])
    return Told((), [numbers, _in_and_out(("dy", dy), ("dx", dx))])


def _in_and_out(*arrays: tuple[str, NDArray[Any]]) -> Table:
    rows = tuple((name, float(values.min()), float(values.mean()), float(values.max())) for name, values in arrays)
    return Table(("all numbers", "smallest", "mean", "greatest"), rows)


def weight_pictures(passage: Passage, old: NDArray[Any], gradient: NDArray[Any], new: NDArray[Any]) -> Matrices | None:
    """The weights around the chosen one, before and after, with their gradients; none if there are many."""
    layer = passage.layer
    if type(layer) is Conv2D:
        f, own = passage.unit[0], passage.source[0] - passage.first_channel(passage.unit[0])
        name, place = f"[{f}, {own}]", (f, own)
        marked = passage.offset(passage.unit[1:], passage.source[1:])
        old, gradient, new = old[place], gradient[place], new[place]
    elif type(layer) is Dense:
        name, marked = "", (passage.source[0], passage.unit[0])
    else:
        return None
    shown = Matrices(
        tuple(
            Matrix(f"{what}{name}", values, ((marked[0], marked[1]),))
            for what, values in (("w before", old), ("g", gradient), ("w after", new))
        )
    )
    return shown if shown.written_out else None


_ACTIVATIONS: tuple[type[Layer], ...] = (LeakyReLU, ReLU, ELU, GELU, SiLU, Sigmoid, Softplus, Tanh)
_FORWARD: dict[type[Layer], Callable[[Passage], Told]] = {
    Conv2D: _conv_forward,
    MaxPool2D: _pool_forward,
    AveragePool2D: _pool_forward,
    GlobalAveragePool2D: _global_forward,
    Dense: _dense_forward,
    Dropout: _dropout_forward,
    SpatialDropout2D: _dropout_forward,
    BatchNorm: _norm_forward,
    LayerNorm: _own_norm_forward,
    GroupNorm: _own_norm_forward,
    ZeroPad2D: _margin_forward,
    Residual: _residual_forward,
    Softmax: _softmax_forward,
    **dict.fromkeys((Flatten, Reshape), _reshape_forward),
    **dict.fromkeys(_ACTIVATIONS, _each_forward),
}
_BACKWARD: dict[type[Layer], Callable[[Passage], Told]] = {
    Conv2D: _conv_backward,
    MaxPool2D: _pool_backward,
    AveragePool2D: _pool_backward,
    GlobalAveragePool2D: _global_backward,
    Dense: _dense_backward,
    Dropout: _dropout_backward,
    SpatialDropout2D: _dropout_backward,
    BatchNorm: _norm_backward,
    LayerNorm: _own_norm_backward,
    GroupNorm: _own_norm_backward,
    ZeroPad2D: _margin_backward,
    Residual: _residual_backward,
    Softmax: _softmax_backward,
    **dict.fromkeys((Flatten, Reshape), _reshape_backward),
    **dict.fromkeys(_ACTIVATIONS, _each_backward),
}
