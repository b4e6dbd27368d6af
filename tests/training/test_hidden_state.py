"""State that a layer carries from shard to shard without having declared it: found before the first step."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.training.hidden_state import check_no_hidden_state
from network_cases import Counting, Residual

X, Y = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32), np.arange(32) % 2


class Own(hc.Layer):
    """Passes its inputs on, and does something in training."""

    def act(self, x: Any) -> None: ...

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.act(inputs)
        return inputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


class Counter(Own):
    count = 0

    def act(self, x: Any) -> None:
        self.count += 1


class Mean(Own):
    mean: Any = 0.0

    def act(self, x: Any) -> None:
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)


class InADict(Own):
    def act(self, x: Any) -> None:
        vars(self).setdefault("seen", {"count": [0]})["count"][0] += 1


class Growing(Own):
    def act(self, x: Any) -> None:
        self.history = [*getattr(self, "_history", []), len(x)]
        self._history = self.history


class NewKeys(Own):
    def act(self, x: Any) -> None:
        table = vars(self).setdefault("table", {})
        table[len(table)] = 1


class OwnRandomness(Own):
    random = np.random.default_rng(0)

    def act(self, x: Any) -> None:
        self.noise = self.random.normal(size=3)


STATE = {Counter: "count", Mean: "mean", InADict: "seen", Growing: "history", NewKeys: "table", OwnRandomness: "noise"}


class Cache(Own):
    """Keeps what any layer may: what passed through it, tables made at first use, things that cannot be compared."""

    def act(self, x: Any) -> None:
        self.x, self.shape, self.nothing, self.nan = x, x.shape, None, float("nan")
        self.mask = self.generator.random(x.shape) < 0.5  # type: ignore[union-attr]
        vars(self).setdefault("tables", {})[x.shape] = (np.arange(3), [1, {"a": np.full(2, np.nan)}])
        self.helper, self.words = object(), np.array(["a", object()])
        self.made = getattr(self, "made", None) or "once"


def model(*own: hc.Layer) -> hc.Sequential:
    return hc.Sequential([hc.Dense(4), *own, hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)


@pytest.mark.parametrize("kind", STATE)
def test_state_is_refused_where_workers_would_lose_it(kind: type[Own]) -> None:
    network = model(kind())
    before = network.parameters.copy()
    message = rf"{kind.__name__} carries '{STATE[kind]}' from shard to shard: .*Declare a buffer, ParameterSpec"
    with pytest.raises(RuntimeError, match=message):
        network.fit(X, Y, batch_size=16, workers=2)
    np.testing.assert_array_equal(network.parameters, before)
    assert network.epochs_trained == 0


def test_it_is_refused_where_a_resume_would_lose_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Counter carries 'count' from shard to shard"):
        model(Counter()).fit(X, Y, callbacks=[hc.Checkpoint(tmp_path / "run.npz")])
    assert not list(tmp_path.iterdir())


def test_it_is_found_in_a_layer_that_another_one_holds() -> None:
    block = Residual(4)
    block.more.append(Mean())  # type: ignore[arg-type]
    with pytest.raises(
        RuntimeError,
        match=r"Mean carries 'mean' .* left an array of mean .* alone and an array of mean .* after others",
    ):
        model(block).fit(X, Y, batch_size=16, workers=2)


def test_it_is_nobodys_business_in_one_process() -> None:
    network = model(Counter())
    network.fit(X, Y, batch_size=16)
    assert network.layers[1].count == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("own", [Cache(), Own(), Residual(4), Counting()])
def test_harmless_caches_and_declared_buffers_are_accepted(own: hc.Layer, tmp_path: Path) -> None:
    network = model(own.copy())
    network.fit(X, Y, batch_size=16, workers=2, callbacks=[hc.Checkpoint(tmp_path / "run.npz")])


def test_the_check_leaves_the_network_as_it_is() -> None:
    network = model(Counting(), Cache())
    parameters, buffers = network.parameters.copy(), network.buffers.copy()
    check_no_hidden_state(network, samples(chosen=np.array([3, 1, 30])))
    check_no_hidden_state(network, samples())
    np.testing.assert_array_equal(network.parameters, parameters)
    np.testing.assert_array_equal(network.buffers, buffers)
    assert not hasattr(network.layers[2], "x")


def samples(**options: Any) -> Any:
    from handconv.samples import Samples

    return Samples(X, Y, **options)


def test_layers_of_this_package_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(copy, "deepcopy", refuse)
    check_no_hidden_state(model(hc.Dropout(0.5)), samples())
