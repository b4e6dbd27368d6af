"""What is inside a network: filters, feature maps, what an answer rests on, what units look for, the hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.analysis import answer
from handconv.analysis.attribution import (
    exciting_input,
    grad_cam,
    hires_cam,
    integrated_gradients,
    saliency,
)
from handconv.analysis.hidden import last_hidden, principal_components
from handconv.layers import Conv2D
from handconv.plots.answers import as_pictures, show_picture
from handconv.sequential import Sequential
from handconv.utils.figures import CLASSES, headline, new_figure, shortened, tidy
from handconv.utils.optional_imports import import_optional
from handconv.utils.validation import broken, is_int, unmasked
from handconv.utils.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 32  # filters, or maps of a layer, that are drawn
_DEEP = 12  # layers with maps that have rows one below the other
_MARKERS = "osD^v<>Xph"
_LISTED = 20  # names that a legend beside the map has room for; more stand below it
_MAPPED = 1000  # samples on a map: more hide one another, and t-SNE takes minutes
_ROUNDING = 1e-5  # by which numbers of equal samples may differ, as their sums depend on their places in a batch


def filters(model: Sequential) -> Figure:
    """Draw the filters of the first convolution: orange raises the output, purple lowers it.

    Args:
        model: the network.

    Raises:
        ValueError: if it has no convolution.
        MissingExtraError: if matplotlib is not installed.
    """
    check_alive(model)
    found = [(path, layer) for path, layer in model.tree() if isinstance(layer, Conv2D)]
    if not found:
        raise ValueError("This draws filters, and the model has no convolution. Use a model with a Conv2D.")
    path, layer = found[0]
    weights = layer.weights.mean(axis=1)  # (F, KH, KW)
    kernel = "×".join(map(str, weights.shape[1:]))
    shown = min(len(weights), _MOST)
    most = float(np.abs(weights[:shown]).max()) or 1.0
    columns = min(8, shown)
    rows = -(-shown // columns)
    figure = new_figure(max(1.15 * columns + 1, 6), 1.35 * rows + 0.9)
    picture: Any = None
    for place in range(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        picture = axes.imshow(weights[place], cmap="PuOr_r", vmin=-most, vmax=most)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(str(place), fontsize=9)
    figure.colorbar(picture, ax=figure.axes, label="weight", shrink=0.8)
    part = f"The first {shown} of {len(weights)}" if shown < len(weights) else f"The {shown}"
    channels = f", mean over {layer.weights.shape[1]} channels" if layer.weights.shape[1] > 1 else ""
    headline(figure, f"{part} filters of layer {path}, {kernel}{channels}")
    return figure


def feature_maps(model: Sequential, image: ArrayLike) -> Figure:
    """Draw an image and what each layer makes of it, a row a layer, as long as they give maps.

    Args:
        model: the network.
        image: one image (C, H, W).

    Raises:
        ValueError: if the image does not fit, or no layer gives maps.
        MissingExtraError: if matplotlib is not installed.
    """
    check_alive(model)
    batch = unmasked("image", image)[None]
    picture = as_pictures(batch)[0]
    if not any(isinstance(layer, Conv2D) for _, layer in model.tree()):
        raise ValueError("This draws feature maps, and the model has no convolution. Use a model with a Conv2D.")
    layers = [place for place, layer in enumerate(model.layers) if len(layer.output_shape or ()) == 3]
    is_deep = len(layers) > _DEEP  # then half of the rows stand beside the others
    most_maps = max((model.layers[place].output_shape or (1,))[0] for place in layers)
    columns = min(most_maps, 4 if is_deep else 8)
    maps = [model[: place + 1].predict(batch)[0] for place in layers]
    blocks = 2 if is_deep else 1
    rows = -(-(len(layers) + 1) // blocks)
    figure = new_figure(max(blocks * (1.05 * columns + 1.8), 6), 1.15 * rows + 0.6)
    panels = figure.subplots(rows, blocks * columns, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    grid = np.concatenate(np.split(panels, blocks, axis=1))[: len(layers) + 1]
    show_picture(grid[0, 0], picture)
    _side_note(grid[0, 0], "the image")
    for row, place, own in zip(grid[1:], layers, maps, strict=True):
        most = float(np.abs(own[:columns]).max()) or 1.0
        for axes, each in zip(row, own[:columns], strict=False):
            axes.imshow(each, cmap="PuOr_r", vmin=-most, vmax=most)
        count, height, width = own.shape
        _side_note(row[0], f"{place} {type(model.layers[place]).__name__}\n{counted(count, 'map')} {height}×{width}")
    some = f" (the first {columns} maps of each)" if most_maps > columns else ""
    headline(figure, f"What {counted(len(layers), 'layer')} make{'s' * (len(layers) == 1)} of the image{some}")
    return figure


def attributions(
    model: Sequential, image: ArrayLike, label: int | None = None, class_names: Sequence[str] = ()
) -> Figure:
    """Draw what speaks for a class in an image: saliency, integrated gradients, Grad-CAM and HiResCAM.

    Args:
        model: the classifier.
        image: one image (C, H, W).
        label: the class; the model's answer unless given.
        class_names: names of the classes; numbers stand in for those that are missing.

    Raises:
        ValueError: if image or label do not fit, or the model has no convolution.
        MissingExtraError: if matplotlib is not installed.
    """
    check_alive(model)
    batch = unmasked("image", image)[None]
    picture = as_pictures(batch)[0]
    found = answer(model, batch[0])
    chosen = found.label if label is None else label
    labels = np.array([chosen])
    grey = picture.mean(axis=2)
    signed = [saliency(model, batch, labels)[0].sum(axis=0), integrated_gradients(model, batch, labels)[0].sum(axis=0)]
    cams = [grad_cam(model, batch, labels)[0], hires_cam(model, batch, labels)[0]]
    figure = new_figure(7.8, 6)
    panels = figure.subplots(2, 3).ravel()
    show_picture(panels[0], picture)
    panels[0].set_title("the image", fontsize=10)
    for axes, values, title in zip(
        panels[1:3],
        signed,
        ("saliency:\nbrighter here, surer", "integrated gradients:\nwhat each pixel brought"),
        strict=True,
    ):
        most = float(np.quantile(np.abs(values), 0.995)) or 1.0
        axes.imshow(values, cmap="PuOr_r", vmin=-most, vmax=most)
        axes.contour(grey, [0.5 * float(grey.max())], colors="black", linewidths=0.6)
        axes.set_title(title, fontsize=10)
    for axes, values, title in zip(
        panels[3:5], cams, ("Grad-CAM:\nwhere maps speak for it", "HiResCAM:\nthe same, cell by cell"), strict=True
    ):
        axes.imshow(values, cmap="cividis", vmin=0, vmax=float(values.max()) or 1.0)
        axes.contour(grey, [0.5 * float(grey.max())], colors="white", linewidths=0.6)
        axes.set_title(title, fontsize=10)
    for axes in panels:
        axes.set_axis_off()
    name = _name(class_names, chosen)
    share = 100 * found.probabilities[chosen]
    headline(figure, f"What speaks for {name} ({share:.1f} %): orange for it, purple against")
    return figure


def exciting_inputs(
    model: Sequential, layer: int = -1, units: Sequence[int] | None = None, class_names: Sequence[str] = ()
) -> Figure:
    """Draw an input for each unit of a layer that excites it much, found by gradient ascent from noise.

    Args:
        model: the network, for images with one channel or three.
        layer: which layer the units are in, by its place; -1 is the last one.
        units: which units; the first ten unless given.
        class_names: names of the classes, for the last layer.

    Raises:
        ValueError: if there is no such layer or unit, or the inputs are no images.
        MissingExtraError: if matplotlib is not installed.
    """
    check_alive(model)
    if not is_int(layer) or not -len(model.layers) <= layer < len(model.layers):
        raise ValueError(f"exciting_inputs: layer must be from 0 to {len(model.layers) - 1}, got {layer!r}.")
    count = (model.layers[layer].output_shape or (1,))[0]
    chosen = range(min(count, 10)) if units is None else units
    if not len(chosen):
        raise ValueError("exciting_inputs: units must be at least one, got none.")
    pictures = as_pictures(np.stack([exciting_input(model, layer, unit) for unit in chosen]))
    columns = min(5, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(max(1.7 * columns, 6), 1.95 * rows + 0.6)
    last = layer in (-1, len(model.layers) - 1)
    yes = int(count == 1)  # a single output is large for class 1
    names = shortened([_name(class_names, unit + yes) if last else f"unit {unit}" for unit in chosen], 16)
    for place, (name, picture) in enumerate(zip(names, pictures, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(_stretched(picture), cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
        axes.set_title(name, fontsize=10)
    what = f"units of layer {layer}, {type(model.layers[layer]).__name__},"
    if last:
        what = "each class" if len(pictures) == count else f"{len(pictures)} of the {count} classes"
        what = f"class {names[0]}" if yes else what
    headline(figure, f"What {what} would like best to see (gradient ascent)")
    return figure


def hidden_map(
    model: Sequential, x: ArrayLike, y: ArrayLike, class_names: Sequence[str] = (), *, method: str = "pca"
) -> Figure:
    """Draw samples as points, near to one another where the last hidden layer sees them alike.

    Args:
        model: the classifier.
        x: samples (N, …); of more than 1,000 the first ones are drawn.
        y: class numbers (N,).
        class_names: names of the classes; numbers stand in for those that are missing.
        method: "pca", the two directions of most variance, or "tsne", by scikit-learn, which keeps neighbours together.

    Raises:
        ValueError: if samples and model do not fit together, or there is no such method.
        MissingExtraError: if matplotlib, or scikit-learn for "tsne", is not installed.

    References:
        van der Maaten and Hinton, Visualizing data using t-SNE, 2008.
    """
    check_alive(model)
    samples, labels = unmasked("x", x)[:_MAPPED], unmasked("y", y)[:_MAPPED]
    if labels.shape != (len(samples),) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise ValueError(
            f"y must hold one class number a sample, ({len(samples)},), from 0 on, got {labels.dtype} of shape "
            f"{labels.shape}."
        )
    if method not in ("pca", "tsne"):
        raise ValueError(f'method must be "pca" or "tsne", got {method!r}.')
    values = last_hidden(model, samples)
    if np.ptp(values, axis=0).max(initial=0) <= _ROUNDING * np.abs(values).max(initial=0):
        values = np.broadcast_to(values[:1], values.shape)  # equal samples: rounding is no direction
    places, share = principal_components(values)
    if method == "tsne":
        places = _tsne(values)
        title = f"The last hidden layer's {values.shape[1]} numbers as a map (t-SNE), {len(values):,} samples"
    else:
        title = (
            f"Two directions hold {100 * share.sum():.0f} % of what the last hidden layer tells apart"
            if share.any()
            else f"The last hidden layer gives the same for all of {counted(len(values), 'sample')}"
        )
    present = np.unique(labels)
    names = shortened([_name(class_names, each) for each in present], 18)
    columns = 1 if len(present) <= _LISTED else max(1, int(6.9 / (0.6 + 0.08 * max(map(len, names)))))
    figure = new_figure(7, 5.6 if columns == 1 else 5.6 + 0.18 * -(-len(present) // columns))
    axes = figure.add_subplot()
    for order, (each, name) in enumerate(zip(present, names, strict=True)):
        own = places[labels == each]
        marker = _MARKERS[(order + order // len(CLASSES)) % len(_MARKERS)]
        colour = CLASSES[order % len(CLASSES)]
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=12,
            marker=marker,
            color=colour,
            alpha=0.6,
            linewidths=0,
            label=name,
        )
    if method == "pca":
        tidy(axes, "", f"first direction ({100 * share[0]:.0f} %)", f"second direction ({100 * share[1]:.0f} %)")
    else:
        axes.set_frame_on(False)
    axes.set_xticks([])
    axes.set_yticks([])
    where = "right center" if len(present) <= _LISTED else "lower left"
    figure.legend(loc=f"outside {where}", frameon=False, markerscale=2, ncols=columns, fontsize=9)
    headline(figure, title)
    return figure


def _tsne(values: NDArray[Any]) -> NDArray[Any]:
    """Lay samples (N, D) out in the plane by t-SNE: (N, 2)."""
    manifold = import_optional("sklearn.manifold", extra="tsne")
    layout = manifold.TSNE(perplexity=min(30.0, (len(values) - 1) / 3), init="pca", random_state=0)
    threads = import_optional("threadpoolctl", extra="tsne")  # which scikit-learn needs itself
    with threads.threadpool_limits(1, user_api="openmp"):  # many wait for each other, for minutes on a busy machine
        places: NDArray[Any] = layout.fit_transform(values)
    return places


def check_alive(model: Sequential) -> None:
    """Refuse what is no network, and one whose numbers are none: its pictures would be blank."""
    if not isinstance(model, Sequential):
        raise TypeError(f"This expects a handconv.Sequential, got {model!r}.")
    if name := broken(model.named_parameters() | model.named_buffers()):
        raise ValueError(
            f"This network is dead: {name} hold NaN or infinity, so there is nothing to see. Train it anew."
        )


def _side_note(axes: Any, text: str) -> None:
    """Write to the left of a picture what it is."""
    axes.text(-0.12, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=8)


def _stretched(picture: NDArray[Any]) -> NDArray[Any]:
    """Bring the darkest value to 0 and the brightest to 1."""
    least, most = picture.min(), picture.max()
    stretched: NDArray[Any] = (picture - least) / ((most - least) or 1)
    return stretched


def _name(class_names: Sequence[str], label: int) -> str:
    return class_names[label] if label < len(class_names) else str(label)
