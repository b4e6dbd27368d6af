"""Digits as strokes: two ways to write each, on a square from 0 to 1, and the styles in which they are drawn."""

import math
from collections.abc import Iterator
from typing import NamedTuple

Point = tuple[float, float]
Stroke = list[Point]

THIN, MEDIUM, THICK = 0.04, 0.075, 0.12


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Stroke:
    """A piece of an ellipse, in degrees clockwise from the right."""
    steps = max(4, round(abs(end - start) / 12))
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


WRITTEN: dict[int, list[list[Stroke]]] = {
    0: [[arc(0.5, 0.5, 0.24, 0.36, -90, 270)], [arc(0.5, 0.5, 0.3, 0.33, -60, 300)]],
    1: [[[(0.5, 0.14), (0.5, 0.86)]], [[(0.36, 0.3), (0.54, 0.14), (0.5, 0.86)]]],
    2: [
        [[*arc(0.48, 0.34, 0.22, 0.2, -170, 40), (0.28, 0.84), (0.76, 0.82)]],
        [[*arc(0.5, 0.33, 0.2, 0.19, -150, 60), (0.32, 0.82), (0.4, 0.76), (0.74, 0.84)]],
    ],
    3: [
        [[*arc(0.46, 0.32, 0.2, 0.18, -150, 90), *arc(0.46, 0.67, 0.23, 0.18, -90, 150)]],
        [[*arc(0.45, 0.31, 0.22, 0.17, -140, 80), *arc(0.44, 0.68, 0.26, 0.19, -80, 140)]],
    ],
    4: [
        [[(0.34, 0.16), (0.28, 0.54), (0.72, 0.52)], [(0.66, 0.16), (0.62, 0.86)]],
        [[(0.36, 0.18), (0.3, 0.5), (0.66, 0.5)], [(0.66, 0.2), (0.66, 0.86)]],
    ],
    5: [
        [[(0.34, 0.16), (0.32, 0.46), *arc(0.46, 0.64, 0.22, 0.21, -125, 130)], [(0.34, 0.16), (0.7, 0.15)]],
        [[(0.7, 0.15), (0.37, 0.17), (0.34, 0.46), *arc(0.46, 0.65, 0.2, 0.2, -120, 140)]],
    ],
    6: [
        [[(0.6, 0.14), (0.42, 0.32), (0.33, 0.56), *arc(0.49, 0.68, 0.17, 0.17, 180, -180)]],
        [[(0.52, 0.14), (0.38, 0.42), (0.33, 0.66), *arc(0.5, 0.69, 0.17, 0.15, 170, -190)]],
    ],
    7: [
        [[(0.28, 0.18), (0.72, 0.17), (0.46, 0.86)]],
        [[(0.28, 0.22), (0.7, 0.19), (0.62, 0.45), (0.44, 0.84)]],
    ],
    8: [
        [[*arc(0.5, 0.32, 0.17, 0.17, 90, 450), *arc(0.5, 0.68, 0.2, 0.19, -90, 270)]],
        [
            [
                (0.66, 0.24),
                *arc(0.5, 0.3, 0.17, 0.15, -30, -230),
                (0.6, 0.58),
                *arc(0.5, 0.7, 0.18, 0.16, -30, 210),
                (0.62, 0.38),
                (0.66, 0.24),
            ]
        ],
    ],
    9: [
        [[*arc(0.49, 0.33, 0.18, 0.18, 0, -360), (0.67, 0.33), (0.64, 0.6), (0.56, 0.86)]],
        [[*arc(0.47, 0.34, 0.19, 0.18, -20, -340), (0.66, 0.28), (0.65, 0.86)]],
    ],
}


class Style(NamedTuple):
    """How a digit is drawn: the pen, the size, the place of its middle, the slant to the right, the turn in degrees."""

    pen: float = MEDIUM
    size: float = 1.0
    x: float = 0.5
    y: float = 0.5
    slant: float = 0.0
    turn: float = 0.0


STYLES = {
    "plain": Style(),
    "thin": Style(pen=THIN),
    "thick": Style(pen=THICK),
    "small": Style(size=0.4),
    "small and thin": Style(pen=THIN, size=0.35),
    "off-centre": Style(size=0.55, x=0.25, y=0.3),
    "in a corner": Style(size=0.4, x=0.78, y=0.78, pen=THICK),
    "slanted": Style(slant=0.3),
    "slanted back": Style(slant=-0.2),
    "turned": Style(turn=10, pen=THIN),
}


def write(digit: int, way: int, style: Style) -> list[Stroke]:
    """The strokes of a digit in a style."""
    turn = math.radians(style.turn)

    def place(point: Point) -> Point:
        x, y = point[0] - 0.5, point[1] - 0.5
        x -= style.slant * y
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        return style.x + style.size * x, style.y + style.size * y

    return [[place(point) for point in stroke] for stroke in WRITTEN[digit][way]]


def everything() -> Iterator[tuple[int, str, Style, list[Stroke]]]:
    """Each digit, in each way and each style."""
    for digit, ways in WRITTEN.items():
        for way in range(len(ways)):
            for name, style in STYLES.items():
                yield digit, name, style, write(digit, way, style)
