"""Probabilities that mean what they say: of the answers given with 90 %, nine out of ten are right.

    p_T = softmax(log(p) / T)          T > 1 makes a network less sure, T < 1 surer; the ranking stays
    T   = argmin over T of the mean of -log p_T[label], over images that the network was not trained on

References:
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks, ICML 2017.
"""

import numpy as np
from numpy.typing import NDArray

import handconv as hc

Floats = NDArray[np.floating]

_SMALLEST = 1e-30


def with_temperature(probabilities: Floats, temperature: float) -> NDArray[np.float64]:
    """Bring probabilities to a temperature.

    Shapes:
        (N, K) -> (N, K)
    Example:
        >>> with_temperature(np.array([[0.9, 0.1]]), 2.0)
        array([[0.75, 0.25]])
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = scaled / scaled.sum(axis=1, keepdims=True)
    return result


def fit_temperature(probabilities: Floats, labels: NDArray[np.integer]) -> float:
    """Find the temperature under which the labels are most probable, from 0.25 to 4 in steps of 1 %.

    Shapes:
        (N, K), (N,)
    Example:
        >>> overconfident = np.array([[0.99, 0.01]] * 10)
        >>> temperature = fit_temperature(overconfident, np.array([0] * 9 + [1]))
        >>> with_temperature(overconfident, temperature)[0].round(2)
        array([0.9, 0.1])
    """
    temperatures = np.geomspace(0.25, 4, 279)
    rows = np.arange(len(labels))
    losses = [-np.log(with_temperature(probabilities, t)[rows, labels]).mean() for t in temperatures]
    return float(temperatures[np.argmin(losses)])


def calibrate(model: hc.Sequential, temperature: float) -> None:
    """Bring a classifier to a temperature: softmax(z / T), by dividing the weights and biases that z comes from by T.

    Example:
        >>> model = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(2,), seed=0)
        >>> before = model.predict(np.eye(2))
        >>> calibrate(model, 2.0)
        >>> bool(np.allclose(model.predict(np.eye(2)), with_temperature(before, 2.0)))
        True
    """
    scores, softmax = model.layers[-2:]
    if not (isinstance(scores, hc.Dense) and isinstance(softmax, hc.Softmax)):
        raise TypeError(f"The last layers must be Dense and Softmax, got {scores!r} and {softmax!r}.")
    scores.weights /= temperature
    scores.biases /= temperature
