"""One HTML file in which a trained network can be watched: draw, and see every layer compute.

The file is ``page/page.html`` with the style sheet, the scripts and the model put in place: all weights as base64
float32, the layers as plain values, a dozen test images. It sends no request.

    network.js   the forward pass: one small function a layer
    ink.js       from strokes to an image, as MNIST's were made
    page.js      the page as a whole; elements.js, pad.js, answer.js, maps.js and unit.js are its parts

To add a layer: its function in ``FORWARD`` of network.js, and its class in ``_SETTINGS`` of stages.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv import layers as kinds
from handconv.datasets.catalog import title_of
from handconv.ensemble import check_classifies, probabilities
from handconv.errors import ModelFileError
from handconv.export.stages import check_stages, describe, stages_of
from handconv.samples import checked_inputs
from handconv.sequential import Sequential
from handconv.serialization.atomic import write_text_atomically
from handconv.utils.validation import broken, unmasked

_IMAGES = 12  # that travel along
_MOST_PARAMETERS = 10_000_000  # a page of 53 MB
_MOST_PIXELS = 512 * 512


def export_html(
    model: Sequential,
    path: str | os.PathLike[str],
    images: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> None:
    """Write a page on which one draws and watches the network think.

    The page is one file that needs neither a server nor a network. It runs the model's own weights: the probabilities
    and the feature maps of all layers follow the pen, each unit shows the numbers that made it, and a heat map shows
    what speaks for the answer. Models of square grey images can be drawn for; others show the images that travel along.
    What is paper and what is ink, the images tell: bright edges are paper, and so is the least number otherwise;
    without images, what the model keeps of those that it was trained on.

    Args:
        model: a classifier of images (C, H, W), with one, three or more channels.
        path: the file's name, ending in .html.
        images: test images (N, C, H, W), of which a dozen travel along: all if there are no more, else the first of
            each class that the model is right about, and those that it is worst at. uint8 is divided by 255.
        labels: their class numbers (N,).

    Raises:
        ValueError, TypeError: if the page has no form for this model, or the images are not the model's.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile, pathlib, handconv as hc
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "digits.html"
        >>> digits = hc.datasets.load("digits")
        >>> hc.export_html(hc.zoo.trained_reference(), path, digits.x_test, digits.y_test)
        >>> path.stat().st_size < 700_000
        True
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"export_html writes a handconv.Sequential, got {model!r}.")
    if Path(path).suffix != ".html":
        raise ValueError(f"Pages are written as .html files, got the name {os.fspath(path)!r}. Let it end in .html.")
    _check(model)
    shown = _chosen(model, images, labels)
    if not shown and not _can_be_drawn_for(model):
        raise ValueError(
            f"One draws for models of square grey images; this one takes samples of shape {model.input_shape}. "
            "Give test images that travel along: images=…, or --dataset on the command line."
        )
    write_text_atomically(Path(path), _page(model, shown, _paper_and_ink(model, images)))


def _check(model: Sequential) -> None:
    """Refuse a model for which there is no page."""
    if not model.built:
        raise ValueError("A page needs parameters: give input_shape=… or call build(shape) first.")
    shape = model.input_shape or ()
    if len(shape) != 3 or shape[1] * shape[2] > _MOST_PIXELS:
        raise ValueError(f"A page shows networks for images (C, H, W) of up to 512x512, this one takes {shape}.")
    check_stages(stages_of(model.layers))
    check_classifies(model)
    if model.parameters.size > _MOST_PARAMETERS:
        raise ValueError(
            f"A page carries its weights, at most {_MOST_PARAMETERS:,} of them, this model has "
            f"{model.parameters.size:,}. Export a smaller one."
        )
    if name := broken(model.named_parameters() | model.named_buffers()):
        raise ModelFileError(f"This network is dead: {name} hold NaN or infinity, so it has no answers. Train it anew.")


def _can_be_drawn_for(model: Sequential) -> bool:
    channels, height, width = model.input_shape or (0, 0, 0)
    return channels == 1 and height == width


def _chosen(model: Sequential, images: ArrayLike | None, labels: ArrayLike | None) -> list[dict[str, Any]]:
    """Choose and describe the images that travel along."""
    if images is None:
        if labels is not None:
            raise ValueError("labels are the classes of images: give images=… too.")
        return []
    x = checked_inputs(images, model.input_shape, name="images")
    y = None if labels is None else unmasked("labels", labels)
    classes = max(2, model.output_shape[0])
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "ui" or y.min() < 0 or y.max() >= classes):
        raise ValueError(
            f"labels must be {len(x)} class numbers from 0 to {classes - 1}, one for each image, "
            f"got {y.dtype} of shape {y.shape}."
        )
    rows = range(len(x)) if len(x) <= _IMAGES else range(_IMAGES) if y is None else _worth_seeing(model, x, y)
    return [
        {
            "pixels": _base64(x[row] if x.dtype == np.uint8 else x[row].astype("<f4")),
            "bytes": x.dtype == np.uint8,
            "truth": None if y is None else int(y[row]),
        }
        for row in rows
    ]


def _worth_seeing(model: Sequential, x: NDArray[Any], y: NDArray[Any]) -> list[int]:
    """Rows of a dozen images: the first of each class that the model is right about, then those it is worst at."""
    answers = probabilities(model, x)
    _, first = np.unique(np.where(answers.argmax(axis=1) == y, y, -1), return_index=True)
    by_truth = np.argsort(answers[np.arange(len(y)), y], kind="stable").tolist()
    easy = [row for row in sorted(first.tolist(), key=lambda row: y[row]) if answers[row].argmax() == y[row]]
    return [*easy, *(row for row in by_truth if row not in easy)][:_IMAGES]


def _paper_and_ink(model: Sequential, images: ArrayLike | None) -> tuple[float, float]:
    """The numbers that stand for blank paper and for full ink: the end of the range that the edges have is paper."""
    if images is None:
        return (1.0, 0.0) if _prepared(model).get("polarity") == "dark on light" else (0.0, 1.0)
    x = unmasked("images", images)
    low, high = (0.0, 255.0) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
    if low == high:
        return 0.0, 1.0
    edges = np.concatenate([x[:, :, [0, -1]].ravel(), x[:, :, :, [0, -1]].ravel()])
    is_bright = float(np.median(edges)) > (low + high) / 2
    scale = 255 if x.dtype == np.uint8 else 1
    return (high / scale, low / scale) if is_bright else (low / scale, high / scale)


def _page(model: Sequential, images: list[dict[str, Any]], paper_and_ink: tuple[float, float]) -> str:
    """Put everything into the template."""
    pieces = {file.name: file.read_text("utf-8") for file in (resources.files("handconv.export") / "page").iterdir()}
    description = json.dumps(
        _describe(model, images, paper_and_ink), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    pieces["model"] = description.replace("<", "\\u003c")  # no name in it can end the script element
    pieces["title"] = _title(model)
    return re.sub(r"\{\{([\w.]+)\}\}", lambda mark: pieces[mark[1]], pieces["page.html"])


def _title(model: Sequential) -> str:
    if not _can_be_drawn_for(model):
        return "Watch a network think"
    return "Draw a digit, watch the network think" if _knows_digits(model) else "Draw, and watch the network think"


def _knows_digits(model: Sequential) -> bool:
    return _is_framed(model) and _class_names(model) == [str(digit) for digit in range(10)]


def _is_framed(model: Sequential) -> bool:
    """Whether the images are framed as MNIST's are; of a model that knows nothing of them, that is assumed."""
    if fit := _prepared(model).get("fit"):
        return bool(fit == "centre")
    return model.info.get("dataset") in (None, "mnist", "digits")


def _prepared(model: Sequential) -> dict[str, Any]:
    """What the model keeps of the form of the images that it was trained on, if anything."""
    kept = model.info.get("preparation")
    return kept if isinstance(kept, dict) else {}


def _describe(model: Sequential, images: list[dict[str, Any]], paper_and_ink: tuple[float, float]) -> dict[str, Any]:
    """Describe the model by plain values, and all that it learnt in base64."""
    dataset, accuracy = str(model.info.get("dataset") or ""), model.info.get("test_accuracy")
    layers, numbers = describe(stages_of(model.layers))
    return {
        "layers": layers,
        "numbers": _base64(numbers.astype("<f4")),
        "parameters": len(model.parameters),
        "inputShape": model.input_shape,
        "ending": _ending(model),
        "classes": _class_names(model),
        "dataset": title_of(dataset),
        "accuracy": float(accuracy) if isinstance(accuracy, int | float) and np.isfinite(accuracy) else None,
        "isDrawn": _can_be_drawn_for(model),
        "isDigit": _knows_digits(model),
        "isFramed": _is_framed(model),
        "paper": paper_and_ink[0],
        "ink": paper_and_ink[1],
        "images": images,
    }


def _ending(model: Sequential) -> str:
    """What the outputs are: probabilities after Softmax, the one of "yes" after a single Sigmoid, or scores."""
    last = model.layers[-1]
    if isinstance(last, kinds.Softmax):
        return "softmax"
    return "sigmoid" if isinstance(last, kinds.Sigmoid) else "scores"


def _class_names(model: Sequential) -> list[str]:
    """The names of the classes that the model knows, then numbers."""
    count = max(2, model.output_shape[0])
    names = [str(name) for name in model.info.get("class_names") or ()][:count]
    return [*names, *map(str, range(len(names), count))]


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
