"""The frame of the command line: help, mistakes, signals, streams."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_helpers import COMMAND, environment, handconv, objects
from handconv import __version__
from handconv.cli import _COMMANDS, main


def test_the_overview_lists_every_command() -> None:
    done = handconv("--help")
    assert done.returncode == 0
    assert all(re.search(rf"(?m)^  {name} ", done.stdout) for name in _COMMANDS)


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: handconv {name}" in text
    assert re.search(rf"examples:\n  .*handconv {name}", text)
    assert "--json" in text


def test_help_is_also_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "predict"]) == 0
    assert capsys.readouterr().out.startswith("usage: handconv predict")
    assert main(["help"]) == 0
    assert capsys.readouterr().out.startswith("usage: handconv [OPTIONS]")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"handconv {__version__}\n"


MISTAKES = [
    ("trian", 2, "Did you mean train?"),
    ("--epoch 3", 2, "Did you mean --epochs?"),
    ("train --no-plya", 2, "Did you mean --no-play?"),
    ("play --row 3", 2, "has no option '--row'. See handconv play --help"),
    ("data download mnsit", 2, "no data set 'mnsit' to be cached. Did you mean mnist?"),
    ("train extra", 2, "extra"),
    ("--json evaluate m.npz", 2, "the command comes first: handconv evaluate"),
    ("--row 3 predict", 2, "the command comes first: handconv predict"),
    ("train --epochs", 2, "--epochs"),
    ("train --epochs many", 2, "whole number of at least 1"),
    ("train --epochs 0", 2, "whole number of at least 1"),
    ("train --batch-size -1", 2, "whole number of at least 1"),
    ("train --learning-rate nan", 2, "above 0"),
    ("train --l2 -1", 2, "at least 0"),
    ("train --dropout 1", 2, "below 1"),
    ("train --label-smoothing 1", 2, "below 1"),
    ("train --seed -1", 2, "at least 0"),
    ("train --validation-split 2", 2, "below 1"),
    ("train --source moon", 2, "auto, kaggle, mirror, offline"),
    ("train --picture moon", 2, "auto, window, text"),
    ("train --dataset nowhere", 2, "nowhere"),
    ("train --dataset mnist --data-dir nowhere", 1, "nowhere is no folder"),
    ("train --save model.bin", 2, ".npz"),
    ("train --save nowhere/model.npz", 2, "nowhere"),
    ("train --config nowhere.toml", 1, "nowhere.toml: No such file"),
    ("play nowhere.npz", 1, "nowhere.npz: No such file"),
    ("evaluate broken.npz", 1, "broken.npz"),
    ("evaluate .", 2, "Data has an option: --dataset ."),
    ("evaluate mnist", 2, "Data has an option: --dataset mnist"),
    ("train mnist", 2, "Data is named by an option: --dataset mnist"),
    ("mnist", 2, "To train on it: handconv train --dataset mnist"),
    ("broken.npz", 2, "To use it: handconv play broken.npz"),
    ("predict broken.npz --row 1 --show", 2, "--show is for image files, got --row"),
    ("predict nowhere.png --dataset digits", 2, "--dataset is for --row or a table, got nowhere.png"),
    ("predict nowhere.csv --size 8", 2, "--size is for --row, got nowhere.csv"),
    ("data verify --data-dir .", 2, "--data-dir is for data download"),
    ("data --recipe best", 2, "--recipe is for data --show-augmented FILE.png"),
    ("summary broken.npz", 1, "broken.npz"),
    ("summary a.npz b.npz", 2, "b.npz"),
    ("predict", 2, "image files or --row"),
    ("predict --row x", 2, "--row must be"),
    ("data frobnicate", 2, "list, download, verify, remove"),
    ("data download", 2, "needs a name"),
    ("data download cifar", 2, "mnist, fashion-mnist"),
    ("data download fashion-mnist --source offline", 1, "could not be had"),
    ("data remove", 2, "needs a name"),
    ("data list mnist", 2, "no name"),
    ("predict nowhere.png", 1, "nowhere.png: No such file or directory. Check its name"),
    ("predict .", 1, "There is no image in the folder"),
    ("play nothing", 2, "there is no run and no file 'nothing'; handconv runs lists the runs."),
]


@pytest.mark.parametrize(("line", "status", "words"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_gets_one_line_and_its_status(
    line: str,
    status: int,
    words: str,
    tmp_path: Path,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.npz").write_bytes(b"PK\x03\x04 and then nothing")
    assert main(line.split()) == status
    output = capsys.readouterr()
    said = [text for text in output.err.splitlines() if text.startswith("handconv: ")]
    assert len(said) == 1
    assert words in said[0]
    assert output.out == ""
    assert "Traceback" not in output.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "summary", "nowhere.npz"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main(["summary", "nowhere.npz", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_nobody_foresaw_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("handconv.cli.summary.open_model", fail)
    assert main(["summary"]) == 1
    assert re.fullmatch(r"handconv: This should not have happened .*--debug.*\n", capsys.readouterr().err)


def test_no_memory_is_said_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("handconv.cli.summary.open_model", fail)
    assert main(["summary"]) == 1
    assert "not enough memory" in capsys.readouterr().err


def test_training_in_json_mode_imports_no_library_that_draws() -> None:
    program = (
        "import sys; from handconv.cli import main\n"
        "main('train --dataset digits --epochs 1 --json'.split())\n"
        "print(*{'matplotlib', 'PIL', 'kagglehub'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
def test_ctrl_c_in_training_saves_the_run_and_says_how_to_go_on() -> None:
    process = subprocess.Popen(
        [*COMMAND, "train", "--dataset", "digits", "--epochs", "100000", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's & may have set it off
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last.startswith("Training was stopped by SIGINT ")
    assert re.search(r"Go on with: .*handconv train --resume digits-[\d-]+$", last)
    assert "Traceback" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are of POSIX")
def test_a_reader_that_goes_away_ends_the_work_in_silence() -> None:
    process = subprocess.Popen(
        [*COMMAND, "train", "--dataset", "digits", "--epochs", "100000", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "summary"], env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "handconv: No space left on device. Make room, or choose another place."


def test_an_encoding_without_our_characters_shows_formulas_in_others() -> None:
    done = handconv("explain", "--toy", PYTHONIOENCODING="ascii")
    assert "w[f, c, u, v] * x[c, i + u, j + v]" in done.stdout
    assert "?" not in done.stdout


def test_an_encoding_without_our_characters_is_no_obstacle(model_file: Path) -> None:
    done = handconv("evaluate", model_file, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_json_and_text_tell_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary"]) == 0
    text = capsys.readouterr().out
    assert main(["summary", "--json"]) == 0
    (summary,) = objects(capsys.readouterr().out)
    assert summary["event"] == "summary"
    assert summary["parameters"] == sum(layer["parameters"] for layer in summary["layers"]) == 53_866
    assert "53,866" in text
    assert len(summary["layers"]) == 12
    assert f"runs as: {' -> '.join(summary['plan'])}" in text


def test_no_color_and_pipes_are_respected(model_file: Path) -> None:
    for variables in ({"NO_COLOR": "1"}, {"FORCE_COLOR": None}):
        done = handconv("evaluate", model_file, **variables)
        assert "\x1b" not in done.stdout + done.stderr


def test_the_tests_do_not_touch_the_users_cache() -> None:
    assert "handconv_cache" in os.environ["HANDCONV_CACHE"]


@pytest.mark.skipif(sys.platform == "win32", reason="streams are closed by the shell here")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_end_nothing(closed: str, model_file: Path) -> None:
    line = f"{shlex.join([*COMMAND, 'play', str(model_file), '--picture', 'text'])} {closed}"
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, input="3\n")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_options_may_stand_between_arguments(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model_file), "--json", "nothing.png"]) == 1
    (error,) = objects(capsys.readouterr().out)
    assert (error["event"], error["file"]) == ("error", "nothing.png")


def test_a_missing_file_is_told_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "nothing.npz"]) == 1
    assert "nothing.npz: No such file or directory. Check its name" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = handconv(
        "train",
        "--dataset",
        "digits",
        "--epochs",
        1,
        "--no-play",
        "--workers",
        1,
        HANDCONV_CACHE=str(tmp_path / "file"),
    )
    assert done.returncode == 0
    assert done.stderr.count("Set HANDCONV_CACHE to a folder that can be written.") == 1
    assert "Errno" not in done.stderr


def test_a_run_goes_on_with_the_recipe_that_it_was_started_with(
    model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = model_file.with_name("digits.run.npz")
    assert main(["train", "--resume", str(run), "--recipe", "fast"]) == 2
    assert "started with --recipe standard" in capsys.readouterr().err


@pytest.mark.parametrize(("short", "option"), [("--lr", "--learning-rate"), ("--bs", "--batch-size")])
def test_initials_lead_to_their_option(short: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", short, "3"]) == 2
    assert f"has no option '{short}'. Did you mean {option}?" in capsys.readouterr().err


def test_a_file_that_looks_like_an_option_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-7.png").touch()
    assert main(["predict", "-7.png"]) == 2
    assert "has no option '-7.png'. The file of that name: ./-7.png" in capsys.readouterr().err
