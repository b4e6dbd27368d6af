"""What the quiz shows of a row: the image with a bar for each class, or the filters with the maps that they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.cli._output import Output
from handconv.cli._pictures import GAP, RAMP, png, with_bars
from handconv.utils.optional_imports import import_optional

_SIGNS = {-1: "░", 0: " ", 1: "█"}  # of a filter's weights: against, hardly any, for
_MARGINS = {"w_pad": 0.12, "h_pad": 0.1}  # inches
_DIMMED = 0.6  # how bright an image is under its heat map
_AGAINST, _FOR = "#9467FF", "#FF9500"  # purple and orange that shine on black
_PLAIN_SIGNS = {-1: "-", 0: " ", 1: "#"}
_IN_LINE, _WIDEST = 4, 16  # filters; characters, of a map in text


@dataclass(frozen=True)
class Card:
    """The image of a row, and the probabilities of the classes.

    Args:
        name: of the file.
        image: uint8 (C, H, W).
        title: what the model says and what is true.
        classes: names and probabilities, in the order in which they are shown.
        label: which of them the model answers with.
        truth: which of them is right; None if it is not among them.
        heat: (H, W) what each pixel brought to the answer, if that is to be seen.
    """

    name: str
    image: NDArray[np.uint8]
    title: str
    classes: tuple[tuple[str, float], ...]
    label: int
    truth: int | None
    heat: NDArray[Any] | None = None

    def text(self, output: Output) -> str:
        """The image, and the bars beside it if there is room."""
        marks = (">" if place == self.truth else " " for place in range(len(self.classes)))
        marked = tuple((mark + name, chance) for mark, (name, chance) in zip(marks, self.classes, strict=True))
        return with_bars(self.image, marked, output)

    def draw(self, figure: Any) -> None:
        """The image, its heat map, and the bars in a figure of matplotlib."""
        figure.set_layout_engine("constrained", **_MARGINS)
        colour = "tab:green" if self.label == self.truth else "tab:red"
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        picture = np.moveaxis(self.image, 0, 2)
        dim = 1 if self.heat is None else _DIMMED
        left.imshow(dim / 255 * (picture[:, :, 0] if picture.shape[2] == 1 else picture), cmap="gray", vmin=0, vmax=1)
        if self.heat is not None:
            most = float(np.quantile(np.abs(self.heat), 0.995)) or 1.0
            strength = np.minimum(1.0, np.abs(self.heat) / most)
            left.imshow(self.heat > 0, cmap=_two_colours(), vmin=0, vmax=1, alpha=np.sqrt(strength))
            left.set_title("orange speaks for the answer, purple against it", fontsize="small")
        left.set_axis_off()
        figure.suptitle(self.title, color=colour)
        places, chances = range(len(self.classes)), [chance for _, chance in self.classes]
        drawn = right.barh(places, chances, color="lightgray")
        drawn[self.label].set_color(colour)
        for place, chance in zip(places, chances, strict=True):
            right.text(1.02, place, f"{100 * chance:.2f} %", va="center", fontsize="small")
        right.set_yticks(places, [f"{'▸ ' if place == self.truth else ''}{self.classes[place][0]}" for place in places])
        if self.truth is not None:
            right.get_yticklabels()[self.truth].set(color="tab:green", fontweight="bold")
        right.set_xlim(0, 1)
        right.invert_yaxis()
        right.set_xlabel("probability (green: the truth)")
        right.spines[["top", "right"]].set_visible(False)

    def png(self) -> bytes:
        """The bare image, for those who have no matplotlib."""
        return png(self.image)


@dataclass(frozen=True)
class MapsCard:
    """The first convolution at work on an image: each filter, and the map that it makes.

    Args:
        name: of the file.
        image: uint8 (C, H, W).
        title: what is seen.
        filters: (F, KH, KW), the mean over the channels.
        maps: (F, OH, OW).
    """

    name: str
    image: NDArray[np.uint8]
    title: str
    filters: NDArray[Any]
    maps: NDArray[Any]

    def text(self, output: Output) -> str:
        """The image, and beside it filters above their maps, four in a line, all as small as the line has room for."""
        signs = _SIGNS if output.can_print("█░") else _PLAIN_SIGNS
        room = min(_WIDEST, max(1, ((output.room or 80) - _IN_LINE * len(GAP)) // (_IN_LINE + 1)))
        scale = -(-max(*self.image.shape[1:], *self.maps.shape[1:]) // room)
        cells = [
            [*_signed(kernel, signs, room), *_shaded(_grey(made), scale)]
            for kernel, made in zip(self.filters, self.maps, strict=True)
        ]
        image = _shaded(self.image.mean(axis=0), scale)
        rows = [cells[start : start + _IN_LINE] for start in range(0, len(cells), _IN_LINE)]
        lines: list[str] = [self.title]
        for place, row in enumerate(rows):
            lines += ["", *_beside([image if place == 0 else [" " * len(image[-1])], *row])]
        return "\n".join(line.rstrip() for line in lines)

    def draw(self, figure: Any) -> None:
        """The image, and beside it the filters above their maps, in a figure of matplotlib."""
        figure.set_layout_engine("constrained", **_MARGINS)
        left, right = figure.subfigures(1, 2, width_ratios=(1, 2.4))
        figure.suptitle(self.title)
        axes = left.subplots()
        axes.imshow(self.image.mean(axis=0), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        panels = right.subplots(4, -(-len(self.maps) // 2), squeeze=False)
        for each in panels.flat:
            each.set_axis_off()
        most = float(np.abs(self.filters).max()) or 1.0
        for place, (kernel, made) in enumerate(zip(self.filters, self.maps, strict=True)):
            row, column = divmod(place, panels.shape[1])
            panels[2 * row, column].imshow(kernel, cmap="PuOr_r", vmin=-most, vmax=most)
            panels[2 * row + 1, column].imshow(made, cmap="gray")

    def png(self) -> bytes:
        """The bare image, for those who have no matplotlib."""
        return png(self.image)


def _two_colours() -> Any:
    return import_optional("matplotlib.colors", extra="plot").ListedColormap((_AGAINST, _FOR))


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    """Stretch numbers over the greys from 0 to 255."""
    least, most = float(values.min()), float(values.max())
    return (values - least) * (255 / (most - least)) if most > least else np.zeros_like(values)


def _small(values: NDArray[Any], scale: int) -> NDArray[np.floating]:
    """Shrink numbers (H, W) to the means of blocks, twice as high as wide as characters are; a part of one is left."""
    height, width = (
        max(1, size // block) * block for size, block in zip(values.shape, (2 * scale, scale), strict=True)
    )
    missing = [(0, max(0, whole - size)) for whole, size in zip((height, width), values.shape, strict=True)]
    blocks = np.pad(values, missing, mode="edge")[:height, :width]
    means: NDArray[np.floating] = blocks.reshape(height // (2 * scale), 2 * scale, width // scale, scale).mean((1, 3))
    return means


def _shaded(values: NDArray[Any], scale: int) -> list[str]:
    """Draw greys (H, W) in shades; a character is that many numbers wide, and twice as high."""
    return [
        "".join(RAMP[round(float(value) * (len(RAMP) - 1) / 255)] for value in line) for line in _small(values, scale)
    ]


def _signed(kernel: NDArray[Any], signs: dict[int, str], room: int) -> list[str]:
    """Draw a filter by the signs of its weights, two characters each; of a larger one, of means of its weights."""
    wide = 2
    if wide * kernel.shape[1] > room:
        kernel, wide = _small(kernel, -(-kernel.shape[1] // room)), 1
    most = float(np.abs(kernel).max()) or 1.0
    return ["".join(signs[round(float(weight) / most)] * wide for weight in line) for line in kernel]


def _beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    """Put blocks of lines side by side, ending at one line."""
    height = max(map(len, blocks))
    columns = []
    for block in blocks:
        width = max(map(len, block))
        columns.append([" " * width] * (height - len(block)) + [line.ljust(width) for line in block])
    return [GAP.join(parts) for parts in zip(*columns, strict=True)]
