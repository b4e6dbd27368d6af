"""Every trained model is kept under a name; commands choose the fitting one and say which it is."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main
from handconv.cli._runs import Kept, age, begun_name, described, find_run, kept_runs, new_name
from handconv.zoo import reference

QUICK = (
    "train",
    "--dataset",
    "digits",
    "--epochs",
    "1",
    "--no-play",
    "--schedule",
    "constant",
    "--validation-split",
    "0.8",
)


def keep(cache: Path, name: str, *, dataset: str, hour: int, classes: int = 10) -> Path:
    """Put a model among the runs."""
    model = reference(classes=classes)
    names = (
        list(map(str, range(10))) if dataset != "fashion-mnist" else [f"garment {place}" for place in range(classes)]
    )
    model.info = {
        "dataset": dataset,
        "class_names": names[:classes],
        "test_accuracy": 0.5,
        "trained_at": f"2026-01-01T{hour:02}:00:00+00:00",
        "parameters": model.parameters.size,
    }
    path = cache / "runs" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return path


@pytest.fixture
def three(cache_folder: Path) -> Path:
    """A cache with three runs, the one of garments the newest."""
    keep(cache_folder, "mnist-a", dataset="mnist", hour=1)
    keep(cache_folder, "mnist-b", dataset="mnist", hour=2)
    keep(cache_folder, "fashion-a", dataset="fashion-mnist", hour=3)
    return cache_folder


def test_a_training_is_kept_with_its_checkpoint_and_listed(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(list(QUICK)) == 0
    first, second = sorted(kept_runs(), key=lambda run: run.path.stat().st_mtime)
    assert first.name != second.name
    assert all(run.checkpoint.exists() for run in (first, second))
    capsys.readouterr()
    assert main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert first.name in listed
    assert second.name in listed
    assert "reference" in listed
    assert "just now" in listed
    assert main(["runs", "show", second.name]) == 0
    shown = capsys.readouterr().out
    assert "validation-split   0.8" in shown
    assert str(second.path) in shown
    assert "Conv2D" in shown
    assert main(["runs", "remove", first.name]) == 0
    assert [run.name for run in kept_runs()] == [second.name]
    assert not any(file.name.startswith(f"{first.name}.") for file in first.path.parent.iterdir())


@pytest.mark.parametrize(
    ("recipe", "network"),
    [({"network": "plus"}, "plus"), ({}, "reference"), ({"network": {"layers": []}}, "own"), (None, "7 parameters")],
)
def test_a_run_names_its_network(recipe: object, network: str) -> None:
    assert Kept("a", Path("a.npz"), {"recipe": recipe}, 7).network == network


def test_no_runs_are_said_so(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert "There are no runs yet" in capsys.readouterr().out


def test_each_command_says_which_model_it_takes(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary"]) == 0
    assert capsys.readouterr().err.startswith("run fashion-a: Fashion-MNIST, 50.0 %, ")
    assert main(["summary", "mnist-a"]) == 0
    assert capsys.readouterr().err.startswith("run mnist-a: MNIST, 50.0 %, ")


def test_the_beginning_of_a_name_is_enough_where_it_tells(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_run("fash")
    assert found is not None
    assert found.name == "fashion-a"
    assert find_run("mnist") is None
    assert main(["runs", "show", "mnist"]) == 2
    assert "several runs begin so: mnist-b, mnist-a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "list", "mnist-a"], "handconv runs show mnist-a"),
        (["runs", "show"], "needs names of runs"),
        (["runs", "remove", "nothing"], "there is no run 'nothing'; handconv runs lists"),
        (["train", "--resume", "nothing", "--no-play"], "there is no checkpoint 'nothing'"),
        (["train", "--resume", "--no-play"], "there is no run to go on from"),
    ],
)
def test_what_is_not_there_is_told_with_the_remedy(
    three: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_pictures_of_digits_are_read_by_models_of_digits_alone(three: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    x = hc.datasets.load("digits").x_test[0, 0]
    file = tmp_path / "digit.png"
    image.fromarray(x).save(file)
    done = handconv("predict", file, HANDCONV_CACHE=str(three))
    assert done.stderr.startswith("run mnist-b: MNIST, 50.0 %, ")
    for run in ("mnist-a", "mnist-b"):
        (three / "runs" / f"{run}.npz").unlink()
    keep(three, "mnist-few", dataset="mnist", hour=5, classes=3)
    done = handconv("predict", file, HANDCONV_CACHE=str(three))
    assert done.stderr.startswith("the bundled model: MNIST, ")


def test_where_the_last_run_knows_less_than_the_bundled_model_that_is_said_with_its_name(
    three: Path, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    file = tmp_path / "digit.png"
    image.fromarray(hc.datasets.load("digits").x_test[0, 0]).save(file)
    remedy = f"handconv predict bundled {file}"
    done = handconv("predict", file, HANDCONV_CACHE=str(three))
    assert remedy in done.stderr.replace(f"{sys.executable} -m ", "")
    done = handconv(*remedy.split()[1:], HANDCONV_CACHE=str(three))
    assert re.fullmatch(r"the bundled model: MNIST, 99\.6 %, \d+ \w+ ago\n", done.stderr)
    assert done.returncode == 0


def test_so_is_one_whose_picture_begins_with_a_dash(three: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(hc.datasets.load("digits").x_test[0, 0]).save(tmp_path / "-7.png")
    done = handconv("predict", "--", "-7.png", HANDCONV_CACHE=str(three), cwd=tmp_path)
    assert "handconv predict bundled -- -7.png" in done.stderr
    done = handconv("predict", "bundled", "--", "-7.png", HANDCONV_CACHE=str(three), cwd=tmp_path)
    assert done.returncode == 0


def test_a_model_that_was_named_is_not_compared(three: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    file = tmp_path / "digit.png"
    image.fromarray(hc.datasets.load("digits").x_test[0, 0]).save(file)
    assert handconv("predict", "mnist-b", file, HANDCONV_CACHE=str(three)).stderr.count("\n") == 1


def test_the_bundled_model_has_a_name_in_every_command(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["summary", "bundled"], ["predict", "bundled", "--dataset", "digits", "--row", "0"]):
        assert main(command) == 0
        assert capsys.readouterr().err.startswith("the bundled model: MNIST")


def test_a_run_that_is_named_twice_is_removed_once(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "remove", "mnist-a", "mnist-a"]) == 0
    assert capsys.readouterr().out.count("is removed") == 1


def test_a_run_that_is_damaged_is_listed_with_the_reason_and_can_be_removed(
    three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = three / "runs" / "fashion-a.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert main(["runs"]) == 0
    told = capsys.readouterr().err
    assert str(path) in told
    assert "handconv runs remove fashion-a" in told
    assert main(["runs", "remove", "fashion-a"]) == 0
    assert not path.exists()


def test_a_file_that_is_damaged_costs_nothing(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = three / "runs" / "fashion-a.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert main(["summary"]) == 0
    assert capsys.readouterr().err.startswith("run mnist-b")


def test_the_last_run_goes_on_and_keeps_its_name(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(QUICK)) == 0
    (begun,) = kept_runs()
    assert main(["train", "--resume", "--epochs", "2", "--no-play", "--json"]) == 0
    (run,) = kept_runs()
    assert run.name == begun.name
    result = objects(capsys.readouterr().out.split("test loss")[-1].partition("\n")[2])[-1]
    assert result["epochs"] == 2
    assert result["saved"] == str(run.path)


def test_without_a_home_folder_a_model_that_is_named_is_opened(model_file: Path) -> None:
    done = handconv("summary", model_file, HOME="/nonexistent", HANDCONV_CACHE=None)
    assert done.returncode == 0
    assert "the embedded digits" in done.stderr


def test_a_dead_network_is_refused(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = hc.load(three / "runs" / "fashion-a.npz")
    model.parameters[3] = np.nan
    model.save(three / "runs" / "fashion-a.npz")
    assert main(["summary"]) == 1
    assert "run fashion-a: this network is dead: 0.weights hold NaN or infinity" in capsys.readouterr().err


def test_names_are_of_the_data_and_the_time_and_free(cache_folder: Path) -> None:
    name = new_name("/data/My pictures.d")
    assert re.fullmatch(r"my-pictures-\d{4}-\d\d-\d\d-\d{4}", name)
    keep(cache_folder, name, dataset="mnist", hour=1)
    assert new_name("My pictures") in (f"{name}-2", name[:-4] + new_name("My pictures")[-4:])
    assert new_name("手").startswith(("手-", "run-"))


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be asked there")
def test_a_run_that_another_process_trains_does_not_go_on_here(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(QUICK)) == 0
    (checkpoint,) = (cache_folder / "runs").glob("*.run.npz")
    run = checkpoint.stem.removesuffix(".run")
    mark = cache_folder / "runs" / f".{run}.begun"
    mark.write_text(str(os.getppid()))
    for named in (run, str(checkpoint)):
        assert main(["train", "--resume", named, "--no-play"]) == 2
        assert f"the run {run} is being trained, by process {os.getppid()}." in capsys.readouterr().err
    assert main(["train", "--resume", "--no-play"]) == 2
    assert "there is no run to go on from" in capsys.readouterr().err
    mark.write_text("999999999")  # of a process that has ended without a word
    assert main(["train", "--resume", "--epochs", "2", "--no-play"]) == 0


def test_trainings_that_begin_at_once_have_names_of_their_own(cache_folder: Path) -> None:
    (cache_folder / "runs").mkdir(parents=True)
    assert len({begun_name("mnist") for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({}, "trained on data that it does not name"),
        ({"dataset": "mnist", "test_accuracy": 0.991}, "MNIST, 99.1 %"),
        ({"dataset": "/a/b", "trained_at": "no time"}, "/a/b"),
    ],
)
def test_a_model_is_described_by_what_it_knows(info: dict[str, object], text: str) -> None:
    assert described(info) == text


def test_ages_are_told_in_words() -> None:
    assert age({"trained_at": "2020-01-01T00:00:00+00:00"}).endswith(" days ago")
    assert age({}) == ""
    assert Kept("a", Path("a.npz"), {}, 0).files == []
    assert os.sep not in new_name("x")


def test_a_resume_goes_on_with_the_last_run_and_says_which_wherever_that_was_saved(
    cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(QUICK)) == 0
    assert main([*QUICK, "--save", str(tmp_path / "mine.npz")]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", "--epochs", "2", "--no-play"]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / 'mine.run.npz'}: the embedded digits, goes on\n")
    first = kept_runs()[-1].name
    assert main(["train", "--resume", first, "--epochs", "2", "--no-play"]) == 0
    assert f"run {first}: the embedded digits, goes on" in capsys.readouterr().err
    assert kept_runs()[0].name == first  # the newest now, though it began within the same second as others
