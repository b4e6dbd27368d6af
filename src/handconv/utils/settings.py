"""The arguments of a constructor as settings of the object: each is kept as an attribute of the same name."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@functools.cache
def arguments_of(constructor: Callable[..., None]) -> dict[str, inspect.Parameter]:
    """The arguments of an ``__init__`` by name, without ``self``, ``*rest`` and ``**options``.

    Args:
        constructor: the function, which a dataclass gets only once its class is made.
    """
    _, *parameters = inspect.signature(constructor).parameters.values()
    return {parameter.name: parameter for parameter in parameters if parameter.kind not in _VARIABLE}


def is_change(thing: object, name: str) -> bool:
    """Whether setting this attribute changes a constructor argument of an object that is already constructed.

    While a constructor of the object is running, which is looked up on the call stack, it is no change.

    Args:
        thing: the object.
        name: the name of the attribute.
    """
    if name not in vars(thing) or name not in arguments_of(type(thing).__init__):
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__init__" and frame.f_locals.get(code.co_varnames[0]) is thing:
            return False
        frame = frame.f_back
    return True


class Settings:
    """The parent of layers, losses and optimizers, which the arguments of their constructors describe."""

    @property
    def arguments(self) -> dict[str, inspect.Parameter]:
        """What the constructor takes, by name."""
        return arguments_of(type(self).__init__)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, from which ``type(self)(**config)`` makes the same thing.

        Raises:
            AttributeError: if one is not kept under its own name.
        """
        config = {}
        for name in self.arguments:
            try:
                config[name] = getattr(self, name)
            except AttributeError:
                raise AttributeError(
                    f"{type(self).__name__} does not keep its argument {name!r}. Set self.{name} = {name} in __init__, "
                    "or override config(), so that it can be described and saved."
                ) from None
        return config

    def as_constructed(self, name: str, value: Any) -> Any:
        """The value of an argument as the constructor would check and keep it."""
        with contextlib.suppress(AttributeError):  # where not all arguments are kept
            return getattr(type(self)(**self.config() | {name: value}), name)
        return value
