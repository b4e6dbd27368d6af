"""The progress of a training: lines, a bar where a person sees it, and nothing anywhere else."""

import sys
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.training import Callback, PrintProgress, Progress, worker
from handconv.training import progress as progress_module
from handconv.training.progress import DefaultProgress, epoch_line, with_progress
from handconv.utils.live import Live
from terminal_helpers import needs_terminal, seen, talk

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.arange(60) % 2


def network() -> hc.Sequential:
    return hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)


def fit(*callbacks: Callback, **options: Any) -> hc.History:
    return network().fit(X, Y, **{"epochs": 3, "batch_size": 8, "callbacks": callbacks} | options)


class Recorded(Live):
    """Writes down what is drawn, and when it is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def draw(self, what: str, done: int, total: int | None, *figures: str) -> None:
        self._draw(what, None, figures)  # at once

    def _draw(self, what: str, share: float | None, figures: Any) -> None:
        self.lines.append("  ".join([what, *figures]))

    def clear(self) -> None:
        self.lines.append("")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is drawn where there is a terminal."""
    live = Recorded()
    monkeypatch.setattr(progress_module, "live_line", lambda: live)
    monkeypatch.setattr(progress_module, "is_terminal", lambda _: True)
    return live.lines


def test_print_progress_prints_one_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    fit(PrintProgress(), validation_split=0.5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("val accuracy" in line for line in lines)


def test_print_progress_writes_where_it_is_told() -> None:
    lines: list[str] = []
    fit(PrintProgress(lines.append))
    assert len(lines) == 3


def test_an_epoch_in_one_line() -> None:
    figures = {
        "epoch": 2, "loss": 0.12345, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.98765, "train_seconds": 1.26,
        "images_per_second": 47619.4,
    }  # fmt: skip
    assert epoch_line(figures, 3) == (
        "epoch 2/3  loss 0.1235  accuracy 50.00 %  val loss 1.5000  val accuracy 98.77 %  1.3 s  47,619 images/s"
    )


def test_a_narrow_line_leaves_out_what_matters_least() -> None:
    figures = {
        "epoch": 2, "loss": 0.5, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.75, "train_seconds": 1.25,
        "images_per_second": 47619.4,
    }  # fmt: skip
    assert epoch_line(figures, 3, 90).endswith("val accuracy 75.00 %  1.2 s")
    assert epoch_line(figures, 3, 62) == "epoch 2/3 loss 0.5000 accuracy 50.00 % val accuracy 75.00 %"
    assert epoch_line(figures, 3, 10) == "epoch 2/3 accuracy 50.00 % val accuracy 75.00 %"


def test_eighty_characters_hold_both_losses_and_both_accuracies_of_two_digit_epochs() -> None:
    figures = {
        "epoch": 30, "loss": 0.5, "accuracy": 1.0, "val_loss": 1.5, "val_accuracy": 1.0, "train_seconds": 1.25,
        "images_per_second": 47619.4,
    }  # fmt: skip
    assert epoch_line(figures, 30, 80) == (
        "epoch 30/30 loss 0.5000 accuracy 100.00 % val loss 1.5000 val accuracy 100.00 %"
    )


class TestWhereAPersonSeesIt:
    def test_the_bar_tells_steps_loss_accuracy_and_the_time_left(self, drawn: list[str]) -> None:
        fit()
        assert drawn[0].startswith("epoch 1/3  1/8  loss ")
        assert "accuracy " in drawn[0]
        assert " left  " in drawn[0]

    def test_lines_go_to_stderr(self, drawn: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        fit()
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("epoch 1/3  loss ")
        assert err.splitlines()[-1].startswith("epoch 3/3  loss ")

    def test_of_few_quick_epochs_each_has_a_line(self, drawn: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        fit(epochs=20, batch_size=60)
        lines = capsys.readouterr().err.splitlines()
        assert [line.split("  ")[0] for line in lines] == [f"epoch {epoch}/20" for epoch in range(1, 21)]

    def test_of_many_quick_epochs_the_last_has_a_line(
        self, drawn: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        fit(epochs=40, batch_size=60)
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("epoch 40/40")
        assert len(lines) == len(set(lines)) < 40

    def test_without_classes_there_is_no_accuracy(self, drawn: list[str]) -> None:
        hc.Sequential([hc.Dense(1)], input_shape=(3,), seed=0).fit(X, X[:, :1], loss=hc.MeanSquaredError())
        assert "loss" in drawn[0]
        assert "accuracy" not in drawn[0]

    def test_an_error_takes_the_bar_away(self, drawn: list[str]) -> None:
        class Broken(Callback):
            def on_batch_end(self, run: Any, progress: Progress) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(Broken())
        assert drawn[-1] == ""

    def test_the_bar_is_gone_when_others_print(self, drawn: list[str]) -> None:
        class Look(Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                assert drawn[-1] == ""

        fit(Look())

    def test_false_silences(self, drawn: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        fit(verbose=False)
        assert not drawn
        assert capsys.readouterr() == ("", "")

    def test_ones_own_progress_is_not_doubled(self, drawn: list[str]) -> None:
        assert not [each for each in with_progress([PrintProgress()], None) if isinstance(each, DefaultProgress)]

    def test_it_changes_no_bits(self, drawn: list[str]) -> None:
        shown, silent = network(), network()
        histories = [model.fit(X, Y, epochs=3, verbose=how) for model, how in ((shown, None), (silent, False))]
        assert histories[0]["loss"] == histories[1]["loss"]
        np.testing.assert_array_equal(shown.parameters, silent.parameters)

    def test_workers_are_started_once(self, drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        starts: list[int] = []
        start = worker.ProcessExecutor._start
        monkeypatch.setattr(worker.ProcessExecutor, "_start", lambda self: (starts.append(1), start(self)))
        fit(workers=2, batch_size=30, shard_size=8)
        assert drawn
        assert len(starts) == 1


def test_nowhere_else_is_anything_shown(capfd: pytest.CaptureFixture[str]) -> None:
    fit()
    assert capfd.readouterr() == ("", "")


PROGRAM = """
import numpy as np, handconv as hc
x = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0).fit(x, np.arange(40_000) % 2, epochs=2, batch_size=16{more})
print("done")
"""


@needs_terminal
class TestOnATerminal:
    def run(self, more: str = "", **options: Any) -> list[str]:
        program = PROGRAM.replace("{more}", more)
        status, screen = talk(["-c", program], command=[sys.executable], **options)
        assert status == 0
        assert screen.endswith("done\r\n")
        return seen(screen)

    @pytest.mark.parametrize("columns", [80, 40])
    def test_a_bar_moves_and_the_lines_stay(self, columns: int) -> None:
        lines = self.run(size=(columns, 24))
        assert max(map(len, lines)) <= columns
        assert sum("━" in line for line in lines) > 2
        stay = [line for line in lines if line.startswith("epoch") and "━" not in line and "─" not in line]
        assert [line.split("  ")[0] for line in stay] == ["epoch 1/2", "epoch 2/2"]

    def test_a_terminal_that_cannot_redraw_gets_the_lines(self) -> None:
        lines = self.run(TERM="dumb")
        assert [line.split("  ")[0] for line in lines if line] == ["epoch 1/2", "epoch 2/2", "done"]

    def test_false_silences(self) -> None:
        assert [line for line in self.run(", verbose=False") if line] == ["done"]


def test_a_notebook_shows_a_bar_and_the_lines() -> None:
    nbclient = pytest.importorskip("nbclient", reason="notebooks are run by nbclient")
    nbformat = pytest.importorskip("nbformat", reason="notebooks are run by nbclient")
    pytest.importorskip("ipykernel", reason="notebooks are run by ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PROGRAM.replace("{more}", ""))])
    drawn: list[Any] = []

    def keep(cell: Any, cell_index: int, execute_reply: Any) -> None:
        drawn.extend(cell.outputs)

    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", on_cell_executed=keep).execute()
    text = "".join(output.text for output in drawn if output.output_type == "stream")
    assert [line.split("  ")[0] for line in text.splitlines()] == ["epoch 1/2", "epoch 2/2", "done"]
    (bar,) = [output for output in drawn if output.output_type == "display_data"]
    assert bar.data["text/html"] == ""  # it is over
