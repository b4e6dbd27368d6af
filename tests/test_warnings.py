"""Every warning names the line of the user's code that called the package, however deep inside it arises."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

BRIGHT = np.full((4, 1, 4, 4), 200.0, np.float32)
Y = np.array([0, 1, 0, 1])


def made() -> hc.Sequential:
    return hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 4, 4), seed=0)


def code_of(warning: warnings.WarningMessage) -> str:
    return inspect.getsource(inspect.getmodule(made)).splitlines()[warning.lineno - 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: model.fit(BRIGHT, Y),
        lambda model: model.fit(BRIGHT / 255, Y, validation_data=(BRIGHT, Y)),
        lambda model: model.predict(BRIGHT),
        lambda model: model.evaluate(BRIGHT, Y),
        lambda model: hc.Ensemble([model]).predict(BRIGHT),
    ],
    ids=["fit", "fit with validation data", "predict", "evaluate", "an ensemble's predict"],
)
def test_of_pixels_on_another_scale(ask: Callable[[hc.Sequential], Any]) -> None:
    with pytest.warns(UserWarning, match="looks like pixels from 0 to 255") as caught:
        ask(made())
    assert caught[0].filename == __file__
    assert "lambda model" in code_of(caught[0])


def test_of_pixels_in_a_callback() -> None:
    class Asks(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
            run.network.predict(BRIGHT)  # here

    with pytest.warns(UserWarning, match="looks like pixels") as caught:
        made().fit(BRIGHT / 255, Y, epochs=1, callbacks=[Asks()])
    assert caught[0].filename == __file__
    assert code_of(caught[0]).endswith("# here")


def test_of_a_resumed_run_that_has_nothing_left_to_train(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    made().fit(BRIGHT / 255, Y, epochs=2, callbacks=[hc.Checkpoint(path)])
    with pytest.warns(UserWarning, match="nothing is left to train") as caught:
        made().fit(BRIGHT / 255, Y, epochs=1, resume=path)
    assert caught[0].filename == __file__


def test_of_a_table_of_fractions(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("label,1x1,1x2,2x1,2x2\n7,0,200.5,1,3\n")
    with pytest.warns(UserWarning, match="are rounded") as caught:
        hc.datasets.load_csv(path)
    assert caught[0].filename == __file__
