"""What the network sees of a picture of one digit: the same image, however the digit was drawn or photographed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handconv.datasets.digits import load_digits_arrays
from handconv.reading import read_digit
from handconv.reading.segmentation import segmentations

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
else:
    Image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow, which is not installed")
    ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="image files are read by Pillow, which is not installed")


pytest.importorskip("cv2", reason="photographs are read by OpenCV, which is not installed")

one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


Save = Callable[..., Path]


SEVEN = [(50, 80), (150, 80), (90, 240)]


TWO = [(50, 110), (70, 75), (120, 70), (145, 110), (60, 230), (150, 230)]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a picture or an array under a name, and give the path."""

    def _save(picture: "Image.Image | NDArray[np.float64]", name: str = "digit.png", **options: object) -> Path:
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(np.clip(picture, 0, 255).round().astype(np.uint8))
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return _save


def drawn(
    points: list[tuple[int, int]] = TWO, width: int = 16, mode: str = "L", paper: object = 235, ink: object = 30
) -> "Image.Image":
    """Draw strokes on a sheet of 200 x 300."""
    sheet = Image.new(mode, (200, 300), paper)
    ImageDraw.Draw(sheet).line(points, fill=ink, width=width, joint="curve")
    return sheet


def strokes(**arguments: object) -> NDArray[np.float64]:
    """Give the brightness of drawn strokes as an array: (300, 200)."""
    return np.asarray(drawn(**arguments), dtype=np.float64)  # type: ignore[arg-type]


def seen(path: Path) -> NDArray[np.uint8]:
    """Give what the network saw of a picture of one digit: (1, 28, 28)."""
    (digit,) = read_digit(path).digits
    return digit.image[None]


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Give the correlation of two pictures, at best when one is moved by a pixel at most."""
    moves = [np.roll(one, (down, right), axis=(1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(moved.ravel(), other.ravel())[0, 1]) for moved in moves)


@pytest.fixture
def expected(save: Save) -> NDArray[np.uint8]:
    """The drawing in its simplest form: dark on even light paper."""
    return seen(save(drawn(), "expected.png"))


def test_the_result_is_one_uint8_picture_of_28_by_28(save: Save) -> None:
    image = seen(save(drawn()))
    assert (image.shape, image.dtype) == ((1, 28, 28), np.uint8)


def test_the_result_is_light_on_dark(expected: NDArray[np.uint8]) -> None:
    assert expected[0, 0].max() == 0
    assert expected.max() == 255


def test_the_ink_fills_twenty_pixels_of_the_longer_side(expected: NDArray[np.uint8]) -> None:
    assert np.count_nonzero(expected[0].any(axis=1)) == 20


def test_proportions_are_kept(save: Save) -> None:
    image = seen(save(drawn([(100, 50), (100, 250)], width=20)))
    assert np.count_nonzero(image[0].any(axis=0)) <= 3


def test_the_centre_of_mass_is_in_the_middle(expected: NDArray[np.uint8]) -> None:
    mass = expected[0].astype(np.float64)
    assert abs(mass.sum(axis=1) @ np.arange(28) / mass.sum() - 14) <= 0.5
    assert abs(mass.sum(axis=0) @ np.arange(28) / mass.sum() - 14) <= 0.5


def test_where_the_digit_stands_does_not_matter(save: Save, expected: NDArray[np.uint8]) -> None:
    moved = drawn([(x + 40, y + 55) for x, y in TWO])
    assert likeness(seen(save(moved)), expected) > 0.98


def test_light_on_dark_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(seen(save(255 - strokes())), expected) > 0.99


def test_low_contrast_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(seen(save(drawn(paper=200, ink=170))), expected) > 0.99


def test_an_mnist_digit_stays_nearly_as_it_is(save: Save) -> None:
    for digit in load_digits_arrays()[2][:20]:
        image = seen(save(digit[0].astype(np.float64)))
        assert likeness(image, digit) > 0.8


@pytest.mark.parametrize(
    ("mode", "paper", "ink"),
    [
        ("1", 1, 0),
        ("RGB", (250, 240, 230), (30, 30, 90)),
        ("CMYK", (0, 0, 10, 0), (80, 80, 0, 60)),
        ("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
        ("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)),
        ("RGBA", (255, 255, 255, 255), (0, 0, 0, 255)),
        ("RGBA", (0, 0, 0, 255), (255, 255, 0, 255)),
        ("LA", (0, 0), (40, 255)),
        ("I;16", 60_000, 9_000),
    ],
)
def test_every_colour_mode_reads_the_same(
    save: Save, expected: NDArray[np.uint8], mode: str, paper: object, ink: object
) -> None:
    name = "digit.jpg" if mode == "CMYK" else "digit.png"
    assert likeness(seen(save(drawn(mode=mode, paper=paper, ink=ink), name)), expected) > 0.9


def test_a_palette_with_transparency_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn(mode="P", paper=0, ink=1)
    picture.putpalette([9, 9, 9, 20, 20, 20])
    assert likeness(seen(save(picture, transparency=0)), expected) > 0.98


def test_transparent_corners_do_not_hide_opaque_paper(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn(mode="RGBA", paper=(240, 240, 240, 255), ink=(20, 20, 20, 255))
    ImageDraw.Draw(picture).rectangle((0, 0, 30, 30), fill=(0, 0, 0, 0))
    assert likeness(seen(save(picture)), expected) > 0.98


def test_a_photo_held_on_its_side_is_turned_upright(save: Save, expected: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    assert likeness(seen(save(turned, "digit.jpg", exif=exif)), expected) > 0.98


@pytest.mark.parametrize("size", [(40, 60), (600, 400), (3000, 4000)])
def test_size_and_shape_of_the_sheet_do_not_matter(
    save: Save, expected: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    sheet = Image.new("L", size, 235)
    factor = min(size[0] / 200, size[1] / 300)
    sheet.paste(drawn().resize((round(200 * factor), round(300 * factor))))
    assert likeness(seen(save(sheet)), expected) > 0.9


@pytest.mark.parametrize("angle", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sign", [1, -1], ids=["dark on light", "light on dark"])
def test_a_photo_in_uneven_light_with_noise_reads_the_same(
    save: Save, expected: NDArray[np.uint8], rng: np.random.Generator, angle: int, sign: int
) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:200j]
    light = 0.8 + 0.25 * (np.cos(angle) * x + np.sin(angle) * y) - 0.1 * (x**2 + y**2)
    picture = strokes(paper=215, ink=125) if sign > 0 else strokes(paper=60, ink=150)
    picture = picture * light + rng.normal(0, 5, picture.shape)
    assert likeness(seen(save(picture, "digit.jpg", quality=50)), expected) > 0.85


def test_specks_are_ignored(save: Save, expected: NDArray[np.uint8], rng: np.random.Generator) -> None:
    picture = strokes()
    for row, column in rng.integers(0, 196, size=(25, 2)):
        picture[row : row + 3, column : column + 3] = 30
    assert likeness(seen(save(picture)), expected) > 0.9


def test_the_edge_of_a_table_is_ignored(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn()
    ImageDraw.Draw(picture).polygon([(0, 0), (60, 0), (0, 90)], fill=60)
    assert likeness(seen(save(picture)), expected) > 0.9


def test_a_digit_of_two_parts_keeps_both(save: Save) -> None:
    picture = drawn([(60, 120), (60, 240), (140, 240)])
    ImageDraw.Draw(picture).line([(60, 70), (140, 70)], fill=30, width=16)
    inked = seen(save(picture))[0].any(axis=1)
    assert np.count_nonzero(inked[1:] & ~inked[:-1]) == 2


def test_a_digit_cut_out_close_to_its_ink_is_read(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(seen(save(drawn().crop((40, 60, 160, 240)))), expected) > 0.9


def test_a_digit_that_fills_the_picture_and_most_of_its_border_is_read(save: Save) -> None:
    points = [(8, 8), (192, 8), (100, 130), (185, 200), (150, 290), (8, 290)]
    alone = Image.new("L", (300, 400), 235)
    alone.paste(drawn(points, width=28), (50, 50))
    filling = seen(save(drawn(points, width=28)))
    assert likeness(filling, seen(save(alone))) > 0.95


def test_a_frame_around_the_digit_is_ignored(save: Save, expected: NDArray[np.uint8]) -> None:
    sheet = drawn()
    ImageDraw.Draw(sheet).rectangle([20, 30, 180, 275], outline=30, width=4)
    assert likeness(seen(save(sheet)), expected) > 0.98


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_thin_strokes_are_broadened(save: Save, width: int) -> None:
    image = seen(save(drawn(SEVEN, width=width)))
    assert 15 < image.mean() < 40
    assert likeness(image, seen(save(drawn(SEVEN, width=20)))) > 0.8


@pytest.mark.parametrize("name", ["digit.png", "digit.jpg", "digit.webp", "digit.bmp", "digit.gif"])
def test_every_format_reads_the_same(save: Save, expected: NDArray[np.uint8], name: str) -> None:
    assert likeness(seen(save(drawn(), name)), expected) > 0.98


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_sheet_shows_nothing_like_a_digit(save: Save, grey: int) -> None:
    assert read_digit(save(Image.new("L", (200, 300), grey))).verdict == "nothing like a digit"


def test_a_blank_sheet_with_light_and_noise_shows_nothing_like_a_digit(save: Save, rng: np.random.Generator) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:200j]
    path = save(180 + 40 * x - 20 * y + rng.normal(0, 8, x.shape), "blank.jpg")
    assert read_digit(path).verdict == "nothing like a digit"


def test_a_fully_transparent_image_shows_nothing_like_a_digit(save: Save) -> None:
    assert read_digit(save(Image.new("RGBA", (200, 300), (0, 0, 0, 0)))).verdict == "nothing like a digit"


@one_file
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 100))
def test_the_smallest_images_are_read(tmp_path: Path, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).choice([0, 100, 255], (height, width), p=[0.1, 0.1, 0.8])
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "tiny.png")
    assert all(digit.image.max() > 0 for digit in read_digit(tmp_path / "tiny.png").digits)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3000, 2)])
def test_a_strip_is_read(save: Save, size: tuple[int, int]) -> None:
    sheet = Image.new("L", size, 200)
    sheet.paste(0, (size[0] // 3, size[1] // 3, size[0] // 2 + 1, size[1] // 2 + 1))
    assert all(digit.image.max() > 0 for digit in read_digit(save(sheet)).digits)


@pytest.mark.parametrize(("beside", "on_paper"), [(220, True), (130, False)])
def test_a_stroke_at_the_seam_of_light_and_dark_cloth_is_not_on_paper(beside: int, on_paper: bool) -> None:
    picture = np.full((300, 300), 220, np.uint8)
    picture[:, :145] = beside
    picture[100:200, 145:160] = 60
    boxes = {part.box: part.on_paper for parts in segmentations(picture) for part in parts}
    found = [
        value
        for (left, top, _, bottom), value in boxes.items()
        if abs(top - 100) + abs(bottom - 200) + abs(left - 145) < 9
    ]
    assert found
    assert set(found) == {on_paper}
