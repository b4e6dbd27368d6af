"""Where the time of a training step goes: layer by layer, direction by direction, and how much of it is arithmetic.

What is measured are the steps of ``fit``. For a few passes over the samples the methods that they call are wrapped by a
stopwatch (the ops, the gathering of samples, the loss, the penalty, the optimizer), and ``numpy.matmul`` by a recorder.
The recorded products are then repeated alone, the very arrays in their very layout, one after another as in the step:
that time is the *floor* that no arrangement of the rest can go below, and

    share of the floor = time of the products alone / time of the step

One process and one BLAS thread are measured; what worker processes add is the same work side by side.
"""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.engine.arena import Scope
from handconv.engine.capture import untracked
from handconv.engine.ops.base import Op
from handconv.optimizers import Adam, Optimizer
from handconv.parallel import blas_threads as blas
from handconv.parallel.communicator import OneProcess
from handconv.samples import GatherOp, Samples, checked_inputs
from handconv.sequential import Sequential
from handconv.training.state import Task
from handconv.training.step import ShardStep, SharedState, arithmetic
from handconv.utils.live import columns
from handconv.utils.text_table import format_table, html_table, wrapped
from handconv.utils.validation import check_int, unmasked
from handconv.utils.words import counted

Label = tuple[str, str]  # what is at work, and in which direction
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_REST: Label = ("rest", "")


@dataclass(frozen=True, eq=False)
class Product:
    """One call of ``numpy.matmul`` in a step: a stack of matrices times another, as they lie in memory."""

    label: Label
    left: NDArray[Any]
    right: NDArray[Any]
    out: NDArray[Any]

    @property
    def multiply_adds(self) -> int:
        """Multiplications, each with its addition."""
        return int(self.out.size) * int(self.left.shape[-1])

    @property
    def shape(self) -> str:
        """How many products of which sizes: "5x2x2 (16x72)·(72x320)"."""
        stack = "x".join(map(str, self.out.shape[:-2]))
        (rows, depth), columns = self.left.shape[-2:], self.out.shape[-1]
        return f"{stack} ({rows}x{depth})·({depth}x{columns})".lstrip()

    def seconds(self) -> float:
        """Compute it once more."""
        start = time.perf_counter()
        np.matmul(self.left, self.right, out=self.out)
        return time.perf_counter() - start


@dataclass(frozen=True)
class ProfileRow:
    """One line of a profile.

    Attributes:
        name: of the layer, or of what else a step does.
        direction: "forward" or "backward", if it has one.
        seconds: the time a step.
        floor: the time that its matrix products need alone.
        multiply_adds: how many of them these products are.
    """

    name: str
    direction: str
    seconds: float
    floor: float
    multiply_adds: int


_HEAD = ("step", "direction", "ms", "share", "GEMM alone, ms", "GFLOP/s")
_LEFT = range(2)


@dataclass(frozen=True, repr=False)
class Profile:
    """The time of a training step; ``str`` draws the table.

    Attributes:
        batch_size: samples in the step.
        seconds: the time of the step.
        rows: where it went, the last row what is left.
    """

    batch_size: int
    seconds: float
    rows: tuple[ProfileRow, ...]

    @property
    def floor(self) -> float:
        """Seconds of all matrix products of a step, alone."""
        return sum(row.floor for row in self.rows)

    @property
    def share(self) -> float:
        """The share of the step's time that its matrix products would need alone."""
        return self.floor / self.seconds

    def _table(self) -> list[tuple[str, ...]]:
        whole = ProfileRow("in all", "", self.seconds, self.floor, sum(row.multiply_adds for row in self.rows))
        return [_HEAD, *(_cells(row, self.seconds) for row in (*self.rows, whole))]

    @property
    def conclusion(self) -> str:
        """The time in a sentence."""
        return (
            f"one process, batches of {self.batch_size}: {1e6 * self.seconds / self.batch_size:.1f} microseconds "
            f"a sample, {100 * self.share:.0f} % of them the arithmetic floor"
        )

    def __str__(self) -> str:
        room = columns(sys.stdout)
        text = format_table(self._table(), _LEFT, room, spare=(5, 4))
        rule = "-" * max(map(len, text))
        return wrapped("\n".join([text[0], rule, *text[1:-1], rule, text[-1], "", self.conclusion]), room)

    def __repr__(self) -> str:
        return f"<profile of a step in {counted(len(self.rows), 'part')}; {self.conclusion}>"

    def _repr_html_(self) -> str:
        """The table, in a notebook."""
        return html_table(self._table(), _LEFT) + f"<p>{html.escape(self.conclusion)}</p>"


def _cells(row: ProfileRow, total: float) -> tuple[str, ...]:
    floor = (f"{1e3 * row.floor:.3f}", f"{2e-9 * row.multiply_adds / row.floor:.0f}") if row.floor else ("", "")
    return row.name, row.direction, f"{1e3 * row.seconds:.3f}", f"{100 * row.seconds / total:.0f} %", *floor


def profile_step(
    model: Sequential, x: ArrayLike, y: ArrayLike, batch_size: int = 128, *, steps: int = 40, passes: int = 3
) -> Profile:
    """Measure a training step of a model; its parameters are left as they were.

    Args:
        model: the model.
        x: inputs (N, …), at least one batch.
        y: targets, as for ``fit``.
        batch_size: samples to a step.
        steps: how many steps a pass has, at most.
        passes: how many passes are measured, after one that is not; the quickest counts.

    Raises:
        ValueError: if there are fewer samples than one batch has, or a number is out of range.

    Example:
        >>> import handconv as hc
        >>> profile = profile_step(hc.zoo.reference(), np.zeros((64, 1, 28, 28)), np.arange(64) % 10, 32, passes=1)
        >>> profile.rows[1].name, profile.rows[1].direction, profile.rows[-1].name
        ('0 Conv2D + LeakyReLU + MaxPool2D', 'forward', 'rest')
    """
    stopwatch = _observe(model, x, y, batch_size, steps, check_int("passes", passes))
    total, spent = min(stopwatch.passes, key=lambda measured: measured[0])
    floor: dict[Label, float] = defaultdict(float)
    work: dict[Label, int] = defaultdict(int)
    for product, seconds in zip(stopwatch.products, _alone(stopwatch.products, 2 + passes), strict=True):
        floor[product.label] += seconds
        work[product.label] += product.multiply_adds
    booked = {**spent, _REST: total - sum(spent.values())}
    rows = tuple(ProfileRow(*label, booked[label], floor[label], work[label]) for label in booked)
    return Profile(batch_size, total, rows)


def step_products(model: Sequential, x: ArrayLike, y: ArrayLike, batch_size: int = 128) -> list[Product]:
    """The matrix products of one training step, in their order, ready to be computed again."""
    return _observe(model, x, y, batch_size, steps=1, passes=0).products


class _Stopwatch:
    """Books the time of functions under labels, and remembers matrix products."""

    def __init__(self, memory: Scope) -> None:
        self.products: list[Product] = []
        self.spent: dict[Label, float] = defaultdict(float)
        self._memory = memory
        self._at_work, self._since = _REST, 0.0
        self._recorded: list[Product] = []

    def timed(self, label: Label, *, ends_step: bool = False) -> Wrapper:
        """Wrap a function so that its time is booked under a label, also where captured calls are replayed."""
        start, stop = partial(self._start, label), partial(self._stop, label, ends_step=ends_step)

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def measured(*args: Any, **kwargs: Any) -> Any:
                self._memory.host_call(start)
                result = function(*args, **kwargs)
                self._memory.host_call(stop)
                return result

            return measured

        return wrap

    def _start(self, label: Label) -> None:
        self._at_work, self._since = label, time.perf_counter()

    def _stop(self, label: Label, *, ends_step: bool) -> None:
        self.spent[label] += time.perf_counter() - self._since
        self._at_work = _REST
        if ends_step and self._recorded:
            self.products, self._recorded = self._recorded, []

    def recorded(self, matmul: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``numpy.matmul`` so that its operands are remembered, also where captured calls are replayed."""

        def remembering(left: NDArray[Any], right: NDArray[Any], **options: Any) -> Any:
            out = matmul(left, right, **options)
            product = Product(self._at_work, *map(untracked, (left, right, out)))
            self._memory.host_call(lambda: self._recorded.append(product))
            return out

        return remembering


class _Observed(NamedTuple):
    """What was measured: of each pass its time a step and where that went, and the products of a step."""

    passes: list[tuple[float, dict[Label, float]]]
    products: list[Product]


def _observe(model: Sequential, x: ArrayLike, y: ArrayLike, batch_size: int, steps: int, passes: int) -> _Observed:
    """Do the steps of ``fit`` with a stopwatch in all that they call."""
    if not isinstance(model, Sequential):
        raise TypeError(f"A profile is of a handconv.Sequential, got {model!r}.")
    check_int("batch_size", batch_size)
    check_int("steps", steps)
    samples, targets = checked_inputs(x, model.input_shape, model.dtype), unmasked("y", y)
    if samples.shape[:1] != targets.shape[:1]:
        raise ValueError(f"A profile needs samples (N, …) and as many labels, got {samples.shape}, {targets.shape}.")
    steps = min(steps, len(samples) // batch_size)
    if steps < 1:
        raise ValueError(f"A profile needs at least one batch of {counted(batch_size, 'sample')}, got {len(samples)}.")
    samples, targets = samples[: steps * batch_size], targets[: steps * batch_size]
    with model.in_training(), arithmetic(), contextlib.ExitStack() as wrapped:
        model.ensure_built(samples.shape[1:])
        loss, optimizer = model.default_loss(), Adam()
        targets = loss.check_targets(targets, (len(targets), *model.output_shape))
        optimizer.build(model.parameters, model.decayed())
        before = model.parameters.copy(), model.gradients.copy(), model.buffers.copy()
        wrapped.callback(_put_back, model, *before)
        task = Task(model, loss, optimizer, Samples(samples, targets), 1 + passes, batch_size, shuffle=True)
        step = ShardStep(task, SharedState.of_one_process(task), OneProcess())
        stopwatch = _Stopwatch(step.program.memory)
        for owner, name, label in _places(model, step, optimizer):
            wrapped.enter_context(_replaced(owner, name, stopwatch.timed(label, ends_step=owner is optimizer)))
        measured = []
        with _replaced(np, "matmul", stopwatch.recorded):
            for _ in step.epoch(0):  # captures, and warms up
                pass
        for epoch in range(1, 1 + passes):
            stopwatch.spent.clear()
            start = time.perf_counter()
            for _ in step.epoch(epoch):
                pass
            seconds = (time.perf_counter() - start) / steps
            measured.append((seconds, {label: spent / steps for label, spent in stopwatch.spent.items()}))
    return _Observed(measured, stopwatch.products)


def _put_back(model: Sequential, parameters: FloatArray, gradients: FloatArray, buffers: FloatArray) -> None:
    """Undo what the steps have done to a model."""
    model.parameters, model.gradients, model.buffers = parameters, gradients, buffers


def _places(model: Sequential, step: ShardStep, optimizer: Optimizer) -> Iterator[tuple[Any, str, Label]]:
    """Name what a step of training calls: (owner, method, label)."""
    yield GatherOp, "forward", ("gather", "")
    for op in step.program.ops:
        for direction in ("forward", "backward"):
            yield op, direction, (_title(model, op), direction)
    yield step.loss, "forward", ("loss", "forward")
    yield step.loss, "backward", ("loss", "backward")
    yield model, "penalty", ("penalty", "forward")
    yield model, "add_penalty_gradients", ("penalty", "backward")
    yield optimizer, "step", ("optimizer", "")


def _title(model: Sequential, op: Op) -> str:
    """An op by the name of its first layer and what it does: "0 Conv2D + LeakyReLU + MaxPool2D"."""
    first = next(name for name, layer in zip(model.names, model.layers, strict=True) if layer is op.layers[0])
    return f"{first} {' + '.join(type(layer).__name__ for layer in op.layers)}"


@contextlib.contextmanager
def _replaced(owner: Any, name: str, wrapper: Wrapper) -> Iterator[None]:
    """Within ``with``, replace an attribute by a wrapped function."""
    own = vars(owner).get(name)
    setattr(owner, name, wrapper(getattr(owner, name) if own is None else own))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _alone(products: list[Product], passes: int) -> list[float]:
    """Compute the products of a step alone, one after another; the seconds of each in the quickest pass."""
    with blas.one_thread():
        return min(([product.seconds() for product in products] for _ in range(passes)), key=sum)
