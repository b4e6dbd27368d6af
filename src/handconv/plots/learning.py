"""How a training goes: its figures over the epochs, and how weights and gradients are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from handconv.analysis.histograms import Histogram, Histograms, loss_gradients
from handconv.plots.inside import check_alive
from handconv.sequential import Sequential
from handconv.training import History
from handconv.utils.figures import BLUE, GREY, ORANGE, headline, new_figure, tidy
from handconv.utils.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 60
_STACKED = 8  # arrays whose panels stand one below the other
_RIDGES = 30  # of one histogram over time, at most


def history(epochs: History | Sequence[Mapping[str, float]]) -> Figure:
    """Draw loss, accuracy and learning rate over the epochs.

    Args:
        epochs: what ``fit`` returned, or the figures of each epoch, as a checkpoint keeps them.

    Raises:
        ValueError: if there is no epoch.
        TypeError: if it is neither.
        MissingExtraError: if matplotlib is not installed.

    Example:
        >>> figure = history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
        >>> figure.axes[0].lines[0].get_ydata().tolist()
        [0.5, 0.25]
    """
    if isinstance(epochs, History):
        return epochs.plot()
    whole, given = History(), cast(Sequence[object], epochs)
    for figures in given:
        if not isinstance(figures, Mapping) or not all(isinstance(value, Real) for value in figures.values()):
            raise TypeError(
                f"history must be what fit returned, or figures of each epoch, as [{{'loss': 0.5}}, {{'loss': 0.4}}], "
                f"got {epochs!r:.80}."
            )
        whole.append(figures)
    return whole.plot()


def histograms(model: Sequential, x: ArrayLike, y: ArrayLike) -> Figure:
    """Draw how the weights of each layer are spread, and the gradient of the loss with respect to them.

    Args:
        model: the classifier.
        x: samples (N, …) that the gradient is taken over; a few hundred.
        y: class numbers (N,).

    Raises:
        ValueError, TypeError: if samples and model do not fit together, or the model has no weights.
        MissingExtraError: if matplotlib is not installed.
    """
    check_alive(model)
    weights = {name: values for name, values in model.named_parameters().items() if values.ndim > 1}
    if not weights:
        raise ValueError("This draws weights, and the model has none. Use a model with a Conv2D or a Dense layer.")
    gradients = {name: values for name, values in loss_gradients(model, x, y).items() if name in weights}
    figure, pairs = _pairs(len(gradients), 1.75)
    sizes = {}
    for row, (name, slopes) in zip(pairs, gradients.items(), strict=True):
        sizes[name] = float(np.sqrt(np.mean(slopes.astype(np.float64) ** 2)))
        for axes, values, colour in ((row[0], weights[name], BLUE), (row[1], slopes, ORANGE)):
            axes.hist(values.ravel(), min(_BINS, max(8, int(np.sqrt(values.size)))), color=colour)
            axes.axvline(0, color=GREY, linewidth=0.8)
            tidy(axes)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
            axes.locator_params(axis="x", nbins=5)
        row[0].set_title(f"{_label(model, name)}: {slopes.size:,}", fontsize=9, loc="left")
        row[1].set_title(f"gradient, root mean square {sizes[name]:.1e}", fontsize=9, loc="left")
        row[0].set_ylabel("how many")
    pairs[-1][0].set_xlabel("weight")
    pairs[-1][1].set_xlabel("gradient of the mean loss")
    largest, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    if len(sizes) == 1:
        title = f"{gradients[largest].size:,} weights and their gradients"
    elif not sizes[largest]:
        title = "No weight has a gradient"
    elif not sizes[least]:
        title = f"Gradients are largest in {_label(model, largest)}; {_label(model, least)} has none"
    else:
        ratio = sizes[largest] / sizes[least]
        title = f"Gradients are largest in {_label(model, largest)}, {ratio:.3g} times those of {_label(model, least)}"
    headline(figure, title)
    return figure


def histograms_over_time(kept: Histograms) -> Figure:
    """Draw the histograms of each epoch, of many epochs some, one behind the other, the first at the back.

    Args:
        kept: the callback that kept them.

    Raises:
        ValueError: if it has kept nothing.
        MissingExtraError: if matplotlib is not installed.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
        >>> kept = Histograms()
        >>> _ = model.fit(np.ones((8, 3)), [0, 1] * 4, epochs=2, callbacks=[kept])
        >>> len(histograms_over_time(kept).axes)
        2
    """
    if not isinstance(kept, Histograms):
        raise TypeError(f"This draws what a callback Histograms() has kept, got {kept!r}.")
    if not kept.weights:
        raise ValueError("There is no histogram yet. Train with it first: model.fit(…, callbacks=[kept]).")
    epochs = len(next(iter(kept.weights.values())))
    figure, pairs = _pairs(len(kept.weights), 2.6)
    for row, name in zip(pairs, kept.weights, strict=True):
        for axes, kind, series, colour in (
            (row[0], "", kept.weights[name], BLUE),
            (row[1], ": gradient", kept.gradients[name], ORANGE),
        ):
            for epoch, each in list(enumerate(series, start=1))[:: -(-epochs // _RIDGES)]:
                _ridge(axes, epoch, each, colour)
            tidy(axes, f"{name}{kind}", y="epoch")
            shown = range(1, epochs + 1, -(-epochs // 8))
            axes.set_yticks(shown, list(map(str, shown)))
            axes.invert_yaxis()
            axes.locator_params(axis="x", nbins=5)
    pairs[-1][0].set_xlabel("weight")
    pairs[-1][1].set_xlabel("gradient in the last step of the epoch")
    headline(figure, f"How weights and gradients were spread over {counted(epochs, 'epoch')}")
    return figure


def _pairs(count: int, height: float) -> tuple[Figure, list[Any]]:
    """A figure with a pair of panels for each of so many arrays: one below the other, of many two beside each other."""
    if count <= _STACKED:
        figure = new_figure(8, height * count + 0.8)
        return figure, list(figure.subplots(count, 2, squeeze=False))
    rows = -(-count // 2)
    figure = new_figure(14, min(height, 2.2) * rows + 0.8)
    left, right = np.split(figure.subplots(rows, 4), 2, axis=1)
    pairs = [*left, *right]
    for axes in np.concatenate(pairs[count:]) if count % 2 else ():
        axes.set_axis_off()
    return figure, pairs[:count]


def _ridge(axes: object, epoch: int, histogram: Histogram, colour: str) -> None:
    """One histogram that stands on the line of its epoch, in front of the earlier ones."""
    counts, edges = histogram
    middle = (edges[1:] + edges[:-1]) / 2
    top = epoch - 1.6 * counts / counts.max()
    axes.plot(middle, top, color="white", linewidth=2.4, zorder=epoch)  # type: ignore[attr-defined]
    axes.fill_between(middle, epoch, top, color=colour, alpha=0.75, linewidth=0.8, zorder=epoch)  # type: ignore[attr-defined]


def _label(model: Sequential, name: str) -> str:
    """The layer that an array is of, and its name."""
    place, _, _ = name.partition(".")
    layer = model.layers[model.names.index(place)] if place in model.names else None
    return f"{name} ({type(layer).__name__})" if layer is not None else name
