"""CSVLogger writes each epoch to a file that grows with the training."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 2


def fit(*callbacks: hc.Callback, **options: Any) -> hc.History:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    return model.fit(X, Y, **{"epochs": 3, "batch_size": 8, "callbacks": callbacks} | options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def test_it_holds_the_history(path: Path) -> None:
    history = fit(hc.CSVLogger(path), validation_split=0.2)
    assert [{name: float(value) for name, value in row.items()} for row in rows(path)] == history.epochs


def test_it_grows_epoch_by_epoch(path: Path) -> None:
    lengths: list[int] = []

    class Look(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
            lengths.append(len(rows(path)))

    fit(hc.CSVLogger(path), Look())
    assert lengths == [1, 2, 3]


def test_a_new_training_begins_it_anew(path: Path) -> None:
    fit(hc.CSVLogger(path))
    fit(hc.CSVLogger(path), epochs=1)
    assert [row["epoch"] for row in rows(path)] == ["1"]


def test_a_resumed_training_goes_on_with_it(path: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.npz"
    fit(hc.CSVLogger(path), hc.Checkpoint(checkpoint), epochs=2)
    history = fit(hc.CSVLogger(path), resume=checkpoint, epochs=4)
    assert [float(row["loss"]) for row in rows(path)] == history["loss"]
    assert len(rows(path)) == 4


def test_a_figure_that_comes_later_gets_a_column(path: Path) -> None:
    class Late(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
            if run.epoch == 2:
                run.history.epochs[-1]["late"] = 7.0

    fit(Late(), hc.CSVLogger(path))
    assert [row["late"] for row in rows(path)] == ["", "7.0", ""]


def test_a_folder_that_is_not_there_is_refused_before_the_first_step(tmp_path: Path) -> None:
    heard: list[int] = []

    class Hear(hc.Callback):
        def on_batch_end(self, run: Any, progress: Any) -> None:
            heard.append(progress.epoch)

    with pytest.raises(FileNotFoundError, match="nowhere"):
        fit(hc.CSVLogger(tmp_path / "nowhere" / "log.csv"), Hear())
    assert not heard
