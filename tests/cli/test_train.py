"""``handconv train`` and the main job: what they print, save and repeat."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from cli_helpers import handconv, objects
from handconv.cli import main
from handconv.cli._runs import kept_runs
from handconv.serialization import npz

QUICK = ("train", "--dataset", "digits", "--epochs", "2", "--no-play")


def test_json_is_one_object_an_epoch_and_the_result_last(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--json"]) == 0
    output = capsys.readouterr()
    *epochs, result = objects(output.out)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    for epoch in epochs:
        assert list(epoch) == [
            *("event", "epoch", "loss", "data_loss", "penalty", "accuracy", "val_loss", "val_accuracy"),
            *("learning_rate", "train_seconds", "images_per_second"),
        ]
        assert epoch["event"] == "epoch"
        assert epoch["loss"] == pytest.approx(epoch["data_loss"] + epoch["penalty"])
        assert 0 <= epoch["accuracy"] <= 1
        assert epoch["val_loss"] is None
    assert list(result) == [
        *("event", "dataset", "source", "test_loss", "test_accuracy", "epochs", "parameters", "seconds", "seed"),
        *("workers", "saved", "peak_memory_mb"),
    ]
    expected = {
        "event": "result",
        "dataset": "digits",
        "source": "embedded",
        "epochs": 2,
        "parameters": 53_866,
        "seed": 0,
    }
    assert expected.items() <= result.items()
    saved = Path(result["saved"])
    assert saved.parent == cache_folder / "runs"
    assert re.fullmatch(r"digits-\d{4}-\d\d-\d\d-\d{4}", saved.stem)
    assert result["seconds"] > 0


def test_results_go_to_stdout_and_notices_to_stderr(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(QUICK)) == 0
    output = capsys.readouterr()
    first, second, test = output.out.splitlines()
    assert first.startswith("epoch 1/2  loss ")
    assert "accuracy" in second
    assert test.startswith("test loss ")
    assert "1,437 images to train on, 360 to test on" in output.err
    assert re.search(r"The model is in .*\.npz \(run digits-", output.err)


def test_the_result_tells_the_workers_that_there_was_work_for(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--batch-size", "8", "--epochs", "1", "--workers", "500", "--json"]) == 0
    assert objects(capsys.readouterr().out)[-1]["workers"] == 1


def test_a_folder_of_the_name_of_a_known_set_is_remarked_upon(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert main(list(QUICK)) == 0
    said = capsys.readouterr().err
    assert "digits is the known data set; what has that name here is called ./digits" in said
    assert "1,437 images to train on" in said


def test_a_folder_that_is_not_looked_into_is_told(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--data-dir", "nowhere", "--source", "mirror"]) == 0
    said = capsys.readouterr().err
    assert "--data-dir is for mnist and fashion-mnist; digits is not taken from it." in said
    assert "--source is for mnist and fashion-mnist; digits is not taken from it." in said


def test_label_smoothing_is_part_of_the_loss_in_training_alone(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--epochs", "8", "--label-smoothing", "0.5", "--json"]) == 0
    *_, last, result = objects(capsys.readouterr().out)
    least = -0.55 * np.log(0.55) - 9 * 0.05 * np.log(0.05)  # the entropy of such a truth
    assert last["data_loss"] > least > result["test_loss"]


def test_the_same_seed_gives_the_same_bits_and_another_one_others(tmp_path: Path, cache_folder: Path) -> None:
    files = [tmp_path / f"{name}.npz" for name in ("first", "again", "other")]
    for file, seed in zip(files, (3, 3, 4), strict=True):
        assert main([*QUICK, "--epochs", "1", "--seed", str(seed), "--save", str(file), "--json"]) == 0
    first, again, other = (hc.load(file).parameters for file in files)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_the_engine_the_pages_train_to_the_same_numbers(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[bool] = []
    fit = hc.Sequential.fit

    def watched(model: hc.Sequential, *arguments: Any, **options: Any) -> Any:
        engines.append(model.engine)
        return fit(model, *arguments, **options)

    monkeypatch.setattr(hc.Sequential, "fit", watched)
    files = [tmp_path / f"{name}.npz" for name in ("fast", "pages")]
    for file, flags in zip(files, ([], ["--no-engine"]), strict=True):
        assert main([*QUICK, "--epochs", "1", "--learning-rate", "1e-3", *flags, "--save", str(file), "--json"]) == 0
    assert engines == [True, False]
    fast, pages = (hc.load(file) for file in files)
    np.testing.assert_allclose(pages.parameters, fast.parameters, atol=1e-4)
    assert pages.info["settings"]["engine"] is False


def test_the_embedded_digits_are_learnt_well_without_being_told_how_long(
    cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--dataset", "digits", "--no-play", "--json"]) == 0
    assert objects(capsys.readouterr().out)[-1]["test_accuracy"] >= 0.95


def test_without_a_network_and_a_copy_the_main_job_takes_the_embedded_digits(cache_folder: Path) -> None:
    done = handconv("--source", "offline", "--epochs", 1)
    assert done.returncode == 0
    assert "MNIST could not be had; the embedded digits" in done.stderr
    assert "(360 images" in done.stdout


def test_a_model_knows_what_it_was_trained_on(model_file: Path) -> None:
    info = hc.load(model_file).info
    assert info["dataset"] == "digits"
    assert info["class_names"] == list("0123456789")
    assert info["handconv"] == hc.__version__
    assert 0 <= info["test_accuracy"] <= 1


def test_validation_is_measured_each_epoch(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--validation-split", "0.2", "--json"]) == 0
    assert all(0 <= epoch["val_accuracy"] <= 1 for epoch in objects(capsys.readouterr().out)[:-1])


def test_the_file_gives_settings_and_the_command_line_wins(
    tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'dataset = "digits"\nepochs = 7\nlearning-rate = 0.002\nschedule = "constant"\nbatch_size = 64\nl2 = 0\n'
    )
    assert main(["train", "--config", str(config), "--epochs", "1", "--json"]) == 0
    epoch, result = objects(capsys.readouterr().out)
    assert epoch["learning_rate"] == 0.002
    assert epoch["penalty"] == 0
    assert result["epochs"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epoch = 3", "Did you mean epochs?"),
        ("nonsense = 3", "There are: dataset, source,"),
        ("epochs = true", "epochs must be a whole number of at least 1, got True"),
        ("epochs = 1.5", "epochs must be a whole number"),
        ('l2 = "much"', "l2 must be a number of at least 0"),
        ("play = 1", "play must be true or false"),
        ("dataset = 3", "dataset must be a text"),
        ("[train]\nepochs = 3", "there is no setting 'train'"),
        ("epochs =", "is no TOML file"),
        ("[optimiser]", "there is no setting 'optimiser'. Did you mean optimizer?"),
        ("l2 = 0.1\nlearning-rate = 1\nlearning_rate = 2", "a setting stands once, got learning_rate in two spellings"),
        ("label_column = true", "label_column must be a text, got True"),
    ],
)
def test_a_wrong_file_is_named_with_the_rule(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(content)
    assert main(["train", "--config", str(config)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "run.toml" in line
    assert words in line


def test_the_users_own_images_in_a_csv_file(
    tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = hc.datasets.load("digits")
    chosen = np.flatnonzero(digits.y_train < 3)[:60]
    table = np.column_stack([digits.y_train[chosen], digits.x_train[chosen].reshape(60, -1)])
    file, model = tmp_path / "mine.csv", tmp_path / "mine.npz"
    np.savetxt(file, table, fmt="%d", delimiter=",")
    assert main(["train", "--dataset", str(file), "--epochs", "1", "--save", str(model), "--no-play", "--json"]) == 0
    result = objects(capsys.readouterr().out)[-1]
    assert result["dataset"] == str(file)
    assert hc.load(model).output_shape == (3,)
    assert main(["evaluate", str(model), "--json"]) == 0
    assert objects(capsys.readouterr().out)[0]["dataset"] == str(file)


def test_images_too_small_for_the_network_are_told(
    tmp_path: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.csv"
    file.write_text("".join(f"{label},1,2,3,4\n" for label in (0, 1) * 5))
    assert main(["train", "--dataset", str(file), "--no-play"]) == 1
    assert "takes images (C, H, W) of at least 10x10 pixels, got (1, 2, 2)" in capsys.readouterr().err


def test_a_run_that_diverges_says_so(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--learning-rate", "1e30"]) == 1
    _, _, error = capsys.readouterr().err.splitlines()  # no warnings of NumPy between notices and error
    assert "diverged" in error


def test_a_cache_that_cannot_be_written_costs_a_notice_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    obstacle = tmp_path / "file"
    obstacle.touch()
    monkeypatch.setenv("HANDCONV_CACHE", str(obstacle))
    assert main([*QUICK, "--json"]) == 0
    output = capsys.readouterr()
    assert objects(output.out)[-1]["saved"] is None
    assert "The run cannot be kept" in output.err


def test_one_epoch_of_the_real_mnist(data_dir: Path, cache_folder: Path) -> None:
    done = handconv("train", "--data-dir", data_dir, "--epochs", 1, "--no-play", "--json")
    assert done.returncode == 0
    result = objects(done.stdout)[-1]
    assert result["dataset"] == "mnist"
    assert result["parameters"] == 53_866
    assert result["test_accuracy"] > 0.96
    assert result["peak_memory_mb"] is None or result["peak_memory_mb"] < 500


def test_the_main_job_on_the_real_mnist_then_the_quiz(data_dir: Path, cache_folder: Path) -> None:
    done = handconv("--data-dir", data_dir, "--epochs", 1, stdin="122\n99999\nabc\n\nquit\n")
    assert done.returncode == 0
    answer = done.stdout.partition("row 122: predicted 7, truth 7")[2]
    assert "confidence" in answer
    assert "█" in answer
    *_, out_of_range, word, empty = done.stdout.splitlines()
    assert "no row 99999" in out_of_range
    assert "'abc'" in word
    assert "whole number, 0 to 9999" in empty


class TestResume:
    @pytest.fixture
    def run(self, cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
        assert main([*QUICK, "--save", str(tmp_path / "model.npz")]) == 0
        capsys.readouterr()
        return tmp_path / "model.run.npz"

    def test_what_is_odd_about_it_is_one_line(self, run: Path) -> None:
        done = handconv("train", "--resume", str(run), "--epochs", "3", "--no-play")
        assert done.returncode == 0
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("handconv: ")]
        assert "started for 2 epochs and is now one of 3" in line
        assert "UserWarning" not in done.stderr

    def test_from_any_folder_it_saves_where_it_was_told_to(self, cache_folder: Path, tmp_path: Path) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        there.mkdir()
        assert handconv(*QUICK, "--save", "model.npz", cwd=here).returncode == 0
        (there / "model.npz").write_text("another model")
        before = (here / "model.npz").read_bytes()
        done = handconv("train", "--resume", "../here/model.run.npz", "--epochs", "3", "--no-play", cwd=there)
        assert done.returncode == 0
        assert (there / "model.npz").read_text() == "another model"
        assert (here / "model.npz").read_bytes() != before

    @pytest.mark.filterwarnings("always")
    def test_what_is_said_is_said_once(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "--resume", str(run), "--no-play"]) == 0  # now there is one before it
        run.write_bytes(run.read_bytes()[:3000])
        capsys.readouterr()
        assert main(["train", "--resume", str(run), "--no-play"]) == 0
        assert capsys.readouterr().err.count("going on from the one before it") == 1

    @pytest.mark.filterwarnings("ignore:The run was started for 2 epochs")
    def test_a_run_that_is_whole_says_so_and_stays_as_old_as_it_is(
        self, run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (kept,) = kept_runs()
        model = hc.load(run.with_name("model.npz"))
        assert main(["train", "--resume", str(run), "--no-play"]) == 0
        out, err = capsys.readouterr()
        advice = f"nothing is left to train. To train on: handconv train --resume {run} --epochs 4"
        assert f"The run has 2 epochs already: {advice}" in err
        assert "trained in" not in out
        assert hc.load(run.with_name("model.npz")).info["trained_at"] == model.info["trained_at"]
        assert main(["train", "--resume", str(run), "--no-play", "--epochs", "4"]) == 0
        assert "nothing is left" not in capsys.readouterr().err
        assert hc.load(run.with_name("model.npz")).info["trained_at"] > str(kept.info["trained_at"])

    def test_so_does_one_among_the_runs(self, cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*QUICK]) == 0
        (before,) = kept_runs()
        assert main(["train", "--resume", "--no-play"]) == 0
        assert f"handconv train --resume {before.name} --epochs 4" in capsys.readouterr().err
        (after,) = kept_runs()
        assert after.info["trained_at"] == before.info["trained_at"]

    def test_settings_that_somebody_changed_in_the_file(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arrays, description = npz.load(run)
        description["info"]["settings"]["schedule"] = "uphill"
        npz.save(run, arrays, description)
        assert main(["train", "--resume", str(run), "--no-play"]) == 2
        error = capsys.readouterr().err
        assert error == f"handconv: {run}: schedule must be one of one-cycle, cosine, constant, got 'uphill'.\n"
        npz.save(run, arrays, description | {"info": {"settings": {"flavour": "sweet"}}})
        assert main(["train", "--resume", str(run), "--no-play"]) == 2
        error = capsys.readouterr().err
        assert error == f"handconv: {run}: there is no setting 'flavour'. Resume with the handconv that wrote it.\n"


class TestWatching:
    def test_early_stopping_needs_images_that_are_held_back(
        self, cache_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*QUICK, "--early-stopping"]) == 2
        assert "no images are held back to measure it on. Give --validation-split 0.1" in capsys.readouterr().err

    def test_early_stopping_ends_the_training_and_tells_which_epoch_was_the_best(
        self, cache_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--epochs", "40", "--learning-rate", "0.1", "--schedule", "constant", "--validation-split", "0.2"]
        assert main([*QUICK, *options, "--early-stopping", "1"]) == 0
        output = capsys.readouterr()
        epochs = [line for line in output.out.splitlines() if line.startswith("epoch ")]
        assert len(epochs) < 40
        assert f"least after epoch {len(epochs) - 1}; the model has the weights of that epoch" in output.err

    def test_the_log_has_a_row_an_epoch(self, cache_folder: Path, tmp_path: Path) -> None:
        assert main([*QUICK, "--csv-log", str(tmp_path / "log.csv")]) == 0
        assert [row.split(",")[0] for row in (tmp_path / "log.csv").read_text().splitlines()] == ["epoch", "1", "2"]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is of Linux")
    def test_a_full_disk_names_the_file(self, cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*QUICK, "--csv-log", "/dev/full"]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            "handconv: /dev/full: No space left on device. Make room, or choose another place."
        )

    def test_a_loss_that_explodes_is_remarked_upon(self, cache_folder: Path) -> None:
        done = handconv(*QUICK, "--learning-rate", "5")
        assert done.returncode == 0
        assert done.stderr.count("handconv: The loss has exploded: in epoch 1 it was ") == 1


def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("handconv.cli.train.check_writable", refuse)
    assert main([*QUICK, "--save", str(tmp_path / "model.npz")]) == 2
    output = capsys.readouterr()
    assert "which cannot be written (Permission denied)" in output.err
    assert output.out == ""
