"""One training step, narrated: forward, loss, backward, update, with the numbers of one unit of each layer.

The step is taken by hand on a copy of the model: the pages of its layers, its loss, and the optimizer's own step. The
narration reads what they computed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis import _narration as narration
from handconv.analysis._explanation import Explanation, Index, Line, Matrices, Section, Table, plane
from handconv.analysis._narration import at, line
from handconv.analysis._path import Passage, find_path
from handconv.arrays import FloatArray
from handconv.layers import Conv2D, Dense, Flatten, LeakyReLU, MaxPool2D, Softmax
from handconv.layers.parameters import ParameterView
from handconv.losses import CategoricalCrossentropy, Loss, SoftmaxCategoricalCrossentropy
from handconv.losses.base import check_loss
from handconv.objective import Objective
from handconv.optimizers import Adam, AdamW, Optimizer
from handconv.optimizers.base import check_optimizer
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
        ValueError: if there is nothing to train, or sample or unit do not exist, or the batch does not fit.
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
    step = _Step(model, x, y, sample, optimizer, loss)
    start, index = _asked(step, unit)
    find_path(step.passages, start, index)
    return Explanation(
        "One training step in numbers",
        (
            _start(step),
            *(_forward(passage) for passage in step.passages),
            _loss(step),
            *(_backward(passage) for passage in reversed(step.passages)),
            *(_update(step, passage) for passage in step.passages if step.views_of(passage)),
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


class _Step:
    """The step itself, taken by hand on a copy of the model."""

    def __init__(
        self,
        model: Sequential,
        x: ArrayLike,
        y: ArrayLike,
        sample: int,
        optimizer: Optimizer | None,
        loss: Loss | None,
    ) -> None:
        self.model = network = copy.deepcopy(model)
        batch = network.check_batch(np.asarray(x))
        if not network.parameters.size:
            raise ValueError(
                "explain narrates how weights are trained, and this network has none. Add a Conv2D or a Dense layer."
            )
        generator = np.random.default_rng(0)
        for _, layer in network.tree():
            layer.generator = generator  # what is dropped is the same whenever one asks
        if not len(batch) or not np.isfinite(batch).all():
            raise ValueError(f"x must hold at least one sample, of finite numbers, got shape {batch.shape}.")
        if not is_int(sample) or not 0 <= sample < len(batch):
            raise ValueError(f"sample must be a row of the batch, from 0 to {len(batch) - 1}, got {sample!r}.")
        values = batch.astype(network.dtype) / network.dtype.type(255 if batch.dtype == np.uint8 else 1)
        self.sample, asked = int(sample), network.default_loss() if loss is None else check_loss(loss)
        self.objective = Objective(network, asked)
        self.loss = self.objective.page
        self.targets = np.asarray(y)
        before = copy.deepcopy(network)  # draws the same random numbers once more
        self.passages = self._forward(network, values)
        self.predictions = self.passages[-1].y
        self.measured = self.loss.forward(self.predictions, self.targets)
        self.penalty = network.penalty()
        #: What the loss made of the scores, if it took the softmax along.
        self.probabilities: FloatArray | None = None
        if isinstance(self.loss, SoftmaxCategoricalCrossentropy):
            self.probabilities = np.array(self.loss.output)
        self.gradient = self.loss.backward()
        gradient: FloatArray = np.array(self.gradient, network.dtype)
        for passage in reversed(self.passages):
            passage.dy = gradient
            gradient = passage.dx = np.array(passage.layer.backward(gradient), network.dtype)
        self._move(network, Adam() if optimizer is None else copy.deepcopy(check_optimizer(optimizer)))
        before.parameters = self.new
        again = self._forward(before, values)[-1].y
        self.measured_after = self.loss.forward(again, self.targets)
        self.penalty_after = before.penalty()

    def _forward(self, network: Sequential, values: FloatArray) -> list[Passage]:
        passages: list[Passage] = []
        for place, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
            if place == len(self.objective.layers):
                break
            y = np.array(layer.forward(values, True), network.dtype)
            slope = np.array(layer.backward(np.ones_like(y))) if narration.has_slope(layer) else None
            passages.append(Passage(place, name, layer, values, y, self.sample, slope))
            values = y
        return passages

    def _move(self, network: Sequential, optimizer: Optimizer) -> None:
        """Let the optimizer take its step on copies."""
        self.optimizer = optimizer
        self.old, self.data_gradients = network.parameters.copy(), network.gradients.copy()
        self.gradients = self.data_gradients.copy()
        network.add_penalty_gradients(self.gradients)
        self.unclipped = self.gradients.copy()
        if optimizer.clip_value is not None:
            np.clip(self.gradients, -optimizer.clip_value, optimizer.clip_value, out=self.gradients)
        if optimizer.clip_norm is not None:
            norm = float(np.linalg.norm(self.gradients.astype(np.float64)))
            self.gradients *= min(1.0, optimizer.clip_norm / norm) if norm else 1.0
        if not optimizer.built:
            optimizer.build(self.old, network.decayed())
        self.rate = optimizer.current_learning_rate
        self.state_before = {name: vector.copy() for name, vector in optimizer.state.items()}
        self.new = self.old.copy()
        optimizer.step(self.new, self.gradients)

    def views_of(self, passage: Passage) -> list[ParameterView[Any]]:
        """The arrays of parameters of a layer and of those within it."""
        inside = [layer for _, layer in passage.layer.tree()]
        return [view for view in self.model.views if any(view.layer is layer for layer in inside)]

    @property
    def truth(self) -> int | None:
        """The true class of the sample, if the targets name one."""
        given = self.targets[self.sample] if self.targets.ndim else self.targets
        if not isinstance(self.loss, SoftmaxCategoricalCrossentropy | CategoricalCrossentropy):
            return None
        if given.ndim == 0 and given.dtype.kind in "iu":
            return int(given)
        return int(given.argmax()) if given.shape == self.predictions.shape[1:] else None


def _asked(step: _Step, unit: Unit | None) -> tuple[int, Index]:
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


def _shapes(passage: Passage, arrow: str = "->") -> str:
    return f"{passage.x.shape} {arrow} {passage.y.shape}"


def _title(passage: Passage) -> str:
    name = "" if passage.name == str(passage.place) else f" {passage.name}"
    return f"layer {passage.place}{name}, {passage.layer!r}"


def _start(step: _Step) -> Section:
    """What goes in, and the path that is followed."""
    sample = step.passages[0].input
    parts: list[Line | Table | Matrices] = []
    if sample.ndim == 3:
        parts.append(
            Matrices((plane(f"the image, channel {step.passages[0].source[0]}", sample[step.passages[0].source[0]]),))
        )
    truth = step.truth
    if truth is not None:
        parts.append(line(f"The truth is class {truth}."))
    parts.append(line("The narration follows one signal through the network, by these units:"))
    first = step.passages[0]
    rows: list[tuple[str | float, ...]] = [
        ("input", at("", first.source), float(first.input[first.source]), str(sample.shape))
    ]
    rows += [
        (f"{passage.place} {passage.layer!r}", at("", passage.unit), float(passage.output[passage.unit]),
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
    told = narration.forward(passage)
    weights = getattr(passage.layer, "weights", None) if passage.layer.specs else None
    shapes = _shapes(passage) + (f", w {weights.shape}" if weights is not None else "")
    return Section("forward", _title(passage), told.formula, shapes, tuple(told.parts))


def _backward(passage: Passage) -> Section:
    told = narration.backward(passage)
    return Section("backward", _title(passage), told.formula, _shapes(passage, "<-"), tuple(told.parts))


def _loss(step: _Step) -> Section:
    sample, count = step.sample, len(step.predictions)
    shapes = f"{step.predictions.shape} -> a number"
    losses = step.loss.sample_losses(step.predictions, step.loss.check_targets(step.targets, step.predictions.shape))
    parts: list[Line | Table | Matrices]
    if step.probabilities is not None:
        title, formula, parts = _cross_entropy(step, float(losses[sample]))
    else:
        title, formula = type(step.loss).__name__, narration.maths(type(step.loss))
        k = step.passages[-1].unit
        parts = [
            line(f"{at('prediction', k)} = {{p}}", p=step.predictions[sample][k]),
            line("loss = {loss}", loss=losses[sample]),
            line(f"{at('dy', k)} = {{dy}}", dy=step.gradient[sample][k]),
        ]
    if count > 1:
        parts.append(
            line(
                f"The loss of the batch is the mean over its {count} samples, {{mean}}, and so the gradient of each "
                f"sample is divided by {count}.",
                mean=step.measured,
            )
        )
    if step.penalty:
        parts.append(line("The penalty on the weights adds {penalty} to the loss.", penalty=step.penalty))
    return Section("loss", title, formula, shapes, tuple(parts))


def _cross_entropy(step: _Step, loss: float) -> tuple[str, tuple[str, ...], list[Line | Table | Matrices]]:
    """The softmax with its cross-entropy, class by class."""
    sample, scores = step.sample, step.predictions[step.sample]
    assert step.probabilities is not None
    assert isinstance(step.loss, SoftmaxCategoricalCrossentropy)
    p, gradient = step.probabilities[sample], step.gradient[sample]
    targets = step.loss.check_targets(step.targets, step.predictions.shape)
    q = step.loss.truth(targets, len(scores), scores.dtype)[sample]
    largest, exponentials = scores.max(), np.exp(scores - scores.max())
    chosen = narration.shown_classes(len(scores), step.passages[-1].unit[0], p)
    rows = tuple(
        (f"k = {k}", float(scores[k]), float(exponentials[k]), float(p[k]), float(q[k]), float(gradient[k]))
        for k in chosen
    )
    truth = step.truth
    hard = truth is not None and q[truth] == 1
    told = (
        line(f"loss = - log p[{truth}] = - log {{p}} = {{loss}}", p=p[truth], loss=loss)
        if hard
        else line("loss = - sum over k of q[k] · log p[k] = {loss}", loss=loss)
    )
    formula = (
        "p[k] = exp(z[k] - max) / sum over q of exp(z[q] - max)",
        "loss = - log p[truth]" if hard else "loss = - sum over k of q[k] · log p[k]",
        "dz[k] = p[k] - q[k]" + (" divided by the number of samples" if len(step.predictions) > 1 else ""),
    )
    gradient_name = "dz = p - q" if len(step.predictions) == 1 else "dz"
    return (
        "Softmax and cross-entropy",
        formula,
        [
            Table(("", "score z", "exp(z - max)", "p", "truth q", gradient_name), rows),
            line("The greatest score, max, is {largest}; the exponentials sum to {total}.",
                 largest=largest, total=exponentials.sum()),
            told,
        ],
    )  # fmt: skip


def _update(step: _Step, passage: Passage) -> Section:
    """The optimizer's step on the parameters that the path runs through."""
    views, optimizer = step.views_of(passage), step.optimizer
    parts: list[Line | Table | Matrices] = []
    for view in views:
        index = _parameter(step, passage, view)
        parts += _moved(step, view, index)
        if view.spec.name == "weights" and view.layer is passage.layer:
            pictures = narration.weight_pictures(passage, view.of(step.old), view.of(step.gradients), view.of(step.new))
            parts += [pictures] if pictures is not None else []
    t = optimizer.iterations
    formula: tuple[str, ...] = (f"{optimizer!r} takes its step {t}",)
    if type(optimizer) in (Adam, AdamW):
        named = {name: getattr(optimizer, name) for name in ("beta_1", "beta_2", "epsilon")}
        constants = ", ".join(f"{name} = {value:g}" for name, value in named.items())
        decay = "w · (1 - rate · decay)" if type(optimizer) is AdamW else "w"
        formula = (
            "m = beta_1 · m + (1 - beta_1) · g        m_hat = m / (1 - beta_1^t)",
            "v = beta_2 · v + (1 - beta_2) · g²       v_hat = v / (1 - beta_2^t)",
            f"w = {decay} - rate · m_hat / (sqrt(v_hat) + epsilon)",
            f"t = {t}, rate = {step.rate:g}, {constants}",
        )
    shapes = ", ".join(f"{view.spec.name} {view.shape}" for view in views)
    return Section("update", f"{_title(passage)}, by {type(optimizer).__name__}", formula, shapes, tuple(parts))


def _parameter(step: _Step, passage: Passage, view: ParameterView[Any]) -> Index:
    """The parameter of an array that is told about: the one on the path, else that with the greatest gradient."""
    layer, name = passage.layer, view.spec.name
    if view.layer is layer and name != "weights" and len(view.shape) == 1 and view.shape[0] > passage.unit[0]:
        return passage.unit[:1]
    if view.layer is layer and type(layer) is Conv2D:
        f, *place = passage.unit
        own = passage.source[0] - passage.first_channel(f)
        return (f, own, *passage.offset(tuple(place), passage.source[1:]))
    if view.layer is layer and type(layer) is Dense:
        return (*passage.source, *passage.unit)
    gradient = view.of(step.gradients)
    return tuple(int(i) for i in np.unravel_index(int(np.abs(gradient).argmax()), gradient.shape))


def _moved(step: _Step, view: ParameterView[Any], index: Index) -> list[Line | Table | Matrices]:
    """Tell how one parameter was moved."""

    def of(vector: FloatArray) -> float:
        return float(view.of(vector)[index])

    spec, name = view.spec, at(view.spec.name, index)
    old, new, g = of(step.old), of(step.new), of(step.gradients)
    inner = view.name.rpartition(".")[0].partition(".")[2]
    parts: list[Line | Table | Matrices] = [
        line(f"{name}{f' of {inner}' if inner else ''} is {{old}} before the step.", old=old)
    ]
    if spec.l1 or spec.l2:
        terms = [("l1 · sign(w)", spec.l1 * float(np.sign(old)))] if spec.l1 else []
        terms += [("2 · l2 · w", 2 * spec.l2 * old)] if spec.l2 else []
        names = " + ".join(term for term, _ in terms)
        shown = " + ".join(f"{{t{k}}}" for k in range(len(terms)))
        numbers = {f"t{k}": value for k, (_, value) in enumerate(terms)}
        parts.append(
            line(f"g = d{spec.name} + {names} = {{d}} + {shown} = {{g}}",
                 d=of(step.data_gradients), g=of(step.unclipped), **numbers)
        )  # fmt: skip
    if of(step.unclipped) != g:
        parts.append(line("The gradient is clipped from {whole} to g = {g}", whole=of(step.unclipped), g=g))
    elif not (spec.l1 or spec.l2):
        parts.append(line("g = {g}", g=g))
    optimizer = step.optimizer
    if type(optimizer) not in (Adam, AdamW):
        state = [
            line(f"{kept}: {{before}} before, {{after}} after", before=of(step.state_before[kept]),
                 after=of(optimizer.state[kept]))
            for kept in optimizer.vectors
        ]  # fmt: skip
        return [*parts, *state, line(f"{name} is {{new}} after the step.", new=new)]
    beta_1, beta_2, t = optimizer.beta_1, optimizer.beta_2, optimizer.iterations  # type: ignore[attr-defined]
    epsilon = optimizer.epsilon  # type: ignore[attr-defined]
    m, v = of(optimizer.state["m"]), of(optimizer.state["v"])
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    begin, numbers = "{old}", {}
    if isinstance(optimizer, AdamW) and spec.decays:
        begin, numbers = "{old} · (1 - {rate} · {decay})", {"decay": optimizer.weight_decay}
    return [
        *parts,
        line("m = {beta_1} · {m_old} + {rest_1} · {g} = {m}",
             beta_1=beta_1, m_old=of(step.state_before["m"]), rest_1=1 - beta_1, g=g, m=m),
        line("v = {beta_2} · {v_old} + {rest_2} · {g}² = {v}",
             beta_2=beta_2, v_old=of(step.state_before["v"]), rest_2=1 - beta_2, g=g, v=v),
        line("m_hat = {m} / (1 - {beta_1}^{t}) = {m_hat}", m=m, beta_1=beta_1, t=t, m_hat=m_hat),
        line("v_hat = {v} / (1 - {beta_2}^{t}) = {v_hat}", v=v, beta_2=beta_2, t=t, v_hat=v_hat),
        line(f"{name} = {begin} - {{rate}} · {{m_hat}} / (sqrt({{v_hat}}) + {{epsilon}}) = {{new}}",
             old=old, rate=step.rate, m_hat=m_hat, v_hat=v_hat, epsilon=epsilon, new=new, **numbers),
    ]  # fmt: skip


def _end(step: _Step) -> Section:
    """The same batch once more, with the new weights."""
    parts: list[Line | Table | Matrices] = [
        line("With the new weights the same batch has a loss of {after}; before the step it was {before}.",
             after=step.measured_after, before=step.measured),
    ]  # fmt: skip
    if step.penalty:
        parts.append(line("The penalty went from {before_penalty} to {after_penalty}.",
                          before_penalty=step.penalty, after_penalty=step.penalty_after))  # fmt: skip
    parts.append(line("Training is this step, again and again, on one batch after the other."))
    return Section("end", "the same batch, with the new weights", (), "", tuple(parts))
