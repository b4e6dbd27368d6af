"""A loss is shown as it is made."""

from typing import Any

import pytest

import handconv as hc


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        (hc.MeanSquaredError(), "MeanSquaredError()"),
        (hc.CategoricalCrossentropy(0.1), "CategoricalCrossentropy(label_smoothing=0.1)"),
    ],
)
def test_a_loss_is_shown_with_its_settings(loss: hc.Loss, shown: str) -> None:
    assert repr(loss) == shown


def test_a_loss_of_ones_own_is_shown_with_what_it_keeps() -> None:
    class Huber(hc.Loss):
        def __init__(self, delta: float, weights: Any = None) -> None:
            self.delta = delta

    assert repr(Huber(0.5)) == "Huber(delta=0.5)"
