"""Pictures of digits as people make them, drawn here: a stroke font, pens, papers, lights, and cameras."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Image = pytest.importorskip("PIL.Image", reason="pictures are drawn by Pillow, which is not installed")
ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="pictures are drawn by Pillow, which is not installed")

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Random = np.random.Generator

_TURN = np.linspace(0, 2 * np.pi, 24)
#: The strokes of each digit, in a square from 0 to 1.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.5 + 0.32 * float(np.sin(angle)), 0.5 - 0.5 * float(np.cos(angle))) for angle in _TURN]],
    1: [[(0.56, 0), (0.46, 1)]],
    2: [[(0.2, 0.27), (0.3, 0.08), (0.5, 0), (0.72, 0.1), (0.75, 0.3), (0.55, 0.6), (0.2, 1), (0.82, 1)]],
    3: [
        [(0.2, 0.1), (0.5, 0), (0.75, 0.15), (0.7, 0.37), (0.45, 0.46)],
        [(0.45, 0.46), (0.74, 0.6), (0.78, 0.8), (0.52, 1), (0.2, 0.9)],
    ],
    4: [[(0.5, 0), (0.15, 0.6), (0.85, 0.6)], [(0.68, 0.3), (0.64, 1)]],
    5: [[(0.77, 0), (0.3, 0), (0.26, 0.42), (0.55, 0.38), (0.77, 0.58), (0.72, 0.86), (0.47, 1), (0.2, 0.92)]],
    6: [
        [(0.62, 0), (0.36, 0.3), (0.22, 0.66), (0.33, 0.94), (0.58, 1)],
        [(0.58, 1), (0.77, 0.78), (0.64, 0.56), (0.4, 0.58), (0.24, 0.74)],
    ],
    7: [[(0.18, 0), (0.8, 0), (0.6, 0.4), (0.42, 1)]],
    8: [
        [(0.5, 0.46), (0.28, 0.3), (0.3, 0.08), (0.5, 0), (0.7, 0.08), (0.72, 0.28), (0.5, 0.46)],
        [(0.5, 0.46), (0.24, 0.66), (0.26, 0.92), (0.5, 1), (0.74, 0.92), (0.76, 0.66), (0.5, 0.46)],
    ],
    9: [
        [(0.72, 0.24), (0.6, 0.03), (0.36, 0.05), (0.25, 0.26), (0.4, 0.46), (0.62, 0.43), (0.73, 0.22)],
        [(0.73, 0.22), (0.68, 0.6), (0.58, 1)],
    ],
}


def ink(digit: int, shape: tuple[int, int], box: tuple[int, int, int], pen: float = 0.13) -> Floats:
    """Draw a digit; how much ink each pixel has, 0 to 1.

    Args:
        digit: which.
        shape: height and width of the sheet.
        box: top, left and side of the square that the digit is drawn in.
        pen: width of the strokes, in parts of that side.
    """
    top, left, side = box
    sheet = Image.new("L", (2 * shape[1], 2 * shape[0]))
    draw, width = ImageDraw.Draw(sheet), max(2 * pen * side, 1.0)
    for stroke in STROKES[digit]:
        points = [(2 * (left + x * side), 2 * (top + y * side)) for x, y in stroke]
        draw.line(points, fill=255, width=round(width), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(sheet.resize(shape[::-1], Image.Resampling.BOX), np.float64) / 255


def mixed(paper: Floats | float, amount: Floats, dark: float = 40.0) -> Floats:
    """Lay ink on paper."""
    return np.asarray(paper * (1 - amount) + dark * amount)


def coloured(amount: Floats, paper: tuple[int, int, int], pen: tuple[int, int, int]) -> Floats:
    """Lay coloured ink on coloured paper."""
    return np.asarray(paper, float) * (1 - amount[..., None]) + np.asarray(pen, float) * amount[..., None]


def ruled(shape: tuple[int, int], step: int, grey: float, *, width: int = 2, squared: bool = False) -> Floats:
    """Make ruled or squared paper."""
    paper = np.full(shape, 240.0)
    for offset in range(width):
        paper[step - 1 + offset :: step] = grey
        if squared:
            paper[:, step - 1 + offset :: step] = grey
    return paper


def bytes_of(pixels: Floats | Pixels, **options: object) -> bytes:
    """Encode a picture, as PNG unless told otherwise."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))
    picture.save(buffer, **({"format": "PNG"} | options))
    return buffer.getvalue()


def _jpeg(pixels: Floats, quality: int) -> Floats:
    with Image.open(io.BytesIO(bytes_of(pixels, format="JPEG", quality=quality))) as picture:
        return np.asarray(picture, np.float64)


def _turned(pixels: Floats, angle: float, ground: int) -> Floats:
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return np.asarray(picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=ground), np.float64)


def _on_desk(digit: int, random: Random) -> Floats:
    """A sheet that lies askew on a dark desk with a grain."""
    desk = 80 + 12 * np.sin(np.arange(480) / 7)[None] + random.normal(0, 5, (640, 480))
    page = Image.fromarray(mixed(235.0, ink(digit, (400, 300), (110, 90, 140))).astype(np.uint8)).convert("RGBA")
    page = page.rotate(random.uniform(-10, 10), Image.Resampling.BICUBIC, expand=True)
    scene = Image.fromarray(desk.clip(0, 255).astype(np.uint8)).convert("RGBA")
    scene.alpha_composite(page, ((480 - page.width) // 2, (640 - page.height) // 2))
    return np.asarray(scene.convert("L"), np.float64)


def _photograph(digit: int, random: Random) -> Floats:
    """A corner of a sheet by the light of a lamp, with the grain and the compression of a phone."""
    side, top, left = (int(random.integers(*limits)) for limits in ((110, 260), (40, 300), (40, 180)))
    light = np.add.outer(np.linspace(random.uniform(0.5, 1), 1, 640), np.linspace(random.uniform(-0.3, 0.3), 0, 480))
    page = mixed(235.0, ink(digit, (640, 480), (top, left, side), random.uniform(0.05, 0.15)))
    return _jpeg(page * light + random.normal(0, 6, light.shape), 60)


SHAPE, BOX = (480, 360), (120, 80, 200)
EDGE_AT_140, EDGE_AT_60 = (np.where(np.arange(360) > at, 0.6, 1.0)[None] for at in (140, 60))

#: How a digit is drawn and photographed, by name.
SCENES: dict[str, Callable[[int, Random], Floats]] = {
    "plain": lambda digit, _: mixed(235.0, ink(digit, SHAPE, BOX)),
    "bold": lambda digit, _: mixed(235.0, ink(digit, SHAPE, BOX, 0.24)),
    "thin": lambda digit, _: mixed(235.0, ink(digit, SHAPE, BOX, 0.02)),
    "thin pencil": lambda digit, random: mixed(225.0, ink(digit, SHAPE, BOX, 0.02), 165) + random.normal(0, 3, SHAPE),
    "tiny in a corner": lambda digit, _: mixed(235.0, ink(digit, (900, 700), (40, 30, 44))),
    "fills the picture": lambda digit, _: mixed(235.0, ink(digit, (220, 220), (15, 10, 190))),
    "white on black": lambda digit, _: 255 - mixed(235.0, ink(digit, SHAPE, BOX)),
    "chalk": lambda digit, random: 200 - mixed(150.0, ink(digit, SHAPE, BOX, 0.06)) + random.normal(0, 8, SHAPE),
    "grain": lambda digit, random: mixed(235.0, ink(digit, SHAPE, BOX)) + random.normal(0, 12, SHAPE),
    "a lamp": lambda digit, _: mixed(235.0, ink(digit, SHAPE, BOX)) * np.linspace(1, 0.35, 360)[None],
    "a shadow across the digit": lambda digit, _: mixed(235.0, ink(digit, SHAPE, BOX)) * EDGE_AT_140,
    "a digit in the shadow": lambda digit, _: mixed(235.0, ink(digit, SHAPE, (120, 100, 200))) * EDGE_AT_60,
    "ruled": lambda digit, _: mixed(ruled(SHAPE, 40, 170), ink(digit, SHAPE, BOX)),
    "squared": lambda digit, _: mixed(ruled(SHAPE, 28, 185, width=1, squared=True), ink(digit, SHAPE, BOX, 0.05)),
    "strong lines": lambda digit, _: mixed(ruled(SHAPE, 60, 70, width=3), ink(digit, SHAPE, BOX)),
    "between strong lines": lambda digit, _: mixed(ruled(SHAPE, 60, 40, width=3), ink(digit, SHAPE, (189, 150, 38))),
    "in a cell": lambda digit, _: mixed(ruled(SHAPE, 50, 60, squared=True), ink(digit, SHAPE, (209, 212, 30), 0.1)),
    "askew on ruled paper": lambda digit, _: _turned(
        mixed(ruled((700, 600), 40, 150), ink(digit, (700, 600), (220, 180, 220))), 3, 240
    )[60:640, 60:540],
    "on a desk": _on_desk,
    "a table around": lambda digit, _: np.pad(mixed(235.0, ink(digit, SHAPE, BOX)), 60, constant_values=70),
    "red": lambda digit, _: coloured(ink(digit, SHAPE, BOX), (240, 235, 230), (200, 40, 40)),
    "yellow": lambda digit, _: coloured(ink(digit, SHAPE, BOX), (245, 245, 245), (235, 220, 60)),
    "red on green": lambda digit, _: coloured(ink(digit, SHAPE, BOX), (90, 150, 80), (190, 70, 90)),
    "bad compression": lambda digit, _: _jpeg(mixed(235.0, ink(digit, SHAPE, BOX)), 15),
    "a photograph": _photograph,
}
