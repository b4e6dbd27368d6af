"""Normalisation: mean and variance, of a feature over the batch, or of numbers of one sample."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.explain.explanation import Line
from handconv.analysis.explain.narration.telling import Told, at, line
from handconv.analysis.explain.path import Index, Passage
from handconv.layers import BatchNorm, GroupNorm, LayerNorm


def forward(passage: Passage) -> Told:
    """How the unit became x_hat, was scaled and shifted."""
    layer, unit, place = passage.layer, passage.unit, _place(passage)
    together, x, y = _together(passage), passage.input[unit], passage.output[unit]
    mean, variance, x_hat = together.mean(), together.var(), _x_hat(passage)
    count = f"{together.size:,}"
    over = {
        BatchNorm: f"Feature {unit[0]}, over {count} numbers of the batch",
        GroupNorm: f"Over the group of this sample, {count}",
        LayerNorm: f"Over all numbers of this sample, {count}",
    }[type(layer)]
    return Told(
        ("x_hat = (x - mean) / sqrt(variance + epsilon)        y = gamma · x_hat + beta",),
        [
            line(f"{over}: mean {{mean}}, variance {{variance}}", mean=mean, variance=variance),
            line("x_hat = ({x} - {mean}) / sqrt({variance} + {epsilon}) = {x_hat}",
                 x=x, mean=mean, variance=variance, epsilon=layer.epsilon, x_hat=x_hat),
            line(f"{at('y', unit)} = {{gamma}} · {{x_hat}} + {{beta}} = {{y}}",
                 gamma=layer.gamma[place], x_hat=x_hat, beta=layer.beta[place], y=y),
        ],
    )  # fmt: skip


def backward(passage: Passage) -> Told:
    """The gradients of scale and shift, and what came back to the input."""
    layer, place = passage.layer, _place(passage)
    formula, parts = (_over_the_batch if type(layer) is BatchNorm else _over_the_sample)(passage)
    return Told(
        ("dbeta = sum of dy        dgamma = sum of dy · x_hat", formula),
        [
            line(f"{at('dbeta', place)} = the sum of dy = {{dbeta}}", dbeta=layer.dbeta[place]),
            line(f"{at('dgamma', place)} = the sum of dy · x_hat = {{dgamma}}", dgamma=layer.dgamma[place]),
            *parts,
        ],
    )


def _over_the_batch(passage: Passage) -> tuple[str, list[Line]]:
    """All numbers of a feature have one gamma: their means of dy are those of beta and gamma."""
    layer, place, together = passage.layer, _place(passage), _together(passage)
    numbers = {
        "gamma": layer.gamma[place],
        "variance": together.var(),
        "epsilon": layer.epsilon,
        "dy": passage.dy[passage.sample][passage.unit],
        "dbeta": layer.dbeta[place],
        "dgamma": layer.dgamma[place],
        "n": together.size,
        "x_hat": _x_hat(passage),
        "dx": passage.dx[passage.sample][passage.source],
    }
    text = (
        f"{at('dx', passage.source)} = {{gamma}} / sqrt({{variance}} + {{epsilon}}) "
        "· ({dy} - {dbeta} / {n} - {x_hat} · {dgamma} / {n}) = {dx}"
    )
    formula = "dx = gamma / sqrt(variance + epsilon) · (dy - dbeta / n - x_hat · dgamma / n)"
    return formula, [line(text, **numbers)]


def _over_the_sample(passage: Passage) -> tuple[str, list[Line]]:
    """The numbers of a sample have gammas of their own: the means are of g = gamma · dy."""
    layer, unit, place = passage.layer, passage.unit, _place(passage)
    together, dy = _together(passage), passage.dy[passage.sample]
    variance, epsilon = together.var(), layer.epsilon
    normal = (together - together.mean()) / np.sqrt(variance + epsilon)
    gamma = layer.gamma.reshape(-1, *[1] * (dy.ndim - layer.gamma.ndim)) if type(layer) is GroupNorm else layer.gamma
    own = _company(passage, gamma * dy)
    numbers = {
        "gamma": layer.gamma[place],
        "dy": dy[unit],
        "g": layer.gamma[place] * dy[unit],
        "x_hat": _x_hat(passage),
    }
    means = {"mean_g": own.mean(), "mean_gx": (own * normal).mean(), "variance": variance, "epsilon": epsilon}
    text = (
        f"{at('dx', passage.source)} = ({{g}} - {{mean_g}} - {{x_hat}} · {{mean_gx}}) "
        "/ sqrt({variance} + {epsilon}) = {dx}"
    )
    parts = [
        line("g = {gamma} · {dy} = {g}", **numbers),
        line("Over the same numbers, the mean of g is {mean_g} and that of g · x_hat {mean_gx}.", **means),
        line(text, **numbers, **means, dx=passage.dx[passage.sample][passage.source]),
    ]
    return "dx = (g - mean of g - x_hat · mean of g · x_hat) / sqrt(variance + epsilon)        g = gamma · dy", parts


def _together(passage: Passage) -> NDArray[Any]:
    """The numbers that are normalised together with the unit."""
    if type(passage.layer) is BatchNorm:
        return passage.x[:, passage.unit[0]]
    return _company(passage, passage.input)


def _company(passage: Passage, values: NDArray[Any]) -> NDArray[Any]:
    """Of an array of the sample what goes together with the unit: all, or its group of channels."""
    size = len(values) // getattr(passage.layer, "groups", 1)
    first = passage.unit[0] // size * size
    return values[first : first + size]


def _x_hat(passage: Passage) -> Any:
    together = _together(passage)
    return (passage.input[passage.unit] - together.mean()) / np.sqrt(together.var() + passage.layer.epsilon)


def _place(passage: Passage) -> Index:
    """Where the unit's scale and shift are: at its own place, or at its channel's."""
    return passage.unit if type(passage.layer) is LayerNorm else passage.unit[:1]
