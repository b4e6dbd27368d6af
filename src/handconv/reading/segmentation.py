"""Where the digits of a photograph or drawing are: the parts of its ink, in the order in which they are read.

ink, mask   what is ink, under each of four assumptions: dark or light, bold or not (see ``ink``)
parts       connected components with paper around them, without specks and frames; parts close together are one digit;
            what enters from outside counts if it has the size of the digits, and is known for one
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.reading.ink import Floats, Image, find_ink, in_one_channel, largest_components, mark_ink, remove_rules
from handconv.utils.optional_imports import import_optional

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are not part of it."""

#: Pixels of the longer side of a picture to which larger ones are scaled.
LARGEST = 1024
_SMALLEST = 256  # the same for smaller ones
# Widths of the closing, in parts of the shorter side: bold strokes need the first, narrow shadows the second.
_SCALES = (0.45, 0.15)
#: How many assumptions about the ink are tried.
WAYS = 2 * len(_SCALES)
_BLUR = 1.0  # standard deviation of the blur against the grain of paper and camera
# A few pixels beside a stroke, there is this share of the contrast; where it is not, light fades.
_SHARP, _MOST_FADING = 0.4, 0.3
_STRIP = 0.8  # of its box is filled by a strip of light, or of the desk, along an edge of the picture
# Of what is around ink, this much may be as dark, with less than a share of the contrast; else it is an edge.
_MOST_DARK, _AS_DARK = 0.33, 0.6
_EVEN = 0.8  # the same, from which what is around ink is even paper; what is not may be cloth
_ENTERING = 0.1  # how much ink counts that enters the picture from outside
_LEAST_HEIGHT, _LEAST_PIXELS = 0.035, 8  # of a digit: in parts of the longer side, and in the picture's own pixels
_LEAST_CONTRAST = 0.2  # of ink and paper, in parts of that of the whole picture
_SPECK = 0.04  # a part with less than this share of the largest part's ink is a speck
_SHORTEST = 0.4  # of the tallest digit, for others beside it
_SAME_INK = 0.8  # of the pixels of a part, from which its ink is that of another part
_LIKE = 0.6  # of the height and contrast of digits, for others that touch the edge
_PALEST = 0.3  # of the darkest digit
_IN_LINE = 0.1  # of the height of the lower one of two digits that are neighbours in a line is beside the other


@dataclass(frozen=True)
class Part:
    """Ink that may be a digit.

    Args:
        box: where it is in the picture, in the picture's pixels.
        ink: uint8 (h, w), from 0 (paper) to 255 (ink).
        contrast: how far ink and paper are apart, from 0 to 1 (black on white).
        on_paper: whether what is around it is even, as paper is; ink may also be a fold or a stripe of something.
        enters: whether it touches the picture's edge, beside others that do not: a digit, or whatever else.
    """

    box: Box
    ink: Image
    contrast: float
    on_paper: bool = True
    enters: bool = False

    def covers(self, other: "Part") -> bool:
        """Whether the ink of another part is ink of this part too."""
        (left, top, right, bottom), (x, y, end, foot) = self.box, other.box
        (height, width), (down, across) = self.ink.shape, other.ink.shape
        rows, columns = np.nonzero(other.ink > 127)
        rows = (y - top + rows * ((foot - y) / down)) * (height / (bottom - top))
        columns = (x - left + columns * ((end - x) / across)) * (width / (right - left))
        own = self.ink[rows.astype(int).clip(0, height - 1), columns.astype(int).clip(0, width - 1)]
        return bool((own > 127).mean() >= _SAME_INK)


@dataclass
class _Component:
    """A connected component, or several that are one digit."""

    labels: list[int]
    left: int
    top: int
    right: int
    bottom: int
    mass: float
    strength: float = 0.0  # the share of the paper's brightness that the ink takes
    contrast: float = 0.0  # how far ink and paper are apart, from 0 to 1 (black on white)
    on_paper: bool = True  # whether what is around it is even
    enters: bool = False  # whether it touches the picture's edge, beside others that do not

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def join(self, other: "_Component") -> None:
        """Take another one in."""
        self.labels += other.labels
        self.left, self.top = min(self.left, other.left), min(self.top, other.top)
        self.right, self.bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        self.strength, self.contrast = max(self.strength, other.strength), max(self.contrast, other.contrast)
        self.mass += other.mass
        self.on_paper &= other.on_paper


def segmentations(picture: Image) -> Iterator[list[Part]]:
    """Find what may be digits, under each assumption about the ink: dark or light, bold or not.

    Shapes:
        (H, W) or (H, W, 3)
    """
    cv = import_optional("cv2", extra="cli")
    longer = max(picture.shape[:2])
    zoom = _SMALLEST / longer if longer < _SMALLEST else min(LARGEST / longer, 1.0)
    if zoom != 1:
        size = tuple(max(round(side * zoom), 1) for side in picture.shape[1::-1])
        picture = cv.resize(picture, size, interpolation=cv.INTER_CUBIC if zoom > 1 else cv.INTER_AREA)
    for dark in in_one_channel(picture):
        smooth = cv.GaussianBlur(dark, (0, 0), _BLUR)
        for scale in _SCALES:
            yield _parts(cv, smooth, scale, zoom)


def _parts(cv: Any, smooth: Image, scale: float, zoom: float) -> list[Part]:
    """Find what may be digits of dark ink, from left to right, line by line."""
    ink, least = find_ink(cv, smooth, scale)
    mask = remove_rules(cv, mark_ink(cv, ink, least), ink)
    labels, components = _components(cv, mask, smooth, ink)
    found = _digits(components, ink.shape, max(_LEAST_HEIGHT * max(ink.shape), _LEAST_PIXELS * zoom))
    return [_cut(cv, ink, labels, component, zoom) for component in _in_reading_order(found)]


def _components(cv: Any, mask: Image, smooth: Image, ink: Floats) -> tuple[NDArray[np.int32], list[_Component]]:
    """Divide the mask into connected components, corners too, and keep those that have paper around them."""
    count, labels, stats, _ = cv.connectedComponentsWithStats(mask)
    least = _LEAST_CONTRAST * float(np.ptp(np.percentile(smooth, (1, 99)))) / 255
    found = []
    for label in largest_components(stats, count):
        left, top, width, height, area = (int(number) for number in stats[label])
        place = np.s_[top : top + height, left : left + width]
        own = ink[place][labels[place] == label]
        each = _Component([label], left, top, left + width, top + height, float(own.sum()))
        each.strength = float(np.percentile(own, 90))
        each.contrast, each.on_paper = _surroundings(cv, smooth, labels, each)
        is_strip = _edges(each, ink.shape) == 3 and area > _STRIP * width * height
        if each.contrast > least and not is_strip:
            found.append(each)
    return labels, found


def _surroundings(cv: Any, smooth: Image, labels: NDArray[np.int32], each: _Component) -> tuple[float, bool]:
    """How far a component and its surroundings are apart, 0 if some are as dark, or it fades into them; are they even?

    Each pixel is compared with the nearest ink, which lies in the same light or shadow. Light multiplies the
    brightness of dark ink and its paper, and, in the negative, the darkness of light ink and its board.
    """
    margin = max(2 * max(each.height, each.width) // 5, 3)
    top, left = max(each.top - margin, 0), max(each.left - margin, 0)
    place = np.s_[top : each.bottom + margin, left : each.right + margin]
    own = labels[place] == each.labels[0]
    spread = [cv.dilate(own.astype(np.uint8), np.ones((size, size), np.uint8)) > 0 for size in (5, 9, 2 * margin + 3)]
    edge, around = spread[1] & ~spread[0], spread[2] & ~spread[0]
    if not edge.any():
        return 0.0, False
    bright = smooth[place].astype(np.float32)
    nearest = cv.distanceTransformWithLabels((~own).astype(np.uint8), cv.DIST_L1, 3, labelType=cv.DIST_LABEL_PIXEL)[1]
    dark = np.zeros(nearest.max() + 1, np.float32)
    dark[nearest[own]] = cv.erode(bright, np.ones((5, 5), np.uint8))[own]
    apart = bright - dark[nearest]
    share, of_board = apart / np.maximum(bright, 1), apart / np.maximum(255 - dark[nearest], 1)
    paper = float(np.percentile(share[around], 90))
    if (share[edge] < _SHARP * paper).mean() > _MOST_FADING or (share[around] < _AS_DARK * paper).mean() > _MOST_DARK:
        return 0.0, False
    uneven = min((one < _EVEN * np.percentile(one, 90)).mean() for one in (share[around], of_board[around]))
    contrast = float(np.percentile(bright[around], 90) - np.median(bright[own])) / 255
    return contrast, bool(uneven <= _MOST_DARK)


def _digits(components: list[_Component], shape: tuple[int, ...], least_height: float) -> list[_Component]:
    """Choose the components that may be digits, and join those that are parts of one."""
    inside = [each for each in components if not _edges(each, shape)]
    kept = _without_frames(inside)
    if not kept:  # a digit may fill the picture; what else enters it counts little beside what is found otherwise
        kept = _without_frames(components)
        for each in kept:
            each.contrast *= _ENTERING
    if not kept:
        return []
    heaviest = max(each.mass for each in kept)
    kept = _joined([each for each in kept if each.mass >= _SPECK * heaviest])
    least_height = max(least_height, _SHORTEST * max(each.height for each in kept))
    darkest = max(each.contrast for each in kept)
    found = [each for each in kept if each.height >= least_height and each.contrast >= _PALEST * darkest]
    return found + (_entering(components, found, shape) if found and not _edges(found[0], shape) else [])


def _entering(components: list[_Component], found: list[_Component], shape: tuple[int, ...]) -> list[_Component]:
    """What touches an edge of the picture and has the size and the contrast of the digits that do not."""
    tallest, darkest = max(each.height for each in found), max(each.contrast for each in found)
    entering = []
    for each in components:
        alike = _LIKE <= each.height / tallest <= 1 / _LIKE and each.contrast >= _LIKE * darkest
        if alike and _edges(each, shape) and each.width < shape[1] and each.height < shape[0]:
            each.enters, each.contrast = True, each.contrast * _ENTERING
            entering.append(each)
    return entering


def _edges(each: _Component, shape: tuple[int, ...]) -> int:
    """How many edges of the picture a component touches."""
    return sum((each.left == 0, each.top == 0, each.right == shape[1], each.bottom == shape[0]))


def _without_frames(components: list[_Component]) -> list[_Component]:
    """Leave out what goes around something of at least a quarter of its height."""

    def surrounds(outer: _Component, inner: _Component) -> bool:
        return (
            outer.left < inner.left
            and outer.top < inner.top
            and outer.right > inner.right
            and outer.bottom > inner.bottom
            and inner.height > outer.height / 4
        )

    return [each for each in components if not any(surrounds(each, other) for other in components)]


def _joined(components: list[_Component]) -> list[_Component]:
    """Join parts of one digit: a stroke that stands off, or pieces of a stroke that is broken."""
    left = sorted(components, key=lambda each: -each.height)
    found: list[_Component] = []
    for each in left:
        near = next((other for other in found if _belongs(each, other)), None)
        if near is None:
            found.append(each)
        else:
            near.join(each)
    return found


def _belongs(small: _Component, large: _Component) -> bool:
    """Whether a component is part of the same digit as a taller one."""
    aside = max(small.left - large.right, large.left - small.right, 0)
    above = max(small.top - large.bottom, large.top - small.bottom, 0)
    overlap = min(small.right, large.right) - max(small.left, large.left)
    in_line = overlap >= min(small.width, large.width) / 2
    if small.height < large.height / 2:
        return aside <= 0.12 * large.height and above <= (0.4 if in_line else 0.12) * large.height
    return in_line and above <= 0.06 * large.height


def _in_reading_order(components: list[_Component]) -> list[_Component]:
    """Sort into lines from top to bottom, each from left to right; a line may rise, fall, and go up and down."""
    lines: list[list[_Component]] = []
    for each in sorted(components, key=lambda one: one.left):
        # Beside the last one of a line, or else beside an earlier one: a line may jump by more than a digit's height.
        near = [(_beside(line[-1], each), max(_beside(one, each) for one in line), line) for line in lines]
        _, nearest, line = max(near, key=lambda found: found[:2], default=(0.0, 0.0, []))
        if nearest > 0:
            line.append(each)
        else:
            lines.append([each])
    lines.sort(key=lambda line: sum(one.top + one.bottom for one in line) / len(line))
    return [each for line in lines for each in line]


def _beside(one: _Component, other: _Component) -> float:
    """How far two components overlap as those of a line do, in parts of the lower one; 0 if one is above the other."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = down / min(one.height, other.height)
    return shared if shared >= max(across / min(one.width, other.width), _IN_LINE) else 0.0


def _cut(cv: Any, ink: Floats, labels: NDArray[np.int32], component: _Component, zoom: float) -> Part:
    """Cut a component out, with the soft edges of its strokes, and nothing of others."""
    margin = 2
    top, left = max(component.top - margin, 0), max(component.left - margin, 0)
    place = np.s_[top : component.bottom + margin, left : component.right + margin]
    own = np.isin(labels[place], component.labels)
    edge = cv.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) & (labels[place] == 0)
    share = ink[place] / component.strength
    strength = np.where(own, np.clip(share, 0.5, 1), np.where(edge, np.clip(share, 0, 0.45), 0))
    ends = (component.left, component.top, component.right, component.bottom)
    left, top, right, bottom = (round(end / zoom) for end in ends)
    box = (left, top, max(right, left + 1), max(bottom, top + 1))
    return Part(box, (255 * strength).astype(np.uint8), component.contrast, component.on_paper, component.enters)
