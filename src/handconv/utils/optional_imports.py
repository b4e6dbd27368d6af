"""Optional libraries: imported where they are used, and missed with one helpful line.

``import_optional("matplotlib.pyplot", extra="plot")`` is the one way in which this package imports anything
that is neither NumPy nor the standard library.
"""

import importlib
from types import ModuleType

from handconv.errors import MissingExtraError


def import_optional(module: str, *, extra: str) -> ModuleType:
    """Import an optional library, or say how to install it.

    Args:
        module: the dotted name of the module, ``"PIL.Image"``.
        extra: the extra of this package that brings it, ``"cli"``.

    Raises:
        MissingExtraError: if the library is not installed.

    Example:
        >>> import_optional("json", extra="cli").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise MissingExtraError(
            f'This needs {library}, which is not installed. Install it with: pip install "handconv[{extra}]"'
        ) from error
