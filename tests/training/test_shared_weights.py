"""A decoder with the weights of its encoder: whose gradients it may add to."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.training.checks import _reaches_others
from handconv.training.hidden_state import equal

X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)


class Decoder(hc.Layer):
    """Uses the weights of a layer that it does not hold."""

    def __init__(self, found: Any, *, writes: bool) -> None:
        super().__init__()
        self.found, self.writes = found, writes

    def encoder(self) -> Any:
        return self.found()

    def infer_shape(self, input_shape: Any) -> Any:
        return (6,)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.kept = inputs
        return inputs @ self.encoder().weights.T

    def backward(self, dvalues: Any) -> Any:
        if self.writes:
            self.encoder().dweights += dvalues.T @ self.kept
        return dvalues @ self.encoder().weights


class Autoencoder(hc.Layer):
    """Holds the layer, and uses it in both places."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = hc.Dense(2)

    def infer_shape(self, input_shape: Any) -> Any:
        return (6,)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.code = self.encoder.forward(inputs, training)
        return self.code @ self.encoder.weights.T

    def backward(self, dvalues: Any) -> Any:
        dinputs = self.encoder.backward(dvalues @ self.encoder.weights)
        self.encoder.dweights += dvalues.T @ self.code
        return dinputs


class OfModel(Decoder):
    """Finds the layer in a network among the globals."""

    def encoder(self) -> Any:
        return MODEL.layers[0]


MODEL = hc.Sequential([hc.Dense(2)], input_shape=(6,), seed=0)


def tied(*, writes: bool) -> hc.Sequential:
    encoder = hc.Dense(2)
    return hc.Sequential([encoder, Decoder(lambda: encoder, writes=writes)], input_shape=(6,), seed=0)


def fit(model: hc.Sequential, **options: Any) -> Any:
    return model.fit(X, X, loss=hc.MeanSquaredError(), epochs=2, batch_size=32, **options)


class Keeping(hc.Layer):
    """Keeps views of the weights and their gradient."""

    def infer_shape(self, input_shape: Any) -> Any:
        return (6,)

    def look_at(self, encoder: hc.Dense) -> None:
        self.weights_there, self.gradient_there = encoder.weights, encoder.dweights

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.kept = inputs
        return inputs @ self.weights_there.T

    def backward(self, dvalues: Any) -> Any:
        self.gradient_there += dvalues.T @ self.kept
        return dvalues @ self.weights_there


def test_a_gradient_written_through_a_view_is_refused() -> None:
    encoder = hc.Dense(2)
    decoder = Keeping()
    model = hc.Sequential([encoder, decoder], input_shape=(6,), seed=0)
    decoder.look_at(encoder)
    with pytest.raises(ValueError, match=r"Keeping\.backward writes the gradient of 0\.weights"):
        fit(model)


def test_layers_that_keep_to_themselves_are_not_run_to_find_out() -> None:
    calls: list[int] = []

    class Counts(hc.Layer):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            calls.append(len(inputs))
            return inputs

        def backward(self, dvalues: Any) -> Any:
            return dvalues

    model = hc.Sequential([Counts(), hc.Dense(6)], input_shape=(6,), seed=0)
    fit(model, shard_size=32)
    assert calls == [32] * 4


@pytest.mark.parametrize("engine", [True, False])
def test_a_gradient_that_another_layers_backward_overwrites_is_refused(engine: bool) -> None:
    model = tied(writes=True)
    model.engine = engine
    model.gradients[...] = 3
    before = model.parameters.copy()
    with pytest.raises(ValueError, match=r"Decoder\.backward writes the gradient of 0\.weights, which belongs to"):
        fit(model)
    np.testing.assert_array_equal(model.parameters, before)
    np.testing.assert_array_equal(model.gradients, 3)


def test_weights_of_another_layer_may_be_looked_at() -> None:
    assert np.isfinite(fit(tied(writes=False))["loss"]).all()


def test_a_layer_that_holds_the_other_adds_up_both_gradients() -> None:
    one, two = (hc.Sequential([Autoencoder()], input_shape=(6,), seed=0) for _ in range(2))
    assert hc.gradcheck(one, X[:3], X[:3], loss=hc.MeanSquaredError()).ok
    assert equal(fit(one)["loss"], fit(two, workers=2)["loss"])
    np.testing.assert_array_equal(one.parameters, two.parameters)


def holding(kept: Any) -> hc.Layer:
    class Plain(hc.Layer):
        def __init__(self) -> None:
            super().__init__()
            object.__setattr__(self, "kept", kept)

    return Plain()


def test_a_layer_is_tried_beforehand_only_if_it_can_reach_others() -> None:
    other = hc.Dense(2)
    assert _reaches_others(Decoder(lambda: other, writes=True))
    assert _reaches_others(OfModel(None, writes=True))
    assert _reaches_others(holding(MODEL))
    assert not _reaches_others(Decoder(lambda: 3, writes=True))
    assert not _reaches_others(Autoencoder())
    assert not _reaches_others(holding((1, other)))  # which therefore it holds
