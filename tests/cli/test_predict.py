"""``handconv predict``: the user's own image files, and rows of the test set."""

import bz2
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts.calibration import calibrate

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main
from picture_cases import BOX, SHAPE, bytes_of, ink, mixed


@pytest.fixture
def drawings(tmp_path: Path) -> list[Path]:
    """Three digits of the test set, drawn dark on light, off centre, in a picture of 200 x 300."""
    images = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    digits = hc.datasets.load("digits")
    files = []
    for row, ending in ((0, "png"), (2, "jpg"), (4, "png")):
        paper = np.full((300, 200), 235, np.uint8)
        ink = np.kron(digits.x_test[row, 0], np.ones((4, 4), np.uint8))
        paper[150:262, 70:182] -= (ink * 0.8).astype(np.uint8)
        files.append(tmp_path / f"{row}.{ending}")
        images.fromarray(paper).save(files[-1])
    return files


def test_each_file_gets_prediction_and_confidence(
    model_file: Path, drawings: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model_file), *map(str, drawings)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for file, line in zip(drawings, lines, strict=True):
        assert line.startswith(f"{file}: ")
        assert "confidence" in line


def test_what_was_drawn_is_recognised(
    drawings: list[Path], cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--dataset", "digits", "--epochs", "10", "--json"]) == 0
    capsys.readouterr()
    assert main(["predict", *map(str, drawings), "--json"]) == 0
    truth = hc.datasets.load("digits").y_test[[0, 2, 4]]
    assert [int(answer["prediction"]) for answer in objects(capsys.readouterr().out)] == truth.tolist()


@pytest.mark.parametrize("command", ["predict", "evaluate", "play"])
def test_a_dead_network_has_no_answers(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = hc.zoo.reference()
    network.named_parameters()["3.weights"][0] = np.nan
    network.save(tmp_path / "dead.npz")
    row = ["--row", "1"] if command == "predict" else []
    assert main([command, str(tmp_path / "dead.npz"), *row]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "dead.npz: this network is dead: 3.weights hold NaN or infinity" in output.err


def test_models_saved_in_python_get_images_of_their_size(
    drawings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, flat = tmp_path / "small.npz", tmp_path / "flat.npz"
    hc.zoo.reference(input_shape=(1, 32, 20)).save(small)
    assert main(["predict", str(small), str(drawings[0])]) == 0
    hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(784,), seed=0).save(flat)
    assert main(["predict", str(flat), str(drawings[0])]) == 1
    assert "this model takes samples of shape (784,)" in capsys.readouterr().err


def test_names_that_cannot_be_printed_survive_in_json(model_file: Path, drawings: list[Path], tmp_path: Path) -> None:
    file = drawings[0].rename(tmp_path / "zéro.png")
    done = handconv("predict", model_file, file, "--json", PYTHONIOENCODING="ascii")
    assert objects(done.stdout)[0]["file"] == str(file)


def test_a_broken_file_gets_one_line_and_the_others_are_done(
    model_file: Path, drawings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.png"
    broken.write_bytes(drawings[0].read_bytes()[:200])
    files = [str(drawings[0]), str(broken), str(missing), str(drawings[1])]
    assert main(["predict", str(model_file), *files]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2
    assert [str(file) in line for file, line in zip(files[1:3], output.err.splitlines()[1:], strict=True)] == [True] * 2
    assert main(["predict", str(model_file), *files, "--json"]) == 1
    events = [each["event"] for each in objects(capsys.readouterr().out)]
    assert events == ["answer", "error", "error", "answer"]
    assert main(["predict", str(model_file), *files, "-q"]) == 1
    assert str(broken) in capsys.readouterr().err


def test_rows_of_the_test_set(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model_file), "--row", "3", "--row", "4", "--json"]) == 0
    answers = objects(capsys.readouterr().out)
    assert [answer["row"] for answer in answers] == [3, 4]
    assert "picture" not in answers[0]


def test_a_row_that_is_not_there(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model_file), "--row", "360"]) == 2
    assert "from 0 to 359" in capsys.readouterr().err


def test_files_and_rows_are_one_or_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a.png", "--row", "3"]) == 2


def test_images_for_a_model_of_a_folder_are_read_as_the_folder_was(tmp_path: Path, cache_folder: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 215)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(level + rng.normal(0, 5, (28, 28)), 0, 255).astype(np.uint8)
            image_module.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    model = tmp_path / "model.npz"
    assert main(["train", "--dataset", str(tmp_path / "images"), "--save", str(model), "--no-play"]) == 0
    image_module.fromarray(np.full((60, 60), 210, np.uint8)).save(tmp_path / "plain.png")  # no ink to be found on it
    assert main(["predict", str(model), str(tmp_path / "plain.png")]) == 0


def test_a_model_of_colours_is_asked_about_coloured_pictures(
    tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    rng, colours = np.random.default_rng(0), {"red": (200, 30, 30), "green": (30, 117, 30)}  # equally bright
    for name, colour in colours.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(np.array(colour) + rng.normal(0, 20, (28, 28, 3)), 0, 255).astype(np.uint8)
            image_module.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    model, files = str(tmp_path / "model.npz"), [tmp_path / f"{name}.png" for name in colours]
    arguments = ["--dataset", str(tmp_path / "images"), "--colour", "--epochs", "8", "--no-play"]
    assert main(["train", *arguments, "--save", model]) == 0
    for file, colour in zip(files, colours.values(), strict=True):
        image_module.new("RGB", (60, 40), colour).save(file)
    capsys.readouterr()
    assert main(["predict", model, *map(str, files), "--json"]) == 0
    assert [each["prediction"] for each in objects(capsys.readouterr().out)] == list(colours)
    assert main(["predict", model, str(files[0]), "--show", "--save-picture", str(tmp_path / "seen.png")]) == 0


def test_a_model_is_named_by_its_run(seven: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dataset", "digits", "--epochs", "1", "--no-play"]) == 0
    run = next((cache_folder / "runs").glob("digits-*.npz")).name.split(".")[0]
    hc.zoo.trained_reference().save(cache_folder / "runs" / "other.npz")
    capsys.readouterr()
    assert main(["predict", run, str(seven)]) == 0
    assert capsys.readouterr().err.startswith(f"run {run}: ")


def test_a_file_that_is_there_is_no_name_of_a_run(
    seven: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache_folder / "runs").mkdir(parents=True)
    hc.zoo.trained_reference().save(cache_folder / "runs" / "seven.npz")
    monkeypatch.chdir(seven.parent)
    seven.rename("seven")
    assert main(["predict", "seven"]) == 0
    assert capsys.readouterr().out.startswith("seven: 7")


def test_without_any_training_the_bundled_model_answers(drawings: list[Path], cache_folder: Path) -> None:
    assert not (cache_folder / "runs").exists()
    assert main(["predict", str(drawings[0])]) == 0


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """A clean picture of a seven."""
    (tmp_path / "seven.png").write_bytes(bytes_of(mixed(235.0, ink(7, SHAPE, BOX))))
    return tmp_path / "seven.png"


@pytest.fixture
def forty_seven(tmp_path: Path) -> Path:
    """A picture of a four and a seven."""
    pytest.importorskip("cv2", reason="several digits are found by OpenCV, which is not installed")
    amount = ink(4, (200, 300), (50, 20, 100)) + ink(7, (200, 300), (50, 140, 100))
    (tmp_path / "47.png").write_bytes(bytes_of(mixed(235.0, amount)))
    return tmp_path / "47.png"


def answers(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    """What --json says, by the bundled model."""
    assert main(["predict", *map(str, arguments), "--json"]) == 0
    return objects(capsys.readouterr().out)


def test_json_tells_the_digit_how_sure_it_is_and_where(
    cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = answers(capsys, seven)
    assert (found["prediction"], found["verdict"], found["size"]) == ("7", "digit", [360, 480])
    assert found["confidence"] == found["top"][0]["probability"] > 0.9
    assert [digit["prediction"] for digit in found["digits"]] == ["7"]
    assert len(found["digits"][0]["box"]) == 4


def test_every_field_of_json_is_described_in_the_help(
    cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = answers(capsys, seven)
    assert main(["predict", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ") and line.split()} >= set(found)


def test_several_digits_are_read_with_their_boxes(
    cache_folder: Path, forty_seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = answers(capsys, forty_seven)
    assert (found["prediction"], found["verdict"]) == ("47", "digits")
    first, second = (digit["box"] for digit in found["digits"])
    assert first[2] < second[0]


def test_one_forbids_several(cache_folder: Path, forty_seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = answers(capsys, "--one", forty_seven)
    assert (found["prediction"], found["verdict"]) == (None, "several digits")
    assert main(["predict", "--one", str(forty_seven)]) == 0
    assert "several digits (2), and --one allows one" in capsys.readouterr().out


def test_what_is_no_digit_is_an_answer_too(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2", reason="photographs are read by OpenCV, which is not installed")
    path = tmp_path / "noise.png"
    path.write_bytes(bytes_of(np.random.default_rng(0).integers(0, 256, (100, 100))))
    (found,) = answers(capsys, path)
    assert (found["prediction"], found["confidence"], found["verdict"]) == (None, 0.0, "nothing like a digit")
    assert main(["predict", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: nothing like a digit\n"


def test_a_doubtful_digit_is_a_guess(cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = hc.zoo.trained_reference()
    calibrate(model, 20.0)
    model.save(seven.parent / "hot.npz")
    (found,) = answers(capsys, seven.parent / "hot.npz", seven)
    assert (found["prediction"], found["verdict"]) == ("7", "unsure")
    assert main(["predict", str(seven.parent / "hot.npz"), str(seven)]) == 0
    assert "7  unsure: confidence" in capsys.readouterr().out


def test_a_hyphen_reads_standard_input(cache_folder: Path, seven: Path) -> None:
    done = handconv("predict", "-", "--json", stdin=seven.read_bytes(), HANDCONV_CACHE=str(cache_folder))
    (found,) = objects(done.stdout)
    assert (found["file"], found["prediction"]) == ("-", "7")


def test_an_empty_standard_input_is_named(cache_folder: Path) -> None:
    done = handconv("predict", "-", HANDCONV_CACHE=str(cache_folder))
    assert done.returncode == 1
    assert "\nhandconv: standard input is empty." in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--", "-7.png"), ("./-7.png",), ("--one", "--", "-7.png"), ("--", "seven.png", "-7.png")]
)
def test_files_after_two_dashes_may_begin_with_one(
    cache_folder: Path, seven: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(seven.parent)
    Path("-7.png").write_bytes(seven.read_bytes())
    assert main(["predict", *arguments]) == 0


def test_options_after_two_dashes_are_files(
    cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(seven), "--", "--json"]) == 1
    assert "--json: No such file" in capsys.readouterr().err


def test_the_picture_that_is_saved_is_a_png(cache_folder: Path, seven: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert main(["predict", str(seven), "--save-picture", str(tmp_path / "seen.png")]) == 0
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_where_the_picture_is_is_said(
    cache_folder: Path, seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert main(["predict", str(seven), "--save-picture", str(tmp_path / "seen.png")]) == 0
    assert f"picture: {tmp_path / 'seen.png'}" in capsys.readouterr().err


def test_a_picture_is_saved_under_the_name_of_a_png(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("seen.jpg", ""):
        assert main(["predict", str(seven), "--save-picture", name]) == 2
        assert f"--save-picture must name a file that ends in .png, got {name!r}" in capsys.readouterr().err


def test_one_picture_is_saved_of_one_file(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(seven), str(seven), "--save-picture", "seen.png"]) == 2
    assert "--save-picture writes what is seen of one picture, got 2" in capsys.readouterr().err


def test_show_draws_what_the_network_saw_and_ten_bars(
    cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(seven), "--show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(("┌──", "+--"))
    bars = [line.rpartition("│ ")[2].split() for line in lines[1:] if line.endswith("%")]
    assert [bar[0] for bar in bars] == list("0123456789")
    assert len(bars[7][1]) == max(len(bar[1]) for bar in bars)


def test_pictures_on_white_become_negatives_for_a_model_of_images_on_black(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hc.zoo.reference()
    model.info = {"dataset": "fashion-mnist", "class_names": [f"garment {number}" for number in range(10)]}
    model.save(tmp_path / "fashion.npz")
    shirt = np.full((280, 280), 255)
    shirt[40:240, 80:200] = 60
    for name, pixels in (("white.png", shirt), ("black.png", 255 - shirt)):
        (tmp_path / name).write_bytes(bytes_of(pixels))
    assert (
        main(["predict", *(str(tmp_path / name) for name in ("fashion.npz", "white.png", "black.png")), "--json"]) == 0
    )
    output = capsys.readouterr()
    white, black = objects(output.out)
    assert white["top"] == black["top"]
    assert f"{tmp_path / 'white.png'}: turned into its negative" in output.err
    assert "black.png" not in output.err


def test_a_model_of_digits_from_a_table_reads_own_handwriting(
    cache_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hc.zoo.trained_reference()
    model.info = {
        "dataset": "train.csv",
        "class_names": list("0123456789"),
        "preparation": {"polarity": "light on dark", "fit": "centre"},
    }
    model.save(seven.parent / "kaggle.npz")
    (found,) = answers(capsys, seven.parent / "kaggle.npz", seven)
    assert (found["prediction"], found["verdict"]) == ("7", "digit")


def test_thousands_of_files_are_read_one_after_the_other(
    cache_folder: Path, seven: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: held.append(path) or b"")
    assert main(["predict", *["a.png"] * 5, "--json"]) == 1
    assert len(held) == len(capsys.readouterr().out.splitlines()) == 5


def test_many_files_are_counted_for_programs_that_read_the_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from handconv.cli import _progress
    from handconv.cli._output import Output

    monkeypatch.setattr(_progress, "_LINE_EVERY", 0.0)
    with _progress.CountProgress(Output(json_lines=True), 10_000) as progress:
        progress(1200)
    assert capsys.readouterr().err == "  1,200 of 10,000 files\n"


def test_few_files_are_not_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from handconv.cli import _progress
    from handconv.cli._output import Output

    monkeypatch.setattr(_progress, "_LINE_EVERY", 0.0)
    with _progress.CountProgress(Output(), 2) as progress:
        progress(1)
    assert capsys.readouterr().err == ""


def test_a_clean_picture_needs_no_opencv(cache_folder: Path, seven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main(["predict", str(seven)]) == 0


def test_a_folder_is_all_images_in_it(cache_folder: Path, drawings: list[Path]) -> None:
    (drawings[0].parent / "notes.txt").write_text("no image")
    (drawings[0].parent / "._0.png").write_bytes(b"what a Mac puts beside it")
    done = handconv("predict", drawings[0].parent, "--json", HANDCONV_CACHE=str(cache_folder))
    assert done.returncode == 0, done.stderr
    assert [each["file"] for each in objects(done.stdout)] == sorted(map(str, drawings))
    assert "Passed over" in done.stderr
    assert "notes.txt" in done.stderr


def test_an_address_is_to_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "https://example.com/7.png"]) == 2
    assert "Fetch it: curl -sL https://example.com/7.png | handconv predict -" in capsys.readouterr().err


def test_a_packed_table_is_to_be_unpacked(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv.bz2").write_bytes(bz2.compress(b"label,1,2,3,4\n7,1,2,3,4\n"))
    assert main(["predict", str(tmp_path / "t.csv.bz2")]) == 1
    assert "packed with bzip2. Unpack it." in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["t10k-images-idx3-ubyte.gz", "train-images.idx3-ubyte", "emnist-test-labels-idx1-ubyte"]
)
def test_a_data_set_given_as_a_picture_is_answered_with_the_commands_for_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(b"\0\0\x08\x03")
    assert main(["predict", str(file)]) == 2
    told = capsys.readouterr().err
    assert f"handconv evaluate --dataset {file}" in told
    assert f"handconv predict --dataset {file} --row 0" in told
