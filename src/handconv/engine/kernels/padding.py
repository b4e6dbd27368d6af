"""The cells around an image that windows at its edge see: zeros, or -inf where a maximum is looked for."""

from handconv.arrays import FloatArray
from handconv.engine.arena import Workspace
from handconv.geometry import Geometry


def padded(x: FloatArray, geometry: Geometry, fill: float, workspace: Workspace) -> FloatArray:
    """Surround (H, C, W, N) with ``fill``; ``x`` itself where there is no padding."""
    if not geometry.has_padding:
        return x
    rows, columns = geometry.rows, geometry.columns
    result = workspace.scratch("padded", (rows.padded, x.shape[1], columns.padded, x.shape[3]), x.dtype)
    result[...] = fill
    unpadded(result, geometry)[...] = x
    return result


def unpadded(x: FloatArray, geometry: Geometry) -> FloatArray:
    """See the part of a padded array that is no padding."""
    rows, columns = geometry.rows, geometry.columns
    return x[rows.before : rows.before + rows.size, :, columns.before : columns.before + columns.size]
