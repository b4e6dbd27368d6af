"""The summary: shapes, parameters, work and memory of each layer, and the ops that really run."""

from collections.abc import Callable

import pytest

import handconv as hc
from handconv.summary import Summary
from layer_cases import Chain, Residual, Running


@pytest.fixture
def summary() -> Summary:
    layers = [
        hc.Conv2D(8, 3, name="conv"), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(10, use_bias=False),
        hc.Softmax(),
    ]  # fmt: skip
    return hc.Sequential(layers, input_shape=(1, 28, 28), seed=0).summary()


def test_each_layer_is_a_row(summary: Summary) -> None:
    assert [row.name for row in summary.rows] == ["conv", "1", "2", "3", "4", "5"]
    assert [row.output_shape for row in summary.rows] == [
        (8, 26, 26), (8, 26, 26), (8, 13, 13), (1352,), (10,), (10,),
    ]  # fmt: skip


def test_rows_count_parameters(summary: Summary) -> None:
    assert [row.parameters for row in summary.rows] == [80, 0, 0, 0, 13_520, 0]
    assert summary.parameters == 13_600


def test_rows_count_multiply_adds_of_one_sample(summary: Summary) -> None:
    assert [row.multiply_adds for row in summary.rows] == [8 * 26 * 26 * 9, 0, 0, 0, 13_520, 0]
    assert summary.multiply_adds == 8 * 26 * 26 * 9 + 13_520


def test_rows_count_the_memory_of_one_samples_outputs(summary: Summary) -> None:
    assert [row.output_bytes for row in summary.rows] == [4 * 5408, 4 * 5408, 4 * 1352, 4 * 1352, 40, 40]
    assert summary.output_bytes == 4 * (2 * 5408 + 2 * 1352 + 20)


def test_in_float64_everything_takes_twice_the_memory(summary: Summary) -> None:
    sizes = [
        hc.Sequential([hc.Conv2D(8, 3), hc.Flatten()], input_shape=(1, 28, 28), dtype=dtype).summary().output_bytes
        for dtype in ("float32", "float64")
    ]
    assert sizes[1] == 2 * sizes[0]


def test_it_names_the_ops_that_run(summary: Summary) -> None:
    assert summary.ops == ("[Conv2D + LeakyReLU + MaxPool2D]", "Flatten", "Dense", "Softmax")


def test_without_fusing_there_is_an_op_for_each_layer() -> None:
    layers = [hc.Conv2D(8, 3), hc.MaxPool2D(2)]
    ops = hc.Sequential(layers, input_shape=(1, 28, 28), fuse=False).summary().ops
    assert ops == ("Conv2D", "MaxPool2D")


def test_without_the_engine_every_layer_runs_its_own_code() -> None:
    layers = [hc.Conv2D(8, 3), hc.MaxPool2D(2)]
    ops = hc.Sequential(layers, input_shape=(1, 28, 28), engine=False).summary().ops
    assert ops == ("Conv2D (own Python code)", "MaxPool2D (own Python code)")


def test_a_layer_of_ones_own_runs_its_own_code() -> None:
    class Own(hc.Dense):
        pass

    ops = hc.Sequential([Own(3), hc.Softmax()], input_shape=(2,)).summary().ops
    assert ops == ("Own (own Python code)", "Softmax")


def test_buffers_are_no_parameters() -> None:
    summary = hc.Sequential([hc.Dense(3), Running()], input_shape=(2,)).summary()
    assert [row.parameters for row in summary.rows] == [9, 6]


def test_layers_within_have_rows_of_their_own() -> None:
    summary = hc.Sequential([Chain(name="head"), hc.Softmax()], input_shape=(4,)).summary()
    assert [(row.name, row.layer, row.parameters, row.multiply_adds) for row in summary.rows] == [
        ("head", "Chain(3, name='head')", 0, 0),
        ("head.first", "Dense(3)", 15, 12),
        ("head.rest.0", "Tanh()", 0, 0),
        ("head.rest.1", "Dropout(0.5)", 0, 0),
        ("head.rest.2", "Dense(2, name='last')", 8, 6),
        ("1", "Softmax()", 0, 0),
    ]
    assert (summary.parameters, summary.multiply_adds) == (23, 18)


def test_a_layer_that_holds_others_and_weights_counts_its_own() -> None:
    class Scaled(Residual):
        def declare(self, input_shape: tuple[int, ...]) -> tuple[hc.ParameterSpec, ...]:
            return (hc.ParameterSpec("scale", (5,)),)

    rows = hc.Sequential([Scaled(2)], input_shape=(2, 5, 4)).summary().rows
    assert rows[0].parameters == 5


@pytest.mark.parametrize("network", [hc.zoo.plus, hc.zoo.colour])
def test_a_deep_network_fits_a_terminal(network: Callable[[], hc.Sequential], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = str(network().summary()).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.split()[0].isdecimal() for line in lines if line) == 25


def test_it_is_drawn_as_a_table_with_input_layers_and_totals(summary: Summary) -> None:
    lines = str(summary).splitlines()
    assert lines[0].split() == ["name", "layer", "output", "shape", "parameters", "multiply-adds", "memory"]
    assert lines[2].endswith(" (N, 1, 28, 28)")
    assert lines[3].split()[0] == "conv"
    assert lines[-3].split() == ["in", "all", "13,600", "62,192", "52.9", "kB"]
    assert lines[-1] == "runs as: [Conv2D + LeakyReLU + MaxPool2D] -> Flatten -> Dense -> Softmax"
    assert repr(summary) == str(summary)


def test_in_a_notebook_it_is_a_table(summary: Summary) -> None:
    page = summary._repr_html_()
    assert page.count("<tr>") == len(summary.rows) + 3
    assert "<td>13,600</td><td>62,192</td><td>52.9 kB</td>" in page
    assert page.endswith("<p>runs as: [Conv2D + LeakyReLU + MaxPool2D] → Flatten → Dense → Softmax</p>")


def test_columns_are_aligned_and_lines_end_without_blanks(summary: Summary) -> None:
    lines = str(summary).splitlines()
    table = lines[: lines.index("")]
    assert {line[-2:] for line in table[3:-2]} <= {"kB", " B"}
    assert len({len(line) for line in (*table[3:-2], table[-1])}) == 1
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("units", "memory"), [(10, "40 B"), (255, "1020 B"), (256, "1.0 kB"), (10**6, "3.8 MB")])
def test_memory_is_shown_in_readable_units(units: int, memory: str) -> None:
    table = str(hc.Sequential([hc.Dense(units)], input_shape=(1,)).summary())
    assert table.splitlines()[3].endswith(f"  {memory}")


def test_a_network_without_parameters() -> None:
    summary = hc.Sequential([hc.ReLU()], input_shape=(3,)).summary()
    assert (summary.parameters, summary.multiply_adds) == (0, 0)


def test_it_needs_the_input_shape() -> None:
    with pytest.raises(ValueError, match=r"summary needs the input shape: give input_shape=… or call build\(shape\)"):
        hc.Sequential([hc.Dense(1)]).summary()
