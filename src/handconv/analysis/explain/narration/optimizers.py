"""What each optimizer computes for one parameter: every equation as a formula, and with its numbers; w comes last.

A name in braces stands for a number: ``{m_old}`` is m before the step, ``{rest_1}`` is 1 - beta_1.
"""

from collections.abc import Callable
from typing import Any

from handconv.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSprop

Equations = list[tuple[str, str]]

#: The gradient, divided by its own running length.
_SCALED = "g / (sqrt(v) + epsilon)", "{g} / (sqrt({v}) + {epsilon})"


def equations(optimizer: Optimizer, decays: bool = True) -> Equations:
    """The equations of exactly this kind of optimizer; none of one that is not ours, as it may compute anything.

    Args:
        optimizer: with the settings that say which terms there are.
        decays: whether weight decay, if there is any, shrinks the parameter.
    """
    known = _EQUATIONS.get(type(optimizer))
    return known(optimizer, decays and bool(getattr(optimizer, "weight_decay", 0))) if known else []


def constants(optimizer: Optimizer) -> dict[str, float]:
    """The constants in the equations; without momentum or decay there is no term for them."""
    names = ["beta_1", "beta_2", "rho", "momentum", "epsilon", "weight_decay"]
    kept = {name: float(getattr(optimizer, name)) for name in names if hasattr(optimizer, name)}
    return {name: value for name, value in kept.items() if value or name not in ("momentum", "weight_decay")}


def numbers_of(optimizer: Optimizer, g: float, before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What the equations need beside w, g and the rate.

    Args:
        optimizer: as it stands after the step.
        g: the gradient.
        before: of each of the optimizer's vectors the number before the step.
        after: the same after it.
    """
    found = {"g": g, "t": float(optimizer.iterations), **constants(optimizer), **after}
    found |= {f"{name}_old": value for name, value in before.items()}
    rests = {"rest_1": "beta_1", "rest_2": "beta_2", "rest": "rho"}
    found |= {name: 1 - found[of] for name, of in rests.items() if of in found}
    if isinstance(optimizer, Adam):
        found["m_hat"] = found["m"] / (1 - optimizer.beta_1**optimizer.iterations)
        found["v_hat"] = found["v"] / (1 - optimizer.beta_2**optimizer.iterations)
    if isinstance(optimizer, Lion):
        direction = optimizer.beta_1 * found["m_old"] + found["rest_1"] * g
        found["direction"] = float((direction > 0) - (direction < 0))
    return found


def _adam(_: Any, decays: bool) -> Equations:
    w, shown = ("w · (1 - rate · weight_decay)", "{old} · (1 - {rate} · {weight_decay})") if decays else ("w", "{old}")
    return [
        ("m = beta_1 · m + (1 - beta_1) · g", "m = {beta_1} · {m_old} + {rest_1} · {g} = {m}"),
        ("v = beta_2 · v + (1 - beta_2) · g²", "v = {beta_2} · {v_old} + {rest_2} · {g}² = {v}"),
        ("m_hat = m / (1 - beta_1^t)", "m_hat = {m} / (1 - {beta_1}^{t}) = {m_hat}"),
        ("v_hat = v / (1 - beta_2^t)", "v_hat = {v} / (1 - {beta_2}^{t}) = {v_hat}"),
        (
            f"w = {w} - rate · m_hat / (sqrt(v_hat) + epsilon)",
            f"w = {shown} - {{rate}} · {{m_hat}} / (sqrt({{v_hat}}) + {{epsilon}}) = {{new}}",
        ),
    ]


def _sgd(optimizer: SGD, _: bool) -> Equations:
    if not optimizer.momentum:
        return [_down("g", "{g}")]
    way = ("(g + momentum · velocity)", "({g} + {momentum} · {velocity})") if optimizer.nesterov else _VELOCITY
    return [_velocity("g", "{g}"), _down(*way)]


def _rmsprop(optimizer: RMSprop, _: bool) -> Equations:
    first = ("v = rho · v + (1 - rho) · g²", "v = {rho} · {v_old} + {rest} · {g}² = {v}")
    return [first, _velocity(*_SCALED), _down(*_VELOCITY)] if optimizer.momentum else [first, _down(*_SCALED)]


def _adagrad(*_: Any) -> Equations:
    return [("v = v + g²", "v = {v_old} + ({g})² = {v}"), _down(*_SCALED)]


def _lion(_: Any, decays: bool) -> Equations:
    ahead = ("(direction + weight_decay · w)", "({direction} + {weight_decay} · {old})")
    return [
        (
            "direction = sign(beta_1 · m + (1 - beta_1) · g)",
            "direction = sign({beta_1} · {m_old} + {rest_1} · {g}) = {direction}",
        ),
        ("m = beta_2 · m + (1 - beta_2) · g", "m = {beta_2} · {m_old} + {rest_2} · {g} = {m}"),
        _down(*ahead if decays else ("direction", "{direction}")),
    ]


_VELOCITY = "velocity", "{velocity}"


def _velocity(formula: str, shown: str) -> tuple[str, str]:
    return (
        f"velocity = momentum · velocity + {formula}",
        f"velocity = {{momentum}} · {{velocity_old}} + {shown} = {{velocity}}",
    )


def _down(formula: str, shown: str) -> tuple[str, str]:
    return f"w = w - rate · {formula}", f"w = {{old}} - {{rate}} · {shown} = {{new}}"


_EQUATIONS: dict[type[Optimizer], Callable[[Any, bool], Equations]] = {
    Adam: _adam,
    AdamW: _adam,
    SGD: _sgd,
    RMSprop: _rmsprop,
    Adagrad: _adagrad,
    Lion: _lion,
}
