"""Make src/handconv/reading/digit-or-not.npz, the network that tells a digit from everything else.

    python -m scripts.make_reader [DATA_DIR]     # needs Pillow and matplotlib (for its fonts); MNIST from DATA_DIR

It learns from MNIST's training images, as they are and drawn anew (turned, sheared, bolder, thinner), and from the
digits of matplotlib's fonts, that these are digits; and from what this script makes that other things are not: letters
of the same fonts that look like no digit, digits mirrored, halved and joined, strokes at random, shapes, cloth, noise.

The threshold below which a digit is doubted is the quantile of 1.5 % among training images that this network has not
seen, with the probabilities of a network like the bundled one that has not seen them either.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scripts import make_model

import handconv as hc
from handconv.reading.framing import to_mnist_form

TARGET = Path(__file__).resolve().parent.parent / "src" / "handconv" / "reading" / "digit-or-not.npz"
SEED = 7
EPOCHS = 10
DOUBTED = 0.015  # the share of MNIST's digits that the reader says it is unsure of
LETTERS = "ACEFHJKLMNPRTUVWXY" + "aefhkmnprtuvwx" + "#%&@+=?*<>~^ÄÆÑΔΘΞΠΣΦΨΩαβγδεθλμξπφψωЖЮЯШЫ"
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *(
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "STIXGeneralBolIta",
    ),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),
)
SIDE = 96  # of the sheet on which things are drawn before they are brought to the form of MNIST

Random = np.random.Generator
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def redrawn(sheet: Image.Image, random: Random, *, strength: float = 1.0) -> Images | None:
    """Turn, shear, stretch and broaden or thin what is on a sheet, and bring it to the form of MNIST."""
    angle, shear = np.radians(strength * random.normal(0, 8)), strength * random.normal(0, 0.12)
    wide = np.exp(strength * random.normal(0, 0.15))
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.array([[wide, shear], [0, 1]]) * 1.2
    middle = np.array(sheet.size) / 2
    offset = middle - matrix @ middle
    data = (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1])
    sheet = sheet.transform(sheet.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    pen = random.choice([-1, 0, 0, 1, 2])
    if pen:
        other = sheet.filter(ImageFilter.MaxFilter(2 * pen + 1) if pen > 0 else ImageFilter.MinFilter(3))
        sheet = other if np.asarray(other).max() > 200 else sheet
    ink = np.asarray(sheet)
    return to_mnist_form(ink) if ink.max() > 100 else None


def enlarged(digit: Images) -> Image.Image:
    """Put an image of MNIST on a sheet."""
    return Image.fromarray(digit).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def typed(text: str, font: str, random: Random) -> Image.Image:
    """Put a character of a font on a sheet; what the font has not is a box."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    sheet = Image.new("L", (SIDE, SIDE))
    face = ImageFont.truetype(str(path), int(random.integers(48, 64)))
    ImageDraw.Draw(sheet).text((SIDE / 2, SIDE / 2), text, fill=255, font=face, anchor="mm")
    return sheet


def mirrored(digit: Images, label: int, random: Random) -> Images:
    """Mirror or turn a digit of which that makes no digit."""
    ways = {2: "hvlr", 3: "hlr", 4: "hvlru", 5: "hlr", 6: "hlr", 7: "hvlru", 9: "hlr"}
    way = random.choice(list(ways.get(label, "lr")))
    return {
        "h": digit[:, ::-1], "v": digit[::-1], "l": np.rot90(digit), "r": np.rot90(digit, -1), "u": digit[::-1, ::-1],
    }[str(way)]  # fmt: skip


def joined(one: Images, other: Images, random: Random) -> Images:
    """Join two digits: halves of them, one upon the other, or side by side."""
    way, sheet = random.integers(4), np.zeros((28, 48), np.uint8)
    if way == 0:
        return np.hstack([one[:, :14], other[:, 14:]])
    if way == 1:
        return np.vstack([one[:14], other[14:]])
    if way == 2:
        down, right = random.integers(-5, 6, 2)
        return np.maximum(one, np.roll(other, (down, right), (0, 1)))
    sheet[:, :28] = one
    sheet[:, 20:] = np.maximum(sheet[:, 20:], other)
    return sheet


def strokes(random: Random) -> Image.Image:
    """Draw a few lines, arcs and dots at random."""
    sheet = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(sheet)
    for _ in range(random.integers(2, 6)):
        width, kind = int(random.integers(4, 12)), random.integers(4)
        if kind == 0:
            points = random.integers(10, SIDE - 10, (random.integers(2, 5), 2))
            draw.line([tuple(point) for point in points.tolist()], fill=255, width=width, joint="curve")
        elif kind < 3:
            (x, y), (w, h) = random.integers(5, 50, 2).tolist(), random.integers(15, 60, 2).tolist()
            start = int(random.integers(360))
            draw.arc((x, y, x + w, y + h), start, start + int(random.integers(60, 361)), fill=255, width=width)
        else:
            x, y = random.integers(10, SIDE - 10, 2).tolist()
            draw.ellipse((x - width, y - width, x + width, y + width), fill=255)
    return sheet


def crossed(random: Random) -> Image.Image:
    """Draw a circle or a box with a cross, a plus, a grid or rays in it."""
    sheet = Image.new("L", (SIDE, SIDE))
    draw, width = ImageDraw.Draw(sheet), int(random.integers(3, 11))
    x, y = random.integers(8, 24, 2).tolist()
    box, middle = (x, y, SIDE - x, SIDE - y), SIDE / 2
    kind = random.integers(4)
    if kind < 3:
        (draw.ellipse, draw.rectangle, draw.ellipse)[kind](box, outline=255, width=width)
    turn, rays = random.uniform(0, np.pi), int(random.choice([2, 2, 3, 4, 5]))
    for ray in range(rays):
        angle = turn + np.pi * ray / rays
        dx, dy = (middle - x) * np.cos(angle), (middle - y) * np.sin(angle)
        draw.line((middle - dx, middle - dy, middle + dx, middle + dy), fill=255, width=width)
    return sheet


def cloth(random: Random) -> Images:
    """Fill a shape, alike on its left and its right or not, with a texture."""
    sheet = Image.new("L", (SIDE, SIDE))
    draw, rows = ImageDraw.Draw(sheet), np.linspace(4, SIDE - 4, random.integers(3, 9))
    half = random.uniform(8, 44, len(rows))
    other = half if random.random() < 0.6 else random.uniform(4, 44, len(rows))
    outline = [(SIDE / 2 - h, y) for h, y in zip(half, rows, strict=True)]
    outline += [(SIDE / 2 + h, y) for h, y in zip(other[::-1], rows[::-1], strict=True)]
    draw.polygon(outline, fill=255)
    for _ in range(random.integers(0, 4)):
        (x, y), (w, h) = random.integers(0, SIDE, 2).tolist(), random.integers(4, 50, 2).tolist()
        draw.rectangle((x, y, x + w, y + h), fill=int(random.choice([0, 0, 255, 120])))
    if random.random() < 0.3:
        sheet = sheet.transpose(Image.Transpose.ROTATE_90)
    texture = cloud(random, int(random.choice([3, 6, 12, 48]))) if random.random() < 0.8 else 255.0
    return (np.asarray(sheet) * (random.uniform(0.3, 1) + texture / 255) / 2).clip(0, 255).astype(np.uint8)


def cloud(random: Random, cells: int) -> NDArray[np.float64]:
    """Make noise of one size, from 0 to 255."""
    small = Image.fromarray(random.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)


def noise(random: Random) -> Images:
    """Make clouds, blobs and grains."""
    clouds = cloud(random, int(random.choice([3, 4, 6, 9, 16, 32, 96])))
    level = random.uniform(60, 190)
    return clouds.astype(np.uint8) if random.random() < 0.3 else np.where(clouds > level, 255, 0).astype(np.uint8)


def filling(picture: Images) -> Images:
    """Scale a picture to the whole of 28x28, or to its middle, as pictures come that nobody has framed."""
    return np.asarray(Image.fromarray(picture).resize((28, 28), Image.Resampling.BOX))


def make_digits(x: Images, random: Random) -> Images:
    """Make digits that are not in MNIST: redrawn ones and typed ones."""
    found = [redrawn(enlarged(digit), random, strength=random.uniform(0, 1.2)) for digit in x]
    found += [redrawn(typed(text, font, random), random) for font in FONTS for text in "0123456789" for _ in range(40)]
    return np.stack([image for image in found if image is not None])


def make_others(x: Images, y: Labels, random: Random, count: int = 10_000) -> Images:
    """Make what is no digit."""
    rows = random.choice(np.flatnonzero(y), count, replace=False)  # a zero stays one
    pairs = [(one, other) for one, other in random.choice(len(x), (count, 2)) if y[one] != y[other]]
    pictures = [mirrored(x[row], int(y[row]), random) for row in rows]
    pictures += [joined(x[one], x[other], random) for one, other in pairs]
    found = [redrawn(enlarged(picture), random, strength=0.5) for picture in pictures]
    each = count * 2 // len(FONTS) // len(LETTERS) + 1
    found += [redrawn(typed(text, font, random), random) for font in FONTS for text in LETTERS for _ in range(each)]
    found += [redrawn(strokes(random), random) for _ in range(count)]
    found += [redrawn(crossed(random), random) for _ in range(count // 4)]
    for make in (cloth, noise):
        for _ in range(count):
            picture = make(random)
            if picture.max() > 100:
                found.append(to_mnist_form(picture) if random.random() < 0.5 else filling(picture))
    return np.stack([image for image in found if image is not None])


def train_detector(x: Images, y: Labels) -> hc.Sequential:
    """Train the network that tells digits, class 0, from what is none, class 1."""
    random = np.random.default_rng(SEED)
    digits, others = np.concatenate([x, make_digits(x, random)]), make_others(x, y, random)
    layers = [
        *(hc.Conv2D(8, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Conv2D(16, 3), hc.LeakyReLU(), hc.MaxPool2D(2)),
        *(hc.Flatten(), hc.Dense(32, l2=1e-4), hc.LeakyReLU(), hc.Dropout(0.2), hc.Dense(2), hc.Softmax()),
    ]
    model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=SEED)
    model.fit(
        np.concatenate([digits, others])[:, None],
        np.repeat([0, 1], [len(digits), len(others)]),
        epochs=EPOCHS,
        optimizer=hc.Adam(hc.optimizers.schedules.OneCycle(6e-3)),
        callbacks=[hc.PrintProgress()],
    )
    return model


def main() -> None:
    """Train, choose the threshold on images held out, and save."""
    data = hc.datasets.load("mnist", data_dir=sys.argv[1] if len(sys.argv) > 1 else None)
    if data.name != "mnist":
        raise SystemExit("The network is trained on MNIST, which could not be had.")
    held_out = data.x_train[-make_model.HELD_OUT :]
    twin, _ = make_model.calibrated_twin(data.x_train, data.y_train)
    detector = train_detector(data.x_train[: -len(held_out), 0], data.y_train[: -len(held_out)])
    score = detector.predict(held_out)[:, 0] * twin.predict(held_out).max(axis=1)
    detector.info = {"class_names": ["digit", "other"], "threshold": float(np.quantile(score, DOUBTED))}
    detector.save(TARGET)
    print(f"{TARGET}: {detector.info}")


if __name__ == "__main__":
    main()
