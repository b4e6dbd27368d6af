"""Reading the digits of a picture, and saying so when there are none, several, or one that is in doubt.

image     28x28, from a file that is in MNIST's form, from a clean picture, or cut out of a photograph
p_digit   of a network that tells digits from everything else (digit-or-not.npz, made by scripts/make_reader.py)
p         of the model
known     p_digit · max p; below the threshold under which 1.5 % of MNIST's digits are, the answer is in doubt
"""

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handconv.analysis import probabilities
from handconv.datasets.readers.images import checked_picture, grey, read_picture
from handconv.ensemble import Classifier
from handconv.reading.framing import read_clean, read_framed, to_mnist_form
from handconv.reading.segmentation import LARGEST, WAYS, Box, Part, segmentations
from handconv.reading.splitting import pieces
from handconv.sequential import Sequential, load
from handconv.zoo import trained_reference

Image = NDArray[np.uint8]
# What has a smaller probability of being a digit is nothing like one: 0.4 % of MNIST's images.
_NOTHING = 0.1
# Width, in heights, from which what is no digit may be several that touch, and from which hardly anything is one.
_WIDE, _WIDEST = 0.7, 1.7
_BARS, _STRAIGHT = 3, 0.95  # bars of a barcode, and how much of its box a bar fills
_LARGER = 1.1  # times the area of digits, from which a mark around them is more than they
_SHEET = 5.0  # times the area of a digit, from which what is around it may be the sheet that it is on
_LIKELY, _CUTS = 0.5, 15  # how likely several must be; and how many times surer, as there are many ways to cut

Verdict = Literal["digit", "digits", "unsure", "several digits", "nothing like a digit"]


@dataclass(frozen=True)
class Digit:
    """One digit of a picture.

    Args:
        label: the class number that the model takes it for.
        probabilities: one a class, calibrated.
        known: how far it is a digit, and one that the model is sure of, 0 to 1.
        verdict: "digit", "unsure" or "nothing like a digit".
        box: where it is in the picture, in pixels: left, top, right, bottom.
        image: what the network saw, uint8 (28, 28).
    """

    label: int
    probabilities: tuple[float, ...] = field(repr=False)
    known: float
    verdict: Verdict
    box: Box
    image: Image = field(repr=False, compare=False)

    @property
    def confidence(self) -> float:
        """The probability of the label."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Reading:
    """What a picture was read as.

    Args:
        verdict: "digit", "digits", "unsure" (the text is a guess), "several digits" (where one was asked for), or
            "nothing like a digit".
        digits: what was found, from left to right, lines from top to bottom.
        text: the digits' names, one after the other; empty if there is no answer.
        others: marks as large as the digits that are nothing like one; where there are any, all is a guess.
        picture: uint8 (H, W) or (H, W, 3).
    """

    verdict: Verdict
    digits: tuple[Digit, ...]
    text: str
    others: int
    picture: Image = field(repr=False, compare=False)

    @property
    def confidence(self) -> float:
        """The smallest of the digits' probabilities; 0 if there is no answer."""
        return min((digit.confidence for digit in self.digits), default=0.0) if self.text else 0.0

    def __str__(self) -> str:
        return f"{self.text} ({self.verdict}, confidence {100 * self.confidence:.2f} %)" if self.text else self.verdict


class DigitReader:
    """Reads the digits of pictures with one model.

    Args:
        model: a classifier of images (1, 28, 28) in MNIST's form; the bundled one unless given.

    Raises:
        ValueError: if the model takes samples of another shape.
        TypeError: if it is no ``Sequential``, and no ``Ensemble``.

    Example:
        >>> import handconv as hc
        >>> data = hc.datasets.load("digits")
        >>> reading = DigitReader().read(255 - data.x_test[3, 0])  # dark on light
        >>> reading.text == str(data.y_test[3]), reading.verdict
        (True, 'digit')
    """

    def __init__(self, model: Classifier | None = None) -> None:
        self.model = trained_reference() if model is None else model
        if not isinstance(self.model, Classifier):
            raise TypeError(f"model must be a handconv.Sequential that tells digits apart, got {model!r}.")
        if self.model.input_shape != (1, 28, 28):
            raise ValueError(
                f"Digits are read by models of images (1, 28, 28), this one takes {self.model.input_shape}. "
                "Train one: handconv train."
            )
        #: What is known less is in doubt.
        self.threshold = float(_detector().info["threshold"])
        self._names = [str(name) for name in self.model.info.get("class_names", ())]

    def read(self, picture: Image, *, one: bool = False) -> Reading:
        """Read a picture.

        Args:
            picture: uint8 (H, W) or (H, W, 3), as ``handconv.datasets.readers.read_picture`` gives it.
            one: whether there is to be one digit, and several are no answer.

        Raises:
            ValueError: if it is no such array.
            MissingExtraError: if the picture is not clean, and OpenCV is not installed.
        """
        picture = checked_picture(picture)
        marks = self._find(picture)
        digits = tuple(mark for mark in marks if mark.verdict != "nothing like a digit")
        others = len(marks) - len(digits)
        if not digits:
            return Reading("nothing like a digit", tuple(marks), "", others, picture)
        if len(digits) > 1 and one:
            return Reading("several digits", digits, "", others, picture)
        verdict: Verdict = "digits" if len(digits) > 1 else "digit"
        if others or any(digit.verdict == "unsure" for digit in digits):
            verdict = "unsure"
        return Reading(verdict, digits, "".join(map(self.name, digits)), others, picture)

    def name(self, digit: Digit) -> str:
        """The name of a digit's class."""
        return self._names[digit.label] if digit.label < len(self._names) else str(digit.label)

    def _find(self, picture: Image) -> list[Digit]:
        """Find digits in the simplest way that finds any, and in a photograph in the way that explains it best."""
        brightness = grey(picture)
        framed = read_framed(brightness)
        if framed is not None:
            return self.recognize([framed])
        clean = read_clean(brightness)
        ways = list(segmentations(picture)) if clean is None else [[Part(clean[1], clean[0], 1.0)]]
        found = [self._of_parts(parts) for parts in ways]
        chosen = max(range(len(found)), key=lambda way: found[way][0])
        best = found[chosen][1]
        for parts, (_, marks) in zip(ways, found, strict=True):
            if best and all(mark.known >= self._surer(WAYS) for mark in marks) and _go_around(marks, best):
                # Digits that touch the picture's edge count little, but more than pieces of their ink.
                pieces_only = all(any(part.covers(piece) for part in parts) for piece in ways[chosen])
                best = marks if pieces_only else _doubted(best, math.inf)
        nothing = [mark for _, marks in found for mark in marks if mark.verdict == "nothing like a digit"]
        if any(digit.verdict == "digit" and _surrounds(mark, digit) for mark in nothing for digit in best):
            return _doubted(best, math.inf)
        readings = [_labels(marks) for _, marks in found]
        confirmed = len(found) == 1 or readings.count(_labels(best)) > 1
        return _doubted(best, self._surer(1 if confirmed else WAYS))

    def _of_parts(self, parts: Sequence[Part]) -> tuple[float, list[Digit]]:
        """Recognise what was cut out of a picture; the first number says how well that explains the picture."""
        wholes = self.recognize([to_mnist_form(part.ink) for part in parts], [part.box for part in parts])
        value, found = 0.0, []
        for part, whole in zip(parts, wholes, strict=True):
            if part.enters and whole.known < self._surer(WAYS):
                continue  # whatever it is, the digits are beside it
            alone = whole.known >= self._surer(WAYS) and _width(part) <= _WIDEST
            digits = [whole] if alone or _width(part) <= _WIDE else self._divided(part, whole)
            if part.enters or not part.on_paper:
                digits = _doubted(digits, math.inf)
            height = part.box[3] - part.box[1]
            value += sum(digit.known * height * part.contrast for digit in digits)
            found += digits
        return value, _doubted(found, math.inf) if _are_bars(parts) else found

    def _divided(self, part: Part, whole: Digit) -> list[Digit]:
        """Recognise ink as several digits that touch, if that is likelier than that it is one."""
        cut = pieces(part.ink)
        left, top, right, bottom = part.box
        scale = (right - left) / part.ink.shape[1]
        boxes = [(left + int(start * scale), top, left + round(end * scale), bottom) for _, start, end in cut.values()]
        digits = self.recognize([to_mnist_form(ink) for ink, _, _ in cut.values()], boxes)
        best: dict[int, tuple[float, list[Digit]]] = {0: (1.0, [])}
        for (first, last), digit in sorted(zip(cut, digits, strict=True), key=lambda each: each[0][::-1]):
            if first in best:
                known, before = best[first]
                way = (known * digit.known, [*before, digit])
                best[last] = max(best.get(last, (0.0, [])), way, key=lambda each: each[0])
        likely, several = best.get(max((last for _, last in cut), default=0), (0.0, []))
        if len(several) > 1 and likely >= max(whole.known, _LIKELY):
            return _doubted(several, self._surer(_CUTS) if whole.verdict == "nothing like a digit" else math.inf)
        return _doubted([whole], math.inf) if _width(part) > _WIDEST else [whole]

    def _surer(self, ways: int) -> float:
        """The threshold for what is found in one of several ways, of which no other confirms it.

        Each is a chance to take something else for a digit, so each must be that many times surer.
        """
        return 1 - (1 - self.threshold) / ways

    def recognize(self, images: Sequence[Image], boxes: Sequence[Box] | None = None) -> list[Digit]:
        """Recognise images that are in MNIST's form already.

        Args:
            images: uint8 (28, 28) each.
            boxes: where they were in a picture; they are pictures of their own unless given.
        """
        if not images:
            return []
        if boxes is None:
            boxes = [(0, 0, image.shape[1], image.shape[0]) for image in images]
        x = np.stack(images)[:, None]
        is_digit = _detector().predict(x)[:, 0].astype(np.float64)
        chances = probabilities(self.model, x).astype(np.float64)
        found = []
        for image, box, detected, row in zip(images, boxes, is_digit, chances, strict=True):
            known = float(detected * row.max())
            verdict: Verdict = "unsure" if detected >= _NOTHING else "nothing like a digit"
            if known >= self.threshold:
                verdict = "digit"
            found.append(Digit(int(row.argmax()), tuple(map(float, row)), known, verdict, box, image))
        return found


def _doubted(digits: list[Digit], threshold: float) -> list[Digit]:
    """Doubt the digits that are known less."""
    return [
        replace(digit, verdict="unsure") if digit.verdict == "digit" and digit.known < threshold else digit
        for digit in digits
    ]


def _are_bars(parts: Sequence[Part]) -> bool:
    """Whether there are straight bars, as many as hardly a number has ones, each as tall as the others: a barcode."""
    solid = [part.ink > 127 for part in parts]
    filled = [ink.sum() / max(ink.any(axis=0).sum() * ink.any(axis=1).sum(), 1) for ink in solid]
    bars = [part.box for part, share in zip(parts, filled, strict=True) if share >= _STRAIGHT]
    slack = max((bottom - top for _, top, _, bottom in bars), default=0) // 20
    return len(bars) >= _BARS and all(np.ptp([box[end] for box in bars]) <= slack for end in (1, 3))


def _labels(marks: list[Digit]) -> tuple[int, ...]:
    """What marks are read as, without those that are nothing like a digit."""
    return tuple(mark.label for mark in marks if mark.verdict != "nothing like a digit")


def _width(part: Part) -> float:
    """How wide ink is, in heights."""
    height, width = part.ink.shape
    return float(width / height)


def _go_around(marks: Sequence[Digit], others: Sequence[Digit]) -> bool:
    """Whether others are but parts of marks that are larger."""
    inside = all(any(_surrounds(mark, other, math.inf) for mark in marks) for other in others)
    return inside and sum(map(_area, marks)) > _LARGER * sum(map(_area, others))


def _area(mark: Digit) -> int:
    left, top, right, bottom = mark.box
    return (right - left) * (bottom - top)


def _surrounds(mark: Digit, digit: Digit, sheet: float = _SHEET) -> bool:
    """Whether a digit is but a part of a mark, to a few pixels, unless that is so large that it may be the sheet."""
    (left, top, right, bottom), (x, y, end, foot) = mark.box, digit.box
    slack = (bottom - top) // 20
    inside = left <= x + slack and top <= y + slack and right >= end - slack and bottom >= foot - slack
    return inside and _area(mark) < sheet * _area(digit)


def read_digit(path: str | os.PathLike[str], model: Classifier | None = None, *, one: bool = False) -> Reading:
    """Read the digits of a photograph or drawing.

    The ink is found on its paper, dark on light or light on dark, in uneven light, on ruled or squared paper; each
    digit is cut out, those that touch are cut apart, and brought to the form of MNIST; a second network says whether
    it is one at all.

    Args:
        path: a PNG, JPEG, WebP, BMP, GIF or TIFF file.
        model: what recognises the digits, of images (1, 28, 28); the bundled model unless given.
        one: whether there is to be one digit, and several are no answer.

    Returns:
        The reading: ``text``, ``verdict`` ("digit", "digits", "unsure", "several digits", "nothing like a digit"),
        ``confidence``, and ``digits`` with label, probabilities, box and image.

    Raises:
        DataError: if the file is no image, is broken, cut off or too large.
        TypeError: if it is no path.
        ValueError: if the model takes samples of another shape.
        OSError: if the file cannot be opened (``FileNotFoundError``, ``IsADirectoryError``, …).
        MissingExtraError: if Pillow, or for photographs OpenCV, is not installed.

    Example:
        >>> import pathlib, tempfile, handconv as hc
        >>> from PIL import Image
        >>> path = pathlib.Path(tempfile.mkdtemp(), "two.png")
        >>> Image.fromarray(255 - hc.datasets.load("digits").x_test[3, 0]).save(path)
        >>> hc.read_digit(path).text
        '2'
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"read_digit reads a file, got {type(path).__name__}. An array: handconv.reading.DigitReader().read(array)."
        )
    return DigitReader(model).read(read_picture(path, at_most=LARGEST), one=one)


@functools.cache
def _detector() -> Sequential:
    """Load the network that tells digits from everything else: probabilities of "digit" and "other"."""
    return load(Path(__file__).with_name("digit-or-not.npz"))
