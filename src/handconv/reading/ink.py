"""What is ink in a picture: the paper is estimated and taken off, the lines that were printed on it too.

    paper (H, W)   closing of the picture by a square wider than any stroke: the brightness that the paper would have
                   without ink; an edge of light or shadow across the sheet, and its own edge on a desk, stay sharp
    ink (H, W)     (paper - picture) / paper, so that ink in the shadow counts as much as ink in the light
    mask (H, W)    where ink exceeds the noise, and a part of what is the ink of its own connected component
    rules          runs far longer than a stroke, across the picture: the lines of ruled or squared paper; taken off,
                   and strokes that crossed them closed again

All this is for dark ink on light paper; the negative of the picture is read for the other way round. ``cv`` is OpenCV.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_FAINTEST = 0.05  # ink below this share of the paper's brightness is none
_ABOVE_NOISE = 4.5  # ink stands out this many standard deviations of the paper's noise
_LIT = 70  # percentile of the paper's brightness from which it tells the noise
_STRONG = 2.0  # times that, ink is no noise
_LEAST_SHARE, _LEAST_SHARE_ACROSS = 0.28, 0.4  # of the ink of a component; of one across the picture, with lines
_NEUTRAL = 0.4  # paper is coloured if its channels differ by more than this share of the brightest
_LEAST_PAPER = 30  # brightness below which there is no telling ink from paper
# Of the lines on paper, in parts of the side: a run, the gap between two, all of a line, its width.
_RULE_LENGTH, _RULE_GAP, _RULE_REACH, _RULE_WIDTH = 0.12, 0.4, 0.7, 0.02
_DARKER = 1.5  # times the ink of a line on paper, from which a stroke lies on it
_MOST_PARTS, _GRAIN = 100, 4  # components that are looked at, and pixels up to which one is a grain of noise


def in_one_channel(picture: Image) -> tuple[Image, Image]:
    """Reduce colours to one channel: for dark ink on light paper, and, as its negative, for light ink on dark paper.

    On white, grey or black paper that is the darkest channel, or the lightest one, for ink of any colour; on coloured
    paper the direction in which the colours differ most (their first principal component).
    """
    if picture.ndim == 2:
        return picture, 255 - picture
    colours = picture.reshape(-1, 3).astype(np.float32)
    paper = np.median(colours, axis=0)
    if np.ptp(paper) <= _NEUTRAL * max(paper.max(), _LEAST_PAPER):
        return picture.min(axis=-1), 255 - picture.max(axis=-1)
    centred = colours - paper
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    values = centred @ (direction * np.sign(direction.sum() or 1))
    scaled = (values - values.min()) * (255 / max(float(np.ptp(values)), 1))
    grey: Image = scaled.astype(np.uint8).reshape(picture.shape[:2])
    return grey, 255 - grey


def find_ink(cv: Any, smooth: Image, scale: float) -> tuple[Floats, Floats]:
    """How much ink each pixel has, 0 to 1; less than noise may be is none, and the second array is that limit."""
    size = int(scale * min(smooth.shape)) | 1
    paper = cv.morphologyEx(smooth, cv.MORPH_CLOSE, np.ones((size, size), np.uint8)).astype(np.float32)
    difference = paper - smooth
    lit = difference[paper >= np.percentile(paper, _LIT)]  # the sheet, where it lies on a darker desk
    low, quarter = np.percentile(lit, (5, 20))  # of a normal distribution; more than half may be ink
    noise = (quarter - low) / 0.80
    bare = quarter + 0.84 * noise  # the closing follows the brightest grains of the paper
    paper = np.maximum(paper, _LEAST_PAPER)
    ink, least = (difference - bare) / paper, np.maximum(_ABOVE_NOISE * noise / paper, _FAINTEST)
    return np.where(ink > least, ink, 0), least


def mark_ink(cv: Any, ink: Floats, least: Floats) -> Image:
    """Mark the pixels that have at least a part of the ink of their connected component, if that has strong ink."""
    count, labels, stats, _ = cv.connectedComponentsWithStats((ink > 0).astype(np.uint8))
    mask = np.zeros(ink.shape, np.uint8)
    for label in largest_components(stats, count):
        left, top, width, height, _ = stats[label]
        place = np.s_[top : top + height, left : left + width]
        own = labels[place] == label
        full = np.percentile(ink[place][own], 95)
        if full < _STRONG * least[place][own].mean():
            continue
        across = max(width / ink.shape[1], height / ink.shape[0]) > _RULE_REACH
        mask[place] |= own & (ink[place] > (_LEAST_SHARE_ACROSS if across else _LEAST_SHARE) * full)
    return mask


def remove_rules(cv: Any, mask: Image, ink: Floats) -> Image:
    """Take the lines of ruled and squared paper off, not what is much darker; close the strokes that crossed them."""
    for across in (False, True):
        image, amount = (mask.T.copy(), ink.T) if across else (mask, ink)
        height, width = image.shape
        length, thickest = int(_RULE_LENGTH * width), max(int(_RULE_WIDTH * height), 3)
        runs = cv.morphologyEx(image, cv.MORPH_OPEN, np.ones((1, max(length, 3)), np.uint8))
        # What is thicker than a line is a stroke that lies flat.
        runs &= 1 - cv.morphologyEx(runs, cv.MORPH_OPEN, np.ones((thickest + 1, 1), np.uint8))
        joined = cv.morphologyEx(runs, cv.MORPH_CLOSE, np.ones((3, int(_RULE_GAP * width) | 1), np.uint8))
        count, labels, stats, _ = cv.connectedComponentsWithStats(joined)
        lines = [label for label in range(1, count) if stats[label][cv.CC_STAT_WIDTH] >= _RULE_REACH * width]
        if not lines:
            continue
        line = cv.dilate(np.isin(labels, lines).astype(np.uint8) & runs, np.ones((3, 3), np.uint8)) & image
        line &= amount < _DARKER * np.median(amount[line > 0])
        rest = image & (1 - line)
        bridge = cv.morphologyEx(rest, cv.MORPH_CLOSE, np.ones((2 * thickest + 3, 1), np.uint8))
        image = rest | (bridge & line)
        mask = image.T.copy() if across else image
    return mask


def largest_components(stats: NDArray[np.int32], count: int) -> list[int]:
    """The components with the most pixels, without the background and single grains."""
    order = np.argsort(-stats[1:count, 4], kind="stable")[:_MOST_PARTS] + 1
    return [int(label) for label in order if stats[label, 4] > _GRAIN]
