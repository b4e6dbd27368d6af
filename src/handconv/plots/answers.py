"""How good the answers are: confusion, precision and recall, the worst mistakes, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis import probabilities, report
from handconv.metrics import expected_calibration_error
from handconv.sequential import Sequential
from handconv.utils.figures import BLUE, GREY, ORANGE, PALE, headline, new_figure, percent, shortened, tidy
from handconv.utils.optional_imports import import_optional
from handconv.utils.validation import check_int, unmasked
from handconv.utils.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WRITTEN = 30  # classes up to which each cell of the confusion matrix has its number
_NAMED = 50  # and up to which it has all names
_ROOMY = 20  # classes up to which each has a line of full height
_WIDE = 21  # letters that have room above a picture
_BESIDE = 20  # and beside the axes


def confusion(model: Sequential, x: ArrayLike, y: ArrayLike, class_names: Sequence[str] = ()) -> Figure:
    """Draw the confusion matrix: a row for each true class, a column for each answer, mistakes in colour.

    Args:
        model: the classifier.
        x: inputs (N, …).
        y: class numbers (N,).
        class_names: names of the classes; numbers stand in for those that are missing.

    Raises:
        ValueError, TypeError: if samples and model do not fit together.
        MissingExtraError: if matplotlib is not installed.
    """
    result = report(model, x, y, class_names)
    names, counts = [each.name for each in result.classes], result.confusion
    short = shortened(names, _BESIDE)
    wrong = counts - np.diag(np.diag(counts))
    side = min(max(5.0, 0.55 * len(names) + 1.5), 12.0)
    figure = new_figure(side + 0.8, side)
    axes = figure.add_subplot()
    shares = wrong / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    most = float(shares.max())
    axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1.6 * most or 1)  # the darkest stays light enough to write on
    for place in range(len(names)):
        axes.add_patch(_square(place))
    if len(names) <= _WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                own = row == column
                axes.text(
                    column, row, f"{count:,}", ha="center", va="center", fontsize=9, color=GREY if own else "black"
                )
    tidy(axes, "", "answer", "truth")
    axes.spines[["left", "bottom"]].set_visible(False)
    shown = range(0, len(names), -(-len(names) // _NAMED))
    long = max(map(len, short)) > 3
    axes.set_xticks(
        shown, [short[each] for each in shown], rotation=45 if long else 0, ha="right" if long else "center"
    )
    axes.set_yticks(shown, [short[each] for each in shown])
    axes.tick_params(length=0, labelsize=10 if len(names) <= _WRITTEN else 8)
    headline(figure, _worst_pair(names, wrong, counts))
    return figure


def classes(model: Sequential, x: ArrayLike, y: ArrayLike, class_names: Sequence[str] = ()) -> Figure:
    """Draw precision and recall of each class as two points; the class found least often is named.

    A class that is not among the samples has no recall, one that is never the answer no precision.

    Args:
        model: the classifier.
        x: inputs (N, …).
        y: class numbers (N,).
        class_names: names of the classes; numbers stand in for those that are missing.

    Raises:
        ValueError, TypeError: if samples and model do not fit together.
        MissingExtraError: if matplotlib is not installed.
    """
    result = report(model, x, y, class_names)
    present = [each for each in result.classes if each.samples]
    pitch = 0.42 if len(result.classes) <= _ROOMY else 0.2
    figure = new_figure(7.5, max(3.2, pitch * len(result.classes) + 1.3))
    axes = figure.add_subplot()
    places = np.arange(len(result.classes))
    precision = np.array([each.precision for each in result.classes])
    recall = np.array([each.recall for each in result.classes])
    precision[result.confusion.sum(axis=0) == 0] = np.nan
    recall[result.confusion.sum(axis=1) == 0] = np.nan
    axes.hlines(places, precision, recall, color=GREY, linewidth=1, zorder=1)
    axes.plot(
        precision, places, "o", color=BLUE, markersize=20 * pitch, label="precision: of its answers, the right ones"
    )
    axes.plot(recall, places, "s", color=ORANGE, markersize=20 * pitch, label="recall: of its samples, those found")
    names = shortened([each.name for each in result.classes], _BESIDE)
    counted_names = [f"{name}  ({each.samples:,})" for name, each in zip(names, result.classes, strict=True)]
    axes.set_yticks(places, counted_names)
    axes.tick_params(axis="y", labelsize=10 if len(places) <= _ROOMY else 8)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="x", color=PALE)
    axes.set_axisbelow(True)
    percent(axes.xaxis)
    tidy(axes, y="class (its samples)")
    figure.legend(loc="outside lower left", frameon=False, ncols=2, fontsize=9)
    least = min(present, key=lambda each: each.recall)
    found = round(least.recall * least.samples)
    told = f"{least.name} is found least often: {found:,} of {least.samples:,} ({100 * least.recall:.1f} %)"
    headline(figure, told if found < least.samples else _no_mistake(int(result.confusion.sum())))
    return figure


def mistakes(
    model: Sequential, x: ArrayLike, y: ArrayLike, class_names: Sequence[str] = (), *, count: int = 12
) -> Figure:
    """Draw the worst mistakes: the images whose truth got the least probability.

    Args:
        model: the classifier.
        x: images (N, C, H, W) with one channel or three.
        y: class numbers (N,).
        class_names: names of the classes; numbers stand in for those that are missing.
        count: how many at most.

    Raises:
        ValueError, TypeError: if samples and model do not fit together, or they are no images.
        MissingExtraError: if matplotlib is not installed.
    """
    count = check_int("mistakes: count", count)
    images = as_pictures(x)
    result = report(model, x, y, class_names, worst=count)
    names = [each.name for each in result.classes]
    wrong = round((1 - result.accuracy) * len(images))
    if not result.mistakes:
        figure = new_figure(6, 1)
        headline(figure, _no_mistake(len(images)))
        return figure
    columns = min(4, len(result.mistakes))
    rows = -(-len(result.mistakes) // columns)
    figure = new_figure(max(2.05 * columns, 6), 2.25 * rows + 0.6)
    short = shortened(names, _WIDE - 6)
    for place, each in enumerate(result.mistakes, start=1):
        axes = figure.add_subplot(rows, columns, place)
        show_picture(axes, images[each.row])
        axes.set_title(
            f"{_taken(short[each.truth], short[each.answer])}\n{100 * each.confidence:.0f} % sure, row {each.row}",
            fontsize=9,
        )
    which = f"The {len(result.mistakes)} worst of" if wrong > len(result.mistakes) else "The"
    headline(figure, f"{which} {counted(wrong, 'mistake')} in {counted(len(images), 'image')}")
    return figure


def calibration(model: Sequential, x: ArrayLike, y: ArrayLike, *, bins: int = 10) -> Figure:
    """Draw how often answers of each confidence are right (the reliability diagram), and how many there are of each.

    Args:
        model: the classifier.
        x: inputs (N, …).
        y: class numbers (N,).
        bins: intervals of equal width into which the confidence is sorted.

    Raises:
        ValueError, TypeError: if samples and model do not fit together.
        MissingExtraError: if matplotlib is not installed.

    References:
        Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017, figure 1.
    """
    bins = check_int("calibration: bins", bins)
    chances, labels = probabilities(model, x), unmasked("y", y)
    if labels.ndim != 1:
        remedy = "y[:, 0]" if labels.shape[1:] == (1,) else "y.argmax(axis=1)"
        raise ValueError(f"y must be class numbers (N,), got shape {labels.shape}. Use {remedy}.")
    error = expected_calibration_error(chances, labels, bins)
    confidence, right = chances.max(axis=1).astype(np.float64), chances.argmax(axis=1) == labels
    edges = (np.arange(1, bins) / bins).astype(chances.dtype)
    which = np.searchsorted(edges, chances.max(axis=1))  # intervals closed on the right, as in the metric
    count = np.bincount(which, minlength=bins)
    filled = count > 0
    mean = np.bincount(which, confidence, bins)[filled] / count[filled]
    share = np.bincount(which, right, bins)[filled] / count[filled]
    low, high = _wilson(share, count[filled])
    figure = new_figure(5.6, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    legend = "answers (bars: 95 % interval)"
    upper.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="well calibrated")
    upper.errorbar(mean, share, (share - low, high - share), fmt="o-", color=BLUE, capsize=3, label=legend)
    upper.set_ylim(0, 1.03)
    percent(upper.yaxis)
    tidy(upper, y="of these, right")
    figure.legend(loc="outside lower left", frameon=False, ncols=2, fontsize=9)
    lower.bar((np.arange(bins) + 0.5) / bins, count, 0.9 / bins, color=BLUE)
    lower.set_yscale("symlog", linthresh=1)
    lower.set_xlim(0, 1.01)
    percent(lower.xaxis)
    tidy(lower, x="confidence of the answer", y="answers")
    lean = float(confidence.mean() - right.mean())
    verdict = ": too sure of itself" if lean > 0 else ": not sure enough" if lean < 0 else ""
    headline(figure, f"Confidence is off by {100 * error:.2f} %{verdict}")
    return figure


def _wilson(share: NDArray[Any], count: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Wilson's interval: between which shares the true one lies with 95 %, for few samples too."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    width = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.minimum(middle - width, share), np.maximum(middle + width, share)


def as_pictures(x: ArrayLike) -> NDArray[Any]:
    """Bring images (N, C, H, W) to what matplotlib draws, (N, H, W, C)."""
    images = unmasked("x", x)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(
            f"Pictures need images (N, C, H, W) with one channel or three, at least one, got shape {images.shape}."
        )
    return images.transpose(0, 2, 3, 1)


def show_picture(axes: Any, picture: NDArray[Any]) -> None:
    """Draw one image (H, W, C), from black to white."""
    white = 255 if picture.dtype == np.uint8 else 1
    axes.imshow(picture if picture.dtype == np.uint8 else np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=white)
    axes.set_axis_off()


def _square(place: int) -> Any:
    """A pale cell on the diagonal, where the answers are right."""
    patches = import_optional("matplotlib.patches", extra="plot")
    return patches.Rectangle((place - 0.5, place - 0.5), 1, 1, color=PALE, linewidth=0)


def _taken(truth: str, answer: str) -> str:
    """Say in the width of a picture which class was taken for which."""
    text = f"{truth} taken for {answer}"
    return text if len(text) <= _WIDE else f"{truth} taken\nfor {answer}"


def _no_mistake(count: int) -> str:
    return f"No mistake in {count:,} answer{'s' * (count != 1)}"


def _worst_pair(names: Sequence[str], wrong: NDArray[np.int64], counts: NDArray[np.int64]) -> str:
    """Say which mistake is made most often."""
    if not wrong.any():
        return _no_mistake(int(counts.sum()))
    truth, answer = divmod(int(wrong.argmax()), len(wrong))
    return (
        f"{names[truth]} is taken for {names[answer]} most often: {wrong[truth, answer]:,} of {counts[truth].sum():,}"
    )
