"""What in a sample speaks for an answer: saliency, integrated gradients, Grad-CAM; and inputs that excite a unit.

All of them need the gradient of one score s[c], the output of class c before the last Softmax or Sigmoid: a forward
pass by hand, then a backward pass from a gradient that is one at c and zero elsewhere. They work on a copy, so that the
model keeps its gradients and other threads may use it.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray, as_floats
from handconv.layers import AveragePool2D, Conv2D, Layer, MaxPool2D, Residual, ZeroPad2D
from handconv.rng import settled_seed
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.utils.validation import POSITIVE, check_int, check_number, is_int, unmasked

_T = TypeVar("_T", bound=np.generic)
_TOGETHER = 64  # samples of one backward pass: what the layers keep of them fits into memory


def class_scores(model: Sequential, x: ArrayLike) -> FloatArray:
    """Give the score of each class before the last Softmax or Sigmoid; of a single output z, the scores -z and z.

    Args:
        model: the classifier.
        x: samples (N, …).
    Shapes:
        (N, …) -> (N, K)
    Raises:
        ValueError, TypeError: if the samples do not fit, or the model gives no vector of classes.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(2,), seed=0)
        >>> class_scores(model, np.zeros((1, 2)))
        array([[0., 0., 0.]], dtype=float32)
    """
    inputs, layers = _checked(model, x)
    parts = [_forward(layers, part) for part in _parts(inputs)]
    return _of_classes(np.concatenate(parts))


def saliency(model: Sequential, x: ArrayLike, labels: ArrayLike | None = None) -> FloatArray:
    """Give the gradient of a class's score with respect to each input: what a small change of it does to the score.

    Maths:
        d s[c] / d x
    Args:
        model: the classifier.
        x: samples (N, …).
        labels: the class c of each sample; the model's answers unless given.
    Shapes:
        (N, …) -> (N, …)
    Raises:
        ValueError, TypeError: if the samples or labels do not fit, or the model gives no vector of classes.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
        >>> bool((saliency(model, np.ones((1, 3)), [1]) == model.layers[0].weights[:, 1]).all())
        True

    References:
        Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, 2014, section 3.
    """
    inputs, layers = _checked(model, x)
    chosen = _checked_labels(model, inputs, layers, labels)
    pairs = zip(_parts(inputs), _parts(chosen), strict=True)
    return np.concatenate([_gradient(layers, part, of) for part, of in pairs])


def integrated_gradients(
    model: Sequential, x: ArrayLike, labels: ArrayLike | None = None, *, baseline: float = 0.0, steps: int = 64
) -> FloatArray:
    """Share out the score among the inputs: what each brought to it on the way from the baseline.

    The shares add up to what the score gained on that way (completeness), which a plain gradient does not. The way is
    a straight line.

    Maths:
        (x - b) · mean over k of  d s[c] / d x  at  b + (k + 1/2) / steps · (x - b),     k = 0 … steps - 1
    Args:
        model: the classifier.
        x: samples (N, …).
        labels: the class c of each sample; the model's answers unless given.
        baseline: the value b that every input of the starting point has; 0 is a black image.
        steps: points on the way, at least 1; more make the sum more exact.
    Shapes:
        (N, …) -> (N, …)
    Raises:
        ValueError, TypeError: if an argument does not fit.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
        >>> shares = integrated_gradients(model, np.ones((1, 3)), [1])
        >>> bool(np.isclose(shares.sum(), class_scores(model, np.ones((1, 3)))[0, 1], rtol=1e-5))
        True

    References:
        Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, 2017, section 3.
    """
    steps = check_int("integrated_gradients: steps", steps)
    start = check_number("integrated_gradients: baseline", baseline, np.isfinite, "that is finite")
    inputs, layers = _checked(model, x)
    chosen = _checked_labels(model, inputs, layers, labels)
    away = inputs - inputs.dtype.type(start)
    total = np.zeros(inputs.shape, np.float64)
    for k in range(steps):
        point = inputs - away * inputs.dtype.type(1 - (k + 0.5) / steps)
        pairs = zip(_parts(point), _parts(chosen), strict=True)
        total += np.concatenate([_gradient(layers, part, of) for part, of in pairs])
    return np.asarray(away * total / steps, inputs.dtype)


def grad_cam(
    model: Sequential, x: ArrayLike, labels: ArrayLike | None = None, *, layer: int | None = None
) -> FloatArray:
    """Show where the last feature maps speak for a class: their sum, each weighted by its mean gradient.

    It suits networks that end in GlobalAveragePool2D. Where a Dense layer reads the maps after Flatten, it has a weight
    of its own for each cell, whose signs differ within a map, and the mean over the map cancels most of the gradient.
    What is left says which maps speak for the class, not where: the result is large wherever these maps have large
    values, on empty paper too. Use ``hires_cam`` for such networks.

    How far to trust a map: delete the fifth of the pixels that it names, and see whether the probability falls more
    than without as many random pixels. Of a network that ends in a global mean it does in about 95 of 100 digits, of
    the reference network in about 75. Both were trained on images with deleted pixels as well, as this test asks for:
    to any other network they are foreign, and its answer says little of what was deleted (Hooker and others).

    Maths:
        a[k] = mean over i, j of  d s[c] / d A[k, i, j]          A: the last convolution, with the activation after it
        map[i, j] = max(0, sum over k of a[k] · A[k, i, j]),  enlarged to the size of the image
    Args:
        model: the classifier.
        x: images (N, C, H, W).
        labels: the class c of each image; the model's answers unless given.
        layer: which layer's outputs are A, by its place; those of the last convolution unless given.
    Shapes:
        (N, C, H, W) -> (N, H, W)
    Raises:
        ValueError, TypeError: if the images or labels do not fit, or there are no such maps.

    Example:
        >>> import handconv as hc
        >>> grad_cam(hc.zoo.reference(), np.zeros((2, 1, 28, 28), np.uint8)).shape
        (2, 28, 28)

    References:
        Selvaraju and others, Grad-CAM: visual explanations from deep networks, 2017, equations 1 and 2.
        Hooker, Erhan, Kindermans and Kim, A benchmark for interpretability methods in deep neural networks, 2019,
        section 1.
    """
    return _class_map(model, x, labels, layer, pooled=True)


def hires_cam(
    model: Sequential, x: ArrayLike, labels: ArrayLike | None = None, *, layer: int | None = None
) -> FloatArray:
    """Show where the last feature maps speak for a class: each cell weighted by its own gradient.

    Grad-CAM takes the mean of the gradient over a map, which loses the place wherever a Dense layer reads each cell
    with a weight of its own, as after Flatten. This map keeps it; after GlobalAveragePool2D both are the same. Cells
    are coarser than pixels: for single pixels, ``integrated_gradients`` is the better guide. In a small network the
    maps of an earlier layer, such as the reference network's first pooling (layer=2), are finer and say as much.

    Maths:
        map[i, j] = max(0, sum over k of  d s[c] / d A[k, i, j] · A[k, i, j]),  enlarged to the size of the image
    Args:
        model: the classifier.
        x: images (N, C, H, W).
        labels: the class c of each image; the model's answers unless given.
        layer: which layer's outputs are A, by its place; those of the last convolution unless given.
    Shapes:
        (N, C, H, W) -> (N, H, W)
    Raises:
        ValueError, TypeError: if the images or labels do not fit, or there are no such maps.

    Example:
        >>> import handconv as hc
        >>> hires_cam(hc.zoo.reference(), np.zeros((2, 1, 28, 28), np.uint8)).shape
        (2, 28, 28)

    References:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations, 2020, section 3.
    """
    return _class_map(model, x, labels, layer, pooled=False)


def exciting_input(
    model: Sequential, layer: int = -1, unit: int = 0, *, steps: int = 120, rate: float = 0.15, seed: int = 0
) -> FloatArray:
    """Climb from grey noise to an input that excites one unit, by gradient ascent.

    It shows what the unit looks for. After each step the image is smoothed a little, as steep neighbouring pixels would
    excite the unit without showing anything, and is kept between 0 and 1.

    Maths:
        x <- clip(smooth(x + rate · g / max|g|), 0, 1)      g = d a / d x
        a: the unit's output; of a feature map, its mean; of a last Softmax or Sigmoid, what goes into it
    Args:
        model: the network.
        layer: which layer the unit is in, by its place; -1 is the last one.
        unit: which unit, or which feature map, from 0.
        steps: of the ascent, at least 1.
        rate: by how much a step changes the pixel that matters most, above 0.
        seed: of the noise.
    Shapes:
        -> the model's input shape
    Raises:
        ValueError, TypeError: if there is no such layer or unit, or an argument is out of range.

    Example:
        >>> import handconv as hc
        >>> exciting_input(hc.zoo.reference(), 0, 3, steps=2).shape
        (1, 28, 28)

    References:
        Erhan, Bengio, Courville and Vincent, Visualizing higher-layer features of a deep network, 2009, section 4.
    """
    steps = check_int("exciting_input: steps", steps)
    rate = check_number("exciting_input: rate", rate, *POSITIVE)
    layers = _copied(model)
    place = layer + len(model.layers) if is_int(layer) and layer < 0 else layer
    layers = layers[: _checked_place("exciting_input: layer", place, model.layers) + 1]
    units = (layers[-1].output_shape or ())[0]
    if not is_int(unit) or not 0 <= unit < units:
        raise ValueError(f"exciting_input: unit must be from 0 to {units - 1} in {layers[-1].label}, got {unit!r}.")
    noise = np.random.default_rng(settled_seed(seed)).uniform(0.4, 0.6, (1, *(model.input_shape or ())))
    image = np.asarray(noise, model.dtype)
    for _ in range(steps):
        outputs = _forward(layers, image)
        gradient = np.zeros_like(outputs)
        gradient[:, unit] = 1 / outputs[0, unit].size
        for each in reversed(layers):
            gradient = each.backward(gradient)
        largest = np.abs(gradient).max()
        if largest:
            image = np.clip(_smoothed(image + gradient * (rate / float(largest))), 0, 1)
    first: FloatArray = image[0]
    return first


def last_maps(layers: Sequence[Layer]) -> int:
    """How many layers there are up to the last convolution and what follows it without changing the shape.

    Args:
        layers: of a built network.

    Raises:
        ValueError: if there is no convolution.
    """
    convolutions = [k for k, layer in enumerate(layers) if any(isinstance(each, Conv2D) for _, each in layer.tree())]
    if not convolutions:
        raise ValueError("This needs feature maps, and the model has no convolution. Use a model with a Conv2D.")
    end = convolutions[-1] + 1
    while end < len(layers) and layers[end].output_shape == layers[end].input_shape:
        end += 1
    return end


def _class_map(
    model: Sequential, x: ArrayLike, labels: ArrayLike | None, layer: int | None, *, pooled: bool
) -> FloatArray:
    """The positive part of the maps, weighted by their gradients or by the mean of these over each map."""
    inputs, layers = _checked(model, x)
    first = last_maps(layers) if layer is None else _checked_place("layer", layer, layers) + 1
    if len(layers[first - 1].output_shape or ()) != 3:
        raise ValueError(f"A class map needs feature maps (F, H, W), and {layers[first - 1].label} gives none.")
    chosen = _checked_labels(model, inputs, layers, labels)
    maps = []
    for part, of in zip(_parts(inputs), _parts(chosen), strict=True):
        features = _forward(layers[:first], part)  # (N, F, OH, OW)
        weights = _gradient(layers[first:], features, of)  # (N, F, OH, OW)
        if pooled:
            weights = weights.mean(axis=(2, 3), keepdims=True)  # (N, F, 1, 1)
        maps.append(np.maximum((weights * features).sum(axis=1), 0))
    return _enlarged(np.concatenate(maps), inputs.shape[2:], layers[:first])


def _checked_place(name: str, place: int, layers: Sequence[Layer]) -> int:
    if not is_int(place) or not 0 <= place < len(layers):
        raise ValueError(f"{name} must be from 0 to {len(layers) - 1}, got {place!r}.")
    return place


def _copied(model: Sequential) -> tuple[Layer, ...]:
    """The layers of a copy, up to the scores."""
    if not isinstance(model, Sequential):
        raise TypeError(f"This expects a handconv.Sequential, got {model!r}.")
    if not model.built:
        raise ValueError("The model has no shapes yet: give input_shape=…, or train it first.")
    layers = copy.deepcopy(model).layers
    return layers[:-1] if (model.ends_in_softmax or model.ends_in_sigmoid) and len(layers) > 1 else layers


def _checked(model: Sequential, x: ArrayLike) -> tuple[FloatArray, tuple[Layer, ...]]:
    """The samples as floats, and the layers up to the scores."""
    layers = _copied(model)
    if len(model.output_shape) != 1:
        raise ValueError(f"A classifier gives one vector (K,) a sample, this model gives {model.output_shape}.")
    return as_floats(checked_inputs(x, model.input_shape, model.dtype), model.dtype), layers


def _checked_labels(
    model: Sequential, inputs: FloatArray, layers: Sequence[Layer], labels: ArrayLike | None
) -> NDArray[np.intp]:
    """One class number a sample."""
    if labels is None:
        scores = np.concatenate([_forward(layers, part) for part in _parts(inputs)])
        answers: NDArray[np.intp] = _of_classes(scores).argmax(axis=1)
        return answers
    chosen = unmasked("labels", labels)
    classes = max(2, model.output_shape[0])
    if chosen.shape != (len(inputs),) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be one class number a sample, ({len(inputs)},), got {chosen.dtype} of shape {chosen.shape}."
        )
    if not 0 <= chosen.min() <= chosen.max() < classes:
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {chosen.min()} to {chosen.max()}.")
    return chosen.astype(np.intp)


def _parts(samples: NDArray[_T]) -> list[NDArray[_T]]:
    return [samples[start : start + _TOGETHER] for start in range(0, len(samples), _TOGETHER)]


def _forward(layers: Sequence[Layer], values: FloatArray) -> FloatArray:
    for layer in layers:
        values = layer.forward(values)
    return values


def _gradient(layers: Sequence[Layer], values: FloatArray, labels: NDArray[np.intp]) -> FloatArray:
    """The gradient of the scores of these classes with respect to the values that go into the layers."""
    scores = _forward(layers, values)
    gradient = np.zeros_like(scores)
    if scores.shape[1] == 1:  # one output z stands for the scores -z and z
        gradient[:, 0] = 2 * labels - 1
    else:
        gradient[np.arange(len(labels)), labels] = 1
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    return gradient


def _of_classes(scores: FloatArray) -> FloatArray:
    return np.concatenate([-scores, scores], axis=1) if scores.shape[1] == 1 else scores


def _enlarged(maps: FloatArray, size: tuple[int, ...], layers: Sequence[Layer]) -> FloatArray:
    """Bilinear: (N, OH, OW) -> (N, H, W), each cell at the centre of its receptive field; beyond the outermost, theirs.

    To stretch the maps over the image would shift them: a cell at the edge after three unpadded windows has its centre
    well within the image.
    """
    for axis, (old, new) in enumerate(zip(maps.shape[1:], size, strict=True)):
        start, step = _centres(layers, axis, new)
        place = np.clip((np.arange(new) - start) / step, 0, old - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (place - low).astype(maps.dtype).reshape(-1, *(1,) * (1 - axis))
        maps = (1 - share) * maps.take(low, axis + 1) + share * maps.take(high, axis + 1)
    return maps


def _centres(layers: Sequence[Layer], axis: int, size: int) -> tuple[float, float]:
    """Where on an axis of the image the first cell of the maps has its receptive field's centre, and the next ones.

    Maths:
        start <- start + step · ((span - 1) / 2 - padding before)        step <- step · stride
    """
    start, step = 0.0, 1.0
    for layer in layers:
        shift, factor = 0.0, 1.0
        before, after = (layer.input_shape or ())[1:], (layer.output_shape or ())[1:]
        if isinstance(layer, Residual):
            shift, factor = _centres(layer.layers, axis, before[axis])
        elif isinstance(layer, ZeroPad2D):
            shift = -layer.padding[2 * axis]
        elif isinstance(layer, Conv2D | MaxPool2D | AveragePool2D):
            window = layer.geometry[axis]
            shift, factor = (window.span - 1) / 2 - window.before, window.stride
        elif after != before and len(after) == 2:  # by a layer of which nothing is known: spread over all of the image
            start, step = (size / after[axis] - 1) / 2, size / after[axis]
        start, step = start + step * shift, step * factor
    return start, step


def _smoothed(images: FloatArray) -> FloatArray:
    """Mix each pixel with its neighbours, [1 14 1] / 16 along both axes; samples that are no images stay."""
    if images.ndim == 4:
        for axis in (2, 3):
            wide = np.pad(images, [(1, 1) if axis == each else (0, 0) for each in range(4)], mode="edge")
            count = images.shape[axis]
            before, after = wide.take(range(count), axis), wide.take(range(2, count + 2), axis)
            images = (14 * images + before + after) / 16
    return images
