"""The path of one signal through a network: the unit of each layer that the narration of a step speaks of.

Backwards, a layer's unit is followed to the input that weighs most in it: the greatest product w · x, the cell that
won the pooling. Forwards, an input is followed to the output in which it weighs most.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.geometry import Axis, pad_images, windows_of
from handconv.layers import (
    ELU,
    GELU,
    AveragePool2D,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    ZeroPad2D,
)
from handconv.utils.words import counted

Index = tuple[int, ...]

#: The activations that compute number by number.
ACTIVATIONS: tuple[type[Layer], ...] = (LeakyReLU, ReLU, ELU, GELU, SiLU, Sigmoid, Softplus, Tanh)


@dataclass(eq=False)
class Passage:
    """What went through one layer, forward and backward, and which unit is looked at.

    Args:
        place: of the layer in the network.
        name: of the layer.
        layer: as it stands after its forward pass.
        x: inputs (N, …).
        y: outputs (N, …).
        sample: the row of the batch that is looked at.
        slope: of elementwise layers and dropout dy/dx of each number: the layer's backward pass of ones.
        source: the input that is looked at.
        unit: the output that is looked at.
        dy: the gradient with respect to the outputs.
        dx: the gradient with respect to the inputs.
    """

    place: int
    name: str
    layer: Any
    x: FloatArray
    y: FloatArray
    sample: int
    slope: FloatArray | None = None
    source: Index = ()
    unit: Index = ()
    dy: FloatArray = field(init=False)
    dx: FloatArray = field(init=False)

    @property
    def title(self) -> str:
        """Place, name and kind of the layer."""
        name = "" if self.name == str(self.place) else f" {self.name}"
        return f"layer {self.place}{name}, {self.kind}"

    @property
    def kind(self) -> str:
        """The layer as it is constructed; of one that is made of others how many they are."""
        layer: Layer = self.layer
        return f"Residual of {counted(len(layer.layers), 'layer')}" if isinstance(layer, Residual) else repr(layer)

    @property
    def input(self) -> FloatArray:
        """The inputs of the sample."""
        sample: FloatArray = self.x[self.sample]
        return sample

    @property
    def output(self) -> FloatArray:
        """The outputs of the sample."""
        sample: FloatArray = self.y[self.sample]
        return sample

    def came_from(self, unit: Index) -> Index:
        """The input that weighs most in an output."""
        layer: Layer = self.layer
        if isinstance(layer, Conv2D):
            products = self.products(unit)
            weight = np.where(self._inside(unit), np.abs(products), -1)
            channel, u, v = np.unravel_index(int(weight.argmax()), products.shape)
            return (self.first_channel(unit[0]) + int(channel), *self.cell(unit[1:], (int(u), int(v))))
        if isinstance(layer, MaxPool2D | AveragePool2D):
            window, cells = self.window(unit)
            at = np.where(cells, window if isinstance(layer, MaxPool2D) else np.abs(window), -np.inf).argmax()
            u, v = np.unravel_index(int(at), window.shape)
            return (unit[0], *self.cell(unit[1:], (int(u), int(v))))
        if isinstance(layer, GlobalAveragePool2D):
            return (unit[0], *_greatest(self.input[unit[0]]))
        if isinstance(layer, Dense):
            return _greatest(self.input * layer.weights[:, unit[0]])
        if isinstance(layer, Reshape):
            return _moved(unit, self.output.shape, self.input.shape)
        if isinstance(layer, ZeroPad2D):
            top, _, left, _ = layer.padding
            cell = (unit[0], unit[1] - top, unit[2] - left)
            is_inside = all(0 <= place < size for place, size in zip(cell, self.input.shape, strict=True))
            return cell if is_inside else _greatest(self.input)
        return unit if self.input.shape == self.output.shape else _greatest(self.input)

    def goes_to(self, source: Index) -> Index:
        """The output in which an input weighs most."""
        layer: Layer = self.layer
        if isinstance(layer, Conv2D):
            candidates = [
                (abs(self._share(f, source, uv)), (f, *place))
                for f in self.filters_of(source[0])
                for uv, place in self.windows_with(source[1:])
            ]
            return max(candidates)[1] if candidates else _greatest(self.output)
        if isinstance(layer, MaxPool2D | AveragePool2D):
            units = [(source[0], *place) for _, place in self.windows_with(source[1:])]
            won = [unit for unit in units if self.came_from(unit) == source]
            return [*won, *units, _greatest(self.output)][0]
        if isinstance(layer, GlobalAveragePool2D):
            return source[:1]
        if isinstance(layer, Dense):
            return _greatest(layer.weights[source[0]])
        if isinstance(layer, Reshape):
            return _moved(source, self.input.shape, self.output.shape)
        if isinstance(layer, ZeroPad2D):
            return (source[0], source[1] + layer.padding[0], source[2] + layer.padding[2])
        return source if self.input.shape == self.output.shape else _greatest(self.output)

    def cell(self, place: Index, offset: Index) -> Index:
        """Where the cell (u, v) of the window at (i, j) lies in the image."""
        axes: tuple[Axis, Axis] = self.layer.geometry
        return tuple(
            o * axis.stride + u * axis.dilation - axis.before for o, u, axis in zip(place, offset, axes, strict=True)
        )

    def offset(self, place: Index, cell: Index) -> Index:
        """Which cell (u, v) of the window at (i, j) a cell of the image is."""
        axes: tuple[Axis, Axis] = self.layer.geometry
        return tuple(
            (h + axis.before - o * axis.stride) // axis.dilation for o, h, axis in zip(place, cell, axes, strict=True)
        )

    def windows_with(self, cell: Index) -> list[tuple[Index, Index]]:
        """For each window that holds a cell of the image: which cell (u, v) of it that is, and its place (i, j)."""
        axes: tuple[Axis, Axis] = self.layer.geometry
        found: list[tuple[Index, Index]] = []
        for u, v in np.ndindex(axes[0].window, axes[1].window):
            ways = [
                divmod(h + axis.before - o * axis.dilation, axis.stride)
                for h, o, axis in zip(cell, (u, v), axes, strict=True)
            ]
            if all(rest == 0 and 0 <= out < axis.outputs for (out, rest), axis in zip(ways, axes, strict=True)):
                found.append(((u, v), (ways[0][0], ways[1][0])))
        return found

    def windows(self) -> NDArray[Any]:
        """All windows of the inputs (N, C, KH, KW, OH, OW); beyond the image is 0, for a maximum -inf."""
        fill = -np.inf if isinstance(self.layer, MaxPool2D) else 0.0
        return windows_of(pad_images(self.x, self.layer.geometry, fill), self.layer.geometry)

    def window(self, unit: Index) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The window of one channel that a pooled unit looks at, and which of its cells lie on the image."""
        c, i, j = unit
        return self.windows()[self.sample, c, :, :, i, j], self._inside(unit)

    def products(self, unit: Index) -> FloatArray:
        """All products w · x (C, KH, KW) in one unit of a convolution."""
        f, i, j = unit
        first, count = self.first_channel(f), self.layer.weights.shape[1]
        products: FloatArray = self.layer.weights[f] * self.windows()[self.sample, first : first + count, :, :, i, j]
        return products

    def first_channel(self, f: int) -> int:
        """The first channel of the group that a filter belongs to."""
        layer: Conv2D = self.layer
        channels: int = layer.weights.shape[1]
        return f // (layer.filters // layer.groups) * channels

    def filters_of(self, channel: int) -> range:
        """The filters that look at a channel."""
        layer: Conv2D = self.layer
        each = layer.filters // layer.groups
        group = channel // layer.weights.shape[1]
        return range(group * each, (group + 1) * each)

    def _share(self, f: int, source: Index, offset: Index) -> float:
        """The product w · x of an input in the window in which it is the cell (u, v)."""
        return float(self.layer.weights[f, source[0] - self.first_channel(f), *offset] * self.input[source])

    def _inside(self, unit: Index) -> NDArray[np.bool_]:
        rows, columns = self.layer.geometry
        inside = np.zeros((rows.window, columns.window), bool)
        for u, v in np.ndindex(*inside.shape):
            h, w = self.cell(unit[-2:], (u, v))
            inside[u, v] = 0 <= h < rows.size and 0 <= w < columns.size
        return inside


def find_path(passages: list[Passage], start: int, unit: Index) -> None:
    """Choose a unit and a source for every layer, from one unit on, in both directions.

    Args:
        passages: of all layers.
        start: the layer whose unit is given.
        unit: it.
    """
    passages[start].unit, below = unit, unit
    for passage in reversed(passages[: start + 1]):
        passage.unit = below
        below = passage.source = passage.came_from(passage.unit)
    above = unit
    for passage in passages[start + 1 :]:
        passage.source = above
        above = passage.unit = passage.goes_to(above)
        if isinstance(passage.layer, MaxPool2D | AveragePool2D | Conv2D) and above not in [
            (above[0], *place) for _, place in passage.windows_with(passage.source[1:])
        ]:
            passage.source = passage.came_from(above)  # rows that fill no window are dropped


def _greatest(values: NDArray[Any]) -> Index:
    """Where the number lies that is farthest from zero."""
    return tuple(int(place) for place in np.unravel_index(int(np.abs(values).argmax()), values.shape))


def _moved(index: Index, old: tuple[int, ...], new: tuple[int, ...]) -> Index:
    """The index of the same number in another shape."""
    return tuple(int(place) for place in np.unravel_index(int(np.ravel_multi_index(index, old)), new))
