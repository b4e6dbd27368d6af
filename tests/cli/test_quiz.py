"""The quiz: a conversation over pipes, on a terminal, and for programs."""

import re
from pathlib import Path

import pytest

import handconv as hc
from cli_helpers import handconv, objects
from terminal_helpers import CTRL_C, CTRL_D, needs_terminal, talk

PROMPT = b"Row of the test set, 0 to 359 (help lists more, quit leaves):"


def test_a_row_gets_prediction_truth_confidence_and_picture(model_file: Path, cache_folder: Path) -> None:
    done = handconv("play", model_file, stdin="122\n")
    assert done.returncode == 0
    head, *picture, where = done.stdout.splitlines()
    assert re.match(r"row 122: predicted \d, truth \d \((right|wrong)\)  confidence \d+\.\d\d %, then \d with ", head)
    assert len(picture) == 16
    assert {len(line.split("  ")[0] if line[0] != "│" else line[: line.rindex("│") + 1]) for line in picture} == {30}
    assert [line[31:].split()[0].strip(">") for line in picture if "%" in line] == list("0123456789")
    assert sum(">" in line for line in picture) == 1
    assert any("█" in line for line in picture)
    path = Path(where.removeprefix("picture: "))
    assert path.parent == cache_folder / "pictures"
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("360", "no row 360: the test set has rows 0 to 359"),
        ("-1", "no row -1"),
        ("abc", "'abc' is no row number"),
        ("1.5", "'1.5' is no row number"),
        ("", "Type a whole number, 0 to 359, or help, or quit."),
        ("nxt", "'nxt' is no row number. Did you mean next?"),
        ("9" * 5000, "is no row number"),
        ("\x1b[31m", "'\\x1b[31m' is no row number"),
    ],
)
def test_a_wrong_line_gets_one_line_of_help(line: str, words: str, model_file: Path) -> None:
    done = handconv("play", model_file, stdin=f"{line}\nquit\n")
    assert done.returncode == 0
    (answer,) = done.stdout.splitlines()
    assert words in answer
    assert len(answer) < 150
    assert "\x1b" not in answer


@pytest.mark.parametrize("ending", [b"quit\n5\n", b"q\n5\n", b"exit\n5\n", b"QUIT\n5\n", b"", b"  quit"])
def test_the_quiz_ends_with_status_0(ending: bytes, model_file: Path) -> None:
    done = handconv("play", model_file, stdin=ending)
    assert (done.returncode, done.stdout) == (0, "")


def test_bytes_that_are_no_text_are_no_row(model_file: Path) -> None:
    done = handconv("play", model_file, stdin=b"\xff\xfe\nquit\n")
    assert done.returncode == 0
    assert "is no row number" in done.stdout


def test_with_json_each_answer_is_an_object_and_help_goes_to_stderr(model_file: Path, cache_folder: Path) -> None:
    done = handconv("play", model_file, "--json", stdin="7\nabc\nquit\n")
    (answer,) = objects(done.stdout)
    assert answer["event"] == "answer"
    assert answer["row"] == 7
    assert answer["correct"] == (answer["prediction"] == answer["truth"])
    assert answer["top"][0] == {"class": answer["prediction"], "probability": answer["confidence"]}
    assert Path(answer["picture"]).is_file()
    assert "'abc'" in done.stderr


def test_the_quiz_follows_training_with_the_new_model(cache_folder: Path) -> None:
    done = handconv("--dataset", "digits", "--epochs", 1, stdin="3\n")
    assert done.returncode == 0
    assert "row 3: predicted" in done.stdout
    assert "row 3: predicted" in handconv("play", stdin="3\n").stdout


def test_play_with_json_must_be_asked_for(cache_folder: Path) -> None:
    quick = ("--dataset", "digits", "--epochs", 1, "--json")
    assert objects(handconv(*quick, stdin="3\n").stdout)[-1]["event"] == "result"
    assert objects(handconv(*quick, "--play", stdin="3\n").stdout)[-1]["event"] == "answer"


def test_a_picture_that_cannot_be_written_costs_a_notice_only(model_file: Path, cache_folder: Path) -> None:
    cache_folder.touch()
    done = handconv("play", model_file, stdin="3\n")
    assert done.returncode == 0
    assert "could not be written" in done.stderr


def test_letters_stand_in_where_the_encoding_has_no_blocks(model_file: Path) -> None:
    done = handconv("play", model_file, stdin="3\n", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "@@" in done.stdout
    assert "?" not in done.stdout


def test_a_window_that_cannot_be_opened_becomes_text(model_file: Path) -> None:
    done = handconv("play", model_file, "--picture", "window", stdin="3\n", MPLBACKEND="agg")
    assert done.returncode == 0
    assert "No window can be opened" in done.stderr
    assert "█" in done.stdout


def test_a_data_set_that_does_not_fit_the_model_is_told(tmp_path: Path, model_file: Path) -> None:
    file = tmp_path / "eleven.csv"
    file.write_text("".join(f"{label},{','.join(['0'] * 784)}\n" for label in [*range(11)] * 2))
    done = handconv("play", model_file, "--dataset", file)
    assert done.returncode == 2
    assert "tells 10 classes apart" in done.stderr
    file.write_text("0,1,2,3,4\n1,1,2,3,4\n" * 5)
    done = handconv("play", model_file, "--dataset", file)
    assert done.returncode == 2
    assert "takes images of shape (1, 28, 28)" in done.stderr


def rows(screen: str) -> list[int]:
    """The rows that were answered."""
    return [int(number) for number in re.findall(r"row (\d+): predicted", screen)]


class TestWords:
    def test_next_goes_on_from_the_row_at_hand_and_begins_anew_at_the_end(self, model_file: Path) -> None:
        assert rows(handconv("play", model_file, stdin="next\n7\nNEXT\n359\nnext\n").stdout) == [0, 7, 8, 359, 0]

    def test_random_is_a_row(self, model_file: Path) -> None:
        (row,) = rows(handconv("play", model_file, stdin="random\n").stdout)
        assert 0 <= row < 360

    def test_wrong_is_the_next_mistake(self, model_file: Path) -> None:
        done = handconv("play", model_file, stdin="wrong\nwrong\n")
        first, second = rows(done.stdout)
        assert first < second
        assert done.stdout.count("(wrong)") == 2
        skipped = handconv("play", model_file, stdin="".join(f"{row}\n" for row in range(first))).stdout
        assert "(wrong)" not in skipped

    def test_help_lists_all_words(self, model_file: Path) -> None:
        done = handconv("play", model_file, stdin="help\n")
        for word in ("next", "random", "wrong", "heat", "maps", "quit", "exit"):
            assert f"  {word} " in done.stdout or f" {word}," in done.stdout

    def test_maps_are_filters_and_what_they_make_of_the_image(self, model_file: Path, cache_folder: Path) -> None:
        done = handconv("play", model_file, stdin="3\nmaps\n")
        assert "row 3: 8 of 8 filters of layer 0, and the map of each" in done.stdout
        assert max(map(len, done.stdout.splitlines()[18:-1])) <= 80
        assert (cache_folder / "pictures" / "digits-3-maps.png").is_file()

    def test_programs_get_the_picture_of_maps(self, model_file: Path, cache_folder: Path) -> None:
        (told,) = objects(handconv("play", model_file, "--json", stdin="maps\n").stdout)
        assert told == {"event": "maps", "row": 0, "picture": str(cache_folder / "pictures" / "digits-0-maps.png")}

    def test_maps_are_those_of_a_convolution_within_a_residual_too(self, tmp_path: Path) -> None:
        block = hc.Residual([hc.BatchNorm(), hc.Conv2D(8, 3, padding=1)], projection=hc.Conv2D(8, 1))
        model = hc.Sequential([block, hc.Flatten(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28), seed=0)
        model.save(tmp_path / "model.npz")
        done = handconv("play", tmp_path / "model.npz", "--dataset", "digits", stdin="maps\n")
        assert "row 0: 8 of 8 filters of layer 0.layers.1, and the map of each" in done.stdout

    def test_heat_is_on_until_it_is_asked_for_again(self, model_file: Path, cache_folder: Path) -> None:
        picture = cache_folder / "pictures" / "digits-3.png"
        sizes = []
        for lines in ("3\n", "3\nheat\n", "3\nheat\nheat\n"):
            handconv("play", model_file, stdin=lines)
            sizes.append(picture.stat().st_size)
        assert sizes[0] == sizes[2] != sizes[1]


@needs_terminal
class TestOnATerminal:
    """With a pseudo-terminal on stdin, stdout and stderr."""

    def talk(self, arguments: list[object], lines: list[bytes], **variables: str | None) -> tuple[int, str]:
        """Answer each prompt with a line; give the status and all that was on the screen."""
        return talk(arguments, lines, prompt=PROMPT, **variables)

    def test_it_prompts_and_answers(self, model_file: Path) -> None:
        status, screen = self.talk(["play", model_file], [b"3\n", b"abc\n", b"quit\n"])
        assert status == 0
        assert screen.count(PROMPT.decode()) == 3
        assert "row 3: predicted" in screen
        assert "'abc' is no row number" in screen
        assert "\x1b[38;5;" in screen

    def test_no_color_leaves_the_colours_out(self, model_file: Path) -> None:
        status, screen = self.talk(["play", model_file], [b"3\n", b"quit\n"], NO_COLOR="1")
        assert status == 0
        assert "█" in screen
        assert "\x1b[38;5;" not in screen

    @pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
    def test_a_key_leaves(self, key: bytes, model_file: Path) -> None:
        status, screen = self.talk(["play", model_file], [key])
        assert status == 0
        assert "Traceback" not in screen
        assert screen.endswith("\n")

    def test_training_draws_a_bar_and_keeps_the_lines(self, cache_folder: Path) -> None:
        status, screen = self.talk(["train", "--dataset", "digits", "--epochs", 2, "--no-play"], [])
        assert status == 0
        assert "━" in screen
        assert " left" in screen
        assert len(re.findall(r"epoch \d/2  loss ", screen)) == 2

    def test_tables_are_drawn(self, model_file: Path) -> None:
        status, screen = self.talk(["evaluate", model_file], [])
        assert status == 0
        assert "precision" in screen
