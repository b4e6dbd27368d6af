"""``handconv export`` and ``handconv play --web``."""

from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main


def test_a_model_becomes_a_page(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(model_file), "--to", "html", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'page.html'}: one page to see the network at work")
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")


def test_programs_get_the_file_and_its_size(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["export", str(model_file), str(page), "--to", "html", "--json"]) == 0
    (told,) = objects(capsys.readouterr().out)
    assert (told["event"], told["to"], told["file"]) == ("export", "html", str(page))
    assert told["bytes"] == page.stat().st_size


def test_npz_is_the_same_model(model_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.npz"
    assert main(["export", str(model_file), str(copy), "--to", "npz"]) == 0
    assert (hc.load(copy).parameters == hc.load(model_file).parameters).all()


def test_without_a_model_the_bundled_one_is_exported(cache_folder: Path, tmp_path: Path) -> None:
    assert main(["export", "--to", "html", str(tmp_path / "page.html"), "--dataset", "digits"]) == 0


def test_a_model_that_looks_like_mnists_and_knows_no_data_set_gets_a_page_too(
    tmp_path: Path, cache_folder: Path
) -> None:
    hc.zoo.reference(seed=0).save(tmp_path / "model.npz")
    assert main(["export", str(tmp_path / "model.npz"), "--to", "html", str(tmp_path / "page.html")]) == 0
    assert '"images":[]' in (tmp_path / "page.html").read_text("utf-8")


def test_a_model_that_knows_no_data_set_gets_a_page_to_draw_on(tmp_path: Path, cache_folder: Path) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 9, 9), seed=0)
    model.save(tmp_path / "model.npz")
    assert main(["export", str(tmp_path / "model.npz"), str(tmp_path / "page.html"), "--to", "html"]) == 0
    assert '"images":[]' in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("dataset", ["fashion-mnist", "/nowhere/letters", "letters.csv"])
def test_a_page_needs_no_data(
    dataset: str, tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
    model.info = {"dataset": dataset}
    model.save(tmp_path / "m.npz")
    line = ["export", str(tmp_path / "m.npz"), str(tmp_path / "page.html"), "--to", "html", "--source", "offline"]
    assert main(line) == 0
    assert '"images":[]' in (tmp_path / "page.html").read_text("utf-8")
    assert "The page goes without test images: " in capsys.readouterr().err
    (tmp_path / "page.html").unlink()
    assert main([*line, "--dataset", dataset]) != 0
    assert not (tmp_path / "page.html").exists()


def test_a_model_that_knows_no_data_set_takes_names_and_form_from_the_one_that_is_named(
    tmp_path: Path, cache_folder: Path
) -> None:
    images = np.zeros((4, 28, 28), np.uint8)
    images[:, :, 5:] = 200  # no digits in the form of MNIST's
    np.savez(tmp_path / "clothes.npz", x=images, y=np.array(["boot", "coat", "boot", "coat"]))
    hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 28, 28), seed=0).save(tmp_path / "m.npz")
    line = ["export", str(tmp_path / "m.npz"), str(tmp_path / "page.html"), "--to", "html"]
    assert main([*line, "--dataset", str(tmp_path / "clothes.npz")]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert '"classes":["boot","coat"]' in page
    assert '"isFramed":false' in page


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("page.html", 2, "--to"),
        ("--to pdf page.pdf", 2, "--to must be one of html, npz, got 'pdf'"),
        ("--to html page.pdf", 2, "ends in .html, got 'page.pdf'"),
        ("--to html", 2, "OUT"),
        ("a.npz b.npz page.html --to html", 2, "one model and writes one file"),
        ("nowhere.npz page.html --to html", 1, "nowhere.npz: No such file"),
        ("--to html nowhere/page.html --dataset digits", 1, "nowhere"),
        ("flat.npz page.html --to html --dataset digits", 2, "the model takes images of shape (4,)"),
    ],
)
def test_a_mistake_gets_one_line(
    line: str,
    status: int,
    words: str,
    tmp_path: Path,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0).save("flat.npz")
    assert main(["export", *line.split()]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert "Traceback" not in said.err
    assert not Path("page.html").exists()


def test_play_on_the_web_says_where_the_page_is_if_there_is_no_browser(model_file: Path, cache_folder: Path) -> None:
    done = handconv("play", model_file, "--web", BROWSER=None)
    assert done.returncode == 0
    assert done.stdout == f"No browser can be opened here. The page is {cache_folder / 'page.html'}\n"
    assert (cache_folder / "page.html").is_file()


def test_the_page_to_play_with_needs_no_cache(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below it")
    done = handconv(
        *("play", model_file, "--web"), BROWSER=None, HANDCONV_CACHE=str(tmp_path / "file"), TMPDIR=str(tmp_path)
    )
    assert done.returncode == 0
    (page,) = tmp_path.glob("*/page.html")
    assert done.stdout == f"No browser can be opened here. The page is {page}\n"


@pytest.mark.skipif("sys.platform == 'win32'", reason="the browser that is opened is a shell script")
def test_play_on_the_web_opens_the_page(model_file: Path, cache_folder: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/address\n')
    browser.chmod(0o755)
    done = handconv("play", model_file, "--web", "--json", BROWSER=str(browser))
    page = cache_folder / "page.html"
    assert objects(done.stdout) == [{"event": "page", "file": str(page), "opened": True}]
    assert (tmp_path / "address").read_text().strip() == page.as_uri()
