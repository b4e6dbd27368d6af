"""A loss that explodes without becoming infinite is remarked upon, once, and no other."""

import warnings
from typing import Any

import numpy as np
import pytest

import handconv as hc

X = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


def fit(rate: float, **options: Any) -> list[warnings.WarningMessage]:
    model = hc.Sequential([hc.Dense(16), hc.ReLU(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, **{"epochs": 4, "batch_size": 16, "optimizer": hc.Adam(rate)} | options)
    return caught


def test_steps_far_too_large_are_remarked_upon_once() -> None:
    (warning,) = fit(50.0)
    assert str(warning.message).startswith("The loss has exploded: in epoch 1 it was ")
    assert "times that of guessing. Use a smaller learning rate (its mean was 50)." in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_usual_steps_are_not(rate: float) -> None:
    assert not fit(rate)


def test_weights_of_samples_are_no_explosion() -> None:
    assert not fit(0.01, sample_weights=np.full(len(X), 1000.0))


def test_another_loss_is_compared_with_its_first_epoch() -> None:
    class Harmful(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Any) -> None:
            run.network.parameters *= 100

    model = hc.Sequential([hc.Dense(1)], input_shape=(4,), seed=0)
    with pytest.warns(UserWarning, match=r"in epoch 2 it was .* times that of the first epoch") as caught:
        model.fit(X, X.sum(axis=1)[:, None], epochs=4, loss=hc.MeanSquaredError(), callbacks=[Harmful()])
    assert len(caught) == 1
