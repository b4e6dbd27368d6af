"""Every command on terminals of two sizes: nothing is wider than the screen; what all commands share; completion."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli_helpers import environment, handconv
from handconv.cli import _COMMANDS, _command_of, _typed, main
from handconv.cli._output import say
from handconv.cli._typed import NAMES, as_typed, how_to_call, how_to_install
from terminal_helpers import needs_terminal, seen, talk

QUICK = ["train", "--dataset", "digits", "--epochs", "2", "--no-play", "--validation-split", "0.2", "--profile"]


@needs_terminal
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
class TestNothingIsWiderThanTheScreen:
    def check(self, arguments: list[object], size: tuple[int, int]) -> str:
        _, screen = talk(arguments, size=size)
        lines = seen(screen)
        # What cannot be broken, the path of a file for one, may be longer.
        assert not [line for line in lines if len(line) > size[0] and len(max(line.split(), key=len)) < size[0] - 10]
        assert len(lines) > 1
        return "\n".join(lines)

    @pytest.mark.parametrize("command", ["", *NAMES])
    def test_of_help(self, command: str, size: tuple[int, int]) -> None:
        assert "usage: handconv" in self.check([*command.split(), "--help"], size)

    @pytest.mark.parametrize("command", ["summary", "gradcheck", "evaluate", "doctor", "explain", "runs", "data"])
    def test_of_results(self, command: str, size: tuple[int, int], model_file: Path) -> None:
        named = [] if command in ("runs", "data") else [model_file]
        self.check([command, *named], size)

    def test_of_training(self, size: tuple[int, int], cache_folder: Path) -> None:
        assert "epoch 2/2" in self.check(list(QUICK), size)

    def test_of_complaints(self, size: tuple[int, int]) -> None:
        assert "Did you mean" in self.check(["train", "--learning-rat", "0.1"], size)


@pytest.mark.parametrize("command", ["summary", "gradcheck", "evaluate", "explain", "runs", "data"])
def test_in_a_file_or_pipe_lines_have_eighty_characters(command: str, model_file: Path) -> None:
    named = [] if command in ("runs", "data") else [model_file]
    done = handconv(command, *named, COLUMNS="")
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    assert not [line for line in lines if len(line) > 80 and len(max(line.split(), key=len)) < 70]


@pytest.mark.usefixtures("usual_lines")
@pytest.mark.parametrize("before", range(10, 60, 7))
def test_a_path_with_blanks_is_not_broken(before: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Eigene Bilder ä"
    folder.mkdir()
    (folder / "eine Sieben.png").touch()
    for path in (folder, folder / "eine Sieben.png", folder / "new.npz"):
        say(f"{'a' * before} {path}, and what follows it here", sys.stdout)
        assert any(f"{path}," in line for line in capsys.readouterr().out.splitlines())


def test_what_programs_read_is_never_broken(model_file: Path) -> None:
    done = handconv("evaluate", model_file, "--json", COLUMNS="40")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", NAMES)
def test_commands_of_examples_can_be_copied(command: str) -> None:
    lines = [line for line in _command_of(command).examples.splitlines() if line.startswith("  handconv")]
    assert lines
    assert max(len(re.split(" {3,}", line.strip())[0]) for line in lines) <= 76


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_a_short_way_to_version_and_help(command: str) -> None:
    assert set(_COMMANDS) == set(NAMES)
    parser = _command_of(command).parser(f"handconv {command}")
    options = {option for action in parser._actions for option in action.option_strings}
    assert {"-h", "--help", "-q", "--quiet", "-V", "--version", "--json", "--debug"} <= options


@pytest.mark.parametrize("arguments", [["-V"], ["--version"], ["evaluate", "-V"]])
def test_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("handconv ")


def test_quiet_leaves_the_results_alone(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "-q"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith("epoch 1/2")


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["tarin"], "there is no command 'tarin'. Did you mean train?"),
        (["runs", "shwo"], "runs has no action 'shwo'. Did you mean show?"),
        (["completion", "bsh"], "completion knows no shell 'bsh'. Did you mean bash?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_word(
    arguments: list[str], guess: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert guess in capsys.readouterr().err


class TestAdvice:
    @pytest.fixture(autouse=True)
    def asked_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_typed, "how_to_call", how_to_call)
        how_to_call.cache_clear()
        how_to_install.cache_clear()

    def python(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> Path:
        """An environment with these programs in it, of which none is on the path."""
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(folder / "python"))
        monkeypatch.setenv("PATH", "")
        return folder

    @pytest.mark.skipif(sys.platform == "win32", reason="the names are those of POSIX")
    def test_names_the_command_as_it_can_be_typed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.python(tmp_path / "bin", monkeypatch, "handconv", "python")
        assert as_typed("handconv runs lists them.") == f"{folder}/handconv runs lists them."
        monkeypatch.chdir(tmp_path)
        how_to_call.cache_clear()
        assert as_typed("handconv runs lists them.") == "bin/handconv runs lists them."
        monkeypatch.setenv("PATH", str(folder))
        how_to_call.cache_clear()
        assert as_typed("handconv runs lists them.") == "handconv runs lists them."

    @pytest.mark.skipif(sys.platform == "win32", reason="the names are those of POSIX")
    def test_names_the_pip_of_this_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.python(tmp_path / "bin", monkeypatch, "python", "pip")
        text, what = 'Install it with: pip install "handconv[plot]"', 'install "handconv[plot]"'
        monkeypatch.setattr(_typed, "find_spec", lambda _: "there")
        assert as_typed(text) == f"Install it with: {folder}/python -m pip {what}"
        monkeypatch.setattr(_typed, "find_spec", lambda _: None)
        how_to_install.cache_clear()
        assert as_typed(text) == f'Install it with: uv pip install --python {folder}/python "handconv[plot]"'
        monkeypatch.setenv("PATH", str(folder))
        how_to_install.cache_clear()
        assert as_typed(text) == text

    @pytest.mark.skipif(sys.platform == "win32", reason="the names are those of POSIX")
    def test_without_the_command_it_is_python(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.python(tmp_path / "my bin", monkeypatch, "python")
        assert as_typed("Get it: handconv data download mnist") == (
            f"Get it: '{folder}/python' -m handconv data download mnist"
        )
        monkeypatch.setenv("PATH", str(folder))
        how_to_call.cache_clear()
        assert as_typed("handconv train makes one.") == "python -m handconv train makes one."

    @pytest.mark.parametrize(
        "text", ["this handconv reads 3", "is no handconv model", "handconv: wrong", "in my-handconv train/"]
    )
    def test_leaves_other_words_alone(self, text: str) -> None:
        assert as_typed(text) == text


class TestCompletion:
    def test_without_a_shell_it_says_how_to_set_it_up(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SHELL", "/bin/zsh")
        assert main(["completion"]) == 0
        assert capsys.readouterr().out.startswith("For zsh, put this line into ~/.zshrc, after compinit:\n  eval ")
        monkeypatch.delenv("SHELL")
        assert main(["completion"]) == 0
        assert capsys.readouterr().out.count("put this line into") == 3

    @pytest.mark.skipif(sys.platform == "win32", reason="bash is of POSIX")
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["handconv", "ev"], "evaluate"),
            (["handconv", "train", "--early"], "--early-stopping"),
            (["handconv", "--learn"], "--learning-rate"),
            (["handconv", "train", "--schedule", "one"], "one-cycle"),
            (["handconv", "runs", "sh"], "show"),
        ],
    )
    def test_bash_completes(self, words: list[str], expected: str) -> None:
        pytest.importorskip("shtab", reason="the script is made by shtab")
        script = handconv("completion", "bash").stdout
        line = " ".join(f"'{word}'" for word in words)
        program = (
            f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
            '_shtab_handconv 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=environment(), timeout=60)
        assert expected in done.stdout.split()
