"""How weights and gradients are spread: at one time, and from epoch to epoch."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.objective import Objective
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.training import Callback
from handconv.training.checkpoint import kept_arrays
from handconv.training.state import TrainingState
from handconv.utils.validation import check_int

_PREFIX = "histograms-"  # of what is kept in a run; the number of intervals follows


class Histogram(NamedTuple):
    """Counts, and the edges between which they were counted."""

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]


class Histograms(Callback):
    """Keep a histogram of each array of weights, and of its gradient in the last step, for each epoch.

    ``handconv.plots.histograms_over_time`` draws them. Biases, which are few, are left out. They are saved with a
    checkpoint, go on with a resumed run, and come back by ``Histograms.read``.

    Args:
        bins: intervals of equal width in each histogram, fewer for small arrays.

    Raises:
        ValueError: if there is not at least one.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
        >>> kept = Histograms(bins=10)
        >>> history = model.fit(np.ones((8, 3)), [0, 1] * 4, epochs=2, callbacks=[kept])
        >>> [int(histogram.counts.sum()) for histogram in kept.weights["0.weights"]]
        [6, 6]
    """

    def __init__(self, bins: int = 60) -> None:
        self.bins = check_int("Histograms: bins", bins)
        self.weights: dict[str, list[Histogram]] = {}
        self.gradients: dict[str, list[Histogram]] = {}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Histograms | None:
        """Give those that a checkpoint holds; None if it has none.

        Args:
            path: the checkpoint.

        Raises:
            OSError, ModelFileError: if it cannot be read.
        """
        arrays = kept_arrays(path)
        name = next((name for name in arrays if name.startswith(_PREFIX)), None)
        if name is None:
            return None
        found = cls(int(name.removeprefix(_PREFIX).partition("/")[0]))
        found._take(arrays)
        return found

    def on_train_begin(self, run: TrainingState) -> None:
        """Keep nothing of another training; a resumed run goes on with what it has."""
        self._take(run.kept)

    def on_epoch_end(self, run: TrainingState, figures: Mapping[str, float]) -> None:
        """Count."""
        network = run.network
        for view in network.views:
            values, gradients = view.of(network.parameters), view.of(network.gradients)
            if values.ndim > 1:
                for kind, array in (("weights", values), ("gradients", gradients)):
                    series = getattr(self, kind).setdefault(view.name, [])
                    series.append(_counted(array, self.bins))
                    run.kept[f"{_PREFIX}{self.bins}/{kind}/{view.name}"] = np.stack(list(map(np.concatenate, series)))

    def _take(self, arrays: Mapping[str, FloatArray]) -> None:
        """Take what was kept: a row an epoch, the counts and then the edges."""
        self.weights, self.gradients = {}, {}
        for name, rows in arrays.items():
            prefix, *parts = name.split("/", 2)
            if prefix == f"{_PREFIX}{self.bins}":
                kind, view = parts
                series = [Histogram(*np.split(row, [len(row) // 2])) for row in rows]
                getattr(self, kind)[view] = [Histogram(counts.astype(np.int64), edges) for counts, edges in series]


def loss_gradients(model: Sequential, x: ArrayLike, y: ArrayLike) -> dict[str, FloatArray]:
    """Give the gradient of the mean cross-entropy with respect to each array of parameters, out of training.

    Maths:
        d L / d scores = (p - one-hot of y) / N,   then backward; of yes or no the same with the binary cross-entropy
    Args:
        model: the classifier.
        x: samples (N, …).
        y: class numbers (N,).
    Raises:
        ValueError, TypeError: if samples and model do not fit together.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0)
        >>> loss_gradients(model, np.zeros((2, 1)), [0, 0])["0.biases"]
        array([-0.5,  0.5], dtype=float32)
    """
    inputs, own = checked_inputs(x, model.input_shape, model.dtype), copy.deepcopy(model)
    own.ensure_built(inputs.shape[1:])
    objective = Objective(own, own.default_loss())
    loss, judged = objective.page, own[: len(objective.layers)]
    loss.forward(judged.forward(inputs), y)
    judged.backward(loss.backward())
    return {view.name: view.of(own.gradients) for view in own.views}


def _counted(values: FloatArray, bins: int) -> Histogram:
    few = max(8, int(np.sqrt(values.size)))  # more intervals than that would show chance
    counts, edges = np.histogram(np.asarray(values, np.float64), min(bins, few))
    return Histogram(counts, edges)
