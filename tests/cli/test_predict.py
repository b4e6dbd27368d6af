"""``handconv predict``: the user's own image files, and rows of the test set."""

from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main


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
    files = [str(drawings[0]), str(broken), str(missing), str(tmp_path), str(drawings[1])]
    assert main(["predict", str(model_file), *files]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2
    assert [str(file) in line for file, line in zip(files[1:4], output.err.splitlines()[1:], strict=True)] == [True] * 3
    assert main(["predict", str(model_file), *files, "--json"]) == 1
    events = [each["event"] for each in objects(capsys.readouterr().out)]
    assert events == ["answer", "error", "error", "error", "answer"]


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


def test_without_any_training_the_bundled_model_answers(drawings: list[Path], cache_folder: Path) -> None:
    assert not (cache_folder / "runs").exists()
    assert main(["predict", str(drawings[0])]) == 0
