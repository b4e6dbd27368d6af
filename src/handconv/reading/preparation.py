"""How the images of a model were prepared, and bringing a picture to the same form.

A network knows what its training images had in common: light things on black, digits framed as MNIST's are. A model
says so in ``model.info["preparation"]``: its polarity ("light on dark", "dark on light", "mixed") and its fit
("centre": framed). The same is done to pictures before the model sees them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.readers.images import checked_picture, grey, resized
from handconv.datasets.readers.mnist_form import SIDE
from handconv.ensemble import Classifier
from handconv.reading.framing import read_clean, read_framed, to_mnist_form

Image = NDArray[np.uint8]
Ground = Literal["dark", "light", "mixed"]

_DIGITS = frozenset("0123456789")
#: The data sets that are known by name.
_KNOWN: dict[str, tuple[Ground, bool]] = {
    "mnist": ("dark", True),
    "digits": ("dark", True),
    "fashion-mnist": ("dark", False),
}
_GROUNDS: dict[str, Ground] = {"light on dark": "dark", "dark on light": "light", "mixed": "mixed"}
_DARK, _LIGHT = 64, 191


@dataclass(frozen=True)
class InputForm:
    """What the images of a model have in common.

    Args:
        ground: what is on the border of images: "dark", "light", or "mixed".
        framed: whether they are framed as MNIST's digits are: 20x20 in the middle of 28x28.
    """

    ground: Ground = "mixed"
    framed: bool = False


def input_form(model: Classifier) -> InputForm:
    """How the images of a model were prepared, as far as it knows.

    Args:
        model: what it knows is in its ``info``.
    """
    kept = model.info.get("preparation")
    if isinstance(kept, Mapping) and kept.get("polarity") in _GROUNDS:
        return InputForm(_GROUNDS[kept["polarity"]], kept.get("fit") == "centre")
    ground, framed = _KNOWN.get(str(model.info.get("dataset")), ("mixed", False))
    return InputForm(ground, framed)


def reads_digits(model: Classifier) -> bool:
    """Whether a model tells digits apart that are framed as MNIST's are; one that says nothing of itself may do so.

    Args:
        model: what it knows is in its ``info``.
    """
    if not {"dataset", "preparation", "class_names"} & set(model.info):
        return model.input_shape == (1, 28, 28) and model.output_shape == (10,)
    names = {str(name) for name in model.info.get("class_names", ())}
    return model.input_shape == (1, 28, 28) and input_form(model).framed and bool(names) and names <= _DIGITS


def prepare(picture: Image, form: InputForm, size: tuple[int, int], *, colour: bool = False) -> tuple[Image, str]:
    """Bring a picture to the form of a model's images, its aspect ratio kept.

    A picture in grey becomes its negative where that makes it one of the model's kind; colours stay.

    Args:
        picture: uint8 (H, W) or (H, W, 3).
        form: what the images of the model have in common.
        size: their height and width.
        colour: whether they have colours.

    Returns:
        The image (1, H, W), or (3, H, W) with colours, and what a user should know of it; empty if it fits.

    Raises:
        ValueError: if the picture is no such array.
    """
    picture = checked_picture(picture)
    image, remark = grey(picture), ""
    if form.framed and not colour and size == (SIDE, SIDE):
        if (framed := read_framed(image)) is not None:
            return framed[None], ""
        if (clean := read_clean(image)) is not None:
            return to_mnist_form(clean[0])[None], ""
    ground = _border(image)
    if form.ground != "mixed":
        if not colour and (ground > 127) == (form.ground == "dark"):
            image, ground = 255 - image, 255 - ground
            remark = f"turned into its negative, as the model knows images on {form.ground} ground"
        if (ground >= _DARK) if form.ground == "dark" else (ground <= _LIGHT):
            remark = f"the model knows images on {form.ground} ground, which this is not; the answer may be wrong"
    height, width = image.shape
    side = max(height / size[0], width / size[1])
    down, right = round(side * size[0]) - height, round(side * size[1]) - width
    padding = ((down // 2, down - down // 2), (right // 2, right - right // 2))
    if not colour:
        return resized(np.pad(image, padding, constant_values=round(ground)), size)[None], remark
    planes = np.broadcast_to(picture if picture.ndim == 3 else picture[..., None], (height, width, 3))
    padded = [np.pad(plane, padding, constant_values=round(_border(plane))) for plane in np.moveaxis(planes, 2, 0)]
    return np.stack([resized(plane, size) for plane in padded]), remark


def _border(image: NDArray[Any]) -> float:
    """The median brightness of an image's border."""
    return float(np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])))
