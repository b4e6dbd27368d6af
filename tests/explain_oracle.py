"""A training step by nested loops, and whether what is told of one is what the loops compute."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

import handconv as hc
import oracles
from handconv.analysis import Line, Matrices, Section, Table
from handconv.rng import random_mask

Arrays = dict[str, np.ndarray]
Back = Callable[[np.ndarray], tuple[np.ndarray, Arrays]]

NAME = re.compile(r"\b([a-z]+)\[([\d, ]+)\]")


# A network by nested loops


def pads(layer: Any) -> Any:
    return tuple((axis.before, axis.after) for axis in layer.geometry)


def by_loops(layer: Any, x: np.ndarray) -> tuple[np.ndarray, Back]:
    """The outputs of a layer, and what takes their gradient to that of the inputs and of the parameters."""
    if isinstance(layer, hc.Conv2D | hc.Dense | hc.BatchNorm | hc.LayerNorm | hc.GroupNorm):
        return parameters_by_loops(layer, x)
    if isinstance(layer, hc.MaxPool2D | hc.AveragePool2D):
        return pools_by_loops(layer, x)
    if isinstance(layer, hc.Residual):
        y, backs = x, []
        for inner in layer.layers:
            y, back = by_loops(inner, y)
            backs.append(back)

        def of_residual(dy: np.ndarray) -> tuple[np.ndarray, Arrays]:
            dx = dy
            for back in reversed(backs):
                dx, _ = back(dx)
            return dx + dy, {}

        return y + x, of_residual
    if isinstance(layer, hc.Dropout):
        kept = random_mask(np.random.default_rng(0), x.shape, layer.rate)
        return oracles.dropout(x, kept, layer.rate), lambda dy: (oracles.dropout(dy, kept, layer.rate), {})
    if isinstance(layer, hc.ZeroPad2D):
        top, bottom, left, right = layer.padding
        inner = (..., slice(top, -bottom or None), slice(left, -right or None))
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))), lambda dy: (dy[inner], {})
    if isinstance(layer, hc.GlobalAveragePool2D):
        y = oracles.global_average_pool_forward(x)
        return y, lambda dy: (oracles.global_average_pool_backward(x.shape, dy), {})
    if isinstance(layer, hc.Reshape):
        return x.reshape(len(x), *layer.output_shape), lambda dy: (dy.reshape(x.shape), {})
    if isinstance(layer, hc.LeakyReLU):
        alpha = layer.alpha
        return oracles.leaky_relu_forward(x, alpha), lambda dy: (oracles.leaky_relu_backward(x, dy, alpha), {})
    name = type(layer).__name__.lower()
    forward, backward = getattr(oracles, f"{name}_forward"), getattr(oracles, f"{name}_backward")
    return forward(x), lambda dy: (backward(x, dy), {})


def parameters_by_loops(layer: Any, x: np.ndarray) -> tuple[np.ndarray, Back]:
    """The layers that have parameters."""
    if isinstance(layer, hc.Conv2D):
        w, bias, how = layer.weights, layer.biases, (layer.stride, pads(layer))

        def of_conv(dy: np.ndarray) -> tuple[np.ndarray, Arrays]:
            dx, dw, db = oracles.conv2d_backward(x, w, dy, *how)
            return dx, {"weights": dw, "biases": db}

        return oracles.conv2d_forward(x, w, bias, *how), of_conv
    if isinstance(layer, hc.Dense):

        def of_dense(dy: np.ndarray) -> tuple[np.ndarray, Arrays]:
            dx, dw, db = oracles.dense_backward(x, layer.weights, dy)
            return dx, {"weights": dw, "biases": db}

        return oracles.dense_forward(x, layer.weights, layer.biases), of_dense
    if isinstance(layer, hc.LayerNorm | hc.GroupNorm):
        return own_norm_by_loops(layer, x)

    def of_norm(dy: np.ndarray) -> tuple[np.ndarray, Arrays]:
        dx, dgamma, dbeta = oracles.batch_norm_backward(x, layer.gamma, dy)
        return dx, {"gamma": dgamma, "beta": dbeta}

    return oracles.batch_norm_forward(x, layer.gamma, layer.beta)[0], of_norm


def own_norm_by_loops(layer: Any, x: np.ndarray) -> tuple[np.ndarray, Back]:
    """The layers that normalise each sample by itself: each group of numbers is a channel of the batch norm's loops."""
    groups = getattr(layer, "groups", 1)
    grouped = (1, len(x) * groups, x[0].size // groups, 1)
    spread = (slice(None), *[None] * (x.ndim - 2)) if isinstance(layer, hc.GroupNorm) else ...
    ones = np.ones(grouped[1])
    x_hat = oracles.batch_norm_forward(x.reshape(grouped), ones, 0 * ones, layer.epsilon)[0].reshape(x.shape)

    def back(dy: np.ndarray) -> tuple[np.ndarray, Arrays]:
        g = (layer.gamma[spread] * dy).reshape(grouped)
        dx, _, _ = oracles.batch_norm_backward(x.reshape(grouped), ones, g, layer.epsilon)
        axes = (0, *range(2, x.ndim)) if isinstance(layer, hc.GroupNorm) else 0
        return dx.reshape(x.shape), {"gamma": (dy * x_hat).sum(axis=axes), "beta": dy.sum(axis=axes)}

    return layer.gamma[spread] * x_hat + layer.beta[spread], back


def pools_by_loops(layer: Any, x: np.ndarray) -> tuple[np.ndarray, Back]:
    """The layers that slide a window without weights."""
    window = layer.pool_size, layer.stride, pads(layer)
    if isinstance(layer, hc.MaxPool2D):
        return oracles.max_pool_forward(x, *window), lambda dy: (oracles.max_pool_backward(x, dy, *window), {})
    y = oracles.average_pool_forward(x, *window)
    return y, lambda dy: (oracles.average_pool_backward(x.shape, dy, *window), {})


class ByLoops:
    """The whole step by nested loops."""

    def __init__(self, model: hc.Sequential, x: np.ndarray, labels: list[int], sample: int) -> None:
        self.sample, self.several = sample, len(x) > 1
        layers = model.layers[:-1]  # the softmax is taken with the loss
        self.x, self.y, backs, values = {}, {}, [], x
        for k, layer in enumerate(layers):
            self.x[k] = values
            values, back = by_loops(layer, values)
            self.y[k] = values
            backs.append(back)
        self.loss, gradient = oracles.softmax_crossentropy(values, oracles.one_hot(labels, values.shape[1]))
        self.p = oracles.softmax_forward(values)
        self.dx, self.dy, self.gradients = {}, {}, {}
        for k in reversed(range(len(layers))):
            self.dy[k] = gradient
            gradient, self.gradients[k] = backs[k](gradient)
            self.dx[k] = gradient

    def named(self, k: int, layer: Any) -> Arrays:
        """The arrays of a layer by the names that the narration gives them."""

        def one(array: np.ndarray) -> np.ndarray:
            return array[self.sample]

        x, y, dx, dy = self.x[k], self.y[k], self.dx[k], self.dy[k]
        names = {"x": one(x), "y": one(y), "z": one(y), "dx": one(dx), "dy": one(dy), "dz": one(dy)}
        if layer.specs and hasattr(layer, "weights"):
            names |= {"w": layer.weights, "b": layer.biases}
        given = {"dw": "weights", "db": "biases", "dgamma": "gamma", "dbeta": "beta"}
        names |= {name: self.gradients[k][of] for name, of in given.items() if of in self.gradients[k]}
        return names

    def look_up(self, text: str, names: Arrays, k: int) -> float | np.ndarray:
        """The number, or the plane, that a name with its index stands for."""
        name, index = NAME.findall(text)[0]
        place = tuple(map(int, index.split(",")))
        array = names[name]
        if len(place) > array.ndim:  # of another sample
            whole = {"x": self.x, "dz": self.dy, "dy": self.dy}[name][k]
            return whole[place]
        return array[place]


def same(told: Any, known: Any) -> None:
    np.testing.assert_allclose(told, known, rtol=1e-9, atol=1e-12)


def check_equation(line: Line) -> bool:
    """Check that what stands between two equals signs gives what it says; whether there is anything."""
    sides = re.split(r"(?<!\{)\s=\s", re.sub(r"\((the bias|through F|past it)\)|   \(.*\)$", "", line.template))
    if len(sides) < 3 or "{" not in sides[-1] or "{" not in sides[-2]:
        return False
    formula = sides[-2].replace("·", "*").replace("^", "**").replace("²", "**2")
    if not re.fullmatch(r"[-+*/()., \d]*(\{\w+\}|sqrt|max|log|sign|\*\*2|[-+*/()., \d])*", formula):
        return False
    expression = re.sub(r"\{(\w+)\}", r"numbers['\1']", formula)
    names = {"numbers": line.numbers, "sqrt": math.sqrt, "max": max, "sign": np.sign}
    result = eval(  # noqa: S307 - of numbers and signs alone, as was just seen
        re.sub(r"log (numbers\['\w+'\])", r"log(\1)", expression), names | {"log": math.log}
    )
    same(line.numbers[re.findall(r"\{(\w+)\}", sides[-1])[0]], result)
    return True


def check_matrices(part: Matrices, loops: ByLoops, names: Arrays, k: int) -> int:
    """Every matrix is a plane of an array; products are those of the two before them."""
    if part.items[-1].name == "products":
        window, weights, products = (matrix.values for matrix in part.items)
        same(products, window * weights)
        same(weights, loops.look_up(part.items[1].name, names, k))
        assert all(np.isclose(names["x"], value).any() for value in window.flat if value)
        return 1
    for matrix in part.items:
        same(matrix.values, np.atleast_2d(loops.look_up(matrix.name, names, k)))
    return len(part.items)


def check_sum(part: Table, loops: ByLoops, names: Arrays, k: int) -> int:
    """Every term is the product of the two numbers that it names, and they add up to the total."""
    for name, first, second, product in part.rows:
        if " · " in str(name):
            one, two = str(name).split(" · ")
            same([first, second], [loops.look_up(one, names, k), loops.look_up(two, names, k)])
            same(product, float(first) * float(second))
        elif NAME.search(str(name)):
            same(product, loops.look_up(str(name), names, k))
    same(sum(float(row[-1]) for row in part.rows[:-1]), part.rows[-1][-1])
    return len(part.rows)


def check_line(part: Line, loops: ByLoops, names: Arrays, k: int) -> int:
    """What is said to be an element of an array is that element; equations hold."""
    check_equation(part)
    found = re.findall(r"(\w+\[[\d, ]+\]) = \{(\w+)\}(?=$|,| is |  )", part.template)
    found += re.findall(r"(?:^|: )(\w+\[[\d, ]+\]) = [^,]*\{(\w+)\}[^{]*$", part.template)
    for told, number in found:
        same(part.numbers[number], loops.look_up(told, names, k))
    for name, value in part.numbers.items():
        if name in names:
            assert np.isclose(names[name], value).any(), name
    return len(found)


def check_section(section: Section, loops: ByLoops, model: hc.Sequential) -> int:
    """Check all that a section of one layer says; the number of comparisons."""
    k = int(re.findall(r"layer (\d+)", section.title)[0])
    names, count = loops.named(k, model.layers[k]), 0
    for part in section.parts:
        if isinstance(part, Matrices):
            count += check_matrices(part, loops, names, k)
        elif isinstance(part, Line):
            count += check_line(part, loops, names, k)
        elif part.head[-1] == "product":
            count += check_sum(part, loops, names, k)
    return count
