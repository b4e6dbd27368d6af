"""Checks of the arguments of layers' constructors: an unknown one is refused, with what to use instead."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Self

import numpy as np

from handconv.utils.settings import Settings, arguments_of
from handconv.utils.validation import is_ours

#: Arguments that other libraries have, and what stands in their place here.
REMEDIES = {
    "activation": "An activation is a layer of its own: [Dense(3), ReLU()].",
    "input_shape": "Give input_shape to Sequential.",
    "input_dim": "Give input_shape=(D,) to Sequential.",
    "in_channels": "The inputs tell the number of channels.",
    "in_features": "The inputs tell their number.",
    "kernel_regularizer": "Use l2=….",
    "bias": "Use use_bias=….",
    "strides": "Use stride=….",
    "kernel": "Its array is weights.",
    "W": "Its array is weights.",
    "b": "Its array is biases.",
    "p": "Use rate=….",
    "negative_slope": "Use alpha=….",
}


class Arguments(Settings):
    """The constructor arguments of a layer, checked and shown by ``repr``. A dataclass may be a layer if not frozen."""

    #: The arguments that may be given as one number for rows and columns; ``repr`` shows equal pairs as one number.
    pairs: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if {*cls.__dict__.get("__slots__", ())} - {"__dict__", "__weakref__"}:
            raise TypeError(f"{cls.__name__} has __slots__, which copies of a layer would lose. Leave them out.")
        # A layer is equal to itself alone, also where a dataclass would compare by values.
        cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Refuse arguments that the constructor does not have."""
        if getattr(getattr(cls, "__dataclass_params__", None), "frozen", False):
            raise TypeError(
                f"{cls.__name__} is a frozen dataclass, and a layer keeps what it computes. Use @dataclass."
            )
        known = arguments_of(cls.__init__)
        unknown = [name for name in named if name not in known]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values()):
            remedy = f" {REMEDIES[unknown[0]]}" if unknown[0] in REMEDIES else ""
            raise TypeError(f"{cls.__name__} has no argument {unknown[0]!r}; it has {', '.join(known)}.{remedy}")
        first = [name for name, argument in known.items() if argument.kind is argument.POSITIONAL_OR_KEYWORD]
        if len(values) > len(first) and is_ours(cls):
            raise TypeError(
                f"{cls.__name__} takes {' and '.join(first) or 'nothing'} by place, got {len(values)} values. Give the "
                "others by name, as in stride=2; the number of channels or features is known from the inputs."
            )
        return super().__new__(cls)

    def __repr__(self) -> str:
        shown = []
        for parameter in self.arguments.values():
            value = getattr(self, parameter.name, parameter.default)
            if value is parameter.empty:
                continue
            if parameter.name in self.pairs and isinstance(value, tuple) and value[0] == value[1]:
                value = value[0]
            if parameter.kind is not parameter.KEYWORD_ONLY:
                shown.append(repr(value))
            elif isinstance(value, np.ndarray) or value != parameter.default:
                shown.append(f"{parameter.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
