"""What calls, copies, threads and processes share of a network, and what they do not: its memory above all."""

import contextlib
import copy
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from handconv.engine.arena import FRESH
from handconv.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from handconv.network import Network
from network_cases import IMAGE, small


class TestMemory:
    def test_outputs_belong_to_the_caller(self) -> None:
        network = small()
        first = network.infer(np.ones((2, *IMAGE)))
        kept = first.copy()
        network.infer(np.zeros((2, *IMAGE)))
        np.testing.assert_array_equal(first, kept)

    def test_reused_memory_gives_the_same_numbers(self, rng: np.random.Generator) -> None:
        fresh, reusing = small(), small()
        reusing.reuse_memory()
        for count in (3, 5, 1, 3):  # batches that grow and shrink
            x, dy = rng.normal(size=(count, *IMAGE)), rng.normal(size=(count, 4))
            np.testing.assert_array_equal(fresh.forward(x), reusing.forward(x))
            np.testing.assert_array_equal(fresh.backward(dy), reusing.backward(dy))
            np.testing.assert_array_equal(fresh.gradients, reusing.gradients)

    def test_fresh_memory_ends_the_reuse(self) -> None:
        network = small()
        network.reuse_memory()
        network.fresh_memory()
        assert all(layer.workspace is FRESH for layer in network.layers)


def test_what_infer_returned_stays_as_it_is(rng: np.random.Generator) -> None:
    network = Network([Dense(3)], input_shape=(4,), seed=0)
    first = network.infer(rng.normal(size=(2, 4)))
    before = first.copy()
    network.infer(rng.normal(size=(2, 4)))
    np.testing.assert_array_equal(first, before)


def test_inference_borrows_its_memory_and_leaves_that_of_training_alone() -> None:
    network = Network([Dense(2), ReLU()], input_shape=(3,), seed=0)
    with network.inference_memory():
        borrowed = [layer.workspace for layer in network.layers]
    assert FRESH not in borrowed
    assert all(layer.workspace is FRESH for layer in network.layers)
    with network.inference_memory():
        assert [layer.workspace for layer in network.layers] == borrowed
    network.reuse_memory()
    training = [layer.workspace for layer in network.layers]
    with network.inference_memory():
        assert [layer.workspace for layer in network.layers] == training
    assert [layer.workspace for layer in network.layers] == training


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])  # noqa: S301
def test_a_copy_computes_the_same_in_memory_of_its_own(
    copied: Callable[[Network], Network], rng: np.random.Generator
) -> None:
    network = Network([Conv2D(2, 3), ReLU(), MaxPool2D(2), Conv2D(2, 2)], input_shape=(1, 8, 8), seed=0)
    x = rng.normal(size=(2, 1, 8, 8)).astype(np.float32)
    y = network.forward(x)
    network.infer(x)
    for prepare in (network.fresh_memory, network.reuse_memory):
        prepare()
        network.forward(x)
        twin = copied(network)
        np.testing.assert_array_equal(twin.forward(x), y)
        np.testing.assert_array_equal(twin.infer(x), y)
        assert all(layer.workspace is FRESH for layer in twin.layers)
        twin.parameters[...] = 0  # which its layers look into, and nobody else
        assert not twin.infer(x).any()
        np.testing.assert_array_equal(network.forward(x), y)
        twin.backward(twin.forward(x))
        assert np.shares_memory(twin.layers[0].dweights, twin.gradients)


def infers_when_forked(network: Network) -> bool:
    """Whether a process that is forked now can infer, within ten seconds, and leave all blocks that it is in."""
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_REAL, 10)
        with contextlib.suppress(BaseException):
            network.infer(np.zeros((1, 3)))
            with network.inference_memory():
                os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # about threads at a fork, the very thing
def test_a_process_that_is_forked_while_somebody_infers_waits_for_nobody() -> None:
    network = Network([Dense(2)], input_shape=(3,), seed=0)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with network.inference_memory():
            inside.set()
            done.wait(30)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        inside.wait(30)
        assert infers_when_forked(network)
        done.set()
    with network.inference_memory():
        assert infers_when_forked(network)


def test_of_threads_that_build_at_once_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    network, builds = Network([Dense(2), Dense(3)], seed=0), []
    build = Network.build

    def slowly(self: Network, shape: Any) -> None:
        builds.append(shape)
        time.sleep(0.05)
        build(self, shape)

    monkeypatch.setattr(Network, "build", slowly)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: network.infer(np.ones((1, 4))), range(4)))
    assert len(builds) == 1
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_threads_that_infer_at_once_take_turns(rng: np.random.Generator) -> None:
    network = Network([Conv2D(8, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(9)], input_shape=(1, 20, 20), seed=0)
    inputs = [rng.normal(size=(64, 1, 20, 20)).astype(np.float32) for _ in range(4)]
    expected = [network.infer(x) for x in inputs]

    def infer_often(place: int) -> bool:
        return all(np.array_equal(network.infer(inputs[place]), expected[place]) for _ in range(50))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(infer_often, range(4)))


def test_a_copy_of_what_is_not_built_builds_itself() -> None:
    assert copy.deepcopy(Network([Dense(2)], seed=0)).infer(np.ones((1, 3))).shape == (1, 2)
