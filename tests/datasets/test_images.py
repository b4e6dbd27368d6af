"""Image files: a photo or drawing of a digit comes to the form of MNIST."""

import contextlib
import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handconv.datasets.digits import load_digits_arrays
from handconv.datasets.readers import images as formats
from handconv.datasets.readers import load_image_folder, read_digit_image
from handconv.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
else:
    Image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow, which is not installed")
    ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="image files are read by Pillow, which is not installed")


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


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Give the correlation of two pictures, at best when one is moved by a pixel at most."""
    moves = [np.roll(one, (down, right), axis=(1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(moved.ravel(), other.ravel())[0, 1]) for moved in moves)


@pytest.fixture
def expected(save: Save) -> NDArray[np.uint8]:
    """The drawing in its simplest form: dark on even light paper."""
    return read_digit_image(save(drawn(), "expected.png"))


def test_the_result_is_one_uint8_picture_of_28_by_28(save: Save) -> None:
    image = read_digit_image(save(drawn()))
    assert (image.shape, image.dtype) == ((1, 28, 28), np.uint8)


def test_the_result_is_light_on_dark(expected: NDArray[np.uint8]) -> None:
    assert expected[0, 0].max() == 0
    assert expected.max() == 255


def test_the_ink_fills_twenty_pixels_of_the_longer_side(expected: NDArray[np.uint8]) -> None:
    assert np.count_nonzero(expected[0].any(axis=1)) == 20


def test_proportions_are_kept(save: Save) -> None:
    image = read_digit_image(save(drawn([(100, 50), (100, 250)], width=20)))
    assert np.count_nonzero(image[0].any(axis=0)) <= 3


def test_the_centre_of_mass_is_in_the_middle(expected: NDArray[np.uint8]) -> None:
    mass = expected[0].astype(np.float64)
    assert abs(mass.sum(axis=1) @ np.arange(28) / mass.sum() - 14) <= 0.5
    assert abs(mass.sum(axis=0) @ np.arange(28) / mass.sum() - 14) <= 0.5


def test_where_the_digit_stands_does_not_matter(save: Save, expected: NDArray[np.uint8]) -> None:
    moved = drawn([(x + 40, y + 55) for x, y in TWO])
    assert likeness(read_digit_image(save(moved)), expected) > 0.98


def test_light_on_dark_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(read_digit_image(save(255 - strokes())), expected) > 0.99


def test_low_contrast_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(read_digit_image(save(drawn(paper=200, ink=170))), expected) > 0.99


def test_an_mnist_digit_stays_nearly_as_it_is(save: Save) -> None:
    for digit in load_digits_arrays()[2][:20]:
        image = read_digit_image(save(digit[0].astype(np.float64)))
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
    assert likeness(read_digit_image(save(drawn(mode=mode, paper=paper, ink=ink), name)), expected) > 0.98


def test_a_palette_with_transparency_reads_the_same(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn(mode="P", paper=0, ink=1)
    picture.putpalette([9, 9, 9, 20, 20, 20])
    assert likeness(read_digit_image(save(picture, transparency=0)), expected) > 0.98


def test_transparent_corners_do_not_hide_opaque_paper(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn(mode="RGBA", paper=(240, 240, 240, 255), ink=(20, 20, 20, 255))
    ImageDraw.Draw(picture).rectangle((0, 0, 30, 30), fill=(0, 0, 0, 0))
    assert likeness(read_digit_image(save(picture)), expected) > 0.98


def test_a_photo_held_on_its_side_is_turned_upright(save: Save, expected: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    assert likeness(read_digit_image(save(turned, "digit.jpg", exif=exif)), expected) > 0.98


@pytest.mark.parametrize("size", [(40, 60), (600, 400), (3000, 4000)])
def test_size_and_shape_of_the_sheet_do_not_matter(
    save: Save, expected: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    sheet = Image.new("L", size, 235)
    factor = min(size[0] / 200, size[1] / 300)
    sheet.paste(drawn().resize((round(200 * factor), round(300 * factor))))
    assert likeness(read_digit_image(save(sheet)), expected) > 0.9


@pytest.mark.parametrize("angle", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sign", [1, -1], ids=["dark on light", "light on dark"])
def test_a_photo_in_uneven_light_with_noise_reads_the_same(
    save: Save, expected: NDArray[np.uint8], rng: np.random.Generator, angle: int, sign: int
) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:200j]
    light = 0.8 + 0.25 * (np.cos(angle) * x + np.sin(angle) * y) - 0.1 * (x**2 + y**2)
    picture = strokes(paper=215, ink=125) if sign > 0 else strokes(paper=60, ink=150)
    picture = picture * light + rng.normal(0, 5, picture.shape)
    assert likeness(read_digit_image(save(picture, "digit.jpg", quality=50)), expected) > 0.9


def test_specks_are_ignored(save: Save, expected: NDArray[np.uint8], rng: np.random.Generator) -> None:
    picture = strokes()
    for row, column in rng.integers(0, 196, size=(25, 2)):
        picture[row : row + 3, column : column + 3] = 30
    assert likeness(read_digit_image(save(picture)), expected) > 0.9


def test_the_edge_of_a_table_is_ignored(save: Save, expected: NDArray[np.uint8]) -> None:
    picture = drawn()
    ImageDraw.Draw(picture).polygon([(0, 0), (60, 0), (0, 90)], fill=60)
    assert likeness(read_digit_image(save(picture)), expected) > 0.9


def test_a_digit_of_two_parts_keeps_both(save: Save) -> None:
    picture = drawn([(60, 120), (60, 240), (140, 240)])
    ImageDraw.Draw(picture).line([(60, 70), (140, 70)], fill=30, width=16)
    inked = read_digit_image(save(picture))[0].any(axis=1)
    assert np.count_nonzero(inked[1:] & ~inked[:-1]) == 2


def test_a_digit_cut_out_close_to_its_ink_is_read(save: Save, expected: NDArray[np.uint8]) -> None:
    assert likeness(read_digit_image(save(drawn().crop((40, 60, 160, 240)))), expected) > 0.9


def test_a_digit_that_fills_the_picture_and_most_of_its_border_is_read(save: Save) -> None:
    points = [(8, 8), (192, 8), (100, 130), (185, 200), (150, 290), (8, 290)]
    alone = Image.new("L", (300, 400), 235)
    alone.paste(drawn(points, width=28), (50, 50))
    filling = read_digit_image(save(drawn(points, width=28)))
    assert likeness(filling, read_digit_image(save(alone))) > 0.95


def test_a_frame_around_the_digit_is_ignored(save: Save, expected: NDArray[np.uint8]) -> None:
    sheet = drawn()
    ImageDraw.Draw(sheet).rectangle([20, 30, 180, 275], outline=30, width=4)
    assert likeness(read_digit_image(save(sheet)), expected) > 0.98


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_thin_strokes_are_broadened(save: Save, width: int) -> None:
    image = read_digit_image(save(drawn(SEVEN, width=width)))
    assert 15 < image.mean() < 40
    assert likeness(image, read_digit_image(save(drawn(SEVEN, width=20)))) > 0.8


@pytest.mark.parametrize("name", ["digit.png", "digit.jpg", "digit.webp", "digit.bmp", "digit.gif"])
def test_every_format_reads_the_same(save: Save, expected: NDArray[np.uint8], name: str) -> None:
    assert likeness(read_digit_image(save(drawn(), name)), expected) > 0.98


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_sheet_shows_no_digit(save: Save, grey: int) -> None:
    with pytest.raises(DataError, match="shows no digit"):
        read_digit_image(save(Image.new("L", (200, 300), grey)))


def test_a_blank_sheet_with_light_and_noise_shows_no_digit(save: Save, rng: np.random.Generator) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:200j]
    with pytest.raises(DataError, match="shows no digit"):
        read_digit_image(save(180 + 40 * x - 20 * y + rng.normal(0, 8, x.shape), "blank.jpg"))


def test_a_fully_transparent_image_shows_no_digit(save: Save) -> None:
    with pytest.raises(DataError, match="shows no digit"):
        read_digit_image(save(Image.new("RGBA", (200, 300), (0, 0, 0, 0))))


@one_file
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 100))
def test_the_smallest_images_give_a_picture_or_a_data_error(tmp_path: Path, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).choice([0, 100, 255], (height, width), p=[0.1, 0.1, 0.8])
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "tiny.png")
    with contextlib.suppress(DataError):
        assert read_digit_image(tmp_path / "tiny.png").max() > 0


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3000, 2)])
def test_a_strip_gives_a_picture_or_a_data_error(save: Save, size: tuple[int, int]) -> None:
    sheet = Image.new("L", size, 200)
    sheet.paste(0, (size[0] // 3, size[1] // 3, size[0] // 2 + 1, size[1] // 2 + 1))
    with contextlib.suppress(DataError):
        assert read_digit_image(save(sheet)).shape == (1, 28, 28)


def png_header(width: int, height: int) -> bytes:
    """Make a small PNG file that claims a size."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 99))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [*chunks, (b"IEND", b"")]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello", "none of PNG, JPEG"),
        (b"%PDF-1.7 a document", "none of PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of PNG, JPEG"),
        (png_header(200, 300), "damaged image"),
        (png_header(9_000, 9_000), "at most 64,000,000 are read"),
        (png_header(12_000, 12_000), "at most 64,000,000 are read"),
        (png_header(50_000, 50_000), "more than the 64,000,000 pixels"),
    ],
)
def test_a_file_that_is_no_image_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_digit_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def encoded(name: str) -> bytes:
    """Give the bytes of a small drawing in a format."""
    buffer = io.BytesIO()
    drawn().resize((40, 60)).save(buffer, name)
    return buffer.getvalue()


ENCODED = {name: encoded(name) for name in ("PNG", "JPEG", "WEBP", "BMP", "GIF")}


@one_file
@given(name=st.sampled_from(sorted(ENCODED)), share=st.floats(0, 1))
def test_a_file_cut_off_anywhere_is_a_data_error_or_a_picture(tmp_path: Path, name: str, share: float) -> None:
    (tmp_path / "cut").write_bytes(ENCODED[name][: int(share * len(ENCODED[name]))])
    with contextlib.suppress(DataError):
        assert read_digit_image(tmp_path / "cut").shape == (1, 28, 28)


@one_file
@given(name=st.sampled_from(sorted(ENCODED)), position=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_a_damaged_file_is_a_data_error_or_a_picture(tmp_path: Path, name: str, position: int, byte: int) -> None:
    content = bytearray(ENCODED[name])
    content[position % len(content)] = byte
    (tmp_path / "damaged").write_bytes(bytes(content))
    with contextlib.suppress(DataError):
        assert read_digit_image(tmp_path / "damaged").shape == (1, 28, 28)


@pytest.mark.parametrize("read", [read_digit_image, load_image_folder])
def test_what_is_missing_is_a_file_not_found_error(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")


def test_without_pillow_the_extra_is_named(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(drawn())
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"handconv\[cli\]"):
        read_digit_image(path)


def test_a_large_image_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_MAX_PIXELS", 1000)
    (tmp_path / "digit.png").write_bytes(ENCODED["PNG"])
    with pytest.raises(DataError, match="40 x 60 pixels, at most 1,000 are read"):
        read_digit_image(tmp_path / "digit.png")
