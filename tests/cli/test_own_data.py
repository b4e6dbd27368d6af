"""A user's own tables, folders and IDX files, from training to evaluation."""

from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import objects
from handconv.cli import main
from handconv.datasets import Preparation
from handconv.datasets.readers import write_idx

DIGITS = hc.datasets.load("digits")


def write_digits(
    path: Path, labels: list[object], *, last: bool = False, name: str | None = None, top: int = 255
) -> Path:
    """Write the first digits of the embedded set with other labels."""
    pixels = DIGITS.x_train[: len(labels)].reshape(len(labels), -1).astype(int) * top // 255
    header = [f"pixel{i}" for i in range(784)]
    lines = [list(map(str, image)) for image in pixels.tolist()]
    for line, label in zip([header, *lines], [name, *labels], strict=True):
        line.insert(len(line) if last else 0, str(label))
    path.write_text("".join(",".join(line) + "\n" for line in ([header] if name else []) + lines))
    return path


def train(dataset: Path | str, tmp_path: Path, *options: str) -> hc.Sequential:
    """Train for an epoch and load the model."""
    model = tmp_path / "model.npz"
    arguments = ["train", "--dataset", str(dataset), "--epochs", "1", "--no-play", "--save", str(model), *options]
    assert main(arguments) == 0
    return hc.load(model)


@pytest.fixture(autouse=True)
def own_cache(cache_folder: Path) -> None:
    """No test sees what another trained."""


def write_folder(root: Path, *files: str, size: tuple[int, int] = (28, 28), mode: str = "L") -> Path:
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    rng = np.random.default_rng(0)
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (size[0], size[1], 3) if mode == "RGB" else size
        image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    return root


class TestWhatIsTested:
    """Of the data of a training the part that was held out; of other data all."""

    def test_all_of_other_data_is_tested(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        train(write_digits(tmp_path / "a.csv", [5, 7] * 8), tmp_path)
        other = write_digits(tmp_path / "b.csv", [7, 5, 5, 5])
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model.npz"), "--dataset", str(other), "--json"]) == 0
        (report,) = objects(capsys.readouterr().out)
        assert report["images"] == 4
        assert [(each["name"], each["samples"]) for each in report["classes"]] == [("5", 3), ("7", 1)]

    @pytest.mark.parametrize("named", [True, False])
    def test_of_its_own_data_what_was_held_out(
        self, named: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [5, 7] * 10)
        train(path, tmp_path)
        capsys.readouterr()
        again = ["--dataset", str(path)] if named else []
        assert main(["evaluate", str(tmp_path / "model.npz"), "--json", *again]) == 0
        told = capsys.readouterr()
        (report,) = objects(told.out)
        assert report["images"] == 4
        assert "has changed" not in told.err

    def test_data_that_have_changed_are_remarked_upon(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_digits(tmp_path / "a.csv", [5, 7] * 10)
        train(path, tmp_path)
        write_digits(path, [7, *[5, 7] * 10])
        assert main(["evaluate", str(tmp_path / "model.npz")]) == 0
        assert "has changed since the training: the model may have seen some" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["evaluate", "predict"])
    def test_dark_on_light_becomes_negative_for_a_model_of_light_on_dark(
        self, command: str, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = np.column_stack([DIGITS.y_test, 255 - DIGITS.x_test.reshape(len(DIGITS.y_test), -1)])
        path = tmp_path / "negative.csv"
        np.savetxt(path, table, fmt="%d", delimiter=",")
        data = ["--dataset", str(path)] if command == "evaluate" else [str(path)]
        assert main([command, str(model_file), *data, "--json"]) == 0
        told = capsys.readouterr()
        assert "dark on light; they are turned into negatives, as the model knows images light on dark." in told.err
        found = objects(told.out)
        answers = [int(each["prediction"]) for each in found] if command == "predict" else []
        right = np.mean(answers == DIGITS.y_test) if command == "predict" else found[0]["accuracy"]
        assert right > 0.9


class TestClasses:
    """Classes are those that are there, and keep their names."""

    @pytest.mark.parametrize("labels", [[5, 7], list(range(1, 11)), [0, 1, 250]])
    def test_labels_may_have_gaps(self, tmp_path: Path, labels: list[int], capsys: pytest.CaptureFixture[str]) -> None:
        model = train(write_digits(tmp_path / "a.csv", labels * 8), tmp_path)
        assert model.output_shape == (len(labels),)
        assert model.info["class_names"] == list(map(str, labels))
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model.npz"), "--json"]) == 0
        (report,) = objects(capsys.readouterr().out)
        assert [each["name"] for each in report["classes"]] == list(map(str, labels))
        assert all(each["samples"] > 0 for each in report["classes"])

    def test_data_that_are_gone_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_digits(tmp_path / "a.csv", [5, 7] * 8)
        train(path, tmp_path)
        path.unlink()
        assert main(["evaluate", str(tmp_path / "model.npz")]) == 2
        assert f"the model was trained on {path}, which is no longer there. Name the data" in capsys.readouterr().err

    def test_one_class_is_too_few_and_the_remedy_is_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [5] * 10)
        assert main(["train", "--dataset", str(path), "--no-play"]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"at least two classes, all of {path} are of '5'" in last
        assert "--label-column last" in last

    def test_those_of_other_data_are_found_by_their_names(
        self, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [row for row in range(200) if DIGITS.y_train[row] in (5, 7)]
        table = np.column_stack([DIGITS.y_train[rows], DIGITS.x_train[rows].reshape(len(rows), -1)])
        np.savetxt(tmp_path / "two.csv", table, fmt="%d", delimiter=",")
        assert main(["evaluate", str(model_file), "--dataset", str(tmp_path / "two.csv"), "--json"]) == 0
        (report,) = objects(capsys.readouterr().out)
        assert [each["name"] for each in report["classes"] if each["samples"]] == ["5", "7"]
        assert report["accuracy"] > 0.8

    def test_zeros_before_a_number_make_no_other_class(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = write_folder(tmp_path / "set", *(f"{name}/{i}.png" for name in ("01", "02", "10") for i in range(4)))
        train(folder, tmp_path)
        table = write_digits(tmp_path / "a.csv", [2, 1, 10, 2])
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model.npz"), "--dataset", str(table), "--json"]) == 0
        (report,) = objects(capsys.readouterr().out)
        assert [(each["name"], each["samples"]) for each in report["classes"]] == [("01", 1), ("02", 2), ("10", 1)]

    def test_those_that_the_model_does_not_know_are_named(
        self, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [9, 10, 11] * 4)
        assert main(["evaluate", str(model_file), "--dataset", str(path)]) == 2
        expected = f"the model tells 10 classes apart, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; {path} has 10, 11 too."
        assert expected in capsys.readouterr().err

    def test_numbers_stand_for_the_places_of_names(
        self, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = hc.load(model_file)
        model.info["class_names"] = [f"digit {label}" for label in range(10)]
        model.save(tmp_path / "named.npz")
        path = write_digits(tmp_path / "a.csv", DIGITS.y_train[:50].tolist())
        assert main(["evaluate", str(tmp_path / "named.npz"), "--dataset", str(path), "--json"]) == 0
        output = capsys.readouterr()
        assert "The labels are numbers; they are taken for the places of the classes digit 0, digit 1," in output.err
        assert objects(output.out)[0]["accuracy"] > 0.8

    def test_a_known_set_of_other_classes_is_refused(
        self, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = hc.load(model_file)
        model.info["class_names"] = [f"garment {label}" for label in range(10)]
        model.save(tmp_path / "named.npz")
        assert main(["evaluate", str(tmp_path / "named.npz"), "--dataset", "digits"]) == 2
        assert "garment 0, garment 1" in capsys.readouterr().err

    def test_a_model_without_names_takes_those_of_the_data(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        hc.zoo.reference(classes=2).save(tmp_path / "bare.npz")
        folder = write_folder(tmp_path / "images", *(f"{name}/{i}.png" for name in ("ant", "bee") for i in range(4)))
        assert main(["evaluate", str(tmp_path / "bare.npz"), "--dataset", str(folder)]) == 0
        output = capsys.readouterr()
        assert "The model has no names for its classes; they are taken for ant, bee." in output.err
        assert "ant" in output.out


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "--row", "0"]])
def test_a_model_that_does_not_know_its_data_is_not_judged_on_any(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hc.zoo.reference().save(tmp_path / "bare.npz")
    assert main([command[0], str(tmp_path / "bare.npz"), *command[1:]]) == 2
    assert "not known what this model was trained on. Name the data" in capsys.readouterr().err
    assert main([command[0], str(tmp_path / "bare.npz"), *command[1:], "--dataset", "digits"]) == 0


class TestTables:
    """Tables are read as they are written, and again in the same way."""

    @pytest.mark.parametrize(
        ("name", "options"), [("digit", []), ("kind", ["--label-column", "kind"]), (None, ["--label-column", "last"])]
    )
    def test_the_labels_may_stand_last(
        self, tmp_path: Path, name: str | None, options: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [3, 4] * 20, last=True, name=name)
        assert train(path, tmp_path, *options).info["class_names"] == ["3", "4"]
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model.npz"), "--json"]) == 0
        assert [each["name"] for each in objects(capsys.readouterr().out)[0]["classes"]] == ["3", "4"]

    def test_a_column_that_is_not_there_is_wrong_usage(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [3, 4] * 5, name="label")
        assert main(["train", "--dataset", str(path), "--label-column", "kind"]) == 2
        assert "label_column must be one of the 785 columns" in capsys.readouterr().err

    def test_the_scale_is_kept_and_used_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        model = train(write_digits(tmp_path / "a.csv", [3, 4] * 20, top=16), tmp_path)
        assert model.info["preparation"]["scale"] == 16
        assert "The pixels go from 0 to 16; they are stretched to 0 to 255." in capsys.readouterr().err
        assert main(["evaluate", str(tmp_path / "model.npz")]) == 0
        path = write_digits(tmp_path / "b.csv", [3, 4] * 20)
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model.npz"), "--dataset", str(path)]) == 1
        assert "expected a number from 0 to 16" in capsys.readouterr().err

    def test_a_zip_file_is_a_table_too(self, tmp_path: Path) -> None:
        import zipfile

        path = write_digits(tmp_path / "train.csv", [3, 4] * 10)
        with zipfile.ZipFile(tmp_path / "train.csv.zip", "w") as archive:
            archive.write(path, "train.csv")
        assert train(tmp_path / "train.csv.zip", tmp_path).info["class_names"] == ["3", "4"]

    def test_how_images_were_prepared_is_kept(self, tmp_path: Path) -> None:
        model = train(write_digits(tmp_path / "a.csv", [3, 4] * 20), tmp_path)
        kept = Preparation.from_dict(model.info["preparation"])
        assert kept == Preparation((28, 28), polarity="light on dark", fit="centre")

    def test_what_a_file_keeps_of_its_images_may_be_damaged(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_digits(tmp_path / "a.csv", [3, 4] * 10)
        model = train(path, tmp_path)
        model.info["preparation"] = {"size": [28, 28], "fit": "crop"}
        model.save(tmp_path / "odd.npz")
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "odd.npz"), "--dataset", str(path)]) == 1
        assert "What the model keeps of its images is damaged: Preparation: fit must be" in capsys.readouterr().err


class TestFolders:
    """Folders keep colours and size if that is wanted, and what is changed is said."""

    FILES = tuple(f"{name}/{i}.png" for name in ("ant", "bee") for i in range(4))

    def test_colours_and_size_are_kept_for_the_evaluation(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = write_folder(tmp_path / "images", *self.FILES, size=(30, 40), mode="RGB")
        model = train(folder, tmp_path, "--colour", "--size", "24x32")
        assert model.input_shape == (3, 24, 32)
        assert "Images of 30x40 pixels are scaled to 24x32 (another size: --size)." in capsys.readouterr().err
        assert main(["evaluate", str(tmp_path / "model.npz")]) == 0

    def test_one_number_is_a_square(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "images", *self.FILES)
        assert train(folder, tmp_path, "--size", "20").input_shape == (1, 20, 20)

    @pytest.mark.parametrize("size", ["0", "-3", "big", "1x2x3", "20x", "2.5"])
    def test_a_size_is_one_number_or_two(self, size: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "--dataset", "images", f"--size={size}"]) == 2
        assert f"--size must be a number of pixels, or HEIGHTxWIDTH, got {size!r}." in capsys.readouterr().err

    def test_what_is_passed_over_is_told(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = write_folder(tmp_path / "images", *self.FILES)
        (folder / "ant" / "a.heic").write_bytes(b"x")
        train(folder, tmp_path)
        assert f"1 file in {folder} is passed over: 1 .heic." in capsys.readouterr().err

    def test_a_run_on_a_folder_is_resumed_with_its_size(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "images", *self.FILES)
        train(folder, tmp_path, "--size", "20")
        run = str(tmp_path / "model.run.npz")
        assert main(["train", "--resume", run, "--epochs", "2", "--no-play"]) == 0
        assert hc.load(tmp_path / "model.npz").input_shape == (1, 20, 20)


class TestIdxFiles:
    """IDX files of any set are a data set."""

    @pytest.fixture
    def emnist(self, tmp_path: Path) -> Path:
        images = np.random.default_rng(0).integers(0, 256, (52, 28, 28)).astype(np.uint8)
        write_idx(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / "emnist-letters-train-labels-idx1-ubyte.gz", (np.arange(52) % 26 + 1).astype(np.uint8))
        return tmp_path

    @pytest.mark.parametrize("by", ["", "emnist-letters-train-images-idx3-ubyte.gz"])
    def test_by_their_folder_and_by_a_file(self, emnist: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
        model = train(emnist / by, emnist)
        assert model.info["class_names"] == [str(label) for label in range(1, 27)]
        assert "EMNIST's images lie on their side; --transpose" in capsys.readouterr().err

    def test_by_their_name_and_their_folder(self, emnist: Path, capsys: pytest.CaptureFixture[str]) -> None:
        train("emnist-letters", emnist, "--data-dir", str(emnist), "--transpose")
        output = capsys.readouterr()
        assert "lie on their side" not in output.err
        assert "--data-dir is for" not in output.err
        assert main(["evaluate", str(emnist / "model.npz")]) == 0
        run = str(emnist / "model.run.npz")
        assert main(["train", "--resume", run, "--epochs", "2", "--no-play"]) == 0

    def test_transposed_for_the_training_they_are_for_the_evaluation(
        self, emnist: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = train(emnist, emnist, "--transpose")
        assert model.info["preparation"]["transpose"] is True
        truth = hc.datasets.load(emnist, transpose=True)
        capsys.readouterr()
        assert main(["evaluate", str(emnist / "model.npz"), "--json"]) == 0
        loss = model.evaluate(truth.x_test, truth.y_test)["loss"]
        assert objects(capsys.readouterr().out)[0]["loss"] == pytest.approx(loss)
