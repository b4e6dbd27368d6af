"""Ensembles of models, and test-time augmentation: the mean of the probabilities over models and views.

    p[n, k] = mean over models m and views v of p_m[k | v(x[n])]

Models that were trained from different seeds err on different images, and a wrong answer is less stable under small
changes of the image than a right one; so the mean is right more often than a single answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.augment import Affine
from handconv.augment.resampling import Maps, resample
from handconv.engine.kernels.softmax import softmax, softmax_parts
from handconv.layer_list import probabilities_of
from handconv.layers import Sigmoid, Softmax
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.losses.base import EPSILON
from handconv.metrics import accuracy
from handconv.samples import checked_inputs
from handconv.sequential import Sequential, Workers
from handconv.utils.validation import check_int

#: How far the views are from the image as it is.
_VIEWS = Affine(shift=1.0, rotate=5.0, scale=0.05)
#: What a model's info says of its task; all models of an ensemble must agree in it.
_TASK = ("class_names", "preparation")


class Ensemble:
    """Models whose probabilities are averaged; with ``views``, over several views of each image, too.

    The views are the image as it is and small affine changes of it, the same for all images. They come in pairs of a
    change and its inverse, so that on average nothing is moved.

    Args:
        models: classifiers of the same classes, of samples in the same form.
        views: how many views of each image there are, the image as it is included.

    Attributes:
        models: as a tuple.
        input_shape, output_shape: of one sample, and its K probabilities.
        info: what the models know of their task.

    Raises:
        ValueError: if there is no model, or models do not answer the same question.
        TypeError: if a model is no ``Sequential``.

    Example:
        >>> import handconv as hc
        >>> models = [hc.zoo.reference(seed=seed) for seed in range(3)]
        >>> hc.Ensemble(models, views=4).predict(np.zeros((2, 1, 28, 28), np.uint8)).shape
        (2, 10)

    References:
        Cireşan, Meier and Schmidhuber, Multi-column deep neural networks for image classification, 2012, section 2.
    """

    def __init__(self, models: Sequence[Sequential], views: int = 1) -> None:
        if not isinstance(models, list | tuple):
            raise TypeError(f"Ensemble: models must be a list of handconv.Sequential models, got {models!r}.")
        self.models, self.views = tuple(models), check_int("Ensemble: views", views)
        for model in self.models:
            if not isinstance(model, Sequential):
                raise TypeError(f"Ensemble: models must be handconv.Sequential models, got {model!r}.")
        if not self.models:
            raise ValueError("Ensemble: models must be at least one, got none.")
        first = self.models[0]
        self.input_shape, self.output_shape = first.input_shape, _classes(first)
        for number, model in enumerate(self.models[1:], 2):
            self._check_same(number, first, model)
        if views > 1 and len(self.input_shape or ()) != 3:
            raise ValueError(
                f"Views are made of images (C, H, W), and these models take samples of shape {self.input_shape}. "
                "Use views=1."
            )
        agreed = ("dataset", "settings", *_TASK)
        self.info: dict[str, Any] = {name: first.info[name] for name in agreed if name in first.info}

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to change what was checked together."""
        if name in vars(self) and name != "info":
            raise AttributeError(f"The {name} of an ensemble stay as they are. Make a new one: Ensemble([…], views=…).")
        object.__setattr__(self, name, value)

    @staticmethod
    def _check_same(number: int, first: Sequential, model: Sequential) -> None:
        """Check that a model answers the question of the first one."""
        facts = {
            "images or samples": (first.input_shape, model.input_shape),
            "classes": (_classes(first)[0], _classes(model)[0]),
        } | {name.replace("_", " "): (first.info.get(name), model.info.get(name)) for name in _TASK}
        for what, (expected, received) in facts.items():
            if received != expected and None not in (expected, received):
                raise ValueError(
                    f"The models of an ensemble must have the same {what}: the first has {expected}, number {number} "
                    f"has {received}. Train them on the same data."
                )

    def predict(self, x: ArrayLike, *, workers: Workers = 1) -> FloatArray:
        """Compute the mean of all models' probabilities, (N, K).

        Args:
            x: samples (N, …); uint8 is divided by 255.
            workers: as in ``Sequential.predict``.

        Raises:
            ValueError, TypeError: if the samples do not fit.
        """
        total: FloatArray | float = 0.0
        for model, seen in self.questions(x):
            total = total + probabilities(model, seen, workers=workers)
        mean: FloatArray = np.divide(total, self.views * len(self.models))
        return mean

    @np.errstate(under="ignore")  # exp(-200) is 0
    def evaluate(self, x: ArrayLike, y: ArrayLike, *, workers: Workers = 1) -> dict[str, float]:
        """Measure the mean cross-entropy, and the accuracy.

        The loss is that of ``Sequential.evaluate``, from the scores: however sure a model is, no probability becomes 0.

        Args:
            x: samples (N, …).
            y: class numbers (N,), or one-hot (N, K).
            workers: as in ``Sequential.predict``.

        Returns:
            {"loss": …, "accuracy": …}

        Raises:
            ValueError, TypeError: if the samples do not fit.
        """
        chances, logarithms = with_logarithms(self, x, workers=workers)
        return {
            "loss": SoftmaxCategoricalCrossentropy().forward(logarithms, y),
            "accuracy": accuracy(chances, np.asarray(y)),
        }

    def questions(self, x: ArrayLike) -> Iterator[tuple[Sequential, NDArray[Any]]]:
        """Yield every model with every view of the samples."""
        inputs = checked_inputs(x, self.input_shape, self.models[0].dtype)
        for matrix in self._matrices():
            seen = inputs
            if matrix is not None:
                pixels = inputs if inputs.dtype == np.uint8 else np.asarray(inputs, self.models[0].dtype)
                seen = resample(pixels, Maps(np.broadcast_to(matrix, (len(pixels), 3, 3))), 0.0)
            for model in self.models:
                yield model, seen

    def _matrices(self) -> list[NDArray[np.float64] | None]:
        """Where each view's pixels come from; None for the image as it is."""
        others = self.views - 1
        drawn = _VIEWS.draw_maps((-(-others // 2), 1, 1, 1), np.random.default_rng(0)).matrices
        pairs = [matrix for one in drawn for matrix in (one, np.linalg.inv(one))]
        return [None, *pairs[:others]]

    def __repr__(self) -> str:
        return f"Ensemble({len(self.models)} models, views={self.views})"


Classifier = Sequential | Ensemble


@np.errstate(under="ignore")
def probabilities(model: Classifier, x: ArrayLike, *, workers: Workers = 1) -> NDArray[np.floating]:
    """Give the probability of each class for each sample.

    After a final Softmax these are the outputs, after a single Sigmoid those of "no" and "yes", else the softmax of
    the outputs; of an ensemble the mean of its models'.

    Args:
        model: the classifier, or the ensemble.
        x: samples (N, …).
        workers: as in ``Sequential.predict``.

    Shapes:
        (N, …) -> (N, K)

    Raises:
        ValueError, TypeError: if the model does not give one vector of classes a sample.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0)
        >>> probabilities(model, np.zeros((1, 2)))
        array([[0.5, 0.5]], dtype=float32)
    """
    if not isinstance(model, Classifier):
        raise TypeError(f"A classifier is a handconv.Sequential or a handconv.Ensemble, got {model!r}.")
    outputs = model.predict(x, workers=workers)
    if isinstance(model, Ensemble):
        return outputs
    check_classifies(model)
    kind = probabilities_of(model.layers[-1])
    if kind is Sigmoid:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs if kind is Softmax else softmax(outputs)


@np.errstate(under="ignore")
def with_logarithms(
    model: Classifier, x: ArrayLike, *, workers: Workers = 1
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """The probability of each class for each sample, and its logarithm.

    The logarithm is taken from the scores, where the last activation is ours to leave out: it is right for
    probabilities that are too small for a float, too.

    Args:
        model: the classifier, or the ensemble.
        x: samples (N, …).
        workers: as in ``Sequential.predict``.

    Shapes:
        (N, …) -> (N, K) and (N, K)

    Raises:
        ValueError, TypeError: if the model does not give one vector of classes a sample.

    Example:
        >>> import handconv as hc
        >>> model = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0)
        >>> with_logarithms(model, np.zeros((1, 2)))[1].round(4).tolist()
        [[-0.6931, -0.6931]]
    """
    if isinstance(model, Ensemble):
        total: FloatArray | float = 0.0
        logarithm: NDArray[np.float64] | float = -np.inf
        for each, seen in model.questions(x):
            chances, logarithms = with_logarithms(each, seen, workers=workers)
            total, logarithm = total + chances, np.logaddexp(logarithm, logarithms)
        count = model.views * len(model.models)
        return np.divide(total, count), np.subtract(logarithm, np.log(count))
    left_out = (model.ends_in_softmax or model.ends_in_sigmoid) and len(model.layers) > 1
    if probabilities_of(model.layers[-1]) is not None and not left_out:
        chances = probabilities(model, x, workers=workers)
        return chances, np.log(np.clip(chances, EPSILON, 1, dtype=np.float64))
    inputs = checked_inputs(x, model.input_shape, model.dtype)
    model.ensure_built(inputs.shape[1:])
    check_classifies(model)
    scores = (model[:-1] if left_out else model).predict(inputs, workers=workers)
    if model.ends_in_sigmoid:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)  # of which the softmax is 1 - p, p
    chances, largest, sums = softmax_parts(scores)
    return chances, np.subtract(scores, largest, dtype=np.float64) - np.log(sums)


def check_classifies(model: Sequential) -> None:
    """Refuse a model that does not give one vector of classes a sample.

    Raises:
        ValueError: if it does not.
    """
    if len(model.output_shape) != 1:
        raise ValueError(f"A classifier gives one vector (K,) a sample, this model gives {model.output_shape}.")
    outputs, yes_or_no = model.output_shape[0], probabilities_of(model.layers[-1]) is Sigmoid
    if outputs < 2 and not yes_or_no:
        raise ValueError("A classifier gives a number for each class, this model gives 1. Put a Sigmoid last.")
    if outputs > 1 and yes_or_no:
        raise ValueError(
            f"A classifier names one class, and this model ends in Sigmoid with {outputs} outputs, which say "
            "yes or no each. Put a Softmax last, or use predict."
        )


def _classes(model: Sequential) -> tuple[int]:
    """How many classes a model tells apart, as the shape of its probabilities."""
    if not model.built:
        raise ValueError("The models of an ensemble need their input shape: give input_shape=… or call build(shape).")
    shape = model.output_shape
    if len(shape) != 1:
        raise ValueError(f"A classifier gives one vector (K,) a sample, this model gives {shape}.")
    return (max(2, shape[0]),)
