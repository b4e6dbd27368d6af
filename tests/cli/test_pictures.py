"""Pictures: text, PNG files, and the window."""

import dataclasses
import errno
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cli_helpers import handconv
from handconv.cli import main
from handconv.cli._cards import Card, MapsCard
from handconv.cli._output import Output
from handconv.cli._pictures import Pictures, ReadingCard, Seen, draw, draw_reading, png, write_png


def card() -> Card:
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    return Card("card", image, "row 1: predicted 2, truth 3", (("2", 0.75), ("3", 0.25)), label=0, truth=1)


def test_an_odd_number_of_rows_is_drawn_whole() -> None:
    assert draw(np.full((1, 3, 2), 255, np.uint8)).splitlines() == ["┌──┐", "│██│", "│▀▀│", "└──┘"]


def test_colours_end_with_each_line() -> None:
    assert all(line.endswith("\x1b[0m") for line in draw(card().image, colours=True).splitlines())


def test_without_its_colours_a_coloured_drawing_still_shows_the_ink() -> None:
    drawing = draw(np.array([[[255, 0], [0, 255]]], np.uint8), colours=True)
    assert drawing == "\x1b[38;5;255;48;5;232m▀\x1b[38;5;255;48;5;232m▄\x1b[0m"


def test_our_own_png_files_are_read_by_pillow() -> None:
    images = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image = card().image
    with images.open(io.BytesIO(png(image))) as decoded:
        assert decoded.size == (224, 224)
        np.testing.assert_array_equal(np.asarray(decoded)[::8, ::8], image[0])


def test_matplotlib_writes_the_picture_if_it_is_there(cache_folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = Pictures("text", Output(json_lines=True)).show(card())
    assert path == str(cache_folder / "pictures" / "card.png")
    assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_a_full_disk_is_told_with_the_file_and_leaves_none(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("handconv.serialization.atomic.os.fsync", full)
    assert Pictures("text", Output(json_lines=True)).show(card()) is None
    picture = cache_folder / "pictures" / "card.png"
    assert f"could not be written: {picture}: No space left on device." in capsys.readouterr().err
    seen = tmp_path / "seen.png"
    with pytest.raises(OSError, match=r"No space left on device: .*seen\.png"):
        write_png(seen, reading(1))
    augmented = tmp_path / "augmented.png"
    assert main(["data", "--dataset", "digits", "--show-augmented", str(augmented)]) == 1
    assert f"handconv: {augmented}: No space left on device." in capsys.readouterr().err
    assert not any(file.exists() for file in (picture, seen, augmented))


def test_a_qt_that_would_end_the_process_is_no_window_but_text(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    monkeypatch.setattr(pyplot, "get_backend", lambda: "QtAgg")
    said = "qt.qpa.plugin: libxcb-cursor0 is needed.\nqt.qpa.plugin: Could not load the plugin.\n"
    aborted = subprocess.CompletedProcess([], -6, "", said)
    monkeypatch.setattr("handconv.cli._pictures.subprocess.run", lambda *_, **__: aborted)
    assert Pictures("window", Output()).show(card()) is not None
    out, err = capsys.readouterr()
    assert "No window can be opened (Qt does not start: libxcb-cursor0 is needed); the images come as text." in err
    assert "75.00 %" in out


def test_without_matplotlib_the_bare_image_is_written(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handconv.cli._pictures.optional", lambda _: None)
    path = Pictures("text", Output(json_lines=True)).show(card())
    assert path is not None
    assert Path(path).read_bytes() == png(card().image)


def test_classes_are_shown_in_their_order_with_percentages_and_the_truth_marked() -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    figure = figures.Figure()
    card().draw(figure)
    axes = figure.axes[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "▸ 3"]
    assert [text.get_text() for text in axes.texts] == ["75.00 %", "25.00 %"]
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold"]


def test_a_heat_map_lies_over_a_dimmer_image_in_two_colours_as_strong_as_it_is() -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    figure = figures.Figure()
    image = np.full((1, 2, 2), 255, np.uint8)
    dataclasses.replace(card(), image=image, heat=np.array([[1.0, -1.0], [0.25, 0.0]])).draw(figure)
    under, over = figure.axes[0].images
    assert under.get_array().max() < 1 == under.norm.vmax
    assert over.get_array().tolist() == [[True, False], [True, False]]
    np.testing.assert_allclose(over.get_alpha(), [[1, 1], [0.5, 0]], atol=0.01)


@pytest.mark.usefixtures("usual_lines")
def test_many_classes_with_long_names_come_below_the_image() -> None:
    classes = tuple((f"a class with a name of some length {place}", 0.1) for place in range(10))
    text = dataclasses.replace(card(), classes=classes).text(Output())
    assert len(text.splitlines()) == 16 + 10


def test_the_map_of_a_filter_that_is_alike_everywhere_is_blank() -> None:
    maps = MapsCard("maps", card().image, "title", np.ones((1, 3, 3)), np.full((1, 26, 26), 0.5))
    assert maps.text(Output()).splitlines()[0] == "title"
    assert "██████" in maps.text(Output())


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (1, 64, 64), (1, 8, 8), (1, 3, 40), (1, 1, 16), (1, 16, 1), (1, 200, 200)]
)
@pytest.mark.parametrize("kernel", [(1, 1), (1, 16), (16, 1), (7, 7), (31, 31)])
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_maps_have_room_in_the_line(
    columns: int, kernel: tuple[int, int], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rng = np.random.default_rng(0)
    image, filters = rng.integers(0, 256, shape, np.uint8), rng.normal(size=(8, *kernel))
    lines = MapsCard("maps", image, "title", filters, rng.normal(size=(8, *shape[1:]))).text(Output()).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(1 for line in lines if line.strip()) > 4


def reading(digits: int) -> ReadingCard:
    rng = np.random.default_rng(0)
    picture, image = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((80, 120, 3), (28, 28)))
    classes = tuple((str(label), 0.1) for label in range(10))
    return ReadingCard("a.png: 7", picture, (Seen(image[None], (10, 10, 40, 60), classes, 7),) * digits)


@pytest.mark.parametrize("digits", [0, 1, 3])
def test_a_reading_is_drawn_with_a_box_an_image_and_ten_bars_for_each_digit(digits: int) -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    figure = figures.Figure(layout="constrained")
    draw_reading(figure, reading(digits))
    original, *panels = figure.get_axes()
    assert len(original.patches) == digits
    assert [len(panel.patches) for panel in panels] == [0, 10] * digits


def test_a_reading_is_written_under_any_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    write_png(tmp_path / "seen", reading(1))
    assert (tmp_path / "seen").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no virtual screen (Xvfb) here")
def test_with_a_screen_the_image_is_shown_in_a_window(model_file: Path) -> None:
    pytest.importorskip("tkinter", reason="matplotlib has no toolkit here")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "800x600x24"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            display = f":{server.stdout.readline().strip()}"
            done = handconv(
                *("play", model_file, "--picture", "window"), stdin="3\n4\n", DISPLAY=display, MPLBACKEND="tkagg"
            )
        finally:
            server.terminate()
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1  # which model it is
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["row 3", "row 4"]
