"""What the page shows: units with their numbers, names, and that all people can use it."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

from .conftest import PHONE, Open, complaints


def look(page: Any, k: int, index: int) -> None:
    """Click on a unit of activation k where it is drawn."""
    at = page.evaluate(
        """([k, index]) => {
            const maps = views[k], [, H, W] = maps.shape, [x, y] = maps.corner(Math.floor(index / (H * W)));
            maps.canvas.scrollIntoView({ block: "center" });
            return {
                x: x + ((index % W) + 0.5) * maps.cell,
                y: y + ((Math.floor(index / W) % H) + 0.5) * maps.cell,
            };
        }""",
        [k, index],
    )
    page.locator("#seen" if k == 0 else f"#layers li:nth-child({k}) canvas").click(position=at)


def numbers(page: Any, selector: str) -> list[float]:
    """The numbers that are shown there."""
    return [float(text.replace("−", "-")) for text in page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    """The image that the page of the bundled model begins with."""
    digits, model = hc.datasets.load("digits"), hc.zoo.trained_reference()
    right = model.predict(digits.x_test).argmax(axis=1) == digits.y_test
    return digits.x_test[np.flatnonzero(right & (digits.y_test == 3))[0]][None] / np.float32(255)


def test_a_convolutions_unit_shows_patch_kernel_and_sum(page: Any, seen: np.ndarray) -> None:
    conv = hc.zoo.trained_reference().layers[0]
    f, i, j = 4, 9, 14
    look(page, 1, (f * 26 + i) * 26 + j)
    assert page.locator("#unit .place").inner_text() == "filter 5, row 10, column 15"
    patch, kernel = seen[0, 0, i : i + 3, j : j + 3], conv.weights[f, 0]  # type: ignore[attr-defined]
    shown = np.reshape(numbers(page, "#unit .grid span"), (3, 9))
    np.testing.assert_allclose(shown, [patch.ravel(), kernel.ravel(), (patch * kernel).ravel()], atol=0.00501)
    total, value = numbers(page, "#unit .sum b")
    assert total == pytest.approx((patch * kernel).sum(), abs=6e-4)
    assert value == pytest.approx(conv.forward(seen)[0, f, i, j], abs=6e-4)


def test_the_sums_of_all_maps_and_the_bias_make_the_unit(page: Any, seen: np.ndarray) -> None:
    layers = hc.zoo.trained_reference().layers
    x = seen
    for layer in layers[:3]:
        x = layer.forward(x)
    f, i, j = 7, 3, 5
    look(page, 4, (f * 11 + i) * 11 + j)
    products = x[0, :, i : i + 3, j : j + 3] * layers[3].weights[f]  # type: ignore[attr-defined]
    np.testing.assert_allclose(numbers(page, "#unit .terms .number"), products.sum(axis=(1, 2)), atol=6e-4)
    assert numbers(page, "#unit .value") == [pytest.approx(layers[3].forward(x)[0, f, i, j], abs=6e-4)]


def test_each_maps_patch_can_be_asked_for(page: Any) -> None:
    look(page, 4, 60)
    page.locator("#unit .terms button").nth(5).click()
    assert page.locator("#unit .grid + *, #unit .product > div").first.inner_text().endswith("patch of map 6")
    assert page.locator("#unit .terms button").nth(5).get_attribute("aria-pressed") == "true"


def test_a_poolings_unit_shows_which_cell_won(page: Any, seen: np.ndarray) -> None:
    layers = hc.zoo.trained_reference().layers
    x = layers[1].forward(layers[0].forward(seen))
    c, i, j = 1, 6, 7
    look(page, 3, (c * 13 + i) * 13 + j)
    window = x[0, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel()
    won = page.locator("#unit .grid span").evaluate_all("all => all.findIndex((cell) => cell.className === 'won')")
    assert won == window.argmax()
    assert numbers(page, "#unit .value") == [pytest.approx(window.max(), abs=6e-4)]


def test_a_dense_unit_lists_its_largest_products_and_adds_up_the_rest(page: Any) -> None:
    look(page, 8, 17)
    *_, total, value = numbers(page, "#unit .sum b")
    assert sum(numbers(page, "#unit .terms .number")) == pytest.approx(total, abs=6e-3)
    assert page.locator("#unit .terms li").count() == 9
    assert numbers(page, "#unit .value") == [value]


@pytest.fixture
def block(rng: np.random.Generator) -> hc.Sequential:
    """Two branches side by side: stages 2 to 4 within the residual, 5 its projection, 6 the sum."""
    branch = [hc.Conv2D(4, 3, padding=1, groups=2), hc.BatchNorm(), hc.ReLU()]
    layers = [hc.Conv2D(2, 3), hc.Residual(branch, hc.Conv2D(4, 1)), hc.Flatten(), hc.Dense(3), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
    model.buffers[:] = rng.uniform(0.5, 2, model.buffers.shape)
    model.parameters[:] = rng.normal(0, 0.5, model.parameters.shape)
    return model


def test_a_residuals_unit_is_the_sum_of_branch_and_shortcut(
    block: hc.Sequential, open_model: Open, rng: np.random.Generator
) -> None:
    image = rng.random((1, 1, 8, 8)).astype(np.float32)
    page = open_model(block, image)
    block.forward(image)
    residual = block.layers[1]
    unit = int(residual.output.argmax())
    look(page, 6, unit)
    ways = [residual.layers[-1], residual.projection, residual]  # type: ignore[attr-defined]
    np.testing.assert_allclose(numbers(page, "#unit .sum b"), [way.output.flat[unit] for way in ways], atol=6e-4)
    assert "4 (ReLU)" in page.locator("#unit").inner_text()
    assert "5 (Conv2D)" in page.locator("#unit").inner_text()


def test_a_projection_says_what_it_reads(block: hc.Sequential, open_model: Open) -> None:
    page = open_model(block)
    assert "reads 1 (Conv2D)" in page.locator("#layers li:nth-child(5)").inner_text()
    assert "The sum of 4 (ReLU) and of 5 (Conv2D)" in page.locator("#layers li:nth-child(6)").inner_text()


def test_a_normalised_unit_shows_its_statistics(
    block: hc.Sequential, open_model: Open, rng: np.random.Generator
) -> None:
    image = rng.random((1, 1, 8, 8)).astype(np.float32)
    page = open_model(block, image)
    block.forward(image)
    norm = block.layers[1].layers[1]  # type: ignore[attr-defined]
    look(page, 3, 2 * 36 + 7)
    told = re.findall(r"-?\d+\.\d+", page.locator("#unit .sum").first.inner_text().replace("−", "-"))
    np.testing.assert_allclose([float(each) for each in told], [norm.running_mean[2], norm.running_var[2]], atol=6e-4)
    assert numbers(page, "#unit .sum b")[-1] == pytest.approx(norm.output.flat[2 * 36 + 7], abs=6e-4)


def test_a_filter_of_a_group_shows_the_maps_of_its_group(block: hc.Sequential, open_model: Open) -> None:
    page = open_model(block)
    look(page, 2, 3 * 36 + 7)
    assert "patch of map 2" in page.locator("#unit").inner_text()


@pytest.mark.parametrize("k", range(13))
def test_every_kind_of_unit_can_be_looked_at(k: int, page: Any) -> None:
    look(page, k, 5)
    assert page.evaluate("[unit.k, unit.index]") == [k, 5]
    assert page.locator("#unit .sum").count() > 0
    assert "NaN" not in page.locator("#unit").inner_text()
    assert "undefined" not in page.locator("#unit").inner_text()


def test_the_mouse_points_and_a_click_holds(page: Any) -> None:
    canvas = page.locator("#layers li:nth-child(1) canvas")
    canvas.hover(position={"x": 20, "y": 20})
    pointed = page.evaluate("unit.index")
    canvas.click(position={"x": 40, "y": 40})
    held = page.evaluate("unit.index")
    canvas.hover(position={"x": 60, "y": 20})
    assert page.evaluate("unit.index") == held != pointed
    page.keyboard.press("Escape")
    canvas.hover(position={"x": 20, "y": 20})
    assert page.evaluate("unit.index") == pointed


@pytest.mark.parametrize("width", [860, 1024, 1099, 1280])
def test_a_unit_that_is_pointed_at_is_told_of_beside_the_maps(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 768})
    canvas = page.locator("#layers li:nth-child(4) canvas")
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": 40, "y": 40})
    maps, told = canvas.bounding_box(), page.locator("#inspector").bounding_box()
    assert maps["x"] + maps["width"] <= told["x"]
    assert 0 <= told["y"] < told["y"] + told["height"] <= 768


def test_arrow_keys_go_from_unit_to_unit(page: Any) -> None:
    page.locator("#release").evaluate("(button) => button.focus()")
    page.locator("#seen").focus()
    for key in ("Tab", "ArrowRight", "ArrowDown", "PageDown"):
        page.keyboard.press(key)
    assert page.evaluate("[unit.k, unit.isHeld]") == [1, True]
    assert page.locator("#spoken").inner_text().startswith(page.locator("#unit .place").inner_text())
    place = page.locator("#unit .place").inner_text()
    page.keyboard.press("PageUp")
    assert page.locator("#unit .place").inner_text() != place


def test_a_key_that_is_held_sets_the_pen_down_once(page: Any) -> None:
    page.locator("#pad").focus()
    for _ in range(4):
        page.keyboard.down("Space")  # after the first, as the keyboard repeats it
    assert page.evaluate("[drawing.strokes.length, isPenDown]") == [1, True]


@pytest.mark.parametrize("key", ["Control+z", "u", "Delete"])
def test_what_takes_the_drawing_back_ends_the_stroke_of_the_keyboard(key: str, page: Any) -> None:
    page.locator("#clear").click()
    page.locator("#pad").focus()
    for press in ("Space", "ArrowDown", key, "ArrowRight", "ArrowRight"):
        page.keyboard.press(press)
    assert page.evaluate("[drawing.strokes.length, isPenDown]") == [0, False]


def test_undo_while_the_mouse_draws_ends_the_stroke(page: Any) -> None:
    page.locator("#clear").click()
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.keyboard.press("Control+z")
    page.mouse.move(box["x"] + 150, box["y"] + 90)
    page.mouse.up()
    assert page.evaluate("drawing.strokes.length") == 0
    page.mouse.down()
    page.mouse.up()
    assert page.evaluate("drawing.strokes.map(({ points }) => points.length)") == [1]


def test_the_unit_follows_the_pen(page: Any) -> None:
    look(page, 11, 7)
    before = page.locator("#unit .value").inner_text()
    page.get_by_role("button", name="Test image 8: 7").click()
    page.locator("#truth", has_text="7").wait_for()
    assert page.locator("#unit .value").inner_text() != before


def test_any_class_can_be_asked_about(page: Any) -> None:
    page.locator("#chances button").nth(9).click()
    assert page.locator("#why-class").inner_text() == "9"
    page.locator("#why[aria-label*='speaks for 9']").wait_for()


def test_the_heat_map_colours_the_ink(page: Any) -> None:
    page.wait_for_function(
        """() => {
            const canvas = document.getElementById("why");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let orange = 0;
            for (let k = 0; k < data.length; k += 4) orange += data[k] - data[k + 2] > 60;
            return orange > 500;
        }"""
    )


def test_the_answer_is_spoken_once_the_hand_rests(page: Any) -> None:
    page.get_by_role("button", name="Test image 2: 1").click()
    page.locator("#spoken", has_text="The network says 1,").wait_for(state="attached")


def test_an_empty_sheet_is_spoken_of(page: Any) -> None:
    page.locator("#clear").click()
    page.locator("#spoken", has_text="Nothing is drawn.").wait_for(state="attached")


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_said_of_a_unit_is_not_talked_over_by_the_answer(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.locator("#spoken", has_text="The network says 3").wait_for(state="attached")
    page.clock.install()
    page.evaluate("refresh()")
    look(page, 1, 700)
    page.screenshot()  # by then the page knows that the sheet made it longer
    page.clock.run_for(2000)
    assert page.locator("#spoken").inner_text().startswith("filter 2, row 1, column 25: ")


def test_the_frame_of_a_cell_at_the_edge_is_whole(open_model: Open) -> None:
    model = hc.Sequential([hc.Conv2D(1, 3), hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 8, 8), seed=0)
    page = open_model(model, np.zeros((1, 1, 8, 8)), color_scheme="light")
    look(page, 1, 35)
    script = """() => {
        const canvas = byId("seen"), ratio = canvas.width / parseFloat(canvas.style.width);
        const edge = canvas.getContext("2d").getImageData(canvas.width - 2 * ratio, 0, 1, canvas.height).data;
        return [...edge].filter((value, k) => k % 4 === 0 && value < 80).length / ratio;
    }"""
    assert page.evaluate(script) > 3 / 8 * 196 - 4


def test_a_number_that_was_laid_out_as_a_vector_tells_its_row_and_its_column(open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    page = open_model(model)
    look(page, 1, 8)
    assert page.locator("#unit .sum").inner_text().endswith("channel 1, row 2, column 3.")


def test_a_tap_on_a_phone_opens_the_unit(open_page: Open) -> None:
    page = open_page(**PHONE)
    assert not page.locator("#unit").is_visible()
    page.locator("#layers li:nth-child(1) canvas").tap(position={"x": 30, "y": 30})
    assert page.locator("#unit").is_visible()
    page.get_by_role("button", name="Let go").tap()
    assert not page.locator("#unit").is_visible()


@pytest.mark.parametrize("size", [(390, 844), (320, 568), (640, 360)])
@pytest.mark.parametrize("unit", [0, 16 * 121 - 1])
def test_a_unit_that_is_looked_at_does_not_lie_under_what_is_told_of_it(
    size: tuple[int, int], unit: int, open_page: Open
) -> None:
    page = open_page(viewport=dict(zip(("width", "height"), size, strict=True)))
    page.locator("#layers li:nth-child(4) canvas").evaluate(
        "(canvas) => scrollBy(0, canvas.getBoundingClientRect().bottom - innerHeight)"
    )
    page.evaluate("(unit) => look(4, unit, true)", unit)
    row, sheet = page.evaluate(
        """() => {
            const { canvas, held, cell } = views[4], row = Math.floor(held / 11) % 11;
            const top = canvas.getBoundingClientRect().top + views[4].corner(Math.floor(held / 121))[1];
            return [[top + row * cell, top + (row + 1) * cell], byId("inspector").getBoundingClientRect().top];
        }"""
    )
    assert 0 <= row[0] < row[1] <= sheet


def test_two_fingers_on_the_maps_enlarge_them(open_page: Open) -> None:
    page = open_page(**PHONE)
    maps = page.locator("#layers li:nth-child(1) canvas")
    maps.evaluate("(canvas) => canvas.scrollIntoView({ block: 'center' })")
    box, session = maps.bounding_box(), page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for apart in range(10, 100, 5):
        fingers = [{"x": x + side * apart, "y": y, "id": side} for side in (-1, 1)]
        kind = "touchStart" if apart == 10 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("visualViewport.scale > 1.5")


def test_a_unit_that_is_held_is_printed_once_and_hides_nothing(open_page: Open) -> None:
    page = open_page(viewport={"width": 794, "height": 1123})  # A4
    look(page, 4, 700)
    page.emulate_media(media="print")
    script = "getComputedStyle(document.querySelector('{}')).{}"
    assert page.evaluate(script.format("#inspector", "position")) == "static"
    assert page.evaluate(script.format("#unit .grid span", "printColorAdjust")) == "exact"
    boxes = [page.locator(part).bounding_box() for part in ("#samples", "#inspector", "#flow")]
    assert all(a["y"] + a["height"] <= b["y"] for a, b in itertools.pairwise(boxes))


def test_numbers_in_cells_have_room_and_none_is_lost(page: Any) -> None:
    shown = page.evaluate("[0, -0.004, 1.25, -99.7, 9999, -123456].map((value) => short(value, 123456))")
    assert shown == ["0.00", "0.00", "1.25", "−100", "9999", "−1e5"]
    assert page.evaluate("[0, 0.002, -0.0213].map((value) => short(value, 0.0213))") == [".000", ".002", "−.021"]
    assert page.evaluate("[0, 2e-5, -3e-4].map((value) => short(value, 3e-4))") == [".000", "2e-5", "−3e-4"]
    assert page.evaluate("short(0, 0)") == "0.00"


@pytest.mark.parametrize(("width", "letters"), [(320, 16), (390, 16), (1280, 16), (320, 24), (390, 24), (1280, 24)])
def test_a_sum_has_room_whatever_the_size_of_letters(width: int, letters: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.evaluate("(size) => { document.documentElement.style.fontSize = `${size}px`; }", letters)
    page.evaluate("look(4, 300, true)")
    assert page.evaluate("getComputedStyle(document.body).fontSize") == f"{letters}px"
    assert page.evaluate("byId('inspector').scrollWidth <= byId('inspector').clientWidth")
    patch, kernel = (page.locator("#unit .product > div").nth(k).bounding_box() for k in (0, 1))
    assert patch["x"] + patch["width"] < kernel["x"] or patch["y"] + patch["height"] <= kernel["y"]
    cells = page.locator("#unit .grid span").evaluate_all(
        "all => all.map((cell) => [cell.scrollWidth, cell.clientWidth])"
    )
    assert all(needed <= given for needed, given in cells)
    shown = page.evaluate("[0, -0.00004, 0.0123, 123.45, -123456].map(number)")
    assert shown == ["0.000", "−0.000040", "0.012", "123.5", "−1.235e+5"]


def test_names_are_text_whatever_they_are(open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": ["<b>a</b>", "</script>"], "dataset": "<i>x"}
    page = open_model(model)
    assert page.locator("#chances b").all_inner_texts() == ["<b>a</b>", "</script>"]
    assert "trained on <i>x" in page.locator("#about").inner_text()


def test_of_many_classes_the_ten_most_probable_are_listed(open_model: Open, rng: np.random.Generator) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(40), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    images = rng.random((1, 1, 6, 6)).astype(np.float32)
    page = open_model(model, images)
    best = np.argsort(-model.predict(images)[0], kind="stable")[:10]
    assert page.locator("#chances b").all_inner_texts() == [str(k) for k in best]


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_have_a_page(channels: int, open_model: Open, rng: np.random.Generator) -> None:
    layers = [hc.Conv2D(3, 3), hc.GlobalAveragePool2D(), hc.Dense(3), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(channels, 256, 256), seed=0)
    images = rng.normal(size=(1, channels, 256, 256)).astype(np.float32)
    page = open_model(model, images)
    best = int(model.predict(images).argmax())
    page.locator("#best", has_text=str(best)).wait_for()
    look(page, 1, 254 * 254 + 100 * 254 + 50)
    found = re.findall(r"\d+", page.locator("#unit .place").inner_text())
    np.testing.assert_allclose([int(each) for each in found], [2, 101, 51], atol=3)  # a pixel holds three of a row
    boxes = [page.locator(which).first.bounding_box() for which in ("#seen", "#why", "#layers canvas")]
    assert max(box["height"] for box in boxes) < 256
    page.evaluate("look(2, 1, true)")
    mean = model[:2].predict(images)[0, 1]
    assert page.locator("#unit .sum").inner_text().startswith("sum ")
    assert numbers(page, "#unit .value") == [pytest.approx(mean, abs=6e-4)]


def test_all_of_many_large_maps_are_painted(open_model: Open) -> None:
    layers = [hc.Conv2D(264, 1), hc.GlobalAveragePool2D(), hc.Dense(2), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(1, 256, 256), seed=0)
    page = open_model(model, np.ones((1, 1, 256, 256)))
    script = """(map) => {
        const { canvas } = views[1], ratio = canvas.width / parseFloat(canvas.style.width);
        views[1].paint(true);
        const [x, y] = views[1].corner(map).map((place) => (place + 9) * ratio);
        return canvas.getContext("2d").getImageData(x, y, 1, 1).data[3];
    }"""
    assert [page.evaluate(script, place) for place in (0, 63, 64, 263)] == [255] * 4


def test_colour_images_are_shown_and_not_drawn(open_model: Open, rng: np.random.Generator) -> None:
    layers = [hc.Conv2D(4, 3), hc.ReLU(), hc.GlobalAveragePool2D(), hc.Dense(3), hc.Softmax()]
    model = hc.Sequential(layers, input_shape=(3, 8, 10), seed=0)
    page = open_model(model, rng.random((3, 3, 8, 10)), [0, 1, 2])
    assert page.get_by_role("application", name="Drawing pad").count() == 0
    assert not page.locator("#tools").is_visible()
    page.get_by_role("button", name="Test image 2: 1").click()
    page.locator("#truth", has_text="truth: 1").wait_for()


def test_without_images_one_begins_on_blank_paper(open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    page = open_model(model)
    assert page.locator("#best").inner_text() == "–"
    assert not page.locator("#samples").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("state", ["blank", "a unit held"])
def test_axe_finds_nothing(scheme: str, device: str, state: str, axe: str, open_page: Open) -> None:
    page = open_page(color_scheme=scheme, **(PHONE if device == "phone" else {}))
    if state == "blank":
        page.locator("#clear").click()
    else:
        look(page, 4, 700)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert complaints(page, axe) == []


def test_the_page_holds_no_address_of_another_place(digits_page: Path) -> None:
    text = digits_page.read_text("utf-8")
    assert "http:" not in text
    assert "https:" not in text
