"""The gradient check: does each backward pass say what the forward pass does?

    analytic: what ``backward`` gives          numeric: the slope of sum(projection · outputs) by central differences

in float64, for one entry after the other of a layer's parameters and inputs. Differences are taken of each output
before they are summed up, so that outputs which an entry does not reach add no rounding error.

    relative error = |a - n| / max(|a|, |n|, floor)     floor = max(noise / tolerance, 1e-3 · the array's largest |a|)

The floor stands for what differences cannot resolve: values of size y carry rounding errors of about 1e-16·y, which the
division by the step h makes 1e-16·y / h (``noise``), however small the gradient is. An entry more than a thousand times
smaller than the largest of its array is measured as if it were a thousand times smaller: at a tolerance of 1e-7, an
error of up to 1e-10 of the largest entry passes.

A slope exists only away from kinks (ReLU at 0) and ties (two greatest values in a pooling window). Steps from 100·eps
down to eps are tried; where none gives a slope that is known well enough (see ``differences``), the entry is tried
again at test points moved by a little noise, and is counted as skipped if those lie at kinks too. The gradient at ties
of the given inputs is checked by moving many inputs at once: tied values that rise together give the maximum a slope.
Arrays of ones, the initial scales of normalisations, are moved before the check: a forgotten factor 1 would not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis.gradcheck.differences import PLACES, Slope, relative_error, slope, step
from handconv.analysis.gradcheck.report import GradientEntry, GradientReport, GradientRow
from handconv.analysis.gradcheck.subjects import (
    Array,
    LayerSubject,
    LossSubject,
    NetworkSubject,
    Subject,
    as_float64,
    copied_network,
    program_gradients,
)
from handconv.layers import Layer
from handconv.losses import Loss
from handconv.losses.base import check_loss
from handconv.objective import Objective
from handconv.parallel import blas_threads as blas
from handconv.rng import settled_seed
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.utils.validation import FRACTION, check_int, check_number, unmasked

#: What may be spent on one array, in numbers read and written for each entry, and what an evaluation costs beside them.
_BUDGET, _OVERHEAD = 3_000_000, 2_000

_NEGLIGIBLE = 1e-3
_MOVE, _MOVES = 0.1, 3
#: What two orders of summation may differ by in float64, of the largest gradient of an array.
_PROGRAM = 1e-10


def gradcheck(
    model: Sequential | Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    loss: Loss | None = None,
    eps: float = 1e-5,
    tolerance: float = 1e-7,
    samples: int | None = None,
    seed: int = 0,
) -> GradientReport:
    """Prove backward passes against central differences in float64.

    Each layer is checked on its own, in training, with the inputs that arrive at it and a random projection of its
    outputs; then the loss, and the whole network with loss and penalties. Random layers draw the same numbers each
    time. Everything is done on a float64 copy; the model stays as it is.

    Maths:
        analytic: what ``backward`` gives        numeric: the slope of sum(projection · outputs) by central differences
        relative error = |analytic - numeric| / max(|analytic|, |numeric|, floor)
        floor: what differences in float64 cannot resolve, see ``handconv.analysis.gradcheck.check``
    Args:
        model: a network, or a single layer; also of a class of your own.
        x: a few inputs (N, …); two or three samples are enough.
        y: their labels. Without them the whole network is checked without a loss, by a projection of its outputs.
        loss: the loss; if not given, the one that ``fit`` would take.
        eps: the smallest step.
        tolerance: the largest relative error that passes.
        samples: how many entries of each array to check at most, drawn at random. If not given, all of small arrays,
            and of large ones as many as keep the check of the reference network at some seconds.
        seed: of the projection, the samples, dropout, and the move away from kinks.

    Returns:
        The report: a row for each array, ``ok``, and a table as ``str``.

    Raises:
        TypeError: if it is neither a network nor a layer.
        ValueError: if arguments or arrays do not fit, or outputs are not finite or change from call to call.

    Example:
        >>> import numpy as np, handconv as hc
        >>> report = hc.gradcheck(hc.Dense(2), np.ones((3, 4)))
        >>> report.ok, [(row.what, row.checked) for row in report.rows]
        (True, [('inputs', 12), ('weights', 8), ('biases', 2)])
        >>> class Cube(hc.Layer):
        ...     def forward(self, inputs, training=False):
        ...         self.inputs = inputs
        ...         return inputs**3
        ...     def backward(self, dvalues):
        ...         return 2 * self.inputs**2 * dvalues
        >>> report = hc.gradcheck(Cube(), np.array([[1.0, 2.0]]))
        >>> report.ok, report.worst.layer, report.worst.what, round(report.worst.error, 3)
        (False, 'Cube', 'inputs', 0.333)
    """
    if not isinstance(model, Sequential | Layer):
        raise TypeError(f"gradcheck expects a network or a layer, got {model!r}.")
    for name, value in (("eps", eps), ("tolerance", tolerance)):
        check_number(name, value, *FRACTION)
    if samples is not None:
        check_int("samples", samples)
    seed = settled_seed(seed)
    if loss is not None:
        check_loss(loss)
    if isinstance(model, Layer):
        if y is not None or loss is not None:
            raise ValueError("A layer is checked without labels and loss: leave y and loss out.")
        subjects = _of_layer(model, x, seed)
    else:
        subjects = _of_model(model, x, y, loss, seed)
    check = _Check(eps, tolerance, samples, seed)
    rows: list[GradientRow] = []
    with blas.one_thread():
        for subject in subjects:
            rows += check.rows(subject)
            if isinstance(subject, NetworkSubject) and subject.network.engine:
                rows += _of_program(subject)
    return GradientReport(tuple(rows))


def _of_layer(layer: Layer, x: ArrayLike, seed: int) -> Iterator[Subject]:
    """A layer alone."""
    inputs = unmasked("x", x)
    if inputs.ndim < 1 or not inputs.size or inputs.dtype.kind not in "biuf":
        raise ValueError(f"x must be a batch of numbers (N, …), not empty; got {inputs.dtype} of shape {inputs.shape}.")
    label = type(layer).__name__ + ("" if layer.name is None else f" {layer.name!r}")
    yield LayerSubject(label, layer, as_float64(inputs), seed)


def _of_model(model: Sequential, x: ArrayLike, y: ArrayLike | None, loss: Loss | None, seed: int) -> Iterator[Subject]:
    """Each layer with what arrives at it, the loss, the whole."""
    if loss is not None and y is None:
        raise ValueError("A loss needs labels: give y too.")
    received = checked_inputs(x, model.input_shape, np.float64)
    inputs = as_float64(received) / (255 if received.dtype == np.uint8 else 1)
    network = copied_network(model, inputs)
    judged: tuple[Objective, NDArray[Any]] | None = None
    if y is not None:
        chosen = model.default_loss() if loss is None else loss
        judged = (
            Objective(network, chosen),
            chosen.check_targets(unmasked("y", y), (len(inputs), *network.output_shape)),
        )
    generator = np.random.default_rng(seed)
    for _, layer in network.tree():
        layer.generator = generator
    arrived: NDArray[Any] = inputs
    scored = len(network.layers) if judged is None else len(judged[0].layers)
    for place, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
        yield LayerSubject(f"{name} {type(layer).__name__}", layer, as_float64(arrived), seed)
        if place < scored:
            arrived = layer.forward(arrived.copy(), training=True)
    if judged is not None:
        yield LossSubject(judged[0].page, judged[1], as_float64(arrived))
    yield NetworkSubject(network, as_float64(inputs), seed, judged)


def _of_program(subject: NetworkSubject) -> Iterator[GradientRow]:
    """Compare the gradients of the engine's program with those of the pages, number by number."""
    pages, program = subject.gradients(subject.projection), program_gradients(subject)
    sizes = {name: float(np.abs(page).max(initial=0, where=np.isfinite(page))) for name, page in pages.items()}
    negligible = _NEGLIGIBLE * max(sizes.values())
    for name, page in pages.items():
        errors = np.asarray(np.abs(program[name] - page) / (max(sizes[name], negligible) or 1))
        errors[~np.isfinite(errors)] = np.inf
        place = np.unravel_index(int(errors.argmax()), page.shape)
        index = tuple(map(int, place))
        worst = GradientEntry(index, float(program[name][index]), float(page[index]))
        yield GradientRow("program", name, page.size, page.size, 0, float(errors[index]), worst, _PROGRAM)


class _Findings:
    """What was compared in one array."""

    def __init__(self, analytic: Array, chosen: NDArray[np.intp]) -> None:
        self.floor = _NEGLIGIBLE * float(np.abs(analytic).max(initial=0, where=np.isfinite(analytic)))
        self.chosen, self.checked, self.error = chosen, 0, -1.0
        self.worst: GradientEntry | None = None

    def add(self, entry: GradientEntry, floor: float) -> None:
        """Count an entry, and keep it if it is the worst so far."""
        self.checked += 1
        self.keep(entry, relative_error(entry.analytic, entry.numeric, floor))

    def keep(self, entry: GradientEntry, error: float) -> None:
        """Keep an entry if it is the worst so far."""
        if error > self.error:
            self.error, self.worst = error, entry


class _Check:
    """The check of subjects, one after the other."""

    def __init__(self, eps: float, tolerance: float, samples: int | None, seed: int) -> None:
        self._eps, self._tolerance, self._seed = eps, tolerance, seed
        self._samples = samples

    def rows(self, subject: Subject) -> Iterator[GradientRow]:
        """Check all arrays of a subject."""
        random = np.random.default_rng(self._seed)
        findings: dict[str, _Findings] = {}
        pending: dict[str, NDArray[np.intp]] = {}
        gradients = subject.gradients(subject.projection)
        most = _BUDGET // (subject.numbers + _OVERHEAD) + 50 if self._samples is None else self._samples
        for what, array in subject.arrays.items():
            count = min(array.size, most)
            chosen = np.sort(random.choice(array.size, count, replace=False)) if array.size else np.empty(0, np.intp)
            findings[what] = _Findings(gradients[what], chosen)
            pending[what] = self._compare(subject, what, chosen, gradients[what], findings[what])
        if isinstance(subject, LayerSubject) and len(pending["inputs"]):
            self._compare_together(subject, findings["inputs"])
        for _ in range(_MOVES):
            if not any(map(len, pending.values())):
                break
            subject.move(random, _MOVE)
            gradients = subject.gradients(subject.projection)
            for what, indices in pending.items():
                pending[what] = self._compare(subject, what, indices, gradients[what], findings[what])
        for what, found in findings.items():
            yield GradientRow(
                layer=subject.label,
                what=what,
                size=subject.arrays[what].size,
                checked=found.checked,
                skipped=len(pending[what]),
                error=max(found.error, 0.0),
                worst=found.worst,
                tolerance=self._tolerance,
            )

    def _compare(
        self, subject: Subject, what: str, indices: NDArray[np.intp], analytic: Array, found: _Findings
    ) -> NDArray[np.intp]:
        """Compare entries of an array with their slopes; gives those that lie at a kink."""
        base, kinked = np.array(subject.values(what)), []
        for flat in indices:
            index = tuple(map(int, np.unravel_index(flat, analytic.shape)))
            known = self._slope(subject, what, index, base, found.floor)
            if known is None:
                kinked.append(flat)
            else:
                entry = GradientEntry(index, float(analytic[index]), float(known.value))
                found.add(entry, max(found.floor, float(known.noise) / self._tolerance))
        return np.array(kinked, np.intp)

    def _slope(self, subject: Subject, what: str, index: tuple[int, ...], base: Array, floor: float) -> Slope | None:
        """The slope by one entry, with the largest step at which it is known well enough; None at a kink."""
        array, projection = subject.arrays[what], subject.projection
        middle = array[index]
        for larger in subject.steps:
            h, differences, size = step(larger * self._eps, float(middle)), [], 0.0
            if not (subject.takes(middle + PLACES[0] * h) and subject.takes(middle + PLACES[-1] * h)):
                continue
            for place in PLACES:
                array[index] = middle + place * h
                difference = subject.values(what) - base
                differences.append(float(np.sum(projection * difference)))
                size = size or float(np.linalg.norm((projection * base)[difference != 0]))
            array[index] = middle
            size = size or float(np.linalg.norm(projection * base))  # where nothing moves, all outputs may be rounded
            result = slope(differences, size, h)
            if result.trusted(self._tolerance, floor):
                return result
        return None

    def _compare_together(self, subject: Subject, found: _Findings) -> None:
        """Move all inputs at once; if that goes wrong, find the input with which it begins to."""
        size = subject.arrays["inputs"].size
        right, wrong = 0, size
        if self._together(subject, size) is None:
            return
        while wrong - right > 1:
            middle = (right + wrong) // 2
            right, wrong = (middle, wrong) if self._together(subject, middle) is None else (right, middle)
        failure = self._together(subject, wrong)
        assert failure is not None
        found.keep(*failure)

    def _together(self, subject: Subject, count: int) -> tuple[GradientEntry, float] | None:
        """Move the first ``count`` inputs at once, watching the outputs that have a slope along this way.

        Returns:
            None if the gradient is right; else the last one of these inputs with the gradient that would make it right,
            and the relative error.
        """
        array = subject.arrays["inputs"]
        start, base = array.copy(), np.array(subject.values("inputs"))
        way = np.zeros(array.shape)
        way.reshape(-1)[:count] = 1
        h, differences = step(self._eps, float(np.abs(start).max())), []
        for place in PLACES:
            array[...] = start + place * h * way
            differences.append(subject.values("inputs") - base)
        array[...] = start
        slopes = slope(differences, np.abs(base), h)
        projection = subject.projection * slopes.trusted(self._tolerance)
        gradient = subject.gradients(projection)["inputs"]
        analytic, numeric = float(np.sum(gradient * way)), float(np.sum(projection * slopes.value))
        noise = float(np.linalg.norm(projection * slopes.noise))
        error = relative_error(
            analytic, numeric, max(noise / self._tolerance, _NEGLIGIBLE * float(np.abs(gradient).max()))
        )
        if error <= self._tolerance:
            return None
        index = tuple(map(int, np.unravel_index(count - 1, array.shape)))
        return GradientEntry(index, float(gradient[index]), float(gradient[index]) - (analytic - numeric)), error
