"""Where the time of a training step goes: layer by layer, direction by direction, and how much of it is arithmetic.

What is measured is ``fit`` itself. For a few passes over the samples the methods that it calls are wrapped by a
stopwatch (the steps of the plan, the gathering of samples, the loss, the penalty, the optimizer), and ``numpy.matmul``
by a recorder. The recorded products are then repeated alone, the very arrays in their very layout, one after another
as in the step: that time is the *floor* that no arrangement of the rest can go below, and

    share of the floor = time of the products alone / time of the step

One process and one BLAS thread are measured; what worker processes add is the same work side by side.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis._profile_report import Profile, ProfileRow
from handconv.engine.arena import FRESH
from handconv.engine.capture import NotingArray
from handconv.engine.lower import Step, layers_of
from handconv.layers import Layer
from handconv.losses import Loss
from handconv.optimizers import Adam, Optimizer
from handconv.parallel import blas_threads as blas
from handconv.sequential import Sequential
from handconv.training.callbacks import Callback
from handconv.training.loop import Run
from handconv.training.samples import Samples
from handconv.utils.validation import check_int

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
        ValueError: if there are fewer samples than one batch has.

    Example:
        >>> import handconv as hc
        >>> profile = profile_step(hc.reference_network(), np.zeros((64, 1, 28, 28)), np.arange(64) % 10, 32, passes=1)
        >>> profile.rows[1].name, profile.rows[1].direction, profile.rows[-1].name
        ('0 Conv2D + LeakyReLU + MaxPool2D', 'forward', 'rest')
    """
    stopwatch = _observe(model, x, y, batch_size, steps, passes)
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


class _Stopwatch(Callback):
    """Books the time of functions under labels, and remembers matrix products."""

    def __init__(self, steps: int) -> None:
        self.passes: list[tuple[float, Mapping[Label, float]]] = []
        self.products: list[Product] = []
        self.recording = contextlib.ExitStack()
        self._steps = steps
        self._spent: dict[Label, float] = defaultdict(float)
        self._at_work, self._since = _REST, 0.0
        self._recorded: list[Product] = []

    def timed(self, label: Label, layer: Layer, *, ends_step: bool = False) -> Wrapper:
        """Wrap a function so that its time is booked under a label, also where a recording repeats it.

        Any layer of the network tells what memory it works in, and so whether that is being recorded.
        """
        start, stop = partial(self._start, label), partial(self._stop, label, ends_step=ends_step)

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def measured(*args: Any, **kwargs: Any) -> Any:
                layer.workspace.call(start)
                result = function(*args, **kwargs)
                layer.workspace.call(stop)
                return result

            return measured

        return wrap

    def _start(self, label: Label) -> None:
        self._at_work, self._since = label, time.perf_counter()

    def _stop(self, label: Label, *, ends_step: bool) -> None:
        self._spent[label] += time.perf_counter() - self._since
        self._at_work = _REST
        if ends_step and self._recorded:
            self.products, self._recorded = self._recorded, []

    def recorded(self, matmul: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``numpy.matmul`` so that its operands are remembered, also where a recording repeats it."""

        def remembering(left: NDArray[Any], right: NDArray[Any], **options: Any) -> Any:
            out = matmul(left, right, **options)
            workspace = out.tape if isinstance(out, NotingArray) and out.tape else FRESH
            product = Product(self._at_work, *map(np.asarray, (left, right, out)))
            workspace.call(lambda: self._recorded.append(product))
            return out

        return remembering

    def on_epoch_end(self, run: Run, figures: Mapping[str, float]) -> None:
        """Close the books of a pass; the first one warms up and records."""
        self.recording.close()
        if figures["epoch"] > 1:
            spent = {label: seconds / self._steps for label, seconds in self._spent.items()}
            self.passes.append((figures["train_seconds"] / self._steps, spent))
        self._spent.clear()


def _observe(model: Sequential, x: ArrayLike, y: ArrayLike, batch_size: int, steps: int, passes: int) -> _Stopwatch:
    """Let ``fit`` run with a stopwatch in all that it calls."""
    if not isinstance(model, Sequential):
        raise TypeError(f"A profile is of a handconv.Sequential, got {model!r}.")
    check_int("batch_size", batch_size)
    samples, targets = np.asarray(x), np.asarray(y)
    if samples.ndim < 2 or samples.shape[:1] != targets.shape[:1]:
        raise ValueError(f"A profile needs samples (N, …) and as many labels, got {samples.shape}, {targets.shape}.")
    steps = min(steps, len(samples) // batch_size)
    if steps < 1:
        raise ValueError(f"A profile needs at least one batch of {batch_size} samples, got {len(samples)}.")
    samples, targets = samples[: steps * batch_size], targets[: steps * batch_size]
    if not model.built:
        model.build(samples.shape[1:])
    before, stopwatch = model.parameters.copy(), _Stopwatch(steps)
    loss, optimizer = model.default_loss(), Adam()
    with contextlib.ExitStack() as wrapped, stopwatch.recording as recording:
        for owner, name, label in _places(model, loss, optimizer):
            timed = stopwatch.timed(label, model.layers[0], ends_step=owner is optimizer)
            wrapped.enter_context(_replaced(owner, name, timed))
        recording.enter_context(_replaced(np, "matmul", stopwatch.recorded))
        model.fit(
            samples,
            targets,
            epochs=1 + passes,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=loss,
            callbacks=[stopwatch],
        )
    model.parameters[...] = before
    return stopwatch


def _places(model: Sequential, loss: Loss, optimizer: Optimizer) -> Iterator[tuple[Any, str, Label]]:
    """Name what a step of training calls: (owner, method, label)."""
    yield Samples, "take", ("gather", "")
    for step in model.plan:
        for direction in ("forward", "backward"):
            yield step, direction, (_title(model, step), direction)
    yield loss, "measure", ("loss", "forward")
    yield loss, "backward", ("loss", "backward")
    yield model, "penalty", ("penalty", "forward")
    yield model, "add_penalty_gradients", ("penalty", "backward")
    yield optimizer, "step", ("optimizer", "")


def _title(model: Sequential, step: Step) -> str:
    """A step by the name of its first layer and what it does: "0 Conv2D + LeakyReLU + MaxPool2D"."""
    parts = layers_of(step)
    first = next(name for name, layer in zip(model.names, model.layers, strict=True) if layer is parts[0])
    return f"{first} {' + '.join(type(part).__name__ for part in parts)}"


@contextlib.contextmanager
def _replaced(owner: Any, name: str, wrapper: Wrapper) -> Iterator[None]:
    """Put a wrapped function in the place of an attribute meanwhile."""
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
