"""What the tests of kernels, ops and layers share."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handconv.geometry import Geometry, geometry
from strategies import Geometry as Case


class PoisonedMemory:
    """A workspace whose arrays come filled with NaN or True: what is read before it is written shows in the result."""

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return np.full(shape, {"f": np.nan, "b": True}.get(np.dtype(dtype).kind, 113), dtype)

    scratch = array

    def constant(self, array: NDArray[Any]) -> NDArray[Any]:
        constant = array.copy(order="K")
        constant.flags.writeable = False
        return constant


def assert_close(actual: NDArray[Any], expected: NDArray[Any], tolerance: float = 1e-12) -> None:
    """Equal up to rounding: relative for large values, absolute for those below one."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def geometry_of(case: Case) -> Geometry:
    """The package's own view of a drawn case."""
    padding = (case.padding, case.padding) if isinstance(case.padding, int) else case.padding
    return geometry(case.shape[2], case.shape[3], case.window, case.stride, padding)
