"""``handconv gradcheck``: the proof, its JSON and its exit status."""

import json
from typing import Any

import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.cli import main


def test_it_proves_the_reference_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "--samples", "2"]) == 0
    shown = capsys.readouterr().out
    assert "0 Conv2D" in shown
    assert "All gradients are right" in shown


def test_a_saved_model_and_json(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "model.npz")
    hc.Sequential([hc.Dense(3), hc.Sigmoid()], input_shape=(4,), seed=0).save(path)
    assert main(["gradcheck", path, "--json", "--seed", "3"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["gradient"] * (len(lines) - 1) + ["gradcheck"]
    assert lines[-1]["ok"] is True
    assert lines[0]["worst"]["index"]


def test_a_failure_has_status_1(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "model.npz")
    hc.Sequential([hc.Dense(3, name="first")], input_shape=(4,), seed=0).save(path)
    right = hc.Dense.backward

    def wrong(dense: hc.Dense, dvalues: NDArray[Any]) -> NDArray[Any]:
        dinputs = right(dense, dvalues)
        dense.dbiases[:1] += 1
        return dinputs

    monkeypatch.setattr(hc.Dense, "backward", wrong)
    assert main(["gradcheck", path]) == 1
    shown = capsys.readouterr().out
    failed = [line.split()[:3] for line in shown.splitlines() if line.endswith("FAILED")]
    assert failed[0] == ["first", "Dense", "biases"]
    assert "biases is wrong at [0]: backward says" in shown


def test_wrong_arguments_have_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "--tolerance", "2"]) == 2
    assert "--tolerance must be a number above 0 and below 1" in capsys.readouterr().err
