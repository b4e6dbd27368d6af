"""Drawing on the page: by mouse, by touch, by keyboard; and that what is drawn is read."""

from typing import Any

import numpy as np
import pytest

import handconv as hc

from .conftest import Open
from .handwriting import Stroke, Style, everything, write


def on_screen(page: Any, strokes: list[Stroke]) -> list[Stroke]:
    """Strokes on the pad, in the coordinates of the window."""
    box = page.locator("#pad").bounding_box()
    return [[(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke] for stroke in strokes]


def draw_by_mouse(page: Any, strokes: list[Stroke], *, lift: bool = True) -> None:
    for stroke in on_screen(page, strokes):
        page.mouse.move(*stroke[0])
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*point)
        if lift:
            page.mouse.up()


def draw_by_touch(page: Any, strokes: list[Stroke]) -> None:
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    for stroke in on_screen(page, strokes):
        touch("touchStart", stroke[0])
        for point in stroke[1:]:
            touch("touchMove", point)
        touch("touchEnd")


def answer(page: Any) -> str:
    """What the page says once it has drawn again."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#best").inner_text()


def shares(page: Any) -> list[str]:
    return page.locator("#chances .share").all_inner_texts()


@pytest.mark.parametrize("digit", [2, 3, 4, 7])
def test_the_mouse_draws(digit: int, page: Any) -> None:
    draw_by_mouse(page, write(digit, 0, Style()))
    assert answer(page) == str(digit)


@pytest.mark.parametrize("digit", [2, 4, 5, 8])
def test_the_finger_draws(digit: int, open_page: Open) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    draw_by_touch(page, write(digit, 0, Style()))
    assert answer(page) == str(digit)


def test_the_finger_does_not_scroll_the_page_while_it_draws(open_page: Open) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    draw_by_touch(page, [[(0.5, 0.9), (0.5, 0.6), (0.5, 0.3), (0.5, 0.1)]])
    assert page.evaluate("scrollY") == 0


def test_the_keyboard_draws(page: Any) -> None:
    page.locator("#clear").click()
    page.locator("#pad").focus()
    for key, count in (("ArrowUp", 11), ("ArrowLeft", 7), (" ", 1), ("ArrowRight", 14), ("ArrowDown", 22), (" ", 1)):
        for _ in range(count):
            page.keyboard.press(key)
    assert answer(page) == "7"


def test_what_is_drawn_for_a_model_of_dark_ink_on_white_paper_is_dark_ink_on_white_paper(open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
    page = open_model(model, 255 - hc.datasets.load("digits").x_test[:20])
    draw_by_mouse(page, write(3, 0, Style()))
    answer(page)
    seen = np.reshape(page.evaluate("[...activations[0]]"), (28, 28))
    assert seen[[0, -1]].min() == 1
    assert seen.min() < 0.05
    page.locator("#clear").click()
    answer(page)
    assert page.evaluate("activations[0].every((value) => value === 1)")


def test_two_arrow_keys_move_the_pen_diagonally(page: Any) -> None:
    page.locator("#pad").focus()
    page.keyboard.press(" ")
    page.keyboard.down("ArrowRight")
    page.keyboard.down("ArrowDown")
    (stroke,) = page.evaluate("drawing.strokes")
    (x0, y0), (x1, y1) = stroke["points"][-2:]
    assert x1 > x0
    assert y1 > y0


def test_the_probabilities_move_while_one_draws(page: Any) -> None:
    page.locator("#clear").click()
    seen = []
    for end in (2, 8, 14):
        draw_by_mouse(page, [write(2, 0, Style())[0][:end]], lift=False)
        answer(page)
        seen.append(shares(page))
    assert seen[0] != seen[1] != seen[2]


def test_every_layer_moves_while_one_draws(open_page: Open) -> None:
    page = open_page(viewport={"width": 1280, "height": 4000})
    answer(page)
    script = "views.map((maps) => maps.canvas.toDataURL())"
    before = page.evaluate(script)
    draw_by_mouse(page, write(2, 1, Style()), lift=False)
    answer(page)
    assert all(old != new for old, new in zip(before, page.evaluate(script), strict=True))


def test_undo_takes_back_stroke_by_stroke(page: Any) -> None:
    draw_by_mouse(page, write(4, 0, Style()))
    page.locator("#undo").click()
    assert len(page.evaluate("drawing.strokes")) == 1
    page.keyboard.press("Control+z")
    assert page.evaluate("[drawing.strokes.length, drawing.image !== null]") == [0, True]


def test_clear_can_be_undone(page: Any) -> None:
    draw_by_mouse(page, write(7, 0, Style()))
    page.locator("#clear").click()
    assert answer(page) == "–"
    page.locator("#undo").click()
    assert answer(page) == "7"


@pytest.mark.parametrize(("key", "strokes"), [("u", 1), ("Delete", 0)])
def test_keys_undo_and_clear(key: str, strokes: int, page: Any) -> None:
    draw_by_mouse(page, write(4, 0, Style()))
    page.locator("#pad").focus()
    page.keyboard.press(key)
    assert len(page.evaluate("drawing.strokes")) == strokes


def test_a_test_image_shows_its_truth(page: Any) -> None:
    page.get_by_role("button", name="Test image 8: 7").click()
    assert answer(page) == "7"
    assert page.locator("#truth").inner_text() == "✓ truth: 7"


def test_the_first_stroke_replaces_a_test_image(page: Any) -> None:
    page.get_by_role("button", name="Test image 1: 0").click()
    draw_by_mouse(page, write(1, 0, Style()))
    assert answer(page) == "1"


def test_a_tap_is_a_dot(page: Any) -> None:
    draw_by_mouse(page, [[(0.2, 0.3)]])
    answer(page)
    ink = np.reshape(page.evaluate("[...activations[0]]"), (28, 28))
    rows, columns = np.nonzero(ink)
    assert ink.max() == 1
    assert rows.max() - rows.min() <= 5
    assert columns.max() - columns.min() <= 5


def inks(page: Any) -> list[np.ndarray]:
    """The images that the network would see of all digits in all styles, in steps of 1/255."""
    script = "(all) => all.map((strokes) => String.fromCharCode(...inkOf(strokes, 28, true).map((ink) => 255 * ink)))"
    return [np.array([*map(ord, image)]).reshape(28, 28) / 255 for image in page.evaluate(script, drawings())]


def drawings() -> list[list[dict[str, Any]]]:
    return [[{"width": style.pen, "points": stroke} for stroke in strokes] for _, _, style, strokes in everything()]


def test_the_ink_fills_a_box_of_20_pixels(page: Any) -> None:
    for image in inks(page):
        rows, columns = np.nonzero(image > 0.5)
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21


def test_the_centre_of_mass_is_in_the_middle(page: Any) -> None:
    for image in inks(page):
        for axis in (0, 1):
            assert image.sum(axis=1 - axis) @ np.arange(28) / image.sum() == pytest.approx(14, abs=0.35)


def test_edges_are_soft(page: Any) -> None:
    for image in inks(page):
        assert 0.2 < ((image > 0.02) & (image < 0.98)).sum() / (image > 0.02).sum() < 0.9


def test_at_least_95_of_100_digits_are_read_in_every_kind_of_hand(page: Any) -> None:
    script = """(all) => all.map((strokes) => {
        const found = forward(network, inkOf(strokes, 28, true)), last = found[found.length - 1];
        return last.indexOf(Math.max(...last));
    })"""
    answers = page.evaluate(script, drawings())
    wrong = [(digit, name) for (digit, name, *_), found in zip(everything(), answers, strict=True) if digit != found]
    assert len(wrong) <= 0.05 * len(answers), wrong
