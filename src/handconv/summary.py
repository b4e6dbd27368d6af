"""The table of a network: each layer with its output, its parameters and its work."""

import html
import math
import sys
from dataclasses import dataclass

from handconv.engine.arena import Arena
from handconv.engine.lower import lower
from handconv.engine.ops.base import Context
from handconv.engine.ops.python_op import PythonOp
from handconv.layers import Layer
from handconv.network import Network
from handconv.utils.live import columns
from handconv.utils.text_table import format_table, html_table, wrapped


@dataclass(frozen=True)
class SummaryRow:
    """One layer of a summary; numbers are its own, without the layers that it holds, for one sample."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    output_bytes: int


@dataclass(frozen=True)
class Summary:
    """The rows of a summary, its totals, and the ops that compute it; ``str`` draws the table.

    In a terminal that is too narrow for it, columns are left out.
    """

    input_shape: tuple[int, ...]
    rows: tuple[SummaryRow, ...]
    ops: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """All parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the forward pass of one sample."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def output_bytes(self) -> int:
        """Memory of the outputs of all layers for one sample."""
        return sum(row.output_bytes for row in self.rows)

    def _cells(self) -> list[tuple[str, ...]]:
        """The table: a head, the input, the layers, the totals."""
        return [
            ("name", "layer", "output shape", "parameters", "multiply-adds", "memory"),
            *(
                (
                    row.name,
                    row.layer,
                    _shape(row.output_shape),
                    f"{row.parameters:,}" if row.parameters else "",
                    f"{row.multiply_adds:,}" if row.multiply_adds else "",
                    _bytes(row.output_bytes),
                )
                for row in (SummaryRow("", "input", self.input_shape, 0, 0, 0), *self.rows)
            ),
            ("", "in all", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", _bytes(self.output_bytes)),
        ]

    @property
    def _runs_as(self) -> str:
        return "runs as: " + " -> ".join(self.ops)

    def __str__(self) -> str:
        room = columns(sys.stdout)
        first, *lines, last = format_table(self._cells(), range(3), room, spare=(5, 4))
        width = max(map(len, (first, *lines, last)))
        rule = "-" * (width if room is None else min(width, room))
        return wrapped("\n".join([first, rule, *lines, rule, last, "", self._runs_as]), room)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The table, in a notebook."""
        return html_table(self._cells(), left=range(3)) + f"<p>{html.escape(self._runs_as.replace('->', '→'))}</p>"


def summarize(network: Network) -> Summary:
    """Describe a built network."""
    rows = tuple(
        _row(path, each, network.dtype.itemsize)
        for name, layer in zip(network.names, network.layers, strict=True)
        for path, each in layer.tree(name)
    )
    context = Context(Arena(), network.dtype, lambda _: {}, fuse=network.fuse, engine=network.engine)
    ops = lower(network.layers, context)
    runs = tuple(f"{op!r} (own Python code)" if isinstance(op, PythonOp) else repr(op) for op in ops)
    return Summary(network.input_shape or (), rows, runs)


def _row(path: str, layer: Layer, itemsize: int) -> SummaryRow:
    """What a layer adds to those that it holds, which have rows of their own and are not written out in its."""
    within, text = layer.sublayers().values(), repr(layer)
    return SummaryRow(
        path,
        type(layer).__name__ if any(repr(each) in text for each in within) else text,
        layer.output_shape or (),
        sum(spec.size for spec in layer.specs if spec.trainable),
        layer.multiply_adds - sum(each.multiply_adds for each in within),
        math.prod(layer.output_shape or ()) * itemsize,
    )


def _shape(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def _bytes(count: int) -> str:
    if count >= 1 << 20:
        return f"{count / (1 << 20):.1f} MB"
    return f"{count / 1024:.1f} kB" if count >= 1024 else f"{count} B" if count else ""
