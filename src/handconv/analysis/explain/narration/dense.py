"""Dense: a sum of products; the gradient of a weight, and of an input."""

from handconv.analysis.explain.narration.telling import Parts, Term, Told, at, line, several, sum_of
from handconv.analysis.explain.path import Passage


def forward(passage: Passage) -> Told:
    """The products of one unit and their sum."""
    layer, (k,), x = passage.layer, passage.unit, passage.input
    terms = [
        Term(f"x[{d}] · w[{d}, {k}]", x[d], layer.weights[d, k], x[d] * layer.weights[d, k]) for d in range(len(x))
    ]
    total = (at("y", passage.unit), passage.output[k])
    bias = "b[k] + " if layer.use_bias else ""
    added = ((f"+ b[{k}]", float(layer.biases[k])),) if layer.use_bias else ()
    return Told(
        (f"y[k] = {bias}sum over d of x[d] · w[d, k]",),
        [line(f"Unit {at('y', passage.unit)}:"), sum_of(("", "x", "w"), terms, total, added)],
    )


def backward(passage: Passage) -> Told:
    """The gradient of one weight, of the bias, and of one input over all units."""
    layer, (k,), (d,) = passage.layer, passage.unit, passage.source
    dy, x = passage.dy, passage.x
    parts: Parts = [line(f"What came back to {at('y', passage.unit)}: dy = {{dy}}", dy=dy[passage.sample, k])]
    if several(passage):
        terms = [Term(f"x[{n}, {d}] · dy[{n}, {k}]", x[n, d], dy[n, k], x[n, d] * dy[n, k]) for n in range(len(x))]
        total = (f"dw[{d}, {k}]", layer.dweights[d, k])
        parts.append(sum_of(("gradient of a weight", "x", "dy"), terms, total))
    else:
        text = f"dw[{d}, {k}] = x[{d}] · dy[{k}] = {{x}} · {{dy}} = {{dw}}"
        parts.append(line(text, x=x[0, d], dy=dy[0, k], dw=layer.dweights[d, k]))
    if layer.use_bias:
        how = f"the sum of dy[{k}] over the samples" if several(passage) else f"dy[{k}]"
        parts.append(line(f"db[{k}] = {how} = {{db}}", db=layer.dbiases[k]))
    of_input = [
        Term(f"dy[{q}] · w[{d}, {q}]", dy[passage.sample, q], layer.weights[d, q],
              dy[passage.sample, q] * layer.weights[d, q])
        for q in range(layer.units)
    ]  # fmt: skip
    total = (f"dx[{d}]", passage.dx[passage.sample, d])
    parts += [
        line("Every unit sends its share back to an input:"),
        sum_of(("gradient of an input", "dy", "w"), of_input, total),
    ]
    over, n = ("sum over n of ", "n, ") if several(passage) else ("", "")
    bias = (f"db[k] = {over}dy[{n}k]",) if layer.use_bias else ()
    return Told((f"dw[d, k] = {over}x[{n}d] · dy[{n}k]", *bias, "dx[d] = sum over k of dy[k] · w[d, k]"), parts)
