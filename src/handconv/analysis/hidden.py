"""What the last hidden layer makes of samples, laid flat: its outputs, and their projection on two directions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.layers import Dense
from handconv.sequential import Sequential
from handconv.utils.validation import check_int, unmasked


def last_hidden(model: Sequential, x: ArrayLike) -> FloatArray:
    """Give what goes into the last Dense layer, as one vector a sample.

    Args:
        model: the network.
        x: samples (N, …).
    Shapes:
        (N, …) -> (N, D)
    Raises:
        ValueError, TypeError: if the samples do not fit, or there is no hidden layer before a last Dense one.

    Example:
        >>> import handconv as hc
        >>> last_hidden(hc.zoo.reference(), np.zeros((2, 1, 28, 28), np.uint8)).shape
        (2, 128)
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"This expects a handconv.Sequential, got {model!r}.")
    dense = [place for place, layer in enumerate(model.layers) if isinstance(layer, Dense)]
    if not dense or not dense[-1]:
        raise ValueError("The last hidden layer is the one before the last Dense layer, and this model has none.")
    outputs = model[: dense[-1]].predict(x)
    return outputs.reshape(len(outputs), -1)


def principal_components(values: ArrayLike, count: int = 2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project samples on the directions in which they differ most (PCA).

    Maths:
        X = values - mean = U · diag(s) · V^T        coordinates = U · diag(s)        share = s² / sum of s²
    Args:
        values: (N, D).
        count: how many directions.
    Shapes:
        (N, D) -> the coordinates (N, count), and each direction's share of the variance (count,)
    Raises:
        ValueError: if there are fewer samples or dimensions than directions, or numbers are not finite.

    Example:
        >>> principal_components([[0, 0], [3, 4], [6, 8]], 1)[1].round(6)
        array([1.])

    References:
        Jolliffe, Principal component analysis, 2002, section 3.5.
    """
    x = unmasked("values", values).astype(np.float64)
    count = check_int("principal_components: count", count)
    if x.ndim != 2 or min(x.shape) < count or not np.isfinite(x).all():
        raise ValueError(
            f"{count} directions need at least {count} samples with as many numbers, all finite, got shape {x.shape}."
        )
    u, s, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    signs = np.where(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)] < 0, -1.0, 1.0)  # the same for any LAPACK
    total = float((s**2).sum()) or 1.0
    return (u * s * signs)[:, :count], (s**2 / total)[:count]
