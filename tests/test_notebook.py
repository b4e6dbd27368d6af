"""The notebook of first steps runs, and its cells show what they are there to show."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "learn" / "first-steps.ipynb"


class Run(dict[str, list[Any]]):
    """What each cell showed, by the cell's name."""

    folder: Path
    bars: list[str]  # what the line of the progress was, one after the other


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook executed in a folder of its own."""
    nbclient = pytest.importorskip("nbclient", reason="notebooks are run by nbclient")
    nbformat = pytest.importorskip("nbformat", reason="notebooks are run by nbclient")
    pytest.importorskip("ipykernel", reason="notebooks are run by ipykernel")
    pytest.importorskip("matplotlib", reason="the notebook draws with matplotlib")
    shown = Run()
    shown.folder, shown.bars = tmp_path_factory.mktemp("notebook"), []

    class Client(nbclient.NotebookClient):
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            if msg["msg_type"] in ("display_data", "update_display_data"):
                shown.bars.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(shown.folder)}}
    Client(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    shown.update({cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"})
    return shown


def html(outputs: list[Any]) -> str:
    return "".join(output["data"]["text/html"] for output in outputs)


def test_no_outputs_are_kept_in_the_repository() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 8
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_no_cell_ends_in_an_error_or_warns(run: Run) -> None:
    kinds = {(output.output_type, output.get("name")) for outputs in run.values() for output in outputs}
    assert kinds <= {("execute_result", None), ("display_data", None), ("stream", "stdout")}


def test_data_and_network_are_tables(run: Run) -> None:
    assert "1,437 to train on, 360 to test on" in html(run["data"])
    assert html(run["network"]).count("<tr>") == 15  # the head, the input, twelve layers and what they are in all
    assert "Conv2D(16, 3)" in html(run["network"])


def test_the_training_shows_a_bar_and_a_line_for_each_epoch(run: Run) -> None:
    lines = "".join(output.text for output in run["fit"] if output.output_type == "stream").splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"epoch {epoch}/8" for epoch in range(1, 9)]
    assert run.bars[0].startswith("<progress value=")
    assert run.bars[-1] == ""  # it is over


@pytest.mark.parametrize("cell", ["plot", "mistakes", "saliency"])
def test_a_figure_is_seen_as_a_picture(run: Run, cell: str) -> None:
    (output,) = run[cell]
    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")


def test_the_network_has_learnt_to_read(run: Run) -> None:
    (output,) = run["evaluate"]
    accuracy = float(output.data["text/plain"].rpartition(": ")[2].rstrip("}"))
    assert accuracy > 0.92
    (output,) = run["predict"]
    chances = [float(number) for number in re.findall(r"\d\.\d*", output.data["text/plain"])]
    assert len(chances) == 10
    assert chances.index(max(chances)) == 0


def test_the_page_to_draw_on_is_there_and_linked(run: Run) -> None:
    assert "href='first-steps.html'" in html(run["export"])
    assert "Draw a digit" in (run.folder / "first-steps.html").read_text("utf-8")
