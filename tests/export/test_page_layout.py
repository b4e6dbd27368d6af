"""How the page looks: in light and dark, on paper, in a system's own colours, and that all has room at every width."""

from typing import Any

import numpy as np
import pytest

import handconv as hc

from .conftest import PHONE, Open


def test_the_theme_is_that_of_the_system_until_one_chooses(open_page: Open) -> None:
    def background(page: Any) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = open_page(color_scheme="dark")
    light = open_page(color_scheme="light")
    assert background(dark) != background(light)
    dark.get_by_role("button", name="Light").click()
    assert background(dark) == background(light)


@pytest.mark.parametrize("chosen", ["dark by the system", "dark by the button"])
def test_what_is_printed_is_light_and_whole_and_the_screen_is_dark_again_afterwards(
    chosen: str, open_page: Open
) -> None:
    page = open_page(color_scheme="dark" if "system" in chosen else "light")
    if "button" in chosen:
        page.get_by_role("button", name="Dark").click()
    corners = """(which) => [...document.querySelectorAll(which)].map((canvas) => {
        const [red, green, blue, opaque] = canvas.getContext("2d").getImageData(1, 1, 1, 1).data;
        return opaque ? red + green + blue : null;
    })"""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = page.evaluate(corners, "#why, #seen, #pad, #layers canvas")
    assert None not in printed
    assert min(printed) > 300
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(f"() => Math.max(...({corners})('#why, #seen, #pad')) < 300")


@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_names_can_be_read_whole_beside_the_test_images(width: int, open_model: Open, rng: np.random.Generator) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(3), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": ["T-shirt/top", "Ankle boot", "automobile"]}
    images, labels = rng.random((12, 1, 6, 6)).astype(np.float32), [0, 1, 2] * 4
    page = open_model(model, images, labels, viewport={"width": width, "height": 800})
    shown = page.locator("#images span").evaluate_all("all => all.map((name) => [name.scrollWidth, name.clientWidth])")
    assert all(needed <= given for needed, given in shown)
    assert all(name.bounding_box()["height"] < 16 for name in page.locator("#images span").all())  # one line


def test_long_names_have_two_lines_beside_the_test_images_and_leave_room_for_the_heat_map(
    open_model: Open, rng: np.random.Generator
) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": ["no", "a small green frog that sits on a leaf"]}
    page = open_model(model, rng.random((4, 1, 6, 6)).astype(np.float32), [0, 1, 0, 1])
    one, two = sorted({round(name.bounding_box()["height"]) for name in page.locator("#images span").all()})
    assert two == pytest.approx(2 * one, abs=1)
    assert page.locator("#images button").nth(1).bounding_box()["height"] < 40
    assert page.locator("#seen").bounding_box()["x"] < page.locator("#why").bounding_box()["x"]
    assert "a small green frog that sits on a leaf" in {
        button.get_attribute("title") for button in page.locator("#images button").all()
    }


def test_single_characters_stand_under_the_test_images(page: Any) -> None:
    button = page.locator("#images button").first
    picture, name = (button.locator(part).bounding_box() for part in ("canvas", "span"))
    assert name["y"] >= picture["y"] + picture["height"]


@pytest.mark.parametrize("height", [600, 780])
def test_all_test_images_can_be_reached_on_a_low_screen(
    height: int, open_model: Open, rng: np.random.Generator
) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": ["yes", "no"]}
    page = open_model(model, rng.random((12, 1, 6, 6)), [0, 1] * 6, viewport={"width": 1280, "height": height})
    page.locator("#images button").last.scroll_into_view_if_needed()
    box = page.locator("#images button").last.bounding_box()
    assert 0 <= box["y"] <= height - box["height"]


@pytest.mark.parametrize("which", ["#chances button:nth-child(1)", "#images button", "#pens label"])
def test_what_is_chosen_is_seen_where_the_system_chooses_the_colours(which: str, open_page: Open) -> None:
    page = open_page(forced_colors="active")
    page.locator("#chances button").nth(7).click()
    outlines = page.locator(which).evaluate_all("all => all.map((each) => getComputedStyle(each).outlineStyle)")
    assert sorted(set(outlines)) == ["none", "solid"]
    assert outlines.count("solid") == 1


def test_the_numbers_of_a_unit_keep_their_colours_where_the_system_chooses_the_others(open_page: Open) -> None:
    page = open_page(forced_colors="active")
    script = "all => new Set(all.map((cell) => getComputedStyle(cell).backgroundColor)).size"
    assert page.locator("#unit .grid span").evaluate_all(script) > 3


def test_the_bars_are_printed(page: Any) -> None:
    page.emulate_media(media="print")
    script = "getComputedStyle(document.querySelector('#chances .first .bar')).printColorAdjust"
    assert page.evaluate(script) == "exact"


@pytest.mark.parametrize("width", [320, 640])
def test_the_bars_have_room_where_there_is_little(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 700})
    assert page.locator("#chances .track").first.bounding_box()["width"] > 48


@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_an_answer_of_two_digits_does_not_lie_on_the_bars(width: int, open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(20), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.layers[1].biases[18] = 9  # type: ignore[attr-defined]
    page = open_model(model, np.ones((1, 1, 6, 6)), viewport={"width": width, "height": 700})
    assert page.locator("#best").inner_text() == "18"
    assert page.evaluate("byId('best').scrollWidth <= byId('verdict').clientWidth")


def test_a_name_that_is_too_long_for_a_line_goes_on_in_a_second(open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": ["handwritten letter A", "handwritten letter B"]}
    page = open_model(model, np.ones((1, 1, 6, 6)))
    names = page.locator("#chances b").evaluate_all("all => all.map((b) => [b.scrollHeight, b.clientHeight])")
    assert all(needed <= given for needed, given in names)


def test_nothing_moves_for_those_who_want_less_motion(open_page: Open) -> None:
    script = "getComputedStyle(document.querySelector('#chances .bar')).transitionDuration"
    assert open_page(reduced_motion="reduce").evaluate(script) == "0s"
    assert open_page(reduced_motion="no-preference").evaluate(script) != "0s"


@pytest.mark.parametrize("width", [280, 320, 390, 720, 860, 1024, 1100, 1280, 1920])
def test_no_width_makes_the_page_scroll_sideways(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pad_and_answer_are_on_the_first_screen_of_a_phone(open_page: Open) -> None:
    page = open_page(**PHONE)
    for part in ("#pad", "#chances"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 844


@pytest.mark.parametrize("size", [(640, 360), (667, 375), (844, 390)])
def test_pad_and_answer_stand_side_by_side_on_a_phone_on_its_side(size: tuple[int, int], open_page: Open) -> None:
    page = open_page(viewport=dict(zip(("width", "height"), size, strict=True)), has_touch=True, is_mobile=True)
    pad, best = (page.locator(part).bounding_box() for part in ("#pad", "#best"))
    assert best["x"] > pad["x"] + pad["width"]
    assert pad["y"] + pad["height"] <= size[1]


@pytest.mark.parametrize("width", [320, 360, 375, 390, 414])
def test_the_heat_map_stands_beside_the_input_on_every_phone(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 800}, has_touch=True, is_mobile=True)
    assert page.locator("#seen").bounding_box()["x"] < page.locator("#why").bounding_box()["x"]


@pytest.mark.parametrize("names", [["no", "yes"], ["ON", "OFF"], ["100", "200"]])
def test_the_answer_does_not_lie_on_the_bars(names: list[str], open_model: Open) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    model.info = {"class_names": names}
    page = open_model(model, np.ones((1, 1, 6, 6)))
    assert page.evaluate("byId('best').scrollWidth <= byId('verdict').clientWidth")
