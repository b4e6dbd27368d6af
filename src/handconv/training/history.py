"""The history of a training run: one value an epoch for each figure."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn

from handconv.utils.figures import BLUE, ORANGE, headline, new_figure, percent, tidy, whole_epochs
from handconv.utils.text_table import html_table, wrapped
from handconv.utils.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
_MARKED = 30  # epochs up to which each has its mark on a curve
_WIDEST = 80  # characters of a line


class History(Mapping[str, list[float]]):
    """What an epoch ended with, by name: ``history["val_accuracy"]`` is a list with one value an epoch.

    Example:
        >>> history = History()
        >>> history.append({"epoch": 1, "loss": 0.5})
        >>> history["loss"], history.last
        ([0.5], {'epoch': 1, 'loss': 0.5})

    Attributes:
        epochs: the figures of each epoch.
        weighted: whether samples or classes had weights, with which the losses are not those of the plain samples.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.weighted = False

    def append(self, epoch: Mapping[str, float]) -> None:
        """Add the figures of one epoch."""
        self.epochs.append(dict(epoch))

    @property
    def last(self) -> dict[str, float]:
        """The figures of the last epoch."""
        return self.epochs[-1]

    def __getitem__(self, name: str) -> list[float]:
        values = [epoch[name] for epoch in self.epochs if name in epoch]
        if not values:
            raise KeyError(f"no epoch has {name!r}; there is {', '.join(self) or 'nothing'}")
        return values

    def __getattr__(self, name: str) -> NoReturn:
        """Say where the figures are."""
        remedy = " It has the figures itself: history['loss']." if name in ("history", "params", "epoch") else ""
        raise AttributeError(f"History has no {name!r}.{remedy}")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def __len__(self) -> int:
        return len(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def plot(self) -> "Figure":
        """Draw loss, accuracy and learning rate over the epochs.

        Raises:
            ValueError: if there is no epoch yet.
            MissingExtraError: if matplotlib is not installed.
        """
        if not self.epochs:
            raise ValueError("A history without epochs cannot be drawn. Train first: history = model.fit(…).")
        panels = [name for name in ("loss", "accuracy", "learning_rate") if name in self]
        figure = new_figure(max(2.9 * len(panels), 5), 3.1)
        numbers = [figures.get("epoch", place) for place, figures in enumerate(self.epochs, start=1)]
        mark = 4 if len(numbers) <= _MARKED else 0
        margin = 0.05 * (numbers[-1] - numbers[0]) or 0.5
        for panel, name in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), panel)
            for series, label, colour, line in (
                (name, "training", BLUE, "o-"),
                (f"val_{name}", "validation", ORANGE, "s--"),
            ):
                pairs = [
                    (number, figures[series])
                    for number, figures in zip(numbers, self.epochs, strict=True)
                    if series in figures
                ]
                if pairs:
                    axes.plot(*zip(*pairs, strict=True), line, color=colour, label=label, markersize=mark)
            tidy(axes, name.replace("_", " "), "epoch")
            axes.set_xlim(numbers[0] - margin, numbers[-1] + margin)  # those whose figures are NaN are there, too
            whole_epochs(axes)
            low, high = axes.get_ylim()
            if name == "accuracy":
                percent(axes.yaxis)
                axes.set_ylim(max(low, -0.004), min(high, 1.004))  # the points at the ends are whole
            elif axes.dataLim.y0 >= 0:
                axes.set_ylim(bottom=0)
            if f"val_{name}" in self:
                axes.legend(frameon=False)
        headline(figure, self._summary())
        return figure

    def _summary(self) -> str:
        """Say where the training has come to, and in which epoch the validation was best."""
        count, last = len(self.epochs), self.last
        parts = [f"After {counted(count, 'epoch')}: "]
        known = [
            f"{name.replace('val_', 'validation ')} {_figure(name, last[name])}" for name in _SHOWN[:4] if name in last
        ]
        parts.append(", ".join(known))
        told = [figures.get("val_loss", math.inf) for figures in self.epochs]
        losses = [math.inf if math.isnan(loss) else loss for loss in told]
        best = min(range(count), key=losses.__getitem__)
        if losses[best] < losses[-1]:
            parts.append(f" (validation loss was least after epoch {self.epochs[best].get('epoch', best + 1):.0f})")
        return "".join(parts)

    def __repr__(self) -> str:
        if not self.epochs:
            return "History(no epochs)"
        known = [f"{name} {_figure(name, self.last[name])}" for name in _SHOWN[:4] if name in self.last]
        return wrapped(f"History({counted(len(self.epochs), 'epoch')}{', '.join(['', *known])})", _WIDEST)

    def _repr_html_(self) -> str:
        """A table, a row an epoch, for notebooks."""
        names = ["epoch", *(name for name in _SHOWN if name in self)]
        rows = [[_figure(name, epoch[name]) if name in epoch else "" for name in names] for epoch in self.epochs]
        return html_table([[name.replace("_", " ") for name in names], *rows], left=())


def _figure(name: str, value: float) -> str:
    if name == "epoch":
        return f"{value:.0f}"
    if math.isnan(value):
        return "not a number"
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"
