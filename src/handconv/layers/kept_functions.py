"""Functions that a layer keeps, as after ``self.activate = lambda z: z @ self.weights`` in ``__init__``.

Such a function looks at the layer that it was made in. A copy of the layer gets one that looks at the copy, or the copy
would compute with weights that are not its own.
"""

import contextlib
import copy
import operator
from types import CellType, FunctionType
from typing import Any

from handconv.layers.parameters import Declaring


def rebind_functions(layer: object, memo: dict[int, Any]) -> None:
    """Let the functions that a copied layer keeps look at copies, where they look at layers or methods of layers.

    Args:
        layer: the copy.
        memo: what ``copy.deepcopy`` has copied.
    """
    functions = {name: value for name, value in vars(layer).items() if isinstance(value, FunctionType)}
    vars(layer).update({name: _rebound(function, memo) for name, function in functions.items()})


def _rebound(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    """The function itself or, where its closure has something of a layer, one over copies."""
    cells = list(function.__closure__ or ())
    for place, cell in enumerate(cells):
        with contextlib.suppress(ValueError):  # of an empty cell
            if isinstance(getattr(cell.cell_contents, "__self__", cell.cell_contents), Declaring):
                cells[place] = CellType(copy.deepcopy(cell.cell_contents, memo))
    if all(map(operator.is_, cells, function.__closure__ or ())):
        return function
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(cells))
    made.__kwdefaults__ = function.__kwdefaults__
    return made
