"""One optimizer in several fits: each begins anew, unless a state was loaded."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, at, dense

OPTIMIZERS: dict[str, Callable[[], hc.Optimizer]] = {
    "Adam": lambda: hc.Adam(0.01),
    "AdamW": lambda: hc.AdamW(0.01),
    "SGD with momentum": lambda: hc.SGD(0.1, momentum=0.9),
    "SGD": lambda: hc.SGD(0.1),
    "Adam with OneCycle": lambda: hc.Adam(hc.schedules.OneCycle(0.05)),
    "Adam with CosineDecay": lambda: hc.Adam(hc.schedules.CosineDecay(0.1)),
}
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 64}


def fit(network: hc.Sequential, optimizer: hc.Optimizer, **options: Any) -> hc.History:
    return network.fit(VECTORS, CLASSES, optimizer=optimizer, **OPTIONS | options)


@pytest.mark.parametrize("name", OPTIMIZERS)
class TestOneOptimizer:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_for_the_next_fold_is_as_a_new_one(self, name: str, workers: int) -> None:
        shared = OPTIMIZERS[name]()
        for fold in range(3):
            first, second = dense(seed=fold), dense(seed=fold)
            figures = [fit(first, shared, workers=workers), fit(second, OPTIMIZERS[name]())]
            assert figures[0]["loss"] == figures[1]["loss"]
            assert figures[0]["learning_rate"] == figures[1]["learning_rate"]
            np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_for_the_same_network_again_is_as_a_new_one(self, name: str) -> None:
        shared, first, second = OPTIMIZERS[name](), dense(), dense()
        fit(first, shared)
        fit(second, OPTIMIZERS[name]())
        losses = [fit(first, shared)["loss"], fit(second, OPTIMIZERS[name]())["loss"]]
        assert losses[0] == losses[1]

    def test_for_a_network_of_another_size_is_as_a_new_one(self, name: str) -> None:
        shared = OPTIMIZERS[name]()
        fit(dense(), shared)
        wide = [hc.Sequential([hc.Dense(9), hc.Dense(3)], input_shape=(4,), seed=0) for _ in range(2)]
        losses = [fit(wide[0], shared)["loss"], fit(wide[1], OPTIMIZERS[name]())["loss"]]
        assert losses[0] == losses[1]

    def test_for_a_network_of_another_dtype_is_as_a_new_one(self, name: str) -> None:
        shared = OPTIMIZERS[name]()
        fit(dense(), shared)
        losses = [fit(dense(dtype="float64"), one)["loss"] for one in (shared, OPTIMIZERS[name]())]
        assert losses[0] == losses[1]

    def test_after_an_interrupted_fit_is_as_a_new_one(self, name: str) -> None:
        shared = OPTIMIZERS[name]()

        def break_off(_run: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(dense(), shared, callbacks=[at("on_epoch_end", break_off)])
        losses = [fit(dense(), one)["loss"] for one in (shared, OPTIMIZERS[name]())]
        assert losses[0] == losses[1]

    def test_counts_the_steps_of_the_last_fit(self, name: str) -> None:
        shared = OPTIMIZERS[name]()
        fit(dense(), shared)
        fit(dense(), shared, epochs=2)
        assert shared.iterations == 2 * 10

    def test_with_a_state_that_was_loaded_goes_on_from_it(self, name: str) -> None:
        first, second = OPTIMIZERS[name](), OPTIMIZERS[name]()
        network = dense()
        fit(network, first)
        state = first.state_dict()
        other = copy.deepcopy(network)
        first.load_state_dict(state)  # said in so many words: go on
        second.build(other.parameters)
        second.load_state_dict(state)
        fit(network, first)
        fit(other, second)
        assert first.iterations == second.iterations == 6 * 10

    def test_that_was_loaded_before_is_new_again_in_the_fit_after_next(self, name: str) -> None:
        shared = OPTIMIZERS[name]()
        fit(dense(), shared)
        shared.load_state_dict(shared.state_dict())
        fit(dense(), shared)
        losses = [fit(dense(), one)["loss"] for one in (shared, OPTIMIZERS[name]())]
        assert losses[0] == losses[1]

    def test_keeps_its_settings(self, name: str) -> None:
        shared = OPTIMIZERS[name]()
        before = repr(shared)
        fit(dense(), shared)
        fit(dense(), shared)
        assert repr(shared) == before

    def test_can_be_resumed_with_after_another_fit(self, name: str, tmp_path: Any) -> None:
        path, whole, resumed = tmp_path / "run.npz", dense(), dense()
        fit(whole, OPTIMIZERS[name]())
        shared = OPTIMIZERS[name]()
        fit(dense(), shared, callbacks=[hc.Checkpoint(path)])
        fit(dense(seed=4), shared)
        fit(resumed, shared, resume=path)
        np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_loaded_moments_count_in_the_next_fit() -> None:
    optimizer, network = hc.SGD(0.1, momentum=0.9), dense()
    fit(network, optimizer)
    start, state = network.parameters.copy(), optimizer.state_dict()
    ends = []
    for loaded in (True, False):
        network.parameters[...] = start
        network.epochs_trained = 3
        if loaded:
            optimizer.load_state_dict(state)
        fit(network, optimizer, epochs=1)
        ends.append(network.parameters.copy())
    assert not np.array_equal(*ends)


def test_two_fits_at_once_do_not_share_an_optimizer() -> None:
    shared, inner = hc.Adam(0.01), []

    def fit_another(_run: Any) -> None:
        if not inner:
            inner.append(True)
            with contextlib.suppress(RuntimeError):  # it may be refused
                fit(dense(seed=9), shared)

    watched, alone = dense(), dense()
    fit(watched, shared, callbacks=[at("on_epoch_end", fit_another)])
    fit(alone, hc.Adam(0.01))
    np.testing.assert_array_equal(watched.parameters, alone.parameters)
