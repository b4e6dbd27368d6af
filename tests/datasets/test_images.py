"""Image files: every mode and format is decoded to plain brightness or colours, and no file does harm."""

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

from handconv.datasets.readers import images as formats
from handconv.datasets.readers import load_image_folder, read_picture
from handconv.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
else:
    Image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow, which is not installed")
    ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="image files are read by Pillow, which is not installed")

one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(mode: str = "L", paper: object = 235, ink: object = 30) -> "Image.Image":
    """Draw strokes on a sheet of 20 x 30."""
    sheet = Image.new(mode, (20, 30), paper)
    ImageDraw.Draw(sheet).line([(5, 8), (15, 8), (9, 24)], fill=ink, width=3)
    return sheet


def read(path: Path) -> NDArray[np.uint8]:
    return read_picture(path, at_most=100)


def read_back(picture: "Image.Image", folder: Path, name: str = "a.png", **options: object) -> NDArray[np.uint8]:
    picture.save(folder / name, **options)
    return read(folder / name)


@pytest.mark.parametrize(
    ("mode", "paper", "ink"),
    [
        ("1", 1, 0),
        ("L", 255, 0),
        ("RGB", (250, 250, 255), (5, 0, 0)),
        ("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)),
        ("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
        ("RGBA", (255, 255, 255, 255), (0, 0, 0, 255)),
        ("LA", (0, 0), (0, 255)),
        ("I;16", 65_535, 0),
        ("I;16", 4_000, 0),
        ("F", 1.0, 0.0),
    ],
)
def test_dark_on_light_is_that_in_every_mode(tmp_path: Path, mode: str, paper: object, ink: object) -> None:
    name = "a.tif" if mode in ("CMYK", "F") else "a.png"
    picture = read_back(drawn(mode, paper, ink), tmp_path, name)
    assert picture.shape == (30, 20)
    assert (picture[0, 0], picture[8, 10]) >= (245, 0)
    assert picture[8, 10] <= 10


def test_light_ink_on_a_transparent_ground_is_laid_on_black(tmp_path: Path) -> None:
    picture = read_back(drawn("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)), tmp_path)
    assert (picture[0, 0], picture[8, 10]) == (0, 255)


def test_transparent_corners_get_the_colour_of_the_opaque_paper(tmp_path: Path) -> None:
    sheet = drawn("RGBA", (240, 240, 240, 255), (20, 20, 20, 255))
    ImageDraw.Draw(sheet).rectangle((0, 0, 4, 4), fill=(0, 0, 0, 0))
    assert read_back(sheet, tmp_path)[0, 0] == 240


def test_a_palette_with_transparency_is_laid_on_paper(tmp_path: Path) -> None:
    sheet = drawn("P", 0, 1)
    sheet.putpalette([9, 9, 9, 20, 20, 20])
    picture = read_back(sheet, tmp_path, transparency=0)
    assert (picture[0, 0], picture[8, 10]) == (255, 20)


def test_colours_stay_colours(tmp_path: Path) -> None:
    picture = read_back(drawn("RGB", (90, 150, 80), (190, 70, 90)), tmp_path)
    assert picture.shape == (30, 20, 3)
    assert picture[8, 10].tolist() == [190, 70, 90]


def test_colours_that_are_nearly_grey_are_grey(tmp_path: Path) -> None:
    assert read_back(drawn("RGB", (240, 235, 230), (20, 20, 30)), tmp_path).shape == (30, 20)


def test_a_photo_held_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_back(drawn().transpose(Image.Transpose.ROTATE_90), tmp_path, "a.jpg", exif=exif)
    assert picture.shape == (30, 20)
    assert picture[8, 10] < picture[0, 0] - 100


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.gif", "a.tif"])
def test_every_format_is_decoded(tmp_path: Path, name: str) -> None:
    picture = read_back(drawn(), tmp_path, name)
    assert np.abs(picture.astype(int) - np.asarray(drawn())).mean() < 5


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.png", "a.webp"])
def test_of_several_pages_the_first_is_read_and_that_is_said(tmp_path: Path, name: str) -> None:
    drawn().save(tmp_path / name, save_all=True, append_images=[Image.new("L", drawn().size, 255)])
    with pytest.warns(UserWarning, match="2 pages or pictures; the first one is read"):
        picture = read(tmp_path / name)
    assert np.abs(picture.astype(int) - np.asarray(drawn())).mean() < 5


def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    assert read_back(drawn().resize((400, 600)), tmp_path).shape == (100, 67)


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
        (b"hello", "of no kind that Pillow reads"),
        (b"%PDF-1.7 a document", "of no kind that Pillow reads"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "of no kind that Pillow reads"),
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
        read(path)
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
        assert read(tmp_path / "cut").dtype == np.uint8


@one_file
@given(name=st.sampled_from(sorted(ENCODED)), position=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_a_damaged_file_is_a_data_error_or_a_picture(tmp_path: Path, name: str, position: int, byte: int) -> None:
    content = bytearray(ENCODED[name])
    content[position % len(content)] = byte
    (tmp_path / "damaged").write_bytes(bytes(content))
    with contextlib.suppress(DataError):
        assert read(tmp_path / "damaged").dtype == np.uint8


@pytest.mark.parametrize("read", [read, load_image_folder])
def test_what_is_missing_is_a_file_not_found_error(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    drawn().save(path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"handconv\[cli\]"):
        read(path)


def test_a_large_image_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_MAX_PIXELS", 1000)
    (tmp_path / "digit.png").write_bytes(ENCODED["PNG"])
    with pytest.raises(DataError, match="40 x 60 pixels, at most 1,000 are read"):
        read(tmp_path / "digit.png")
