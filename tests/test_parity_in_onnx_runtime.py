"""Parity with ONNX Runtime: the same weights give the same answers, whatever the size of the batch."""

from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from benchmarks.rivals.handconv_own import network
from benchmarks.rivals.onnx_rival import graph
from benchmarks.rivals.protocol import NETWORKS, Network
from numpy.typing import NDArray

import handconv as hc
from strategies import normal

onnx = pytest.importorskip("onnx", reason="ONNX is not installed; make parity installs it")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed; make parity installs it")

BATCHES = (1, 2, 63, 200)


def in_onnx_runtime(net: Network, model: hc.Sequential) -> Any:
    """A session with the weights of a model of ours."""
    parameters = iter(model.named_parameters().values())

    def parameter(shape: tuple[int, ...]) -> NDArray[np.float32]:
        value = next(parameters)
        assert value.shape == shape
        return np.array(value)

    whole = graph(net, parameter)
    assert next(parameters, None) is None
    onnx.checker.check_model(whole, full_check=True)
    return runtime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])


def compare(model: hc.Sequential, session: Any, x: NDArray[Any]) -> None:
    for batch in BATCHES:
        (expected,) = session.run(None, {"x": x[:batch]})
        for answers in ways_to_answer(model, x[:batch]):
            assert np.abs(answers - expected).max() <= 1e-6


def ways_to_answer(model: hc.Sequential, x: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return model.predict(x), model.forward(x), model.infer(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_random_weights_give_the_same_probabilities(name: str) -> None:
    net = NETWORKS[name]
    model = network(net)
    for key, value in model.named_parameters().items():
        if key.endswith(".biases"):  # which begin as zeros
            value[...] = normal(0, value.size, dtype=np.float32) / 10
    images = np.random.default_rng(1).random((max(BATCHES), *net.shape), np.float32)
    compare(model, in_onnx_runtime(net, model), images)


def test_the_bundled_model_gives_the_same_probabilities_for_digits() -> None:
    """Its calibrated scores are large, so that the roundings of both may add up: each is held to the exact answers."""
    model = hc.load(files("handconv") / "reference-mnist.npz")
    exact = hc.Sequential([layer.copy() for layer in model.layers], input_shape=model.input_shape, dtype="float64")
    session = in_onnx_runtime(NETWORKS["reference"], model)
    digits = hc.datasets.load("digits").x_test[: max(BATCHES)] / np.float32(255)
    for batch in BATCHES:
        truth = exact.predict(digits[:batch])
        for answers in (*session.run(None, {"x": digits[:batch]}), *ways_to_answer(model, digits[:batch])):
            assert np.abs(answers - truth).max() <= 1e-6
