"""Reading pictures: what is right, what is in doubt, and what is no digit at all."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.datasets.readers.images import decode_picture
from handconv.metrics import expected_calibration_error
from handconv.reading import DigitReader, InputForm, Reading, prepare
from picture_cases import BOX, SCENES, SHAPE, Image, ImageDraw, Pixels, bytes_of, coloured, ink, mixed, ruled

FONTS = Path("/usr/share/fonts")
LETTERS = "ACEFHJKLMNPRTUVWXY"  # without those that look like digits


@pytest.fixture(scope="module")
def reader() -> DigitReader:
    pytest.importorskip("cv2", reason="photographs are read by OpenCV, which is not installed")
    return DigitReader()


def read(reader: DigitReader, pixels: NDArray[np.floating] | Pixels, *, one: bool = False) -> Reading:
    return reader.read(decode_picture(bytes_of(pixels), "a picture", at_most=1024), one=one)


def numbers(digits: str, side: int, shape: tuple[int, int], top: int) -> NDArray[np.float64]:
    """Draw several digits in a line."""
    amount = np.zeros(shape)
    for place, digit in enumerate(digits):
        amount += ink(int(digit), shape, (top + place % 3, 20 + place * (side + 10), side))
    return amount.clip(0, 1)


@pytest.fixture(scope="module")
def fifty(reader: DigitReader) -> list[tuple[str, int, Reading]]:
    """Two pictures of each scene, read."""
    rng = np.random.default_rng(19)
    pairs = [(name, digit) for k, name in enumerate(SCENES) for digit in (k % 10, (3 * k + 7) % 10)]
    return [(name, digit, read(reader, SCENES[name](digit, rng))) for name, digit in pairs]


def test_of_fifty_pictures_in_all_styles_at_least_48_are_read(fifty: list[tuple[str, int, Reading]]) -> None:
    wrong = [(name, digit, reading) for name, digit, reading in fifty if reading.text != str(digit)]
    assert len(fifty) == 50
    assert len(wrong) <= 2, wrong


def test_of_fifty_pictures_none_is_read_wrongly_without_a_doubt(fifty: list[tuple[str, int, Reading]]) -> None:
    silent = [
        (name, digit, reading)
        for name, digit, reading in fifty
        if reading.verdict in ("digit", "digits") and reading.text != str(digit)
    ]
    assert silent == []


def test_a_bold_ring_in_a_tiny_picture_is_a_zero(reader: DigitReader) -> None:
    sheet = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(sheet).ellipse((10, 4, 190, 196), outline=0, width=39)
    assert read(reader, np.asarray(sheet.resize((16, 16)))).text == "0"


@pytest.mark.parametrize("digit", [2, 4, 6, 7])
@pytest.mark.parametrize("edge", ["left", "right"])
def test_a_bold_digit_that_touches_the_edge_is_read_whole(reader: DigitReader, digit: int, edge: str) -> None:
    sheet = mixed(248.0, ink(digit, (300, 260), (60, 40, 200), 0.2), 25)
    inked = np.flatnonzero((sheet < 128).any(axis=0))
    reading = read(reader, sheet[:, inked[0] + 3 :] if edge == "left" else sheet[:, : inked[-1] - 2])
    assert (reading.text, reading.verdict) == (str(digit), "digit")


@pytest.mark.parametrize("edge", ["left", "right", "top"])
@pytest.mark.parametrize("digits", ["37", "42", "158", "90"])
def test_a_digit_that_touches_the_edge_belongs_to_the_number(reader: DigitReader, digits: str, edge: str) -> None:
    sheet = mixed(240.0, numbers(digits, 100, (200, 130 * len(digits)), 50), 30)
    rows, columns = np.nonzero(sheet < 128)
    cut = {"left": sheet[:, columns.min() :], "right": sheet[:, : columns.max() + 1], "top": sheet[rows.min() + 1 :]}
    reading = read(reader, cut[edge])
    assert reading.text == digits
    assert reading.verdict in (("unsure", "digits") if edge == "top" else ("unsure",))  # it may go on out there


@pytest.mark.parametrize("small", [False, True])
def test_what_enters_the_picture_and_is_no_digit_leaves_its_digits_as_they_are(
    reader: DigitReader, small: bool
) -> None:
    sheet = mixed(235.0, ink(5, (400, 400), (80, 120, 150)))
    picture = Image.fromarray(sheet.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((150, 300, 270, 480), fill=90)  # a finger
    draw.polygon([(0, 100), (60, 160), (0, 260)], fill=60)
    pixels = np.asarray(picture.resize((130, 130)) if small else picture)
    assert str(read(reader, pixels)).startswith("5 (digit,")


def test_digits_beside_one_another_are_read_from_left_to_right(reader: DigitReader) -> None:
    reading = read(reader, mixed(235.0, numbers("72046", 100, (200, 640), 50)))
    assert (reading.text, reading.verdict) == ("72046", "digits")


def test_lines_of_digits_are_read_from_top_to_bottom(reader: DigitReader) -> None:
    amount = numbers("315", 80, (340, 400), 40) + numbers("8624", 80, (340, 400), 200)
    assert read(reader, mixed(235.0, amount)).text == "3158624"


def scattered(shape: tuple[int, int], *digits: tuple[int, int, int]) -> NDArray[np.float64]:
    """Draw digits, each at its top and left."""
    amount = sum(ink(digit, shape, (top, left, 80)) for digit, top, left in digits)
    return mixed(235.0, np.minimum(amount, 1))


@pytest.mark.parametrize(
    "tops",
    [(70, 10, 60, 20), (10, 80, 150, 220), (220, 150, 80, 10), (70, 60, 130, 20)],
    ids=["up and down", "falling", "rising", "jumping"],
)
def test_a_line_need_not_be_level(reader: DigitReader, tops: tuple[int, ...]) -> None:
    digits = [
        (digit, top + 20, 20 + 90 * place) for place, (digit, top) in enumerate(zip((4, 3, 0, 5), tops, strict=True))
    ]
    assert read(reader, scattered((360, 400), *digits)).text == "4305"


def test_lines_close_above_one_another_that_begin_and_end_elsewhere_stay_apart(reader: DigitReader) -> None:
    above, below = ((4, 20, 120), (3, 26, 210), (0, 20, 300)), ((7, 125, 20), (5, 120, 120), (2, 126, 210))
    assert read(reader, scattered((240, 420), *above, *below)).text == "430752"


def test_each_digit_has_its_box(reader: DigitReader) -> None:
    first, second = read(reader, mixed(235.0, numbers("47", 100, (200, 300), 50))).digits
    assert np.abs(np.array(first.box) - (29, 44, 112, 157)).max() <= 8
    assert np.abs(np.array(second.box) - (142, 44, 216, 157)).max() <= 8


def test_boxes_are_in_the_pixels_of_the_picture(reader: DigitReader) -> None:
    (digit,) = read(reader, mixed(235.0, ink(7, (60, 40), (10, 8, 24)))).digits
    assert np.abs(np.array(digit.box) - (11, 8, 29, 36)).max() <= 2


def test_where_one_digit_was_asked_for_several_are_no_answer(reader: DigitReader) -> None:
    reading = read(reader, mixed(235.0, numbers("47", 100, (200, 300), 50)), one=True)
    assert (reading.text, reading.verdict, len(reading.digits)) == ("", "several digits", 2)


def test_a_stroke_that_stands_off_belongs_to_its_digit(reader: DigitReader) -> None:
    sheet = Image.new("L", (200, 300), 235)
    draw = ImageDraw.Draw(sheet)
    draw.line([(70, 95), (66, 160), (110, 150), (140, 180), (130, 230), (90, 250), (60, 240)], 30, 16, "curve")
    draw.line([(85, 78), (150, 78)], 30, 16)
    reading = read(reader, np.asarray(sheet))
    assert (reading.text, len(reading.digits)) == ("5", 1)


def touching(digits: str, apart: int) -> NDArray[np.float64]:
    """Draw digits so close to one another that their strokes touch."""
    amount = np.zeros((200, 300))
    for place, digit in enumerate(digits):
        amount = np.maximum(amount, ink(int(digit), (200, 300), (50, 30 + place * apart, 100)))
    return amount


@pytest.mark.parametrize(("digits", "apart"), [("23", 70), ("56", 70), ("35", 66), ("256", 70)])
def test_digits_that_touch_are_read_one_by_one(reader: DigitReader, digits: str, apart: int) -> None:
    reading = read(reader, mixed(235.0, touching(digits, apart)))
    assert (reading.text, reading.verdict) == (digits, "digits")


def test_digits_that_touch_are_cut_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert read(DigitReader(), mixed(235.0, touching("23", 70))).text == "23"


def test_digits_that_touch_have_boxes_side_by_side(reader: DigitReader) -> None:
    first, second = read(reader, mixed(235.0, touching("23", 70))).digits
    assert np.abs(np.array(first.box) - (45, 44, 120, 157)).max() <= 10
    assert np.abs(np.array(second.box) - (114, 44, 186, 157)).max() <= 10


@pytest.mark.parametrize("digit", range(10))
def test_a_single_digit_stays_one_however_wide(reader: DigitReader, digit: int) -> None:
    sheet = Image.fromarray(mixed(235.0, ink(digit, (200, 200), (50, 50, 100))).astype(np.uint8))
    assert len(read(reader, np.asarray(sheet.resize((340, 200)))).digits) == 1


def test_strokes_that_are_tangled_are_no_digit_without_a_doubt(reader: DigitReader) -> None:
    reading = read(reader, mixed(235.0, touching("888", 30)))
    assert reading.verdict in ("unsure", "nothing like a digit")


@pytest.mark.parametrize("digit", range(10))
def test_a_shadow_beside_a_digit_raises_no_doubt(reader: DigitReader, digit: int) -> None:
    plain = mixed(235.0, ink(digit, (480, 360), (120, 100, 200)))
    reading = read(reader, plain * np.where(np.arange(360) < 60, 1.0, 0.6)[None])
    assert (reading.text, reading.verdict) == (str(digit), read(reader, plain).verdict)


def test_a_digit_at_the_edge_of_a_deep_shadow_is_among_the_others(reader: DigitReader) -> None:
    amount = numbers("42275", 100, (200, 640), 50)
    assert read(reader, mixed(235.0, amount) * np.where(np.arange(640) < 350, 0.4, 1.0)[None]).text == "42275"


def test_legs_of_trousers_are_no_ones_without_a_doubt(reader: DigitReader) -> None:
    sheet = Image.new("L", (300, 300), 235)
    draw = ImageDraw.Draw(sheet)
    draw.polygon([(105, 40), (195, 40), (200, 100), (100, 100)], 110)
    draw.polygon([(100, 100), (145, 100), (140, 264), (105, 264)], 70)
    draw.polygon([(155, 100), (200, 100), (195, 264), (160, 264)], 70)
    grain = np.random.default_rng(0).normal(0, 4, (300, 300))
    assert read(reader, np.asarray(sheet) + grain).verdict in ("unsure", "nothing like a digit")


def test_of_pictures_of_clothes_hardly_any_is_read_without_a_doubt(reader: DigitReader, data_dir: Path) -> None:
    clothes = hc.datasets.load("fashion-mnist", data_dir=data_dir).x_test[::160, 0]
    pictures = [
        np.asarray(Image.fromarray(255 - image).resize((224, 224), Image.Resampling.BICUBIC)) for image in clothes
    ]
    verdicts = [read(reader, picture).verdict for picture in pictures]
    assert np.mean([verdict in ("digit", "digits") for verdict in verdicts]) <= 0.08


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("paper", "pen"), [((90, 150, 80), (190, 70, 90)), ((60, 110, 170), (190, 90, 40))])
def test_ink_as_bright_as_its_coloured_paper_is_read(
    reader: DigitReader, digit: int, paper: tuple[int, int, int], pen: tuple[int, int, int]
) -> None:
    for colours in ((paper, pen), (pen, paper)):
        assert read(reader, coloured(ink(digit, SHAPE, BOX), *colours)).text == str(digit)


@pytest.mark.parametrize("left", range(60, 84, 3))
def test_a_stroke_along_a_line_of_squared_paper_is_kept(reader: DigitReader, left: int) -> None:
    paper = ruled((500, 420), 24, 170, squared=True)
    assert read(reader, mixed(paper, ink(1, (500, 420), (200, left, 150), 0.04), 50)).text == "1"


def strange_pictures() -> dict[str, Pixels]:
    """Pictures that show no digit."""
    rng, pictures = np.random.default_rng(4), {}
    for name in ("circle with a cross", "shirt", "trousers", "star", "grid"):
        pictures[name] = Image.new("L", (200, 200), 255)
    cross, shirt, trousers, star, grid = (ImageDraw.Draw(sheet) for sheet in pictures.values())
    cross.ellipse((40, 40, 160, 160), outline=0, width=12)
    cross.line((40, 100, 160, 100), 0, 12)
    cross.line((100, 40, 100, 160), 0, 12)
    shirt.polygon(
        [(60, 30), (140, 30), (190, 80), (160, 100), (145, 85), (145, 180), (55, 180), (55, 85), (10, 80)], 60
    )
    trousers.polygon([(60, 20), (140, 20), (150, 185), (115, 185), (100, 80), (85, 185), (50, 185)], 90)
    for angle in np.arange(0, np.pi, np.pi / 4):
        dx, dy = 80 * np.cos(angle), 80 * np.sin(angle)
        star.line((100 - dx, 100 - dy, 100 + dx, 100 + dy), 0, 10)
    for at in range(20, 200, 40):
        grid.line((20, at, 180, at), 0, 6)
        grid.line((at, 20, at, 180), 0, 6)
    noise = rng.integers(0, 256, (200, 200), dtype=np.uint8)
    blank = np.full((200, 200), 255, np.uint8)
    return {name: np.asarray(sheet) for name, sheet in pictures.items()} | {"noise": noise, "blank": blank}


@pytest.mark.parametrize("name", strange_pictures())
def test_what_is_no_digit_is_said_to_be_nothing_like_one(reader: DigitReader, name: str) -> None:
    reading = read(reader, strange_pictures()[name])
    assert (reading.verdict, reading.text, reading.confidence) == ("nothing like a digit", "", 0.0)


@pytest.mark.parametrize("cropped", [False, True])
def test_the_bars_of_a_barcode_are_no_ones_without_a_doubt(reader: DigitReader, cropped: bool) -> None:
    sheet = np.full((200, 300), 255.0)
    for left, width in (
        (20, 5),
        (43, 7),
        (70, 4),
        (104, 7),
        (130, 3),
        (150, 9),
        (184, 7),
        (194, 7),
        (212, 7),
        (260, 6),
    ):
        sheet[20:180, left : left + width] = 0
    assert read(reader, sheet[40:160] if cropped else sheet).verdict in ("unsure", "nothing like a digit")


def with_a_mark(pixels: NDArray[np.float64], left: int) -> Pixels:
    """Draw a circle with a cross beside digits."""
    sheet = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(sheet)
    draw.ellipse((left, 50, left + 100, 150), outline=40, width=12)
    draw.line((left, 100, left + 100, 100), 40, 12)
    draw.line((left + 50, 50, left + 50, 150), 40, 12)
    return np.asarray(sheet)


@pytest.mark.parametrize("digits", ["3", "35", "357"])
def test_a_number_of_which_a_mark_is_no_digit_is_a_guess(reader: DigitReader, digits: str) -> None:
    shape, left = (200, 110 * len(digits) + 180), 110 * len(digits) + 40
    reading = read(reader, with_a_mark(mixed(235.0, numbers(digits, 100, shape, 50)), left))
    assert (reading.text, reading.verdict, reading.others) == (digits, "unsure", 1)


def test_a_word_is_not_read_as_the_digits_that_its_letters_look_like(reader: DigitReader) -> None:
    from PIL import ImageFont

    matplotlib = pytest.importorskip("matplotlib", reason="its fonts are needed")
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 60)
    sheet = Image.new("L", (400, 120), 255)
    ImageDraw.Draw(sheet).text((20, 20), "HAMLET", fill=0, font=font)
    assert read(reader, np.asarray(sheet)).verdict in ("unsure", "nothing like a digit")


def test_images_in_the_form_of_mnist_are_seen_as_they_are(reader: DigitReader) -> None:
    for image in hc.datasets.load("digits").x_test[:50]:
        for pixels in (image[0], 255 - image[0]):
            (digit,) = read(reader, pixels).digits
            np.testing.assert_array_equal(digit.image, image[0])


def test_every_image_of_mnist_is_seen_as_it_is(data_dir: Path) -> None:
    from handconv.reading.framing import read_framed

    images = hc.datasets.load("mnist", data_dir=data_dir).x_test[:, 0]
    assert all(read_framed(image) is image for image in images)


def test_images_of_mnist_are_read_as_well_as_the_model_can(reader: DigitReader, data_dir: Path) -> None:
    data = hc.datasets.load("mnist", data_dir=data_dir)
    digits = reader.recognize(list(data.x_test[:, 0]))
    answered = [digit.label if digit.verdict != "nothing like a digit" else None for digit in digits]
    assert np.mean([label == truth for label, truth in zip(answered, data.y_test, strict=True)]) >= 0.985


def known(reader: DigitReader, images: Pixels) -> NDArray[np.float64]:
    return np.array([digit.known for digit in reader.recognize(list(images))])


def test_at_the_threshold_nearly_all_digits_and_hardly_any_clothes_are_answered(
    reader: DigitReader, data_dir: Path
) -> None:
    digits = known(reader, hc.datasets.load("mnist", data_dir=data_dir).x_test[::4, 0])
    clothes = known(reader, hc.datasets.load("fashion-mnist", data_dir=data_dir).x_test[::5, 0])
    threshold = np.quantile(digits, 0.015)
    assert (clothes >= threshold).mean() <= 0.08
    assert abs((digits >= reader.threshold).mean() - 0.985) <= 0.01


def test_of_letters_in_fonts_that_were_not_learnt_few_are_answered(reader: DigitReader) -> None:
    from PIL import ImageFont

    fonts = sorted(path for path in FONTS.rglob("*-Regular.*tf") if "DejaVu" not in path.name)[:10]
    if len(fonts) < 5:
        pytest.skip("there are not enough fonts here beside DejaVu")
    answered = []
    for font in fonts:
        for letter in LETTERS:
            sheet = Image.new("L", (120, 120), 255)
            draw = ImageDraw.Draw(sheet)
            draw.text((60, 60), letter, fill=0, font=ImageFont.truetype(str(font), 64), anchor="mm")
            answered.append(read(reader, np.asarray(sheet)).verdict in ("digit", "digits"))
    assert np.mean(answered) <= 0.25


def test_probabilities_are_calibrated(reader: DigitReader, data_dir: Path) -> None:
    data = hc.datasets.load("mnist", data_dir=data_dir)
    chances = np.array([digit.probabilities for digit in reader.recognize(list(data.x_test[:, 0]))])
    np.testing.assert_allclose(chances, hc.zoo.trained_reference().predict(data.x_test), atol=1e-6)
    assert expected_calibration_error(chances, data.y_test) <= 0.005


def test_a_model_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images \(1, 28, 28\), this one takes \(1, 32, 32\)"):
        DigitReader(hc.zoo.reference(input_shape=(1, 32, 32)))


def test_a_clean_picture_is_read_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert read(DigitReader(), mixed(235.0, ink(6, SHAPE, BOX))).text == "6"


@pytest.mark.parametrize("scene", ["grain", "a shadow across the digit"])
def test_a_photograph_without_opencv_names_the_extra(monkeypatch: pytest.MonkeyPatch, scene: str) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(hc.MissingExtraError, match=r"needs cv2, .*handconv\[cli\]"):
        read(DigitReader(), SCENES[scene](6, np.random.default_rng(0)))


def test_read_digit_of_an_array_names_what_reads_arrays() -> None:
    with pytest.raises(TypeError, match=r"reads a file, got ndarray\. An array: handconv\.reading\.DigitReader"):
        hc.read_digit(np.zeros((28, 28), np.uint8))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x / 255,
        lambda x: x.astype(np.uint16),
        lambda x: x > 127,
        lambda x: x[None],
        lambda x: x[..., None],
        lambda x: x.ravel(),
        lambda x: x[:0],
    ],
)
def test_an_array_that_is_no_picture_is_refused(change: Any) -> None:
    picture = hc.datasets.load("digits").x_test[3, 0]
    assert DigitReader().read(picture).text == "2"
    with pytest.raises(ValueError, match=r"A picture is uint8 \(H, W\) or \(H, W, 3\), got"):
        DigitReader().read(change(picture))
    with pytest.raises(ValueError, match=r"A picture is uint8 \(H, W\) or \(H, W, 3\), got"):
        prepare(change(picture), InputForm("dark"), (28, 28))


def test_a_picture_may_be_given_as_a_list() -> None:
    picture = hc.datasets.load("digits").x_test[3, 0]
    assert DigitReader().read(list(picture)).text == "2"  # type: ignore[arg-type]


def test_read_digit_reads_a_file(reader: DigitReader, tmp_path: Path) -> None:
    (tmp_path / "four.png").write_bytes(bytes_of(coloured(ink(4, SHAPE, BOX), (240, 235, 230), (30, 30, 160))))
    reading = hc.read_digit(tmp_path / "four.png")
    assert (reading.text, reading.verdict) == ("4", "digit")
    assert reading.confidence > 0.9


def test_a_reading_is_printed_as_its_answer(reader: DigitReader) -> None:
    reading = read(reader, mixed(235.0, ink(4, SHAPE, BOX)))
    assert str(reading) == f"4 (digit, confidence {100 * reading.confidence:.2f} %)"


def test_where_there_is_no_answer_that_is_printed(reader: DigitReader) -> None:
    assert str(read(reader, np.full((40, 40), 200, np.uint8))) == "nothing like a digit"


def test_readings_are_short_when_printed(reader: DigitReader) -> None:
    text = repr(read(reader, mixed(235.0, ink(4, SHAPE, BOX))))
    assert text.startswith("Reading(verdict='digit', digits=(Digit(label=4, ")
    assert len(text) < 200
