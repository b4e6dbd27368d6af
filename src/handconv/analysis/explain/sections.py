"""One training step, narrated: forward, loss, backward, update, with the numbers of one unit of each layer.

The step is taken by hand on a copy of the model: the pages of its layers, its loss, and the optimizer's own step. The
narration reads what they computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis.explain.explanation import Explanation, Index, Matrices, Section, Table, plane
from handconv.analysis.explain.narration import narrator
from handconv.analysis.explain.narration.loss import loss_section
from handconv.analysis.explain.narration.telling import Parts, at, line
from handconv.analysis.explain.narration.update import update_section
from handconv.analysis.explain.path import Passage, find_path
from handconv.analysis.explain.step import Step
from handconv.arrays import FloatArray
from handconv.layers import Conv2D, Dense, Flatten, LeakyReLU, MaxPool2D, Softmax
from handconv.losses import Loss
from handconv.optimizers import Adam, Optimizer
from handconv.sequential import Sequential
from handconv.utils.validation import is_int

Unit = tuple[int | str, Sequence[int]]


def explain(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike,
    *,
    sample: int = 0,
    unit: Unit | None = None,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
) -> Explanation:
    """Narrate one training step on a batch: every formula with the numbers that the network computed.

    The narration follows one signal: in each layer the unit that weighs most in the next one, beginning at the true
    class, or at the unit that is asked for. The model is not changed; the step is taken on a copy.

    Args:
        model: the network, with weights to train.
        x: the batch (N, …); a single sample is x[None].
        y: the truth for it, as ``fit`` takes it.
        sample: the row of the batch whose numbers are told.
        unit: the layer, by place or name, and the index of one of its outputs: ``(0, (3, 10, 12))``.
        optimizer: as it stands after earlier steps; a new Adam unless given. It is not changed.
        loss: the default loss of the model unless given.

    Returns:
        The sections of the step; ``print`` it, or write it by ``handconv.export.explanation_html``.

    Raises:
        ValueError: if there is nothing to train, the network holds NaN or infinity, sample or unit do not exist, or the
            batch does not fit.
        TypeError: if the model is no ``Sequential``, or the batch of the wrong kind.

    Example:
        >>> import handconv as hc
        >>> model = hc.zoo.reference()
        >>> told = hc.explain(model, np.ones((1, 1, 28, 28), np.float32), [3])
        >>> [section.title for section in told if section.phase == "loss"]
        ['Softmax and cross-entropy']
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"explain narrates a step of a handconv.Sequential, got {model!r}.")
    step = Step(model, x, y, sample, optimizer, loss)
    start, index = _asked(step, unit)
    find_path(step.passages, start, index)
    return Explanation(
        "One training step in numbers",
        (
            _start(step),
            *(_forward(passage) for passage in step.passages),
            loss_section(step),
            *(_backward(passage) for passage in reversed(step.passages)),
            *(update_section(step, passage) for passage in step.passages if step.views_of(passage)),
            _end(step),
        ),
    )


def toy() -> tuple[Sequential, FloatArray, NDArray[np.int64], Adam]:
    """A network, an image, its class and an optimizer, so small that a training step can be done on paper.

    Returns:
        The model, a batch of one image 4x4, its class and Adam at a rate of 0.1.

    Example:
        >>> model, x, y, optimizer = toy()
        >>> model.parameters.size, x.shape
        (14, (1, 1, 4, 4))
    """
    model = Sequential(
        [Conv2D(1, 3), LeakyReLU(0.1), MaxPool2D(2), Flatten(), Dense(2), Softmax()],
        input_shape=(1, 4, 4),
        seed=0,
        dtype="float64",
    )
    weights = np.array([[[[-1, 1, 0], [-1, 1, 0.5], [0, 1, -0.5]]]])
    model.layers[0].set_parameters(weights=weights, biases=np.array([0.5]))
    model.layers[4].set_parameters(weights=np.array([[0.5, -0.5]]), biases=np.array([0.0, 0.0]))
    image = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0.5, 1, 0, 0], [0, 1, 0, 0]])
    return model, image[None, None], np.array([1]), Adam(0.1)


def _asked(step: Step, unit: Unit | None) -> tuple[int, Index]:
    """The layer and the unit that the narration begins at."""
    last = step.passages[-1]
    if unit is None:
        truth = step.truth
        return last.place, (truth,) if truth is not None else (0,) * last.output.ndim
    rule = f"unit must be a layer and an index, as in (0, (3, 10, 12)), got {unit!r}."
    try:
        layer, given = unit
        index = tuple(given)
    except (TypeError, ValueError):
        raise ValueError(rule) from None
    if not all(map(is_int, index)):
        raise ValueError(rule)
    names = [passage.name for passage in step.passages]
    place = names.index(str(layer)) if str(layer) in names else layer
    if isinstance(place, str) and place.isdecimal():
        place = int(place)
    if not is_int(place) or not 0 <= place < len(names):
        raise ValueError(f"There is no layer {layer!r} before the loss; the layers are {', '.join(names)}.")
    shape = step.passages[place].output.shape
    if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        largest = ",".join(str(size - 1) for size in shape)
        raise ValueError(
            f"Layer {names[place]}, {step.passages[place].layer!r}, has units {','.join('0' * len(shape))} to "
            f"{largest}; there is no unit {','.join(map(str, index))}."
        )
    return place, index


def _start(step: Step) -> Section:
    """What goes in, and the path that is followed."""
    sample = step.passages[0].input
    parts: Parts = []
    if sample.ndim == 3:
        parts.append(
            Matrices((plane(f"the image, channel {step.passages[0].source[0]}", sample[step.passages[0].source[0]]),))
        )
    truth = step.truth
    if truth is not None:
        parts.append(line(f"The truth is class {truth}."))
    number = step.optimizer.iterations
    which = "the first step" if number == 1 else f"step {number}"
    parts.append(line(f"The loss is {step.loss!r}; this is {which} of {step.optimizer!r}."))
    parts.append(line("The narration follows one signal through the network, by these units:"))
    first = step.passages[0]
    rows: list[tuple[str | float, ...]] = [
        ("input", at("", first.source), float(first.input[first.source]), str(sample.shape))
    ]
    rows += [
        (f"{passage.place} {passage.kind}", at("", passage.unit), float(passage.output[passage.unit]),
         str(passage.output.shape))
        for passage in step.passages
    ]  # fmt: skip
    parts.append(Table(("layer", "unit", "its output", "shape"), tuple(rows)))
    parts.append(line("Indices count from 0; numbers are rounded where they are shown, not where they are computed."))
    return Section(
        "start",
        "the sample, and the path that is followed",
        (),
        f"a batch of {len(first.x)}: {first.x.shape}",
        tuple(parts),
    )


def _forward(passage: Passage) -> Section:
    told = narrator(passage.layer).forward(passage)
    weights = getattr(passage.layer, "weights", None) if passage.layer.specs else None
    shapes = _shapes(passage) + (f", w {weights.shape}" if weights is not None else "")
    return Section("forward", passage.title, told.formula, shapes, tuple(told.parts))


def _backward(passage: Passage) -> Section:
    told = narrator(passage.layer).backward(passage)
    return Section("backward", passage.title, told.formula, _shapes(passage, "<-"), tuple(told.parts))


def _end(step: Step) -> Section:
    """The same batch once more, with the new weights."""
    parts: Parts = [
        line("With the new weights the same batch has a loss of {after}; before the step it was {before}.",
             after=step.measured_after, before=step.measured),
    ]  # fmt: skip
    if step.penalty:
        parts.append(line("The penalty went from {before_penalty} to {after_penalty}.",
                          before_penalty=step.penalty, after_penalty=step.penalty_after))  # fmt: skip
    parts.append(line("Training is this step, again and again, on one batch after the other."))
    return Section("end", "the same batch, with the new weights", (), "", tuple(parts))


def _shapes(passage: Passage, arrow: str = "->") -> str:
    return f"{passage.x.shape} {arrow} {passage.y.shape}"
