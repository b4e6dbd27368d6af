"""Draw the figures of docs/learn as SVG, by Python alone.

python scripts/draw_learn.py                 writes docs/learn/figures; the same bytes every time
python scripts/draw_learn.py FOLDER          writes them there
"""

import argparse
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "learn" / "figures"
PAPER, INK, FAINT, BLANK = "#fbfaf7", "#24292f", "#d7d4cc", "#ffffff"
WARM, PALE, COOL = "#b4511f", "#f6d3bd", "#d3dce6"
WIDTH, SIDE, LEFT = 660, 30, 20  # of a sheet, of a cell, and of its left margin, in pixels

Cell = tuple[int, int]


class Drawing:
    """A sheet of paper on which rectangles, texts and arrows are put, by the pixel."""

    def __init__(self, title: str, height: int) -> None:
        self.title, self.height = title, height
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: str = BLANK) -> None:
        """Put a rectangle."""
        size = f'width="{width:g}" height="{height:g}"'
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" {size} fill="{fill}" stroke="{INK}"/>')

    def text(
        self, x: float, y: float, words: str, *, size: int = 13, colour: str = INK, anchor: str = "middle"
    ) -> None:
        """Put a line of text, its middle at x, its base line at y."""
        look = f'fill="{colour}" font-size="{size}" text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {look}>{escape(words)}</text>')

    def caption(self, y: float, words: str) -> None:
        """Put a line of text that begins at the left margin."""
        self.text(LEFT, y, words, size=14, anchor="start")

    def arrow(self, x: float, y: float, to_x: float, to_y: float, colour: str = INK) -> None:
        """Put an arrow."""
        head = "warm" if colour == WARM else "ink"
        look = f'stroke="{colour}" stroke-width="1.6" marker-end="url(#{head})"'
        self.parts.append(f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}" {look}/>')

    def fence(self, x: float, top: float, bottom: float) -> None:
        """Put an upright dashed line."""
        look = f'stroke="{WARM}" stroke-width="2.5" stroke-dasharray="6 4"'
        self.parts.append(f'<path d="M{x:g} {top:g}L{x:g} {bottom:g}" {look}/>')

    def grid(
        self,
        x: float,
        y: float,
        rows: Sequence[Sequence[object]],
        fill: str = BLANK,
        colours: Mapping[Cell, str] | None = None,
    ) -> None:
        """Put a matrix with what stands in its cells; some cells have a colour of their own."""
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                left, top = x + SIDE * j, y + SIDE * i
                self.box(left, top, SIDE, SIDE, (colours or {}).get((i, j), fill))
                self.text(left + SIDE / 2, top + 0.66 * SIDE, str(value))

    def __str__(self) -> str:
        heads = [
            f'<marker id="{name}" markerWidth="9" markerHeight="8" refX="7" refY="4" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
            for name, colour in (("warm", WARM), ("ink", INK))
        ]
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<defs>{''.join(heads)}</defs>",
            f'<rect width="{WIDTH}" height="{self.height}" fill="{PAPER}"/>',
            *self.parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def square(top: int, left: int, side: int = 2) -> dict[Cell, str]:
    """Mark the cells of a square."""
    return {(i, j): PALE for i in range(top, top + side) for j in range(left, left + side)}


def convolution() -> Drawing:
    """Chapter 2: the example of the chapter, one output forward and backward."""
    sheet = Drawing("A convolution of a 3x3 image with a 2x2 kernel, forward and backward", 350)
    sheet.caption(28, "Forward: four products and their sum are one output.")
    sheet.grid(70, 45, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], colours=square(1, 1))
    sheet.grid(290, 60, [[1, 2], [3, 4]], COOL)
    sheet.grid(520, 60, [[37, 47], [67, 77]], colours=square(1, 1, 1))
    sheet.text(225, 96, "·", size=20)
    sheet.arrow(365, 90, 505, 90)
    sheet.text(432, 78, "1·5 + 2·6")
    sheet.text(432, 110, "+ 3·8 + 4·9 = 77")
    for x, name in ((115, "x"), (320, "w"), (550, "y")):
        sheet.text(x, 156, name)
    sheet.caption(198, "Backward: an output with dy = 2 gives each factor of a product dy times the other factor.")
    sheet.grid(70, 215, [["", "", ""], ["", "2·1", "2·2"], ["", "2·3", "2·4"]], colours=square(1, 1))
    sheet.grid(290, 230, [["2·5", "2·6"], ["2·8", "2·9"]], COOL)
    sheet.grid(520, 230, [["", ""], ["", 2]], colours=square(1, 1, 1))
    sheet.arrow(505, 260, 365, 260, WARM)
    sheet.text(432, 248, "dy · x", colour=WARM)
    sheet.arrow(275, 260, 175, 260, WARM)
    sheet.text(225, 248, "dy · w", colour=WARM)
    for x, name in ((115, "added to dx"), (320, "added to dw"), (550, "dy")):
        sheet.text(x, 328, name)
    return sheet


def pooling() -> Drawing:
    """Chapter 3: which cell is the maximum, and what it gets."""
    sheet = Drawing("A 2x2 max pooling of a 5x5 image, forward and backward", 470)
    x = [[1, 3, 0, 0, 9], [2, 0, 0, 0, 9], [4, 4, 7, 6, 9], [4, 1, 5, 8, 9], [9, 9, 9, 9, 9]]
    dy = {(0, 1): 5, (0, 2): 6, (2, 0): 7, (3, 3): 8}
    dx = [[dy.get((i, j), 0) for j in range(5)] for i in range(5)]
    colours = {(i, j): FAINT for i in range(5) for j in range(5) if 4 in (i, j)} | dict.fromkeys(dy, PALE)
    sheet.caption(28, "Forward: the greatest number of each window; of equal ones the first, row by row.")
    sheet.grid(70, 45, x, colours=colours)
    sheet.arrow(245, 105, 415, 105)
    sheet.grid(440, 75, [[3, 0], [4, 8]], PALE)
    sheet.text(145, 216, "x (the grey cells fill no window)")
    sheet.text(470, 156, "y")
    sheet.caption(258, "Backward: each gradient goes to the cell that was the greatest.")
    sheet.grid(70, 275, dx, colours=colours)
    sheet.arrow(415, 335, 245, 335, WARM)
    sheet.grid(440, 305, [[5, 6], [7, 8]], PALE)
    sheet.text(145, 446, "dx")
    sheet.text(470, 386, "dy")
    return sheet


def products() -> Drawing:
    """Idea 1: the windows of an image are the columns of a matrix."""
    sheet = Drawing("The windows of an image as the columns of a matrix", 240)
    sheet.caption(28, "All windows of an image are the columns of one matrix, all filters the rows of another.")
    sheet.grid(LEFT, 75, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], colours=square(0, 1))
    sheet.text(65, 188, "x")
    sheet.grid(150, 90, [["w"] * 4, ["v"] * 4], COOL)
    sheet.text(210, 176, "a row a filter")
    sheet.text(287, 126, "·", size=20)
    column = {(i, 1): PALE for i in range(4)}
    sheet.grid(305, 60, [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]], colours=column)
    sheet.text(365, 204, "a column a window")
    sheet.text(450, 126, "=")
    sheet.grid(475, 90, [[""] * 4, [""] * 4], colours=column)
    sheet.text(535, 176, "y: a column a place")
    return sheet


def rows() -> Drawing:
    """Idea 2: the batch innermost, and windows of rows that are matrices already."""
    sheet = Drawing("An image with the batch innermost, and three of its rows as one matrix", 350)
    sheet.caption(28, "In memory, (H, C, W, N): the same pixel of all images lies side by side.")
    for pixel in range(4):
        left = LEFT + 154 * pixel
        for image in range(6):
            sheet.box(left + 25 * image, 42, 25, 26, PALE if pixel % 2 else COOL)
            sheet.text(left + 25 * image + 12, 59, f"n{image}", size=11)
        sheet.text(left + 75, 84, f"pixel {pixel}", size=12)
    sheet.caption(126, "Each row is copied once a kernel column (3 copies), not once a kernel cell (9 copies).")
    for row in range(5):
        fill = PALE if 1 <= row <= 3 else BLANK
        for shift in range(3):
            sheet.box(LEFT + 8 * shift, 142 + 38 * row + 11 * shift, 190, 11, fill)
        sheet.text(262, 163 + 38 * row, f"row {row}")
    sheet.arrow(300, 234, 385, 234)
    for line in range(9):
        sheet.box(400, 180 + 12 * line, 230, 12, PALE)
    sheet.text(515, 168, "the windows of output row 1")
    sheet.text(515, 308, "one matrix (KH·KW·C, OW·N)")
    sheet.text(515, 326, "as it lies there: a view")
    return sheet


def fused() -> Drawing:
    """Idea 3: convolution, pooling, bias and LeakyReLU on a few rows at a time."""
    sheet = Drawing("Convolution, pooling, bias and LeakyReLU done for a few rows at a time", 320)
    sheet.caption(28, "Layer by layer: each layer writes all its numbers to memory, and the next one reads them.")
    for place, (name, height) in enumerate((("convolution, + b", 90), ("LeakyReLU", 90), ("maximum", 24))):
        sheet.box(40 + 220 * place, 44, 130, height, COOL)
        sheet.text(105 + 220 * place, 60 if height < 90 else 94, name)
        if place < 2:
            sheet.arrow(174 + 220 * place, 56, 254 + 220 * place, 56)
    sheet.caption(180, "Fused: some rows go all the way while they are in the cache. Then the next ones come.")
    for row, fill in enumerate((PALE, BLANK, BLANK)):
        y = 196 + 38 * row
        for place, (name, height) in enumerate((("convolution", 30), ("maximum", 18), ("+ b, LeakyReLU", 18))):
            sheet.box(40 + 220 * place, y + (30 - height) / 2, 130, height, fill)
            sheet.text(105 + 220 * place, y + 20, name)
            if place < 2:
                sheet.arrow(174 + 220 * place, y + 15, 254 + 220 * place, y + 15, INK if row else WARM)
    return sheet


def shards() -> Drawing:
    """Idea 4: a batch is a sum over shards, and a shard is a list of calls."""
    sheet = Drawing("A batch cut into shards that fit the cache, and the calls of a shard made again", 320)
    sheet.caption(28, "A batch is cut into shards that stay in the cache; their gradients are added in order.")
    for k in range(4):
        left = LEFT + 84 * k
        sheet.box(left, 44, 74, 34, COOL if k % 2 else PALE)
        sheet.text(left + 37, 66, f"shard {k}")
        sheet.arrow(left + 37, 80, left + 37, 106)
        sheet.box(left, 110, 74, 28)
        sheet.text(left + 37, 129, f"gradient {k}", size=12)
        sheet.text(left + 79, 129, "=" if k == 3 else "+")
    sheet.text(430, 129, "gradient of the batch")
    sheet.caption(184, "The NumPy calls of the first shard are captured. For the next ones they are replayed.")
    for line, (label, remark, fill) in enumerate(
        (("shard 0", "Python decides", PALE), ("shard 1", "a loop in C", BLANK))
    ):
        y = 202 + 56 * line
        sheet.text(46, y + 22, label)
        for place, call in enumerate(("take", "matmul", "maximum", "add", "…")):
            left = 90 + 90 * place
            sheet.box(left, y, 78, 34, fill)
            sheet.text(left + 39, y + 22, call)
            if line == 0:
                sheet.arrow(left + 39, y + 36, left + 39, y + 53, WARM)
        sheet.text(590, y + 22, remark)
    return sheet


def workers() -> Drawing:
    """Idea 5: two processes, which share each batch and each update."""
    sheet = Drawing("Two processes share the shards of a batch and then the update of the parameters", 230)
    sheet.caption(28, "A step of two processes over the same memory")
    for rank, fill in enumerate((PALE, COOL)):
        y = 48 + 60 * rank
        sheet.text(60, y + 26, f"process {rank}")
        for place in range(2):
            sheet.box(115 + 132 * place, y, 126, 42, fill)
            sheet.text(178 + 132 * place, y + 26, f"shard {rank + 2 * place}")
        sheet.box(402, y, 160, 42, fill)
        sheet.text(482, y + 26, f"Adam on half {rank} of p")
    for x in (388, 576):
        sheet.fence(x, 40, 160)
        sheet.text(x, 178, "wait", colour=WARM)
    sheet.caption(212, "Which process computes a shard changes no sum, and so no bit of the result.")
    return sheet


FIGURES = (convolution, pooling, products, rows, fused, shards, workers)


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description="Draw the figures of docs/learn.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for figure in FIGURES:
        (folder / f"{figure.__name__}.svg").write_text(str(figure()), encoding="utf-8")


if __name__ == "__main__":
    main()
