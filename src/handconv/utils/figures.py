"""What all figures share: made without a screen, seen in notebooks, in colours that colour-blind readers tell apart.

The colours are those of Okabe and Ito, Color universal design, 2008.
"""

import io
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from handconv.utils.optional_imports import import_optional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY, PALE = "#595959", "#EBEBEB"
CLASSES = (BLUE, ORANGE, GREEN, RED, PURPLE, "#56B4E9", "#B8A800", "#000000", "#8C6D46", "#999999")
_LETTERS = 8.5  # of a headline to an inch


def new_figure(width: float, height: float) -> "Figure":
    """Make a figure of this size in inches; it belongs to no window, and a notebook shows it.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figure: Figure = import_optional("matplotlib.figure", extra="plot").Figure(
        figsize=(width, height), layout="constrained"
    )
    vars(figure)["_repr_png_"] = partial(_as_png, figure)  # matplotlib itself tells notebooks of pyplot's figures only
    return figure


def _as_png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def headline(figure: "Figure", text: str) -> None:
    """Say over a figure what is seen in it."""
    lines = textwrap.wrap(text, int(_LETTERS * figure.get_figwidth()))
    figure.suptitle("\n".join(lines), fontsize=13, fontweight="bold", x=0.01, ha="left")


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Cut the names that are longer than this many letters: at their ends, or in the middle where they begin alike.

    Example:
        >>> shortened(["Ankle boot, brown", "Bag"], 10)
        ['Ankle boo…', 'Bag']
        >>> shortened(["handwritten letter A", "handwritten letter B"], 10)
        ['handwr…r A', 'handwr…r B']
    """

    def cut(tail: int) -> list[str]:
        return [
            name if len(name) <= most else f"{name[: most - 1 - tail]}…{name[len(name) - tail :]}" for name in names
        ]

    ends = cut(0)
    return ends if len(set(ends)) == len(set(names)) else cut(most // 3)


def tidy(axes: Any, title: str = "", x: str = "", y: str = "") -> None:
    """Name the axes, and take away the frame that shows nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def whole_epochs(axes: Any) -> None:
    """Let the axis of epochs have whole numbers alone."""
    axes.xaxis.set_major_locator(
        import_optional("matplotlib.ticker", extra="plot").MaxNLocator("auto", integer=True, min_n_ticks=1)
    )


def percent(axis: Any) -> None:
    """Let an axis from 0 to 1 speak of per cent."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
